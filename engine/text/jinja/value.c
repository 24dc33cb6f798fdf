// What Python's built-in types do whoever uses them: truth, equality, order, containment, dicts, iteration.
//
// Failing operations leave through rt_fail. Work proportional to a value's size is charged, so that no template runs
// for ever.
#include "engine/text/jinja/value.h"

#include "engine/text/jinja/eval.h"
#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/text.h"

#include <errno.h>
#include <math.h>
#include <string.h>

const char *value_type_name(struct value v)
{
    switch ((enum value_type)v.type) {
    case V_MISSING:
    case V_UNDEFINED: return "Undefined";
    case V_NONE: return "NoneType";
    case V_BOOL: return "bool";
    case V_INT:
    case V_BIGINT: return "int";
    case V_FLOAT: return "float";
    case V_STR: return value_is_markup(v) ? "Markup" : "str";
    case V_LIST: return "list";
    case V_TUPLE: return "tuple";
    case V_DICT: return "dict";
    case V_RANGE: return "range";
    case V_VIEW: return v.flags == VIEW_KEYS ? "dict_keys" : v.flags == VIEW_VALUES ? "dict_values" : "dict_items";
    case V_ITER: return "generator";
    case V_NAMESPACE: return "Namespace";
    case V_MACRO: return "Macro";
    case V_LOOP: return "LoopContext";
    case V_METHOD: return "builtin_function_or_method";
    case V_FUNCTION: return "function";
    case V_OBJECT: return v.object->type_name;
    case N_VALUE_TYPES: break;
    }
    return "object";
}

bool value_truth_of_object(struct rt *rt, struct value v)
{
    (void)rt;
    switch ((enum value_type)v.type) {
    case V_MISSING:
    case V_UNDEFINED:
    case V_NONE: return false;
    case V_BOOL:
    case V_INT: return v.i != 0;
    case V_FLOAT: return v.f != 0;
    case V_STR:
    case V_LIST:
    case V_TUPLE: return v.len != 0;
    case V_DICT:
    case V_VIEW: return v.dict->n != 0;
    case V_RANGE: return v.range->n != 0;
    case V_LOOP: return true; // it has iterated at least once
    default: return true;
    }
}

// ---- equality and order --------------------------------------------------------------------------------------------

double value_as_double(struct value v)
{
    double x = 0;

    if (v.type == V_FLOAT) {
        return v.f;
    }
    if (v.type == V_BIGINT) {
        return str_parse_double(value_str(v), &x) == 0 ? x : v.s[0] == '-' ? -HUGE_VAL : HUGE_VAL;
    }
    return (double)v.i;
}

static int compare_int_double(int64_t i, double x)
{
    double whole;

    if (x >= 9223372036854775808.0) {
        return -1;
    }
    if (x < -9223372036854775808.0) {
        return 1;
    }
    whole = floor(x);
    if (i != (int64_t)whole) {
        return i < (int64_t)whole ? -1 : 1;
    }
    return x > whole ? -1 : 0;
}

// -1, 0, 1; 2 when one is not a number.
static int compare_numbers(struct value a, struct value b)
{
    double x, y;

    if (value_is_intlike(a) && value_is_intlike(b)) {
        return a.i < b.i ? -1 : a.i > b.i;
    }
    if ((a.type == V_FLOAT && isnan(a.f)) || (b.type == V_FLOAT && isnan(b.f))) {
        return 2;
    }
    if (value_is_intlike(a) && b.type == V_FLOAT) {
        return compare_int_double(a.i, b.f);
    }
    if (a.type == V_FLOAT && value_is_intlike(b)) {
        return -compare_int_double(b.i, a.f);
    }
    if (a.type == V_BIGINT && b.type == V_BIGINT && str_eq(value_str(a), value_str(b))) {
        return 0;
    }
    x = value_as_double(a);
    y = value_as_double(b);
    return x < y ? -1 : x > y;
}

static bool items_equal(struct rt *rt, const struct value *a, const struct value *b, uint32_t n)
{
    rt_charge(rt, n / 4);
    for (uint32_t i = 0; i < n; i++) {
        if (!value_is_same(a[i], b[i]) && !value_equal(rt, a[i], b[i])) {
            return false;
        }
    }
    return true;
}

