// object.name, object[key], object[a:b:c], and dotted paths as filters take them.
//
// An attribute prefers the type's own (a dict's `items` is the method even when there is such a key), a subscript
// prefers the item; each falls back to the other. What the sandbox hides, and what does not exist, is undefined.
#include "engine/text/jinja/eval.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/text.h"

#include <errno.h>
#include <string.h>

static const char *object_name(struct value v)
{
    return v.type == V_NONE ? "None" : v.type == V_NAMESPACE ? "jinja2.utils.Namespace" : value_type_name(v);
}

struct value undefined_attr(struct rt *rt, struct value object, struct value key)
{
    struct undefined *u = rt_alloc(rt, sizeof(*u));

    *u = (struct undefined){ .of = object_name(object) };
    if (key.type == V_STR) {
        u->name = value_str(key);
    } else {
        u->is_element = true;
        u->name = value_str(to_repr(rt, key));
    }
    return (struct value){ .type = V_UNDEFINED, .undefined = u };
}

static struct value unsafe_attr(struct rt *rt, struct value object, struct str name)
{
    struct value v = undefined_attr(rt, object, value_from_str(name));

    ((struct undefined *)v.undefined)->is_unsafe = true;
    return v;
}

enum method_type method_type_of(struct value v)
{
    switch ((enum value_type)v.type) {
    case V_STR: return METHOD_STR;
    case V_LIST: return METHOD_LIST;
    case V_TUPLE: return METHOD_TUPLE;
    case V_DICT: return METHOD_DICT;
    case V_BOOL:
    case V_INT:
    case V_BIGINT: return METHOD_INT;
    case V_FLOAT: return METHOD_FLOAT;
    case V_RANGE: return METHOD_RANGE;
    default: return METHOD_NONE;
    }
}

const struct builtin_method *method_find(enum method_type type, struct str name)
{
    static const struct builtin_method *const tables[] = { str_methods, list_methods,  tuple_methods, dict_methods,
                                                           int_methods, float_methods, range_methods };

    if (type == METHOD_NONE || name.len == 0) {
        return NULL;
    }
    for (const struct builtin_method *m = tables[type]; m->name != NULL; m++) {
        if (m->name[0] == name.ptr[0] && str_eq(str_from(m->name), name)) {
            return m;
        }
    }
    return NULL;
}

static struct value bind_method(struct rt *rt, struct value object, const struct builtin_method *method)
{
    struct method_object *bound;

    if (method->is_unsafe) {
        return unsafe_attr(rt, object, str_from(method->name));
    }
    bound = rt_alloc(rt, sizeof(*bound));
    *bound = (struct method_object){ object, method };
    return (struct value){ .type = V_METHOD, .method = bound };
}

static bool is_dunder(struct str name)
{
    return name.len > 4 && str_starts_with(name, STR("__")) && str_ends_with(name, STR("__"));
}

static bool macro_attr(struct rt *rt, const struct macro *macro, struct str name, struct value *ret)
{
    const struct macro_def *def = macro->def;

    if (str_eq(name, STR("name"))) {
        *ret = def->name.len > 0 ? value_from_str(def->name) : VALUE_NONE;
    } else if (str_eq(name, STR("arguments"))) {
        struct value *names = rt_alloc_values(rt, def->n_params);

        for (uint32_t i = 0; i < def->n_params; i++) {
            names[i] = value_from_str(def->params[i]->name->name);
        }
        *ret = (struct value){ .type = V_TUPLE, .len = def->n_params, .items = names };
    } else if (str_eq(name, STR("caller"))) {
        *ret = VALUE_BOOL(def->uses_caller);
    } else if (str_eq(name, STR("catch_kwargs"))) {
        *ret = VALUE_BOOL(def->uses_kwargs);
    } else if (str_eq(name, STR("catch_varargs"))) {
        *ret = VALUE_BOOL(def->uses_varargs);
    } else {
        return false;
    }
    return true;
}

static bool range_attr(const struct range *range, struct str name, struct value *ret)
{
    if (str_eq(name, STR("start"))) {
        *ret = VALUE_INT(range->start);
    } else if (str_eq(name, STR("stop"))) {
        *ret = VALUE_INT(range->stop);
    } else if (str_eq(name, STR("step"))) {
        *ret = VALUE_INT(range->step);
    } else {
        return false;
    }
    return true;
}

