// Strings are most of an answer: their plain ASCII characters are nodes, all else of a character is a rule, so that a
// string of up to a thousand characters is a thousand small pieces, and masks know how many plain characters may follow
// (nfa_node.plain).
#include "engine/text/grammar/json_parts.h"
#include "engine/base/utf8.h"
#include "engine/text/grammar/charset.h"
#include "engine/text/grammar/number.h"
#include <errno.h>
#include <string.h>

#define SPACES_MAX     32
#define TABS_MAX       16
#define NAME_BYTES_MAX 512

static uint32_t write_spaces(struct nfa *nfa, uint8_t space, size_t n, uint32_t next)
{
    uint32_t all = next;
    for (; n > 0; n--) {
        all = nfa_either(nfa, nfa_bytes(nfa, space, space, all), next);
    }
    return all;
}

static uint32_t write_space_rule(struct nfa *nfa)
{
    uint32_t indent =
        nfa_either(nfa, write_spaces(nfa, ' ', SPACES_MAX, NFA_ENDED), write_spaces(nfa, '\t', TABS_MAX, NFA_ENDED));
    return nfa_either(nfa, nfa_bytes(nfa, ' ', ' ', NFA_ENDED), nfa_bytes(nfa, '\n', '\n', indent));
}

static uint32_t write_hex(struct nfa *nfa, uint8_t lo_digit, uint8_t hi_digit, uint32_t next)
{
    uint32_t all =
        lo_digit <= 9 ? nfa_bytes(nfa, '0' + lo_digit, '0' + (hi_digit < 9 ? hi_digit : 9), next) : NFA_FAILED;
    if (hi_digit >= 10) {
        uint8_t lo = lo_digit > 10 ? lo_digit - 10 : 0, hi = hi_digit - 10;
        all = nfa_either(nfa, all, nfa_bytes(nfa, 'a' + lo, 'a' + hi, next));
        all = nfa_either(nfa, all, nfa_bytes(nfa, 'A' + lo, 'A' + hi, next));
    }
    return all;
}

// What follows \u: four digits, for a high surrogate \u and those of a low one.
static uint32_t write_unicode_escape(struct nfa *nfa, uint32_t next)
{
    uint32_t two = write_hex(nfa, 0, 15, write_hex(nfa, 0, 15, next)), three = write_hex(nfa, 0, 15, two);
    uint32_t low = write_hex(nfa, 13, 13, write_hex(nfa, 12, 15, two));
    low = nfa_literal(nfa, STR("\\u"), low);
    low = write_hex(nfa, 8, 11, write_hex(nfa, 0, 15, write_hex(nfa, 0, 15, low)));
    uint32_t with_d = write_hex(nfa, 13, 13, nfa_either(nfa, write_hex(nfa, 0, 7, two), low));
    uint32_t other = nfa_either(nfa, write_hex(nfa, 0, 12, three), write_hex(nfa, 14, 15, three));
    return nfa_either(nfa, with_d, other);
}

static uint32_t write_rest_rule(struct nfa *nfa)
{
    static const char escapes[] = "\"\\/bfnrt";
    uint32_t escaped = nfa_bytes(nfa, 'u', 'u', write_unicode_escape(nfa, NFA_ENDED));
    for (const char *c = escapes; *c; c++) {
        escaped = nfa_either(nfa, nfa_bytes(nfa, (uint8_t)*c, (uint8_t)*c, NFA_ENDED), escaped);
    }
    return nfa_either(nfa, nfa_codepoints(nfa, 0x80, CODEPOINT_MAX, NFA_ENDED), nfa_bytes(nfa, '\\', '\\', escaped));
}

static uint32_t write_literals(struct nfa *nfa, uint32_t next)
{
    uint32_t all = nfa_either(nfa, nfa_literal(nfa, STR("true"), next), nfa_literal(nfa, STR("false"), next));
    return nfa_either(nfa, all, nfa_literal(nfa, STR("null"), next));
}

