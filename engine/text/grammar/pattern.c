// A recursive-descent parser into a tree, then the tree into nodes, last part first.
//
// A class below a repetition with a bound becomes a rule, so that its many copies are one call each.
#include "engine/text/grammar/pattern.h"
#include "engine/base/arena.h"
#include "engine/base/utf8.h"
#include "engine/text/grammar/charset.h"
#include <errno.h>
#include <string.h>

#define DEPTH_MAX       100
#define REPEAT_MAX      10000
#define TREE_BYTES_MAX  ((size_t)16 << 20)
#define SHARED_COPY_MIN 8 // copies of a class from which it is a rule
#define UNBOUNDED       UINT32_MAX

enum kind { EMPTY, CLASS, SEQUENCE, CHOICE, REPEAT, BEGIN, END };

struct tree {
    enum kind kind;
    struct tree *a, *b; // SEQUENCE, CHOICE; REPEAT: a
    uint32_t min, max;  // REPEAT
    struct charset *set;
    uint32_t rule; // CLASS: of its characters of several bytes, once there is one
    bool has_rule;
};

struct parser {
    struct arena arena;
    struct str pattern;
    size_t at;
    unsigned flags, depth;
    struct err *err;
    int error;
};

static struct tree *fail(struct parser *p, int code, const char *what)
{
    if (p->error == 0) {
        p->error =
            err_set(p->err, code, "pattern \"%.*s\", at byte %zu: %s", STR_ARG(str_take(p->pattern, 100)), p->at, what);
    }
    return NULL;
}

static struct tree *make(struct parser *p, struct tree value)
{
    struct tree *tree = arena_alloc(&p->arena, sizeof(*tree));
    if (!tree) {
        return fail(p, -E2BIG, "it is too long");
    }
    *tree = value;
    return tree;
}

static bool takes(struct parser *p, struct str s)
{
    bool is_there = str_starts_with(str_skip(p->pattern, p->at), s);
    p->at += is_there ? s.len : 0;
    return is_there;
}

static bool is_at_end(const struct parser *p)
{
    return p->at >= p->pattern.len;
}

static uint32_t take_codepoint(struct parser *p)
{
    uint32_t codepoint = 0;
    p->at += utf8_decode(str_skip(p->pattern, p->at), &codepoint);
    return codepoint;
}

// ---- classes -------------------------------------------------------------------------------------------------------

static void add_range(struct parser *p, struct charset *set, uint32_t lo, uint32_t hi)
{
    if (charset_add(set, lo, hi) < 0) {
        fail(p, -E2BIG, "a class has too many parts");
    }
}

// \d and its like; false for another letter.
static bool add_named(struct parser *p, struct charset *set, char letter)
{
    struct charset named = { 0 };
    switch (letter | 0x20) {
    case 'd': add_range(p, &named, '0', '9'); break;
    case 'w':
        add_range(p, &named, '0', '9');
        add_range(p, &named, 'A', 'Z');
        add_range(p, &named, '_', '_');
        add_range(p, &named, 'a', 'z');
        break;
    case 's':
        add_range(p, &named, '\t', '\r');
        add_range(p, &named, ' ', ' ');
        break;
    default: return false;
    }
    if ((letter & 0x20) == 0) {
        charset_invert(&named);
    }
    for (size_t i = 0; i < named.n; i++) {
        add_range(p, set, named.ranges[i].lo, named.ranges[i].hi);
    }
    return true;
}

// n hexadecimal digits, or as many as there are before '}' for n == 0.
static uint32_t take_hex(struct parser *p, size_t n)
{
    uint32_t value = 0;
    for (size_t i = 0; n == 0 || i < n; i++) {
        if (n == 0 && i > 0 && takes(p, STR("}"))) {
            break;
        }
        char c = is_at_end(p) ? 0 : p->pattern.ptr[p->at];
        int digit = c >= '0' && c <= '9'                     ? c - '0'
                    : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                             : -1;
        if (digit < 0 || value > CODEPOINT_MAX) {
            fail(p, -EINVAL, "hexadecimal digits are missing or too many");
            return 0;
        }
        value = value << 4 | (uint32_t)digit;
        p->at++;
    }
    if (value > CODEPOINT_MAX || (value >= 0xd800 && value < 0xe000)) {
        fail(p, -EINVAL, "not a character");
    }
    return value;
}

