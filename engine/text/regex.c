// The rewriter is one pass over the pattern that copies everything except escapes, class brackets and group options.
//
//   outside a class   \s -> [white space]   \S -> [^white space]   \p{L} -> [\p{L}newer letters]   \h -> [0-9a-fA-F]
//   inside a class    the same sets without their brackets; a negated set becomes its complement's ranges
//
//   classes inside a class: their members stand in it; where one is negated or intersected, a group of lookaheads
//
// Classes that pcre2 knows by name keep the name (its lookup is a table, a list of ranges is searched) and get the
// ranges of points that Unicode 14 did not know. Owned by the step that uses it; immutable after regex_new.
#include "engine/text/regex.h"

#include "engine/text/codepoint.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MATCH_LIMIT     10000000u
#define GROUP_DEPTH_MAX 64
#define CLASS_DEPTH_MAX 16

struct regex {
    pcre2_code *code;
};

struct rewrite {
    const struct unicode_table *table;
    const char *where;
    struct err *err;
    struct str in;
    size_t at;
    struct strbuf out;
    bool in_class;
    unsigned class_depth;           // in_class: brackets that are open
    size_t class_start;             // in_class: behind the last of them, where a bracket is a character
    size_t atom;                    // where in `out` the last atom begins: what a quantifier applies to
    size_t groups[GROUP_DEPTH_MAX]; // where the open groups begin
    size_t n_groups;
};

// The sets of \d \s \w \h as Oniguruma has them in Unicode text.
#define SET_WORD (UNICODE_SET_L | UNICODE_SET_M | UNICODE_SET(ND) | UNICODE_SET(NL) | UNICODE_SET(PC))
// Word characters that no category gives: circled and squared letters, and, in \w but not in [\w], Latin-1's numbers.
static const char word_extra[] = "\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}";
static const char word_extra_alone[] = "\\xb2\\xb3\\xb9\\xbc-\\xbe"; // \w outside of a class only
static const char space_ranges[] =
    "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"
    "\\x{3000}";
static const char not_space_ranges[] = "\\x{0}-\\x{8}\\x{e}-\\x{1f}!-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-"
                                       "\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-"
                                       "\\x{2fff}\\x{3001}-\\x{10ffff}";

static int refuse(struct rewrite *rw, const char *what)
{
    return err_set(rw->err, -EOPNOTSUPP, "%s: %s is not supported: %.*s", rw->where, what, STR_ARG(rw->in));
}

static void put(struct rewrite *rw, const char *s)
{
    strbuf_append(&rw->out, str_from(s));
}

static void put_range(void *ctx, uint32_t first, uint32_t last)
{
    struct rewrite *rw = ctx;
    strbuf_printf(&rw->out, "\\x{%x}", first);
    if (last != first) {
        strbuf_printf(&rw->out, "-\\x{%x}", last);
    }
}

static void put_complement(struct rewrite *rw, uint32_t set)
{
    unicode_for_ranges(rw->table, ~set & ((1u << (UNICODE_CONTROL_SPACE + 1)) - 1), put_range, rw);
}

// Members of a category set, by pcre2's names plus what it may not know yet.
static void put_set(struct rewrite *rw, uint32_t set)
{
    static const char names[] = "CnLuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZlZpCcCfCo";
    static const struct {
        uint32_t set;
        char name;
    } unions[] = { { UNICODE_SET_L, 'L' }, { UNICODE_SET_M, 'M' }, { UNICODE_SET_N, 'N' }, { UNICODE_SET_Z, 'Z' } };
    uint32_t rest = set & ~UNICODE_SET(CONTROL_SPACE);
    if (set & UNICODE_SET(CN)) { // unassigned: only our table knows
        unicode_for_ranges(rw->table, set, put_range, rw);
        return;
    }
    for (size_t i = 0; i < sizeof unions / sizeof unions[0]; i++) {
        if ((rest & unions[i].set) == unions[i].set) {
            strbuf_printf(&rw->out, "\\p{%c}", unions[i].name);
            rest &= ~unions[i].set;
        }
    }
    for (uint32_t i = 1; i <= UNICODE_CO; i++) {
        if (rest >> i & 1) {
            strbuf_printf(&rw->out, "\\p{%.2s}", names + 2 * i);
        }
    }
    unicode_for_newer_ranges(rw->table, set, put_range, rw);
}

