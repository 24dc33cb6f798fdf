// The answer parser's state of calls whose arguments are literals: as Python writes them,
//
//     [get_weather(city="Oslo", days=[1, 2], now=True), f()]        also a line each, without brackets
//
// or as Gemma 4 does, whose strings have a mark of their own in place of quotation marks and no escapes:
//
//     call:get_weather{city:<|"|>Oslo<|"|>,days:[1,2],now:true}
//
// An argument is made into a member of a JSON object when its end is seen. What is no literal is a string, as far as
// the next comma or bracket: templates show texts without quotation marks, with some that nothing escapes, and numbers
// within them. An argument without a key is the function's
// parameter of that place.
#include "engine/text/answer_parser_internal.h"

#include "engine/base/utf8.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 64 // of containers in a literal

// ---- literals as JSON ----------------------------------------------------------------------------------------------

struct literal {
    struct str rest;
    struct str quote; // of strings without escapes; empty: none
    struct json_writer *out;
};

static bool write_any(struct literal *l, unsigned depth);

static void skip_space(struct literal *l)
{
    l->rest = str_skip(l->rest, answer_space_len(l->rest));
}

static bool take_byte(struct literal *l, char c)
{
    skip_space(l);
    bool is_there = l->rest.len > 0 && l->rest.ptr[0] == c;
    l->rest = str_skip(l->rest, is_there);
    return is_there;
}

// The number of at most `n_max` digits behind an escape; *ret_n of them are there.
static uint32_t escape_number(struct str digits, unsigned base, size_t n_max, size_t *ret_n)
{
    uint32_t value = 0;
    size_t n = 0;
    for (; n < n_max && n < digits.len; n++) {
        char c = digits.ptr[n];
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0')
                         : (c | 0x20) >= 'a'  ? (unsigned)((c | 0x20) - 'a') + 10
                                              : 99;
        if (digit >= base) {
            break;
        }
        value = value * base + digit;
    }
    *ret_n = n;
    return value;
}

static void append_codepoint(struct strbuf *out, uint32_t c)
{
    char bytes[4];
    bool is_valid = c < 0x110000 && !(c >= 0xd800 && c < 0xe000);
    strbuf_append(out, (struct str){ bytes, utf8_encode(is_valid ? c : 0xfffd, bytes) });
}

// Bytes of the escape that `text` begins with, its backslash included; what it stands for goes to *out.
static size_t take_escape(struct str text, struct strbuf *out)
{
    static const char letters[] = "abfnrtv", controls[] = "\a\b\f\n\r\t\v";
    char c = text.len > 1 ? text.ptr[1] : '\\';
    const char *letter = c ? strchr(letters, c) : NULL;
    size_t n_wanted = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0, n = 0;
    if (text.len < 2) {
        return text.len;
    }
    if (n_wanted > 0) {
        uint32_t value = escape_number(str_skip(text, 2), 16, n_wanted, &n);
        struct str next = str_skip(text, 8); // what models that know JSON better write: a pair of surrogates
        size_t n_next = 0;
        uint32_t low = c == 'u' && (value & 0xfc00) == 0xd800 && str_starts_with(str_skip(text, 6), STR("\\u"))
                           ? escape_number(next, 16, 4, &n_next)
                           : 0;
        bool is_pair = n_next == 4 && (low & 0xfc00) == 0xdc00;
        if (n == n_wanted) {
            append_codepoint(out, is_pair ? 0x10000 + ((value & 0x3ff) << 10) + (low & 0x3ff) : value);
            return is_pair ? 12 : 2 + n;
        }
    } else if (c >= '0' && c <= '7') {
        append_codepoint(out, escape_number(str_skip(text, 1), 8, 3, &n));
        return 1 + n;
    } else if (letter || strchr("\\'\"\n", c)) {
        strbuf_append(out,
                      letter ? (struct str){ &controls[letter - letters], 1 } : str_take(str_skip(text, 1), c != '\n'));
        return 2;
    }
    strbuf_append(out, str_take(text, 1)); // as Python does: the backslash stays
    return 1;
}

