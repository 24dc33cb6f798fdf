// Entry points: compiling, and setting up one rendering (heap, variables, the catching of errors).
#include "engine/text/jinja/jinja.h"

#include "engine/text/jinja/eval.h"

#include <errno.h>
#include <stdlib.h>

int jinja_compile(struct str source, const struct jinja_options *options, struct jinja_template **ret, struct err *err)
{
    struct jinja_template *tmpl = calloc(1, sizeof(*tmpl));
    struct token_list tokens;
    int r;

    if (tmpl == NULL) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    arena_init(&tmpl->arena, 0);
    r = lex_normalize(&tmpl->arena, source, &tmpl->source, err);
    if (r == 0) {
        r = lex(&tmpl->arena, tmpl->source, options, &tokens, err);
    }
    if (r == 0) {
        r = jinja_parse(&tmpl->arena, tmpl->source, &tokens, &tmpl->body, err);
    }
    if (r == 0) {
        r = jinja_resolve(tmpl, err);
    }
    if (r < 0) {
        jinja_free(tmpl);
        return r;
    }
    *ret = tmpl;
    return 0;
}

void jinja_free(struct jinja_template *tmpl)
{
    if (tmpl == NULL) {
        return;
    }
    arena_deinit(&tmpl->arena);
    free(tmpl);
}

bool jinja_has_generation(const struct jinja_template *tmpl)
{
    return tmpl->has_generation;
}

// ---- JSON to values ------------------------------------------------------------------------------------------------

static struct value from_json(struct rt *rt, const struct json *json);

static struct value number_from_json(const struct json *json)
{
    int64_t i;
    bool is_float = false;

    for (size_t k = 0; k < json->text.len; k++) {
        char c = json->text.ptr[k];

        is_float |= c == '.' || c == 'e' || c == 'E';
    }
    if (is_float) {
        return VALUE_FLOAT(json_get_double(json));
    }
    if (json_get_i64(json, &i) == 0) {
        return VALUE_INT(i);
    }
    return (struct value){ .type = V_BIGINT, .len = (uint32_t)json->text.len, .s = json->text.ptr };
}

static struct value list_from_json(struct rt *rt, const struct json *json)
{
    struct value *items = rt_alloc_values(rt, json->n_children);
    const struct json *child = json_first(json);

    rt_charge(rt, json->n_children);
    for (uint32_t i = 0; i < json->n_children; i++, child = json_next(child)) {
        items[i] = from_json(rt, child);
    }
    return (struct value){ .type = V_LIST, .len = json->n_children, .items = items };
}

static struct value dict_from_json(struct rt *rt, const struct json *json)
{
    struct dict *dict = dict_new(rt, json->n_children);
    const struct json *key = json_first(json);

    rt_charge(rt, json->n_children);
    for (uint32_t i = 0; i < json->n_children; i++) {
        const struct json *value = json_next(key);

        dict_set(rt, dict, value_from_str(key->text), from_json(rt, value));
        key = json_next(value);
    }
    return (struct value){ .type = V_DICT, .dict = dict };
}

// The reader bounds the nesting.
static struct value from_json(struct rt *rt, const struct json *json)
{
    switch (json->type) {
    case JSON_NULL: return VALUE_NONE;
    case JSON_BOOL: return VALUE_BOOL(json->boolean);
    case JSON_NUMBER: return number_from_json(json);
    case JSON_STRING: return value_from_str(json->text);
    case JSON_ARRAY: return list_from_json(rt, json);
    case JSON_OBJECT: return dict_from_json(rt, json);
    }
    return VALUE_NONE;
}

static struct value from_var(struct rt *rt, const struct jinja_var *var)
{
    switch (var->kind) {
    case JINJA_JSON: return from_json(rt, var->json);
    case JINJA_TEXT: return value_from_str(var->text);
    case JINJA_BOOL: return VALUE_BOOL(var->boolean);
    case JINJA_NONE: break;
    }
    return VALUE_NONE;
}

// A global that was looked for and not found: distinct from one that was not looked for yet.
#define GLOBAL_ABSENT ((struct value){ .type = V_MISSING, .flags = 1 })

struct value rt_global(struct rt *rt, uint32_t idx)
{
    const struct global_name *global = &rt->tmpl->globals[idx];
    struct value *cached = &rt->globals[idx];

    if (cached->type != V_MISSING || cached->flags != 0) {
        return cached->type != V_MISSING ? *cached : VALUE_MISSING;
    }
    *cached = GLOBAL_ABSENT;
    for (size_t i = rt->n_vars; i > 0; i--) {
        if (str_eq(rt->vars[i - 1].name, global->name)) {
            *cached = from_var(rt, &rt->vars[i - 1]);
            return *cached;
        }
    }
    if (global->function != NULL) {
        *cached = (struct value){ .type = V_FUNCTION, .function = global->function };
        return *cached;
    }
    return VALUE_MISSING;
}

// ---- rendering -----------------------------------------------------------------------------------------------------

static void render(struct rt *rt)
{
    uint32_t n_slots = rt->tmpl->function.n_slots;
    struct frame *frame = rt_alloc(rt, sizeof(*frame) + n_slots * sizeof(struct value));

    rt_charge(rt, n_slots + rt->tmpl->n_globals);
    frame->outer = NULL;
    memset(frame->slots, 0, n_slots * sizeof(struct value));
    rt->frame = frame;
    rt->globals = rt_alloc_values(rt, rt->tmpl->n_globals);
    memset(rt->globals, 0, rt->tmpl->n_globals * sizeof(struct value));
    enter_scope(rt, &rt->tmpl->entry);
    exec_body(rt, &rt->tmpl->body);
}

static int render_catching(struct rt *rt)
{
    if (setjmp(rt->on_error) != 0) {
        return rt->error_code;
    }
    render(rt);
    return 0;
}

int jinja_render(const struct jinja_template *tmpl, const struct jinja_input *input, struct strbuf *out,
                 struct err *err)
{
    struct arena arena;
    char no_text[1]; // room of no bytes: the first string takes a chunk
    struct rt rt = {
        .tmpl = tmpl,
        .out = out,
        .out_start = out->len,
        .vars = input->vars,
        .n_vars = input->n_vars,
        .now = input->now,
        .arena = &arena,
        .text_ptr = no_text,
        .text_end = no_text,
        .steps_left = input->steps_left != NULL ? *input->steps_left : JINJA_STEPS_MAX,
        .generation = input->generation,
        .buffer_start = RT_NO_BUFFER,
        .n_counted = out->len,
        .err = err,
    };
    size_t n_spans = input->generation != NULL ? input->generation->n : 0;
    int r;

    if (out->error != 0) {
        return err_set(err, out->error, "the output cannot be written");
    }
    arena_init(&arena, RT_HEAP_BYTES_MAX);
    strbuf_reserve(out, 1024);
    r = render_catching(&rt);
    if (r < 0) {
        out->len = rt.out_start;
        out->error = 0;
        if (input->generation != NULL) {
            input->generation->n = n_spans;
        }
    }
    if (input->steps_left != NULL) {
        *input->steps_left = rt.steps_left;
    }
    if (out->ptr != NULL && out->cap > out->len) {
        out->ptr[out->len] = 0; // the evaluator's appends leave this to the end
    }
    arena_deinit(&arena);
    return r;
}
