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

static inline uint64_t hash_bytes(struct str s)
{
    const uint64_t k0 = 0x9e3779b97f4a7c15u, k1 = 0xd6e8feb86659fd93u;
    uint64_t h = s.len * k1, word;
    const char *p = s.ptr;
    size_t n = s.len;
    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&word, p, 8);
        h = mix(h ^ word, k0);
    }
    word = 0;
    switch (n) {                                 // constant sizes: plain loads instead of calls
    case 7: memcpy((char *)&word + 6, p + 6, 1); // fall through
    case 6:
        memcpy((char *)&word + 4, p + 4, 2);
        memcpy(&word, p, 4);
        break;
    case 5: memcpy((char *)&word + 4, p + 4, 1); // fall through
    case 4: memcpy(&word, p, 4); break;
    case 3: memcpy((char *)&word + 2, p + 2, 1); // fall through
    case 2: memcpy(&word, p, 2); break;
    case 1: memcpy(&word, p, 1); break;
    default: break;
    }
    return mix(h ^ word, k1 ^ k0);
}

static inline bool key_eq(const struct vocab_table *table, uint32_t id, struct str key)
{
    const struct vocab_span *span = &table->spans[id];
    return span->len == key.len && memcmp(table->blob.ptr + span->offset, key.ptr, key.len) == 0;
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
    for (uint32_t id = 0; id < table->n_ids; id++) {
        if (!vocab_table_has(table, id)) {
            continue;
        }
        struct str key = vocab_table_get(table, id);
        uint64_t hash = hash_bytes(key);
        uint32_t tag = (uint32_t)(hash >> 32), at = (uint32_t)hash & map->mask;
        for (; map->slots[at].id_plus_1; at = (at + 1) & map->mask) {
            if (map->slots[at].tag == tag && key_eq(table, map->slots[at].id_plus_1 - 1, key)) {
                ret_same[0] = map->slots[at].id_plus_1 - 1;
                ret_same[1] = id;
                return -EEXIST;
            }
        }
        map->slots[at] = (struct vocab_slot){ tag, id + 1 };
        map->n_bytes_max = key.len > map->n_bytes_max ? (uint32_t)key.len : map->n_bytes_max;
    }
    return 0;
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
    uint64_t hash = hash_bytes(key);
    uint32_t tag = (uint32_t)(hash >> 32);
    for (uint32_t at = (uint32_t)hash & map->mask; map->slots[at].id_plus_1; at = (at + 1) & map->mask) {
        if (map->slots[at].tag == tag && key_eq(map->table, map->slots[at].id_plus_1 - 1, key)) {
            return (int32_t)(map->slots[at].id_plus_1 - 1);
        }
    }
    return -1;
}