// The character of an escape whose backslash was taken.
static uint32_t take_escape(struct parser *p)
{
    static const char from[] = "tnrfv0", to[] = "\t\n\r\f\v\0";
    if (is_at_end(p)) {
        fail(p, -EINVAL, "a backslash at the end");
        return 0;
    }
    char c = p->pattern.ptr[p->at];
    if (c == 'x' || c == 'u') {
        p->at++;
        return take_hex(p, c == 'u' && takes(p, STR("{")) ? 0 : c == 'x' ? 2 : 4);
    }
    const char *at = c != 0 ? strchr(from, c) : NULL;
    bool is_digit_after =
        p->at + 1 < p->pattern.len && p->pattern.ptr[p->at + 1] >= '0' && p->pattern.ptr[p->at + 1] <= '9';
    if (at && !(c == '0' && is_digit_after)) {
        p->at++;
        return (uint8_t)to[at - from];
    }
    if (c >= '0' && c <= '9') {
        fail(p, -EOPNOTSUPP, "references to groups (\\1, \\k) are not supported");
    } else if ((c | 0x20) == 'b' || c == 'A' || c == 'Z' || c == 'z' || c == 'G') {
        fail(p, -EOPNOTSUPP, "the assertions \\b, \\B, \\A, \\Z, \\z, \\G are not supported");
    } else if (c == 'k') {
        fail(p, -EOPNOTSUPP, "references to groups (\\1, \\k) are not supported");
    } else if ((c | 0x20) == 'p') {
        fail(p, -EOPNOTSUPP, "Unicode properties (\\p) are not supported");
    } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        fail(p, -EOPNOTSUPP, "this escape of a letter is not supported");
    }
    return take_codepoint(p);
}

// One member of a class, or a named set (then true, and it is added already).
static bool take_member(struct parser *p, struct charset *set, uint32_t *ret)
{
    if (!takes(p, STR("\\"))) {
        *ret = take_codepoint(p);
        return false;
    }
    if (takes(p, STR("b"))) {
        *ret = '\b';
        return false;
    }
    if (!is_at_end(p) && add_named(p, set, p->pattern.ptr[p->at])) {
        p->at++;
        return true;
    }
    *ret = take_escape(p);
    return false;
}

static void take_class_part(struct parser *p, struct charset *set)
{
    uint32_t lo = 0, hi = 0;
    bool is_set = take_member(p, set, &lo);
    struct str rest = str_skip(p->pattern, p->at);
    if (rest.len < 2 || rest.ptr[0] != '-' || rest.ptr[1] == ']') {
        if (!is_set) {
            add_range(p, set, lo, lo);
        }
        return;
    }
    p->at++;
    if (is_set || take_member(p, set, &hi)) {
        fail(p, -EINVAL, "a range has a class for its end");
    } else if (hi < lo) {
        fail(p, -EINVAL, "a range runs backwards");
    } else {
        add_range(p, set, lo, hi);
    }
}

static struct tree *parse_class(struct parser *p)
{
    struct charset *set = arena_alloc(&p->arena, sizeof(*set));
    if (!set) {
        return fail(p, -E2BIG, "it is too long");
    }
    bool is_negated = takes(p, STR("^"));
    if (takes(p, STR("]"))) {
        return fail(p, -EOPNOTSUPP, "a class that begins with ] is not supported (write \\])");
    }
    while (p->error == 0 && !takes(p, STR("]"))) {
        if (is_at_end(p)) {
            return fail(p, -EINVAL, "a class is not closed");
        }
        take_class_part(p, set);
    }
    if (is_negated && charset_invert(set) < 0) {
        return fail(p, -E2BIG, "a class has too many parts");
    }
    return make(p, (struct tree){ .kind = CLASS, .set = set });
}

static struct tree *make_class(struct parser *p, uint32_t codepoint)
{
    struct charset *set = arena_alloc(&p->arena, sizeof(*set));
    if (!set) {
        return fail(p, -E2BIG, "it is too long");
    }
    add_range(p, set, codepoint, codepoint);
    return make(p, (struct tree){ .kind = CLASS, .set = set });
}