static bool number_attr(struct value v, struct str name, struct value *ret)
{
    bool is_real = str_eq(name, STR("real")), is_int = v.type != V_FLOAT;

    if (is_real || (is_int && str_eq(name, STR("numerator")))) {
        *ret = v.type == V_BOOL ? VALUE_INT(v.i) : v;
    } else if (str_eq(name, STR("imag"))) {
        *ret = is_int ? VALUE_INT(0) : VALUE_FLOAT(0);
    } else if (is_int && str_eq(name, STR("denominator"))) {
        *ret = VALUE_INT(1);
    } else {
        return false;
    }
    return true;
}

// Attributes of the types that have no table of methods.
static bool special_attr(struct rt *rt, struct value object, struct str name, struct value *ret)
{
    const struct value *found;
    bool is_found = false;

    switch ((enum value_type)object.type) {
    case V_NAMESPACE:
        found = dict_get_str(rt, object.ns->attrs, name);
        *ret = found != NULL ? *found : VALUE_MISSING;
        return found != NULL;
    case V_LOOP: *ret = loop_attr(rt, object.loop, name, &is_found); return is_found;
    case V_MACRO: return macro_attr(rt, object.macro, name, ret);
    case V_RANGE: return range_attr(object.range, name, ret);
    case V_TUPLE:
        is_found = object.flags == TUPLE_GROUP && (str_eq(name, STR("grouper")) || str_eq(name, STR("list")));
        *ret = is_found ? object.items[str_eq(name, STR("list"))] : VALUE_MISSING;
        return is_found;
    case V_BOOL:
    case V_INT:
    case V_BIGINT:
    case V_FLOAT: return number_attr(object, name, ret);
    case V_OBJECT: return object_attr(rt, object.object, name, ret);
    default: return false;
    }
}

// What even an undefined value has, as every object of Python does; the sandbox hides it.
static bool undefined_has(struct str name)
{
    static const char *const names[] = { "__class__", "__doc__",  "__init__", "__module__", "__str__",
                                         "__len__",   "__iter__", "__hash__", "__eq__" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_eq(name, str_from(names[i]))) {
            return true;
        }
    }
    return false;
}

static struct value find_attr(struct rt *rt, struct value object, struct str name, const struct builtin_method *method)
{
    struct value v;

    if (object.type == V_UNDEFINED && !undefined_has(name)) {
        rt_fail_undefined(rt, object);
    }
    if (method != NULL) {
        return bind_method(rt, object, method);
    }
    if (special_attr(rt, object, name, &v)) {
        return v;
    }
    return is_dunder(name) ? unsafe_attr(rt, object, name) : VALUE_MISSING;
}

struct value get_attr(struct rt *rt, struct value object, const struct attribute *attr)
{
    const struct value *item;
    struct value v;

    if (object.type == V_DICT && attr->methods[METHOD_DICT] == NULL) { // by far the most common
        item = dict_get_str(rt, object.dict, attr->name);
        if (item != NULL) {
            return *item;
        }
    }
    v = find_attr(rt, object, attr->name, attr->methods[method_type_of(object)]);
    return v.type != V_MISSING ? v : undefined_attr(rt, object, value_from_str(attr->name));
}

struct value get_attr_name(struct rt *rt, struct value object, struct str name)
{
    struct attribute attr = { .name = name };
    enum method_type type = method_type_of(object);

    attr.methods[type] = method_find(type, name);
    return get_attr(rt, object, &attr);
}

// ---- subscripts ----------------------------------------------------------------------------------------------------

static bool str_at(struct rt *rt, struct value s, int64_t i, struct value *ret)
{
    struct str text = value_str(s);
    int64_t n = value_len(rt, s);
    size_t at, len;
    uint32_t c;

    i += i < 0 ? n : 0;
    if (i < 0 || i >= n) {
        return false;
    }
    at = (uint64_t)n == text.len ? (size_t)i : text_offset(text, (size_t)i);
    len = char_decode(str_skip(text, at), &c);
    *ret = mark_like(value_from_str((struct str){ text.ptr + at, len }), s);
    return true;
}

