// JSON Schema into nodes. grammar.h tells how schemas are understood.
#ifndef TOKFS_TEXT_GRAMMAR_SCHEMA_H
#define TOKFS_TEXT_GRAMMAR_SCHEMA_H

#include "engine/base/json.h"
#include "engine/text/grammar/nfa.h"

// Adds the documents of a schema; `arena` holds what it makes on the way. Errors as grammar_from_schema.
int schema_add(struct nfa *nfa, struct arena *arena, const struct json *root, unsigned flags, const char *where,
               uint32_t *ret, struct err *err);

// ---- for its parts alone -------------------------------------------------------------------------------------------

#include "engine/text/grammar/json_parts.h"

struct schema_ref;

struct schema_compiler {
    struct nfa *nfa;
    struct arena *arena;
    const struct json *root;
    unsigned flags;
    struct json_parts parts;
    struct schema_ref *refs, *pending; // rules by their reference; those that have no body yet
    struct strbuf path;                // of the schema in hand
    uint32_t depth, n_merges;
    struct err *err;
    int error; // sticky
};

// Each adds what a schema (an object with keywords that were checked) allows of one type.
uint32_t schema_write(struct schema_compiler *c, const struct json *schema, uint32_t next); // any schema
uint32_t schema_write_at(struct schema_compiler *c, const struct json *schema, const char *key, ptrdiff_t idx,
                         uint32_t next); // the same, one step down in the path
uint32_t schema_write_string(struct schema_compiler *c, const struct json *schema, uint32_t next);
uint32_t schema_write_pattern(struct schema_compiler *c, struct str pattern, uint32_t next); // a string that it matches
uint32_t schema_write_number(struct schema_compiler *c, const struct json *schema, bool is_integer, uint32_t next);
uint32_t schema_write_object(struct schema_compiler *c, const struct json *schema, uint32_t next);
uint32_t schema_write_array(struct schema_compiler *c, const struct json *schema, uint32_t next);

// The first error counts. Returns NFA_FAILED.
uint32_t schema_fail(struct schema_compiler *c, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
// A whole number of a keyword, from 0 on; `absent` when it is not there.
uint32_t schema_count(struct schema_compiler *c, const struct json *schema, const char *key, uint32_t absent);
// What both schemas allow, as one schema, where that can be said simply; NULL and an error otherwise.
const struct json *schema_merge(struct schema_compiler *c, const struct json *a, const struct json *b);
// A schema without some of its keywords.
const struct json *schema_without(struct schema_compiler *c, const struct json *schema, const char *key);
bool schema_is_annotation(struct str keyword);
// The target of "$ref" within the document, NULL and an error when there is none.
const struct json *schema_resolve(struct schema_compiler *c, struct str ref);

#endif
