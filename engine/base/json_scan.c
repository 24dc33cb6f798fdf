// The JSON grammar as a state machine over bytes, with a stack of one bit per level. It owns nothing and allocates
// nothing; it may be stopped after any byte and copied. It refuses what RFC 8259 refuses, and also unpaired surrogates
// in \u escapes, ill-formed UTF-8, NUL bytes and nesting past JSON_DEPTH_MAX, so that whatever reads an accepted text
// needs no checks.
//
//              ,                              object: , -> KEY
//   VALUE -----------> [scalar] ----> AFTER   array:  , -> VALUE
//     | '['  -> FIRST_VALUE (or ']')     ^    ] } -> pop -> AFTER, at depth 0 -> END
//     | '{'  -> FIRST_KEY (or '}') -> string -> COLON -> VALUE
//
// Inside a string: TEXT; TEXT '\' -> ESCAPE -> TEXT or HEX (four digits) -> TEXT, or after a high surrogate
// -> PAIR_BACKSLASH -> PAIR_U -> HEX (a low surrogate) -> TEXT.
#include "engine/base/json.h"
#include "engine/base/utf8.h"
#include <errno.h>
#include <string.h>

enum state {
    // White space may come here.
    STATE_VALUE,
    STATE_FIRST_VALUE,
    STATE_FIRST_KEY,
    STATE_KEY,
    STATE_COLON,
    STATE_AFTER,
    STATE_END,
    STATE_LAST_SPACED = STATE_END,
    // Inside a number; those that may end it are found by number_may_end.
    STATE_MINUS,
    STATE_ZERO,
    STATE_INTEGER,
    STATE_POINT,
    STATE_FRACTION,
    STATE_E,
    STATE_E_SIGN,
    STATE_EXPONENT,
    STATE_LITERAL,
    // Inside a string.
    STATE_TEXT,
    STATE_ESCAPE,
    STATE_HEX,
    STATE_PAIR_BACKSLASH,
    STATE_PAIR_U,
    STATE_FAILED,
};

static const char *const literals[] = { "true", "false", "null" };

