"""Tasks with numbers: sums, sums that are too hard, comparing, counting."""

from __future__ import annotations

import random

import talk
from phrase import dress, expand, phrases, slipped
from turn import Turn, ask
from words import (
    NUMBER_WORDS,
)

SIGNS = {
    "+": ["+", "+", "plus", "and"],
    "-": ["-", "-", "minus"],
    "*": ["*", "x", "times"],
    "/": ["/", "divided by"],
}
SUM_TRAIN = phrases("""
    {a} {s} {b} / {a}{c}{b} / {a} {s} {b} = / what is {a} {s} {b} / what's {a} {s} {b} / (can you |could you
    |)(compute|calculate|work out|evaluate) {a} {s} {b} / how much is {a} {s} {b} / what does {a} {s} {b}
    (make|give|equal) / tell me (what|how much) {a} {s} {b} is / what is {a}{c}{b} / {a} {s} {b} is what / (give|tell)
    me {a} {s} {b} / do you know {a} {s} {b} / what do you get for {a} {s} {b} / solve {a} {s} {b} / the
    (sum|result|value) of {a} {s} {b} / (compute|calculate|solve): {a} {s} {b} / what is the (result|value|answer) of
    {a} {s} {b} / I need {a} {s} {b} / do the (sum|maths): {a} {s} {b} / {a} {s} {b}, what is it / how many (do|does)
    {a} {s} {b} (make|give) / how many are {a} {s} {b} / please (compute|solve|work out) {a} {s} {b} / (let me|please|)
    know {a} {s} {b} / what is your answer to {a} {s} {b} / I would like {a} {s} {b} / {a} {s} {b}
    (equals|makes|gives|is) (what|how much|) / {a}{c}{b}= / {a} {s} {b} equals / what (do|would) (you|I|we) get
    (from|with|if I do|when I compute) {a} {s} {b} / (what|how much) (does|would|will|might|should) {a} {s} {b}
    (be|equal|make|come to|give|result in|add up to|yield) / (please|quickly|now|just|)
    (compute|calculate|solve|evaluate|work out|figure out|do|find|answer) {a}{c}{b} (for me|) / (figure out|find|find
    out|work out|determine) (what |)({a} {s} {b}|{a} {s} {b} for me) / (do|solve) (the|this|my)
    (math|maths|calculation|problem|exercise|homework|sum): {a} {s} {b} /
    (math|maths|sum|calculation|problem|exercise|task): {a} {s} {b} / (can|could|would) you (solve|do|find|tell
    me|figure out|answer|say) {a} {s} {b} / {a} {s} {b} please / the (answer|solution|outcome) (to|of) {a} {s} {b} / how
    (much|many) (is|are|makes|make) {a}{c}{b} / if I (have|take|do) {a} {s} {b}, (what|how much) (is it|do I have|do I
    get) / I (have|want|need) (to know |to compute |to calculate |the answer to |){a} {s} {b} / (is|what about|and|how
    about|now|then) {a} {s} {b} / {a} {s} {b}, (how much is that|what is that|please|quick) / my (question|sum) is {a}
    {s} {b} / {a} {s} {b} ? / {a} {s} {b} =? / {a}{c}{b}? / whats {a} {s} {b} / {a} {s} {b} is / {a} {s} {b} makes /
    (hey|ok|so|quick|math|maths), {a} {s} {b} / calc {a} {s} {b} / calc {a}{c}{b} / (tell me|say|give me|what's)
    {a}{c}{b} / result of {a} {s} {b} / (total|result|answer|solution) {a} {s} {b} / how much would {a} {s} {b}
    (be|make|come to) / what (number|value) is {a} {s} {b} / (do|can|could) you (do|calculate|compute|work out|know) {a}
    {s} {b} (for me|in your head|) / {a} {s} {b} equals what / what does {a} {s} {b} equal / what will {a} {s} {b}
    (be|give|make) / I (can't|cannot) (work out|compute|do|solve) {a} {s} {b} / (my|the) (homework|teacher|kid)
    (is|asks|says)(:|) {a} {s} {b} / (how about|what about|and|try|then|next) {a} {s} {b} / evaluate: {a}{c}{b} / {a}
    {s} {b} (gives|yields|comes to) (what|) / how do I compute {a} {s} {b} / (simple |easy |quick
    |)(math|maths|sum|question): {a} {s} {b} / let's see, {a} {s} {b} / please, {a} {s} {b} / (help me with|I need help
    with) {a} {s} {b} / is it true that {a} {s} {b} is what
""")
SUM_HELD = phrases("""
    what would {a} {s} {b} be / can you tell me what {a} {s} {b} is / please find {a} {s} {b} / what is the answer to
    {a} {s} {b} / how many is {a} {s} {b} / I want to know {a} {s} {b} / let us compute {a} {s} {b}
""")
PLUS_TRAIN = phrases("""
    add {a} (and|to) {b} / what is the sum of {a} and {b} / (can you|could you|please) add {a} (and|to) {b} / the sum of
    {a} and {b} / add {a} (and|plus|with|together with) {b} / (the|find the|give me the|I need the|compute the|calculate
    the|what would be the) (sum|total) of {a} and {b} / {a} and {b} (together|added|in total|added up|combined) / what
    is {a} and {b} together / (what|how much) (is|do you get|do we get|comes out) (if|when) (you|I|we) add {a}
    (and|to|with) {b} / add up {a} and {b} / sum {a} and {b} / put {a} and {b} together / {a} added to {b} / what is {a}
    added to {b} / sum of {a} and {b} / sum up {a} and {b} / total of {a} and {b} / (please|now|just) add {a} (and|to)
    {b} / I have {a} (apples|coins|books|eggs) and get {b} more, how many is {a} + {b} / {a} increased by {b} / {b} more
    than {a} would be {a} plus / add {a} and {b} (together|up|please|) / (adding|summing) {a} and {b} / {a} and {b} is /
    {a} and {b} makes / (sum|total): {a} and {b} / what do {a} and {b} (make|sum to|add up to|total) (together|) / the
    total of {a} and {b} / how much (is|are|do) {a} and {b} (together|make|) / what's the sum of {a} and {b} / {a} with
    {b} added / put {b} on top of {a} / if you add {b} to {a}
""")
PLUS_HELD = ["what do I get when I add {a} and {b}", "tell me the sum of {a} and {b}"]
MINUS_TRAIN = phrases("""
    subtract {b} from {a} / take {b} (away|) from {a} / what is {a} less {b} / what is the difference of {a} and {b} /
    (can you|could you) subtract {b} from {a} / {a} (less|take away|reduced by|without|lowered by|decreased by) {b} /
    what is {a} (take away|reduced by|without|decreased by) {b} / (what|how much) (is left|remains|do I have left|stays)
    (of|from) {a} (minus|if you take away|if I take|after taking|less|when I take away) {b} / (please|now|just) subtract
    {b} from {a} / (what|how much) do (you|I|we) get (if|when) (you|I|we) (subtract|take) {b} from {a} / (the|find
    the|what is the|give me the|tell me the|compute the) difference (between|of) {a} and {b} / deduct {b} from {a} / {b}
    (subtracted|taken) from {a} / what is {b} (subtracted|taken away) from {a} / remove {b} from {a} / take {b} off {a}
    / difference between {a} and {b} / {a} minus {b} leaves / I have {a} and (lose|spend|give away|eat) {b}, how many is
    {a} - {b} / {a} take {b} / take {b} from {a} / (subtract|deduct|remove) {b} from {a} (please|for me|) / what's {a}
    (less|take away|without) {b} / {a} less {b} / how much is {a} (less|take away|without) {b} / what (remains|is left)
    if I (take|remove) {b} from {a} / (the|what's the) difference (between|of) {a} and {b} / if you take {b} from {a} /
    from {a} take {b} / {b} less than {a} / what is {b} less than {a} / {b} off {a}
""")
MINUS_HELD = ["what do I get when I subtract {b} from {a}", "what is left when I take {b} from {a}"]
TIMES_TRAIN = phrases("""
    multiply {a} (by|and|with) {b} / what is the product of {a} and {b} / (can you|could you) multiply {a} by {b} / {a}
    multiplied (by|with) {b} / what is {a} multiplied (by|with) {b} / (the|find the|give me the|compute the|calculate
    the) product of {a} and {b} / (please|now|just) multiply {a} (by|and|with) {b} / (what|how much) do (you|I|we) get
    (if|when) (you|I|we) multiply {a} (by|and|with) {b} / how much is {a} multiplied by {b} / multiply: {a} and {b} /
    product of {a} and {b} / how (much|many) is {a} times {b} / {a} groups of {b}, that is {a} times {b} / multiply {a}
    (times|by|with|and) {b} (please|for me|) / what's {a} multiplied by {b} / (what's|tell me) the product of {a} and
    {b} / the product {a} {b}, that is {a} times {b} / {a} multiplied by {b} (is|equals|makes|) / multiplying {a}
    (by|and|with) {b} / if you multiply {a} by {b} / how much is {a} multiplied (by|with) {b}
""")
TIMES_HELD = ["what do I get when I multiply {a} by {b}", "tell me the product of {a} and {b}"]


