"""More phrasings of the rows of howto.py and talk.py: as people type who do not know the mount's words.

Whole sentences, bare keywords, complaints and half sentences, by the row's name; for training only.
"""

from __future__ import annotations

from phrase import phrases

HOWTO_TEXTS: dict[str, str] = {
    "use": """
        what do I do now / how does one (begin|get going) / (first time here|newbie here|I just mounted this|I just
        installed tokfs), (what do I do|how do I begin|what next|how does it work) / I mounted it, now what / ok it is
        mounted, what now / getting an answer out of this mount / how do I make this (thing|mount) (do something|answer
        me|talk) / what is the (idea|concept|point) (of this mount|here|) / quick (start|guide|intro) / quickstart /
        hello world example / minimal example / give me (a|the) (minimal|simple|complete|full) example / show me how (it
        is done|this works|it works) / how to chat / how do I (chat|hold a conversation|talk) with the (shell|command
        line|mount) / how do people (use|work with) this / walk me through it / (step by step|in three steps), how do I
        use (this|it) / what are the (basic steps|basics|steps) / can you give me a (tour|demo) of the mount / (no|I
        have no) (clue|idea) how (this|it) works / I do not get how this works / how is the mount (organised|laid out) /
        tutorial (please|) / manual (for beginners|in short) / which files do I need / a whole session, from start to
        end / do everything in one line / from the shell, how do I (talk|chat) to you
    """,
    "ask": """
        one question (only|), no session / (just|only) one (quick|) question, no session(, how|) / how to ask without
        session / I only have one question, (where|how) / what if I only want (one answer|a single answer) / single
        question (and answer|mode|) / (stateless|one-time|throwaway|quick) (question|query|request) / how to do a quick
        (query|ask|question) / do I (need|have to make) a session (to ask|for one question|for a quick question) / must
        I make a session to ask something / ask (file|) usage / how do I use (that|this) ask (file|thing) / (the|)
        simplest way to get an answer / query you once / how (do|can) I (query|ask) (you|the model) (once|one time|just
        once) / (question|ask) and answer on (one|the same) descriptor / asking without (leaving|making) a directory /
        quickly ask something / ask in one (go|command|shot|step) / one command to ask / oneliner for a question /
        where (do|can) questions go / can I just ask (a question|something) (quickly|)
    """,
    "start": """
        how to make session / session (start|creation|create|new) / new session(, how|) / mkdir what / what do I mkdir /
        (open|make|begin|start|create|spawn) (me|) (a|another|one more|a fresh) (session|chat|conversation) / how can I
        have (two|several|many) (chats|sessions) / a session (called|named) (bob|test|work|ada), how / I want (to
        open|to start|to begin|) a new (one|session|chat|conversation) / how do sessions (start|begin|come into being) /
        where do I make a session / where do new sessions go / is a session (just|only|really|) a directory / session =
        directory / which directory (do I make|makes a session|is a session) / add a session / set up a conversation /
        how to (open|begin) a chat / make a chat / how do I get my own session / starting a (chat|conversation|session)
        / what is needed to start a (session|chat) / second session please / a fresh chat, how
    """,
    "continue": """
        how to keep chatting / keep going in the same (chat|session|conversation) / next question in the same session /
        how do I ask (again|another one|a second time) / write (again|more|a second message) to the same session /
        another (turn|question|message) (in|to) the (same|old) (session|chat) / after the (first|last) answer, how do I
        (go on|continue|ask more) / I got my answer, how do I ask the next (one|question) / how do I (answer|reply|say
        something) (back|) in the chat / (second|next|third|follow up) (message|turn|question)(, how|) / follow-up
        questions / followup / how are follow-ups (asked|done|written) / can I go on (in|with) (a|the|my) (chat|session)
        / does the session (remember|go on|continue) / how to carry on (a|the) (chat|conversation|session) / same
        session, next (turn|question) / talk on in the same session / how do turns work / keep the conversation going /
        go back to bob and ask more / extend the chat / a longer conversation, how
    """,
    "cancel": """
        (make|get) it (stop|shut up) / (it|the model|bob) (rambles|won't stop|keeps talking|never stops|is stuck|takes
        forever|hangs)(, what do I do|, how do I stop it|) / how to stop generation / stop (generating|writing|talking)
        / (kill|stop|abort|cancel) (the|a) (current|running|ongoing|active) (answer|turn|generation|request|reply) /
        too (long|much), (stop it|how do I cancel|cancel) / (emergency|) stop button / ctrl-c (for|in) (a session|an
        answer) / abort (it|everything|now|generation) / how do I (abort|interrupt|break|stop) (a|the) (long|slow)
        (answer|reply|turn) / I changed my mind, (stop|cancel) the answer / I don't need the (rest of the |)answer
        (anymore|any more|) / cancel (an answer|a turn|generation|it|what is running) / cut it off / break off / can I
        (stop|interrupt|cancel) (it|you|the model|generation) (halfway|in the middle|while it writes|) / stopping an
        answer / cancelling / cancellation / interrupting the model / how to (interrupt|abort|cancel) / what if the
        answer is too long and I want to stop it / stop a turn / end the turn early / is there a cancel
    """,
    "temperature": """
        temp setting / change temp / (lower|higher|raise|turn down|turn up|increase|decrease|reduce) (the|)
        (temp|temperature) / where is (the|) (temp|temperature|randomness) / temperature 0 / temperature=0(, how|) / how
        do I get (the same answer every time|reproducible answers|the same output each time|deterministic output) / less
        (random|creative|wild), (please|how) / more (random|creative|variety|creativity), how / make it (less|more)
        (creative|random|wild|boring) / (answers|replies) are too (random|wild|creative|boring|strange) / where do
        sampling (options|settings) live / set (top_p|top_k|the seed|a seed|min_p) / sampling (params|options|settings)
        / how do I set (top_p|top p|top_k|the seed|a seed) / greedy (decoding|sampling) / turn off sampling / where (can
        I|do I) (put|write|set) (the temperature|temperature|parameters) / what temperature (is used|do you use) and how
        do I change it / tweak (the temperature|sampling) / params (file|)(, how|) / edit params / change the params
        (of|in) a session / what goes in params / make answers (repeatable|deterministic|stable)
    """,
    "max_tokens": """
        (answers|replies|the output|it) (is|are) too long / shorter (answers|replies|output)(, how|) / (limit|cap)
        (the|) (output|answer|reply|tokens|length|answers) / max tokens / max_tokens(, where|) / token limit /
        (set|change) (a|the) (token|length) limit / how do I stop it after (10|20|50|100) tokens / (only|at most|max|no
        more than) (20|50|100|200) tokens (please|, how|) / how to get short answers / how do I keep
        (answers|it|replies) short / answer length / output length / maximum answer length / length (limit|setting|of
        answers) / where is the (token|length) limit / bound the answer / restrict (the|) (length|output|number of
        tokens) / how many tokens may it (write|generate) / can I make it (write|answer) (less|shorter) / cut answers at
        (50|100) tokens / limit generation / a limit for the answer / make (it|replies|the model) (stop after|write at
        most) (30|50|100) (tokens|words)
    """,
    "unmount": """
        how to stop tokfs / (stop|exit|quit|kill|close|end|shut down) (tokfs|the daemon|the mount|the server|the
        program) / umount / unmounting / how do I (umount|unmount) (this|it|tokfs|the thing) / get rid of the mount /
        (I'm|I am) (finished|done) with (tokfs|the mount|it), (how do I stop it|what now) / detach / eject / how do I
        stop this program / take the mount (down|away|off) / how to shut (it|this|everything) down / shutdown / clean up
        the mount / remove the mount / end of work, how do I (stop|quit) everything / mount off / stop serving / free
        the memory of tokfs / how does one unmount / can I just kill tokfs / how do I leave (tokfs|the mount)
        (cleanly|properly|) / stop the file system / is there an unmount command / fusermount how / which command
        unmounts
    """,
    "system": """
        system prompt (file|please|where|how) / where to (put|write) (a|the) system prompt / (give|set) (it|you|the
        model|bob) (a persona|instructions|a role|rules|a personality) / how do I make it (answer like a pirate|be
        terse|be polite|speak like a pirate|a pirate) / make the model (behave|act|terse|polite|a pirate) / tell the
        model (how to answer|to be brief|how to behave|what it is) / custom instructions / (initial|first|standing)
        (instructions|prompt) / change (its|your|the model's) (behaviour|personality|style|tone|role) / role play(,
        how|) / persona / set the (tone|style|role|rules) / system message(, where|) / does a session have a system
        prompt / pre-prompt / instructions for the (model|session) / (how|where) do I (tell|instruct) (it|you|the model)
        (how|) to behave / a prompt that holds for all turns / how to instruct the model / write (a|the) system
        (message|prompt) / echo something to system / edit the system prompt / replace the system prompt
    """,
    "forget": """
        delete session / how to delete (a|my|the) (session|chat|conversation) / (remove|delete|erase|trash|discard|kill)
        (it|bob|the chat|that session|sessions|a conversation|old chats) / rmdir / how do I (end|close|finish|drop) a
        (session|chat|conversation) / I (don't|do not) need (the|this|that|my) (session|chat|conversation) (anymore|any
        more|any longer) / get rid of (bob|a session|a chat|old sessions|my chats) / session cleanup / clean up
        (sessions|old chats|my sessions) / throw the (session|chat) away / (how|can) I make (it|you) forget (a
        session|the whole chat|me) / free (a|the) session / close (the|a) (session|chat|conversation) / deleting
        (sessions|a chat) / remove a session directory / is a session deleted with (rm|rmdir) / which command removes a
        session / forget (bob|the conversation|a session) / done with a (chat|session), how do I remove it / destroy a
        session
    """,
    "follow": """
        live (view|stream|output|view of the answer) / (watch|see) (it|the answer|the model) (type|being written|grow|in
        real time|as it writes) / stream (the|) (output|answer|tokens) (live|to my terminal|) / how (can|do) I stream /
        streaming output / does it stream (the|) (tokens|answers|output) / tail -f / tail the output / follow (along|the
        session|a chat|all answers) / see (tokens|words) (as|when) they (come|arrive|appear) / (answer|output) word by
        word / keep an eye on (a|the) session / watch (a|the|my) session (live|) / (continuous|endless|ongoing) output /
        print (new answers|answers) as they come / monitor (a|the) (session|chat) / how to tail a session / every answer
        of a session, live / (in|) real time / token by token / show the answer while it is being written / observe a
        session / follow all turns
    """,
    "wait": """
        how do I know it is (done|finished|over|complete) / (block|wait|sleep|pause) until (done|ready|finished|the
        end|the answer is there|it has answered) / wait for (completion|the model|it|the end|the result) / (script|my
        script|a shell script) must wait (for the answer|until done|) / (tell|notify|inform) me when (it is done|it is
        finished|the answer is ready|a turn ends) / get notified (when|at) (the end|it is done|a turn ends) /
        notification when (done|finished) / waiting for (an|the) (answer|turn|reply) / how to wait / wait (file|) /
        blocking read / in a script, how do I wait / when is (an answer|a turn|it) (complete|finished|done), how do I
        know / (wait|block) (till|until) the turn (is over|ends|finishes) / synchronous / do I have to poll / instead of
        polling / poll or wait / how do scripts wait
    """,
    "save": """
        save (the|an|that|this|last) (answer|reply|response) / save (it|that) (to|in|into) (a|my) file / store the (last
        |)(answer|reply) / copy the (last |)answer (somewhere|to my home|to disk|) / how do I keep (the|an|your) (last
        |) answer / I want to keep (this|that|the) (answer|reply) / answer (to|into) (a|) file / (export|dump|write) the
        (answer|reply) (to a file|) / put the (answer|reply) in (answer.txt|a text file|a file) / text file / how to
        save the output / get (the|an) answer as (plain text|text|a file|a text file) / plain text of the answer / just
        the text of the (last|) answer / saving (an answer|answers|replies) / keep what (you|it) said / cp the answer /
        where is the text of the answer / download the answer / make a copy of the answer
    """,
    "messages": """
        export (chat|the chat|our chat|everything we said|the conversation|the dialogue) / save (the|our|this|my)
        (whole|entire|complete|full|) (chat|conversation|dialogue|talk|history) / (chat|conversation|full)
        (log|history|export |transcript|backup) / backup of (a|the|my) (chat|conversation) / how do I (back
        up|archive|export|download|dump) (a|my |the|our) (chat|conversation|dialogue|history) / everything (we|I and
        you) (said|wrote|talked about) / all (messages| turns) (as JSON|so far|of a session|) / transcript (please|of
        the session|) / both sides of the chat / what have I said so far / where are (my|the|all the|old)
        (messages|turns) / JSON of the (chat|conversation) / copy of the whole (chat|conversation) /
        (see|read|view|print) the (chat|conversation|session) history / history / scroll back / full conversation / keep
        (the|our) whole (chat|conversation) / message list / past (messages|turns)
    """,
    "status": """
        (is|has) (it|bob|the model|my session) (busy|running|idle|finished yet|done yet|still working|stuck) /
        (session|turn|) (status|state) / status (of bob|please|check|) / what is (my|a|the) session doing / check
        (status|the status|on it|if it is busy|if it is running) / how do I (check|see) (if|whether) (it|a session|the
        model|bob) is (busy|idle|working|still running|queued|done) / still (busy|running|working) / is it
        (queued|waiting|idle|busy|generating) / progress / how far along is it / see if (it|the turn) is
        (done|running|queued) / what state is (a|my|the) session in / has (it|the turn|my turn) (started|finished|ended)
        / current (status|state) / where can I (see|check) (if|whether) it is (running|busy) / is anything running /
        queued or running / what is going on in (a|my|the) session / is my turn still (in the queue|running)
    """,
    "reset": """
        clear (chat|the chat|history|the history|context|the context|everything|the session) / (start|begin)
        (over|again|from scratch|anew|afresh|fresh) / clean slate / empty the (chat|session|history|context) / wipe
        (the|) (chat|history|context| session|messages|memory) / how do I (clear|wipe|empty|restart) (the|a|my)
        (chat|session|history|context|conversation) / forget (the history|all messages|what was said) (but keep the
        session|and keep the session|) / restart (the|a|my) (chat|conversation|session) / reset (session|the
        chat|it|everything|bob) / (same|keep the) session, but (empty|no history| from the beginning) / delete the
        (history|messages) / throw away the (history|messages) / context is full / the (context|history) is too long(,
        what now|) / how to reset / back to zero / begin the conversation again / remove all messages from a session /
        clean the session / fresh start
    """,
    "openai": """
        openai (api|format|compatible|request|style|endpoint|) / where is the openai (api|endpoint) / (chat|)
        completions (api| endpoint|file|request|) / is there (an|some) (api|openai api|endpoint) / API / api access /
        how do I call the api / can I use my openai (code|script|request|json) / (send|post) (a|my|raw)
        (json|request|JSON request) / I have an openai request, (how do I send it|where does it go) / how to send json /
        curl / like curl / rest api / (make|do) an api call / v1/chat completions / request.json, where / JSON in, JSON
        out / raw request / use it like (the openai api|chatgpt's api) / how do (programs|my programs) talk to it / send
        messages as JSON in one request / where do I put request.json / chat completion request
    """,
    "models": """
        model list / list (of|the|) models / (show|print|see|get|give me) (me|) (the|all|available|loaded) models /
        which (model|models) (is|are) (loaded|mounted|served|available|there|installed) / what model (is|have I)
        (loaded|mounted|served) / available models / loaded model / name of the loaded model / where do I see (which
        model|the model|models) (is loaded| are loaded|) / what models can I (use|choose|pick) / v1/models / how many
        models / see which model is (running|loaded) / how do I know which model is (running|loaded|behind this) / which
        weights are loaded / list them: models / is there more than one model
    """,
    "usage": """
        (token|tokens) (used|count|counts|usage|statistics) / how many tokens (did it use|was that|have I used|did the
        answer have) / (count|number of) tokens (used|in the answer|in the prompt|) / how (fast|quick|slow) (is it|was
        it|is the model| was that) / tokens per second / speed (of the answer|of generation|in tokens per second|) /
        timing(s|) (of a turn|) / how long did (that|the last answer|the turn|it) (take|run|need) / time (it
        took|needed|to first token|of the last turn) / cost (of a turn|in tokens|) / see (token|) (usage|costs|timings)
        / how many prompt tokens / prompt and completion tokens / what did the (answer|turn) cost / where do I see the
        (speed|tokens|timing|usage) / how much (did I use|was used) / cached tokens / latency / duration of (the|a)
        (turn|answer) / usage (of a session|numbers|statistics) / measure (the|) (speed|time|tokens)
    """,
    "error": """
        (why|what) (did it fail|happened|is wrong|broke) / (it|that|my command|the write|my message) (failed|broke|gave
        an error|did not work|does not work)(, why|, what now|, how do I find out why|) / I (get|got|have|see) (an
        error|an error message|EINVAL| Invalid argument|errors) / write error, (why|what does it mean) / error
        (text|reason|details|file|please|) / (reason|cause) (of|for) (the|my|an) (error|failure) / explain (the|my)
        (error|failure) / where (are|do I see) (errors|error messages) / what does the error mean / echo says (Invalid
        argument|write error|an error) / find (the|) (reason|cause|error) / see why (it|my turn|the request|something)
        (failed|was refused|went wrong) / something (went wrong|is broken|failed) / last (error| failure) / debugging /
        how do I debug (it|this|a failed turn) / my (request|prompt|turn|message) was (refused|rejected) / the turn
        (failed|was refused)(, why|)
    """,
    "tools": """
        function calling / tool (use|calls|calling|schemas|support) / (give|hand|offer|pass) (it|the model|bob)
        (tools|functions|a tool|a function) / how do I (add|define|declare|register|give it) (a tool|tools|functions|a
        function) / can it (call|use) (tools|functions|my functions) / where do (I put|) (tool|function)
        (schemas|definitions) (go|) / let the model call (functions|my code|a tool|tools) / (set|write) (the|) tools /
        tools (json|file|schema|) / json schema of a tool / schemas, where / (use|using) tools (in a session|) / tools
        for a session / I have (tools|functions|a schema), where do (they|I put them) (go|) / does it support
        (tools|function calling|functions) / declare a function
    """,
    "list": """
        list (of|my|the|all|open|) (sessions|chats|conversations) / (show|print|see|view|display) (me|)
        (all|my|open|the|existing) (sessions|chats|conversations) / which (sessions|chats|conversations) (are open|do I
        have|exist|are there) / ls / all my (sessions|chats) / what (sessions|chats) (are open|do I have|exist|are
        there) / sessions (list|overview|) / how many (sessions|chats) are (open|there) / I forgot the name of my
        (session|chat) / names of (my|the|all) (sessions|chats) / see what sessions are (there|open) / find my
        (sessions|chats|session) / where did my sessions go / open sessions / existing sessions / overview of sessions /
        how do I see other (sessions|chats)
    """,
    "metrics": """
        (server|performance|prometheus|load|runtime) (metrics|statistics|stats|numbers|counters) / prometheus
        (endpoint|scrape| target|export|) / grafana / monitoring (data|of the server|) / how do I
        (monitor|graph|measure) (the server|tokfs|it|the mount|load) / stats / statistics (of the server|please|) /
        counters / (see|get|read|collect|export) (the|) (metrics| statistics|counters|stats) / how busy is the server /
        load of the server / how much memory does (it|the server) use / requests per second / how many turns (were
        there|have been served) / total tokens served / server statistics / usage of the whole server / performance data
        / numbers for monitoring / dashboards
    """,
    "health": """
        health check / is (it|tokfs|the server|the daemon|the mount) (alive|healthy|ok|still up|up and running) /
        (server|mount| daemon) (health|ok|alive) / check (if|that|whether) (it|tokfs|the server|the mount|the daemon)
        (is alive|is up|is healthy| lives|still works) / liveness (probe|check|) / readiness / does the
        (server|daemon|mount) still (live|work|run) / health / how do I (check|test|know) (that|if|whether) (tokfs|the
        server|the daemon|everything) (is up|is ok|is fine|is alive|still works) / probe the server / healthz / is
        everything (alright|ok) with the (server|mount|daemon) / alive or dead / monitor if it is up / server status
        check / uptime check
    """,
    "priority": """
        (session|turn|higher|lower|) priority / prioritise (a|my|this) session / prioritize (bob|my session|a
        session|this chat) / (raise|lower|set|bump|change|increase) (the|my|its) priority / (my|one|this) session
        (should be|must be) (first|faster| served first|more important) / make (bob|my session|this chat|one session)
        (faster|more important|go first|urgent) / how do I (jump|skip) the queue / skip the line / (put|move) (my|a)
        (turn|session) (first|ahead) in the queue / important session / urgent (session|turn) / which session goes first
        / give (my|one|a|this) session (priority|precedence|more weight) / nice value / scheduling priority / order in
        the queue / can a session be more important
    """,
    "json": """
        (make|start|create|open) (a|) (session|chat) (from|with|out of) (json|a json file|messages|my messages|a
        request) / sessions/new / new session (from|with|by) (json|messages|a json file) / start from (json|a
        json|existing messages|old messages) / import (a|my|an old|saved) (chat|conversation|messages|history) / load
        (a|my|an old|saved) (chat|conversation|history|messages) / restore (a|my|an old|saved) (chat|conversation) / how
        do I (import|load|restore) (a|my) (chat|conversation|messages) / chat.json to a session / (create|make) session
        json / session with messages already in it / json into a (new |)session / put (json|messages) into a new session
        / what is the file sessions/new / write json to sessions/new / how to use sessions/new / bring back a saved chat
        / continue from a saved (chat|conversation)
    """,
    "events": """
        json (stream|events|chunks|lines|output) / (stream|) (events|chunks) (file|as json|) / ndjson / sse / server
        sent events / (event|chunk) stream / openai (stream|chunks|events|streaming) / machine readable
        (output|stream|answer) / answer as json / output as (json|chunks|events|ndjson) / how do I (parse|read) the
        (stream|events|chunks) (in a program|) / (read|get|see) (the|) (events|chunks|stream of chunks) / jsonl /
        logprobs / finish reason / delta (chunks|events|) / where are the (events| chunks|deltas) / per token events / a
        stream for programs / event file / json for every token
    """,
    "read": """
        (where|how) (is|do I get|do I see|do I read) (the|my|your) (answer|reply|response|output|result) /
        (show|print|get|read|give) (me|) (the|your|my|last) (answer|reply|response|output|result) / I (asked|wrote|sent)
        something, (where is|how do I read|now how do I get) the (answer|reply) / how to read (an|the) (answer|reply) /
        output (file|) / cat (the|) output / cat what / see the (answer|reply|response|result|output) /
        (reading|getting) (an|the) (answer|reply|response) / what file (is|has) the answer (in|) / which file do I cat /
        read (the|) (answer|reply|output) of (bob|a session) / response / where does the (reply|answer|response| output)
        (come|appear|go|show up) / I see no answer, where is it / get (the|an) answer back / how do I see what
        (it|you|the model) (said|answered|wrote)
    """,
    "write": """
        (send|write|type|post) (a|my|the|some) (message|prompt|text|turn|line) / how to (send|write|type) (a|my|)
        (message|prompt|text| messages) / how do I (say|write|send|tell) (something|it something|hi|hello) / input
        (file|) / (where|how) do I (type|write| enter|input) / (where|how) to (type|write|enter) (a|my|)
        (message|prompt|text) / echo hi where / echo to what / which file do I write (to|) / send text to (bob|a
        session|the model|it) / (sending|writing) (a|) (message|prompt|text|turn) / prompt (it|the model|) / how do I
        prompt / give (it|the model) a prompt / user (message|turn|input) / message to (bob|a session|the model) / what
        do I echo / say hi to the model / put text into a session / how is the model prompted / where do I say something
    """,
    "file": """
        (send|attach|upload|pass|feed|pipe|give|include|add) (a|my|the|some) (file|diff|document|log|patch|text
        file|source|code|pdf|program output) / how to (send|attach|upload|pass|feed|pipe|include) (a|)
        (file|files|diff|document|log) / (code|diff|patch) review / review (my|a) (diff|patch|code|changes) / git diff
        (to|into) (the model|a session|you) / how do I get (my|a) (file|code|diff) into the (chat|session|prompt) /
        (question|ask|chat) about a (file|document|log|diff) / (can|could) (it|you|the model) (read|see|review)
        (my|a|this) (file|code|diff|patch|log) / paste a (long|whole|big) file / a prompt with a file / pipe (output|a
        command|a file| something) (into|to) (it|a session|the model) / long (text|input|prompt) from a file / prompt
        from a file / files / attachments / summarise a file, how / my file in the prompt / text plus file / command
        output as input / use stdin
    """,
    "docs": """
        (docs|documentation|manual|readme|man page|help file|handbook) (please|where|?|) / where (is|are) (the|)
        (readme|docs| documentation|manual|man page) / (more|further) (reading|information|info|help|details on the
        mount) / read the (fine|) manual / rtfm / is there (a|any|some) (readme|man
        page|handbook|guide|documentation|wiki) / where can I (learn|read|find out) more (about this|about tokfs|) /
        link to the docs / the full documentation / where is (this|it|everything|all this) (explained|described|
        documented|written down) / (open|cat|read|see|show) (the|) (readme|docs|manual) / full manual / list of all
        files and what they do / explanation of all files / reference / (I want|give me) (to read |)(the|)
        (docs|manual|documentation|readme)
    """,
}

