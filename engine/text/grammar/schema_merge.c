// Two schemas as one, written as the text of a schema and read again.
//
// What both say must be sayable at once: properties of both names are joined by allOf, lists of required names are
// joined, equal keywords stay, "number" and "integer" are "integer". All else that both say is refused, and so is a ban
// on additional properties where the other schema describes some that this one does not.
#include "engine/text/grammar/grammar.h"
#include "engine/text/grammar/schema.h"
#include <errno.h>

#define MERGES_MAX 10000
#define REFS_MAX   16

static const struct json *read_back(struct schema_compiler *c, struct strbuf *text)
{
    const struct json *schema = NULL;
    struct str copy = text->error == 0 ? arena_copy(c->arena, strbuf_str(text)) : (struct str){ 0 };
    strbuf_deinit(text);
    if (!copy.ptr || ++c->n_merges > MERGES_MAX || json_parse(c->arena, copy, &schema, NULL) < 0) {
        schema_fail(c, -E2BIG, "the schema is too large");
        return NULL;
    }
    return schema;
}

const struct json *schema_without(struct schema_compiler *c, const struct json *schema, const char *key)
{
    struct strbuf text;
    struct json_writer w;
    strbuf_init(&text, GRAMMAR_SOURCE_BYTES_MAX);
    json_writer_init(&w, &text);
    json_write_object_begin(&w);
    const struct json *name = json_first(schema);
    for (size_t i = 0; i < schema->n_children; i++, name = json_next(json_next(name))) {
        if (!str_eq(name->text, str_from(key)) && !schema_is_annotation(name->text)) {
            json_write_key_str(&w, name->text);
            json_write_value(&w, json_next(name));
        }
    }
    json_write_object_end(&w);
    return read_back(c, &text);
}

static bool is_equal(const struct json *a, const struct json *b)
{
    struct strbuf text[2];
    for (int i = 0; i < 2; i++) {
        struct json_writer w;
        strbuf_init(&text[i], GRAMMAR_SOURCE_BYTES_MAX);
        json_writer_init(&w, &text[i]);
        json_write_value(&w, i == 0 ? a : b);
    }
    bool is_same = text[0].error == 0 && text[1].error == 0 && str_eq(strbuf_str(&text[0]), strbuf_str(&text[1]));
    strbuf_deinit(&text[0]);
    strbuf_deinit(&text[1]);
    return is_same;
}

static void join_properties(struct json_writer *w, const struct json *a, const struct json *b)
{
    json_write_object_begin(w);
    for (int side = 0; side < 2; side++) {
        const struct json *from = side == 0 ? a : b, *other = side == 0 ? b : a;
        const struct json *name = json_first(from);
        for (size_t i = 0; i < from->n_children; i++, name = json_next(json_next(name))) {
            const struct json *same = json_get(other, name->text);
            if (same && side == 1) {
                continue;
            }
            json_write_key_str(w, name->text);
            if (!same || is_equal(same, json_next(name))) {
                json_write_value(w, json_next(name));
                continue;
            }
            json_write_object_begin(w);
            json_write_key(w, "allOf");
            json_write_array_begin(w);
            json_write_value(w, json_next(name));
            json_write_value(w, same);
            json_write_array_end(w);
            json_write_object_end(w);
        }
    }
    json_write_object_end(w);
}

static void join_lists(struct json_writer *w, const struct json *a, const struct json *b)
{
    json_write_array_begin(w);
    for (int side = 0; side < 2; side++) {
        const struct json *list = side == 0 ? a : b, *item = json_first(list);
        for (size_t i = 0; i < list->n_children; i++, item = json_next(item)) {
            json_write_value(w, item);
        }
    }
    json_write_array_end(w);
}

static bool is_type(const struct json *value, struct str name)
{
    return value->type == JSON_STRING && str_eq(value->text, name);
}

