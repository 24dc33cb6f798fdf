#include "tools/kv/index_table.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SEGMENT_BYTES      (TABLE_SLOTS * sizeof(struct table_slot))
#define SEGMENTS_PER_CHUNK 32u
#define CHUNK_BYTES        (SEGMENTS_PER_CHUNK * SEGMENT_BYTES)
#define DEPTH_MAX          24u
#define EVICTED_AT_ONCE    (TABLE_LOAD_MAX / 8)
#define MERGED_MAX         (TABLE_LOAD_MAX / 4) // of two that become one: far from what splits it again
#define FLAG               0x8000u
#define IS_POINTER         (UINT64_C(1) << 47)
#define POINTER_TOUCHED    (UINT64_C(1) << 48)
#define POINTER_BITS       (IS_POINTER - 1)
#define HOLDERS_MIN        4u

struct holders {
    uint32_t n, cap;
    uint32_t words[]; // [cap], sorted
};

static_assert(sizeof(struct table_slot) == 16, "a slot");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "inline_words[1] is the upper half of word");

// ---- holders of a block --------------------------------------------------------------------------------------------

static struct holders *pointer_of(const struct table_slot *slot)
{
    return slot->word & IS_POINTER ? (struct holders *)(uintptr_t)(slot->word & POINTER_BITS) : NULL;
}

static size_t holders_bytes(uint32_t cap)
{
    return sizeof(struct holders) + cap * sizeof(uint32_t) + 8; // malloc's word
}

uint32_t *table_holders(struct table_slot *slot, uint32_t *ret_n)
{
    struct holders *set = pointer_of(slot);
    *ret_n = set ? set->n : 2;
    return set ? set->words : slot->inline_words;
}

void table_touch(struct table_slot *slot)
{
    uint64_t bit = slot->word & IS_POINTER ? POINTER_TOUCHED : FLAG;
    if (!(slot->word & bit)) {
        slot->word |= bit;
    }
}

static bool take_touch(struct table_slot *slot)
{
    uint64_t bit = slot->word & IS_POINTER ? POINTER_TOUCHED : FLAG;
    bool was_touched = slot->word & bit;
    slot->word &= ~bit;
    return was_touched;
}

