// Splits template source into tokens. Jinja's rules for white space around tags are applied here, so that the parser
// sees data as it will be written.
//
// Between tags everything is data; inside a tag the Python-like expression tokens. A tag's end is only looked for while
// no bracket is open. Used by jinja_compile; refuses unbalanced brackets, unknown characters, tags and strings without
// an end.
#include "engine/text/jinja/lex.h"

#include "engine/base/utf8.h"
#include "engine/text/jinja/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct lexer {
    struct arena *arena;
    struct str source;
    const struct jinja_options *options;
    struct err *err;
    size_t pos;
    bool line_starting; // the last thing consumed ended a line
    struct token *tokens;
    size_t n, cap;
    char open[128]; // brackets not closed yet: what closes them
    size_t n_open;
};

static const struct {
    enum token_type type;
    const char *text;
} operators[] = {
    // longer ones first
    { TOK_FLOORDIV, "//" }, { TOK_POW, "**" },   { TOK_EQ, "==" },      { TOK_NE, "!=" },      { TOK_GE, ">=" },
    { TOK_LE, "<=" },       { TOK_ADD, "+" },    { TOK_SUB, "-" },      { TOK_DIV, "/" },      { TOK_MUL, "*" },
    { TOK_MOD, "%" },       { TOK_TILDE, "~" },  { TOK_LBRACKET, "[" }, { TOK_RBRACKET, "]" }, { TOK_LPAREN, "(" },
    { TOK_RPAREN, ")" },    { TOK_LBRACE, "{" }, { TOK_RBRACE, "}" },   { TOK_GT, ">" },       { TOK_LT, "<" },
    { TOK_ASSIGN, "=" },    { TOK_DOT, "." },    { TOK_COLON, ":" },    { TOK_PIPE, "|" },     { TOK_COMMA, "," },
    { TOK_SEMICOLON, ";" },
};

const char *token_type_name(enum token_type type)
{
    switch (type) {
    case TOK_EOF: return "end of template";
    case TOK_DATA: return "template data / text";
    case TOK_VAR_BEGIN: return "begin of print statement";
    case TOK_VAR_END: return "end of print statement";
    case TOK_BLOCK_BEGIN: return "begin of statement block";
    case TOK_BLOCK_END: return "end of statement block";
    case TOK_NAME: return "name";
    case TOK_STRING: return "string";
    case TOK_INTEGER: return "integer";
    case TOK_FLOAT: return "float";
    default: break;
    }
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        if (operators[i].type == type) {
            return operators[i].text;
        }
    }
    return "token";
}

void lex_position(struct str source, uint32_t pos, unsigned *ret_line, unsigned *ret_column)
{
    size_t line_start = 0;

    *ret_line = 1;
    for (size_t i = 0; i < pos && i < source.len; i++) {
        if (source.ptr[i] == '\n') {
            ++*ret_line;
            line_start = i + 1;
        }
    }
    *ret_column = 1 + (unsigned)text_n_chars(str_take(str_skip(source, line_start), pos - line_start));
}

static int fail_at(struct lexer *lx, size_t pos, const char *what, struct str detail)
{
    unsigned line, column;

    lex_position(lx->source, (uint32_t)pos, &line, &column);
    return err_set(lx->err, -EINVAL, "line %u, column %u: %s%.*s", line, column, what, STR_ARG(detail));
}

int lex_normalize(struct arena *arena, struct str source, struct str *ret, struct err *err)
{
    char *copy;
    size_t n = 0;

    if (source.len > JINJA_SOURCE_BYTES_MAX) {
        return err_set(err, -E2BIG, "the template has %zu bytes, at most %u are taken", source.len,
                       JINJA_SOURCE_BYTES_MAX);
    }
    if (utf8_valid_len(source) != source.len) {
        return err_set(err, -EINVAL, "the template is not valid UTF-8 at byte %zu", utf8_valid_len(source));
    }
    copy = arena_alloc(arena, source.len + 1);
    if (copy == NULL) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < source.len; i++) {
        if (source.ptr[i] == '\r') {
            copy[n++] = '\n';
            i += i + 1 < source.len && source.ptr[i + 1] == '\n';
        } else {
            copy[n++] = source.ptr[i];
        }
    }
    n -= n > 0 && copy[n - 1] == '\n';
    *ret = (struct str){ copy, n };
    return 0;
}