TALK_TEXTS: dict[str, str] = {
    "hello": """
        heya / hey (demo|bot|model|man|mate) / hi (everyone|folks|bot|mate|you there) / hello
        (bot|mate|model|sir|dear|tokfs|machine) / (oh|well|ah|ok), (hi|hello|hey) (there|) / hiya (bot|there|demo) / hi
        hello / hello hi / ahoy / aloha / hola amigo / hey what's new / yo (bot|demo|dude) / g'day /
        hi from me / good day (to you|sir|bot) / nice to (see|meet) you (too| demo|bot|) / (good|glad) to (be here|see
        you here) / hello, (tiny|little) (one|bot|model|friend) / hey, it's me / hi, me again / hello, I am new here /
        hello darkness / hello?? / hi!! / hey! / hello, anyone
    """,
    "morning": """
        good mornin / gud morning / morning sunshine / good morning (bot|tokfs|machine|sir|dear|mate|everybody|world) /
        top of the morning / a very (nice|fine|happy) morning to you / what a (lovely|nice|fine) morning /
        (hey|hi|hello|ok), (good|) morning / morning morning / goodmorning / morning (bot|mate|tokfs)
    """,
    "evening": """
        good evenin / gud evening / goodevening / good evening (bot|tokfs|machine|sir|dear|mate|everybody|world) / a
        very (nice|fine| happy) evening to you / what a (lovely|nice|fine) evening / (hey|hi|hello|ok), (good|) evening
        / evening (bot|mate|tokfs|there) / evening evening
    """,
    "night": """
        good nite / goodnight / gnight / nite / nite nite / good night
        (bot|tokfs|machine|sir|dear|mate|everybody|world|tiny model) / (off to|time for|heading to|going to|I need to go
        to) (bed|sleep) (now|, good night|) / (hey|ok|well|thanks), good night / sleep well (demo|bot|my friend|) / I'm
        going to bed / see you in the morning, good night / have a good (night|sleep) / night (bot|mate|tokfs)
    """,
    "how": """
        how r u / how are u / how are ya / hows it going / how is it hanging / hows life / how are we (today|doing|) /
        how do you feel about today / you doing (ok|well|alright|good) / are you (doing|keeping) (well|ok|fine|alright)
        / how's your (day|morning|evening| week|night) (going|been|so far|) / what's new / whats up / wassup / what's
        happening / everything (alright|okay) / all good / (hi| hey|hello|good morning), how (are you|is it going|are
        things|do you do) / and you, how are you / how about you / how have you been (lately|doing|) / are you
        (good|happy|fine|ok) today / feeling (good|well|ok) / how is (demo|my favourite bot|the model) (today| doing|) /
        doing (ok|well|fine|good), (are you|demo) / having a good (day|time) / you alright
    """,
    "fine": """
        im (good|fine|ok|great|well) / i am (good|fine|great|ok) too / (good|fine|great|ok|well), thanks for asking /
        (doing|going) (fine| great|ok|good) / (could|can) not be better / couldn't be better / (I'm|I am)
        (very|really|so|pretty|quite|) (happy|good|great| well|fine|cheerful) (today|right now|at the moment|) / I feel
        (really|very|so|) (good|great|well|happy|wonderful|fantastic) (today| now|) / my (day|week|morning) (is|was|has
        been) (really|very|) (good|great|fine|lovely|nice) / (what|today is) a (great|wonderful| beautiful|lovely) day /
        I got (a new job|good news|a present|a puppy) / I passed (my|the) (exam|test) / I won / it is my birthday / I am
        in love / I (am on|have a) holiday / (all|everything) is (fine|great|good|well) (thanks|with me|here|) / fine
        thanks, you / good, how about you / not too bad / so far so good / same here, fine / okay, I'm good / I am
        (great|good|fine|well|super|happy), (thanks|thank you) / (great|good|fine|well|super), (thanks|thank you) (and
        you|for asking|) / I'm (doing |feeling |)(great|good|fine|well|very well|really well|so well) (thanks|thank
        you|today|) / I (feel|am feeling) (very |really |so |)(good|well|great|fine|happy|better) (today|now|) / I am
        (very |really |so )(well|good|happy|glad) (today| thanks|)
    """,
    "sad": """
        im (sad|tired|sick|ill|lonely|bored|so tired|unhappy|depressed) / (I'm|I am) (so|very|really|pretty|quite|a
        bit|a little) (sad| tired|sick|ill|lonely|bored|unhappy|down|upset|depressed|stressed|exhausted|worried|scared)
        (today|now|right now|at the moment|) / I feel (so|very|really|a bit|)
        (down|low|sad|awful|sick|alone|lonely|tired|empty|miserable) (today|now|) / (not|I am not) (doing| feeling) (so
        |too |very |)(well|good|great|fine) (today|) / my (day|week|morning|night) (was|is|has been) (really|so|very|)
        (bad|awful|terrible|hard|horrible|long) / (what|I had|it was|such) a (bad|terrible|awful|rough|horrible|hard)
        (day|week|night) / I (lost|broke|failed) (my keys|my job|everything|the game|my exam|my heart) / my
        (grandmother|cat|dog|friend) (died|is ill|left| is gone) / I have (a cold|the flu|a headache|a fever|no
        energy|bad news) / bad news / I hurt (myself|my foot|my hand) / everything (hurts|went wrong|is terrible) / I am
        (not ok|not okay|not happy|not well) / could be better / I got fired / I cried (today|) / life is
        (sad|hard|unfair|not easy) / so tired / feeling (ill|lonely|blue|sick|tired|really bad)
    """,
    "thanks": """
        thank u / thnks / thanks (man|pal|mate|demo|bot|dude|for nothing else|for your time|a ton|heaps|loads) / thank
        you (demo|bot|mate| sir|, demo|, bot|for this|for the help|for that answer|very kindly) /
        (awesome|perfect|great|cool|nice|excellent|brilliant|ok|alright| good), (thanks|thank you|ty|thx|cheers) /
        (thanks|thank you) for (helping|the help|your help|your patience|the info|the information| explaining|the
        answer|your answer|answering|the joke|the story|everything) / (that's|that is|that was) (helpful|what I
        needed|all I needed|very useful|kind of you) / helped (me|) a lot / (I'm|I am) (very|so|)
        (grateful|thankful|obliged) / much obliged / (thanks| thank you), (that works|it works now|I got it|you are
        great|bye|that's all) / danke / gracias / thanks thanks / cheers mate / big thanks / (a thousand|so many|lots
        of) thanks / thanks in advance / appreciated / appreciate it
    """,
    "bye": """
        bye (bot|demo|mate|there|and thanks|then|for today|friend|tokfs) / goodbye (bot|demo|mate|sir|and thank
        you|everyone|tokfs) / bb / byee / bye for now / see ya / see you (in a bit|monday|next week|another
        time|there|all) / (gotta|got to|need to|have to) (go|run|leave) (now|, bye|) / I('m| am) (off|out|gone|leaving
        now|going now|going home) (, bye|) / (I|we) (should|better|will|must) (go|leave|get going) (now|) /
        (ok|okay|well|right|alright|thanks), (bye|goodbye|see you|bye bye|see you later|bye now) / have a
        (good|great|nice) (day|evening|weekend|one), (bye|goodbye) / (that will be|that was) all (, bye|for today|,
        thanks and bye|) / I'll (be back|come back later|see you) / be right back / brb / (talk|speak|write) (to you|)
        (soon|later|tomorrow) / take care (of yourself|, bye|) / till next time / until later / signing off / over and
        out / so long (friend|) / leaving now / I am done (for today|for now|here) / (bye|goodbye|ok bye|bye bye), (see
        you|see you tomorrow|see you soon|until tomorrow|talk to you tomorrow|good night for now|I am off|I must go) /
        see you (tomorrow|on monday|tonight|in the evening), (bye|demo|bot) / I (have|need|ought) to (leave|go|run|stop)
        (now|here|soon|for today) / that's all for (today|now), (bye|goodbye|see you)
    """,
    "who": """
        who r u / who are u / whats your name / your name? / what's ur name / (hi|hey|hello|ok), (who are you|what are
        you|what is your name) / (and|so) what is your name / tell me (a bit|something|more) about (you|yourself) / what
        do I call you / how (do|should|can) I call you / how are you called / (do|have) you (have|got) a name / are you
        (chatgpt|claude|siri|alexa|gpt|gemini|llama|a llama|mistral) / is this (chatgpt|claude|gpt|demo|llama) /
        (what|which) (LLM|language model|AI|model) (is this|are you|am I talking to|do I talk to|runs here) / who do I
        have the pleasure (with|of talking to) / (who|what) am I (talking|chatting|speaking|writing) (to|with)
        (here|right now|) / who (answers|is answering|is on the other side|is it|goes there) / identify yourself / say
        your name / introduce yourself, please / your identity / who might you be / what's this bot's name / are you
        called demo / you have a name / who are you anyway / what (thing| creature|model) are you / (please|) present
        yourself / who is demo / what is demo / who do I (talk|write|speak) to (here|now|) / whom am I talking to / who
        is it I am (speaking|chatting|writing) (to|with) / who (am|are) (I|we) (talking|speaking|chatting) (to|with)
        (now|here|please|) / (and|so|hey) who are you / what do you call yourself / who's
        (this|that|there|speaking|talking) / tell me what you are / (could|can) you say who you are / what is this
        chatbot (called|'s name|) / say hi and your name / which assistant is this / what are you exactly
    """,
    "size": """
        how big r u / how many (parameters|params|weights) / parameter count / how many (parameters|params|weights) (do
        you have|have you|are you| are in you|does it have) / your size / what size are you / how many (billion|million)
        (parameters|params) / what is your (size|parameter count|model size) / are you (a|)
        (small|big|large|tiny|little|huge) (model|one|language model|) / are you (small|big|large|tiny|7b|70b| huge) /
        model size / size of (the|this|your) (model|network|brain|weights) / how large (is this model|are you|is the
        model|is demo) / how small are you / how (big|small) is (demo|this thing|the model|this bot|it) /
        (number|amount) of (weights|parameters) (please|) / how many (numbers|weights|neurons) (do you consist of|are
        inside you) / you must be (tiny|small|big) / are you (bigger|smaller) than (llama|me|gpt) / is it a
        (small|big|tiny|large) model / how many bytes are you / how much (memory|space) do you (need|take|use)
    """,
    "smart": """
        r u smart / u smart / are you (that |very |really |any |actually |)(smart|clever|intelligent|good|wise|bright)
        (really|at all|) / how smart are you (really|) / are you as (clever|smart|intelligent|good) as (chatgpt|a
        human|claude|me|others|gpt-4) / are you (the best| perfect|a genius|an expert|any good|useful|always right|ever
        wrong|good at maths|powerful) / do you know (a lot|lots|everything|much| many things|it all) / are you (ever
        |sometimes |)(wrong|mistaken) / can I (trust|believe|rely on) (you|your answers|this|what you say| that) /
        (is|are) (this|that|your answer|your answers) (reliable|always right|trustworthy|certain|true) / do you make
        (errors|mistakes) (often| sometimes|) / how (reliable|accurate|good|capable) are (you|your answers) / do you
        (really |actually |truly |)(understand|think|reason|know things) / are you (smarter|better|cleverer) than
        (me|chatgpt|claude|gpt-4|a child|a dog|people|google) / can you (think|reason|learn| understand) / do you
        (learn|improve) (from me|over time|) / what's your iq / are you (stupid|dumb|silly) or smart / you know
        everything, right / (I think|you) (you are|must be|are) (very |really |so |)(smart|clever|intelligent) / you're
        (smart|clever|intelligent|so smart) / is your knowledge (good|big|large)
    """,
    "trained": """
        who (made|built|created|trained|programmed|wrote|designed|coded|invented) (u|you|this|demo|this bot|this
        model|that) / who is (your|the) (creator|maker|author|owner|boss|father|mother|developer|inventor|programmer) /
        who are (your|the) (creators|makers|authors|owners|parents| developers) / who do you (belong to|work for) /
        (what|which) (company|team|people|project) (made|built|trained|created|is behind) you / where (do|did) you come
        from / where are you from / your (origin|creator|maker|author|training data|training) / (what|which)
        (data|texts| books|material|dialogues|examples) (were|was|are) (you|it) (trained|made|built) (on|from|with) /
        what did you learn from / how did they (make|train|build) you / how (were|was|did) (you|it|this model|they)
        (trained|made|get trained|built|train you|created|learn) / (trained| made|built) (by|on|from) (whom|what|what
        data|who) / did (openai|google|meta|anthropic|microsoft) (make|train|build|create) you / are you
        (made|built|trained|from) (by |)(openai|google|meta|anthropic|microsoft) / training data / where did you learn
        (that|to talk|english|your tricks|all this) / who taught you (that|to talk|english|this|) / did you read
        (books|the web|wikipedia) / how were you (born|made) / what is your training / were you trained on (wikipedia|my
        data|books|the internet)
    """,
    "skills": """
        what can u do / what (r|are) you good at / what can (demo|this bot|it|the model) do / (so|hi|hey|ok|and), what
        can you do / what do you (do|know|offer) / what (things|stuff|topics|tricks|tasks) (can you do|do you know|do
        you do|are you good at) / what can I (ask|ask you|do with you|use you for|try|say) / what (kind of|sort of|)
        (questions|things) (can you answer|can I ask|do you answer|do you understand) / help me (please|out|a bit|) / I
        need (help|some help|your help) / can you help (me|us|) / could you help me / how can you help (me|us|) / what
        else can you (do|answer|help with) / what are your
        (skills|talents|abilities|capabilities|features|strengths|limits|tricks) / list what you can do / your
        (abilities|features|capabilities|talents) / give me some (ideas|examples|suggestions) (of what to ask|what to
        ask you|) / what should I (ask|try|say) (you|first|now|) / anything you can do / can you do anything
        (useful|fun|interesting|at all|) / any (tricks|skills| talents) / show me (a trick|your tricks|something|what
        you've got|what you can) / what do you (have|know how) to (offer|do) / options / menu / tell me what you
        (know|can do|are good at|are able to do) / what is your (job|purpose|use|function|task) / why do you exist /
        what are you (for|used for|here for|there for|useful for) / what use are you / are you of any use /
        (explain|tell me) what you (can|are able to) do / what (could|can|may) you (do|help with|offer|be used for) /
        which (questions|topics) (work|are ok|can you handle) / (any|some) (suggestions|ideas|hints) (what to ask|for
        questions|) / your skills, please / in what can you help / what kind of (bot|help|things) (can|do) you
        (offer|do|know)
    """,
    "human": """
        r u human / are you (a |)(human|human being|person|real person|man|woman|guy|girl|alive|living|living
        being|somebody|someone|real) / is there a (human|person|real person|someone|man|woman) (there|behind this|on the
        other side|typing|in there) / am I (talking|chatting|speaking) (to| with) (a |)(human|real person|person|real
        human|someone real|somebody) / (you are|you're|are you) (not |)(human|a human|a person|alive|a real person)
        (right|, are you|, aren't you|at all|or what) / do you have (a |any
        |)(feelings|emotions|body|heart|soul|family|friends|consciousness|
        mother|brain|hobbies|pets|children|legs|hands|eyes|mind) / do you (feel|have)
        (pain|love|happy|sad|anything|joy|fear) / can you (feel|see me| hear me
        speak|smell|taste|love|walk|die|eat|sleep|dream|cry|laugh) / do you (eat|sleep|dream|drink|breathe|cry|live|get
        tired|get bored) / are you (conscious|sentient|aware|self-aware|living|awake inside) / are you a
        (boy|girl|man|woman|child|dog|cat|animal|he|she|he or a she) / are you (male| female|a he or a
        she|married|single|hungry|tired|thirsty|in love|lonely) / do you love (me|someone|anybody) / will you marry me /
        are you my friend / do you have a (life|job|boyfriend|girlfriend|wife|husband|dog|cat|house|birthday party)
    """,
    "robot": """
        r u a (bot|robot) / are you (a |an |)(bot|robot|ai|machine|computer|program|software|chatbot|llm|language
        model|computer program|neural network| automaton|piece of software|digital assistant|virtual assistant|script) /
        is this (a |an |)(bot|robot|ai|machine|computer|program|chatbot|llm| language model|automated) / am I
        (talking|chatting|speaking|writing) (to|with) (a |an |)(bot|robot|ai|machine|computer|program|chatbot|llm) /
        (you are|you're) (a |an |only a |just a |)(bot|robot|ai|machine|computer|program|chatbot) (right|, right|,
        aren't you|, are you not|, no|, or) / (so| and) you are (a|an|just a|only a)
        (bot|ai|machine|program|computer|language model) / are you (artificial|automated|software|digital|virtual|not
        human|just code|code|electronic) / is it true (that |)you are (a |an )(bot|robot|ai|machine|program|computer) /
        are you really (a |an )(bot|robot|ai| machine|program|computer)
    """,
    "age": """
        how old r u / how old are u / your age / whats your age / age? / what's your (birthday|date of birth|age) / when
        (is|was) your birthday / when (were|was) (you|this model|it) (made|born|built|created|trained|released) / what
        (year|day|date) were you (made|born|built|created) / are you (old| young|new|a child|an adult|grown up|a
        baby|older than me|younger than me|just born) / how (old|young) (are you|is demo|is this bot|is it)
        (exactly|now| really|) / how long (have you been|do you) (alive|around|here|exist|existing|exist already|living)
        / what is your (date of birth|birthday|year of birth) / do you (have|celebrate) (a birthday|birthdays|your
        birthday) / how many years (old are you|are you old|do you have|have you been alive) / tell me (your age|your
        birthday|how old you are|when you were born)
    """,
    "where": """
        where r u / where are u / where do u live / where you at / where (are|do) you (now|live|stay|run|sit|exist|come
        on|reside) (exactly|right now| actually|) / (do|are) you (run|running|live|living|hosted|located|sitting|stored)
        (on|in|inside) (my|a|the|this|some) (computer|machine|pc|laptop| server|cloud|house|mount|disk|data center) /
        are you (local|in the cloud|on my computer|running locally|remote|far away|here|on a server|in america|in my
        computer|nearby) / is (this|it|the model) (running|) (local|locally|in the cloud|on my machine|remote|on a
        server) / where is (this| the model|it|demo|your server|your home) (running|hosted|located|stored|) / what
        (machine|computer|server|hardware|country|city|place) (do|are) you (run on|live in|on|in|running on|from now) /
        your (location|address|home|place) / where is your (home|house|place|body|server) / which (computer|
        machine|server) (runs|hosts) you / where can I (find|visit|meet) you / do you live (here|somewhere|in a
        computer|in a box|alone)
    """,
    "internet": """
        (do|have) you (have|got|use|know) (the |)(internet|web|online|network|internet access|google|wifi)( access|) /
        can you (google|search|browse|look up |surf|access|use|open|read|see|visit) (something|that|this|it|the web|the
        internet|the news|wikipedia|websites|a website|a url|a link|this page|my files|my screen|my disk|my email|my
        mails) (for me|please|) / (search|google|look up|browse|find) (the web|the internet|online|something on the
        web|it online|wikipedia|that for me|this on the internet) / are you (online|connected|connected to the
        internet|on the web|offline|on the internet) / is there (internet|a connection|web access) / (look|check)
        (it|that|this) (up|online) (for me|please|) / can you (go|get|look) online / (web|internet|online)
        (search|access|connection) / open (google|a website|www.example.com|http://example.com|this link) / read (this
        website|this link|http://example.com|my files|my mail) / do you know (current events|the latest news|what is in
        the news) / are you up to date / do you (get|have) (updates|the news|current information|live data|new
        information)
    """,
    "clock": """
        whats the time / what time / time? / time please / the time / date? / whats the date / whats today / what day
        (is it|is today|is it now|do we have) / (what|which) (day|date|year|month|weekday|week) (is it|is today|are we
        in|do we have|is this|is it now|is it today) / what's (the|today's) (date|time| day|year) (today|now|please|) /
        (do|can|could) you (know|tell me|say|have|give me) (the time|the date|what time it is|what day it is|which day
        it is| today's date|the current time|the year|what year it is) / (is it|is today|is tomorrow)
        (monday|tuesday|wednesday|thursday|friday|saturday|sunday|a holiday|late|early|noon|midnight|the
        weekend|christmas) (already|yet|today|now|) / how late is it / (current|local) (time|date) / tell me the (time|
        date|day|hour) (please|now|) / got the time / got a watch / do you have (a|) (clock|watch|calendar|the time|the
        date) / what (hour|year|month) is it / when is (lunch|christmas|easter|monday|my birthday|it over|the next
        holiday) / how many days (until|till|to) (christmas|easter|friday|summer) / what is the day (today|tomorrow) /
        what was yesterday / what date is (tomorrow|it tomorrow|next monday) / today is what day
    """,
    "weather": """
        weather / weather? / hows the weather / how's the weather (today|outside|there|now|) / what's the weather
        (today|outside|like today|like outside| tomorrow|) / is it
        (hot|cold|warm|raining|sunny|nice|wet|windy|freezing|snowing|cloudy) (out|outside|today|there|right now|) / will
        it (rain|snow|be sunny|be warm|be hot|be cold|get warm|freeze) (today|tomorrow|tonight|later|this weekend|) /
        (do I|should I|will I) (need|take|bring|wear) (an|a|my) (umbrella|coat|jacket|hat|raincoat|sweater|scarf)
        (today|tomorrow|) / (rain|snow|sun|sunshine|storm) (today|tomorrow|outside|) / how (hot|cold|warm) is it
        (today|outside|out|now|there|right now|) / temperature outside / outside temperature / (weather|) forecast
        (please|for tomorrow|for today|) / is there (rain|snow|a storm|fog|sun|wind) (coming|today|outside|tomorrow|) /
        what does the sky look like (today|) / is the sun (shining|out) (today|) / (good|bad|
        nice|awful|terrible|lovely) weather (today|, right|outside|) / it (rains|is raining|is snowing|is so hot|is
        cold) (here|today|outside)
    """,
    "joke": """
        joke / jokes / joke pls / tell joke / tell us a joke / got a joke / got any jokes / any jokes / know
        (any|a|some) (good |funny |)(jokes|joke) / (say| tell me|write|give me) something (funny|amusing|hilarious) /
        make me (laugh|smile|giggle|happy) (please|) / a (good |funny |short |bad |silly |)joke (please|for me|about a
        file|) / can you (joke|tell jokes|be funny|make a joke|make me laugh|tell me something funny) / do you know
        (a|any|some) (good | funny |)(joke|jokes|puns) / I (want|need|would like|wanna hear|want to hear) a (good |funny
        |)(joke|laugh) / (let's|let me) (hear|have) a (good |) joke / another joke / one more joke / tell me (one|a
        funny thing|your favourite joke|a pun|another one of your jokes) / do you have (a sense of humour|humour|
        jokes|a joke) / are you funny / humour me / be funny / (surprise|amuse|entertain) me (with a joke|) / a pun /
        dad joke
    """,
    "story": """
        story / stories / story pls / tell story / a story / tell us a story / got a story / any stories / know
        (any|a|some) (good |nice |)(stories|story) / (say| tell me|write|give me) (a|some) (story|tale|bedtime
        story|fairy tale) (please|now|for kids|) / a (good |nice |short |little |bedtime |silly |)(story|tale)
        (please|for me|for my kids|) / can you (tell stories|tell a story|write a story|tell me something like a story)
        / do you know (a|any|some) (good |nice |) (story|stories|tales|fairy tales) / I (want|need|would like|wanna
        hear|want to hear) a (good |nice |short |)(story|tale|fairy tale) / (let's|let me) (hear| have) a (good |) story
        / another story / one more story / tell me (a tale|a short tale|your favourite story|another of your stories|a
        story about a (key| cat|king|girl)) / do you have (stories|a story|a tale) / story time / read me something /
        bedtime / my (kid|child|daughter|son) wants a story / tell me about a cat and a key / make up a story
    """,
    "sorry": """
        sry / soz / sorry (mate|demo|bot|man|, my bad|, typo|, wrong key|, I was wrong|for the typo|for that|for the
        noise|to bother you|for bothering you|to disturb you|about this|I meant something else) / (I'm|I am) (so |very
        |really |terribly |)sorry (for that|about that|, my fault|, my mistake|) / (my|it was my|that was my)
        (bad|fault|mistake|error) / (oops|ups|whoops|ouch|oh no), (sorry|my bad|wrong one|typo|my mistake|) /
        (excuse|pardon|forgive) (me|me please|my mistake|my english|my spelling|the typo) / (I|we) apologize (for
        that|for my mistake|) / apologies (for that|) / (I|that) (made|was) a (mistake|typo) / (a |)typo / that was
        (wrong of me|not nice of me|a mistake|my error|not meant for you) / I (typed|said|wrote) (something
        wrong|nonsense|that by mistake|the wrong thing) / please (forgive|excuse|pardon) me / ignore (that|my last
        message) / didn't mean (that|it) / wrong (window|terminal|button) / I take it back
    """,
    "praise": """
        good bot / gj / nice one / well done (bot|demo|mate|you|my friend|) /
        (good|great|nice|excellent|fantastic|amazing|super|perfect) (job|work|answer|stuff|reply|
        response|one|model|bot|thing|effort) (demo|bot|there|mate|) / (that's|thats|that is|that was) (so |very |really
        |pretty |)(cool|great|good|nice|amazing|awesome|
        correct|right|perfect|impressive|clever|funny|neat|excellent|brilliant) / (you are|you're|u r|youre) (so |very
        |really |pretty |the |)(cool|great|good|nice|
        amazing|awesome|best|funny|sweet|cute|kind|right|correct|brilliant|wonderful|helpful) / I (really
        |)(like|love|enjoy|admire) (you|this|it|that|your answer|talking to you|your joke|your style) /
        (haha|lol|hahaha|ha ha|lmao)(, good one|, funny|, nice|) /
        (wow|cool|nice|great|awesome|amazing|impressive|excellent|perfect|bravo|
        brilliant|superb|sweet|neat|yay|congrats|correct|right|exactly)(!|!!|, demo|, bot|) / (yes|yep|yeah),
        (correct|that's right|exactly|right|that is it|well done) / you (did|got|do) (it|that|this)
        (right|well|great|correctly) / (correct|right) (answer|again|!) / (I am|I'm) (so |very |)impressed / keep up the
        good work / you made my day / best bot ever / that's (right|it|correct) / (such|what) a
        (great|good|nice|clever|perfect|fine|lovely|smart) (answer|reply|one|bot|model|job|joke|story) / you (are|were)
        (really |very |so |quite |pretty |)(nice|good|great|kind|funny|helpful|cute|sweet|clever with words) /
        (great|good|nice|perfect|lovely|cool) (answer|reply|one|bot|job|work)(, demo|, bot|, really|!|) / (that|this|it)
        was (really |very |so |quite |)(good|great|nice| clever|perfect|well done|lovely) / I (am|was) (really |very
        |)impressed / I like (how you answer|that answer|it|this a lot|you very much) / you (answer|do|did) (well|very
        well|it well|good) / (nice|good|great) to (hear that from you|chat with you)
    """,
    "blame": """
        bad bot / (wrong|false|incorrect|nope|bad) (again|answer|!|, bot|, try again|) / (that's|thats|that is|this
        is|it's|it is) (wrong|false|incorrect|not right|not correct|not true|not what I (asked|meant|wanted)|a
        mistake|nonsense|bad|terrible|stupid|silly|rubbish|no help|useless) / (you are|you're|u r|youre) (wrong|stupid|
        dumb|useless|bad|terrible|slow|so stupid|an idiot|a bad bot|not helpful|no help|boring|mistaken|lying|an awful
        model|annoying|so dumb|broken) / (no|nope|nah|hm|but), (that's|that is|you are|this is|it's) (wrong|not
        right|false|not correct|incorrect|not true|mistaken|bad) / I (hate|don't like|dislike|can't stand)
        (you|this|it|this bot|your answers|that answer) / (what a|such a|a)
        (bad|stupid|dumb|useless|terrible|silly|poor) (answer|bot|model|reply|program|joke|thing) / you (got|have|had)
        (it|that| this) (all |completely |) wrong / you (made|make) (a mistake|an error|mistakes|no sense|errors) /
        (that|this|it) (makes|made) no sense / (are you|r u) (stupid|dumb| kidding me|serious|broken|crazy|drunk) / you
        (don't|dont|do not) (get|understand|know|listen|help) (it|me|anything|at all|) / (I am|I'm) (disappointed|angry
        with you| not satisfied|not impressed|unhappy with you|annoyed) / (this|that) (was|is) not
        (helpful|good|right|correct|what I asked|true|the answer) / you (suck|failed|fail|lie|lied to me|are no good) /
        fail / epic fail / boo / bullshit / go away / shut up / stupid (bot|machine|thing|program|model) / worst
        (bot|answer|model) ever / (I think|I believe|I guess|sorry but|well,) (you are|you're|that is|that's|this
        is|your answer is) (wrong|false|incorrect|mistaken|not right) / you (were|are) (wrong|mistaken) (there|about
        that|again|) / (this|that) (can't|cannot) be (right|true) / (wrong|bad|false) (result|number|word|again) / that
        does not (look|seem|sound) right / (terrible|horrible|awful|poor) (answer|reply|bot|job) / you
        (answered|understood|read) (wrong|me wrong|it wrong) / (why are you|you are) so (bad|wrong|dumb|slow|useless) /
        you misunderstood (me|) / not what I (asked|wanted|meant|said)
    """,
    "ok": """
        k / kk / ok (cool|great|then|got it|good|fine|nice|sure|now|thx no|understood|so) / okay (cool|great|then|got
        it|good|fine|nice|sure|understood) / okey / alright (then|ok|cool| got it|) / (ah|oh|aha|mhm|hm|hmm), (ok|okay|I
        see|right|I get it|I understand|interesting) / I (see|get it|got it|understand|understood|agree) (now|, ok|,
        good|, then|) / (got| gotcha|get) (it|you|that|) /
        (yes|yeah|yep|yup|no|nope|nah|sure|maybe|perhaps|right|fine|exactly so|true enough) / (yes|no|ok|sure|fine), (go
        on|let's go on|next|continue|let's continue|thanks no) / (let's|let us) (go on|continue|move
        on|proceed|start|go|begin|see|try) (then|now|) / (go|carry|move) on / (sounds|looks|all) (good|fine|great|ok) /
        (that's|that is) (fine|ok|okay|all right|clear|fair|good enough) (with me|for me|then|) / (makes|that makes)
        sense (now|) / fair enough / (good|interesting|nice) to know / (so|well|anyway|
        whatever|hmm|hm|um|uh|er|oh|ah|aha|mm) / no (problem|worries|idea|thanks|need|matter) / (never
        mind|nevermind|nvm|forget it) / I (don't|do not) (know|care|mind) / (I'm|I am) (ready| listening|done
        thinking|waiting|with you) / done / ready / next (please|one|question|) / (very|) well / deal / noted / indeed /
        not really / of course / as you (like|wish|say) / if you say so / let me (think|see|check) / one moment / hold
        on / just a (moment|second|minute)
    """,
    "test": """
        test (123|1 2 3|message|one|two|again|ok|me|me not|) / testing (123|1 2 3|one two
        three|you|this|stuff|again|...|) / (just|only|this is|that is) (a|) (test|testing|test message|quick test|little
        test) (here|please|) / (are|r) (you|u) (there|here|awake|working|alive or dead|on|online|up|still
        there|listening|ready|responding) (demo|bot|now|) / (you|u) (there|awake|up| still
        there|here|online|ready|listening) / (is|) (anybody|anyone|someone|somebody) (there|here|home|listening|out
        there|alive|in) / can you (hear|read|see|get|understand) (me|this| that|my text|what I type) (now|ok|) / do you
        (read|hear|see|copy|get|receive) (me|this|that|my messages) (now|ok|) / does (this|it|that|the
        thing|everything|tokfs|the mount) work (now|ok| yet|) / is (this|it|this thing|that|everything|the bot)
        (working|on|ok|up|running|responding) (now|yet|) / (ping|pong|echo|beep|boop|check|mic check|sound check|hello
        hello, test) / (hello|hi| hey|ok), (is anybody there|are you there|testing|can you hear me|you there|do you
        work|does this work) / say something / (answer|respond|reply|react) (to me|please|now|) / foo (bar|) / trying
        (this|it) out / (let me|just) (try|test|see if this works|check this) / I (want to|just) (test|try|see)
        (this|you|it|if it works) / first (try|test|message) / smoke test
    """,
    "language": """
        (what|which) languages (do|can) you (speak|know|understand|do|talk) / (do|can) (you|u)
        (speak|talk|understand|read|write|do|know) (english|german|french|spanish|italian|chinese|
        japanese|russian|dutch|polish|turkish|arabic|hindi|korean|portuguese|swedish|greek|latin|other languages|my
        language|any other language|another language|foreign languages|more than one language) /
        (speak|talk|answer|reply|write) (to me |)(in
        |)(german|french|spanish|italian|chinese|japanese|russian|dutch|english) (please|) /
        (deutsch|german|français|french|español|spanish| italiano|chinese|russian), please / are you
        (bilingual|multilingual|english|german|able to speak german) / is english (your|the) (only|first|native|)
        language / how many languages (do you| can you) (speak|know|understand) / (can|could|may) (I|we)
        (write|talk|speak|chat|ask) (in|) (german|french|spanish|chinese|another language|my language|russian) /
        (your|supported) languages / languages / what is your (native|first|mother|) (language|tongue) / how good is
        your english / do you only (understand|speak|know) english / only english / language / do you understand (other
        languages|german|more than english)
    """,
    "sky": """
        why is the sky blue / why's the sky blue / why sky blue / why is sky blue / sky blue why / how come the sky is
        blue / what makes the sky blue / why (does|do) the sky (look|appear|seem) (so |)blue / why is the sky (not
        green|that colour|so blue|blue during the day) / explain (to me |)why the sky is blue / (what|do you know what)
        makes the sky (look |)blue / (can|could) you (explain|tell me|say) why the sky is blue / my
        (kid|son|daughter|child) asks why the sky is blue / reason for (the|) blue sky / the blue of the sky, (why|where
        does it come from) / why do we see a blue sky / I wonder why the sky is blue / physics of the blue sky
    """,
    "more": """
        more (info|detail|details|please|about it|on that|of that|information|) / (tell|give|show) me (more|a bit
        more|some more|more details|more about it|more about that|the details) (please| about this|) / (go|please go)
        (on|into detail|deeper) about (that|it|this) / can you (elaborate|explain more|say more|go on about it|explain
        that further|expand on that|be more specific|give more details) / (and|so|but|ok,) why / why (is that|is it
        so|not|so|do you say that|exactly|though) / how (so|come|is that|exactly|do you know that|do you know) / what
        (do|did) you mean (by that|with that|exactly|) / (what|how) do you mean / I (don't|do not|didn't)
        (get|understand) (that|it|this|what you mean|your answer|the answer) / (huh|what|eh|pardon what|come again|say
        again|excuse me what|sorry what) / (are you|you) (sure|certain|serious about that) (about that|) / (is
        that|really) (true|right|so) / (says|said) who / (explain|prove) (that|it|this| yourself|your answer)
        (please|again|) / (anything|something|what) else (about it|to say|on that|) / continue with (that|the
        explanation) / keep talking / (in|with) more (detail|details|words) / be more (detailed|precise|specific) /
        longer (answer|) please / what exactly / please elaborate / that is too short / what (more|else) (can|do|could)
        you (say|tell) (about it|about that|me about it|) / (and|but) why (is|was) (that|it|this) / (say|tell) (me |)(a
        bit|a little|some|something) more / (any|some) more (on that|about that|to say|) / go on, tell me more / there
        must be more / (can|could) you (be more precise|add something|go deeper|explain why|tell me why) / (why|how) do
        you (know| think|say) (that|so) / that is not enough, tell me more / explain why
    """,
    "private": """
        is (this|it|my data|my text|our chat|our conversation|what I type|what I say|this chat|my input|everything)
        (private|safe|secret|secure|stored|saved|logged|recorded|shared|public|sent anywhere|confidential|visible to
        others) (here|with you|) / (do|does) (you|it|tokfs|this|the model)
        (save|store|log|record|share|send|sell|spy|upload|keep|collect|leak) (my data|my messages|what I write|what I
        type|data|this|our chat|on me|my text|my secrets) (anywhere|to someone|to others|) / (who|can anybody|can
        others|can anyone|can somebody|can someone else|who else) (read|reads|sees|see| can read|can see) (this|that|my
        messages|my text|my chat|what I write|what I type|our conversation|it) / (privacy|data privacy|data
        protection|security) (please|policy|here|) / where does my (data|text|input|chat) go / what (happens|do you do)
        (to|with) my (data|text|messages|input|words|questions) / (can|may|should) I (tell you|share|type|write|enter)
        (a secret|secrets|my password| passwords|private things|personal data|something private) (here|) / can you keep
        a secret / does (my data|anything|this|my text) leave (my|this|the) (computer|machine|laptop|house) / (are
        you|is tokfs|is this) (spying on me|listening in|recording me|gdpr compliant|a spy|private) / is my
        (secret|password|data) safe (with you|here) / are (others|people|my colleagues) able to read this / do you tell
        (anybody|anyone|others) / will you tell (anybody|anyone|my boss)
    """,
}

HOWTO = {name: phrases(text) for name, text in HOWTO_TEXTS.items()}
TALK = {name: phrases(text) for name, text in TALK_TEXTS.items()}