static uint32_t lower_bound(const struct holders *set, uint16_t holder)
{
    uint32_t low = 0, high = set->n;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (set->words[mid] >> 16 < holder) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

uint32_t *table_find_holder(struct table_slot *slot, uint16_t holder)
{
    struct holders *set = pointer_of(slot);
    if (set) {
        uint32_t at = lower_bound(set, holder);
        return at < set->n && set->words[at] >> 16 == holder ? &set->words[at] : NULL;
    }
    for (unsigned i = 0; i < 2; i++) {
        uint32_t word = slot->inline_words[i];
        if (word & HOLDER_COUNTS && word >> 16 == holder) {
            return &slot->inline_words[i];
        }
    }
    return NULL;
}

// The set with room for one more; it replaces what the slot had.
static struct holders *make_room(struct index_table *table, struct table_slot *slot)
{
    struct holders *set = pointer_of(slot);
    if (set && set->n < set->cap) {
        return set;
    }
    uint32_t cap = set ? set->cap + set->cap / 2 : HOLDERS_MIN;
    struct holders *larger = realloc(set, sizeof(*set) + cap * sizeof(uint32_t));
    if (!larger) {
        return NULL;
    }
    table->n_bytes += holders_bytes(cap) - (set ? holders_bytes(larger->cap) : 0);
    larger->cap = cap;
    uint64_t touched = set ? slot->word & POINTER_TOUCHED : slot->word & FLAG ? POINTER_TOUCHED : 0;
    if (!set) {
        uint32_t a = slot->inline_words[0] & ~FLAG, b = slot->inline_words[1];
        larger->words[0] = a < b ? a : b;
        larger->words[1] = a < b ? b : a;
        larger->n = 2;
    }
    assert(((uint64_t)(uintptr_t)larger & ~POINTER_BITS) == 0);
    slot->word = (uint64_t)(uintptr_t)larger | IS_POINTER | touched;
    return larger;
}

static int add_word(struct index_table *table, struct table_slot *slot, uint32_t word)
{
    for (unsigned i = 0; i < 2 && !(slot->word & IS_POINTER); i++) {
        if (!(slot->inline_words[i] & HOLDER_COUNTS)) {
            slot->inline_words[i] = word | (i == 0 ? slot->inline_words[0] & FLAG : 0);
            return 0;
        }
    }
    struct holders *set = make_room(table, slot);
    if (!set) {
        return -ENOMEM;
    }
    uint32_t at = lower_bound(set, (uint16_t)(word >> 16));
    memmove(&set->words[at + 1], &set->words[at], (set->n - at) * sizeof(uint32_t));
    set->words[at] = word;
    set->n++;
    return 0;
}

static void drop_set(struct index_table *table, struct holders *set)
{
    table->n_bytes -= set ? holders_bytes(set->cap) : 0;
    free(set);
}

// A set of two is held in the slot again.
static void shrink(struct index_table *table, struct table_slot *slot)
{
    struct holders *set = pointer_of(slot);
    if (!set || set->n > 2) {
        return;
    }
    uint32_t touched = slot->word & POINTER_TOUCHED ? FLAG : 0;
    slot->inline_words[0] = set->n > 0 ? set->words[0] | touched : 0;
    slot->inline_words[1] = set->n > 1 ? set->words[1] : 0;
    drop_set(table, set);
}

static void take_word(struct index_table *table, struct table_slot *slot, uint32_t *word)
{
    struct holders *set = pointer_of(slot);
    if (set) {
        memmove(word, word + 1, (size_t)(&set->words[set->n] - (word + 1)) * sizeof(uint32_t));
        set->n--;
        shrink(table, slot);
        return;
    }
    uint32_t touched = slot->inline_words[0] & FLAG;
    if (word == &slot->inline_words[0]) {
        slot->inline_words[0] = slot->inline_words[1];
    }
    slot->inline_words[1] = 0;
    if (slot->inline_words[0] & HOLDER_COUNTS) {
        slot->inline_words[0] |= touched;
    } else {
        slot->word = 0;
    }
}

// True: somebody is left.
static bool drop_dead(struct index_table *table, struct table_slot *slot)
{
    uint32_t n, kept = 0;
    uint32_t *words = table_holders(slot, &n);
    bool was_touched = take_touch(slot);
    for (uint32_t i = 0; i < n; i++) {
        if (words[i] & HOLDER_COUNTS && table->node_of[words[i] >> 16] != NODE_NONE) {
            words[kept++] = words[i];
        }
    }
    struct holders *set = pointer_of(slot);
    if (set) {
        set->n = kept;
        shrink(table, slot);
    } else {
        memset(&words[kept], 0, (2 - kept) * sizeof(uint32_t));
    }
    if (slot->word != 0 && was_touched) {
        table_touch(slot);
    }
    return slot->word != 0;
}

static void evict(struct index_table *table, struct table_slot *slot)
{
    uint32_t n;
    const uint32_t *words = table_holders(slot, &n);
    for (uint32_t i = 0; i < n; i++) {
        if (words[i] & HOLDER_COUNTS) {
            table->n_placements[words[i] >> 16]--;
            table->n_evicted++;
        }
    }
    drop_set(table, pointer_of(slot));
}

// ---- segments ------------------------------------------------------------------------------------------------------

static struct table_slot *free_slot(struct table_slot *slots, uint64_t mixed)
{
    uint32_t i = mixed & (TABLE_SLOTS - 1);
    while (slots[i].word != 0) {
        i = (i + 1) & (TABLE_SLOTS - 1);
    }
    return &slots[i];
}

static void put(struct index_table *table, uint32_t segment, const struct table_slot *slot)
{
    struct table_segment *s = &table->segments[segment];
    *free_slot(s->slots, table_mix(slot->hash)) = *slot;
    s->n_used++;
    table->n_used++;
}

static void lift(struct index_table *table, uint32_t segment)
{
    struct table_segment *s = &table->segments[segment];
    memcpy(table->scratch, s->slots, SEGMENT_BYTES);
    memset(s->slots, 0, SEGMENT_BYTES);
    table->n_used -= s->n_used;
    s->n_used = 0;
}

static int add_chunk(struct index_table *table)
{
    struct table_slot **chunks = reallocarray(table->chunks, table->n_chunks + 1, sizeof(*chunks));
    if (!chunks) {
        return -ENOMEM;
    }
    table->chunks = chunks;
    void *chunk = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED) {
        return -ENOMEM;
    }
    madvise(chunk, CHUNK_BYTES, MADV_HUGEPAGE); // a wish
    chunks[table->n_chunks++] = chunk;
    return 0;
}

