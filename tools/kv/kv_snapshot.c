// Columns, one entry per block. They are filled in the order of telling; finish makes the family links (by a table of
// hashes), walks the trees from their roots, children before siblings, and writes the columns anew in that order.
#include "tools/kv/kv_snapshot.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONE      UINT32_MAX
#define MEDIA_MAX 8

struct block {
    uint64_t hash, parent, extra;
    bool has_parent;
    uint8_t medium; // of the snapshot's
    uint32_t row;   // of tokens
};

struct kv_snapshot {
    unsigned n_users;
    uint32_t block_size;
    size_t n, cap, n_ordered;
    bool has_tokens;
    char *media[MEDIA_MAX];
    uint8_t n_media;
    struct block *blocks; // [cap]
    uint32_t *tokens;     // [cap][block_size]
    // After finish, in order:
    uint64_t *hashes, *extras; // [n_ordered]
    struct block **order;      // [n_ordered]
    uint32_t *ordered_tokens;  // [n_ordered][block_size]; NULL: not told
};

struct kv_snapshot *kv_snapshot_new(uint32_t block_size)
{
    struct kv_snapshot *s = calloc(1, sizeof(*s));
    if (s) {
        s->n_users = 1;
        s->block_size = block_size;
        s->has_tokens = true;
    }
    return s;
}

struct kv_snapshot *kv_snapshot_ref(struct kv_snapshot *s)
{
    s->n_users++;
    return s;
}

void kv_snapshot_unref(struct kv_snapshot *s)
{
    if (!s || --s->n_users > 0) {
        return;
    }
    while (s->n_media > 0) {
        free(s->media[--s->n_media]);
    }
    free(s->blocks);
    free(s->tokens);
    free(s->hashes);
    free(s->extras);
    free(s->order);
    free(s->ordered_tokens);
    free(s);
}

static int grow(struct kv_snapshot *s, size_t n_more)
{
    size_t cap = s->cap ? s->cap : 256;
    if (n_more >= NONE - s->n) {
        return -ENOMEM;
    }
    while (cap < s->n + n_more) {
        cap *= 2;
    }
    if (cap > s->cap) {
        struct block *blocks = realloc(s->blocks, cap * sizeof(*blocks));
        s->blocks = blocks ? blocks : s->blocks;
        uint32_t *tokens = blocks ? realloc(s->tokens, cap * s->block_size * sizeof(*tokens)) : NULL;
        s->tokens = tokens ? tokens : s->tokens;
        if (!tokens) {
            return -ENOMEM;
        }
        s->cap = cap;
    }
    return 0;
}

static int find_medium(struct kv_snapshot *s, struct str medium, uint8_t *ret)
{
    uint8_t i = 0;
    while (i < s->n_media && !str_eq(medium, str_from(s->media[i]))) {
        i++;
    }
    if (i == MEDIA_MAX) {
        return -EINVAL;
    }
    if (i == s->n_media && !(s->media[s->n_media++] = str_dup(medium))) {
        s->n_media--;
        return -ENOMEM;
    }
    *ret = i;
    return 0;
}

int kv_snapshot_add(struct kv_snapshot *s, const struct kv_message *m)
{
    assert(m->kind == KV_MESSAGE_STORED && !s->order);
    if (m->block_size != s->block_size) {
        return -EINVAL;
    }
    uint8_t medium = 0;
    int r = grow(s, m->n_blocks);
    r = r == 0 ? find_medium(s, m->medium, &medium) : r;
    for (size_t i = 0; r == 0 && i < m->n_blocks; i++) {
        s->blocks[s->n] = (struct block){ .hash = m->hashes[i],
                                          .parent = i > 0 ? m->hashes[i - 1] : m->parent,
                                          .has_parent = i > 0 || m->has_parent,
                                          .medium = medium,
                                          .extra = m->extras ? m->extras[i] : 0,
                                          .row = (uint32_t)s->n };
        if (m->tokens) {
            memcpy(s->tokens + s->n * s->block_size, m->tokens + i * s->block_size, s->block_size * sizeof(*s->tokens));
        }
        s->has_tokens = s->has_tokens && m->tokens;
        s->n++;
    }
    return r;
}

// ---- order ---------------------------------------------------------------------------------------------------------

struct family {
    uint32_t *table; // [n_slots] index of a block by its hash
    size_t n_slots;  // a power of two
    uint32_t *child; // [n] first of its children
    uint32_t *next;  // [n] sibling
    uint32_t root;   // first of those without a parent
};

static uint32_t *slot_of(const struct family *f, const struct kv_snapshot *s, uint64_t hash)
{
    size_t at = (hash ^ hash >> 32) & (f->n_slots - 1);
    while (f->table[at] != NONE && s->blocks[f->table[at]].hash != hash) {
        at = (at + 1) & (f->n_slots - 1);
    }
    return &f->table[at];
}