// The string behind its quotation mark: up to the next one or, when it was cut, to the end.
static bool take_string(struct literal *l, char quote, struct strbuf *out)
{
    while (l->rest.len > 0 && l->rest.ptr[0] != quote) {
        size_t len = 1;
        if (l->rest.ptr[0] == '\\') {
            len = take_escape(l->rest, out);
        } else {
            strbuf_append(out, str_take(l->rest, 1));
        }
        l->rest = str_skip(l->rest, len);
    }
    bool is_complete = l->rest.len > 0;
    l->rest = str_skip(l->rest, 1);
    return is_complete;
}

// A string of either kind, if one is here. False: none, or it has no end; *out then has what there is of it.
static bool read_string(struct literal *l, struct strbuf *out)
{
    skip_space(l);
    if (l->quote.len > 0 && str_starts_with(l->rest, l->quote)) {
        l->rest = str_skip(l->rest, l->quote.len);
        ptrdiff_t len = str_find(l->rest, l->quote);
        strbuf_append(out, len >= 0 ? str_take(l->rest, (size_t)len) : l->rest);
        l->rest = len >= 0 ? str_skip(l->rest, (size_t)len + l->quote.len) : STR("");
        return len >= 0;
    }
    char c = l->rest.len > 0 ? l->rest.ptr[0] : 0;
    if (c != '"' && c != '\'') {
        return false;
    }
    l->rest = str_skip(l->rest, 1);
    return take_string(l, c, out);
}

static bool write_list(struct literal *l, char close, unsigned depth)
{
    json_write_array_begin(l->out);
    while (!take_byte(l, close)) {
        if (!write_any(l, depth) || (!take_byte(l, ',') && !(l->rest.len > 0 && l->rest.ptr[0] == close))) {
            return false;
        }
    }
    json_write_array_end(l->out);
    return true;
}

static bool write_key(struct literal *l)
{
    struct strbuf key;
    strbuf_init(&key, 0);
    bool is_key = read_string(l, &key);
    if (!is_key && key.len == 0) { // a bare word
        size_t len = 0;
        while (len < l->rest.len && l->rest.ptr[len] != ':' && l->rest.ptr[len] != ',' && l->rest.ptr[len] != '}') {
            len++;
        }
        strbuf_append(&key, str_trim(str_take(l->rest, len)));
        l->rest = str_skip(l->rest, len);
        is_key = key.len > 0;
    }
    json_write_key_str(l->out, strbuf_str(&key));
    strbuf_deinit(&key);
    return is_key && take_byte(l, ':');
}

static bool write_object(struct literal *l, unsigned depth)
{
    json_write_object_begin(l->out);
    while (!take_byte(l, '}')) {
        if (!write_key(l) || !write_any(l, depth) ||
            (!take_byte(l, ',') && !(l->rest.len > 0 && l->rest.ptr[0] == '}'))) {
            return false;
        }
    }
    json_write_object_end(l->out);
    return true;
}

static bool is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c == '.' || c == '-' ||
           c == '+' || (unsigned char)c >= 0x80;
}

// A number or one of the names of either language.
static bool write_word(struct literal *l)
{
    static const struct {
        struct str word, json;
    } words[] = { { STR("True"), STR("true") }, { STR("False"), STR("false") }, { STR("None"), STR("null") },
                  { STR("true"), STR("true") }, { STR("false"), STR("false") }, { STR("null"), STR("null") } };
    size_t len = 0;
    while (len < l->rest.len && is_word_byte(l->rest.ptr[len])) {
        len++;
    }
    struct str word = str_take(l->rest, len);
    l->rest = str_skip(l->rest, len);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (str_eq(word, words[i].word)) {
            json_write_raw(l->out, words[i].json);
            return true;
        }
    }
    struct json_scan scan;
    json_scan_init(&scan);
    bool is_number = len > 0 && json_scan_feed(&scan, word, NULL) >= 0 && json_scan_end(&scan, NULL) == 0;
    if (is_number) {
        json_write_raw(l->out, word);
    }
    return is_number;
}

