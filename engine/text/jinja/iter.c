// Iteration over whatever has items, and lazy sequences.
#include "engine/text/jinja/value.h"

#include "engine/text/jinja/eval.h"
#include "engine/text/jinja/text.h"

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
