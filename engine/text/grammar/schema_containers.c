// Objects and arrays of a schema: chains of members, made from the last one to the first.
//
//   "{" one[0]        one[i]   the next member is one of i..n: member i, or (if it may be left out) one[i + 1]
//   member i -> more[i + 1]     more[i]  "," one[i], or "}" if none of i..n is required
#include "engine/text/grammar/grammar.h"
#include "engine/text/grammar/schema.h"
#include <errno.h>

struct members {
    const struct json **schemas; // [n]
    struct str *names;           // [n]
    bool *is_required;           // [n]
    size_t n;
    const struct json *other; // schema of other members; NULL: there are none
    bool has_any_other;       // of any kind
};

static bool is_listed(const struct json *list, struct str name)
{
    const struct json *item = list ? json_first(list) : NULL;
    for (size_t i = 0; list && i < list->n_children; i++, item = json_next(item)) {
        if (item->type == JSON_STRING && str_eq(item->text, name)) {
            return true;
        }
    }
    return false;
}

static void add_member(struct members *m, struct str name, const struct json *schema, bool is_required)
{
    m->names[m->n] = name;
    m->schemas[m->n] = schema;
    m->is_required[m->n++] = is_required;
}

// Required members that are not described follow those that are, as other members.
static void take_undescribed(struct schema_compiler *c, struct members *m, const struct json *properties,
                             const struct json *required, const struct json *additional)
{
    const struct json *item = required ? json_first(required) : NULL;
    for (size_t i = 0; required && i < required->n_children; i++, item = json_next(item)) {
        bool is_known = properties && json_get(properties, item->text);
        for (size_t k = 0; k < m->n && !is_known; k++) {
            is_known = str_eq(m->names[k], item->text);
        }
        if (item->type != JSON_STRING) {
            schema_fail(c, -EINVAL, "\"required\" must be an array of strings");
        } else if (!is_known) {
            add_member(m, item->text, additional, true);
        }
    }
}

static void take_properties(struct schema_compiler *c, struct members *m, const struct json *properties,
                            const struct json *required)
{
    const struct json *key = properties ? json_first(properties) : NULL;
    for (size_t i = 0; properties && i < properties->n_children; i++, key = json_next(json_next(key))) {
        if (json_get(properties, key->text) == json_next(key)) { // the last of that name
            add_member(m, key->text, json_next(key), is_listed(required, key->text));
        }
    }
    for (size_t i = 0; (c->flags & GRAMMAR_STRICT) && i < m->n; i++) {
        if (!m->is_required[i]) {
            schema_fail(c, -EINVAL, "strict: \"required\" must list every property (\"%.*s\" is missing)",
                        STR_ARG(str_take(m->names[i], 60)));
        }
    }
}

static bool take_members(struct schema_compiler *c, struct members *m, const struct json *schema)
{
    static const struct json any = { .type = JSON_BOOL, .next = 1, .boolean = true };
    const struct json *properties = json_get(schema, STR("properties")), *required = json_get(schema, STR("required"));
    const struct json *additional = json_get(schema, STR("additionalProperties"));
    if ((properties && properties->type != JSON_OBJECT) || (required && required->type != JSON_ARRAY)) {
        schema_fail(c, -EINVAL, "\"properties\" must be an object and \"required\" an array");
        return false;
    }
    bool is_closed = additional && additional->type == JSON_BOOL && !additional->boolean;
    if ((c->flags & GRAMMAR_STRICT) && !is_closed) {
        schema_fail(c, -EINVAL, "strict: \"additionalProperties\" must be false");
    }
    size_t n_max = (properties ? properties->n_children : 0) + (required ? required->n_children : 0);
    m->names = arena_alloc_array(c->arena, n_max + 1, sizeof(*m->names));
    m->schemas = arena_alloc_array(c->arena, n_max + 1, sizeof(const struct json *));
    m->is_required = arena_alloc_array(c->arena, n_max + 1, sizeof(bool));
    if (!m->names || !m->schemas || !m->is_required) {
        schema_fail(c, -E2BIG, "the schema is too large");
        return false;
    }
    take_properties(c, m, properties, required);
    take_undescribed(c, m, properties, required, additional ? additional : &any);
    m->other = additional ? (is_closed ? NULL : additional) : properties ? NULL : &any;
    return c->error == 0;
}