static int add_token(struct lexer *lx, enum token_type type, size_t pos, struct str text)
{
    if (lx->n == lx->cap) {
        size_t cap = lx->cap == 0 ? 256 : lx->cap * 2;
        struct token *grown = arena_alloc_array(lx->arena, cap, sizeof(*grown));

        if (grown == NULL) {
            return err_set(lx->err, -ENOMEM, "out of memory");
        }
        if (lx->n > 0) {
            memcpy(grown, lx->tokens, lx->n * sizeof(*grown));
        }
        lx->tokens = grown;
        lx->cap = cap;
    }
    lx->tokens[lx->n++] = (struct token){ type, (uint32_t)pos, text };
    return 0;
}

static char at(const struct lexer *lx, size_t pos)
{
    return pos < lx->source.len ? lx->source.ptr[pos] : 0;
}

static bool matches(const struct lexer *lx, size_t pos, const char *text)
{
    return str_starts_with(str_skip(lx->source, pos), str_from(text));
}

static size_t skip_space(const struct lexer *lx, size_t pos)
{
    struct str rest = str_skip(lx->source, pos);

    return pos + (rest.len - text_strip(rest, true, false).len);
}

// Everything up to lx->pos is consumed.
static void consumed_to(struct lexer *lx, size_t pos)
{
    if (pos > lx->pos) {
        lx->line_starting = lx->source.ptr[pos - 1] == '\n';
    }
    lx->pos = pos;
}

// ---- data and the white space before a tag -------------------------------------------------------------------------

// The data before a tag with this sign after its opening ('-', '+' or neither).
static struct str strip_before_tag(const struct lexer *lx, struct str data, char sign, bool is_variable)
{
    size_t line_start = data.len;

    if (sign == '-') {
        return text_strip(data, false, true);
    }
    if (sign == '+' || is_variable || !lx->options->lstrip_blocks) {
        return data;
    }
    while (line_start > 0 && data.ptr[line_start - 1] != '\n') {
        line_start--;
    }
    if ((line_start > 0 || lx->line_starting) && text_strip(str_skip(data, line_start), true, false).len == 0) {
        return str_take(data, line_start);
    }
    return data;
}

static int add_data(struct lexer *lx, size_t pos, struct str data)
{
    return data.len > 0 ? add_token(lx, TOK_DATA, pos, data) : 0;
}

// Length of the tag end at `pos` with what it swallows, 0 when there is none: "-%}" and all white space after it,
// "+%}", "%}" (a newline after it as well under trim_blocks).
static size_t tag_end_len(const struct lexer *lx, size_t pos, const char *end, bool is_variable)
{
    if (at(lx, pos) == '-' && matches(lx, pos + 1, end)) {
        return skip_space(lx, pos + 3) - pos;
    }
    if (!is_variable && at(lx, pos) == '+' && matches(lx, pos + 1, end)) {
        return 3;
    }
    if (matches(lx, pos, end)) {
        return 2 + (!is_variable && lx->options->trim_blocks && at(lx, pos + 2) == '\n');
    }
    return 0;
}

// "{%- raw -%}": length of the tag at `pos`, 0 when it is another one.
static size_t raw_begin_len(const struct lexer *lx, size_t pos)
{
    size_t p = pos + 2;

    p += at(lx, p) == '-' || at(lx, p) == '+';
    p = skip_space(lx, p);
    if (!matches(lx, p, "raw")) {
        return 0;
    }
    p = skip_space(lx, p + 3);
    if (matches(lx, p, "%}")) {
        return p + 2 - pos;
    }
    return matches(lx, p, "-%}") ? skip_space(lx, p + 3) - pos : 0;
}

