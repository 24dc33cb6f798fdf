// The hash table of the index: from the hash of a block to its holders.
//
//   directory [2^depth] ---> segment: 4096 slots of 16 bytes, 64 KiB
//   (by the first bits       { hash, holder | holder }              up to two holders in the slot
//    of the mixed hash)      { hash, pointer } ---> struct holders  more of them, sorted
//
// Extendible hashing: a segment that is full is split in two, so that growing never costs more than one segment's
// move, and two halves that have become nearly empty are one again, so that memory follows what is stored. When the
// limit is reached, a segment that is full loses those of its blocks that were not asked for since its hand passed them
// last (CLOCK); a block that is new was never asked for, so that a flood of new ones takes the place of others like
// them.
//
//   holder word:  | holder id 16 | flag 1 | disk 5 | cpu 5 | gpu 5 |     how often it has the block, per tier
//
// 1. A slot is free iff its word is 0; a word without counts is no holder.
// 2. The flag of the first word of a slot says that it was asked for (touched), that of the second that both are a
// pointer, whose
//    bit 48 then says the former.
// 3. A segment has free slots: at most LOAD_MAX are taken.
// 4. Holders whose id has no node (`node_of`) are dead: nobody sees them, and the next move of their segment drops
//    them.
#ifndef TOKFS_KV_INDEX_TABLE_H
#define TOKFS_KV_INDEX_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_SLOTS    4096u
#define TABLE_LOAD_MAX 3277u // four fifths
#define HOLDER_IDS     65536u
#define HOLDER_COUNTS  0x7fffu
#define NODE_NONE      UINT16_MAX

struct table_slot {
    uint64_t hash;
    union {
        uint64_t word;
        uint32_t inline_words[2];
    };
};

struct table_segment {
    struct table_slot *slots;
    uint32_t next_free; // of a free one: the next, + 1
    uint16_t n_used;
    uint16_t hand; // slot that the next eviction begins with
    uint8_t depth; // how many first bits its hashes share
};

struct table_place { // of the directory
    struct table_slot *slots;
    uint32_t segment;
};

struct index_table {
    struct table_place *directory; // [1 << depth]
    struct table_segment *segments;
    uint32_t n_segments, segments_cap;
    uint32_t first_free, n_free; // of them: a list (0: the end), whose memory the system has
    struct table_slot **chunks;  // of 32 segments each
    uint32_t n_chunks;
    struct table_slot *scratch; // a segment's slots while it is moved
    unsigned depth;
    uint64_t n_bytes, bytes_max;
    uint64_t n_used, n_evicted;
    // The index's.
    const uint16_t *node_of; // [HOLDER_IDS]
    uint32_t *n_placements;  // [HOLDER_IDS] of each holder id
};

// The two arrays must outlive it. -ENOMEM.
int table_init(struct index_table *table, uint64_t bytes_max, const uint16_t *node_of, uint32_t *n_placements);
void table_deinit(struct index_table *table);

static inline uint64_t table_mix(uint64_t hash)
{
    uint64_t mixed = hash * UINT64_C(0x9e3779b97f4a7c15);
    return mixed ^ mixed >> 32;
}

static inline const struct table_place *table_place(const struct index_table *table, uint64_t mixed)
{
    return &table->directory[mixed >> 1 >> (63 - table->depth)];
}

static inline void table_prefetch(const struct index_table *table, uint64_t hash)
{
    uint64_t mixed = table_mix(hash);
    __builtin_prefetch(&table_place(table, mixed)->slots[mixed & (TABLE_SLOTS - 1)]);
}

static inline struct table_slot *table_find(const struct index_table *table, uint64_t hash)
{
    uint64_t mixed = table_mix(hash);
    struct table_slot *slots = table_place(table, mixed)->slots;
    for (uint32_t i = mixed & (TABLE_SLOTS - 1);; i = (i + 1) & (TABLE_SLOTS - 1)) {
        if (slots[i].word == 0) {
            return NULL;
        }
        if (slots[i].hash == hash) {
            return &slots[i];
        }
    }
}

// The holder words of a slot, dead ones included; without counts: none.
uint32_t *table_holders(struct table_slot *slot, uint32_t *ret_n);
void table_touch(struct table_slot *slot);
// The word of a holder of a block, NULL: it has none.
uint32_t *table_find_holder(struct table_slot *slot, uint16_t holder);
// Adds a holder that is not there, with its counts; the block's slot is made where there is none. 0 or -ENOMEM.
int table_add(struct index_table *table, uint64_t hash, uint16_t holder, uint32_t counts);
// Takes a holder's word out, and the slot with the last one.
void table_take(struct index_table *table, uint64_t hash, uint16_t holder);

// The segment that has the mixed hash *at: drops its dead holders. *at becomes the beginning of the next one, or 0.
void table_sweep(struct index_table *table, uint64_t *at);
const struct table_segment *table_segment_at(const struct index_table *table, uint64_t *at);

#endif