static uint32_t write_value_rule(struct json_parts *parts)
{
    uint32_t all = number_write_real(parts->nfa, NULL, NULL, NFA_ENDED);
    all = nfa_either(parts->nfa, all, json_parts_string(parts, 0, UINT32_MAX, NFA_ENDED));
    all = nfa_either(parts->nfa, all, write_literals(parts->nfa, NFA_ENDED));
    all = nfa_either(parts->nfa, all, json_parts_object(parts, NFA_ENDED));
    return nfa_either(parts->nfa, all, json_parts_array(parts, NFA_ENDED));
}

void json_parts_init(struct json_parts *parts, struct nfa *nfa, bool is_compact)
{
    struct charset all = { .n = 1, .ranges = { { 0, CODEPOINT_MAX } } };
    *parts = (struct json_parts){ .nfa = nfa, .is_compact = is_compact };
    parts->space_rule = nfa_rule(nfa);
    parts->rest_rule = nfa_rule(nfa);
    parts->name_rule = nfa_rule(nfa);
    parts->value_rule = nfa_rule(nfa);
    nfa_rule_set(nfa, parts->space_rule, write_space_rule(nfa));
    nfa_rule_set(nfa, parts->rest_rule, write_rest_rule(nfa));
    nfa_rule_set(nfa, parts->name_rule, charset_write_long(nfa, &all, true, NFA_ENDED));
    nfa_rule_set(nfa, parts->value_rule, write_value_rule(parts));
}

uint32_t json_parts_space(struct json_parts *parts, uint32_t next)
{
    return parts->is_compact ? next : nfa_either(parts->nfa, next, nfa_call(parts->nfa, parts->space_rule, next));
}

uint32_t json_parts_value(struct json_parts *parts, uint32_t next)
{
    return nfa_call(parts->nfa, parts->value_rule, next);
}

uint32_t json_parts_open(struct json_parts *parts, char bracket, uint32_t inner)
{
    return nfa_bytes(parts->nfa, (uint8_t)bracket, (uint8_t)bracket, json_parts_space(parts, inner));
}

uint32_t json_parts_close(struct json_parts *parts, char bracket, uint32_t next)
{
    return json_parts_space(parts, nfa_bytes(parts->nfa, (uint8_t)bracket, (uint8_t)bracket, next));
}

uint32_t json_parts_comma(struct json_parts *parts, uint32_t next)
{
    return nfa_bytes(parts->nfa, ',', ',', json_parts_space(parts, next));
}

uint32_t json_parts_colon(struct json_parts *parts, uint32_t next)
{
    return nfa_bytes(parts->nfa, ':', ':', json_parts_space(parts, next));
}

uint32_t json_parts_object(struct json_parts *parts, uint32_t next)
{
    uint32_t close = json_parts_close(parts, '}', next), more = nfa_loop(parts->nfa);
    uint32_t member = json_parts_colon(parts, json_parts_value(parts, more));
    member = json_parts_string(parts, 0, UINT32_MAX, member);
    nfa_loop_set(parts->nfa, more, json_parts_comma(parts, member), close);
    return json_parts_open(parts, '{', nfa_either(parts->nfa, member, close));
}

uint32_t json_parts_array(struct json_parts *parts, uint32_t next)
{
    uint32_t close = json_parts_close(parts, ']', next), more = nfa_loop(parts->nfa);
    uint32_t item = json_parts_value(parts, more);
    nfa_loop_set(parts->nfa, more, json_parts_comma(parts, item), close);
    return json_parts_open(parts, '[', nfa_either(parts->nfa, item, close));
}

// ---- strings -------------------------------------------------------------------------------------------------------

// One character. `plain`: so many plain ones may come from here.
static uint32_t write_char(struct json_parts *parts, uint32_t rest_rule, uint32_t plain, uint32_t next)
{
    struct nfa *nfa = parts->nfa;
    uint32_t first = nfa_bytes(nfa, ' ', '"' - 1, next);
    if (first != NFA_FAILED) {
        nfa->nodes[first].plain = (uint8_t)(plain < NFA_PLAIN_MAX ? plain : NFA_PLAIN_MAX);
    }
    uint32_t all = nfa_either(nfa, first, nfa_bytes(nfa, '"' + 1, '\\' - 1, next));
    all = nfa_either(nfa, all, nfa_bytes(nfa, '\\' + 1, 0x7f, next));
    return nfa_either(nfa, all, nfa_call(nfa, rest_rule, next));
}