// A new one's number, or -ENOMEM.
static int64_t add_segment(struct index_table *table, unsigned depth)
{
    uint32_t n = table->n_segments;
    if (table->first_free > 0) {
        n = table->first_free - 1;
        table->first_free = table->segments[n].next_free;
        table->n_free--;
        table->segments[n] = (struct table_segment){ .slots = table->segments[n].slots, .depth = (uint8_t)depth };
        table->n_bytes += SEGMENT_BYTES;
        return n;
    }
    if (n == table->segments_cap) {
        uint32_t cap = n ? 2 * n : 16;
        struct table_segment *segments = reallocarray(table->segments, cap, sizeof(*segments));
        if (!segments) {
            return -ENOMEM;
        }
        table->n_bytes += (cap - n) * sizeof(*segments);
        table->segments = segments;
        table->segments_cap = cap;
    }
    if (n == table->n_chunks * SEGMENTS_PER_CHUNK && add_chunk(table) < 0) {
        return -ENOMEM;
    }
    struct table_slot *slots = table->chunks[n / SEGMENTS_PER_CHUNK] + n % SEGMENTS_PER_CHUNK * TABLE_SLOTS;
    table->segments[n] = (struct table_segment){ .slots = slots, .depth = (uint8_t)depth };
    table->n_bytes += SEGMENT_BYTES;
    table->n_segments++;
    return n;
}

// It has no blocks, and no place of the directory.
static void free_segment(struct index_table *table, uint32_t segment)
{
    struct table_segment *s = &table->segments[segment];
    madvise(s->slots, SEGMENT_BYTES, MADV_DONTNEED); // it reads as zeroes from now on
    *s = (struct table_segment){ .slots = s->slots, .next_free = table->first_free };
    table->first_free = segment + 1;
    table->n_free++;
    table->n_bytes -= SEGMENT_BYTES;
}

static int double_directory(struct index_table *table)
{
    size_t n = (size_t)1 << table->depth;
    struct table_place *directory = reallocarray(table->directory, 2 * n, sizeof(*directory));
    if (!directory) {
        return -ENOMEM;
    }
    for (size_t i = n; i-- > 0;) {
        directory[2 * i + 1] = directory[2 * i] = directory[i];
    }
    table->directory = directory;
    table->depth++;
    table->n_bytes += n * sizeof(*directory);
    return 0;
}

// The segment's blocks whose next bit is 1 go to a new segment.
static int split(struct index_table *table, uint32_t old, uint64_t mixed)
{
    unsigned depth = table->segments[old].depth;
    int64_t added = depth == table->depth && double_directory(table) < 0 ? -ENOMEM : add_segment(table, depth + 1);
    if (added < 0) {
        return -ENOMEM;
    }
    uint32_t new = (uint32_t)added;
    table->segments[old].depth = (uint8_t)(depth + 1);
    size_t n = (size_t)1 << (table->depth - depth); // places of the old segment
    size_t first = (size_t)(mixed >> 1 >> (63 - table->depth)) & ~(n - 1);
    for (size_t i = first + n / 2; i < first + n; i++) {
        table->directory[i] = (struct table_place){ table->segments[new].slots, new };
    }
    lift(table, old);
    for (size_t i = 0; i < TABLE_SLOTS; i++) {
        struct table_slot *slot = &table->scratch[i];
        if (slot->word != 0 && drop_dead(table, slot)) {
            put(table, table_mix(slot->hash) >> (63 - depth) & 1 ? new : old, slot);
        }
    }
    return 0;
}

