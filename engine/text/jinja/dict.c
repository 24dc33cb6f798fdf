// Dicts: entries in the order in which they came, and an index of their hashes where there are many.
#include "engine/text/jinja/value.h"

#include "engine/text/jinja/ops.h"

#include <string.h>

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