def solve(a: int, sign: str, b: int) -> int:
    return {"+": a + b, "-": a - b, "*": a * b, "/": a // b if b else 0}[sign]


def make_sum(rng: random.Random, held: bool) -> Turn:
    sign = rng.choices("+-*/", weights=[45, 30, 20, 5])[0]
    top = 99 if rng.random() < 0.75 else 12
    a, b = rng.randint(0, top), rng.randint(0, top)
    if sign == "-" and a < b and rng.random() < 0.6:
        a, b = b, a
    if sign in "*/":
        a, b = rng.randint(0, 10), rng.randint(1, 10)
    if sign == "/":
        a *= b
    patterns = SUM_HELD if held else SUM_TRAIN
    own = {"+": (PLUS_TRAIN, PLUS_HELD), "-": (MINUS_TRAIN, MINUS_HELD), "*": (TIMES_TRAIN, TIMES_HELD)}.get(sign)
    if own and rng.random() < 0.2:
        patterns = own[held]
    said = [str(a), str(b)]
    if not held and rng.random() < 0.10 and max(a, b) <= 20:
        both, one = rng.random() < 0.6, rng.randrange(2)
        said = [NUMBER_WORDS[n] if both or i == one else str(n) for i, n in enumerate((a, b))]
    spoken, tight = rng.choice(SIGNS[sign]), SIGNS[sign][0]
    if said[0].isalpha() or said[1].isalpha():
        tight = f" {spoken} "
    read = expand if held else slipped
    user = dress(rng, read(rng, rng.choice(patterns), a=said[0], b=said[1], s=spoken, c=tight))
    result = solve(a, sign, b)
    return Turn(user, f"{a} {sign} {b} = {result}.", str(result))


def make_hard_sum(rng: random.Random, held: bool) -> Turn:
    kind = rng.randrange(4)
    top = 10 ** rng.randint(3, 4 if held else 7)
    a, b = rng.randint(100, top - 1), rng.randint(1, top - 1 if rng.random() < 0.5 else 99)
    sign = rng.choice("+-*/")
    if kind == 1:
        a, b = b, a
    elif kind == 2:
        a, b, sign = rng.randint(11, 99), rng.randint(2, 99), "*"
        if rng.random() < 0.5:
            a, b = b, a
    elif kind == 3:
        a, b, sign = rng.randint(1, 99), rng.choice([0, 7, 8, 9, 11, 13]), "/"
        a += b > 0 and a % b == 0
    own = {"+": PLUS_TRAIN, "-": MINUS_TRAIN, "*": TIMES_TRAIN, "/": SUM_TRAIN}[sign]
    train = own if not held and rng.random() < 0.3 else SUM_TRAIN
    user = ask(rng, held, train, SUM_HELD, a=a, b=b, s=rng.choice(SIGNS[sign]), c=SIGNS[sign][0])
    return Turn(user, talk.TOO_HARD, talk.REFUSAL_WORD)


COMPARE_TRAIN = phrases("""
    which is (bigger|larger|greater|more), {a} or {b} / what is (bigger|larger|greater|more), {a} or {b} / {a} or {b},
    which is (bigger|larger|greater|more) / which number is (bigger|larger|greater): {a} or {b} / the
    (bigger|larger|greater) of {a} and {b} / tell me the (bigger|larger|greater) of {a} and {b} / is {a}
    (larger|greater|more) than {b} / (which|what) of {a} and {b} is (bigger|greater|more) / what is the (bigger|greater)
    number of {a} and {b} / (is|are) {a} or {b} (bigger|greater|larger|more) / (which|what|who) is the
    (bigger|larger|greater|higher) (one|number|): {a} or {b} / {a} or {b} / {a} (vs|versus|against|compared to|or) {b},
    (which|what) (one|number|) is (bigger|larger|greater|higher|more) / (which|what) is (higher|the bigger one|the
    larger one|the greater one|the maximum), {a} or {b} / (which|what|pick which) (number|one) is
    (higher|bigger|larger|greater|more), {a} or {b} / is {a} (bigger|higher|larger|more|greater|less|smaller) (than|or)
    {b} / (tell|show|give) me which is (more|bigger|higher|larger), {a} or {b} / (compare|compare the numbers) {a}
    (and|with|to) {b} / (the|find the|give me the|name the|choose the|pick the|take the)
    (max|maximum|bigger|higher|largest|biggest|highest|larger|greatest) (number|one|) (of|from|out of|between) {a} and
    {b} / max of {a} and {b} / (what is|what's) the (max|maximum|highest|biggest|largest) (of|out of|between) {a} and
    {b} / (bigger|larger|higher|greater): {a} or {b} / (pick|choose|select|name|find) the (bigger|higher|larger|greater)
    (number|one|): {a} or {b} / (what|which) is (more|bigger|larger|higher) {a} or {b} / between {a} and {b}, which is
    (bigger|larger|higher) / does {a} (exceed|beat) {b} / are {a} (apples|coins) more than {b} / (whats|what's|which's)
    (bigger|larger|more|greater|higher), {a} or {b} / {a} or {b} / (bigger|larger|more|greater|higher|max): {a}
    (or|,|and) {b} / {a} vs {b} / {a} or {b} (bigger|larger|more|what is more|which is more) / which (number |)is (the
    |)(bigger|larger|greater|higher)(, |: | ){a} or {b} / is {a} (bigger|more|larger| higher) or {b} / is {b}
    (bigger|more|less|smaller|larger|higher) than {a} / (which|what) is the (biggest|largest|highest|greatest|max) of
    {a} and {b} / which one wins, {a} or {b} / (compare|comparing) {a} (to|with|and|vs) {b} / (of|between|out of) {a}
    and {b}(,|) which is (bigger|larger|more|greater|the larger one) / (tell|show|give) me the
    (bigger|larger|higher|greater) (one|number|) (of|from|out of) {a} and {b} / max {a} {b} / is {a} > {b}
""")
COMPARE_HELD = phrases("""
    which of {a} and {b} is larger / what is the larger number of {a} and {b} / is {a} or {b} the bigger number
""")


def make_compare(rng: random.Random, held: bool) -> Turn:
    a, b = rng.sample(range(100), 2)
    return Turn(
        ask(rng, held, COMPARE_TRAIN, COMPARE_HELD, a=number(rng, a, held), b=number(rng, b, held)),
        f"{max(a, b)} is larger than {min(a, b)}.",
        str(max(a, b)),
    )


UP_TRAIN = phrases("""
    count (from {a} |){to} {b} / (can|could|would) you count (from {a} |){to} {b} / count up (from {a} |){to} {b} /
    count for me (from {a} |){to} {b} / I want you to count (from {a} |){to} {b} / say the numbers from {a} to {b} /
    list the numbers from {a} to {b} / the numbers from {a} to {b} / write the numbers {a} to {b} / numbers from {a} to
    {b} / start at {a} and count to {b} / what are the numbers from {a} to {b} / count {a} to {b} / tell me the numbers
    from {a} to {b} / (please|now|just|) count (for me|aloud|slowly|upwards|up|) (from {a} |){to} {b} / (give|show|tell)
    me (all |)(the |)numbers (between|from) {a} (and|to|up to) {b} / (list|write|print|say|name|show) (all |)(the
    |)numbers (between {a} and {b}|from {a} to {b}|{a} to {b}|{a} through {b}) / (numbers|all numbers) (between {a} and
    {b}|{a} to {b}|from {a} until {b}) / (begin|start) (at|with|from) {a} (and|then) count (up |){to} {b} /
    (begin|start) (at|with|from) {a} and (go|stop) (up to|at) {b} / (show me that|prove that) you can count (from {a}
    |){to} {b} / (I want to|let me) (see|hear) you count (from {a} |){to} {b} / (try to|try and) count (from {a} |){to}
    {b} / (go|run) from {a} to {b} / counting (from {a} |){to} {b} / {a} to {b} / (do|can) you count (from {a} |){to}
    {b} / which numbers are from {a} to {b} / count {to} {b} (please|for us|, please|quickly|now) / counting {to} {b} /
    can u count {to} {b} / {a} {to} {b} / (numbers|count) {a} - {b} / (numbers|count) {a} through {b} /
    (say|write|list|give me) {a} to {b} / (say|tell me|write down|list) (all |)the numbers (up |){to} {b} / (count|go)
    (on |up |)from {a} {to} {b} / (I|we) (want|need) (the |all |)numbers from {a} to {b} / (try|start) counting (from
    {a} |){to} {b} / count starting (at|from|with) {a} {to} {b} / (what are |)the (first |)numbers (up |)to {b} / count
    all the way {to} {b} / (which|what) numbers (are|come) between {a} and {b}, both included / from {a} {to} {b} / one
    by one {to} {b}
""")
UP_HELD = phrases("""
    let me hear you count from {a} to {b} / give me the numbers from {a} to {b} / do you know how to count from {a} to
    {b} / show me the numbers from {a} to {b}
""")
DOWN_TRAIN = phrases("""
    count down from {b}( to {a}|) / count backwards from {b}( to {a}|) / (can|could|would) you count (down|backwards)
    from {b}( to {a}|) / count from {b} down to {a} / count from {b} to {a} / count down (for me |)from {b} to {a} /
    start at {b} and count down to {a} / the numbers from {b} down to {a} / do a countdown from {b}( to {a}|) /
    countdown from {b} / say the numbers from {b} down to {a} / count (down|backwards|backward|in reverse) (from
    {b}|from {b} to {a}|starting at {b}|from {b} until {a}) / (please|now|just|) count (down|backwards) from {b}( to
    {a}|) / (a|give me a|make a|start a|I want a|begin a|run a) countdown (from|of|starting at) {b}( to {a}|) /
    countdown: {b}( to {a}|) / countdown from {b}( to {a}|) / (the |list the |list |)numbers (from {b} down to {a}|from
    {b} to {a} backwards|from {b} to {a}) / (list|say|give me|print|write) the numbers from {b} (down |back |)to {a} /
    (count|go) down to {a} from {b} / (begin|start) (at|with|from) {b} and (count|go) (down|backwards)( to {a}|) / {b}
    down to {a} / from {b} (down|back) to {a} / in reverse, count from {b} to {a} / (do|can) you count (down|backwards)
    from {b}( to {a}|) / count (down|back|backwards) {b} to {a} / {b} to {a} backwards / countdown {b}( to {a}|) /
    (count|go) (back|backwards|down) from {b}( to {a}|) (please|) / backwards from {b}( to {a}|) / (numbers|list the
    numbers) from {b} to {a}, (descending|backwards|going down) / can u count (down|backwards) from {b}( to {a}|) /
    (say|write|give me) the numbers backwards from {b}( to {a}|) / (rocket launch|launch|new year|lift off)(:|,) count
    down from {b} / reverse counting from {b}( to {a}|) / (descending|falling) from {b} to {a} / down from {b} to {a} /
    count in descending order from {b} to {a}
""")
DOWN_HELD = phrases("""
    let me hear you count down from {b} to {a} / give me a countdown from {b} to {a} / please count in reverse from {b}
    to {a}
""")
STEP_TRAIN = phrases("""
    count (to {b} by {k}|by {k} to {b}) / (can|could|would) you count (to {b} by {k}|by {k} to {b}) / count by {k} up to
    {b} / count in {k} to {b} / count up to {b} in {k} / count to {b} in steps of {j} / in steps of {j}, count to {b} /
    count in steps of {j} up to {b} / (please|now|just|) count (up |)(by|in) {k} (to|up to|until|till) {b} / (count|go)
    (up |)(to|until|up to) {b} (by|in) {k} / (count|go) (to|until|up to|till) {b} in steps of {j} / (skip count|count)
    by {k} (to|up to|until) {b} / (by|in) {k} (to|up to|until) {b} / steps of {j} (up |)to {b} / (list|give me|say|show
    me|write) (all |)the numbers (to|up to|until) {b} (by {k}|in {k}|in steps of {j}|with step {j}) / (by|in) {k}, count
    (up |)to {b} / counting (by|in) {k} (to|until) {b} / (say|list|give me) the {k} (up to|to|until) {b} / every {j}, up
    to {b}: count / {k} (up |)(to|until|till) {b} / count {k} to {b} / (even steps: |)count (by|in) {k} till {b} / count
    to {b}, (by|in) {k} / (go|counting) (by|in) {k} (up |)(to|until|till) {b} / (every|each) {j} (up |)to {b} / (please
    |)count {j} by {j} (up |)to {b} / step {j} (up |)to {b} / (add|adding) {j} each time, (count |)(up |)to {b} / (the
    |)multiples of {j} (up |)to {b} / count to {b} (with|using) (a |)(step|steps) of {j}
""")
STEP_HELD = phrases("""
    let me hear you count by {k} to {b} / please count up by {k} to {b} / show me how to count to {b} by {k}
""")
NEXT_TRAIN = phrases("""
    what (number |)comes (right |)after {a} / what number is after {a} / which number (comes after|follows) {a} / what
    is the number after {a} / what is the next number after {a} / the number after {a} / what follows {a} / tell me the
    number after {a} / give me the number after {a} / what is one more than {a} / what number follows {a} / (what|which)
    (number|one|) (is|comes|goes|would come) (next|next after|straight after|just after|directly after|immediately
    after|after) {a} / {a}, (what|which number) (is|comes) next / (the |)next number (after|following|from) {a} /
    (after|following) {a} (comes|is) (what|which number|) / (what|which) (number|) (follows|succeeds|comes behind) {a} /
    (name|say|give me|tell me|find) the (next number after|number following|number right after|number that
    follows|successor of) {a} / (the |)(successor|number following|number right after) of {a} / what is {a} and one more
    / one more than {a} / (number|one) after {a} / what do I say after {a} when counting / which number do you get after
    {a} / {a} then (what|which number) / after {a} / whats after {a} / what's (after|next after|the number after) {a} /
    (next|following) number(:|,| after| to) {a} / (what|which) (number |)(comes|is) next(:|,) {a} / {a} comes before
    (what|which number) / {a} and then / {a}, next / {a} + 1 number, what comes after {a} / counting on from {a}, what
    is next / who comes after {a} in counting / (say|name) the next (number|one) after {a}
""")
NEXT_HELD = phrases("""
    can you tell me which number comes after {a} / say the number that comes after {a} / which is the number after {a}
""")
PREV_TRAIN = phrases("""
    what (number |)comes (right |)before {a} / what number is before {a} / which number (comes before|precedes) {a} /
    what is the number before {a} / the number before {a} / what is one less than {a} / tell me the number before {a} /
    give me the number before {a} / which number is before {a} / what number precedes {a} / (what|which) (number|one|)
    (is|comes|goes|would come|stands) (just before|straight before|directly before|immediately before|before|right
    before) {a} / (the |)(previous number|number just before|number right before|predecessor|number preceding) (to |of
    |) {a} / before {a} (comes|is) (what|which number|) / (what|which) (number|) (precedes|comes ahead of) {a} /
    (name|say|give me|tell me|find) the (previous number to|number preceding|number right before|number that
    precedes|predecessor of) {a} / one less than {a} / what is one (below|fewer than|smaller than) {a} / (number|one)
    before {a} / what do I say before {a} when counting / before {a} / whats before {a} / what's (before|the number
    before|just before) {a} / (previous|preceding) number(:|,| before| to| of) {a} / {a} comes after (what|which number)
    / (what|which) (number |)(comes|is) (right |directly |)in front of {a} / (say|name) the number (just |right |)before
    {a} / (what|which) number is one (less than|below|under|before) {a} / counting backwards, what (is|comes) after {a},
    so before it / who comes before {a} in counting
""")
PREV_HELD = phrases("""
    can you tell me which number comes before {a} / say the number that comes before {a} / which is the number just
    before {a}
""")


def number(rng: random.Random, n: int, held: bool) -> str:
    """The number in digits; in training a small one now and then as a word."""
    return NUMBER_WORDS[n] if not held and n < len(NUMBER_WORDS) and rng.random() < 0.15 else str(n)


def make_count(rng: random.Random, held: bool) -> Turn:
    kind = rng.random()
    if kind < 0.35:
        a = 1 if rng.random() < 0.5 else rng.randint(0, 90)
        b = a + rng.randint(2, 14 if a == 1 else 9)
        pattern = expand(
            rng,
            rng.choice(UP_HELD if held else UP_TRAIN),
            a="{a}",
            b="{b}",
            to=rng.choice(["to", "up to", "until", "till"]) if not held else "to",
        )
        if "{a}" not in pattern:
            a, b = 1, rng.randint(3, 20)
        user = dress(rng, pattern.format(a=number(rng, a, held), b=number(rng, b, held)))
        return Turn(user, " ".join(map(str, range(a, b + 1))))
    if kind < 0.55:
        a = 1 if rng.random() < 0.6 else rng.randint(0, 90)
        b = a + rng.randint(2, 9)
        pattern = expand(rng, rng.choice(DOWN_HELD if held else DOWN_TRAIN), a="{a}", b="{b}")
        if "{a}" not in pattern:
            a, b = 1, rng.randint(3, 15)
        user = dress(rng, pattern.format(a=number(rng, a, held), b=number(rng, b, held)))
        return Turn(user, " ".join(map(str, range(b, a - 1, -1))))
    if kind < 0.7:
        k, name = rng.choice([(2, "twos"), (3, "threes"), (5, "fives"), (10, "tens")])
        b = k * rng.randint(3, 10)
        user = ask(
            rng,
            held,
            STEP_TRAIN,
            STEP_HELD,
            b=number(rng, b, held),
            k=rng.choice([name, f"{k}s"]),
            j=rng.choice([str(k), NUMBER_WORDS[k]]),
        )
        return Turn(user, " ".join(map(str, range(k, b + 1, k))))
    a, after = rng.randint(1, 99), rng.random() < 0.55
    train, other = (NEXT_TRAIN, NEXT_HELD) if after else (PREV_TRAIN, PREV_HELD)
    user = ask(rng, held, train, other, a=number(rng, a, held))
    b = a + 1 if after else a - 1
    return Turn(user, f"{b} comes {'after' if after else 'before'} {a}.", str(b))