static bool write_any(struct literal *l, unsigned depth)
{
    if (depth == DEPTH_MAX) {
        return false;
    }
    if (take_byte(l, '[')) {
        return write_list(l, ']', depth + 1);
    }
    if (take_byte(l, '(')) {
        return write_list(l, ')', depth + 1);
    }
    if (take_byte(l, '{')) {
        return write_object(l, depth + 1);
    }
    struct strbuf text;
    strbuf_init(&text, 0);
    struct str before = l->rest;
    bool is_string = read_string(l, &text), is_word = !is_string && l->rest.ptr == before.ptr && write_word(l);
    if (is_string) {
        json_write_str(l->out, strbuf_str(&text));
    }
    strbuf_deinit(&text);
    return is_string || is_word;
}

// Whether a text in quotation marks is what the function's schema wants without them: some templates put them around
// everything.
static bool is_quoted_value(struct str json, struct str type)
{
    bool is_number = str_eq(type, STR("integer")) || str_eq(type, STR("number"));
    if (json.len < 3 || json.ptr[0] != '"' || (!is_number && !str_eq(type, STR("boolean")))) {
        return false;
    }
    struct str inner = str_take(str_skip(json, 1), json.len - 2);
    struct json_scan scan;
    json_scan_init(&scan);
    bool is_json = json_scan_feed(&scan, inner, NULL) >= 0 && json_scan_end(&scan, NULL) == 0;
    bool is_word = str_eq(inner, STR("true")) || str_eq(inner, STR("false"));
    return is_json && (is_number ? inner.ptr[0] == '-' || (inner.ptr[0] >= '0' && inner.ptr[0] <= '9') : is_word);
}

// The text of an argument as JSON. A string that was cut has no quotation mark at its end.
static void write_argument(struct strbuf *out, struct str text, struct str quote, struct str type, bool is_cut)
{
    struct json_writer w;
    json_writer_init(&w, out);
    struct literal l = { .rest = text, .quote = quote, .out = &w };
    bool is_literal = write_any(&l, 0);
    skip_space(&l);
    if (is_literal && l.rest.len == 0) {
        if (is_quoted_value(strbuf_str(out), type)) {
            out->ptr[--out->len] = '\0';
            out->len--;
            memmove(out->ptr, out->ptr + 1, out->len + 1);
        }
        return;
    }
    struct strbuf string;
    strbuf_init(&string, 0);
    strbuf_reset(out);
    json_writer_init(&w, out);
    l.rest = text;
    bool is_cut_string = !read_string(&l, &string) && is_cut && l.rest.len == 0;
    char last = text.len > 1 ? text.ptr[text.len - 1] : 0;
    bool has_marks = !is_cut && (last == '"' || last == '\'') && text.ptr[0] == last; // and others between them
    json_write_str(&w, is_cut_string ? strbuf_str(&string)
                       : has_marks   ? str_take(str_skip(text, 1), text.len - 2)
                                     : text);
    out->len -= is_cut && out->len > 0 ? 1 : 0;
    strbuf_deinit(&string);
}

// ---- arguments -----------------------------------------------------------------------------------------------------

// The name of the function's nth parameter; its number where there are fewer.
static struct str nth_parameter(const struct answer_parser *p, unsigned n, char number[16])
{
    const struct json *parameters = json_get(p->function, STR("parameters"));
    const struct json *properties = parameters ? json_get(parameters, STR("properties")) : NULL;
    if (properties && properties->type == JSON_OBJECT && n < properties->n_children) {
        const struct json *key = json_first(properties);
        for (unsigned i = 0; i < n; i++) {
            key = json_next(json_next(key));
        }
        return key->text;
    }
    return (struct str){ number, (size_t)snprintf(number, 16, "%u", n) };
}

// The argument that ends `len` bytes on.
static void take_argument(struct answer_parser *p, size_t len, bool is_cut)
{
    struct answer_literals *a = &p->literals;
    struct str in = str_take(answer_rest(p), len), value = str_trim(str_skip(in, a->value_at));
    struct str key = str_trim(str_take(in, a->value_at > 0 ? a->value_at - 1 : 0));
    char number[16];
    struct strbuf json;
    if (value.len == 0 && key.len == 0) {
        return; // f(), or a comma at the end
    }
    key = key.len > 0 ? key : nth_parameter(p, p->n_values, number);
    strbuf_init(&json, 0);
    write_argument(&json, value, answer_calls(p)->quote, answer_type_of(p, key), is_cut);
    p->error = p->error ? p->error : json.error;
    if (json.error == 0) {
        answer_emit_member(p, key, strbuf_str(&json));
    }
    strbuf_deinit(&json);
}