static void put_word(struct rewrite *rw)
{
    put_set(rw, SET_WORD);
    put(rw, word_extra);
    if (!rw->in_class) {
        put(rw, word_extra_alone);
    }
}

static int put_property(struct rewrite *rw, uint32_t set, bool is_negated)
{
    if (rw->in_class) {
        if (is_negated) {
            put_complement(rw, set);
        } else {
            put_set(rw, set);
        }
        return 0;
    }
    put(rw, is_negated ? "[^" : "[");
    put_set(rw, set);
    put(rw, "]");
    return 0;
}

// \p{Name}, \p{^Name}, \P{Name}; `at` stands on the p.
static int rewrite_property(struct rewrite *rw)
{
    bool is_negated = rw->in.ptr[rw->at] == 'P';
    struct str rest = str_skip(rw->in, rw->at + 1);
    ptrdiff_t close = str_find(rest, STR("}"));
    if (rest.len == 0 || rest.ptr[0] != '{' || close < 0) {
        return refuse(rw, "a property without braces");
    }
    struct str name = { rest.ptr + 1, (size_t)close - 1 };
    if (name.len > 0 && name.ptr[0] == '^') {
        is_negated = !is_negated;
        name = str_skip(name, 1);
    }
    rw->at += 2 + (size_t)close;
    uint32_t set = unicode_set_by_name(name);
    if (set != 0) {
        return put_property(rw, set, is_negated);
    }
    // A script: pcre2's own tables. \p{Han} alone would mean script extensions there.
    strbuf_printf(&rw->out, "\\%c{sc:%.*s}", is_negated ? 'P' : 'p', STR_ARG(name));
    return 0;
}

static int put_shorthand(struct rewrite *rw, const char *members, bool is_negated)
{
    if (rw->in_class && is_negated) {
        return refuse(rw, "a negated shorthand inside a class");
    }
    strbuf_printf(&rw->out, rw->in_class ? "%s%s" : "%s%s]", rw->in_class ? "" : is_negated ? "[^" : "[", members);
    return 0;
}

static int rewrite_word(struct rewrite *rw, bool is_negated)
{
    if (rw->in_class && is_negated) {
        return refuse(rw, "\\W inside a class");
    }
    if (!rw->in_class) {
        put(rw, is_negated ? "[^" : "[");
    }
    put_word(rw);
    if (!rw->in_class) {
        put(rw, "]");
    }
    return 0;
}

// \b is the border of a word character, \B its absence.
static void rewrite_border(struct rewrite *rw, bool is_negated)
{
    put(rw, is_negated ? "(?!(?<=[" : "(?:(?<=[");
    put_word(rw);
    put(rw, "])(?![");
    put_word(rw);
    put(rw, is_negated ? "])|(?<![" : "])|(?<![");
    put_word(rw);
    put(rw, "])(?=[");
    put_word(rw);
    put(rw, "]))");
}

// `at` stands on the character after the backslash; on return, behind the escape.
static int rewrite_escape(struct rewrite *rw)
{
    if (rw->at >= rw->in.len) {
        return err_set(rw->err, -EINVAL, "%s: pattern ends in a backslash", rw->where);
    }
    char c = rw->in.ptr[rw->at];
    if (c == 'p' || c == 'P') {
        return rewrite_property(rw);
    }
    rw->at++;
    switch (c) {
    case 's': return put_shorthand(rw, space_ranges, false);
    case 'S': put_shorthand(rw, rw->in_class ? not_space_ranges : space_ranges, !rw->in_class); return 0;
    case 'h': return put_shorthand(rw, "0-9a-fA-F", false);
    case 'H': return put_shorthand(rw, "0-9a-fA-F", true);
    case 'd': return put_property(rw, UNICODE_SET(ND), false);
    case 'D': return put_property(rw, UNICODE_SET(ND), true);
    case 'w': return rewrite_word(rw, false);
    case 'W': return rewrite_word(rw, true);
    case 'b':
        if (rw->in_class) {
            put(rw, "\\x08");
        } else {
            rewrite_border(rw, false);
        }
        return 0;
    case 'B': rewrite_border(rw, true); return 0;
    case 'R':
    case 'X':
    case 'K':
    case 'G':
    case 'k':
    case 'g':
    case 'O':
    case 'N':
    case 'y':
    case 'Y':
    case 'M':
    case 'C':
    case 'c':
    case 'Q':
    case 'E': return refuse(rw, "this escape");
    default:
        strbuf_append_byte(&rw->out, '\\');
        strbuf_append_byte(&rw->out, c);
        return 0;
    }
}

