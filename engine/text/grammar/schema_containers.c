// Objects and arrays of a schema: chains of members, made from the last one to the first.
//
//   "{" one[0]        one[i]   the next member is one of i..n: member i, or (if it may be left out) one[i + 1]
//   member i -> more[i + 1]     more[i]  "," one[i], or "}" if none of i..n is required
#include "engine/text/grammar/grammar.h"
#include "engine/text/grammar/schema.h"
#include <errno.h>
#include <stdio.h>

struct members {
    const struct json **schemas; // [n]
    struct str *names;           // [n]
    bool *is_required;           // [n]
    size_t n;
    const struct json *other;    // schema of other members; NULL: there are none
    const struct json *patterns; // their names: the keys of patternProperties; NULL: any
    const struct json *naming;   // their names: strings of this schema; NULL: any
};

#define COUNTS_MAX 256 // members that are counted

// Where members are counted there is a chain for each count so far. Up to the largest count that may be, or to the
// least that must be, which then stands for all above it.
struct counts {
    uint32_t min, last;
    bool has_max; // it is `last`
};

// What follows a member that `count` members came before.
static uint32_t after(const struct counts *n, const uint32_t *nodes, uint32_t count)
{
    if (count == n->last) {
        return n->has_max ? NFA_FAILED : nodes[count];
    }
    return nodes[count + 1];
}

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

// A count that other members could reach by coming twice cannot be demanded: readers take them for one.
static struct counts take_counts(struct schema_compiler *c, const struct members *m, const struct json *schema)
{
    uint32_t n_required = 0;
    for (size_t i = 0; i < m->n; i++) {
        n_required += m->is_required[i];
    }
    uint32_t min = schema_count(c, schema, "minProperties", 0),
             max = schema_count(c, schema, "maxProperties", UINT32_MAX);
    min = min <= n_required ? 0 : min;
    max = !m->other && max >= m->n ? UINT32_MAX : max;
    if (min > 1 && m->other) {
        schema_fail(c, -EOPNOTSUPP, "\"minProperties\" above 1 beside additional properties is not supported");
    }
    if (min > COUNTS_MAX || (max != UINT32_MAX && max > COUNTS_MAX)) {
        schema_fail(c, -EOPNOTSUPP, "\"minProperties\" and \"maxProperties\" above %d are not supported", COUNTS_MAX);
        min = max = 0;
    }
    bool has_max = max != UINT32_MAX;
    return (struct counts){ min, has_max ? max : min, has_max };
}