static uint32_t write_chars(struct json_parts *parts, uint32_t rest_rule, uint32_t next)
{
    uint32_t loop = nfa_loop(parts->nfa);
    nfa_loop_set(parts->nfa, loop, write_char(parts, rest_rule, NFA_PLAIN_MAX, loop), next);
    return loop;
}

uint32_t json_parts_string(struct json_parts *parts, uint32_t min, uint32_t max, uint32_t next)
{
    uint32_t close = nfa_bytes(parts->nfa, '"', '"', next), all = close, n = max == UINT32_MAX ? min : max;
    if (max == UINT32_MAX) {
        all = write_chars(parts, parts->rest_rule, close);
    }
    for (uint32_t i = n; i > 0 && parts->nfa->error == 0; i--) {
        uint32_t left = max == UINT32_MAX ? max : max - (i - 1);
        uint32_t one = write_char(parts, parts->rest_rule, left, all);
        all = i > min ? nfa_either(parts->nfa, one, close) : one;
    }
    return nfa_bytes(parts->nfa, '"', '"', max < min ? NFA_FAILED : all);
}

// ---- other names ---------------------------------------------------------------------------------------------------

struct name_search {
    struct json_parts *parts;
    const struct str *names;
    size_t n_names;
    uint32_t close, chars; // the closing quote; anything and then the closing quote
};

static bool is_plain_ascii(uint32_t c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static uint32_t char_at(struct str name, size_t at, size_t *ret_end)
{
    uint32_t codepoint = 0;
    size_t len = utf8_decode(str_skip(name, at), &codepoint);
    *ret_end = at + len;
    return codepoint;
}

// All that may follow `prefix`, with which at least one name begins.
static uint32_t write_after(struct name_search *s, struct str prefix)
{
    struct nfa *nfa = s->parts->nfa;
    struct charset taken = { 0 }, one;
    uint32_t all = NFA_FAILED;
    bool is_ascii = true, is_name = false;
    for (size_t i = 0; i < s->n_names && nfa->error == 0; i++) {
        struct str name = s->names[i];
        if (!str_starts_with(name, prefix)) {
            continue;
        }
        if (name.len == prefix.len) {
            is_name = true;
            continue;
        }
        size_t end;
        uint32_t c = char_at(name, prefix.len, &end);
        if (charset_has(&taken, c)) {
            continue;
        }
        one = (struct charset){ .n = 1, .ranges = { { c, c } } };
        if (charset_add(&taken, c, c) < 0) {
            nfa->error = -E2BIG;
            break;
        }
        is_ascii = is_ascii && is_plain_ascii(c);
        all = nfa_either(nfa, charset_write(nfa, &one, true, write_after(s, str_take(name, end))), all);
    }
    if (charset_invert(&taken) < 0) {
        nfa->error = -E2BIG;
    }
    all = is_name ? all : nfa_either(nfa, all, s->close);
    all = nfa_either(nfa, all, charset_write_short(nfa, &taken, true, s->chars));
    return nfa_either(nfa, all,
                      is_ascii ? nfa_call(nfa, s->parts->name_rule, s->chars)
                               : charset_write_long(nfa, &taken, true, s->chars));
}

uint32_t json_parts_other_name(struct json_parts *parts, const struct str *names, size_t n_names, uint32_t next)
{
    struct name_search s = { .parts = parts, .names = names, .n_names = n_names };
    if (n_names == 0) {
        return json_parts_string(parts, 0, UINT32_MAX, next);
    }
    for (size_t i = 0; i < n_names; i++) {
        if (names[i].len > NAME_BYTES_MAX) { // a level of recursion per character
            parts->nfa->error = -E2BIG;
        }
    }
    s.close = nfa_bytes(parts->nfa, '"', '"', next);
    s.chars = write_chars(parts, parts->name_rule, s.close);
    return nfa_bytes(parts->nfa, '"', '"', write_after(&s, STR("")));
}