// ---- classes -------------------------------------------------------------------------------------------------------

// What a class has inside of it, from its bracket at `at` on.
struct class_parts {
    bool has_classes; // of which at least one is negated, or
    bool has_intersection;
    bool has_posix;
};

static struct class_parts class_look_into(struct str in, size_t at)
{
    struct class_parts parts = { 0 };
    size_t depth = 0;
    do {
        char c = in.ptr[at], next = at + 1 < in.len ? in.ptr[at + 1] : 0;
        bool is_first = at > 0 && (in.ptr[at - 1] == '[' || (in.ptr[at - 1] == '^' && at > 1 && in.ptr[at - 2] == '['));
        at += c == '\\';
        if (c == '[') {
            parts.has_posix = parts.has_posix || (depth > 0 && next == ':');
            parts.has_classes = parts.has_classes || (depth > 0 && next == '^');
            depth++;
        } else if (c == ']' && !is_first) {
            depth--;
        } else if (c == '&' && next == '&') {
            parts.has_intersection = true;
        }
    } while (depth > 0 && ++at < in.len);
    return parts;
}

static void open_class(struct rewrite *rw)
{
    rw->in_class = true;
    rw->class_depth = 1;
    rw->at++;
    put(rw, "[");
    if (rw->at < rw->in.len && rw->in.ptr[rw->at] == '^') {
        put(rw, "^");
        rw->at++;
    }
    rw->class_start = rw->at;
}

// Classes inside that are not negated add what they hold: their brackets go.
static void rewrite_class_char(struct rewrite *rw, char c)
{
    bool is_end = c == ']' && rw->at > rw->class_start;
    rw->at++;
    rw->class_depth += c == '[';
    rw->class_depth -= is_end;
    rw->in_class = rw->class_depth > 0;
    if (c == '[') {
        rw->class_start = rw->at;
    } else if (!is_end || !rw->in_class) {
        strbuf_append_byte(&rw->out, c);
    }
}

// The members that stand side by side until the next bracket or intersection.
static int rewrite_members(struct rewrite *rw)
{
    int r = 0;
    size_t start = rw->at;
    put(rw, "[");
    rw->in_class = true;
    while (rw->at < rw->in.len && r == 0) {
        char c = rw->in.ptr[rw->at];
        if (c == '[' || (c == ']' && rw->at > start) || str_starts_with(str_skip(rw->in, rw->at), STR("&&"))) {
            break;
        }
        rw->at++;
        if (c == '\\') {
            r = rewrite_escape(rw);
        } else {
            strbuf_append_byte(&rw->out, c);
        }
    }
    rw->in_class = false;
    put(rw, "]");
    return r;
}

// A class that pcre2 has no form for: one character that is in each of the sets between &&, each of which is a union.
//
//   [ab[^c]&&d]    (?:(?=(?:[ab]|[^c]))(?=(?:[d]))(?s:.))        negated: the lookaheads are one negative lookahead
static int rewrite_class_set(struct rewrite *rw, unsigned depth)
{
    bool is_negated = str_starts_with(str_skip(rw->in, rw->at), STR("[^")), is_empty = true;
    int r = depth == CLASS_DEPTH_MAX ? refuse(rw, "so deep a nesting of classes") : 0;
    rw->at += 1 + is_negated;
    put(rw, is_negated ? "(?:(?!(?=(?:" : "(?:(?=(?:");
    while (rw->at < rw->in.len && r == 0 && (rw->in.ptr[rw->at] != ']' || is_empty)) {
        if (str_starts_with(str_skip(rw->in, rw->at), STR("&&"))) {
            r = is_empty ? refuse(rw, "the intersection with nothing") : 0;
            rw->at += 2;
            put(rw, "))(?=(?:");
            is_empty = true;
            continue;
        }
        put(rw, is_empty ? "" : "|");
        is_empty = false;
        r = rw->in.ptr[rw->at] == '[' ? rewrite_class_set(rw, depth + 1) : rewrite_members(rw);
    }
    rw->at++;
    put(rw, is_negated ? ")))(?s:.))" : "))(?s:.))");
    return r;
}