// patternProperties and propertyNames: only where nothing is declared by name, and with one schema for all.
static void take_naming(struct schema_compiler *c, struct members *m, const struct json *schema)
{
    const struct json *patterns = json_get(schema, STR("patternProperties"));
    m->naming = json_get(schema, STR("propertyNames"));
    if (patterns && patterns->type != JSON_OBJECT) {
        schema_fail(c, -EINVAL, "\"patternProperties\" must be an object");
    } else if (patterns && patterns->n_children > 0) {
        m->patterns = patterns;
        m->other = json_next(json_first(patterns));
        if (patterns->n_children > 1) {
            schema_fail(c, -EOPNOTSUPP, "\"patternProperties\" with more than one pattern is not supported");
        }
    }
    if ((m->patterns || m->naming) && (m->n > 0 || (m->patterns && m->naming))) {
        schema_fail(c, -EOPNOTSUPP, "\"%s\" beside other names is not supported",
                    m->patterns ? "patternProperties" : "propertyNames");
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

static uint32_t write_other_name(struct schema_compiler *c, const struct members *m, uint32_t next)
{
    const struct json *string;
    if (m->patterns) {
        return schema_write_pattern(c, json_first(m->patterns)->text, next);
    }
    if (!m->naming) {
        return json_parts_other_name(&c->parts, m->names, m->n, next);
    }
    if (json_parse(c->arena, STR("{\"type\":\"string\"}"), &string, NULL) < 0) {
        return schema_fail(c, -E2BIG, "the schema is too large");
    }
    const struct json *naming = schema_merge(c, m->naming, string);
    return naming ? schema_write_at(c, naming, "propertyNames", -1, next) : NFA_FAILED;
}

// A member's value; where there is a chain for each count it is a rule, so that its nodes are there once.
struct value {
    const struct json *schema;
    const char *path;
    bool is_rule, is_written;
    uint32_t rule;
};

static uint32_t write_value(struct schema_compiler *c, struct value *value, uint32_t next)
{
    if (!value->is_rule) {
        return schema_write_at(c, value->schema, value->path, -1, next);
    }
    if (!value->is_written) {
        value->is_written = true;
        value->rule = nfa_rule(c->nfa);
        nfa_rule_set(c->nfa, value->rule, schema_write_at(c, value->schema, value->path, -1, NFA_ENDED));
    }
    return nfa_call(c->nfa, value->rule, next);
}

// Members that are not described, one or more: one[count] the first of them, more[count] what follows one.
static void write_others(struct schema_compiler *c, const struct members *m, const struct counts *n,
                         const uint32_t *close, uint32_t *one, uint32_t *more)
{
    struct value value = { m->other, m->patterns ? "patternProperties" : "additionalProperties", n->last > 0, false,
                           0 };
    for (uint32_t count = 0; count <= n->last; count++) {
        one[count] = NFA_FAILED;
        more[count] = m->other ? nfa_loop(c->nfa) : close[count];
    }
    for (uint32_t count = 0; m->other && count <= n->last; count++) {
        uint32_t next = after(n, more, count);
        uint32_t is_value = next != NFA_FAILED ? write_value(c, &value, next) : NFA_FAILED;
        uint32_t named = is_value != NFA_FAILED ? json_parts_colon(&c->parts, is_value) : NFA_FAILED;
        one[count] = named != NFA_FAILED ? write_other_name(c, m, named) : NFA_FAILED;
    }
    for (uint32_t count = 0; m->other && count <= n->last; count++) {
        uint32_t comma = one[count] != NFA_FAILED ? json_parts_comma(&c->parts, one[count]) : NFA_FAILED;
        nfa_loop_set(c->nfa, more[count], comma, close[count]);
    }
}

// Adds member i before those that are in `one` and `more`.
static void write_member(struct schema_compiler *c, const struct members *m, size_t i, const struct counts *n,
                         bool may_close, const uint32_t *close, uint32_t *one, uint32_t *more)
{
    char path[96];
    snprintf(path, sizeof path, "properties.%.*s", STR_ARG(str_take(m->names[i], 60)));
    struct value value = { m->schemas[i], path, n->last > 0, false, 0 };
    for (uint32_t count = 0; count <= n->last && c->error == 0; count++) {
        uint32_t next = after(n, more, count);
        uint32_t first = next != NFA_FAILED ? write_value(c, &value, next) : NFA_FAILED;
        uint32_t member = first != NFA_FAILED ? write_name(c, m->names[i], first) : NFA_FAILED;
        one[count] = m->is_required[i] ? member : nfa_either(c->nfa, member, one[count]);
    }
    for (uint32_t count = 0; count <= n->last; count++) {
        uint32_t comma = one[count] != NFA_FAILED ? json_parts_comma(&c->parts, one[count]) : NFA_FAILED;
        more[count] = may_close ? nfa_either(c->nfa, comma, close[count]) : comma;
    }
}

uint32_t schema_write_object(struct schema_compiler *c, const struct json *schema, uint32_t next)
{
    struct members m = { 0 };
    uint32_t close[COUNTS_MAX + 1], one[COUNTS_MAX + 1], more[COUNTS_MAX + 1];
    if (!take_members(c, &m, schema)) {
        return NFA_FAILED;
    }
    take_naming(c, &m, schema);
    const struct counts n = take_counts(c, &m, schema);
    uint32_t closed = json_parts_close(&c->parts, '}', next);
    for (uint32_t count = 0; count <= n.last; count++) {
        close[count] = count >= n.min ? closed : NFA_FAILED;
    }
    write_others(c, &m, &n, close, one, more);
    bool may_close = true;
    for (size_t i = m.n; i > 0 && c->error == 0 && c->nfa->error == 0; i--) {
        may_close = may_close && !m.is_required[i - 1];
        write_member(c, &m, i - 1, &n, may_close, close, one, more);
    }
    return json_parts_open(&c->parts, '{', may_close ? nfa_either(c->nfa, one[0], close[0]) : one[0]);
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