// The item of a sequence or mapping; false when there is none.
static bool find_item(struct rt *rt, struct value object, struct value key, struct value *ret)
{
    const struct value *found;
    int64_t i, n;

    if (object.type == V_DICT) {
        if (!value_is_hashable(rt, key)) {
            return false; // a TypeError, which means undefined here
        }
        found = dict_get(rt, object.dict, key);
        *ret = found != NULL ? *found : VALUE_MISSING;
        return found != NULL;
    }
    if (!value_is_intlike(key)) {
        return false;
    }
    i = key.i;
    switch ((enum value_type)object.type) {
    case V_STR: return str_at(rt, object, i, ret);
    case V_LIST:
    case V_TUPLE:
    case V_RANGE:
        n = object.type == V_RANGE ? object.range->n : object.len;
        i += i < 0 ? n : 0;
        if (i < 0 || i >= n) {
            return false;
        }
        *ret = object.type == V_RANGE ? VALUE_INT(object.range->start + i * object.range->step) : object.items[i];
        return true;
    default: return false;
    }
}

struct value get_item(struct rt *rt, struct value object, struct value key)
{
    struct value v;

    if (object.type == V_UNDEFINED) {
        rt_fail_undefined(rt, object);
    }
    if (find_item(rt, object, key, &v)) {
        return v;
    }
    if (key.type == V_STR) {
        v = find_attr(rt, object, value_str(key), method_find(method_type_of(object), value_str(key)));
        if (v.type != V_MISSING) {
            return v;
        }
    }
    return undefined_attr(rt, object, key);
}

struct value get_item_str(struct rt *rt, struct value object, const struct attribute *attr)
{
    const struct value *item;
    struct value v;

    if (object.type == V_DICT) {
        item = dict_get_str(rt, object.dict, attr->name);
        if (item != NULL) {
            return *item;
        }
    }
    v = find_attr(rt, object, attr->name, attr->methods[method_type_of(object)]);
    return v.type != V_MISSING ? v : undefined_attr(rt, object, value_from_str(attr->name));
}

// ---- slices --------------------------------------------------------------------------------------------------------

struct slice {
    int64_t start, stop, step, n;
};

static bool slice_part(struct value v, int64_t *ret)
{
    if (v.type == V_NONE) {
        return true;
    }
    *ret = v.type != V_BIGINT ? v.i : v.s[0] == '-' ? INT64_MIN : INT64_MAX; // it is cut to the length anyway
    return value_is_intlike(v) || v.type == V_BIGINT;
}

// As PySlice_AdjustIndices. False for a part that is neither an integer nor none.
static bool slice_of(struct rt *rt, struct value start, struct value stop, struct value step, int64_t len,
                     struct slice *ret)
{
    int64_t a, b, by = 1;

    if (!slice_part(step, &by)) {
        return false;
    }
    if (by == 0) {
        rt_fail(rt, "slice step cannot be zero");
    }
    if (by == INT64_MIN) {
        by++;
    }
    a = by < 0 ? INT64_MAX : 0;
    b = by < 0 ? INT64_MIN : INT64_MAX;
    if (!slice_part(start, &a) || !slice_part(stop, &b)) {
        return false;
    }
    if (a < 0) {
        a = a < -len ? (by < 0 ? -1 : 0) : a + len;
    } else if (a >= len) {
        a = by < 0 ? len - 1 : len;
    }
    if (b < 0) {
        b = b < -len ? (by < 0 ? -1 : 0) : b + len;
    } else if (b >= len) {
        b = by < 0 ? len - 1 : len;
    }
    ret->start = a;
    ret->stop = b;
    ret->step = by;
    ret->n = by < 0 ? (b < a ? (a - b - 1) / -by + 1 : 0) : (a < b ? (b - a - 1) / by + 1 : 0);
    return true;
}

static struct value slice_str(struct rt *rt, struct value s, const struct slice *slice)
{
    struct str text = value_str(s);
    size_t n_bytes = 0;
    char *out;
    size_t *offsets;
    struct value v;

    if (slice->step == 1) {
        size_t from = text_offset(text, (size_t)slice->start);
        size_t len = text_offset(str_skip(text, from), (size_t)slice->n);

        rt_charge_bytes(rt, text.len);
        return mark_like(value_from_str(str_take(str_skip(text, from), len)), s);
    }
    offsets = rt_alloc(rt, (text.len + 1) * sizeof(*offsets));
    rt_charge(rt, text.len);
    for (size_t i = 0, n = 0; i <= text.len; i++) {
        if (i == text.len || ((unsigned char)text.ptr[i] & 0xc0) != 0x80) {
            offsets[n++] = i;
        }
    }
    v = rt_str_n(rt, text.len, &out);
    for (int64_t k = 0; k < slice->n; k++) {
        int64_t i = slice->start + k * slice->step; // behind the last one there may be none that fits
        size_t len = offsets[i + 1] - offsets[i];

        memcpy(out + n_bytes, text.ptr + offsets[i], len);
        n_bytes += len;
    }
    v.len = (uint32_t)n_bytes;
    return mark_like(v, s);
}

