"""What the model knows about the mount: one row per thing a user wants to do.

A row gives the explanation, the command, the one word that names it, the phrasings it is trained on and those kept for the
evaluation. The facts are those of the mount's own README file; every command runs as printed, inside the mount.
"""

from __future__ import annotations

from typing import NamedTuple

from phrase import phrases

HOW = (
    "(how do I|how can I|how do you|how to|how would I|how should I|tell me how to|show me how to|I want to|"
    "how does one|explain how to|what is the command to|what do I type to|which file do I use to|how do I|"
    "how can I|how to|how could I|how can one|what is the (best|right|easiest|quickest|) way to|"
    "what (must|should) I do to|what do I have to do to|is it possible to|is there (a|any) way to|can I|"
    "I would like to|I need to|I wish to|show me how I can|tell me how I can|which command do I need to|"
    "what command lets me|help me|teach me (how|) to|how might I|any way to|how am I supposed to|"
    "how do I go about trying to|I am trying to|do you know how to|I do not know how to|how exactly do I|"
    "what do I need to)"
)
# The wish alone, or the question after it.
WISH = "(I want to|I would like to|I need to|we want to|)"
AFTER = (
    "(, how|, how do I do that|, how does that work|: how|, what is the command|, what do I do|, how is that done||)"
)

SHORTHANDS = {
    "HOW": HOW,
    "ANSWER": "(answer|reply|response)",
    "CHAT": "(session|conversation|chat)",
    "AN ": "(a|the|this|my|an|that) ",
}


class Fact(NamedTuple):
    name: str
    says: str
    command: str
    word: str
    train: list[str]
    held: list[str]

    @property
    def answer(self) -> str:
        return f"{self.says}: {self.command}"


def asked(text: str) -> list[str]:
    """The phrases of a text, its shorthands written out; what HOW asks the way to is also said as a wish."""
    for name, pattern in SHORTHANDS.items():
        text = text.replace(name, pattern)
    found = phrases(text)
    wishes = [phrase.replace(HOW, WISH, 1) + AFTER for phrase in found if phrase.startswith(HOW)]
    return found * 3 + wishes


