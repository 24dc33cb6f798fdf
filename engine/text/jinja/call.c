// Calls: binding arguments to parameters, macros, and whatever else a template may call.
#include "engine/text/jinja/call.h"

#include "engine/text/jinja/eval.h"
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/ops.h"

#include <errno.h>
#include <string.h>

static unsigned n_params(const struct signature *sig)
{
    unsigned n = 0;

    while (n < PARAMS_MAX && sig->params[n] != NULL) {
        n++;
    }
    return n;
}

static void bind_keyword(struct rt *rt, const char *name, const struct signature *sig, unsigned n,
                         const struct kwarg *kw, struct value out[PARAMS_MAX])
{
    for (unsigned i = 0; i < n && !sig->is_positional; i++) {
        if (!str_eq(str_from(sig->params[i]), kw->name)) {
            continue;
        }
        if (out[i].type != V_MISSING) {
            rt_fail(rt, "%s() got multiple values for argument '%s'", name, sig->params[i]);
        }
        out[i] = kw->value;
        return;
    }
    rt_fail(rt, "%s() got an unexpected keyword argument '%.*s'", name, STR_ARG(kw->name));
}

void args_bind(struct rt *rt, const char *name, const struct signature *sig, const struct args *args,
               struct value out[PARAMS_MAX])
{
    unsigned n = n_params(sig);

    memset(out, 0, PARAMS_MAX * sizeof(out[0])); // V_MISSING
    if (args->n > n) {
        rt_fail(rt, "%s() takes at most %u arguments (%u given)", name, n, args->n);
    }
    for (uint32_t i = 0; i < args->n; i++) {
        out[i] = args->pos[i];
    }
    for (uint32_t i = 0; i < args->n_kw; i++) {
        bind_keyword(rt, name, sig, n, &args->kw[i], out);
    }
    for (unsigned i = 0; i < sig->n_required; i++) {
        if (out[i].type == V_MISSING) {
            rt_fail(rt, "%s() missing required argument: '%s'", name, sig->params[i]);
        }
    }
}

struct value builtin_call(struct rt *rt, const char *name, const struct signature *sig, builtin_fn fn,
                          struct value self, const struct args *args)
{
    struct value bound[PARAMS_MAX];

    if (sig->is_variadic) {
        return fn(rt, self, NULL, args);
    }
    args_bind(rt, name, sig, args, bound);
    return fn(rt, self, bound, args);
}

// ---- macros --------------------------------------------------------------------------------------------------------

static const struct kwarg *find_kwarg(const struct args *args, struct str name)
{
    for (uint32_t i = 0; i < args->n_kw; i++) {
        if (str_eq(args->kw[i].name, name)) {
            return &args->kw[i];
        }
    }
    return NULL;
}

static bool is_param(const struct macro_def *def, struct str name)
{
    for (uint32_t i = 0; i < def->n_params; i++) {
        if (str_eq(def->params[i]->name->name, name)) {
            return true;
        }
    }
    return false;
}

// Keywords that are no parameters: into `kwargs`, or an error. A parameter given by position stays in the keywords, as
// in Jinja.
static void take_other_keywords(struct rt *rt, const struct macro_def *def, const struct args *args,
                                struct value *frame)
{
    struct dict *rest = dict_new(rt, args->n_kw);
    bool has_caller_slot = def->uses_caller && !def->has_explicit_caller;

    for (uint32_t i = 0; i < args->n_kw; i++) {
        struct str name = args->kw[i].name;
        bool is_taken = has_caller_slot && str_eq(name, STR("caller"));

        for (uint32_t k = args->n; k < def->n_params && !is_taken; k++) {
            is_taken = str_eq(def->params[k]->name->name, name);
        }
        if (is_taken) {
            continue;
        }
        if (!def->uses_kwargs && str_eq(name, STR("caller")) && is_param(def, name)) {
            rt_fail(
                rt,
                "macro '%.*s' was invoked with two values for the special caller argument. This is most likely a bug.",
                STR_ARG(def->name));
        }
        if (!def->uses_kwargs) {
            rt_fail(rt, "macro '%.*s' takes no keyword argument '%.*s'", STR_ARG(def->name), STR_ARG(name));
        }
        dict_set(rt, rest, value_from_str(name), args->kw[i].value);
    }
    if (def->uses_kwargs) {
        frame[def->kwargs_slot.slot] = (struct value){ .type = V_DICT, .dict = rest };
    }
}

static void bind_special(struct rt *rt, const struct macro_def *def, const struct args *args, struct value *frame)
{
    if (def->uses_caller && !def->has_explicit_caller) {
        const struct kwarg *caller = find_kwarg(args, STR("caller"));

        frame[def->caller_slot.slot] =
            caller != NULL && caller->value.type != V_NONE ? caller->value : rt_undefined(rt, STR("No caller defined"));
    }
    if (args->n_kw > 0 || def->uses_kwargs) {
        take_other_keywords(rt, def, args, frame);
    }
    if (def->uses_varargs) {
        uint32_t n_extra = args->n > def->n_params ? args->n - def->n_params : 0;

        frame[def->varargs_slot.slot] = rt_list(rt, V_TUPLE, args->pos + (n_extra > 0 ? def->n_params : 0), n_extra);
    } else if (args->n > def->n_params) {
        rt_fail(rt, "macro '%.*s' takes not more than %u argument(s)", STR_ARG(def->name), def->n_params);
    }
}