// The number of place `i` of a range, which may be one before or behind it. False: it does not fit.
static bool range_place(const struct range *range, int64_t i, int64_t *ret)
{
    return !__builtin_mul_overflow(i, range->step, ret) && !__builtin_add_overflow(*ret, range->start, ret);
}

static struct value slice_range(struct rt *rt, const struct range *range, const struct slice *slice)
{
    struct range *sub = rt_alloc(rt, sizeof(*sub));

    if (!range_place(range, slice->start, &sub->start) || !range_place(range, slice->stop, &sub->stop) ||
        __builtin_mul_overflow(range->step, slice->step, &sub->step)) {
        rt_fail_code(rt, -EOPNOTSUPP, "a number of the range does not fit 64 bits");
    }
    sub->n = (uint32_t)slice->n;
    return (struct value){ .type = V_RANGE, .range = sub };
}

// A slice is Python's own subscript, without the leniency of Jinja's: what cannot be sliced is an error, not undefined.
// Jinja's own does it while folding.
static struct value not_sliced(struct rt *rt, struct value object, const char *why)
{
    if (!rt->is_folding) {
        rt_fail(rt, "'%s' object %s", value_type_name(object), why);
    }
    return undefined_attr(rt, object, VALUE_LIT("slice"));
}

struct value get_slice(struct rt *rt, struct value object, struct value start, struct value stop, struct value step)
{
    struct slice slice;
    struct value *items;

    if (object.type == V_UNDEFINED) {
        rt_fail_undefined(rt, object);
    }
    if (object.type != V_STR && object.type != V_LIST && object.type != V_TUPLE && object.type != V_RANGE) {
        return not_sliced(rt, object, object.type == V_DICT ? "cannot be sliced" : "is not subscriptable");
    }
    if (!slice_of(rt, start, stop, step, value_len(rt, object), &slice)) {
        return not_sliced(rt, object, "needs integers or none as slice indices");
    }
    if (object.type == V_STR) {
        return slice_str(rt, object, &slice);
    }
    if (object.type == V_RANGE) {
        return slice_range(rt, object.range, &slice);
    }
    if (slice.step == 1) {
        return (struct value){ .type = object.type, .len = (uint32_t)slice.n, .items = object.items + slice.start };
    }
    items = rt_alloc_values(rt, (size_t)slice.n);
    rt_charge(rt, (size_t)slice.n);
    for (int64_t k = 0; k < slice.n; k++) {
        int64_t i = slice.start + k * slice.step;
        items[k] = object.items[i];
    }
    return (struct value){ .type = object.type, .len = (uint32_t)slice.n, .items = items };
}

// ---- paths ---------------------------------------------------------------------------------------------------------

static struct value path_part(struct str part)
{
    int64_t i;

    for (size_t k = 0; k < part.len; k++) {
        if (part.ptr[k] < '0' || part.ptr[k] > '9') {
            return value_from_str(part);
        }
    }
    return part.len > 0 && str_parse_i64(part, &i) == 0 ? VALUE_INT(i) : value_from_str(part);
}

struct value get_path(struct rt *rt, struct value object, struct value path, struct value default_value)
{
    struct str rest, part;
    bool is_last = false;

    if (path.type == V_NONE || path.type == V_MISSING) {
        return object;
    }
    if (path.type != V_STR) {
        object = get_item(rt, object, path);
        return object.type == V_UNDEFINED && default_value.type > V_NONE ? default_value : object;
    }
    for (rest = value_str(path); !is_last;) {
        is_last = memchr(rest.ptr, '.', rest.len) == NULL;
        rest = str_cut(rest, '.', &part);
        object = get_item(rt, object, path_part(part));
        if (object.type == V_UNDEFINED && default_value.type > V_NONE) {
            object = default_value;
        }
    }
    return object;
}

int64_t index_arg(struct rt *rt, struct value v, const char *what)
{
    (void)what;
    if (v.type == V_UNDEFINED) {
        rt_fail_undefined(rt, v);
    }
    if (!value_is_intlike(v)) {
        rt_fail(rt, "'%s' object cannot be interpreted as an integer", value_type_name(v));
    }
    return v.i;
}