static struct tree *make_dot(struct parser *p)
{
    struct tree *tree = make_class(p, '\n');
    if (tree && (p->flags & PATTERN_IN_JSON)) {
        add_range(p, tree->set, '\r', '\r');
        add_range(p, tree->set, 0x2028, 0x2029);
    }
    if (tree) {
        charset_invert(tree->set);
    }
    return tree;
}

// ---- the rest ------------------------------------------------------------------------------------------------------

static struct tree *parse_choice(struct parser *p);

static struct tree *parse_group(struct parser *p)
{
    if (takes(p, STR("?"))) {
        if (takes(p, STR("=")) || takes(p, STR("!")) || takes(p, STR("<=")) || takes(p, STR("<!"))) {
            return fail(p, -EOPNOTSUPP, "look-around is not supported");
        }
        if (takes(p, STR("P<")) || takes(p, STR("<"))) {
            while (!is_at_end(p) && !takes(p, STR(">"))) {
                p->at++;
            }
        } else if (!takes(p, STR(":"))) {
            return fail(p, -EOPNOTSUPP,
                        "groups of the form (?...) other than (?:...) and named ones are not supported");
        }
    }
    if (++p->depth > DEPTH_MAX) {
        return fail(p, -E2BIG, "groups are nested too deeply");
    }
    struct tree *tree = parse_choice(p);
    p->depth--;
    return tree && !takes(p, STR(")")) ? fail(p, -EINVAL, "a group is not closed") : tree;
}

static struct tree *parse_escaped(struct parser *p)
{
    struct charset named = { 0 };
    if (!is_at_end(p) && add_named(p, &named, p->pattern.ptr[p->at])) {
        p->at++;
        struct tree *tree = make_class(p, 0);
        if (tree) {
            *tree->set = named;
        }
        return tree;
    }
    return make_class(p, take_escape(p));
}

static struct tree *parse_atom(struct parser *p)
{
    char c = p->pattern.ptr[p->at];
    if (c == '*' || c == '+' || c == '?') {
        return fail(p, -EINVAL, "nothing to repeat");
    }
    uint32_t codepoint = take_codepoint(p);
    switch (c) {
    case '(': return parse_group(p);
    case '[': return parse_class(p);
    case '.': return make_dot(p);
    case '\\': return parse_escaped(p);
    case '^': return make(p, (struct tree){ .kind = BEGIN });
    case '$': return make(p, (struct tree){ .kind = END });
    default: return make_class(p, codepoint);
    }
}

static bool take_number(struct parser *p, uint32_t *ret)
{
    size_t begin = p->at;
    uint64_t value = 0;
    while (!is_at_end(p) && p->pattern.ptr[p->at] >= '0' && p->pattern.ptr[p->at] <= '9') {
        value = value > REPEAT_MAX ? value : value * 10 + (uint64_t)(p->pattern.ptr[p->at] - '0');
        p->at++;
    }
    *ret = (uint32_t)value;
    return p->at > begin;
}

// {n}, {n,}, {n,m}; false, and nothing is taken, when it is none of them.
static bool take_braces(struct parser *p, uint32_t *ret_min, uint32_t *ret_max)
{
    size_t begin = p->at;
    if (takes(p, STR("{")) && take_number(p, ret_min)) {
        *ret_max = *ret_min;
        if (takes(p, STR(",")) && !take_number(p, ret_max)) {
            *ret_max = UNBOUNDED;
        }
        if (takes(p, STR("}"))) {
            return true;
        }
    }
    p->at = begin;
    return false;
}

// {,n} repeats in Python and is text in ECMAScript.
static bool is_at_half_braces(struct parser *p)
{
    uint32_t n;
    size_t begin = p->at;
    bool is_there = takes(p, STR("{,")) && take_number(p, &n) && takes(p, STR("}"));
    p->at = begin;
    return is_there;
}