static bool dicts_equal(struct rt *rt, struct dict *a, struct dict *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (uint32_t i = 0; i < a->n; i++) {
        const struct value *other = dict_get(rt, b, a->entries[i].key);

        if (other == NULL || !value_equal(rt, a->entries[i].value, *other)) {
            return false;
        }
    }
    return true;
}

static bool containers_equal(struct rt *rt, struct value a, struct value b)
{
    bool is_equal = false;

    rt_charge(rt, 1);
    rt_enter(rt);
    if (a.type == V_DICT) {
        is_equal = dicts_equal(rt, a.dict, b.dict);
    } else {
        is_equal = a.len == b.len && items_equal(rt, a.items, b.items, a.len);
    }
    rt_leave(rt);
    return is_equal;
}

bool value_equal(struct rt *rt, struct value a, struct value b)
{
    if (value_is_number(a) && value_is_number(b)) {
        return compare_numbers(a, b) == 0;
    }
    if (a.type != b.type) {
        return false;
    }
    switch ((enum value_type)a.type) {
    case V_STR:
        if (a.len != b.len) {
            return false;
        }
        rt_charge_bytes(rt, a.len);
        return memcmp(a.s, b.s, a.len) == 0;
    case V_LIST:
    case V_TUPLE:
    case V_DICT: return containers_equal(rt, a, b);
    case V_UNDEFINED:
    case V_NONE: return true;
    case V_RANGE:
        return a.range->n == b.range->n && (a.range->n == 0 || (a.range->start == b.range->start &&
                                                                (a.range->n == 1 || a.range->step == b.range->step)));
    default: return value_is_same(a, b);
    }
}

static bool less_sequences(struct rt *rt, struct value a, struct value b, const char *op)
{
    bool is_less;

    rt_charge(rt, 1 + (a.len < b.len ? a.len : b.len) / 4);
    rt_enter(rt);
    for (uint32_t i = 0;; i++) {
        if (i >= a.len || i >= b.len) {
            is_less = a.len < b.len;
            break;
        }
        if (!value_equal(rt, a.items[i], b.items[i])) {
            is_less = value_less(rt, a.items[i], b.items[i], op);
            break;
        }
    }
    rt_leave(rt);
    return is_less;
}

bool value_less(struct rt *rt, struct value a, struct value b, const char *op)
{
    if (value_is_number(a) && value_is_number(b)) {
        return compare_numbers(a, b) == -1;
    }
    if (a.type == V_STR && b.type == V_STR) {
        size_t n = a.len < b.len ? a.len : b.len;
        int order;

        rt_charge_bytes(rt, n);
        order = memcmp(a.s, b.s, n); // UTF-8 sorts as its code points do
        return order < 0 || (order == 0 && a.len < b.len);
    }
    if (a.type == b.type && (a.type == V_LIST || a.type == V_TUPLE)) {
        return less_sequences(rt, a, b, op);
    }
    if (a.type == V_UNDEFINED || b.type == V_UNDEFINED) {
        rt_fail_undefined(rt, a.type == V_UNDEFINED ? a : b);
    }
    rt_fail(rt, "'%s' not supported between instances of '%s' and '%s'", op, value_type_name(a), value_type_name(b));
}

bool value_is_same(struct value a, struct value b)
{
    if (a.type != b.type) {
        return false;
    }
    switch ((enum value_type)a.type) {
    case V_NONE: return true;
    case V_BOOL:
    case V_INT: return a.i == b.i;
    case V_FLOAT: return a.f == b.f && memcmp(&a.f, &b.f, sizeof(a.f)) == 0;
    case V_STR:
        return a.len == b.len && a.flags == b.flags && (a.s == b.s || a.len <= 1) && memcmp(a.s, b.s, a.len) == 0;
    case V_LIST: return a.items == b.items && a.len == b.len && a.len > 0;
    case V_TUPLE: return (a.items == b.items && a.len == b.len) || (a.len == 0 && b.len == 0);
    case V_VIEW:
    case V_METHOD: return false;
    default: return a.dict == b.dict;
    }
}