// Looks at what is inside a string: false when more text has to come.
static bool pass_string(struct answer_parser *p, struct str in)
{
    struct answer_literals *a = &p->literals;
    char c = in.ptr[a->pos];
    if (a->quote == 0) {
        int match = answer_match(p, str_skip(in, a->pos), answer_calls(p)->quote);
        a->pos += match > 0 ? answer_calls(p)->quote.len : match == 0;
        a->in_string = match <= 0;
        return match >= 0;
    }
    a->in_string = c != a->quote || a->is_escaped;
    a->is_escaped = c == '\\' && !a->is_escaped;
    a->pos++;
    return true;
}

enum scanned { SCANNED_MORE, SCANNED_ARGUMENT, SCANNED_CALL };

// Goes on to where the argument ends, which pos then is at.
static enum scanned scan_argument(struct answer_parser *p, struct str in)
{
    struct answer_literals *a = &p->literals;
    bool is_python = answer_calls(p)->name_end.ptr[0] == '(';
    char equals = is_python ? '=' : ':', close = is_python ? ')' : '}';
    while (a->pos < in.len) {
        char c = in.ptr[a->pos];
        if (a->in_string) {
            if (!pass_string(p, in)) {
                return SCANNED_MORE;
            }
            continue;
        }
        int quote = answer_match(p, str_skip(in, a->pos), answer_calls(p)->quote);
        if (quote < 0) {
            return SCANNED_MORE;
        }
        if (quote > 0 || ((c == '"' || c == '\'') && (a->depth > 0 || !a->has_text))) {
            a->in_string = a->has_text = true;
            a->quote = quote > 0 ? 0 : c;
            a->pos += quote > 0 ? answer_calls(p)->quote.len : 1;
            continue;
        }
        if (a->depth == 0 && (c == ',' || c == close)) {
            return c == ',' ? SCANNED_ARGUMENT : SCANNED_CALL;
        }
        if (a->depth == 0 && c == equals && a->value_at == 0) {
            a->value_at = a->pos + 1;
            a->has_text = false;
        } else if (c == '[' || c == '(' || c == '{') {
            a->depth++;
        } else if ((c == ']' || c == ')' || c == '}') && a->depth > 0) {
            a->depth--;
        }
        a->has_text = a->has_text || (answer_space_len((struct str){ &c, 1 }) == 0 && a->pos >= a->value_at);
        a->pos++;
    }
    return SCANNED_MORE;
}

enum answer_step answer_step_literals(struct answer_parser *p)
{
    struct str in = answer_rest(p);
    enum scanned scanned = scan_argument(p, in);
    size_t len = p->literals.pos;
    if (scanned == SCANNED_MORE) {
        if (p->is_final && in.len > 0) {
            take_argument(p, in.len, true);
            answer_consume(p, in.len);
        }
        return ANSWER_MORE;
    }
    take_argument(p, len, false);
    answer_consume(p, len + 1);
    p->literals = (struct answer_literals){ 0 };
    return scanned == SCANNED_CALL ? answer_end_values(p, ANSWER_STATE_AFTER) : ANSWER_ON;
}

// ---- heads ---------------------------------------------------------------------------------------------------------

enum answer_step answer_head_of_literals(struct answer_parser *p)
{
    struct str in = answer_rest(p);
    size_t at = p->head_len + answer_space_len(str_skip(in, p->head_len)), len = 0;
    if (!answer_open_list(p, &at)) {
        return ANSWER_MORE;
    }
    struct str name = str_skip(in, at);
    while (len < name.len && len < ANSWER_NAME_MAX && is_word_byte(name.ptr[len])) {
        len++;
    }
    if (len == name.len && !p->is_final) {
        return ANSWER_MORE;
    }
    bool is_call = len < name.len && name.ptr[len] == answer_calls(p)->name_end.ptr[0];
    p->function = is_call ? answer_function(p, str_take(name, len)) : NULL;
    if (!p->function) {
        return answer_fall_back(p);
    }
    p->literals = (struct answer_literals){ 0 };
    return answer_begin_values(p, at + len + 1, str_take(name, len), (struct str){ 0 }, ANSWER_STATE_LITERALS);
}
