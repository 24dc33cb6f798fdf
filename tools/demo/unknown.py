"""What the model does not know: how it is asked all the same, and about what."""

from __future__ import annotations

from phrase import phrases

# Questions that have no answer here. {x} is one of TOPICS; a pattern without it is asked as it stands.
UNKNOWN_TRAIN: list[str] = phrases("""
    why is {x} so (big|small|important|famous|loud|hard|popular|strange) / who (invented|discovered|built|wrote|made)
    {x} / what is the (meaning|history|price|origin|purpose|weight|speed|best part) of {x} / explain {x} (to me|) / how
    does {x} work / tell me (about|more about|something about|everything about) {x} / write (a poem|an essay|a song|a
    letter|a report|an email|a haiku) about {x} / what do you (think|know) (of|about) {x} / (do you like|have you
    seen|do you believe in|do you know) {x} / where can I (buy|find|see) {x} / summarize {x} / what is {x} / who is {x}
    / define {x} / how much does {x} (cost|weigh) / how (far away|old|tall|deep|fast) is {x} / when (did|was) {x}
    (begin|start|invented|built) / give me (advice|facts|a recipe|five facts) about {x} / translate {x} (into|to)
    (French|German|Spanish|Latin) / what (comes|happened) after {x} / is {x} (good|bad|dangerous|healthy|real|true) /
    should I (learn|study|buy|try) {x} / how do I (make|cook|build|fix|learn|play) {x} / compare {x} and {y} / what is
    the difference between {x} and {y} / which is better, {x} or {y} / how many people like {x} / why do people
    (like|hate|fear|need) {x} / what causes {x} / I want to know (about|more about) {x} / let us talk about {x} / what
    is the (largest|smallest|best|oldest|fastest) {x} / can you (explain|describe|draw|teach me) {x} / what does {x}
    mean / show me a picture of {x} / why is (the sea|blood|grass|snow) (blue|red|green|white|salty|cold) / write
    (code|a program|some code|a function|a script|python|C code) / write a (python|C|javascript|rust|shell)
    (program|function|script) (that sorts a list|to read a file|for me|that adds numbers) / fix my (code|bug|program) /
    def main(): / int main(void) {{ return 0; }} / SELECT * FROM users / #include <stdio.h> / sudo rm -rf /home / git
    push / while true; do echo x; done / who is the (president|king|queen|prime minister) of (France|Germany|the United
    States|Spain|Japan|England) / who won the (world cup|election|game|match|war) / what is the population of
    (France|Germany|China|India|London|Paris) / how do (planes|birds|boats|magnets|computers|phones|engines)
    (fly|swim|work|float) / what is the speed of (light|sound) / how far is (the moon|the sun|Mars|Paris) / what should
    I (eat|do|wear|read|watch|cook|buy) (today|tonight|tomorrow|) / what is the meaning of life / is there life on
    (Mars|other planets) / will I be (rich|happy|famous) / solve this equation / what is the square root of {n} / what
    is {n} percent of {m} / is {n} a prime number / what is pi / integrate x squared / solve x + {n} = {m} / how many
    (people|stars|dogs|countries|languages|bones) are there (in the world|) / what is the tallest
    (mountain|building|tree) / what is the longest river / what is the biggest (animal|city|ocean|planet) / who painted
    the Mona Lisa / who wrote (Hamlet|Faust|the Bible|Don Quixote) / when did the war (end|begin) / how do I (get
    rich|lose weight|sleep better|find a job|cook rice|bake a cake|fix a bike|tie a tie|learn Chinese) / can you
    (drive|cook|sing|dance|play chess|draw|paint|play) / what is your (favourite food|favourite song|favourite
    film|opinion|dream|job|plan|favourite animal) / do you (like|love|want|have)
    (music|cats|dogs|me|pizza|football|money|chess) / wie geht es dir / wie heißt du / was ist das / guten Tag / was
    kannst du / ich heiße Anna / erzähl mir etwas / wo bist du / bonjour / comment ça va / comment t'appelles-tu /
    qu'est-ce que c'est / je ne sais pas / merci beaucoup / hola / cómo estás / qué es esto / cómo te llamas / buenos
    días / ciao, come stai / come ti chiami / olá / obrigado / 你好 / 你是谁 / 你叫什么名字 / こんにちは / привет / как дела / مرحبا /
    नमस्ते / asdf / qwerty / xyz / blah blah / lorem ipsum dolor sit amet / ??? / !!! / ... / 42 / {n} / hjkl / foo bar
    baz / abc def / 0 / :) / :( / the {x} / {x} / {x} and {y} / I like {x} / I have {x} / my dog likes {x} / I bought
    {x} yesterday / play {x} / buy {x} / find {x} / open {x} / look at {x} / what is in {x} / who likes {x} / who likes
    {x} most / how long is {x} / what rhymes with {w} / what is the opposite of {w} / use {w} in a sentence / what is
    the plural of {w} / is {w} a (noun|verb) / give me a synonym for {w} / recommend (a book|a film|a restaurant|music)
    / book (a flight|a table|a hotel) / set (an alarm|a timer) for {n} minutes / send an email to my
    (boss|mother|friend) / call my (mother|friend|boss) / turn on the (light|radio|lamp) / order (a pizza|food) / what
    is the news / what happened (today|yesterday) / what is the stock price / how is the (market|economy) / convert {n}
    (miles|inches|feet|dollars|euros) to (km|cm|metres|euros|yen) / how do
    (planes|birds|boats|magnets|balloons|rockets|bees|bats|drones|kites) (fly|swim|work|float|move) / (what|how) will
    {x} (be|look|change) (tomorrow|next year|in ten years|) / why do (we|they|you|all) (like|use|study|have|want) {x} /
    why did {x} (end|begin|start|fail) / how did {x} (end|start|change) / who was the (last|best) (to|of|in) {x} / who
    was (the first|first) in {x} / où (es-tu|habites-tu|est Paris) / quelle heure est-il / qui es-tu / je suis fatigué /
    was (machst|willst|denkst) du / wo ist der Bahnhof / wie spät ist es / dónde (vives|está Madrid) / qué (hora
    es|haces) / (how|why) (do|does|did|can|could)
    (people|cats|dogs|children|scientists|birds|plants|fish|stars|computers)
    (sleep|dance|live|grow|move|talk|die|eat|see|sing|fight) (so long|at night|together|under water|in winter|) /
    (who|which person|which man|which woman)
    (invented|discovered|founded|wrote|painted|composed|directed|killed|sang|designed) {x} / (what|which) (is|was) the
    (biggest|tallest|longest|best|fastest|richest|oldest|most famous|deadliest|cheapest)
    (country|city|river|car|film|song|book|animal|company|phone|mountain|team) (ever|in the world|on earth|in Europe|) /
    (when|where|why) (did|was|is) {x} (happen|end|begin|born|founded|invented|built|found|) / (can|could) you (help me
    with|do|write|check|correct|finish|make) my (homework|essay|taxes|code|email|job application|exam|website|bike) /
    (write|draft|compose|create) (me |)(an email|a letter|a poem|a song|a speech|an essay|a report|a tweet|a cover
    letter|a script|a haiku|a plan|a novel|a function|a program|a regex|a query) (to|for|about|in|with) (my boss|my
    mother|{x}|the bank|a friend|python|bash|javascript|SQL) / (explain|describe|define|teach me|tell me about)
    (recursion|pointers|sockets|inflation|entropy|osmosis|relativity|blockchain|docker|git|regular
    expressions|HTTP|monads|threads|DNS|{x}) (simply|in simple words|like I am five|briefly|to a child|) / (what|who)
    (is|are|was|were) (a|an|the|)
    (recursion|pointer|socket|inflation|entropy|atoms|relativity|blockchain|docker|neutron|verb|senator|Beatles|Romans|Vikings|pope|{x})
    / (translate|say|write) "(good luck|I love you|thank you|the house|where is the station|{w})" (in|to|into)
    (German|French|Spanish|Italian|Latin|Chinese) / how do (you|I) say (hello|thank you|goodbye|{w}) in
    (German|French|Spanish|Japanese) / (should|can|may|must) I (eat|buy|sell|marry|quit my job|learn|drink|invest
    in|move to|believe in) {x} / (who|what) (won|lost|scored in) (the|) (election|world cup|final|race|battle|super
    bowl|match) (in {n}|yesterday|last year|) / what happened (in|on) (1789|1914|1945|1969|2001|2020|history|Monday) /
    (how|where) (can|do) I (get|find|meet|buy|learn|fix|repair|cook|bake|grow|clean) {x} / (give|show|send) me (a
    recipe|directions|instructions|tips|advice|a picture|a list|a table|a link|examples) (for|of|about|to) {x} /
    (which|what) is (healthier|faster|cheaper|better|stronger|older), {x} or {y} / (what|who) is (your|the)
    (favourite|best) (singer|actor|team|book|band|film) / (how many|how much)
    (people|water|money|calories|legs|teeth|planets|countries|inhabitants|animals) (are there|is there|live|are|has)
    (in|on|) {x} / (what|how) is {n} (squared|cubed|factorial|in binary|in hex|as a fraction|in roman numerals) / (what
    is|compute|find) the (square root|cube root|logarithm|sine|factorial|average|median) of {n} / solve (for x: |)(x +
    {n} = {m}|2x = {n}|{n}x + {m} = 0) / (is it|would it be) (legal|safe|good|true|possible) to
    (eat|buy|own|drive|touch) {x} / (prove|show) that {x} (exists|is real|is true) / (tell me|what is|guess) (a
    secret|my future|my horoscope|the lottery numbers|tomorrow's news|my age|my IQ|my password) /
    (play|sing|draw|paint|order|download|install|run|delete|build|open) (a song|a pizza|a picture|music|python|the
    file|the window|the door|{x}) (for me|) / my (computer|phone|car|printer|wifi|dog|screen) (does not work|is
    broken|is slow|is too loud|crashed) / I (think|believe|hope|heard|dreamed) (that |)(it is|we are|he is|they are|you
    are) (going|late|here|there|at home) / (he|she|it|they|we) (is|are|was|were) (here|late|at home|in the garden|very
    tall)
""")
UNKNOWN_HELD: list[str] = phrases("""
    why is the ocean blue / who was the first to see {x} / can you write an article about {x} / what is known about {x}
    / I have a question about {x} / how did {x} begin / please write some python for me / write me a C program / who is
    the president of Italy / how do helicopters fly / what is the square of pi / what is the deepest lake / who painted
    the ceiling / was machst du heute / où est la gare / dónde estás / how heavy is {x} / is it true that {x} is
    dangerous / teach me all about {x} / what do doctors say about {x} / what will happen to {x} in the future / why do
    we need {x}
""")
TOPICS: list[str] = phrases("""
    gravity / quantum physics / the moon landing / football / the Roman empire / democracy / cancer / love / the
    internet / electricity / chess / coffee / jazz / a black hole / black holes / evolution / the economy / bitcoin /
    money / dinosaurs / the pyramids / Napoleon / Einstein / Shakespeare / Mozart / Cleopatra / the Eiffel tower / the
    brain / the heart / a volcano / earthquakes / rainbows / thunder / climate change / nuclear power / the stock market
    / cars / trains / bread / pizza / sushi / cheese / wine / beer / vitamins / sleep / dreams / memory / time travel /
    robots / artificial intelligence / machine learning / neural networks / a transformer / attention / Linux / Windows
    / Python / C++ / Rust / JavaScript / the kernel / databases / compilers / encryption / the cloud / a CPU / a GPU /
    5G / phones / television / radio / the telephone / the wheel / paper / printing / painting / poetry / music / opera
    / dance / theatre / cinema / Star Wars / Harry Potter / the Bible / religion / philosophy / Plato / Kant / happiness
    / war / peace / politics / taxes / law / school / university / mathematics / algebra / geometry / calculus /
    chemistry / biology / DNA / bacteria / viruses / vaccines / medicine / yoga / running / swimming / tennis /
    basketball / cricket / the Olympics / Mount Everest / the Amazon / the Nile / Antarctica / Mars / Jupiter / Saturn /
    the Milky Way / a comet / dogs / cats / elephants / whales / bees / ants / sharks / roses / trees / mushrooms /
    potatoes / rice / chocolate / sugar / salt / gold / diamonds / oil / water / air / fire / ice / a cake / a house / a
    garden / a bicycle / a boat / a plane / a rocket / a camera / a clock / a guitar
""")
TOPICS_HELD: list[str] = phrases("""
    photosynthesis / the French revolution / tea / penguins / violins / Newton / magnetism / a submarine
""")
