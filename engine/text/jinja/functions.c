// Global functions: Jinja's range, dict, namespace, cycler and joiner, and transformers' raise_exception and
// strftime_now.
#include "engine/text/jinja/eval.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/strings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RANGE_MAX 100000 // the sandbox's

#define FUNCTION(name)                                                                                                 \
    static struct value name(struct rt *rt, struct value self, const struct value *a, const struct args *args)
#define UNUSED ((void)self, (void)a, (void)args)

FUNCTION(fn_range)
{
    struct range *range = rt_alloc(rt, sizeof(*range));
    int64_t start = index_arg(rt, a[0], "start"), stop, step = 1, n = 0;

    UNUSED;
    if (a[1].type == V_MISSING) {
        stop = start;
        start = 0;
    } else {
        stop = index_arg(rt, a[1], "stop");
    }
    if (a[2].type != V_MISSING) {
        step = index_arg(rt, a[2], "step");
    }
    if (step == 0) {
        rt_fail(rt, "range() arg 3 must not be zero");
    }
    if (step > 0 ? start < stop : start > stop) {
        uint64_t span = step > 0 ? (uint64_t)stop - (uint64_t)start : (uint64_t)start - (uint64_t)stop;
        uint64_t by = step > 0 ? (uint64_t)step : 0 - (uint64_t)step, count = (span - 1) / by + 1;

        n = count > RANGE_MAX ? RANGE_MAX + 1 : (int64_t)count;
    }
    if (n > RANGE_MAX) {
        rt_fail(rt, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", RANGE_MAX);
    }
    *range = (struct range){ start, stop, step, (uint32_t)n };
    return (struct value){ .type = V_RANGE, .range = range };
}

// dict(mapping or pairs, **keywords)
static struct dict *build_dict(struct rt *rt, const struct args *args)
{
    struct dict *dict = dict_new(rt, args->n_kw + 4);
    struct value source, pair;
    struct iter it;

    if (args->n > 1) {
        rt_fail(rt, "dict expected at most 1 argument, got %u", args->n);
    }
    if (args->n == 1) {
        source = args->pos[0];
        if (source.type == V_DICT) {
            source = (struct value){ .type = V_VIEW, .flags = VIEW_ITEMS, .dict = source.dict };
        }
        iter_begin(rt, &it, source);
        while (iter_next(rt, &it, &pair)) {
            pair = value_to_list(rt, pair);
            if (pair.len != 2) {
                rt_fail(rt, "dictionary update sequence element has length %u; 2 is required", pair.len);
            }
            dict_set(rt, dict, pair.items[0], pair.items[1]);
        }
    }
    for (uint32_t i = 0; i < args->n_kw; i++) {
        dict_set(rt, dict, value_from_str(args->kw[i].name), args->kw[i].value);
    }
    return dict;
}

FUNCTION(fn_dict)
{
    UNUSED;
    return (struct value){ .type = V_DICT, .dict = build_dict(rt, args) };
}

FUNCTION(fn_namespace)
{
    struct namespace *ns = rt_alloc(rt, sizeof(*ns));

    UNUSED;
    ns->attrs = build_dict(rt, args);
    for (uint32_t i = 0; i < ns->attrs->n; i++) {
        struct value key = ns->attrs->entries[i].key;

        if (key.type == V_STR && key.len > 0 && key.s[0] == '_') {
            rt_fail(rt, "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '%.*s'.",
                    STR_ARG(value_str(key)));
        }
    }
    return (struct value){ .type = V_NAMESPACE, .ns = ns };
}

FUNCTION(fn_raise_exception)
{
    struct value message = to_str(rt, a[0]);

    UNUSED;
    rt_fail(rt, "%.*s", STR_ARG(value_str(message)));
}

// datetime.now().strftime(format). The C library's conversions, and Python's %f; time zones are empty for a naive time.
FUNCTION(fn_strftime_now)
{
    struct value format = rt_str(rt, str_arg(rt, a[0], "strftime_now")), out = VALUE_LIT("");
    struct tm tm;

    UNUSED;
    localtime_r(&rt->now, &tm);
    for (uint32_t i = 0; i < format.len;) {
        char conversion[4] = { 0 }, text[128];
        size_t len;

        if (format.s[i] != '%' || i + 1 == format.len) {
            out = rt_concat(rt, value_str(out), (struct str){ format.s + i, 1 });
            i++;
            continue;
        }
        len = strchr("-_0^#EO", format.s[i + 1]) != NULL && i + 2 < format.len ? 3 : 2;
        memcpy(conversion, format.s + i, len);
        i += (uint32_t)len;
        if (conversion[1] == 'f') {
            out = rt_concat(rt, value_str(out), STR("000000"));
        } else if (conversion[1] != 'z' && conversion[1] != 'Z' && conversion[1] != ':') {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            len = strftime(text, sizeof(text), conversion, &tm);
#pragma GCC diagnostic pop
            out = rt_concat(rt, value_str(out), (struct str){ text, len });
        }
    }
    return out;
}

static struct value next_of_cycle(struct rt *rt, struct value self, const struct value *a, const struct args *args)
{
    struct callable_object *cycler = self.object;
    struct value v = cycler->items[cycler->pos];

    (void)rt;
    (void)a;
    (void)args;
    cycler->pos = (cycler->pos + 1) % cycler->n;
    return v;
}

static struct value reset_cycle(struct rt *rt, struct value self, const struct value *a, const struct args *args)
{
    (void)rt;
    (void)a;
    (void)args;
    self.object->pos = 0;
    return VALUE_NONE;
}

bool object_attr(struct rt *rt, struct callable_object *object, struct str name, struct value *ret)
{
    static const struct builtin_method next = { "next", next_of_cycle, { 0 }, false },
                                       reset = { "reset", reset_cycle, { 0 }, false };
    struct method_object *bound;

    if (object->n == 0) {
        return false;
    }
    if (str_eq(name, STR("current"))) {
        *ret = object->items[object->pos];
        return true;
    }
    if (!str_eq(name, STR("next")) && !str_eq(name, STR("reset"))) {
        return false;
    }
    bound = rt_alloc(rt, sizeof(*bound));
    *bound = (struct method_object){ { .type = V_OBJECT, .object = object }, name.ptr[0] == 'n' ? &next : &reset };
    *ret = (struct value){ .type = V_METHOD, .method = bound };
    return true;
}

FUNCTION(fn_cycler)
{
    struct callable_object *object = rt_alloc(rt, sizeof(*object));

    UNUSED;
    if (args->n == 0) {
        rt_fail(rt, "at least one item has to be provided");
    }
    *object = (struct callable_object){ .type_name = "Cycler",
                                        .items = rt_list(rt, V_TUPLE, args->pos, args->n).items,
                                        .n = args->n };
    return (struct value){ .type = V_OBJECT, .object = object };
}

// Nothing at the first call, the separator after.
static struct value call_joiner(struct rt *rt, struct callable_object *self, const struct args *args)
{
    (void)rt;
    (void)args;
    return self->pos++ == 0 ? VALUE_LIT("") : self->items[0];
}

FUNCTION(fn_joiner)
{
    struct callable_object *object = rt_alloc(rt, sizeof(*object));
    struct value sep = a[0].type == V_MISSING ? VALUE_LIT(", ") : a[0];

    UNUSED;
    *object = (struct callable_object){ .type_name = "Joiner",
                                        .call = call_joiner,
                                        .items = rt_list(rt, V_TUPLE, &sep, 1).items };
    return (struct value){ .type = V_OBJECT, .object = object };
}

FUNCTION(fn_lipsum)
{
    UNUSED;
    rt_fail_code(rt, -EOPNOTSUPP, "lipsum() is not supported");
}

const struct function *function_find(struct str name)
{
    static const struct function functions[] = {
        { "raise_exception", fn_raise_exception, { .n_required = 1, .params = { "message" } } },
        { "strftime_now", fn_strftime_now, { .n_required = 1, .params = { "format" } } },
        { "namespace", fn_namespace, { .is_variadic = true } },
        { "range", fn_range, { .n_required = 1, .is_positional = true, .params = { "start", "stop", "step" } } },
        { "dict", fn_dict, { .is_variadic = true } },
        { "cycler", fn_cycler, { .is_variadic = true } },
        { "joiner", fn_joiner, { .params = { "sep" } } },
        { "lipsum", fn_lipsum, { .is_variadic = true } },
    };

    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        if (str_eq(str_from(functions[i].name), name)) {
            return &functions[i];
        }
    }
    return NULL;
}