bool value_contains(struct rt *rt, struct value container, struct value item)
{
    struct iter it;
    struct value v;

    switch ((enum value_type)container.type) {
    case V_STR:
        if (item.type != V_STR) {
            rt_fail(rt, "'in <string>' requires string as left operand, not %s", value_type_name(item));
        }
        rt_charge_bytes(rt, container.len);
        return str_find(value_str(container), value_str(item)) >= 0;
    case V_DICT: return dict_get(rt, container.dict, item) != NULL;
    case V_VIEW:
        if (container.flags == VIEW_KEYS) {
            return dict_get(rt, container.dict, item) != NULL;
        }
        break;
    default: break;
    }
    if (!value_is_iterable(container)) {
        rt_fail(rt, "argument of type '%s' is not iterable", value_type_name(container));
    }
    iter_begin(rt, &it, container);
    while (iter_next(rt, &it, &v)) {
        if (value_is_same(v, item) || value_equal(rt, v, item)) {
            return true;
        }
    }
    return false;
}

bool value_has_len(struct value v)
{
    switch ((enum value_type)v.type) {
    case V_STR:
    case V_LIST:
    case V_TUPLE:
    case V_DICT:
    case V_VIEW:
    case V_RANGE:
    case V_UNDEFINED:
    case V_LOOP: return true;
    default: return false;
    }
}

int64_t value_len(struct rt *rt, struct value v)
{
    switch ((enum value_type)v.type) {
    case V_STR:
        if ((v.flags & STR_ASCII) != 0) {
            return v.len;
        }
        rt_charge_bytes(rt, v.len);
        return (int64_t)text_n_chars(value_str(v));
    case V_LIST:
    case V_TUPLE: return v.len;
    case V_DICT:
    case V_VIEW: return v.dict->n;
    case V_RANGE: return v.range->n;
    case V_UNDEFINED: return 0;
    case V_LOOP: return get_attr_name(rt, v, STR("length")).i;
    default: rt_fail(rt, "object of type '%s' has no len()", value_type_name(v));
    }
}

// ---- dicts ---------------------------------------------------------------------------------------------------------

#define DICT_INDEX_MIN 9 // smaller ones are searched from the front

struct dict *dict_new(struct rt *rt, uint32_t cap)
{
    struct dict *dict = rt_alloc(rt, sizeof(*dict));

    *dict = (struct dict){ .cap = cap };
    dict->entries = rt_alloc(rt, (size_t)cap * sizeof(*dict->entries));
    return dict;
}

static uint32_t hash_bytes(const void *ptr, size_t n)
{
    const unsigned char *bytes = ptr;
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++) {
        h = (h ^ bytes[i]) * 0x100000001b3u;
    }
    return (uint32_t)(h ^ (h >> 32));
}

// Equal keys have equal hashes, whatever their types (1 == 1.0 == true).
static uint32_t hash_key(struct rt *rt, struct value key)
{
    uint32_t h = 17;
    double x;

    switch ((enum value_type)key.type) {
    case V_STR: rt_charge_bytes(rt, key.len); return hash_bytes(key.s, key.len);
    case V_BIGINT:
    case V_BOOL:
    case V_INT:
    case V_FLOAT:
        x = value_as_double(key) + 0.0; // -0.0 becomes 0.0
        return hash_bytes(&x, sizeof(x));
    case V_TUPLE:
        rt_enter(rt);
        for (uint32_t i = 0; i < key.len; i++) {
            h = h * 31 + hash_key(rt, key.items[i]);
        }
        rt_leave(rt);
        return h;
    case V_LIST:
    case V_DICT:
    case V_VIEW: rt_fail(rt, "unhashable type: '%s'", value_type_name(key));
    default: return key.type;
    }
}

bool value_is_hashable(struct rt *rt, struct value v)
{
    bool is_hashable = v.type != V_LIST && v.type != V_DICT && v.type != V_VIEW;

    if (v.type != V_TUPLE) {
        return is_hashable;
    }
    rt_enter(rt);
    for (uint32_t i = 0; i < v.len && is_hashable; i++) {
        is_hashable = value_is_hashable(rt, v.items[i]);
    }
    rt_leave(rt);
    return is_hashable;
}

