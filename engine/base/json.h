// JSON (RFC 8259): an incremental checker, a reader (tokens by jsmn, grammar and UTF-8 by the checker) and a writer.
//
// The checker knows the grammar with a bounded stack and is fed bytes as they arrive: it tells where the top-level
// value ends, so a file written in pieces can be committed by the write that completes it. The reader takes a complete
// text.
#ifndef TOKFS_BASE_JSON_H
#define TOKFS_BASE_JSON_H

#include "engine/base/arena.h"
#include "engine/base/err.h"
#include "engine/base/str.h"

#define JSON_DEPTH_MAX 256 // nesting of arrays and objects

// ---- checker -------------------------------------------------------------------------------------------------------

enum json_scan_result {
    JSON_SCAN_MORE,     // well formed so far
    JSON_SCAN_COMPLETE, // the top-level object or array has ended; only white space may follow
};

struct json_scan {
    uint64_t n_bytes;  // bytes fed so far: the offset of an error
    uint64_t n_values; // values begun so far, at every level, keys included: what json_parse must have room for
    // The rest is private.
    uint64_t stack[JSON_DEPTH_MAX / 64]; // bit per level: 1 object, 0 array
    uint32_t depth;
    uint16_t unit; // of a \u escape: the digits read so far
    uint8_t state;
    uint8_t n_hex;
    uint8_t literal; // which of true, false, null, and how much of it was seen
    uint8_t literal_len;
    uint8_t n_partial;
    char partial[4];   // a character cut by the end of a feed
    bool is_key;       // the string in hand
    bool is_low;       // the \u escape in hand must be a low surrogate
    bool is_container; // so is the top-level value
};

void json_scan_init(struct json_scan *scan);
// Feeds bytes: enum json_scan_result, or -EINVAL with the offset and reason in err (also bytes other than white space
// after the end); what is fed after an error is refused too. A top-level number or literal cannot know its end, so a
// text that is not an object or array never becomes COMPLETE; see json_scan_end.
int json_scan_feed(struct json_scan *scan, struct str bytes, struct err *err);
// 0 when what was fed is exactly one JSON value, else -EINVAL.
int json_scan_end(const struct json_scan *scan, struct err *err);

// ---- reader --------------------------------------------------------------------------------------------------------

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

// One value of a parsed text. Values lie in an array in document order (an object's children are key, value, key,
// value...); `next` skips a whole subtree. They live in the arena given to json_parse and borrow from the text given to
// it.
struct json {
    enum json_type type;
    uint32_t n_children; // array: elements; object: members
    uint32_t next;       // distance in array slots from this value to the one after its subtree
    bool boolean;
    struct str text; // string: decoded; number: its digits as written; array, object: the source text with its brackets
};

// 0, -EINVAL (ill formed; err has line and column) or -ENOMEM (arena full).
int json_parse(struct arena *arena, struct str text, const struct json **ret, struct err *err);
// Member of an object, the last one of that name (as Python and JavaScript take it); NULL when absent or not an object.
const struct json *json_get(const struct json *object, struct str key);
const struct json *json_at(const struct json *array, size_t idx); // NULL when out of range
// Iteration: for (size_t i = 0, const struct json *v = json_first(a); i < a->n_children; i++, v = json_next(v)); in an
// object each member is key then value: json_next(key) is the value, json_next(value) the next key.
const struct json *json_first(const struct json *container); // NULL when empty
const struct json *json_next(const struct json *value);
int json_get_i64(const struct json *number,
                 int64_t *ret);                    // 0, -EINVAL (not a whole number: 1.0 is one, 1.5 is not), -ERANGE
double json_get_double(const struct json *number); // correctly rounded; past the range of double: infinite
const char *json_type_name(enum json_type type);   // "object", "array", "string", ...

// ---- writer --------------------------------------------------------------------------------------------------------

// Appends to a strbuf whose sticky error is the writer's error. Compact form ({"a":1}); commas are placed by the
// writer.
struct json_writer {
    struct strbuf *out;
    bool need_comma;
};

void json_writer_init(struct json_writer *w, struct strbuf *out);
void json_write_object_begin(struct json_writer *w);
void json_write_object_end(struct json_writer *w);
void json_write_array_begin(struct json_writer *w);
void json_write_array_end(struct json_writer *w);
void json_write_key(struct json_writer *w, const char *key);
void json_write_member_u64(struct json_writer *w, const char *key, uint64_t v);
void json_write_member_bool(struct json_writer *w, const char *key, bool v);
void json_write_member_cstr(struct json_writer *w, const char *key, const char *v);
void json_write_key_str(struct json_writer *w, struct str key);
void json_write_str(struct json_writer *w,
                    struct str s); // escapes " \ and control characters; ill-formed UTF-8 -> U+FFFD
void json_write_cstr(struct json_writer *w, const char *s);
void json_write_i64(struct json_writer *w, int64_t v);
void json_write_u64(struct json_writer *w, uint64_t v);
void json_write_double(struct json_writer *w,
                       double v); // shortest text that reads back to the same bits; null if not finite
void json_write_bool(struct json_writer *w, bool v);
void json_write_null(struct json_writer *w);
void json_write_raw(struct json_writer *w, struct str json);            // an already encoded value
void json_write_value(struct json_writer *w, const struct json *value); // re-encodes, key order and number text kept

#endif