FACTS: list[Fact] = [
    Fact(
        "use",
        "Make a session, write to it, read from it",
        "mkdir sessions/bob && echo hi > sessions/bob/input && cat sessions/bob/output",
        "README",
        asked("""
            (how do I|how can I|how do you|how to|how would I|tell me how to|show me how to|explain how to) (use|work
            with|chat with|talk to|speak with) (this|it|you|tokfs|this mount|the mount|this file system|this thing|this
            directory) / how does (this|it|the mount|this mount|tokfs|this file system|this thing) work / what is this
            (mount|thing|) / what can I do (here|with this mount|with this|in this directory) / (how do I|how can I)
            (begin|get started) / I (do not|don't) know how to use (this|the mount|tokfs) / help me (use|with) (this
            mount|the mount|tokfs) / what is tokfs / how (do|can) I talk to (the|this) model / usage / instructions /
            what are these files / how does one use (tokfs|this mount|this directory) / what do I do with this
            (directory|mount|folder) / how (do|should) I (start|begin) here / (a|the|) (short|small|first|quick)
            (guide|tutorial|introduction|intro|example|tour) / show me (an example|a session|the basics|some commands) /
            I am new here(, what now|) / first steps / (what|which) commands (are there|can I use|do I need|should I
            know) / how is (this|tokfs|the mount|it) (used|meant to be used) / explain (this|the mount|tokfs)( to me|) /
            explain how (this|it|tokfs|the mount) works / how do (these|the) files work / (give|show) me a
            (short|quick|small) (tour|overview|introduction) / what is (this|all this|this directory|tokfs)
            (for|about|good for) / how do I (operate|handle|run) (this|it) / where do I (begin|start) / basic usage /
            how do I get (going|started|an answer from you|this to work) / I (want|would like) to use (this|tokfs|the
            mount) / getting started / how is it done
        """),
        asked("""
            how am I supposed to use this / can you explain how this mount works / what should I do with this mount /
            show me how I use the mount
        """),
    ),
    Fact(
        "ask",
        "Write to the file ask and read it on the same descriptor",
        "{ echo 'your question' >&3; cat <&3; } 3<>ask",
        "ask",
        asked("""
            HOW (ask|put|send) (a|one|a single|my|you a|the model a|it a) (quick|short|) question / HOW ask
            (something|you something|anything) (without a session|) / HOW use the (file ask|ask file) / what is (the
            file ask|ask|the ask file) for / what does the (file ask|ask file) do / HOW ask a question without
            (making|creating|starting) a session / (where|which file) do I (write|put) (my|a) question / HOW
            (ask|put|pose|send) (just|only) one question / HOW (ask|chat|query) without (a session|mkdir|a
            directory|making a directory) / HOW use ask / what does ask do / explain (the file ask|the ask file|ask) /
            (the|a) (quickest|fastest|simplest|shortest) way to (ask|put) (a|you a|one) question / HOW (get|have)
            (a|one|my) (quick|single|short|) question answered / HOW (write to|read from|open) (the file ask|the ask
            file|ask) / ask (one|a) question (quickly|in one line|) / is there a (one-liner|one liner|one line command)
            (to ask|for asking|for) (you|something|questions|a question) / what goes into (ask|the file ask) / (a|my)
            one-off question / (can|could) I ask (you|) (without|with no) (a|any) session / one-shot question, how /
            where (can|should) I (type|enter) my question
        """),
        ["I have a question, how do I ask it", "how might I ask one question", "where do I ask a question"],
    ),
    Fact(
        "start",
        "A directory in sessions is a session",
        "mkdir sessions/bob",
        "mkdir",
        asked("""
            HOW (start|create|make|open|begin|set up) (a|a new|the|my|another|a named|my own) CHAT / start a new CHAT /
            (what|which) command (starts|creates|makes|opens) (a|a new) CHAT / (how|where) (do|can) I
            (create|make|start) sessions / HOW (begin|start|make|create) (chatting|sessions|a fresh CHAT|a private
            CHAT|one) / (a|I want a|I need a|give me a) (new|fresh) CHAT / new CHAT / how is a (new|) CHAT
            (made|created|opened|begun) / (where|how) (does|do) a (new|) CHAT (start|begin) / create a (new|) CHAT /
            what creates a CHAT / make me a (new|) CHAT / HOW (name|give a name to) a (new|) CHAT / HOW (have|get|hold)
            a (second|new|separate|another) CHAT / what is a session / what makes a CHAT / open a (new|) CHAT
        """),
        asked("""
            what must I do to start a session / I would like to create a new session / how is a session started
        """),
    ),
    Fact(
        "continue",
        "Write the next turn to the same session",
        "echo more > sessions/bob/input; cat sessions/bob/output",
        "input",
        asked("""
            HOW (continue|go on with|carry on|keep up|resume|extend) (a|the|this|my|our) CHAT / HOW (ask|send|write)
            (a|the|another) (next|second|follow-up|) (turn|message|question) (in|to) (the|a|the same) CHAT / HOW (ask a
            follow-up|say more|follow up|write the next turn|send the next turn) / how does (a|the|my) CHAT (go
            on|continue) / HOW (ask|send|write|say|add) (something|) (more|again|another question|the next question|a
            second question|one more thing) (in the CHAT|in a CHAT|) / HOW (keep|go on|continue)
            (talking|chatting|writing|speaking) (to you|) (in a CHAT|) / HOW (reply|respond|answer back) (to you|to your
            answer|in a CHAT|) / (the|my) next (turn|message|question), how / continue (a|the|my) CHAT / how (does|do)
            (a|the) (second|next|follow-up) (turn|question|message) work / multi-turn CHAT / HOW (write|make|do|take)
            (a|the) (second|next|another) turn / and (then|after that), how do I (go on|ask more|continue) / can a CHAT
            have (more than one turn|many turns|more turns) / HOW (pick up|return to|go back to) (an old|an earlier|my
            last|a) CHAT
        """),
        asked("""
            what do I write to continue my conversation / how is a conversation continued / may I continue a
            conversation, and how
        """),
    ),
    Fact(
        "cancel",
        "Write cancel to the file ctl",
        "echo cancel > sessions/bob/ctl",
        "ctl",
        asked("""
            HOW (cancel|abort|interrupt|stop|kill|end|break off) AN ANSWER / HOW (cancel|abort|interrupt) (it|you|a
            turn|the turn|generation|the generation|a request|the model) / HOW (cancel|abort) / (can|could) I
            (cancel|abort|interrupt) (a turn|you|it|an answer|the answer) / HOW stop (you|the model) (from
            talking|talking|writing|in the middle|generating) / how does cancel work / which command cancels (a turn|an
            answer|the answer) / HOW (make|get|tell) (it|you|the model) (to|) (stop|be quiet|shut up) / HOW
            (stop|cancel|end) (a|the) (running|long|endless|slow) (ANSWER|turn|generation) /
            (cancel|abort|stop|interrupt) (the|a|this|your) (ANSWER|generation|turn) / HOW (stop|halt|end) (it|the
            generation|generating|the output|a turn) (early|now|before it ends|) / (the|an|your) ANSWER (is|takes|gets)
            too long(, how do I stop it|) / it (does not|will not) stop (writing|talking|) / (it|the model) (keeps|goes
            on) (talking|writing|generating)(, what now|, how do I stop it|) / how is (a turn|an answer|the generation)
            (cancelled|stopped|aborted|interrupted) / what (stops|cancels|interrupts) (the model|an answer|a turn|the
            generation) / HOW (stop|break|cut off|cut short) (you|an answer) / which file cancels / can (answers|a
            turn|the answer) be (stopped|cancelled|interrupted)
        """),
        asked("""
            how can a running answer be cancelled / what do I do to cancel a turn / is there a way to cancel an answer
        """),
    ),
    Fact(
        "temperature",
        "Write it to the file params",
        "echo 'temperature 0.2' > sessions/bob/params",
        "params",
        asked("""
            HOW (set|change|lower|raise|adjust|pick|choose|control|reduce) (the|a|my|your|) temperature (of a session|to
            0.2|) / where (do|can) I (set|put|change|write) the temperature / (can|could) I (set|change) the temperature
            / HOW (set|change) (the|) sampling (parameters|params|settings) / what is (the params file|params) for / HOW
            make (you|the answers) (more|less) random / which file (sets|holds) the temperature / HOW (set|use|pick|get)
            a (low|lower|high|higher|different|new|better) temperature / where is (the|) temperature (set|changed|kept|)
            / (set|change|lower|raise) the temperature / temperature setting / HOW (set|change|find|edit) (the|)
            (params|parameters|sampling parameters|sampling options|sampling) / HOW make (it|you|the output|the
            ANSWER|answers) (deterministic|greedy|random|creative|less creative|more stable) / HOW (get|have)
            (more|less) (random|creative|varied|deterministic) (answers|output|replies) / how is the
            (temperature|randomness) (set|controlled) / HOW (control|change|reduce|set) (the|) randomness / which file
            is for (the|) (temperature|parameters|params|sampling) / (the|) temperature (should be|to|=) (0|0.5|0.7|1)(,
            how|) / set temperature / where do (the|) (parameters|params|sampling settings) go / what does params do
        """),
        asked("""
            what sets the temperature / how is the temperature changed / I need another temperature, how do I set it
        """),
    ),
    Fact(
        "max_tokens",
        "Write the limit to the file params",
        "echo 'max_tokens 50' > sessions/bob/params",
        "params",
        asked("""
            HOW (limit|set|shorten|cap|bound) the length (of an answer|of the answer|of answers|of your answers|) / HOW
            (set|change|use) (max_tokens|max tokens|the maximum number of tokens|the token limit) / HOW (make|get)
            (shorter answers|the answers shorter) / HOW limit the (tokens|number of tokens) / where (do|can) I set
            (max_tokens|the maximum length|the length) / HOW (limit|bound|cap|restrict|shorten) (the|) (answers|an
            answer|your answers|answer|output|replies) / (set|change|limit) (the|) (maximum length|max
            length|max_tokens|length) / HOW (set|get|use) a (length|token|size|shorter) limit / HOW (stop|keep) (the|)
            (answers|you) (from getting too long|from being too long|short) / maximum (length|number of tokens|tokens)
            (of an answer|) / (the|your) answers are too long(, how do I limit them|) / which (setting|parameter|file)
            (limits|sets|bounds) the (length|number of tokens|tokens) / how long (can|may) an answer be / what is
            max_tokens / HOW (make|get|have) (at most|no more than|only) (10|20|50|100) tokens / HOW (set|give) (the|a)
            maximum / where does max_tokens go / is there a (length|token) limit
        """),
        asked("""
            how is max_tokens set / what limits the length of an answer / can the length of answers be limited
        """),
    ),
    Fact(
        "unmount",
        "Unmount it",
        "fusermount3 -u MOUNT",
        "fusermount3",
        asked("""
            HOW (stop|unmount|end|quit|exit|shut down|leave|close|remove|turn off|kill|umount) (the|this) (mount|file
            system|server|daemon) / HOW (stop|quit|unmount|shut down|exit|turn off) (tokfs|everything|all this) / HOW
            (unmount|umount|quit) / (what|which) command (stops|unmounts|ends) (the|this) mount / unmount / HOW
            (unmount|umount|take down|tear down|stop|end) (it|the thing|all of it|this thing|the model|the server) / HOW
            (stop|end|kill) the (tokfs|) (process|daemon|program) / (unmount|umount) (this|it|the mount|tokfs) /
            (stop|quit|end|exit) (the mount|tokfs|the server|the daemon) / I am (done|finished)(, how do I (unmount|stop
            the mount|quit)|) / how is (it|tokfs|the mount|the server) (unmounted|stopped|ended) / what
            (ends|stops|unmounts) (it|the mount|tokfs) / HOW (undo|end|detach|disconnect) the mount / HOW turn
            (it|this|you) off / fusermount
        """),
        ["what do I run to stop the mount", "how is the mount stopped", "how do I get rid of the mount"],
    ),
    Fact(
        "system",
        "Write it to the file system",
        "echo 'Be terse' > sessions/bob/system",
        "system",
        asked("""
            HOW (set|change|write|give|use|add|define) (a|the|my|another|you a|your) system (prompt|message) / where
            (does|do I put|do I write|is) the system prompt (go|) / (what is|what does) (the system file|system)
            (for|do) / HOW (tell you how to behave|give you instructions|change your behaviour|give you a role) /
            (can|could) I (set|change) (a|the|your) system prompt / which file (holds|sets|is) the system prompt /
            (set|change|write) (a|the|your) system prompt / HOW (make|let|have) you (behave|act|play a role|talk like a
            pirate|be a pirate|be brief) / HOW (set|give|define|write) (a|your|the)
            (role|persona|instructions|character|personality|rules) / system prompt / (the|a) system prompt, how / which
            file (is for|has|takes) (the|) (system prompt|instructions|persona|role) / HOW (instruct|configure) (you|the
            model|a session) / what (is|does) the file (named|called|) system (do|) / how (is|does) (a|the) system
            (prompt|message) (given|work|written) / HOW (tell|make) you (how to answer|what to be|who you are|to be
            terse) / where (can|should) I (put|write|enter) (the|my|a) (system prompt|instructions|system message) /
            what is a system prompt
        """),
        asked("""
            how is the system prompt set / what do I do to change the system prompt / is there a system prompt
        """),
    ),
    Fact(
        "forget",
        "Remove its directory",
        "rmdir sessions/bob",
        "rmdir",
        asked("""
            HOW (forget|delete|remove|end|close|drop|erase|destroy|clean up|throw away) (a|the|my|this|an old) CHAT /
            (what|which) command (deletes|removes|forgets) a CHAT / HOW get rid of (a|my|the|an old) CHAT / delete
            (a|my|the) session / HOW make you forget (everything|this|our conversation|what I said) /
            (delete|remove|forget|erase|drop) (a|the|my|this|that|an old) CHAT / HOW (delete|remove|forget|get rid
            of|clean up|erase) (old|all|all my|my|some) (sessions|conversations|chats) / how is a CHAT
            (removed|forgotten|erased|ended|closed) / HOW (forget|delete|remove) (it|one|everything in a CHAT) / I (am
            done with|no longer need|do not need) (a|this|the|my) CHAT / what (deletes|removes|forgets|ends) a CHAT /
            (can|could) I (delete|remove|forget|erase) (a|my|the) CHAT / HOW (end|close|finish) (a|the|my) CHAT / forget
            (this|our|a) CHAT / the CHAT is over, how do I (delete|remove) it
        """),
        asked("""
            how is a session deleted / what do I do with a session I want to delete / I would like to forget a session
        """),
    ),
    Fact(
        "follow",
        "Follow the output of the session",
        "tail -f sessions/bob/output",
        "tail",
        asked("""
            HOW (follow|watch|stream|see|tail) (all|the|every|many) (turns|answers|output) (of a session|live|) / HOW
            (follow|watch|stream|tail) (a|the|my) CHAT / HOW (watch|see|follow|read) (the|an) answer (as it grows|while
            it grows|live|as it is written) / (can|could) I (follow|watch|stream) (a|the) (session|output|conversation)
            / does (it|this) stream / (follow|watch|stream|tail) (a|the) (CHAT|output|ANSWER) / HOW
            (stream|follow|watch|tail) (it|you|the output|everything|new answers|many answers) (live|as it comes|) / HOW
            (see|get|read) (the|) (tokens|words|text|output) (live|as they come|as it is made|while it is generated|one
            by one) / (does|do) (the|an|your) (ANSWER|answers|output) stream / is there (a|) (stream|live
            output|streaming) / HOW (watch|see|observe) (you|the model) (write|type|answer|think) / live output /
            streaming, how / what does tail do here / HOW keep (watching|reading|following) (a session|the
            output|answers) / (can|could) I (see|watch|read) (it|the answer) (live|as it grows|in real time) / real time
            output
        """),
        asked("""
            how can the output be followed / what lets me follow a session / I would like to watch the output live
        """),
    ),
    Fact(
        "wait",
        "Read the file wait",
        "read -r st < sessions/bob/wait",
        "wait",
        asked("""
            HOW wait (for|until) (the|an|a|my|its) (answer|turn|reply|end|end of a turn|end of the turn|turn to end) /
            HOW (wait|block) until (it|the answer|the turn|a turn|the model) (ends|is done|is finished|has finished|is
            over) / HOW know (when|that) (it|an answer|the answer|a turn) (ends|is done|is finished) / what is the (wait
            file|file wait) for / (can|could) I wait (for the answer|until it is done) / wait for (the|an) ANSWER / wait
            (until|till) (it|the turn) is done / HOW (wait|block|pause|sleep) (for|until) (completion|the end|the
            result|it ends|you are done) / HOW (tell|notice|find out) (when|that) (it|the ANSWER|a turn|you) (has
            ended|is ready|is complete|are done) / HOW (make|let|have) (a|my|the) (script|program|shell) wait (for
            you|for the ANSWER|until the end|) / what does (the file wait|wait) do / which file (waits|blocks|do I wait
            on) / how does waiting work / HOW block (in a script|until done|) / HOW (be told|get told|know) when (the
            ANSWER|it|a turn) (ends|is over|is complete|is there) / is there a (blocking|waiting) (read|file|command)
        """),
        asked("""
            what do I read to wait for the end / how can a script wait for the answer / is there something that waits
            for a turn
        """),
    ),
    Fact(
        "save",
        "Copy the file text",
        "cp sessions/bob/text answer.txt",
        "text",
        asked("""
            HOW (save|copy|keep|store|export|archive) (an|the|this|your|my|the last) ANSWER (to a file|in a file|) /
            where (can|do) I (get|find) the answer as a file / (can|could) I (save|copy|keep) (the|an|your) answer /
            what is the (text file|file text) for / (save|copy|store|keep) (the|an|this|your) ANSWER (to a file|) / HOW
            (write|put|get|copy|save) (the|an|your) ANSWER (into|to|in) (a|my|another|some) file / HOW (have|get|keep)
            (a copy of|) (the|your) ANSWER (on disk|as a file|as text|for later) / how is (an|the) ANSWER
            (saved|stored|kept|copied) / what is (the file|) text (for|) / HOW (save|copy|keep) (it|what you said|what
            you wrote|the text) (to disk|in a file|for later|) / HOW cp (an|the) ANSWER / (the|your) ANSWER as a (text|)
            file / (can|could) I (cp|copy|keep|store) (it|the ANSWER|what you say)
        """),
        asked("""
            how is an answer saved / what do I copy to save the answer / I would like to keep the answer in a file
        """),
    ),
    Fact(
        "messages",
        "Copy the file messages",
        "cp sessions/bob/messages chat.json",
        "messages",
        asked("""
            HOW (save|copy|export|see|read|get|keep|store|archive|show|print|look at) (the|a|my|our)
            (whole|full|entire|) (conversation|chat|history|messages|dialogue) / where is (the|my)
            (conversation|history|chat) (kept|stored|so far|) / (can|could) I (save|see|export|copy) (the|our|my)
            (whole|) (conversation|chat|history) / what is the (messages file|file messages) for / what did we say so
            far / (save|export|show|copy) (the|this|our|my) (whole|full|) (conversation|history|chat|dialogue) / HOW
            (save|export|see|get) (all|all the|every|both sides of the) (messages|turns) (so far|) / (the|)
            (conversation|chat) history / where (is|can I find|do I see) (the|my|our) (whole|full|)
            (history|conversation|messages|transcript) / which file (holds|has|is|contains) (the|our)
            (history|messages|whole chat|dialogue|transcript) / HOW (get|see|read) (a|the) (transcript|log|record) (of a
            session|) / how is (the|our|a) (conversation|history|chat) (exported|saved|kept|stored) /
            (conversation|history|chat|messages) as JSON / what is in (the file messages|messages) / HOW (back
            up|copy|archive) (a|my|the) (chat|conversation) / what have we said
        """),
        asked("""
            how is the whole conversation saved / which file has the conversation / I would like to export our
            conversation
        """),
    ),
    Fact(
        "status",
        "Read the file status",
        "cat sessions/bob/status",
        "status",
        asked("""
            HOW (see|check|get|read|know|show|find|print) (the|a|my|its) status (of a session|of my session|of a turn|)
            / HOW (see|know|tell|check) (if|whether) (it|the model|a turn|the turn) is (running|done|busy|queued) /
            where (is|can I see|do I find) the status / what is the (status file|file status) for / is it (still|)
            running / (see|check|show|read) (the|a) (status|state) / HOW (see|check|get|learn|read) the state (of it|of
            a turn|of a session|) / what is the (status|state) (of a session|of my session|) / what is (it|the model|a
            session) doing (now|) / is (the|my) (turn|session|answer) (done|finished|running|queued) / HOW
            (see|know|find out|check) (if|whether) (you are|a session is|an answer is|the answer is)
            (done|busy|finished|ready|still running|idle|queued) / which file (tells|says|has) the (status|state) / how
            far (is it|is the answer|are you) / (status|state) of a session / how is the (status|state)
            (shown|seen|found) / what does status (say|do|show) / (are you|is it) (busy|done|finished)(, how do I see
            that|)
        """),
        ["what tells me the status", "how is the status read", "which file shows the status"],
    ),
    Fact(
        "reset",
        "Write reset to the file ctl",
        "echo reset > sessions/bob/ctl",
        "ctl",
        asked("""
            HOW (reset|restart|clear|empty) (a|the|my|this) CHAT / HOW reset / HOW (start over|start again|start afresh)
            / (can|could) I (reset|clear|restart) (a|the|my) CHAT / which command resets (a|the|my) CHAT /
            (reset|clear|empty|restart) (a|the|my|this) CHAT / HOW (clear|erase|empty|forget|wipe) (the|all|my)
            (history|messages|context|memory) (of a session|of a CHAT|) / HOW (start|begin) (over|again|afresh|from
            scratch|from zero) (in|with) (a|the|the same|this) CHAT / how is a CHAT (reset|cleared|emptied) / what
            resets a CHAT / HOW (forget|drop|clear) the messages (but|and) keep the (session|directory|settings) / HOW
            (empty|reset) it (without deleting it|) / what does reset do / forget the messages / (reset|clear) (the|)
            (context|history) / HOW (get|have) a clean (session|slate|context)
        """),
        asked("""
            how can a session be reset / what do I write to reset a session / is there a way to reset the conversation
        """),
    ),
    Fact(
        "openai",
        "Write the request and read the answer on the same descriptor",
        "{ cat request.json >&3; cat <&3; } 3<>v1/chat/completions",
        "v1/chat/completions",
        asked("""
            HOW (send|use|write|make) (an|a|the) (OpenAI|JSON|OpenAI JSON|chat completions|API) (request|call) / HOW use
            (JSON|the API|the OpenAI API|chat completions|the OpenAI interface) / (is|where is) (the|there an) (OpenAI|)
            API (here|) / (can|could) I (send|use) (JSON|an OpenAI request|the OpenAI API) / what is v1/chat/completions
            (for|) / (send|make|use) an OpenAI request / HOW (send|post|make|run|do) (a|an|my) (chat completion|chat
            completions request|HTTP API request|API call|OpenAI call|request.json) / HOW use (v1/chat/completions|the
            completions file|the chat completions file|OpenAI's format) / where (do|does|can) (the|an|my|) (API|OpenAI|)
            (requests|request) go / is (this|it) (OpenAI compatible|compatible with OpenAI) / which file (takes|is for)
            (OpenAI|API|chat completions) requests / OpenAI API / chat completions / HOW do what curl would do / can I
            use (an|the) OpenAI (client|request|format|API) / how does the (OpenAI|chat completions|) API work / HOW
            (use|speak|talk) (the|) OpenAI (protocol|API|format)
        """),
        asked("""
            where does an OpenAI request go / what do I do with a JSON request / do you have an OpenAI API
        """),
    ),
    Fact(
        "models",
        "Read the list of models",
        "cat v1/models",
        "v1/models",
        asked("""
            HOW (list|see|show|get|print) (the|all|all the|) models / (which|what) models (are there|are loaded|do you
            have|exist) / (which|what) model (is this|is loaded|is running|runs here) / where is the list of models /
            list (the|all) models / (which|what) models (can I use|do you serve|are here|are served|are there to use|are
            loaded here) / (show|print|see) (all|the|all the|) models / available models / HOW (find
            out|know|learn|check) (which|what) (model|models) (is|are) (loaded|there|running|available|served) /
            (what|which) is the (name|id) of the (loaded|running) model / is there a (list of models|model list) / where
            (are|can I see) the models / models / (model|models) list / how many models are (there|loaded) / what models
            exist here / name the loaded models
        """),
        ["how are the models listed", "what file lists the models", "I would like to see the models"],
    ),
    Fact(
        "usage",
        "Read the file usage",
        "cat sessions/bob/usage",
        "usage",
        asked("""
            HOW (see|get|count|read|know|find) (the|) (token usage|token counts|number of tokens|timings|timing|token
            count) / how many tokens (did I use|were used|did it take|did you use) / how long did (it|the answer|you)
            take / where (is|are|do I find) the (usage|timings|token counts) / what is the (usage file|file usage) for /
            (show|see|print) (the|) (token usage|token counts|usage|timings) / HOW (see|check|measure|get|know) (how
            many tokens|how much time|how long|the time) (it took|I used|were used|a turn took|an answer took|you
            needed) / (token|tokens) (usage|count|statistics) / how (fast|slow) (was it|was the answer|are you) / HOW
            (measure|see|get) (the|) (speed|time to first token|tokens per second|latency|cached tokens|prompt tokens) /
            how many tokens (are there|was that|were there|did that cost|did I spend) / which file
            (has|counts|shows|tells) (the|) (tokens|usage|timing|times) / what did (it|that|the turn) cost / how (much
            time|long) (does|did) (a turn|that|it) take / what does usage (show|say) / time spent on a turn
        """),
        ["what shows the token usage", "how are tokens counted", "which file has the timings"],
    ),
    Fact(
        "error",
        "Read the file error",
        "cat sessions/bob/error",
        "error",
        asked("""
            HOW (see|read|get|find|show|know|print) (the|an|my|the last) (error|error message|reason of the failure) /
            where (is|are|do I see|do I find|can I read) the (error|errors|error message|last error) / what went wrong /
            why did (it|my turn|the turn|my request) fail / HOW (debug|find out what went wrong) / it failed / what is
            the (error file|file error) for / (see|show|read|print) (the|an|my|last) error / HOW (see|find
            out|know|learn) (why|what) (it failed|failed|my turn failed|it did not work|the problem was|broke|went
            wrong) / why did (that|it|my write|this) (fail|not work|break) / (it|something|my turn|the turn|my request)
            (failed|broke|did not work)(, why|, what now|, where is the reason|) / where (is|are|do I find) (the|)
            (reason|reasons|cause) (of a failure|of the error|) / what was the (error|reason|problem) / which file
            (has|shows|tells|explains) (the|) (error|errors|reason|failure) / I got an error(, why|, what now|) / last
            error / reason of the failure / what does (the file error|error) (say|do) / error (messages|message|reason),
            where / why (did I get|do I get|is there) an error
        """),
        ["what shows the last error", "my turn failed, where is the reason", "how is an error read"],
    ),
    Fact(
        "tools",
        "Write the JSON schemas to the file tools",
        "cat schemas.json > sessions/bob/tools",
        "tools",
        asked("""
            HOW (set|add|give|define|use|declare|offer) (you|the model|a session|) (tools|functions|tool
            schemas|function schemas) / (can|could) (you|I) (use|set|call|add) (tools|functions) / where (do|can) I
            (put|write) (the|my|) (tools|tool schemas) / what is the (tools file|file tools) for / do you (support|have)
            tools / (add|set|use|give you|define) (tools|functions) / HOW (let|make|have) you (call|use) (a
            tool|tools|functions|a function) / HOW (declare|pass|write|add|register|hand you) (a|some|my|the|)
            (tool|tools|function|functions|tool schema|function schema|schemas|tool definitions) (to a session|for a
            session|in a session|) / where (do|does|should|can) (the|my|) (tool|tools|function|functions|schemas)
            (definitions|schemas|) (go|be written) / does (tool calling|function calling) work / HOW (use|do|get) (tool
            calling|function calling|tool calls|tool use) / (tool|function) calling / which file (is for|takes|has)
            (the|) (tools|functions|schemas) / how are (tools|functions) (set|given|added|defined|written) / what does
            (the file tools|tools) do
        """),
        ["how are tools given to a session", "where do tools go", "I would like to give you tools"],
    ),
    Fact(
        "list",
        "List the directory sessions",
        "ls sessions",
        "ls",
        asked("""
            HOW (list|see|show|find|get|print) (the|all|my|all my|the running|) (sessions|conversations|chats) /
            (which|what) sessions (are there|exist|do I have|are open) / where are (my|the) sessions / list (all|my|the)
            sessions / (list|show|see|print) (the|all|my|all my|) (sessions|chats|conversations) / HOW (see|find
            out|know) (which|what|how many) (sessions|conversations|chats) (there are|exist|I have|are open|are running)
            / which (sessions|chats|conversations) (exist|are there|do I have|are mine) / my
            (sessions|chats|conversations) / how many (sessions|conversations|chats) (are there|do I have|exist) / where
            (can I see|do I find|are) (all|my|all my|the) (chats|conversations|sessions) / how are (the|) sessions
            listed / HOW get an overview of (my|the|all) sessions / all sessions / is there a list of
            (sessions|chats|conversations)
        """),
        ["how are my sessions listed", "what sessions have I got", "I would like to see all sessions"],
    ),
    Fact(
        "metrics",
        "Read the file metrics",
        "cat metrics",
        "metrics",
        asked("""
            HOW (see|get|read|show|find|scrape|print) (the|) (metrics|statistics|Prometheus metrics|counters|stats) /
            where (are|do I find) the (metrics|statistics|stats|counters) / (are there|do you have) (any|)
            (metrics|statistics) / what is the (metrics file|file metrics) for / (show|see|read|print|get) (the|)
            (metrics|statistics|stats|counters) / HOW (monitor|watch|measure|observe) (the mount|tokfs|the
            server|this|it|the load) / HOW (connect|use|set up|point) prometheus (here|to this|) /
            (prometheus|metrics|statistics|stats|counters|monitoring) / is there (monitoring|a metrics file|a prometheus
            file) / which file (is for|has|gives) (prometheus|metrics|statistics|monitoring|counters) / how are
            (metrics|statistics) (read|exported|shown) / where (does|can) prometheus (read|scrape) / what
            (metrics|statistics) are there / how much load is there / HOW (see|get) (the|)
            (load|numbers|gauges|counters) of the server
        """),
        ["what shows the metrics", "how are the metrics read", "which file has the metrics"],
    ),
    Fact(
        "health",
        "Read the file health",
        "cat health",
        "health",
        asked("""
            HOW (see|check|test|know|read) (the|its|) health (of the mount|of the server|) / HOW (see|check|know)
            (if|whether) (the mount|the server|tokfs|everything) (is healthy|is up|works|is alive) / (is|are) (the
            mount|the server|tokfs|you) (healthy|alive) / what is the (health file|file health) for /
            (check|see|show|read|test) (the|) health / HOW (see|check|test|know|find out|tell) (if|whether|that) (it|the
            daemon|the file system|the server|all|tokfs) (runs|is ok|is fine|is running|is working|is up|is well|is
            healthy|still works) / (health|healthcheck|health check) / is (tokfs|the daemon|the mount|the
            server|everything) (ok|up|running|fine|well|working) / which file (tells|says|shows) (if|whether) (all is
            well|it is healthy|the server is up) / what does (the file health|health) (say|do) / HOW do a (health
            check|liveness probe|check of the server) / how healthy is (it|the server|the mount)
        """),
        ["what tells me the health", "how is the health checked", "which file shows the health"],
    ),
    Fact(
        "priority",
        "Write it to the file ctl",
        "echo 'priority 5' > sessions/bob/ctl",
        "ctl",
        asked("""
            HOW (set|change|raise|lower|give|adjust) (the|a|my|its|) (higher|lower|) priority (of a session|to a
            session|of my session|) / (can|could) I (set|change|raise) (the|my) priority / where (do|can) I set the
            priority / HOW make (a session|my session|it) more (important|urgent) / (set|raise|change|lower) (the|a)
            priority / HOW (prefer|favour|rank|hurry) (a|one|my) session / HOW (make|have|get) (a|my|one) (session|turn)
            (go first|run first|faster than others|come first|be served first) / what is the priority (of a
            session|for|) / which file (sets|changes|is for) the priority / priority of a session / how is (a|the)
            priority (set|raised|given) / (can|could) (a session|sessions|I) have (a|) (priority|higher priority) / HOW
            (put|move) (a|my) session (ahead|first|in front) / HOW (use|write) priority
        """),
        ["how is the priority changed", "what sets the priority", "I need a higher priority"],
    ),
    Fact(
        "json",
        "Write the JSON to sessions/new",
        'echo "$json" > sessions/new && cat sessions/last/output',
        "sessions/new",
        asked("""
            HOW (start|create|make|open) (a|the) CHAT (from|with|by) (a|) JSON (request|text|object|file|) / what is
            sessions/new (for|) / what does sessions/new do / HOW use sessions/new / HOW (write|send) (a|) JSON to
            (start|create) a session / (start|create|make|open) a CHAT (from|with|using) JSON / HOW
            (write|post|send|give|use) (a|my|the|chat completions|) JSON (body|chat|conversation|messages|request|)
            (to|for|into) (a new|sessions/new|a) CHAT / HOW (make|create|start|open) a (new|) CHAT (with|from)
            (messages|a list of messages|JSON messages|a chat completions request|a chat completions JSON) / what (goes
            into|do I write to|is) sessions/new / can a CHAT (start|begin|be made) (from|with) JSON / sessions/new /
            which file takes JSON (for a new session|) / how is sessions/new used / how does sessions/new work / explain
            sessions/new / I have (a|some) JSON(, how do I make a session of it|)
        """),
        asked("""
            how is a session made from JSON / which file makes a session from JSON / I have JSON and need a session
        """),
    ),
    Fact(
        "events",
        "Read the file events, one JSON object per line",
        "cat sessions/bob/events",
        "events",
        asked("""
            HOW (read|get|see|follow|stream|watch) (the|) (events|chunks|OpenAI chunks|events of a session|JSON chunks)
            / where (are|do I find) the (events|chunks) / what is the (events file|file events) for / what is in
            (events|the events file) / (read|see|show|follow) the events / HOW (get|read|see|parse) (the|)
            (answer|output|reply|stream) as (JSON|events|NDJSON|chunks|JSON lines|JSON objects) / HOW (read|get|use)
            (NDJSON|JSON lines|server-sent events|SSE|OpenAI chunks|the finish reason) / events /
            (streaming|stream|OpenAI|JSON) (events|chunks) / where (is|can I read|do I get) the (events file|stream of
            events|chunks|finish_reason) / which file (is|has|gives) (the|) (NDJSON|JSON chunks|chunks|stream|JSON
            stream|finish_reason) / what does (the file events|events) (have|hold|show) / (answer|output) as
            (events|chunks|JSON)
        """),
        ["which file has the events", "how are the events read", "what shows me the chunks"],
    ),
    Fact(
        "read",
        "Read the file output",
        "cat sessions/bob/output",
        "output",
        asked("""
            HOW (read|see|get|print|hear|show|listen to|receive) (an|the|your|my|its|the last) ANSWER / where (is|do I
            find|can I read|do I read|do I see|comes) (the|your|my|an) ANSWER / what is the (output file|file output)
            for / which file (has|holds|shows) (the|your) ANSWER / (read|see|show|print|get) (the|an|your|my) ANSWER /
            HOW (see|hear|get|print|cat) (what you say|what you said|what it said|what the model said|your words|the
            output|output) / where (is|do I see|can I see|does it put|do you write|goes|comes) (the|your|its)
            (ANSWER|output|text) / which file (do I read|contains|is|gives) (the|your|) (ANSWER|output) / how is
            (an|the) ANSWER read / where (are|do I find) (the|your) (answers|replies) / HOW (listen|listen to you|hear
            you|get something back|see a result) / what does (the file output|output) (have|hold|do) / I (wrote|sent) (a
            message|something), where is the ANSWER
        """),
        ["what do I read to get the answer", "where does the answer go", "how can I find your answer"],
    ),
    Fact(
        "write",
        "Write to the file input",
        "echo hi > sessions/bob/input",
        "input",
        asked("""
            HOW (send|write|give|say|type|pass) (a|the|my|you a|) (message|prompt|text|something) (to a session|to you|)
            / where (do|can) I (write|send|type|put) (a|my|the) (message|prompt|text) / what is the (input file|file
            input) for / HOW (say|write) (hi|hello|something) to (you|a session) / which file (takes|reads) my
            (message|text|prompt) / (write|send) (a|you a|the|my) (message|prompt|text|question) / HOW
            (talk|speak|write|say something) to (you|a session|the model|it) / where (does|should|must) (my|the|a)
            (message|prompt|text|turn|input) (go|be written) / which file (is for|takes|gets) (the|my|)
            (input|prompt|messages|user turn|turn) / HOW (enter|submit|input|write|type) (a|my|the) (turn|prompt|user
            turn|user message|message) / how is (a|the) (turn|prompt|message) (sent|written|given) / what does (the file
            input|input) (do|take) / HOW (prompt|address) (you|the model|a session) / HOW echo (something|a
            message|text) (to you|to a session|) / where do (messages|prompts|turns) go
        """),
        ["where does my message go", "what takes my message", "how is a message sent"],
    ),
    Fact(
        "file",
        "Put the text and the file into one turn",
        "{ echo Review:; git diff; } > sessions/bob/input",
        "input",
        asked("""
            HOW (send|pass|give|show|pipe) (you|the model|it|) (a|the|my|) (file|diff|git diff|patch|output of a
            command) / HOW (review|let you review) (a|my|the) (diff|patch|git diff) / (can|could) I (send|pipe|give) you
            (a|my) (file|diff|patch) / (send|pipe|give|show) you a (file|diff|patch|program) / HOW
            (send|pipe|feed|give|attach|add|upload) (you|the model|a session|) (a|the|my) (file|document|text
            file|log|source file|program|long text|output of a program) (and a question|to read|to review|with a
            question|) / HOW (ask|chat) about (a|my) (file|diff|document|log|program) / HOW (let|have|make) you
            (read|look at|see|check) (a|my) (file|diff|patch|log|document|program) / (can|could) (you|the model)
            (review|read|look at) (a|my) (diff|patch|file|program) / HOW (combine|put together) (text and a file|a
            question and a file|a prompt and a file) / HOW pipe (something|git diff|text|command output|a command)
            (to|into) (you|a session) / (upload|attach) a (file|document) / file upload / how are files
            (sent|given|passed)
        """),
        asked("""
            how can a diff be sent to you / what do I do to pipe a file to you / is there a way to send you a file
        """),
    ),
    Fact(
        "docs",
        "Read the file README",
        "cat README",
        "README",
        asked("""
            HOW (read|find|see|get|open) (the|) (docs|documentation|manual|README|help file) / where (is|are|do I find)
            the (docs|documentation|manual|README|instructions|help) / is there (a|any) (manual|documentation|README) /
            where can I (read|learn) more / what is the (README file|file README) for / (read|show|see|open) the
            (docs|documentation|manual|README|help) / (documentation|docs|manual|README|man page) / HOW (learn|find
            out|know|read) more (about this|about tokfs|about the mount|) / where (is|are|can I find|can I read|do I
            get) (the|more|some|any) (help|docs|documentation|manual|information|README) / is (this|it|the mount)
            documented( somewhere|) / which file (is|has|explains) (the|) (manual|help|docs|everything|instructions) /
            (any|more|some) (docs|documentation|information|help text) / (tell|show) me (more|where to read more) (about
            this mount|about tokfs|) / what (should|can) I read (first|) / where is everything explained / is there
            (some|any|) (help|documentation|readme|man page)
        """),
        ["which file has the documentation", "where can the manual be found", "do you have documentation"],
    ),
]
