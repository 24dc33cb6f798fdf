// Byte strings by id, and ids by byte string.
#ifndef TOKFS_TEXT_VOCAB_H
#define TOKFS_TEXT_VOCAB_H

#include "engine/base/str.h"

#define VOCAB_ID_MAX                                                                                                   \
    0x1fffff // largest id that a file may use: bounds the tables (the largest published are near 300,000)

// Strings by id; an id may be absent. Filled once, then immutable.
struct vocab_table {
    struct vocab_span {
        uint32_t offset, len; // in blob; len VOCAB_ABSENT: no such id
    } * spans;
    size_t n_ids;
    struct strbuf blob;
};

#define VOCAB_ABSENT UINT32_MAX

int vocab_table_init(struct vocab_table *table, size_t n_ids); // all absent; 0 or -ENOMEM
void vocab_table_deinit(struct vocab_table *table);
int vocab_table_set(struct vocab_table *table, uint32_t id, struct str s); // copies; 0 or -ENOMEM

static inline bool vocab_table_has(const struct vocab_table *table, int64_t id)
{
    return id >= 0 && (uint64_t)id < table->n_ids && table->spans[id].len != VOCAB_ABSENT;
}

// Empty for an absent id. Borrowed; valid until the next vocab_table_set.
static inline struct str vocab_table_get(const struct vocab_table *table, int64_t id)
{
    if (!vocab_table_has(table, id)) {
        return (struct str){ "", 0 };
    }
    return (struct str){ table->blob.ptr + table->spans[id].offset, table->spans[id].len };
}

// Ids by string, over the strings of a table that outlives it. Open addressing, at most half full; the first bytes of
// each key lie in its slot, so that finding a short one touches one cache line.
struct vocab_map {
    struct vocab_slot {
        uint64_t head; // the key's first eight bytes, zero beyond its end
        uint32_t len;
        uint32_t id_plus_1; // 0: empty
    } * slots;
    uint32_t mask;
    uint32_t n_bytes_max; // longest key
    const struct vocab_table *table;
};

// Maps every present id of `table`. 0, -ENOMEM, or -EEXIST with the two ids that have the same string.
int vocab_map_init(struct vocab_map *map, const struct vocab_table *table, uint32_t ret_same[2]);
void vocab_map_deinit(struct vocab_map *map);
int32_t vocab_map_find(const struct vocab_map *map, struct str key); // -1 when absent

// The same in two steps, for many keys at a time: the first begins to fetch what the second will look at.
uint64_t vocab_map_prepare(const struct vocab_map *map, struct str key);
int32_t vocab_map_find_prepared(const struct vocab_map *map, struct str key, uint64_t prepared);

#endif