static void index_insert(struct dict *dict, uint32_t hash, uint32_t entry)
{
    uint32_t i = hash & dict->index_mask;

    while (dict->index[i] != 0) {
        i = (i + 1) & dict->index_mask;
    }
    dict->index[i] = entry + 1;
}

static void build_index(struct rt *rt, struct dict *dict)
{
    uint32_t size = 32;

    while (size < dict->cap * 2u) {
        size *= 2;
    }
    rt_charge(rt, dict->n);
    dict->index = rt_alloc(rt, (size_t)size * sizeof(*dict->index));
    dict->index_mask = size - 1;
    memset(dict->index, 0, (size_t)size * sizeof(*dict->index));
    for (uint32_t i = 0; i < dict->n; i++) {
        index_insert(dict, hash_key(rt, dict->entries[i].key), i);
    }
}

static bool key_equal(struct rt *rt, struct value a, struct value b)
{
    return a.type == V_STR && b.type == V_STR ? a.len == b.len && bytes_equal(a.s, b.s, a.len) : value_equal(rt, a, b);
}

static struct dict_entry *find_indexed(struct rt *rt, struct dict *dict, struct value key)
{
    uint32_t i;

    if (dict->index == NULL) {
        build_index(rt, dict);
    }
    i = hash_key(rt, key) & dict->index_mask;
    rt_charge(rt, 1);
    for (; dict->index[i] != 0; i = (i + 1) & dict->index_mask) {
        struct dict_entry *entry = &dict->entries[dict->index[i] - 1];

        rt_charge(rt, 1);
        if (key_equal(rt, entry->key, key)) {
            return entry;
        }
    }
    return NULL;
}

static struct dict_entry *find_entry(struct rt *rt, struct dict *dict, struct value key)
{
    if (dict->n >= DICT_INDEX_MIN) {
        return find_indexed(rt, dict, key);
    }
    if (key.type != V_STR) {
        hash_key(rt, key); // fails where Python does
    }
    for (uint32_t i = 0; i < dict->n; i++) {
        if (key_equal(rt, dict->entries[i].key, key)) {
            return &dict->entries[i];
        }
    }
    return NULL;
}

const struct value *dict_get(struct rt *rt, struct dict *dict, struct value key)
{
    struct dict_entry *entry = find_entry(rt, dict, key);

    return entry != NULL ? &entry->value : NULL;
}

const struct value *dict_get_str(struct rt *rt, struct dict *dict, struct str key)
{
    if (dict->n >= DICT_INDEX_MIN) {
        return dict_get(rt, dict, value_from_str(key));
    }
    for (uint32_t i = 0; i < dict->n; i++) {
        const struct dict_entry *entry = &dict->entries[i];

        if (entry->key.len == key.len && entry->key.type == V_STR && bytes_equal(entry->key.s, key.ptr, key.len)) {
            return &entry->value;
        }
    }
    return NULL;
}

static void grow_dict(struct rt *rt, struct dict *dict)
{
    uint32_t cap = dict->cap < 4 ? 8 : dict->cap * 2;
    struct dict_entry *entries = rt_alloc(rt, (size_t)cap * sizeof(*entries));

    if (dict->n > 0) {
        memcpy(entries, dict->entries, dict->n * sizeof(*entries));
    }
    dict->entries = entries;
    dict->cap = cap;
    dict->index = NULL; // sized for the old capacity
}

void dict_set(struct rt *rt, struct dict *dict, struct value key, struct value value)
{
    struct dict_entry *entry = find_entry(rt, dict, key);

    if (entry != NULL) {
        entry->value = value;
        return;
    }
    if (dict->n == dict->cap) {
        grow_dict(rt, dict);
    }
    dict->entries[dict->n] = (struct dict_entry){ key, value };
    if (dict->index != NULL) {
        index_insert(dict, hash_key(rt, key), dict->n);
    }
    dict->n++;
}

// ---- iteration -----------------------------------------------------------------------------------------------------