// How many members there may be can be said only where it follows from the properties.
static void check_counts(struct schema_compiler *c, const struct members *m, const struct json *schema)
{
    size_t n_required = 0;
    for (size_t i = 0; i < m->n; i++) {
        n_required += m->is_required[i];
    }
    if (schema_count(c, schema, "minProperties", 0) > n_required) {
        schema_fail(c, -EOPNOTSUPP, "\"minProperties\" above the number of required properties is not supported");
    }
    if (schema_count(c, schema, "maxProperties", UINT32_MAX) < (m->other ? UINT32_MAX : m->n)) {
        schema_fail(c, -EOPNOTSUPP, "\"maxProperties\" below the number of properties is not supported");
    }
}

static uint32_t write_name(struct schema_compiler *c, struct str name, uint32_t next)
{
    struct strbuf text;
    struct json_writer w;
    strbuf_init(&text, GRAMMAR_SOURCE_BYTES_MAX);
    json_writer_init(&w, &text);
    json_write_str(&w, name);
    uint32_t first = text.error == 0 ? nfa_literal(c->nfa, strbuf_str(&text), json_parts_colon(&c->parts, next))
                                     : schema_fail(c, -E2BIG, "a name is too long");
    strbuf_deinit(&text);
    return first;
}

// Members that are not described, one or more: ends in `close`.
static uint32_t write_others(struct schema_compiler *c, const struct members *m, uint32_t close, uint32_t *ret_more)
{
    *ret_more = close;
    if (!m->other) {
        return NFA_FAILED;
    }
    uint32_t more = nfa_loop(c->nfa);
    uint32_t value = schema_write_at(c, m->other, "additionalProperties", -1, more);
    uint32_t member = value != NFA_FAILED
                          ? json_parts_other_name(&c->parts, m->names, m->n, json_parts_colon(&c->parts, value))
                          : NFA_FAILED;
    uint32_t comma = member != NFA_FAILED ? json_parts_comma(&c->parts, member) : NFA_FAILED;
    nfa_loop_set(c->nfa, more, comma, close);
    *ret_more = more;
    return member;
}

uint32_t schema_write_object(struct schema_compiler *c, const struct json *schema, uint32_t next)
{
    struct members m = { 0 };
    if (!take_members(c, &m, schema)) {
        return NFA_FAILED;
    }
    check_counts(c, &m, schema);
    uint32_t close = json_parts_close(&c->parts, '}', next), more;
    uint32_t one = write_others(c, &m, close, &more);
    bool may_close = true;
    for (size_t i = m.n; i > 0 && c->error == 0 && c->nfa->error == 0; i--) {
        size_t len = c->path.len;
        strbuf_printf(&c->path, ".properties.%.*s", STR_ARG(str_take(m.names[i - 1], 60)));
        uint32_t value = schema_write(c, m.schemas[i - 1], more);
        if (c->path.len > len) {
            c->path.len = len;
            c->path.ptr[len] = '\0';
        }
        uint32_t member = value != NFA_FAILED ? write_name(c, m.names[i - 1], value) : NFA_FAILED;
        may_close = may_close && !m.is_required[i - 1];
        one = m.is_required[i - 1] ? member : nfa_either(c->nfa, member, one);
        uint32_t comma = one != NFA_FAILED ? json_parts_comma(&c->parts, one) : NFA_FAILED;
        more = may_close ? nfa_either(c->nfa, comma, close) : comma;
    }
    return json_parts_open(&c->parts, '{', may_close ? nfa_either(c->nfa, one, close) : one);
}

// ---- arrays --------------------------------------------------------------------------------------------------------

