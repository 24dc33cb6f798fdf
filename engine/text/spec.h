// Reading the fields of tokenizer.json's components, with messages that name the entry.
//
// `where` is the component's own path ("pre_tokenizer.pretokenizers[0]").
#ifndef TOKFS_TEXT_SPEC_H
#define TOKFS_TEXT_SPEC_H

#include "engine/base/err.h"
#include "engine/base/json.h"

#define SPEC_PATH_MAX 96

enum spec_need { SPEC_REQUIRED, SPEC_OPTIONAL }; // an optional field may also be null; *ret is then left alone

int spec_str(const struct json *object, const char *where, const char *key, enum spec_need need, struct str *ret,
             struct err *err);
int spec_bool(const struct json *object, const char *where, const char *key, enum spec_need need, bool *ret,
              struct err *err);
int spec_u32(const struct json *object, const char *where, const char *key, enum spec_need need, uint32_t *ret,
             struct err *err);
// A string of exactly one character.
int spec_char(const struct json *object, const char *where, const char *key, enum spec_need need, struct str *ret,
              struct err *err);
// A heap copy of a text that outlives its JSON: 0 or -ENOMEM.
int spec_copy(struct str s, struct str *ret);
// A member that must be an object or an array; NULL in *ret when an optional one is absent or null.
int spec_container(const struct json *object, const char *where, const char *key, enum json_type type,
                   enum spec_need need, const struct json **ret, struct err *err);

// "pattern": {"String": ...} or {"Regex": ...}; an empty string comes out as the empty expression.
int spec_pattern(const struct json *object, const char *where, struct str *ret, bool *ret_is_regex, struct err *err);

// The "type" of a component as an index into a table of n kinds of `size` bytes, which begin with their name (a table
// of names will do), or an error: -EINVAL without a type, -EOPNOTSUPP naming it.
int spec_type(const struct json *component, const char *where, const void *kinds, size_t n, size_t size, int *ret,
              struct err *err);
// Calls fn for the component, or for each member of (nested) Sequences, whose members stand in `list_key`, in order.
typedef int (*spec_component_fn)(void *ctx, const struct json *component, const char *where, struct err *err);
int spec_for_each(const struct json *component, const char *where, const char *list_key, spec_component_fn fn,
                  void *ctx, struct err *err);

#endif
