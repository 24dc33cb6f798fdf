// Filters on sequences and mappings that give their result at once.
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/strings.h"

#include <string.h>

#define FILTER(name)                                                                                                   \
    static struct value name(struct rt *rt, struct value v, const struct value *a, const struct args *args)
#define UNUSED ((void)rt, (void)a, (void)args)

static bool is_given_and_true(struct rt *rt, struct value v)
{
    return v.type != V_MISSING && value_truth(rt, v);
}

FILTER(f_length)
{
    UNUSED;
    return VALUE_INT(value_len(rt, v));
}

FILTER(f_list)
{
    UNUSED;
    return value_to_list(rt, v);
}

FILTER(f_default)
{
    UNUSED;
    if (v.type == V_UNDEFINED || (is_given_and_true(rt, a[1]) && !value_truth(rt, v))) {
        return a[0].type == V_MISSING ? VALUE_LIT("") : a[0];
    }
    return v;
}

FILTER(f_first)
{
    struct iter it;
    struct value item;

    UNUSED;
    iter_begin(rt, &it, v);
    return iter_next(rt, &it, &item) ? item : rt_undefined(rt, STR("No first item, sequence was empty."));
}

static bool is_reversible(struct value v)
{
    return v.type == V_STR || v.type == V_LIST || v.type == V_TUPLE || v.type == V_DICT || v.type == V_RANGE ||
           v.type == V_VIEW || v.type == V_UNDEFINED;
}

FILTER(f_last)
{
    struct value list;

    UNUSED;
    if (!is_reversible(v)) {
        rt_fail(rt, "'%s' object is not reversible", value_type_name(v));
    }
    if (v.type == V_UNDEFINED) {
        return rt_undefined(rt, STR("No last item, sequence was empty."));
    }
    if (v.type == V_STR && v.len > 0) {
        return get_item(rt, v, VALUE_INT(-1));
    }
    list = value_to_list(rt, v);
    return list.len > 0 ? list.items[list.len - 1] : rt_undefined(rt, STR("No last item, sequence was empty."));
}

FILTER(f_join)
{
    struct value sep = a[0].type == V_MISSING ? VALUE_LIT("") : to_plain_str(rt, a[0]);
    struct list_builder list = { 0 };
    struct iter it;
    struct value item;

    UNUSED;
    if (!str_arg_is_given(a[1])) {
        return str_join(rt, sep, v, false);
    }
    iter_begin(rt, &it, v);
    while (iter_next(rt, &it, &item)) {
        list_add(rt, &list, get_path(rt, item, a[1], VALUE_MISSING));
    }
    return str_join(rt, sep, list_end(&list), false);
}

static struct value reversed(struct rt *rt, struct value list)
{
    struct value *items = rt_alloc_values(rt, list.len);

    for (uint32_t i = 0; i < list.len; i++) {
        items[i] = list.items[list.len - 1 - i];
    }
    return (struct value){ .type = V_LIST, .len = list.len, .items = items };
}

static bool next_of_list(struct rt *rt, struct iter_object *self, struct value *ret)
{
    if (!self->is_started) {
        self->is_started = true;
        iter_begin(rt, &self->source, self->input);
    }
    return iter_next(rt, &self->source, ret);
}

FILTER(f_reverse)
{
    struct value list;

    UNUSED;
    if (v.type == V_STR) {
        return get_slice(rt, v, VALUE_NONE, VALUE_NONE, VALUE_INT(-1));
    }
    if (!value_is_iterable(v)) {
        rt_fail(rt, "argument must be iterable");
    }
    list = reversed(rt, value_to_list(rt, v));
    if (!is_reversible(v)) {
        return list; // of a generator Jinja makes a list
    }
    return iter_object_new(rt, "list_reverseiterator object", next_of_list, list);
}

// ---- order ---------------------------------------------------------------------------------------------------------

static struct value ignore_case(struct rt *rt, struct value v)
{
    return v.type == V_STR ? str_map_case(rt, v, CASE_LOWER) : v;
}

struct sort_item {
    struct value key, value;
};

static bool goes_before(struct rt *rt, const struct sort_item *a, const struct sort_item *b, bool reverse)
{
    return reverse ? value_less(rt, b->key, a->key, "<") : value_less(rt, a->key, b->key, "<");
}