struct items {
    const struct json *first; // [n_first] schemas of the first ones
    uint32_t n_first;
    const struct json *rest; // of the others; NULL: there are none
    uint32_t min, max;       // max UINT32_MAX: any number
    uint32_t rest_rule;
};

static bool take_items(struct schema_compiler *c, struct items *it, const struct json *schema)
{
    static const struct json any = { .type = JSON_BOOL, .next = 1, .boolean = true };
    const struct json *items = json_get(schema, STR("items")), *first = json_get(schema, STR("prefixItems"));
    const struct json *additional = json_get(schema, STR("additionalItems"));
    if (items && items->type == JSON_ARRAY && !first) { // as up to draft 2019-09
        first = items;
        items = additional;
    }
    if (first && first->type != JSON_ARRAY) {
        schema_fail(c, -EINVAL, "\"prefixItems\" must be an array");
        return false;
    }
    it->first = first ? json_first(first) : NULL;
    it->n_first = first ? first->n_children : 0;
    it->rest = items ? items : &any;
    if (it->rest->type == JSON_BOOL && !it->rest->boolean) {
        it->rest = NULL;
    }
    it->min = schema_count(c, schema, "minItems", 0);
    it->max = schema_count(c, schema, "maxItems", UINT32_MAX);
    if (!it->rest && it->max > it->n_first) {
        it->max = it->n_first;
    }
    return c->error == 0;
}

static uint32_t write_item(struct schema_compiler *c, const struct items *it, uint32_t idx, uint32_t next)
{
    if (idx >= it->n_first) {
        return nfa_call(c->nfa, it->rest_rule, next);
    }
    const struct json *schema = it->first;
    for (uint32_t i = 0; i < idx; i++) {
        schema = json_next(schema);
    }
    return schema_write_at(c, schema, "prefixItems", (ptrdiff_t)idx, next);
}

// A rule for the items that are not among the first ones. False: none of them can be.
static bool write_rest_rule(struct schema_compiler *c, struct items *it)
{
    it->rest_rule = nfa_rule(c->nfa);
    uint32_t body = schema_write_at(c, it->rest, "items", -1, NFA_ENDED);
    nfa_rule_set(c->nfa, it->rest_rule, body);
    return body != NFA_FAILED;
}

uint32_t schema_write_array(struct schema_compiler *c, const struct json *schema, uint32_t next)
{
    struct items it = { 0 };
    if (!take_items(c, &it, schema)) {
        return NFA_FAILED;
    }
    bool has_rest = it.rest && write_rest_rule(c, &it);
    if (it.max < it.min || (!has_rest && it.min > it.n_first)) {
        return NFA_FAILED;
    }
    uint32_t close = json_parts_close(&c->parts, ']', next), more = close;
    uint32_t n = it.max != UINT32_MAX ? it.max : it.min > it.n_first ? it.min : it.n_first;
    uint32_t item = NFA_FAILED; // the next item, and those after it; `more` is what follows an item
    if (it.max == UINT32_MAX && has_rest) {
        more = nfa_loop(c->nfa);
        item = write_item(c, &it, n, more);
        nfa_loop_set(c->nfa, more, json_parts_comma(&c->parts, item), close);
    } else if (!has_rest && n > it.n_first) {
        n = it.n_first;
    }
    for (uint32_t i = n; i > 0 && c->error == 0 && c->nfa->error == 0; i--) {
        if (i < n || item == NFA_FAILED) { // what may follow item i
            uint32_t comma = item != NFA_FAILED ? json_parts_comma(&c->parts, item) : NFA_FAILED;
            more = i >= it.min ? nfa_either(c->nfa, comma, close) : comma;
        } else if (i < it.min) {
            more = json_parts_comma(&c->parts, item);
        }
        item = more != NFA_FAILED ? write_item(c, &it, i - 1, more) : NFA_FAILED;
    }
    return json_parts_open(&c->parts, '[', it.min == 0 ? nfa_either(c->nfa, item, close) : item);
}
