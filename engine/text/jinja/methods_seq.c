// The methods of list, tuple, dict, range and the numbers. Those that would change their object are hidden by the
// sandbox.
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/strings.h"

#include <errno.h>
#include <math.h>

#define METHOD(name)                                                                                                   \
    static struct value name(struct rt *rt, struct value self, const struct value *a, const struct args *args)
#define UNUSED ((void)rt, (void)a, (void)args)

METHOD(seq_count)
{
    int64_t n = 0;

    UNUSED;
    rt_charge(rt, self.len / 4);
    for (uint32_t i = 0; i < self.len; i++) {
        n += value_equal(rt, self.items[i], a[0]);
    }
    return VALUE_INT(n);
}

static uint32_t clip_index(struct rt *rt, struct value v, uint32_t len, uint32_t otherwise)
{
    int64_t i;

    if (v.type == V_MISSING) {
        return otherwise;
    }
    i = index_arg(rt, v, "index");
    i += i < 0 ? len : 0;
    return i < 0 ? 0 : i > len ? len : (uint32_t)i;
}

METHOD(seq_index)
{
    uint32_t start = clip_index(rt, a[1], self.len, 0), stop = clip_index(rt, a[2], self.len, self.len);

    UNUSED;
    rt_charge(rt, self.len / 4);
    for (uint32_t i = start; i < stop; i++) {
        if (value_equal(rt, self.items[i], a[0])) {
            return VALUE_INT(i);
        }
    }
    rt_fail(rt, "%s is not in %s", self.type == V_LIST ? "value" : "tuple.index(x): x", value_type_name(self));
}

METHOD(seq_copy)
{
    UNUSED;
    return self;
}

METHOD(range_m_count)
{
    UNUSED;
    return VALUE_INT(value_contains(rt, self, a[0]));
}

METHOD(range_m_index)
{
    struct iter it = { .source = self };
    struct value item;

    UNUSED;
    for (int64_t i = 0; iter_next(rt, &it, &item); i++) {
        if (value_equal(rt, item, a[0])) {
            return VALUE_INT(i);
        }
    }
    rt_fail(rt, "value is not in range");
}

METHOD(int_m_conjugate)
{
    UNUSED;
    return self.type == V_BOOL ? VALUE_INT(self.i) : self;
}

// Of a number of 64 bits, without its sign.
static uint64_t magnitude(struct rt *rt, struct value v)
{
    if (v.type == V_BIGINT) {
        rt_fail_code(rt, -EOPNOTSUPP, "an integer does not fit 64 bits");
    }
    return v.i < 0 ? 0 - (uint64_t)v.i : (uint64_t)v.i;
}

METHOD(int_m_bit_length)
{
    uint64_t n = magnitude(rt, self);

    UNUSED;
    return VALUE_INT(n == 0 ? 0 : 64 - __builtin_clzll(n));
}

METHOD(int_m_bit_count)
{
    UNUSED;
    return VALUE_INT(__builtin_popcountll(magnitude(rt, self)));
}

METHOD(float_m_is_integer)
{
    UNUSED;
    return VALUE_BOOL(isfinite(self.f) && floor(self.f) == self.f);
}

METHOD(dict_m_get)
{
    const struct value *found = dict_get(rt, self.dict, a[0]);

    UNUSED;
    return found != NULL ? *found : a[1].type == V_MISSING ? VALUE_NONE : a[1];
}

static struct value view(struct value self, enum view_kind kind)
{
    return (struct value){ .type = V_VIEW, .flags = (uint8_t)kind, .dict = self.dict };
}

METHOD(dict_m_keys)
{
    UNUSED;
    return view(self, VIEW_KEYS);
}

METHOD(dict_m_values)
{
    UNUSED;
    return view(self, VIEW_VALUES);
}

METHOD(dict_m_items)
{
    UNUSED;
    return view(self, VIEW_ITEMS);
}

METHOD(dict_m_fromkeys)
{
    struct dict *dict = dict_new(rt, 8);
    struct iter it;
    struct value key;

    (void)self;
    UNUSED;
    iter_begin(rt, &it, a[0]);
    while (iter_next(rt, &it, &key)) {
        dict_set(rt, dict, key, a[1].type == V_MISSING ? VALUE_NONE : a[1]);
    }
    return (struct value){ .type = V_DICT, .dict = dict };
}

#define NONE                                                                                                           \
    {                                                                                                                  \
        0                                                                                                              \
    }
#define POS(n, ...)                                                                                                    \
    {                                                                                                                  \
        .n_required = (n), .is_positional = true, .params = { __VA_ARGS__ }                                            \
    }

const struct builtin_method list_methods[] = {
    { "append", NULL, NONE, true },
    { "clear", NULL, NONE, true },
    { "copy", seq_copy, NONE, false },
    { "extend", NULL, NONE, true },
    { "insert", NULL, NONE, true },
    { "pop", NULL, NONE, true },
    { "remove", NULL, NONE, true },
    { "reverse", NULL, NONE, true },
    { "sort", NULL, NONE, true },
    { "count", seq_count, POS(1, "value"), false },
    { "index", seq_index, POS(1, "value", "start", "stop"), false },
    { 0 },
};

const struct builtin_method tuple_methods[] = {
    { "count", seq_count, POS(1, "value"), false },
    { "index", seq_index, POS(1, "value", "start", "stop"), false },
    { 0 },
};

const struct builtin_method dict_methods[] = {
    { "get", dict_m_get, POS(1, "key", "default"), false },
    { "items", dict_m_items, NONE, false },
    { "keys", dict_m_keys, NONE, false },
    { "values", dict_m_values, NONE, false },
    { "copy", seq_copy, NONE, false },
    { "fromkeys", dict_m_fromkeys, POS(1, "iterable", "value"), false },
    { "clear", NULL, NONE, true },
    { "pop", NULL, NONE, true },
    { "popitem", NULL, NONE, true },
    { "setdefault", NULL, NONE, true },
    { "update", NULL, NONE, true },
    { 0 },
};

const struct builtin_method range_methods[] = {
    { "count", range_m_count, POS(1, "value"), false },
    { "index", range_m_index, POS(1, "value"), false },
    { 0 },
};

const struct builtin_method int_methods[] = {
    { "bit_length", int_m_bit_length, NONE, false },
    { "bit_count", int_m_bit_count, NONE, false },
    { "conjugate", int_m_conjugate, NONE, false },
    { "as_integer_ratio", NULL, NONE, false },
    { "from_bytes", NULL, NONE, false },
    { "to_bytes", NULL, NONE, false },
    { 0 },
};

const struct builtin_method float_methods[] = {
    { "is_integer", float_m_is_integer, NONE, false },
    { "conjugate", int_m_conjugate, NONE, false },
    { "as_integer_ratio", NULL, NONE, false },
    { "fromhex", NULL, NONE, false },
    { "hex", NULL, NONE, false },
    { 0 },
};