static int lex_raw(struct lexer *lx, size_t begin_pos)
{
    size_t start = lx->pos;

    for (size_t pos = start; pos + 1 < lx->source.len; pos++) {
        size_t p = pos + 2, end_len;
        char sign;
        int r;

        if (!matches(lx, pos, "{%")) {
            continue;
        }
        sign = at(lx, p);
        p = skip_space(lx, p + (sign == '-' || sign == '+'));
        if (!matches(lx, p, "endraw")) {
            continue;
        }
        p = skip_space(lx, p + 6);
        end_len = tag_end_len(lx, p, "%}", false);
        if (end_len == 0) {
            continue;
        }
        r = add_data(lx, start, strip_before_tag(lx, str_take(str_skip(lx->source, start), pos - start), sign, false));
        consumed_to(lx, p + end_len);
        return r;
    }
    return fail_at(lx, begin_pos, "Missing end of raw directive", STR(""));
}

static int lex_comment(struct lexer *lx, size_t begin_pos)
{
    for (size_t pos = lx->pos; pos < lx->source.len; pos++) {
        size_t end_len = tag_end_len(lx, pos, "#}", false);

        if (end_len > 0) {
            consumed_to(lx, pos + end_len);
            return 0;
        }
    }
    return fail_at(lx, begin_pos, "Missing end of comment tag", STR(""));
}

// ---- inside a tag --------------------------------------------------------------------------------------------------

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Digits of a base, an underscore allowed before each; returns the end.
static size_t scan_digits(const struct lexer *lx, size_t pos, unsigned base)
{
    for (;;) {
        size_t p = pos + (at(lx, pos) == '_');
        char c = at(lx, p);
        unsigned digit = is_digit(c)                          ? (unsigned)(c - '0')
                         : (c | 32) >= 'a' && (c | 32) <= 'f' ? (unsigned)((c | 32) - 'a') + 10
                                                              : 99;

        if (digit >= base) {
            return pos;
        }
        pos = p + 1;
    }
}

// The end of a float at `pos`, or `pos` when there is none: "1.5", "1e3", "1_0.5e-3".
static size_t scan_float(const struct lexer *lx, size_t pos)
{
    size_t p, exponent;
    bool has_fraction = false;

    if (!is_digit(at(lx, pos)) || (pos > 0 && lx->source.ptr[pos - 1] == '.')) {
        return pos;
    }
    p = scan_digits(lx, pos, 10);
    if (at(lx, p) == '.' && is_digit(at(lx, p + 1))) {
        p = scan_digits(lx, p + 1, 10);
        has_fraction = true;
    }
    exponent = p;
    if ((at(lx, p) | 32) == 'e') {
        exponent = p + 1 + (at(lx, p + 1) == '+' || at(lx, p + 1) == '-');
    }
    if (exponent > p && is_digit(at(lx, exponent))) {
        return scan_digits(lx, exponent, 10);
    }
    return has_fraction ? p : pos;
}

static size_t scan_integer(const struct lexer *lx, size_t pos)
{
    char c = at(lx, pos), kind = (char)(at(lx, pos + 1) | 32);
    unsigned base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;

    if (c == '0' && base != 0 && scan_digits(lx, pos + 2, base) > pos + 2) {
        return scan_digits(lx, pos + 2, base);
    }
    if (c == '0') {
        return scan_digits(lx, pos, 1); // zeros only: "012" is two tokens
    }
    return is_digit(c) ? scan_digits(lx, pos, 10) : pos;
}

static int add_number(struct lexer *lx, enum token_type type, size_t end)
{
    char *digits = arena_alloc(lx->arena, end - lx->pos + 1);
    size_t n = 0, start = lx->pos;

    if (digits == NULL) {
        return err_set(lx->err, -ENOMEM, "out of memory");
    }
    for (size_t i = start; i < end; i++) {
        if (lx->source.ptr[i] != '_') {
            digits[n++] = lx->source.ptr[i];
        }
    }
    consumed_to(lx, end);
    return add_token(lx, type, start, (struct str){ digits, n });
}

static int hex_escape(struct lexer *lx, struct str s, size_t n_digits, uint32_t *ret)
{
    uint32_t c = 0;

    for (size_t i = 0; i < n_digits; i++) {
        char d = i < s.len ? s.ptr[i] : 0;

        if (is_digit(d)) {
            c = c * 16 + (uint32_t)(d - '0');
        } else if ((d | 32) >= 'a' && (d | 32) <= 'f') {
            c = c * 16 + (uint32_t)((d | 32) - 'a') + 10;
        } else {
            return fail_at(lx, lx->pos, "truncated escape in a string", STR(""));
        }
    }
    *ret = c;
    return 0;
}

