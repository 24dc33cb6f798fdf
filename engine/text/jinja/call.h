// Calls at run time: arguments, their binding to parameters, and what can be called.
#ifndef TOKFS_TEXT_JINJA_CALL_H
#define TOKFS_TEXT_JINJA_CALL_H

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/rt.h"

struct kwarg {
    struct str name;
    struct value value;
};

struct args {
    const struct value *pos;
    uint32_t n;
    const struct kwarg *kw;
    uint32_t n_kw;
};

#define PARAMS_MAX 6

// How a built-in takes its arguments. `a` holds one value per parameter, V_MISSING for those not given; variadic
// built-ins look at `args` instead. `self`: what a filter or method is applied to.
struct signature {
    uint8_t n_required;
    bool is_variadic;               // no binding at all
    bool is_positional;             // parameters have no names
    const char *params[PARAMS_MAX]; // NULL-terminated
};

typedef struct value (*builtin_fn)(struct rt *rt, struct value self, const struct value *a, const struct args *args);

void args_bind(struct rt *rt, const char *name, const struct signature *sig, const struct args *args,
               struct value out[PARAMS_MAX]);
struct value builtin_call(struct rt *rt, const char *name, const struct signature *sig, builtin_fn fn,
                          struct value self, const struct args *args);

struct function { // global function
    const char *name;
    builtin_fn fn;
    struct signature sig;
};
const struct function *function_find(struct str name);

struct macro {
    const struct macro_def *def;
    struct frame *outer;
};

struct namespace
{
    struct dict *attrs;
};

struct method_object {
    struct value self;
    const struct builtin_method *method;
};

struct callable_object { // cycler, joiner
    const char *type_name;
    struct value (*call)(struct rt *rt, struct callable_object *self, const struct args *args);
    const struct value *items;
    uint32_t n, pos;
};

// current, next, reset of a cycler; false for other names.
bool object_attr(struct rt *rt, struct callable_object *object, struct str name, struct value *ret);

struct loop_state {
    struct iter iter;
    struct value current, before, after; // after: V_MISSING unless looked at ahead
    struct value last_changed;           // of loop.changed
    int64_t index0;
    int64_t length; // -1: not known yet
    bool is_exhausted;
};

// Calls any value; fails when it is not callable. `caller`: V_MISSING, or the macro of a call block.
struct value call_value(struct rt *rt, struct value callee, const struct args *args);
struct value macro_call(struct rt *rt, const struct macro *macro, const struct args *args);
bool value_is_callable(struct value v);

// A filter or test by its name at run time, as map and select take it.
struct value filter_call_named(struct rt *rt, struct value name, struct value self, const struct args *args);
bool test_call_named(struct rt *rt, struct value name, struct value self, const struct args *args);

#endif