// Merge sort: stable, and a comparison that fails leaves nothing behind.
static void sort_items(struct rt *rt, struct sort_item *items, uint32_t n, bool reverse)
{
    struct sort_item *from = items, *to = rt_alloc(rt, (size_t)n * sizeof(*to)), *swap;

    for (uint32_t width = 1; width < n; width *= 2) {
        for (uint32_t start = 0; start < n; start += 2 * width) {
            uint32_t middle = start + width < n ? start + width : n,
                     end = start + 2 * width < n ? start + 2 * width : n;
            uint32_t i = start, k = middle;

            for (uint32_t out = start; out < end; out++) {
                bool take_right = i >= middle || (k < end && goes_before(rt, &from[k], &from[i], reverse));

                to[out] = take_right ? from[k++] : from[i++];
            }
        }
        swap = from;
        from = to;
        to = swap;
    }
    if (from != items) {
        memcpy(items, from, (size_t)n * sizeof(*items));
    }
}

// The key of "a,b.c": a list of the values at these paths.
static struct value sort_key(struct rt *rt, struct value item, struct value attribute, bool case_sensitive)
{
    struct list_builder list = { 0 };
    struct str rest, part;
    bool is_last = attribute.type != V_STR;

    if (is_last) {
        struct value key = get_path(rt, item, attribute, VALUE_MISSING);

        list_add(rt, &list, case_sensitive ? key : ignore_case(rt, key));
        return list_end(&list);
    }
    for (rest = value_str(attribute); !is_last;) {
        struct value key;

        is_last = memchr(rest.ptr, ',', rest.len) == NULL;
        rest = str_cut(rest, ',', &part);
        key = get_path(rt, item, value_from_str(part), VALUE_MISSING);
        list_add(rt, &list, case_sensitive ? key : ignore_case(rt, key));
    }
    return list_end(&list);
}

static struct value values_of(struct rt *rt, const struct sort_item *items, uint32_t n)
{
    struct value *values = rt_alloc_values(rt, n);

    for (uint32_t i = 0; i < n; i++) {
        values[i] = items[i].value;
    }
    return (struct value){ .type = V_LIST, .len = n, .items = values };
}

FILTER(f_sort)
{
    struct value list = value_to_list(rt, v);
    struct sort_item *items = rt_alloc(rt, list.len * sizeof(*items));

    UNUSED;
    for (uint32_t i = 0; i < list.len; i++) {
        items[i] = (struct sort_item){ sort_key(rt, list.items[i], a[2], is_given_and_true(rt, a[1])), list.items[i] };
    }
    sort_items(rt, items, list.len, is_given_and_true(rt, a[0]));
    return values_of(rt, items, list.len);
}

FILTER(f_dictsort)
{
    bool case_sensitive = is_given_and_true(rt, a[0]), by_value = false;
    struct value pairs;
    struct sort_item *items;

    UNUSED;
    if (a[1].type != V_MISSING) {
        by_value = a[1].type == V_STR && str_eq(value_str(a[1]), STR("value"));
        if (!by_value && !(a[1].type == V_STR && str_eq(value_str(a[1]), STR("key")))) {
            rt_fail(rt, "You can only sort by either \"key\" or \"value\"");
        }
    }
    if (v.type == V_UNDEFINED) {
        rt_fail_undefined(rt, v);
    }
    if (v.type != V_DICT) {
        rt_fail(rt, "'%s' object has no attribute 'items'", value_type_name(v));
    }
    pairs = value_to_list(rt, (struct value){ .type = V_VIEW, .flags = VIEW_ITEMS, .dict = v.dict });
    items = rt_alloc(rt, pairs.len * sizeof(*items));
    for (uint32_t i = 0; i < pairs.len; i++) {
        struct value key = pairs.items[i].items[by_value ? 1 : 0];

        items[i] = (struct sort_item){ case_sensitive ? key : ignore_case(rt, key), pairs.items[i] };
    }
    sort_items(rt, items, pairs.len, is_given_and_true(rt, a[2]));
    return values_of(rt, items, pairs.len);
}

static struct value extreme(struct rt *rt, struct value v, const struct value *a, bool is_max)
{
    bool case_sensitive = is_given_and_true(rt, a[0]);
    struct value best = VALUE_MISSING, best_key = VALUE_MISSING, item;
    struct iter it;