bool value_is_iterable(struct value v)
{
    switch ((enum value_type)v.type) {
    case V_STR:
    case V_LIST:
    case V_TUPLE:
    case V_DICT:
    case V_RANGE:
    case V_VIEW:
    case V_ITER:
    case V_UNDEFINED:
    case V_LOOP: return true;
    default: return false;
    }
}

void iter_begin(struct rt *rt, struct iter *it, struct value source)
{
    if (!value_is_iterable(source)) {
        rt_fail(rt, "'%s' object is not iterable", value_type_name(source));
    }
    it->source = source;
    it->pos = 0;
}

static bool next_of_object(struct rt *rt, struct iter_object *object, struct value *ret)
{
    bool has_next;

    if (object->is_done) {
        return false;
    }
    if (object->is_running) {
        rt_fail(rt, "generator already executing");
    }
    rt_enter(rt);
    object->is_running = true;
    has_next = object->next(rt, object, ret);
    object->is_running = false;
    rt_leave(rt);
    object->is_done = !has_next;
    return has_next;
}

static struct value view_item(struct rt *rt, struct value view, uint32_t i)
{
    const struct dict_entry *entry = &view.dict->entries[i];

    if (view.flags == VIEW_KEYS) {
        return entry->key;
    }
    if (view.flags == VIEW_VALUES) {
        return entry->value;
    }
    // A pair is laid out in the dict as a tuple's items are.
    _Static_assert(offsetof(struct dict_entry, value) == sizeof(struct value), "key and value are adjacent");
    (void)rt;
    return (struct value){ .type = V_TUPLE, .len = 2, .items = &entry->key };
}

// A loop is its own iterator: whoever iterates over `loop` takes the items from the loop itself, each with the loop.
static bool next_of_loop(struct rt *rt, struct value loop, struct value *ret)
{
    struct value pair[2] = { VALUE_MISSING, loop };

    if (!loop_next(rt, loop.loop, &pair[0])) {
        return false;
    }
    *ret = rt_list(rt, V_TUPLE, pair, 2);
    return true;
}

bool iter_next(struct rt *rt, struct iter *it, struct value *ret)
{
    struct value v = it->source;
    uint32_t i = it->pos;

    rt_charge(rt, 1);
    switch ((enum value_type)v.type) {
    case V_LIST:
    case V_TUPLE:
        if (i >= v.len) {
            return false;
        }
        *ret = v.items[i];
        break;
    case V_STR: {
        uint32_t c;
        size_t len = char_decode(str_skip(value_str(v), i), &c);

        if (len == 0) {
            return false;
        }
        *ret = value_from_str((struct str){ v.s + i, len });
        it->pos += (uint32_t)len;
        return true;
    }
    case V_DICT:
        if (i >= v.dict->n) {
            return false;
        }
        *ret = v.dict->entries[i].key;
        break;
    case V_VIEW:
        if (i >= v.dict->n) {
            return false;
        }
        *ret = view_item(rt, v, i);
        break;
    case V_RANGE:
        if (i >= v.range->n) {
            return false;
        }
        *ret = VALUE_INT(v.range->start + (int64_t)i * v.range->step);
        break;
    case V_ITER: return next_of_object(rt, v.iter, ret);
    case V_LOOP: return next_of_loop(rt, v, ret);
    default: return false;
    }
    it->pos++;
    return true;
}

struct value iter_object_new(struct rt *rt, const char *repr,
                             bool (*next)(struct rt *, struct iter_object *, struct value *), struct value input)
{
    struct iter_object *object = rt_alloc(rt, sizeof(*object));

    *object = (struct iter_object){ .next = next, .repr = repr, .input = input };
    return (struct value){ .type = V_ITER, .iter = object };
}

struct value value_to_list(struct rt *rt, struct value v)
{
    struct list_builder list = { 0 };
    struct iter it;
    struct value item;

    if (v.type == V_LIST || v.type == V_TUPLE) {
        v.type = V_LIST;
        return v;
    }
    iter_begin(rt, &it, v);
    while (iter_next(rt, &it, &item)) {
        list_add(rt, &list, item);
    }
    return list_end(&list);
}