static void bind_params(const struct macro_def *def, const struct args *args, struct value *frame)
{
    for (uint32_t i = 0; i < def->n_params; i++) {
        struct str name = def->params[i]->name->name;
        const struct kwarg *kw = i < args->n ? NULL : find_kwarg(args, name);

        frame[def->param_slots[i].slot] = i < args->n ? args->pos[i] : kw != NULL ? kw->value : VALUE_MISSING;
    }
}

// Defaults are evaluated in the macro's own frame, one after the other.
static void fill_defaults(struct rt *rt, const struct macro_def *def, struct value *frame)
{
    uint32_t first_default = def->n_params - def->n_defaults;

    for (uint32_t i = 0; i < def->n_params; i++) {
        struct value *slot = &frame[def->param_slots[i].slot];

        if (slot->type != V_MISSING) {
            continue;
        }
        if (i >= first_default) {
            *slot = eval(rt, def->defaults[i - first_default]);
        } else {
            struct undefined *u = rt_alloc(rt, sizeof(*u));

            *u = (struct undefined){ .name = def->params[i]->name->name };
            u->hint = value_str(rt_printf(rt, "parameter '%.*s' was not provided", STR_ARG(u->name)));
            *slot = (struct value){ .type = V_UNDEFINED, .undefined = u };
        }
    }
}

struct value macro_call(struct rt *rt, const struct macro *macro, const struct args *args)
{
    const struct macro_def *def = macro->def;
    uint32_t n_slots = def->function.n_slots, depth = rt->depth;
    struct frame *frame = rt_alloc(rt, sizeof(*frame) + n_slots * sizeof(struct value)), *outer_frame = rt->frame;
    size_t mark = rt->out->len, outer_buffer = rt_buffer_begin(rt);
    struct value result;

    rt_charge(rt, 4 + n_slots);
    rt->depth += def->depth + 8;
    rt_enter(rt);
    memset(frame->slots, 0, n_slots * sizeof(struct value));
    frame->outer = macro->outer;
    bind_params(def, args, frame->slots);
    bind_special(rt, def, args, frame->slots);
    rt->frame = frame;
    enter_scope(rt, &def->entry);
    fill_defaults(rt, def, frame->slots);
    exec_body(rt, &def->body);
    result = rt_capture(rt, mark);
    rt_buffer_end(rt, outer_buffer);
    rt->frame = outer_frame;
    rt->depth = depth;
    return result;
}

// ---- any callable --------------------------------------------------------------------------------------------------

bool value_is_callable(struct value v)
{
    switch ((enum value_type)v.type) {
    case V_MACRO:
    case V_METHOD:
    case V_FUNCTION:
    case V_OBJECT:
    case V_LOOP:
    case V_UNDEFINED: return true; // an undefined value can be called; the call fails
    default: return false;
    }
}

struct value call_value(struct rt *rt, struct value callee, const struct args *args)
{
    switch ((enum value_type)callee.type) {
    case V_MACRO: return macro_call(rt, callee.macro, args);
    case V_FUNCTION:
        return builtin_call(rt, callee.function->name, &callee.function->sig, callee.function->fn, VALUE_NONE, args);
    case V_METHOD: {
        const struct builtin_method *method = callee.method->method;

        if (method->fn == NULL) {
            rt_fail_code(rt, -EOPNOTSUPP, "the method '%s' is not supported", method->name);
        }
        return builtin_call(rt, method->name, &method->sig, method->fn, callee.method->self, args);
    }
    case V_OBJECT:
        if (callee.object->call == NULL) {
            rt_fail(rt, "'%s' object is not callable", callee.object->type_name);
        }
        return callee.object->call(rt, callee.object, args);
    case V_UNDEFINED: rt_fail_undefined(rt, callee);
    case V_LOOP: rt_fail(rt, "The loop must have the 'recursive' marker to be called recursively.");
    default: rt_fail(rt, "'%s' object is not callable", value_type_name(callee));
    }
}

struct value filter_call_named(struct rt *rt, struct value name, struct value self, const struct args *args)
{
    const struct filter *filter = name.type == V_STR ? filter_find(value_str(name)) : NULL;

    if (filter == NULL) {
        rt_fail(rt, "No filter named '%.*s'.", STR_ARG(value_str(to_str(rt, name))));
    }
    return builtin_call(rt, filter->name, &filter->sig, filter->fn, self, args);
}

bool test_call_named(struct rt *rt, struct value name, struct value self, const struct args *args)
{
    const struct test *test = name.type == V_STR ? test_find(value_str(name)) : NULL;

    if (test == NULL) {
        rt_fail(rt, "No test named '%.*s'.", STR_ARG(value_str(to_str(rt, name))));
    }
    return test_run(rt, test, self, args);
}