static void link_family(struct family *f, const struct kv_snapshot *s)
{
    f->root = NONE;
    memset(f->table, 0xff, f->n_slots * sizeof(*f->table));
    memset(f->child, 0xff, (s->n + 1) * sizeof(*f->child));
    for (uint32_t i = 0; i < s->n; i++) {
        *slot_of(f, s, s->blocks[i].hash) = i; // told twice: the last one
    }
    for (uint32_t i = (uint32_t)s->n; i-- > 0;) {
        const struct block *block = &s->blocks[i];
        if (*slot_of(f, s, block->hash) != i) {
            continue;
        }
        uint32_t *first = block->has_parent ? slot_of(f, s, block->parent) : &f->root;
        if (block->has_parent) {
            first = *first != NONE ? &f->child[*first] : NULL;
        }
        if (first) {
            f->next[i] = *first;
            *first = i;
        }
    }
}

static void put(struct kv_snapshot *s, uint32_t i)
{
    size_t at = s->n_ordered++, size = s->block_size;
    s->order[at] = &s->blocks[i];
    s->hashes[at] = s->blocks[i].hash;
    s->extras[at] = s->blocks[i].extra;
    memcpy(s->ordered_tokens + at * size, s->tokens + s->blocks[i].row * size, size * sizeof(*s->tokens));
}

// Depth first, with a stack of what is left of each generation.
static void walk(struct kv_snapshot *s, const struct family *f, uint32_t *stack)
{
    size_t depth = 0;
    stack[depth++] = f->root;
    while (depth > 0) {
        uint32_t i = stack[depth - 1];
        if (i == NONE) {
            depth--;
            continue;
        }
        put(s, i);
        stack[depth - 1] = f->next[i];
        stack[depth++] = f->child[i];
    }
}

int kv_snapshot_finish(struct kv_snapshot *s)
{
    struct family f = { .n_slots = 64 };
    while (f.n_slots < 2 * s->n) {
        f.n_slots *= 2;
    }
    f.table = malloc(f.n_slots * sizeof(*f.table));
    f.child = malloc((s->n + 1) * sizeof(*f.child));
    f.next = malloc((s->n + 1) * sizeof(*f.next));
    uint32_t *stack = malloc((s->n + 2) * sizeof(*stack));
    s->order = calloc(s->n + 1, sizeof(*s->order));
    s->hashes = calloc(s->n + 1, sizeof(*s->hashes));
    s->extras = calloc(s->n + 1, sizeof(*s->extras));
    s->ordered_tokens = calloc(s->n + 1, s->block_size * sizeof(*s->ordered_tokens));
    bool is_good = f.table && f.child && f.next && stack && s->order && s->hashes && s->extras && s->ordered_tokens;
    if (is_good) {
        link_family(&f, s);
        walk(s, &f, stack);
        free(s->tokens);
        s->tokens = NULL;
    }
    free(f.table);
    free(f.child);
    free(f.next);
    free(stack);
    return is_good ? 0 : -ENOMEM;
}

// ---- telling on ----------------------------------------------------------------------------------------------------

uint32_t kv_snapshot_block_size(const struct kv_snapshot *s)
{
    return s->block_size;
}

size_t kv_snapshot_count(const struct kv_snapshot *s)
{
    return s->n_ordered;
}

static bool follows(const struct kv_snapshot *s, size_t at)
{
    const struct block *block = s->order[at];
    return block->has_parent && block->parent == s->hashes[at - 1] && block->medium == s->order[at - 1]->medium;
}

int kv_snapshot_take(const struct kv_snapshot *s, size_t from, size_t n, struct arena *arena, struct kv_batch *ret)
{
    assert(s->order && from + n <= s->n_ordered);
    struct kv_message *messages = arena_alloc_array(arena, n, sizeof(*messages));
    struct kv_batch batch = { .rank = -1, .messages = messages };
    if (!messages) {
        return -ENOMEM;
    }
    for (size_t i = from; i < from + n; i++) {
        struct kv_message *m = batch.n_messages > 0 ? &messages[batch.n_messages - 1] : NULL;
        if (!m || !follows(s, i)) {
            m = &messages[batch.n_messages++];
            *m = (struct kv_message){ .kind = KV_MESSAGE_STORED,
                                      .hashes = &s->hashes[i],
                                      .has_parent = s->order[i]->has_parent,
                                      .parent = s->order[i]->has_parent ? s->order[i]->parent : 0,
                                      .block_size = s->block_size,
                                      .tokens = s->has_tokens ? s->ordered_tokens + i * s->block_size : NULL,
                                      .medium = str_from(s->media[s->order[i]->medium]) };
        }
        if (s->extras[i] != 0) {
            m->extras = s->extras + (m->hashes - s->hashes);
        }
        m->n_blocks++;
    }
    *ret = batch;
    return 0;
}