// As long as the segment of a hash and its other half are nearly empty, they become one.
static void merge(struct index_table *table, uint64_t mixed)
{
    for (;;) {
        uint32_t a = table_place(table, mixed)->segment;
        unsigned depth = table->segments[a].depth;
        uint64_t half = depth > 0 ? UINT64_C(1) << (64 - depth) : 0;
        uint32_t b = table_place(table, mixed ^ half)->segment;
        if (depth == 0 || table->segments[b].depth != depth ||
            table->segments[a].n_used + table->segments[b].n_used > MERGED_MAX) {
            return;
        }
        size_t n = (size_t)1 << (table->depth - depth); // places of the one that goes
        size_t first = (size_t)((mixed ^ half) >> 1 >> (63 - table->depth)) & ~(n - 1);
        for (size_t i = first; i < first + n; i++) {
            table->directory[i] = (struct table_place){ table->segments[a].slots, a };
        }
        table->n_used -= table->segments[b].n_used;
        for (size_t i = 0; i < TABLE_SLOTS; i++) {
            if (table->segments[b].slots[i].word != 0) {
                put(table, a, &table->segments[b].slots[i]);
            }
        }
        table->segments[a].depth = (uint8_t)(depth - 1);
        free_segment(table, b);
    }
}

// Second chance: a block that was touched loses its touch, another one its place, until enough are gone.
static void evict_some(struct index_table *table, uint32_t segment)
{
    uint32_t i = table->segments[segment].hand, n_evicted = 0;
    lift(table, segment);
    for (uint32_t n = 0; n < 2 * TABLE_SLOTS && n_evicted < EVICTED_AT_ONCE; n++, i = (i + 1) & (TABLE_SLOTS - 1)) {
        struct table_slot *slot = &table->scratch[i];
        if (slot->word == 0) {
            continue;
        }
        if (!drop_dead(table, slot)) {
            n_evicted++;
        } else if (!take_touch(slot)) {
            evict(table, slot);
            slot->word = 0;
            n_evicted++;
        }
    }
    table->segments[segment].hand = (uint16_t)i;
    for (i = 0; i < TABLE_SLOTS; i++) {
        if (table->scratch[i].word != 0) {
            put(table, segment, &table->scratch[i]);
        }
    }
}

// Lists of holders have an eighth of the limit at least: else what is evicted for them would be slots without any.
static bool may_grow(const struct index_table *table)
{
    uint64_t max = table->bytes_max;
    return max == 0 || ((table->n_segments - table->n_free + 1) * SEGMENT_BYTES <= max - max / 8 &&
                        table->n_bytes + SEGMENT_BYTES <= max);
}

// Room for one more slot in the segment of a hash.
static int ensure_room(struct index_table *table, uint64_t mixed)
{
    for (;;) {
        uint32_t segment = table_place(table, mixed)->segment;
        const struct table_segment *s = &table->segments[segment];
        if (s->n_used < TABLE_LOAD_MAX) {
            return 0;
        }
        if (!may_grow(table) || s->depth == DEPTH_MAX) {
            evict_some(table, segment);
        } else if (split(table, segment, mixed) < 0) {
            return -ENOMEM;
        }
    }
}

int table_add(struct index_table *table, uint64_t hash, uint16_t holder, uint32_t counts)
{
    uint32_t word = (uint32_t)holder << 16 | counts;
    uint64_t mixed = table_mix(hash);
    if (table->bytes_max > 0 && table->n_bytes > table->bytes_max) {
        evict_some(table, table_place(table, mixed)->segment);
    }
    struct table_slot *slot = table_find(table, hash);
    if (slot) {
        return add_word(table, slot, word);
    }
    int r = ensure_room(table, mixed);
    if (r == 0) {
        struct table_slot fresh = { .hash = hash, .inline_words = { word, 0 } };
        put(table, table_place(table, mixed)->segment, &fresh);
    }
    return r;
}