// One escape after its backslash: bytes consumed, or -EINVAL. *ret_len: bytes written to out.
static int unescape(struct lexer *lx, struct str s, char out[static 4], size_t *ret_len)
{
    static const char plain[] = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v";
    char c = s.ptr[0];
    size_t n_digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0, n = 0;
    uint32_t code = 0;
    int r;

    for (size_t i = 0; i < sizeof(plain) - 1; i += 2) {
        if (plain[i] == c) {
            out[0] = plain[i + 1];
            *ret_len = 1;
            return 1;
        }
    }
    if (c == '\n') {
        *ret_len = 0;
        return 1;
    }
    if (n_digits > 0) {
        r = hex_escape(lx, str_skip(s, 1), n_digits, &code);
        if (r < 0) {
            return r;
        }
        n = n_digits + 1;
    } else if (c >= '0' && c <= '7') {
        while (n < 3 && n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '7') {
            code = code * 8 + (uint32_t)(s.ptr[n++] - '0');
        }
    } else if (c == 'N') {
        return fail_at(lx, lx->pos, "named characters (\\N{...}) are not supported", STR(""));
    } else { // an unknown escape stands for itself
        out[0] = '\\';
        *ret_len = 1;
        return 0;
    }
    *ret_len = utf8_encode(code, out);
    return *ret_len > 0 ? (int)n : fail_at(lx, lx->pos, "illegal Unicode character in a string", STR(""));
}

static int lex_string(struct lexer *lx)
{
    char quote = at(lx, lx->pos);
    size_t start = lx->pos, end = start + 1, n = 0;
    char *text;

    while (end < lx->source.len && lx->source.ptr[end] != quote) {
        end += lx->source.ptr[end] == '\\' ? 2 : 1;
    }
    if (end >= lx->source.len) {
        return fail_at(lx, start, "a string has no end", STR(""));
    }
    text = arena_alloc(lx->arena, end - start);
    if (text == NULL) {
        return err_set(lx->err, -ENOMEM, "out of memory");
    }
    for (size_t i = start + 1; i < end;) {
        size_t len = 1;
        int used = 0;

        if (lx->source.ptr[i] != '\\') {
            text[n++] = lx->source.ptr[i++];
            continue;
        }
        used = unescape(lx, str_take(str_skip(lx->source, i + 1), end - i - 1), text + n, &len);
        if (used < 0) {
            return used;
        }
        n += len;
        i += 1 + (size_t)used;
    }
    consumed_to(lx, end + 1);
    return add_token(lx, TOK_STRING, start, (struct str){ text, n });
}

static size_t scan_name(const struct lexer *lx, size_t pos)
{
    while (pos < lx->source.len) {
        uint32_t c;
        size_t len = char_decode(str_skip(lx->source, pos), &c);

        if (!char_is_word(c)) {
            break;
        }
        pos += len;
    }
    return pos;
}

static int track_brackets(struct lexer *lx, char c)
{
    char close = c == '(' ? ')' : c == '[' ? ']' : c == '{' ? '}' : 0;

    if (close != 0) {
        if (lx->n_open == sizeof(lx->open)) {
            return fail_at(lx, lx->pos, "brackets are nested too deeply", STR(""));
        }
        lx->open[lx->n_open++] = close;
    } else if (c == ')' || c == ']' || c == '}') {
        if (lx->n_open == 0) {
            return fail_at(lx, lx->pos, "unexpected ", (struct str){ &c, 1 });
        }
        if (lx->open[--lx->n_open] != c) {
            return fail_at(lx, lx->pos, "expected another closing bracket than ", (struct str){ &c, 1 });
        }
    }
    return 0;
}