static struct tree *parse_repeat(struct parser *p)
{
    struct tree *tree = parse_atom(p);
    uint32_t min = 0, max = UNBOUNDED;
    bool is_repeated = false;
    while (tree && p->error == 0) {
        if (takes(p, STR("*"))) {
            min = 0, max = UNBOUNDED;
        } else if (takes(p, STR("+"))) {
            min = 1, max = UNBOUNDED;
        } else if (takes(p, STR("?"))) {
            min = 0, max = 1;
        } else if (is_at_half_braces(p)) {
            return fail(p, -EOPNOTSUPP, "{,n} is not supported (write {0,n} or \\{,n})");
        } else if (!take_braces(p, &min, &max)) {
            break;
        }
        if (is_repeated) {
            return fail(p, -EINVAL, "multiple repeat");
        }
        if (tree->kind == BEGIN || tree->kind == END) {
            return fail(p, -EOPNOTSUPP, "a repeated ^ or $ is not supported");
        }
        if (max < min || min > REPEAT_MAX || (max != UNBOUNDED && max > REPEAT_MAX)) {
            return fail(p, -EINVAL, "a repetition is out of range");
        }
        tree = make(p, (struct tree){ .kind = REPEAT, .a = tree, .min = min, .max = max });
        is_repeated = true;
        takes(p, STR("?"));
        if (takes(p, STR("+"))) {
            return fail(p, -EOPNOTSUPP, "possessive repetition is not supported");
        }
    }
    return p->error == 0 ? tree : NULL;
}

static struct tree *parse_sequence(struct parser *p)
{
    struct tree *tree = NULL;
    while (p->error == 0 && !is_at_end(p) && p->pattern.ptr[p->at] != '|' && p->pattern.ptr[p->at] != ')') {
        struct tree *part = parse_repeat(p);
        tree = tree ? make(p, (struct tree){ .kind = SEQUENCE, .a = tree, .b = part }) : part;
    }
    return p->error != 0 ? NULL : tree ? tree : make(p, (struct tree){ .kind = EMPTY });
}

static struct tree *parse_choice(struct parser *p)
{
    struct tree *tree = parse_sequence(p);
    while (tree && takes(p, STR("|"))) {
        struct tree *other = parse_sequence(p);
        tree = other ? make(p, (struct tree){ .kind = CHOICE, .a = tree, .b = other }) : NULL;
    }
    return tree;
}

// ---- into nodes ----------------------------------------------------------------------------------------------------

// Where the length of a text is ruled, characters are counted: a piece is written once for each count of characters
// before it, up to the largest length, or to the least, which then stands for all above it. A list of nodes has one for
// each count; without a rule there is one count.
struct writer {
    struct nfa *nfa;
    struct arena *arena;
    bool in_json, has_max;
    uint32_t last;  // the largest count
    uint32_t *none; // a list of nothing
};

static uint32_t *new_nodes(struct writer *w)
{
    uint32_t *nodes = arena_alloc_array(w->arena, w->last + 1, sizeof(*nodes));
    if (!nodes) {
        w->nfa->error = w->nfa->error ? w->nfa->error : -E2BIG;
        return w->none;
    }
    memset(nodes, 0, (w->last + 1) * sizeof(*nodes));
    return nodes;
}

static uint32_t *write_either(struct writer *w, const uint32_t *a, const uint32_t *b)
{
    uint32_t *all = new_nodes(w);
    for (uint32_t count = 0; count <= w->last && all != w->none; count++) {
        all[count] = nfa_either(w->nfa, a[count], b[count]);
    }
    return all;
}

// Tells the first character of a repetition (one of JSON text) how many of its kind may follow, itself included.
static void mark_plain(struct writer *w, const struct tree *tree, const uint32_t *nodes_at, uint32_t n_left)
{
    bool is_counted = w->last > 0 || w->has_max;
    if (!w->in_json || is_counted || tree->kind != CLASS || !charset_has_plain(tree->set)) {
        return;
    }
    struct nfa_node *nodes = w->nfa->nodes;
    uint32_t first = nodes_at[0];
    while (nodes[first].kind == NFA_SPLIT) { // its parts of one byte come first
        first = nodes[first].next;
    }
    if (nodes[first].kind == NFA_BYTES) {
        nodes[first].plain = (uint8_t)(n_left < NFA_PLAIN_MAX ? n_left : NFA_PLAIN_MAX);
    }
}