static void join_keyword(struct schema_compiler *c, struct json_writer *w, struct str key, const struct json *a,
                         const struct json *b)
{
    bool are_objects = a->type == JSON_OBJECT && b->type == JSON_OBJECT;
    bool are_arrays = a->type == JSON_ARRAY && b->type == JSON_ARRAY;
    if (str_eq(key, STR("properties")) && are_objects) {
        join_properties(w, a, b);
    } else if ((str_eq(key, STR("required")) || str_eq(key, STR("allOf"))) && are_arrays) {
        join_lists(w, a, b);
    } else if (is_equal(a, b)) {
        json_write_value(w, a);
    } else if (str_eq(key, STR("type")) && ((is_type(a, STR("integer")) && is_type(b, STR("number"))) ||
                                            (is_type(b, STR("integer")) && is_type(a, STR("number"))))) {
        json_write_cstr(w, "integer");
    } else {
        schema_fail(c, -EOPNOTSUPP, "schemas that are joined (allOf, or beside anyOf and $ref) both have \"%.*s\"",
                    STR_ARG(str_take(key, 60)));
    }
}

// A says which properties there may be besides its own; B may not add some.
static void check_closed(struct schema_compiler *c, const struct json *a, const struct json *b)
{
    const struct json *additional = json_get(a, STR("additionalProperties")), *own = json_get(a, STR("properties"));
    const struct json *properties = json_get(b, STR("properties"));
    if (!additional || (additional->type == JSON_BOOL && additional->boolean) || !properties) {
        return;
    }
    const struct json *name = json_first(properties);
    for (size_t i = 0; i < properties->n_children; i++, name = json_next(json_next(name))) {
        if (!own || !json_get(own, name->text)) {
            schema_fail(c, -EOPNOTSUPP,
                        "\"additionalProperties\" beside a schema with other properties (\"%.*s\") is not supported",
                        STR_ARG(str_take(name->text, 60)));
        }
    }
}

// The schema itself in place of a reference to it; what stands beside a reference is joined with it.
static const struct json *follow_refs(struct schema_compiler *c, const struct json *schema)
{
    for (int n = 0; schema && schema->type == JSON_OBJECT; n++) {
        const struct json *ref = json_get(schema, STR("$ref"));
        if (!ref || c->error != 0) {
            return schema;
        }
        if (n == REFS_MAX || ref->type != JSON_STRING) {
            schema_fail(c, -EINVAL, "\"$ref\" goes round in a circle or is no string");
            return NULL;
        }
        const struct json *beside = schema_without(c, schema, "$ref");
        schema = schema_resolve(c, ref->text);
        if (schema && beside && beside->n_children > 0) {
            return schema_merge(c, beside, schema);
        }
    }
    return schema;
}

static const struct json *merge_objects(struct schema_compiler *c, const struct json *a, const struct json *b)
{
    struct strbuf text;
    struct json_writer w;
    strbuf_init(&text, GRAMMAR_SOURCE_BYTES_MAX);
    json_writer_init(&w, &text);
    json_write_object_begin(&w);
    for (int side = 0; side < 2; side++) {
        const struct json *from = side == 0 ? a : b, *other = side == 0 ? b : a, *name = json_first(from);
        for (size_t i = 0; i < from->n_children; i++, name = json_next(json_next(name))) {
            const struct json *value = json_next(name), *same = json_get(other, name->text);
            if (schema_is_annotation(name->text) || (same && side == 1) || json_get(from, name->text) != value) {
                continue;
            }
            json_write_key_str(&w, name->text);
            if (same) {
                join_keyword(c, &w, name->text, value, same);
            } else {
                json_write_value(&w, value);
            }
        }
    }
    json_write_object_end(&w);
    if (c->error != 0) {
        strbuf_deinit(&text);
        return NULL;
    }
    return read_back(c, &text);
}

const struct json *schema_merge(struct schema_compiler *c, const struct json *a, const struct json *b)
{
    if (++c->depth > 100) {
        schema_fail(c, -E2BIG, "schemas refer to each other too deeply");
        return NULL;
    }
    a = follow_refs(c, a);
    b = follow_refs(c, b);
    c->depth--;
    if (!a || !b || c->error != 0) {
        return NULL;
    }
    for (int side = 0; side < 2; side++) {
        const struct json *one = side == 0 ? a : b, *other = side == 0 ? b : a;
        if (one->type == JSON_BOOL) {
            return one->boolean ? other : one;
        }
        if (one->type != JSON_OBJECT) {
            schema_fail(c, -EINVAL, "a schema must be an object, true or false");
            return NULL;
        }
    }
    check_closed(c, a, b);
    check_closed(c, b, a);
    return c->error == 0 ? merge_objects(c, a, b) : NULL;
}