// Closes the gap: what follows moves up unless it is where its hash wants it.
static void take_slot(struct index_table *table, uint64_t hash, struct table_slot *slot)
{
    const struct table_place *place = table_place(table, table_mix(hash));
    struct table_slot *slots = place->slots;
    uint32_t gap = (uint32_t)(slot - slots);
    for (uint32_t i = (gap + 1) & (TABLE_SLOTS - 1); slots[i].word != 0; i = (i + 1) & (TABLE_SLOTS - 1)) {
        uint32_t home = table_mix(slots[i].hash) & (TABLE_SLOTS - 1);
        if (((i - home) & (TABLE_SLOTS - 1)) >= ((i - gap) & (TABLE_SLOTS - 1))) {
            slots[gap] = slots[i];
            gap = i;
        }
    }
    slots[gap] = (struct table_slot){ 0 };
    table->n_used--;
    unsigned n_used = --table->segments[place->segment].n_used;
    if (n_used < MERGED_MAX / 2 && n_used % 16 == 0) {
        merge(table, table_mix(hash));
    }
}

void table_take(struct index_table *table, uint64_t hash, uint16_t holder)
{
    struct table_slot *slot = table_find(table, hash);
    take_word(table, slot, table_find_holder(slot, holder));
    if (slot->word == 0) {
        take_slot(table, hash, slot);
    }
}

const struct table_segment *table_segment_at(const struct index_table *table, uint64_t *at)
{
    const struct table_segment *segment = &table->segments[table_place(table, *at)->segment];
    uint64_t n = segment->depth == 0 ? 0 : UINT64_C(1) << (64 - segment->depth); // of hashes that it has
    *at = n == 0 ? 0 : (*at & ~(n - 1)) + n;
    return segment;
}

static bool has_dead(const struct index_table *table, struct table_slot *slot)
{
    uint32_t n;
    const uint32_t *words = table_holders(slot, &n);
    for (uint32_t i = 0; i < n; i++) {
        if (words[i] & HOLDER_COUNTS && table->node_of[words[i] >> 16] == NODE_NONE) {
            return true;
        }
    }
    return false;
}

void table_sweep(struct index_table *table, uint64_t *at)
{
    uint64_t begin = *at;
    uint32_t segment = (uint32_t)(table_segment_at(table, at) - table->segments);
    struct table_slot *slots = table->segments[segment].slots;
    uint32_t i = 0;
    while (i < TABLE_SLOTS && !(slots[i].word != 0 && has_dead(table, &slots[i]))) {
        i++;
    }
    if (i == TABLE_SLOTS) {
        return;
    }
    lift(table, segment);
    for (i = 0; i < TABLE_SLOTS; i++) {
        struct table_slot *slot = &table->scratch[i];
        if (slot->word != 0 && drop_dead(table, slot)) {
            put(table, segment, slot);
        }
    }
    merge(table, begin);
}

// ---- its life ------------------------------------------------------------------------------------------------------

int table_init(struct index_table *table, uint64_t bytes_max, const uint16_t *node_of, uint32_t *n_placements)
{
    *table = (struct index_table){ .bytes_max = bytes_max, .node_of = node_of, .n_placements = n_placements };
    table->scratch = malloc(SEGMENT_BYTES);
    table->directory = malloc(sizeof(*table->directory));
    if (!table->scratch || !table->directory || add_segment(table, 0) < 0) {
        table_deinit(table);
        return -ENOMEM;
    }
    table->directory[0] = (struct table_place){ table->segments[0].slots, 0 };
    table->n_bytes += SEGMENT_BYTES + sizeof(*table->directory);
    return 0;
}

void table_deinit(struct index_table *table)
{
    for (uint32_t s = 0; s < table->n_segments; s++) {
        for (size_t i = 0; i < TABLE_SLOTS; i++) {
            drop_set(table, pointer_of(&table->segments[s].slots[i]));
        }
    }
    for (uint32_t i = 0; i < table->n_chunks; i++) {
        munmap(table->chunks[i], CHUNK_BYTES);
    }
    free(table->chunks);
    free(table->segments);
    free(table->directory);
    free(table->scratch);
}