static uint32_t write_one(struct writer *w, struct tree *tree, bool is_shared, uint32_t next)
{
    if (next == NFA_FAILED || !is_shared) {
        return next == NFA_FAILED ? next : charset_write(w->nfa, tree->set, w->in_json, next);
    }
    if (!tree->has_rule) {
        tree->has_rule = true;
        tree->rule = nfa_rule(w->nfa);
        nfa_rule_set(w->nfa, tree->rule, charset_write_long(w->nfa, tree->set, w->in_json, NFA_ENDED));
    }
    uint32_t one = charset_write_short(w->nfa, tree->set, w->in_json, next);
    return nfa_either(w->nfa, one, nfa_call(w->nfa, tree->rule, next));
}

static uint32_t *write_class(struct writer *w, struct tree *tree, uint32_t n_copies, const uint32_t *next)
{
    uint32_t *nodes = new_nodes(w);
    bool is_shared = n_copies >= SHARED_COPY_MIN || w->last >= SHARED_COPY_MIN;
    for (uint32_t count = 0; count <= w->last && nodes != w->none; count++) {
        uint32_t to = count < w->last ? next[count + 1] : w->has_max ? NFA_FAILED : next[count];
        nodes[count] = write_one(w, tree, is_shared, to);
    }
    return nodes;
}

static const uint32_t *write_tree(struct writer *w, struct tree *tree, uint32_t n_copies, const uint32_t *next);

static const uint32_t *write_loop(struct writer *w, struct tree *tree, uint32_t n_copies, const uint32_t *next)
{
    uint32_t *first = new_nodes(w);
    for (uint32_t count = 0; count <= w->last && first != w->none; count++) {
        first[count] = nfa_loop(w->nfa);
    }
    const uint32_t *body = write_tree(w, tree, n_copies, first);
    mark_plain(w, tree, body, NFA_PLAIN_MAX);
    for (uint32_t count = 0; count <= w->last && w->nfa->error == 0; count++) {
        nfa_loop_set(w->nfa, first[count], body[count], next[count]);
    }
    return first;
}

static const uint32_t *write_repeat(struct writer *w, struct tree *tree, uint32_t n_copies, const uint32_t *next)
{
    uint32_t bound = tree->max == UNBOUNDED ? tree->min : tree->max;
    n_copies = bound > 0 && n_copies < REPEAT_MAX ? n_copies * bound : n_copies;
    const uint32_t *first = tree->max == UNBOUNDED ? write_loop(w, tree->a, n_copies, next) : next;
    for (uint32_t i = bound; i > 0 && w->nfa->error == 0; i--) {
        const uint32_t *one = write_tree(w, tree->a, n_copies, first);
        if (memcmp(one, first, (w->last + 1) * sizeof(*one)) == 0) { // it is nothing, however often
            break;
        }
        mark_plain(w, tree->a, one, tree->max == UNBOUNDED ? NFA_PLAIN_MAX : tree->max - (i - 1));
        first = i > tree->min ? write_either(w, one, next) : one;
    }
    return first;
}

static const uint32_t *write_tree(struct writer *w, struct tree *tree, uint32_t n_copies, const uint32_t *next)
{
    for (; tree->kind == SEQUENCE; tree = tree->a) {
        next = write_tree(w, tree->b, n_copies, next);
    }
    switch (tree->kind) {
    case CLASS: return write_class(w, tree, n_copies, next);
    case REPEAT: return write_repeat(w, tree, n_copies, next);
    case CHOICE: {
        const uint32_t *all = w->none;
        for (; tree->kind == CHOICE; tree = tree->a) {
            all = write_either(w, write_tree(w, tree->b, n_copies, next), all);
        }
        return write_either(w, write_tree(w, tree, n_copies, next), all);
    }
    default: return next;
    }
}

// ---- anchors -------------------------------------------------------------------------------------------------------

// Replaces an anchor of `kind` at the border of a sequence by nothing: whether there was one.
static bool strip_anchor(struct tree *tree, enum kind kind)
{
    while (tree->kind == SEQUENCE) {
        tree = kind == BEGIN ? tree->a : tree->b;
    }
    bool is_there = tree->kind == kind;
    tree->kind = is_there ? EMPTY : tree->kind;
    return is_there;
}

