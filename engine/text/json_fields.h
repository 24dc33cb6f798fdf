// Tables of JSON object members: one row says what a field is, what it may be, and what is done with it.
//
// Shared by the parsers of all requests. Rows move from FIELD_REFUSE to FIELD_TAKE_* when the engine learns to honour a
// field.
#ifndef TOKFS_TEXT_JSON_FIELDS_H
#define TOKFS_TEXT_JSON_FIELDS_H

#include "engine/base/arena.h"
#include "engine/base/err.h"
#include "engine/base/json.h"
#include <stddef.h>

enum field_types {
    T_BOOL = 1 << 0,
    T_NUMBER = 1 << 1,
    T_INTEGER = 1 << 2,
    T_STRING = 1 << 3,
    T_ARRAY = 1 << 4,
    T_OBJECT = 1 << 5,
    T_ANY = (1 << 6) - 1,
};

enum field_action {
    FIELD_IGNORE,        // checked, without effect on the answer
    FIELD_REFUSE,        // would change the answer: only null and `neutral` pass, anything else is -EOPNOTSUPP
    FIELD_TAKE_BOOL,     // bool at offset
    FIELD_TAKE_BOOL_NOT, // likewise, its opposite
    FIELD_TAKE_I64,      // int64_t at offset
    FIELD_TAKE_DOUBLE,   // double at offset
    FIELD_TAKE_STR,      // struct str at offset, borrowed from the JSON
    FIELD_TAKE_JSON,     // const struct json * at offset
    FIELD_TAKE,          // `take` does it
};

struct field_ctx {
    struct arena *arena;
    struct err *err;
    void *target; // the struct that offsets refer to
};

struct field {
    const char *name;
    unsigned types; // accepted JSON types; null always passes and means "not given"
    enum field_action action;
    double min, max;     // of numbers; both 0: unbounded
    size_t offset;       // FIELD_TAKE_BOOL ... FIELD_TAKE_JSON
    const char *neutral; // FIELD_REFUSE: the JSON text of the value that changes nothing
    int (*take)(struct field_ctx *ctx, const struct json *value, const char *path);
};

// Fields of one struct.
struct field_table {
    const struct field *rows;
    size_t n_rows;
    void *target; // the struct that offsets refer to
};

#define FIELD_PATH_MAX 64 // of err.param

// Applies the table to every member of `object`. `path` is the object's own path ("" at the top). A member that is not
// in it is an error, whose message begins with unknown_msg.
int fields_apply(struct field_ctx *ctx, const struct field *table, size_t n_fields, const struct json *object,
                 const char *path, const char *unknown_msg);
// The same with several tables, each with a target of its own; a name is looked up in their order.
int fields_apply_tables(struct field_ctx *ctx, const struct field_table *tables, size_t n_tables,
                        const struct json *object, const char *path, const char *unknown_msg);
// One row, one value.
int field_apply(struct field_ctx *ctx, const struct field *field, const struct json *value, const char *path);
const struct field *field_find(const struct field *table, size_t n_fields, struct str name);

// "Invalid type for 'path': expected ..., but got ... instead." -EINVAL
int field_type_error(struct err *err, const char *path, const char *expected, const struct json *got);
int field_check_type(struct err *err, const struct json *value, unsigned types, const char *path);
int field_missing(struct err *err, const char *path);
// Text that fits err.msg: a value as the client wrote it, shortened.
void field_quote(struct str text, char out[static 48]);
void field_path(char out[static FIELD_PATH_MAX], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// A member that has to be there: 0 with its value; `ret_path` is its path in any case.
int field_member(struct field_ctx *ctx, const struct json *object, const char *path, const char *name, unsigned types,
                 const struct json **ret, char ret_path[static FIELD_PATH_MAX]);
// Checks of one value, for fields_each: a string, an object, an integer from 0 to INT32_MAX.
int field_check_string(struct field_ctx *ctx, const struct json *value, const char *path);
int field_check_object(struct field_ctx *ctx, const struct json *value, const char *path);
int field_check_token_id(struct field_ctx *ctx, const struct json *value, const char *path);
// `check` of each element, whose path is "path[i]", until one is refused.
int fields_each(struct field_ctx *ctx, const struct json *array, const char *path,
                int (*check)(struct field_ctx *ctx, const struct json *value, const char *path));
// The body's bytes are UTF-8 and spell a JSON object; the words of OpenAI's API otherwise. -EINVAL, -ENOMEM.
int field_parse_object(struct arena *arena, struct str body, const struct json **ret, struct err *err);
int field_check_utf8(struct str body, struct err *err);
bool json_is_given(const struct json *object, const char *name); // a member that is not null
bool json_equal(const struct json *a, const struct json *b); // same value: numbers by value, objects whatever the order

#endif