static int rewrite_class(struct rewrite *rw)
{
    struct class_parts parts = class_look_into(rw->in, rw->at);
    rw->atom = rw->out.len;
    if (parts.has_posix) {
        return refuse(rw, "a POSIX bracket");
    }
    if (parts.has_classes || parts.has_intersection) {
        return rewrite_class_set(rw, 0);
    }
    open_class(rw);
    return 0;
}

// ---- the rest ------------------------------------------------------------------------------------------------------

// (?m in Ruby's syntax lets the dot match a line break, which pcre2 calls s.
static int rewrite_group(struct rewrite *rw)
{
    struct str rest = str_skip(rw->in, rw->at);
    strbuf_append_byte(&rw->out, '(');
    rw->at++;
    if (rest.len < 3 || rest.ptr[1] != '?' || strchr(":=!<>#|", rest.ptr[2])) {
        return 0;
    }
    put(rw, "?");
    rw->at++;
    while (rw->at < rw->in.len && !strchr(":)", rw->in.ptr[rw->at])) {
        char c = rw->in.ptr[rw->at++];
        if (!strchr("imx-", c)) {
            return refuse(rw, "this group");
        }
        strbuf_append_byte(&rw->out, c == 'm' ? 's' : c);
    }
    return 0;
}

static int insert(struct strbuf *out, size_t at, const char *s)
{
    size_t n = strlen(s);
    int r = strbuf_append(out, str_from(s));
    if (r == 0) {
        memmove(out->ptr + at + n, out->ptr + at, out->len - n - at);
        memcpy(out->ptr + at, s, n);
    }
    return r;
}

// Copies {n,m}; a + behind it repeats the whole again, where pcre2 would take it as possessive.
static int rewrite_interval(struct rewrite *rw)
{
    size_t at = rw->at;
    while (at < rw->in.len && rw->in.ptr[at] != '}') {
        at++;
    }
    at += at < rw->in.len;
    int r = strbuf_append(&rw->out, str_take(str_skip(rw->in, rw->at), at - rw->at));
    rw->at = at;
    if (r == 0 && at < rw->in.len && rw->in.ptr[at] == '+') {
        r = insert(&rw->out, rw->atom, "(?:");
        put(rw, ")+");
        rw->at++;
    }
    return r;
}

static int open_group(struct rewrite *rw)
{
    if (rw->n_groups == GROUP_DEPTH_MAX) {
        return refuse(rw, "so deep a nesting of groups");
    }
    rw->groups[rw->n_groups++] = rw->out.len;
    return rewrite_group(rw);
}

// Anything else outside of a class. Quantifiers and the later bytes of a character leave the atom as it is.
static void copy_char(struct rewrite *rw, char c)
{
    if (c == ')' && rw->n_groups > 0) {
        rw->atom = rw->groups[--rw->n_groups];
    } else if (!strchr("*+?", c) && ((uint8_t)c & 0xc0) != 0x80) {
        rw->atom = rw->out.len;
    }
    strbuf_append_byte(&rw->out, c);
    rw->at++;
}

static int rewrite_pattern(struct rewrite *rw)
{
    int r = 0;
    while (rw->at < rw->in.len && r == 0) {
        char c = rw->in.ptr[rw->at];
        if (c == '\\') {
            rw->atom = rw->in_class ? rw->atom : rw->out.len;
            rw->at++;
            r = rewrite_escape(rw);
        } else if (rw->in_class) {
            rewrite_class_char(rw, c);
        } else if (c == '[') {
            r = rewrite_class(rw);
        } else if (c == '(') {
            r = open_group(rw);
        } else if (c == '{') {
            r = rewrite_interval(rw);
        } else {
            copy_char(rw, c);
        }
    }
    return r ? r : rw->out.error;
}

