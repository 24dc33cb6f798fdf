// Vocabulary storage: one blob of strings, spans by id, and a hash table from string to id. Owned by a tokenizer's
// model.
#include "engine/text/vocab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int vocab_table_init(struct vocab_table *table, size_t n_ids)
{
    *table = (struct vocab_table){ .n_ids = n_ids };
    strbuf_init(&table->blob, 0);
    table->spans = malloc((n_ids ? n_ids : 1) * sizeof *table->spans);
    if (!table->spans) {
        return -ENOMEM;
    }
    memset(table->spans, 0xff, n_ids * sizeof *table->spans);
    return strbuf_append(&table->blob, STR("")); // so that blob.ptr is never NULL
}

void vocab_table_deinit(struct vocab_table *table)
{
    free(table->spans);
    strbuf_deinit(&table->blob);
    *table = (struct vocab_table){ 0 };
}

int vocab_table_set(struct vocab_table *table, uint32_t id, struct str s)
{
    if (table->blob.len + s.len >= UINT32_MAX) {
        return -ENOMEM;
    }
    uint32_t offset = (uint32_t)table->blob.len;
    int r = strbuf_append(&table->blob, s);
    if (r == 0) {
        table->spans[id] = (struct vocab_span){ offset, (uint32_t)s.len };
    }
    return r;
}

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Up to eight bytes as a number, zero beyond the end. Constant sizes: plain loads instead of calls.
static inline uint64_t load_head(const char *p, size_t n)
{
    uint64_t word = 0;
    uint32_t low, high;
    if (n >= 8) {
        memcpy(&word, p, 8);
    } else if (n >= 4) {
        memcpy(&low, p, 4);
        memcpy(&high, p + n - 4, 4);
        word = low | (uint64_t)high << 8 * (n - 4);
    } else if (n > 0) {
        word = (uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8 * (n / 2) | (uint64_t)(uint8_t)p[n - 1] << 8 * (n - 1);
    }
    return word;
}

static inline uint64_t hash_bytes(struct str s, uint64_t head)
{
    const uint64_t k0 = 0x9e3779b97f4a7c15u, k1 = 0xd6e8feb86659fd93u;
    uint64_t h = mix(head ^ s.len * k1, k0);
    for (size_t at = 8; at < s.len; at += 8) {
        h = mix(h ^ load_head(s.ptr + at, s.len - at), k1);
    }
    return h;
}

static inline bool key_eq(const struct vocab_map *map, const struct vocab_slot *slot, struct str key, uint64_t head)
{
    if (slot->head != head || slot->len != key.len) {
        return false;
    }
    const struct vocab_span *span = &map->table->spans[slot->id_plus_1 - 1];
    return key.len <= 8 || memcmp(map->table->blob.ptr + span->offset + 8, key.ptr + 8, key.len - 8) == 0;
}

static inline int32_t find_from(const struct vocab_map *map, struct str key, uint64_t head, uint64_t hash)
{
    for (uint32_t at = (uint32_t)hash & map->mask; map->slots[at].id_plus_1; at = (at + 1) & map->mask) {
        if (key_eq(map, &map->slots[at], key, head)) {
            return (int32_t)(map->slots[at].id_plus_1 - 1);
        }
    }
    return -1;
}

static int map_put(struct vocab_map *map, uint32_t id, uint32_t ret_same[2])
{
    struct str key = vocab_table_get(map->table, id);
    uint64_t head = load_head(key.ptr, key.len);
    uint32_t at = (uint32_t)hash_bytes(key, head) & map->mask;
    for (; map->slots[at].id_plus_1; at = (at + 1) & map->mask) {
        if (key_eq(map, &map->slots[at], key, head)) {
            ret_same[0] = map->slots[at].id_plus_1 - 1;
            ret_same[1] = id;
            return -EEXIST;
        }
    }
    map->slots[at] = (struct vocab_slot){ head, (uint32_t)key.len, id + 1 };
    map->n_bytes_max = key.len > map->n_bytes_max ? (uint32_t)key.len : map->n_bytes_max;
    return 0;
}

int vocab_map_init(struct vocab_map *map, const struct vocab_table *table, uint32_t ret_same[2])
{
    size_t n_slots = 16, n_keys = 0;
    for (size_t id = 0; id < table->n_ids; id++) {
        n_keys += vocab_table_has(table, (int64_t)id);
    }
    while (n_slots < 2 * n_keys) {
        n_slots *= 2;
    }
    *map = (struct vocab_map){ .table = table, .mask = (uint32_t)(n_slots - 1) };
    map->slots = calloc(n_slots, sizeof *map->slots);
    if (!map->slots) {
        return -ENOMEM;
    }
    int r = 0;
    for (uint32_t id = 0; id < table->n_ids && r == 0; id++) {
        r = vocab_table_has(table, id) ? map_put(map, id, ret_same) : 0;
    }
    return r;
}

void vocab_map_deinit(struct vocab_map *map)
{
    free(map->slots);
    *map = (struct vocab_map){ 0 };
}

int32_t vocab_map_find(const struct vocab_map *map, struct str key)
{
    if (key.len > map->n_bytes_max || !map->slots) {
        return -1;
    }
    uint64_t head = load_head(key.ptr, key.len);
    return find_from(map, key, head, hash_bytes(key, head));
}

uint64_t vocab_map_prepare(const struct vocab_map *map, struct str key)
{
    uint64_t hash = hash_bytes(key, load_head(key.ptr, key.len));
    __builtin_prefetch(&map->slots[(uint32_t)hash & map->mask]);
    return hash;
}

int32_t vocab_map_find_prepared(const struct vocab_map *map, struct str key, uint64_t prepared)
{
    return find_from(map, key, load_head(key.ptr, key.len), prepared);
}