    iter_begin(rt, &it, v);
    while (iter_next(rt, &it, &item)) {
        struct value key = get_path(rt, item, a[1], VALUE_MISSING);

        key = case_sensitive ? key : ignore_case(rt, key);
        if (best.type == V_MISSING ||
            (is_max ? value_less(rt, best_key, key, ">") : value_less(rt, key, best_key, "<"))) {
            best = item;
            best_key = key;
        }
    }
    return best.type == V_MISSING ? rt_undefined(rt, STR("No aggregated item, sequence was empty.")) : best;
}

FILTER(f_min)
{
    UNUSED;
    return extreme(rt, v, a, false);
}

FILTER(f_max)
{
    UNUSED;
    return extreme(rt, v, a, true);
}

FILTER(f_sum)
{
    struct value sum = a[1].type == V_MISSING ? VALUE_INT(0) : a[1], item;
    struct iter it;

    UNUSED;
    if (sum.type == V_STR) {
        rt_fail(rt, "sum() can't sum strings [use ''.join(seq) instead]");
    }
    iter_begin(rt, &it, v);
    while (iter_next(rt, &it, &item)) {
        sum = op_add(rt, sum, get_path(rt, item, a[0], VALUE_MISSING));
    }
    return sum;
}

FILTER(f_groupby)
{
    bool case_sensitive = is_given_and_true(rt, a[2]);
    struct value list = value_to_list(rt, v);
    struct sort_item *items = rt_alloc(rt, list.len * sizeof(*items));
    struct list_builder groups = { 0 };

    UNUSED;
    for (uint32_t i = 0; i < list.len; i++) {
        struct value key = get_path(rt, list.items[i], a[0], a[1]);

        items[i] = (struct sort_item){ case_sensitive ? key : ignore_case(rt, key), list.items[i] };
    }
    sort_items(rt, items, list.len, false);
    for (uint32_t start = 0, end; start < list.len; start = end) {
        struct value pair[2];
        struct value group;

        for (end = start + 1; end < list.len && value_equal(rt, items[end].key, items[start].key); end++) {
        }
        pair[0] = case_sensitive ? items[start].key : get_path(rt, items[start].value, a[0], a[1]);
        pair[1] = values_of(rt, items + start, end - start);
        group = rt_list(rt, V_TUPLE, pair, 2);
        group.flags = TUPLE_GROUP;
        list_add(rt, &groups, group);
    }
    return list_end(&groups);
}

FILTER(f_attr)
{
    struct str name = str_arg(rt, a[0], "attr");
    struct value found;

    UNUSED;
    if (v.type == V_DICT && dict_get_str(rt, v.dict, name) != NULL && v.dict->n > 0) {
        struct dict *none = dict_new(rt, 0);

        // Only attributes count here, not items: look the name up on an empty dict.
        found = get_attr_name(rt, (struct value){ .type = V_DICT, .dict = none }, name);
        return found.type == V_UNDEFINED ? undefined_attr(rt, v, a[0]) : get_attr_name(rt, v, name);
    }
    return get_attr_name(rt, v, name);
}

const struct filter seq_filters[] = {
    { "length", f_length, { 0 } },
    { "count", f_length, { 0 } },
    { "list", f_list, { 0 } },
    { "default", f_default, { .params = { "default_value", "boolean" } } },
    { "d", f_default, { .params = { "default_value", "boolean" } } },
    { "first", f_first, { 0 } },
    { "last", f_last, { 0 } },
    { "join", f_join, { .params = { "d", "attribute" } } },
    { "reverse", f_reverse, { 0 } },
    { "sort", f_sort, { .params = { "reverse", "case_sensitive", "attribute" } } },
    { "dictsort", f_dictsort, { .params = { "case_sensitive", "by", "reverse" } } },
    { "min", f_min, { .params = { "case_sensitive", "attribute" } } },
    { "max", f_max, { .params = { "case_sensitive", "attribute" } } },
    { "sum", f_sum, { .params = { "attribute", "start" } } },
    { "groupby", f_groupby, { .n_required = 1, .params = { "attribute", "default", "case_sensitive" } } },
    { "attr", f_attr, { .n_required = 1, .params = { "name" } } },
    { 0 },
};