static int lex_operator(struct lexer *lx)
{
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        struct str text = str_from(operators[i].text);
        size_t start = lx->pos;
        int r;

        if (!matches(lx, start, operators[i].text)) {
            continue;
        }
        r = text.len == 1 ? track_brackets(lx, text.ptr[0]) : 0;
        if (r < 0) {
            return r;
        }
        consumed_to(lx, start + text.len);
        return add_token(lx, operators[i].type, start, text);
    }
    uint32_t c;
    size_t len = char_decode(str_skip(lx->source, lx->pos), &c);

    return fail_at(lx, lx->pos, "unexpected character ", str_take(str_skip(lx->source, lx->pos), len));
}

static int lex_expression_token(struct lexer *lx)
{
    size_t start = lx->pos, end = scan_float(lx, start);
    char c = at(lx, start);

    if (end > start) {
        return add_number(lx, TOK_FLOAT, end);
    }
    end = scan_integer(lx, start);
    if (end > start) {
        return add_number(lx, TOK_INTEGER, end);
    }
    end = scan_name(lx, start);
    if (end > start) {
        consumed_to(lx, end);
        return add_token(lx, TOK_NAME, start, str_take(str_skip(lx->source, start), end - start));
    }
    return c == '\'' || c == '"' ? lex_string(lx) : lex_operator(lx);
}

// The inside of "{{ }}" or "{% %}", up to and with its end.
static int lex_tag(struct lexer *lx, bool is_variable)
{
    const char *end = is_variable ? "}}" : "%}";

    lx->n_open = 0;
    for (;;) {
        size_t end_len;
        int r;

        if (lx->n_open == 0) {
            end_len = tag_end_len(lx, lx->pos, end, is_variable);
            if (end_len > 0) {
                r = add_token(lx, is_variable ? TOK_VAR_END : TOK_BLOCK_END, lx->pos, str_from(end));
                consumed_to(lx, lx->pos + end_len);
                return r;
            }
        }
        if (skip_space(lx, lx->pos) > lx->pos) {
            consumed_to(lx, skip_space(lx, lx->pos));
            continue;
        }
        if (lx->pos >= lx->source.len) {
            return 0; // the parser names what is missing
        }
        r = lex_expression_token(lx);
        if (r < 0) {
            return r;
        }
    }
}

// Data up to the next tag, and that tag.
static int lex_root(struct lexer *lx)
{
    size_t start = lx->pos, tag = start, raw_len = 0, begin_len;
    bool is_variable;
    struct str data;
    char kind, sign;
    int r;

    while (tag < lx->source.len &&
           !(lx->source.ptr[tag] == '{' && strchr("{%#", at(lx, tag + 1)) != NULL && at(lx, tag + 1) != 0)) {
        tag++;
    }
    data = str_take(str_skip(lx->source, start), tag - start);
    if (tag >= lx->source.len) {
        consumed_to(lx, lx->source.len);
        return add_data(lx, start, data);
    }
    kind = at(lx, tag + 1);
    sign = at(lx, tag + 2);
    is_variable = kind == '{';
    if (sign != '-' && sign != '+') {
        sign = 0;
    }
    r = add_data(lx, start, strip_before_tag(lx, data, sign, is_variable));
    if (r < 0) {
        return r;
    }
    raw_len = kind == '%' ? raw_begin_len(lx, tag) : 0;
    begin_len = raw_len > 0 ? raw_len : 2u + (sign != 0);
    consumed_to(lx, tag + begin_len);
    if (raw_len > 0) {
        return lex_raw(lx, tag);
    }
    if (kind == '#') {
        return lex_comment(lx, tag);
    }
    r = add_token(lx, is_variable ? TOK_VAR_BEGIN : TOK_BLOCK_BEGIN, tag, STR(""));
    return r < 0 ? r : lex_tag(lx, is_variable);
}

int lex(struct arena *arena, struct str source, const struct jinja_options *options, struct token_list *ret,
        struct err *err)
{
    struct lexer lx = { .arena = arena, .source = source, .options = options, .err = err, .line_starting = true };
    int r = 0;

    while (r == 0 && lx.pos < source.len) {
        r = lex_root(&lx);
    }
    if (r == 0) {
        r = add_token(&lx, TOK_EOF, source.len, STR(""));
    }
    if (r < 0) {
        return r;
    }
    *ret = (struct token_list){ lx.tokens, lx.n };
    return 0;
}