static int compile(struct regex *re, struct rewrite *rw)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context) {
        return -ENOMEM;
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    int code = 0;
    PCRE2_SIZE offset = 0;
    re->code = pcre2_compile((PCRE2_SPTR)(rw->out.ptr ? rw->out.ptr : ""), rw->out.len,
                             PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK | PCRE2_MULTILINE, &code, &offset, context);
    pcre2_compile_context_free(context);
    if (!re->code) {
        PCRE2_UCHAR msg[128] = "";
        pcre2_get_error_message(code, msg, sizeof msg);
        return err_set(rw->err, -EINVAL, "%s: %s: %.*s", rw->where, (const char *)msg, STR_ARG(rw->in));
    }
    pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE); // without JIT matching still works
    return 0;
}

int regex_new(struct str pattern, const struct unicode_table *table, const char *where, struct regex **ret,
              struct err *err)
{
    struct rewrite rw = { .table = table, .where = where, .err = err, .in = pattern };
    strbuf_init(&rw.out, 1 << 20);
    struct regex *re = calloc(1, sizeof *re);
    int r = re ? rewrite_pattern(&rw) : -ENOMEM;
    if (r == 0) {
        r = compile(re, &rw);
    }
    strbuf_deinit(&rw.out);
    if (r < 0) {
        regex_free(re);
        return r;
    }
    *ret = re;
    return 0;
}

void regex_free(struct regex *re)
{
    if (re) {
        pcre2_code_free(re->code);
        free(re);
    }
}

static int scratch_init(struct regex_scratch *scratch)
{
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    scratch->match_data = pcre2_match_data_create(1, NULL);
    scratch->context = context;
    if (!context || !scratch->match_data) {
        regex_scratch_deinit(scratch);
        return -ENOMEM;
    }
    pcre2_set_match_limit(context, MATCH_LIMIT);
    return 0;
}

void regex_scratch_deinit(struct regex_scratch *scratch)
{
    pcre2_match_data_free(scratch->match_data);
    pcre2_match_context_free(scratch->context);
    scratch->match_data = NULL;
    scratch->context = NULL;
}

int regex_find(const struct regex *re, struct regex_scratch *scratch, struct str text, size_t from, size_t *ret_start,
               size_t *ret_end)
{
    if (!scratch->match_data && scratch_init(scratch) < 0) {
        return -ENOMEM;
    }
    int r = pcre2_match(re->code, (PCRE2_SPTR)text.ptr, text.len, from, PCRE2_NO_UTF_CHECK, scratch->match_data,
                        scratch->context);
    if (r == PCRE2_ERROR_JIT_STACKLIMIT) {
        r = pcre2_match(re->code, (PCRE2_SPTR)text.ptr, text.len, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                        scratch->match_data, scratch->context);
    }
    if (r == PCRE2_ERROR_NOMATCH) {
        return 0;
    }
    if (r < 0) {
        return r == PCRE2_ERROR_NOMEMORY ? -ENOMEM : -E2BIG;
    }
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(scratch->match_data);
    *ret_start = bounds[0];
    *ret_end = bounds[1];
    return 1;
}

int regex_iter_next(struct regex_iter *iter, size_t *ret_start, size_t *ret_end)
{
    while (iter->from <= iter->text.len) {
        int r = regex_find(iter->re, iter->scratch, iter->text, iter->from, ret_start, ret_end);
        if (r <= 0) {
            return r;
        }
        if (*ret_start != *ret_end || !iter->has_last || iter->last_end != *ret_end) {
            iter->from = iter->last_end = *ret_end;
            iter->has_last = true;
            return 1;
        }
        bool at_end = iter->from == iter->text.len;
        iter->from += at_end ? 1 : codepoint_len((uint8_t)iter->text.ptr[iter->from]);
    }
    return 0;
}
