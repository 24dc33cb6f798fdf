// Filters that give a generator: nothing happens until their items are asked for, errors included.
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/strings.h"

#include <string.h>

#define FILTER(name)                                                                                                   \
    static struct value name(struct rt *rt, struct value v, const struct value *a, const struct args *args)

// What a generator keeps of its filter's arguments.
struct lazy {
    struct args args;
    bool is_attribute; // map(attribute=...), selectattr, rejectattr
    bool is_negated;
    struct dict *seen; // unique
    struct value attribute, default_value;
};

static struct value lazy_new(struct rt *rt, const char *repr,
                             bool (*next)(struct rt *, struct iter_object *, struct value *), struct value input,
                             const struct args *args, struct lazy **ret)
{
    struct value v = iter_object_new(rt, repr, next, input);
    struct lazy *lazy = rt_alloc(rt, sizeof(*lazy));
    struct kwarg *kw = rt_alloc(rt, args->n_kw * sizeof(*kw));

    if (args->n_kw > 0) {
        memcpy(kw, args->kw, args->n_kw * sizeof(*kw));
    }
    *lazy = (struct lazy){ .args = { rt_list(rt, V_TUPLE, args->pos, args->n).items, args->n, kw, args->n_kw } };
    v.iter->data = lazy;
    *ret = lazy;
    return v;
}

// Generators of Jinja look at their input's truth first: an empty or undefined or none input ends them at once.
static bool begin(struct rt *rt, struct iter_object *self)
{
    if (!self->is_started) {
        self->is_started = true;
        if (!value_truth(rt, self->input)) {
            self->source = (struct iter){ .source = { .type = V_LIST } };
            return true;
        }
        iter_begin(rt, &self->source, self->input);
        return true;
    }
    return false;
}

static struct args skip_args(const struct args *args, uint32_t n)
{
    return (struct args){ args->pos + n, args->n - n, args->kw, args->n_kw };
}

// ---- map -----------------------------------------------------------------------------------------------------------

static void prepare_map(struct rt *rt, struct lazy *lazy)
{
    for (uint32_t i = 0; i < lazy->args.n_kw && lazy->args.n == 0; i++) {
        lazy->is_attribute |= str_eq(lazy->args.kw[i].name, STR("attribute"));
    }
    if (!lazy->is_attribute) {
        if (lazy->args.n == 0) {
            rt_fail(rt, "map requires a filter argument");
        }
        return;
    }
    for (uint32_t i = 0; i < lazy->args.n_kw; i++) {
        if (str_eq(lazy->args.kw[i].name, STR("attribute"))) {
            lazy->attribute = lazy->args.kw[i].value;
        } else if (str_eq(lazy->args.kw[i].name, STR("default"))) {
            lazy->default_value = lazy->args.kw[i].value;
        } else {
            rt_fail(rt, "Unexpected keyword argument '%.*s'", STR_ARG(lazy->args.kw[i].name));
        }
    }
}

static bool next_map(struct rt *rt, struct iter_object *self, struct value *ret)
{
    struct lazy *lazy = (struct lazy *)self->data;
    struct value item;
    struct args rest;

    if (begin(rt, self) && value_truth(rt, self->input)) {
        prepare_map(rt, lazy);
    }
    if (!iter_next(rt, &self->source, &item)) {
        return false;
    }
    if (lazy->is_attribute) {
        *ret = get_path(rt, item, lazy->attribute, lazy->default_value);
        return true;
    }
    rest = skip_args(&lazy->args, 1);
    *ret = filter_call_named(rt, lazy->args.pos[0], item, &rest);
    return true;
}

FILTER(f_map)
{
    struct lazy *lazy;

    (void)a;
    return lazy_new(rt, "generator object sync_do_map", next_map, v, args, &lazy);
}

// ---- select, reject ------------------------------------------------------------------------------------------------

static bool is_selected(struct rt *rt, const struct lazy *lazy, struct value item)
{
    uint32_t n_used = lazy->is_attribute ? 1 : 0;
    struct args rest;

    if (lazy->is_attribute) {
        item = get_path(rt, item, lazy->args.pos[0], VALUE_MISSING);
    }
    if (lazy->args.n == n_used) {
        return value_truth(rt, item);
    }
    rest = skip_args(&lazy->args, n_used + 1);
    return test_call_named(rt, lazy->args.pos[n_used], item, &rest);
}

static bool next_selected(struct rt *rt, struct iter_object *self, struct value *ret)
{
    const struct lazy *lazy = self->data;

    if (begin(rt, self) && lazy->is_attribute && lazy->args.n == 0 && value_truth(rt, self->input)) {
        rt_fail(rt, "Missing parameter for attribute name");
    }
    while (iter_next(rt, &self->source, ret)) {
        if (is_selected(rt, lazy, *ret) != lazy->is_negated) {
            return true;
        }
    }
    return false;
}

static struct value select_items(struct rt *rt, const char *repr, struct value v, const struct args *args,
                                 bool is_attribute, bool is_negated)
{
    struct lazy *lazy;
    struct value object = lazy_new(rt, repr, next_selected, v, args, &lazy);

    lazy->is_attribute = is_attribute;
    lazy->is_negated = is_negated;
    return object;
}

