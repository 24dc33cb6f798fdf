"""What the model knows about the mount: one row per thing a user wants to do.

A row gives the explanation, the command, the one word that names it, the phrasings it is trained on and those kept for the
evaluation. The facts are those of the mount's own README file; every command runs as printed, inside the mount.
"""

from __future__ import annotations

from typing import NamedTuple

from phrase import phrases

HOW = (
    "(how do I|how can I|how do you|how to|how would I|how should I|tell me how to|show me how to|I want to|how does one|\
explain how to|what is the command to|what do I type to|which file do I use to)"
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
    """The phrases of a text, its shorthands written out."""
    for name, pattern in SHORTHANDS.items():
        text = text.replace(name, pattern)
    return phrases(text)


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
            what are these files
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
            (making|creating|starting) a session / (where|which file) do I (write|put) (my|a) question
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
            (create|make|start) sessions
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
            on|continue)
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
            answer|the answer)
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
            make (you|the answers) (more|less) random / which file (sets|holds) the temperature
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
            (max_tokens|the maximum length|the length)
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
            (unmount|umount|quit) / (what|which) command (stops|unmounts|ends) (the|this) mount / unmount
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
            (can|could) I (set|change) (a|the|your) system prompt / which file (holds|sets|is) the system prompt
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
            (a|my|the) session / HOW make you forget (everything|this|our conversation|what I said)
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
            / does (it|this) stream
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
            file|file wait) for / (can|could) I wait (for the answer|until it is done)
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
            what is the (text file|file text) for
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
            far
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
            running
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
            / (can|could) I (reset|clear|restart) (a|the|my) CHAT / which command resets (a|the|my) CHAT
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
            (for|)
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
            list (the|all) models
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
            take / where (is|are|do I find) the (usage|timings|token counts) / what is the (usage file|file usage) for
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
            the (error file|file error) for
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
            tools
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
            sessions
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
            (metrics|statistics) / what is the (metrics file|file metrics) for
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
            mount|the server|tokfs|you) (healthy|alive) / what is the (health file|file health) for
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
            priority / HOW make (a session|my session|it) more (important|urgent)
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
            (start|create) a session
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
            (events|the events file)
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
            for / which file (has|holds|shows) (the|your) ANSWER
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
            (message|text|prompt)
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
            (a|my) (file|diff|patch)
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
            where can I (read|learn) more / what is the (README file|file README) for
        """),
        ["which file has the documentation", "where can the manual be found", "do you have documentation"],
    ),
]