void json_scan_init(struct json_scan *scan)
{
    *scan = (struct json_scan){ .state = STATE_VALUE };
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool in_object(const struct json_scan *scan)
{
    uint32_t top = scan->depth - 1;
    return scan->depth > 0 && (scan->stack[top / 64] >> (top % 64) & 1);
}

static void end_value(struct json_scan *scan)
{
    scan->state = scan->depth > 0 ? STATE_AFTER : STATE_END;
}

// Each step takes one byte and returns NULL or what is wrong with it.

static const char *push(struct json_scan *scan, bool is_object)
{
    if (scan->depth == JSON_DEPTH_MAX) {
        return "nesting is deeper than 256 levels";
    }
    uint64_t bit = UINT64_C(1) << (scan->depth % 64);
    uint64_t *word = &scan->stack[scan->depth / 64];
    *word = is_object ? *word | bit : *word & ~bit;
    scan->depth++;
    scan->is_container = true;
    scan->n_values++;
    scan->state = is_object ? STATE_FIRST_KEY : STATE_FIRST_VALUE;
    return NULL;
}

static void pop(struct json_scan *scan)
{
    scan->depth--;
    end_value(scan);
}

static void begin_string(struct json_scan *scan, bool is_key)
{
    scan->is_key = is_key;
    scan->n_values++;
    scan->state = STATE_TEXT;
}

static const char *step_value(struct json_scan *scan, unsigned char c)
{
    switch (c) {
    case '"': begin_string(scan, false); return NULL;
    case '{': return push(scan, true);
    case '[': return push(scan, false);
    case ']':
        if (scan->state != STATE_FIRST_VALUE) {
            return "expected a value";
        }
        pop(scan);
        return NULL;
    case 't':
    case 'f':
    case 'n':
        scan->literal = c == 't' ? 0 : c == 'f' ? 1 : 2;
        scan->literal_len = 1;
        scan->state = STATE_LITERAL;
        break;
    case '-': scan->state = STATE_MINUS; break;
    case '0': scan->state = STATE_ZERO; break;
    default:
        if (!is_digit(c)) {
            return "expected a value";
        }
        scan->state = STATE_INTEGER;
    }
    scan->n_values++;
    return NULL;
}

static const char *step_after(struct json_scan *scan, unsigned char c)
{
    bool is_object = in_object(scan);
    if (c == ',') {
        scan->state = is_object ? STATE_KEY : STATE_VALUE;
    } else if (c == (is_object ? '}' : ']')) {
        pop(scan);
    } else {
        return is_object ? "expected ',' or '}'" : "expected ',' or ']'";
    }
    return NULL;
}

static const char *step_key(struct json_scan *scan, unsigned char c)
{
    if (c == '"') {
        begin_string(scan, true);
    } else if (c == '}' && scan->state == STATE_FIRST_KEY) {
        pop(scan);
    } else {
        return "expected a key in double quotes";
    }
    return NULL;
}

static bool number_may_end(uint8_t state)
{
    return state == STATE_ZERO || state == STATE_INTEGER || state == STATE_FRACTION || state == STATE_EXPONENT;
}

static const char *step_structure(struct json_scan *scan, unsigned char c)
{
    if (is_space(c)) {
        return NULL;
    }
    switch (scan->state) {
    case STATE_VALUE:
    case STATE_FIRST_VALUE: return step_value(scan, c);
    case STATE_FIRST_KEY:
    case STATE_KEY: return step_key(scan, c);
    case STATE_AFTER: return step_after(scan, c);
    case STATE_COLON: scan->state = STATE_VALUE; return c == ':' ? NULL : "expected ':'";
    default: return "expected nothing after the end of the value";
    }
}

static const char *step_number(struct json_scan *scan, unsigned char c)
{
    uint8_t state = scan->state;
    bool is_start = state == STATE_MINUS || state == STATE_POINT || state == STATE_E || state == STATE_E_SIGN;
    if (is_digit(c) && state != STATE_ZERO) {
        scan->state = state == STATE_MINUS                        ? (c == '0' ? STATE_ZERO : STATE_INTEGER)
                      : state == STATE_POINT                      ? STATE_FRACTION
                      : state == STATE_E || state == STATE_E_SIGN ? STATE_EXPONENT
                                                                  : state;
    } else if (c == '.' && (state == STATE_ZERO || state == STATE_INTEGER)) {
        scan->state = STATE_POINT;
    } else if ((c == 'e' || c == 'E') && !is_start && state != STATE_EXPONENT) {
        scan->state = STATE_E;
    } else if ((c == '+' || c == '-') && state == STATE_E) {
        scan->state = STATE_E_SIGN;
    } else if (number_may_end(state)) {
        end_value(scan);
        return step_structure(scan, c);
    } else {
        return "expected a digit";
    }
    return NULL;
}

static const char *step_literal(struct json_scan *scan, unsigned char c)
{
    const char *word = literals[scan->literal];
    if (c != (unsigned char)word[scan->literal_len]) {
        return "expected true, false or null";
    }
    scan->literal_len++;
    if (word[scan->literal_len] == '\0') {
        end_value(scan);
    }
    return NULL;
}

static const char *step_hex(struct json_scan *scan, unsigned char c)
{
    unsigned char lower = c | 0x20;
    if (!is_digit(c) && !(lower >= 'a' && lower <= 'f')) {
        return "expected four hexadecimal digits after \\u";
    }
    int digit = is_digit(c) ? c - '0' : lower - 'a' + 10;
    scan->unit = (uint16_t)(scan->unit << 4 | digit);
    if (++scan->n_hex < 4) {
        return NULL;
    }
    bool is_high = scan->unit >= 0xd800 && scan->unit < 0xdc00;
    bool is_low = scan->unit >= 0xdc00 && scan->unit < 0xe000;
    if (is_low != scan->is_low) {
        return "unpaired surrogate in a \\u escape";
    }
    scan->is_low = false;
    scan->state = is_high ? STATE_PAIR_BACKSLASH : STATE_TEXT;
    return NULL;
}

static const char *step_escape(struct json_scan *scan, unsigned char c)
{
    switch (scan->state) {
    case STATE_HEX: return step_hex(scan, c);
    case STATE_PAIR_BACKSLASH:
        scan->state = STATE_PAIR_U;
        return c == '\\' ? NULL : "unpaired surrogate in a \\u escape";
    case STATE_PAIR_U:
        scan->is_low = true;
        if (c != 'u') {
            return "unpaired surrogate in a \\u escape";
        }
    }
    if (c == 'u') {
        scan->unit = 0;
        scan->n_hex = 0;
        scan->state = STATE_HEX;
        return NULL;
    }
    scan->state = STATE_TEXT;
    return c != '\0' && strchr("\"\\/bfnrt", c) ? NULL : "unknown escape in a string";
}

static const char *step(struct json_scan *scan, unsigned char c)
{
    if (scan->state <= STATE_LAST_SPACED) {
        return step_structure(scan, c);
    }
    if (scan->state < STATE_LITERAL) {
        return step_number(scan, c);
    }
    if (scan->state == STATE_LITERAL) {
        return step_literal(scan, c);
    }
    return scan->state == STATE_FAILED ? "text after an error" : step_escape(scan, c);
}

// Finishes, byte by byte, a character that began in an earlier feed.
static const char *step_partial(struct json_scan *scan, unsigned char c)
{
    uint32_t codepoint;
    scan->partial[scan->n_partial++] = (char)c;
    struct str s = { scan->partial, scan->n_partial };
    if (utf8_decode(s, &codepoint) > 0) {
        scan->n_partial = 0;
    } else if (utf8_incomplete_tail(s) != s.len) {
        return "ill-formed UTF-8";
    }
    return NULL;
}

// Bytes of a string that mean themselves: not '"', '\', a control character or part of a longer one.
static const bool is_plain[256] = { [0x20] = true, [0x21] = true, [0x23 ... 0x5b] = true, [0x5d ... 0x7f] = true };

// Takes what it can of a string's body: the new position. *ret_reason is set when the byte there is refused.
static const unsigned char *scan_text(struct json_scan *scan, const unsigned char *p, const unsigned char *end,
                                      const char **ret_reason)
{
    while (p < end) {
        if (scan->n_partial > 0) {
            *ret_reason = step_partial(scan, *p);
            if (*ret_reason) {
                return p;
            }
            p++;
            continue;
        }
        while (p < end && is_plain[*p]) {
            p++;
        }
        if (p == end) {
            return p;
        }
        uint32_t codepoint;
        size_t len = *p >= 0x80 ? utf8_decode((struct str){ (const char *)p, (size_t)(end - p) }, &codepoint) : 0;
        if (len > 0) {
            p += len;
        } else if (*p >= 0x80) {
            *ret_reason = step_partial(scan, *p);
            if (*ret_reason) {
                return p;
            }
            p++;
        } else if (*p == '"') {
            scan->state = STATE_COLON;
            if (!scan->is_key) {
                end_value(scan);
            }
            return p + 1;
        } else if (*p == '\\') {
            scan->state = STATE_ESCAPE;
            return p + 1;
        } else {
            *ret_reason = "control character in a string (write it as an escape)";
            return p;
        }
    }
    return p;
}

static int fail(struct json_scan *scan, unsigned char c, const char *reason, struct err *err)
{
    unsigned long long offset = scan->n_bytes;
    scan->state = STATE_FAILED;
    if (c > 0x20 && c < 0x7f) {
        return err_set(err, -EINVAL, "byte %llu: %s, found '%c'", offset, reason, c);
    }
    return err_set(err, -EINVAL, "byte %llu: %s, found byte 0x%02x", offset, reason, c);
}

int json_scan_feed(struct json_scan *scan, struct str bytes, struct err *err)
{
    const unsigned char *begin = (const unsigned char *)bytes.ptr, *p = begin;
    const unsigned char *end = bytes.len > 0 ? begin + bytes.len : begin;
    const char *reason = NULL;
    while (p < end && !reason) {
        if (scan->state == STATE_TEXT) {
            p = scan_text(scan, p, end, &reason);
        } else {
            reason = step(scan, *p);
            p += !reason;
        }
    }
    scan->n_bytes += (uint64_t)(p - begin);
    if (reason) {
        return fail(scan, *p, reason, err);
    }
    return scan->state == STATE_END && scan->is_container ? JSON_SCAN_COMPLETE : JSON_SCAN_MORE;
}

int json_scan_end(const struct json_scan *scan, struct err *err)
{
    unsigned long long offset = scan->n_bytes;
    if (scan->state == STATE_END || (scan->depth == 0 && number_may_end(scan->state))) {
        return 0;
    }
    if (scan->state == STATE_FAILED) {
        return err_set(err, -EINVAL, "byte %llu: not JSON", offset);
    }
    if (scan->n_values == 0) {
        return err_set(err, -EINVAL, "byte %llu: expected a value, found the end of the text", offset);
    }
    const char *inside = scan->state >= STATE_TEXT         ? "a string"
                         : scan->state > STATE_LAST_SPACED ? "a number or literal"
                         : in_object(scan)                 ? "an object"
                                                           : "an array";
    return err_set(err, -EINVAL, "byte %llu: the text ends inside %s", offset, inside);
}