FILTER(f_select)
{
    (void)a;
    return select_items(rt, "generator object select_or_reject", v, args, false, false);
}

FILTER(f_reject)
{
    (void)a;
    return select_items(rt, "generator object select_or_reject", v, args, false, true);
}

FILTER(f_selectattr)
{
    (void)a;
    return select_items(rt, "generator object select_or_reject", v, args, true, false);
}

FILTER(f_rejectattr)
{
    (void)a;
    return select_items(rt, "generator object select_or_reject", v, args, true, true);
}

// ---- unique, items, batch, slice -----------------------------------------------------------------------------------

static bool next_unique(struct rt *rt, struct iter_object *self, struct value *ret)
{
    struct lazy *lazy = (struct lazy *)self->data;

    if (!self->is_started) {
        self->is_started = true;
        iter_begin(rt, &self->source, self->input);
        lazy->seen = dict_new(rt, 8);
    }
    while (iter_next(rt, &self->source, ret)) {
        struct value key = get_path(rt, *ret, self->args[1], VALUE_MISSING);

        if (key.type == V_STR && !(self->args[0].type != V_MISSING && value_truth(rt, self->args[0]))) {
            key = str_map_case(rt, key, CASE_LOWER);
        }
        if (dict_get(rt, lazy->seen, key) == NULL) {
            dict_set(rt, lazy->seen, key, VALUE_NONE);
            return true;
        }
    }
    return false;
}

FILTER(f_unique)
{
    struct lazy *lazy;
    struct value object = lazy_new(rt, "generator object sync_do_unique", next_unique, v, args, &lazy);

    object.iter->args[0] = a[0];
    object.iter->args[1] = a[1];
    return object;
}

static bool next_item_pair(struct rt *rt, struct iter_object *self, struct value *ret)
{
    if (!self->is_started) {
        self->is_started = true;
        if (self->input.type == V_UNDEFINED) {
            self->source = (struct iter){ .source = { .type = V_LIST } };
        } else if (self->input.type != V_DICT) {
            rt_fail(rt, "Can only get item pairs from a mapping.");
        } else {
            self->source = (struct iter){ .source = { .type = V_VIEW, .flags = VIEW_ITEMS, .dict = self->input.dict } };
        }
    }
    return iter_next(rt, &self->source, ret);
}

FILTER(f_items)
{
    (void)a;
    (void)args;
    return iter_object_new(rt, "generator object do_items", next_item_pair, v);
}

static bool next_batch(struct rt *rt, struct iter_object *self, struct value *ret)
{
    struct list_builder list = { 0 };
    struct value item;
    int64_t size = index_arg(rt, self->args[0], "linecount");

    if (!self->is_started) {
        self->is_started = true;
        iter_begin(rt, &self->source, self->input);
    }
    while ((int64_t)list.n < size && iter_next(rt, &self->source, &item)) {
        list_add(rt, &list, item);
    }
    if (list.n == 0) {
        return false;
    }
    while (str_arg_is_given(self->args[1]) && (int64_t)list.n < size) {
        rt_charge(rt, 1);
        list_add(rt, &list, self->args[1]);
    }
    *ret = list_end(&list);
    return true;
}

FILTER(f_batch)
{
    struct value object = iter_object_new(rt, "generator object do_batch", next_batch, v);

    (void)args;
    object.iter->args[0] = a[0];
    object.iter->args[1] = a[1];
    return object;
}

static bool next_slice(struct rt *rt, struct iter_object *self, struct value *ret)
{
    int64_t n = index_arg(rt, self->args[0], "slices"), size, extra, i, start, end;
    struct list_builder list = { 0 };

    if (!self->is_started) {
        self->is_started = true;
        self->input = value_to_list(rt, self->input);
        if (n == 0) {
            rt_fail(rt, "integer division or modulo by zero");
        }
    }
    i = self->n_done++;
    if (i >= n) {
        return false;
    }
    size = self->input.len / n;
    extra = self->input.len % n;
    start = i * size + (i < extra ? i : extra);
    end = start + size + (i < extra);
    for (int64_t k = start; k < end; k++) {
        list_add(rt, &list, self->input.items[k]);
    }
    if (str_arg_is_given(self->args[1]) && i >= extra) {
        list_add(rt, &list, self->args[1]);
    }
    *ret = list_end(&list);
    return true;
}

FILTER(f_slice)
{
    struct value object = iter_object_new(rt, "generator object sync_do_slice", next_slice, v);

    (void)args;
    object.iter->args[0] = a[0];
    object.iter->args[1] = a[1];
    return object;
}

const struct filter lazy_filters[] = {
    { "map", f_map, { .is_variadic = true }, true },
    { "select", f_select, { .is_variadic = true }, true },
    { "reject", f_reject, { .is_variadic = true }, true },
    { "selectattr", f_selectattr, { .is_variadic = true }, true },
    { "rejectattr", f_rejectattr, { .is_variadic = true }, true },
    { "unique", f_unique, { .params = { "case_sensitive", "attribute" } } },
    { "items", f_items, { 0 } },
    { "batch", f_batch, { .n_required = 1, .params = { "linecount", "fill_with" } } },
    { "slice", f_slice, { .n_required = 1, .params = { "slices", "fill_with" } } },
    { 0 },
};