static bool has_anchor(const struct tree *tree)
{
    for (; tree->kind == SEQUENCE || tree->kind == CHOICE; tree = tree->a) {
        if (has_anchor(tree->b)) {
            return true;
        }
    }
    return tree->kind == BEGIN || tree->kind == END || (tree->kind == REPEAT && has_anchor(tree->a));
}

static const uint32_t *write_anything(struct writer *w, const uint32_t *next)
{
    struct charset all = { .n = 1, .ranges = { { 0, CODEPOINT_MAX } } };
    struct tree any = { .kind = CLASS, .set = &all }, repeat = { .kind = REPEAT, .a = &any, .max = UNBOUNDED };
    return write_repeat(w, &repeat, 1, next);
}

// One alternative of the whole pattern.
static const uint32_t *write_alternative(struct writer *w, struct parser *p, struct tree *tree, const uint32_t *next)
{
    bool is_begun = strip_anchor(tree, BEGIN), is_ended = strip_anchor(tree, END);
    bool is_search = p->flags & PATTERN_SEARCH;
    if (has_anchor(tree)) {
        fail(p, -EOPNOTSUPP, "^ and $ are supported at the borders of the whole pattern only");
        return w->none;
    }
    next = is_search && !is_ended ? write_anything(w, next) : next;
    next = write_tree(w, tree, 1, next);
    return is_search && !is_begun ? write_anything(w, next) : next;
}

static uint32_t write_pattern(struct writer *w, struct parser *p, struct tree *tree, const uint32_t *next)
{
    const uint32_t *all = w->none;
    for (; tree->kind == CHOICE && p->error == 0; tree = tree->a) {
        all = write_either(w, write_alternative(w, p, tree->b, next), all);
    }
    return p->error == 0 ? write_either(w, write_alternative(w, p, tree, next), all)[0] : NFA_FAILED;
}

// The pattern from its end: `next` where the text is long enough.
static uint32_t write_ruled(struct writer *w, struct parser *p, struct tree *tree, uint32_t min, uint32_t next)
{
    w->none = arena_alloc_array(&p->arena, w->last + 1, sizeof(*w->none));
    uint32_t *end = w->none ? arena_alloc_array(&p->arena, w->last + 1, sizeof(*end)) : NULL;
    if (!end) {
        fail(p, -E2BIG, "it is too long");
        return NFA_FAILED;
    }
    for (uint32_t count = 0; count <= w->last; count++) {
        w->none[count] = NFA_FAILED;
        end[count] = count >= min ? next : NFA_FAILED;
    }
    return write_pattern(w, p, tree, end);
}

int pattern_add_sized(struct nfa *nfa, struct str pattern, unsigned flags, struct pattern_size size, uint32_t next,
                      uint32_t *ret, struct err *err)
{
    struct parser p = { .pattern = pattern, .flags = flags, .err = err };
    if (utf8_valid_len(pattern) != pattern.len) {
        return err_set(err, -EINVAL, "a pattern is not well-formed UTF-8");
    }
    arena_init(&p.arena, TREE_BYTES_MAX);
    struct tree *tree = parse_choice(&p);
    if (tree && !is_at_end(&p)) {
        fail(&p, -EINVAL, "a group is closed that was not opened");
    }
    if (p.error == 0) {
        struct writer w = { .nfa = nfa, .arena = &p.arena, .in_json = (flags & PATTERN_IN_JSON) != 0 };
        w.has_max = size.max != PATTERN_ANY_SIZE;
        w.last = w.has_max ? size.max : size.min;
        *ret = write_ruled(&w, &p, tree, size.min, next);
    }
    arena_deinit(&p.arena);
    if (p.error == 0 && nfa->error != 0) {
        return nfa->error == -E2BIG ? err_set(err, -E2BIG, "a pattern is too large") : nfa->error;
    }
    return p.error;
}

int pattern_add(struct nfa *nfa, struct str pattern, unsigned flags, uint32_t next, uint32_t *ret, struct err *err)
{
    return pattern_add_sized(nfa, pattern, flags, (struct pattern_size){ 0, PATTERN_ANY_SIZE }, next, ret, err);
}
