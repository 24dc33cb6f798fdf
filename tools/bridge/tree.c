// Blocks are numbered in the order in which the snapshot tells them; a table finds the number of a hash.
#include "tools/bridge/tree.h"
#include "tools/kv/kv_message.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define SLOT_BITS 17
#define SLOTS     (1u << SLOT_BITS)

struct slot {
    uint64_t hash;
    uint32_t number; // from 1; 0: free
};

struct tree {
    struct strbuf *out;
    struct slot *slots; // [SLOTS]
    uint64_t key;       // odd
    uint32_t n;
    uint32_t block_size;
    bool is_cut;
};

static_assert(SLOTS >= 2 * TREE_BLOCKS_MAX, "find ends where a slot is free");

// Which hashes fall together depends on a number that nobody knows who chooses prompts.
static struct slot *find(struct tree *tree, uint64_t hash)
{
    uint32_t i = (uint32_t)(hash * tree->key >> (64 - SLOT_BITS));
    while (tree->slots[i].number > 0 && tree->slots[i].hash != hash) {
        i = (i + 1) & (SLOTS - 1);
    }
    return &tree->slots[i];
}

static void add_chain(struct tree *tree, const struct kv_message *m)
{
    int64_t parent = m->has_parent ? (int64_t)find(tree, m->parent)->number - 1 : -1;
    for (size_t i = 0; i < m->n_blocks; i++) {
        struct slot *slot = find(tree, m->hashes[i]);
        if (slot->number == 0 && tree->n == TREE_BLOCKS_MAX) {
            tree->is_cut = true;
            return;
        }
        if (slot->number == 0) {
            strbuf_printf(tree->out, "%s%lld", tree->n > 0 ? "," : "", (long long)parent);
            *slot = (struct slot){ m->hashes[i], ++tree->n };
        }
        parent = (int64_t)slot->number - 1;
    }
}

static int add_line(struct tree *tree, struct arena *arena, struct str text, struct err *err)
{
    struct kv_line line;
    int r = kv_line_decode(arena, text, &line, err);
    if (r < 0) {
        return r;
    }
    tree->block_size = line.block_size > 0 ? line.block_size : tree->block_size;
    for (size_t i = 0; i < line.n_messages; i++) {
        if (line.messages[i].kind == KV_MESSAGE_STORED) {
            add_chain(tree, &line.messages[i]);
        }
    }
    return 0;
}

static int add_lines(struct tree *tree, struct str snapshot, struct err *err)
{
    struct arena arena;
    int r = 0;
    arena_init(&arena, 0);
    while (r == 0 && snapshot.len > 0 && !tree->is_cut) {
        struct str line;
        snapshot = str_cut(snapshot, '\n', &line);
        r = line.len > 0 ? add_line(tree, &arena, line, err) : 0;
        arena_reset(&arena);
    }
    arena_deinit(&arena);
    return r;
}

int tree_write(struct str snapshot, struct strbuf *out, struct err *err)
{
    struct tree tree = { .out = out, .slots = calloc(SLOTS, sizeof(struct slot)) };
    if (!tree.slots) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    if (getrandom(&tree.key, sizeof(tree.key), 0) != (ssize_t)sizeof(tree.key)) {
        tree.key = 0x9e3779b97f4a7c15;
    }
    tree.key |= 1;
    strbuf_append(out, STR("{\"parents\":["));
    int r = add_lines(&tree, snapshot, err);
    free(tree.slots);
    strbuf_printf(out, "],\"block_size\":%u,\"is_whole\":%s}\n", tree.block_size, tree.is_cut ? "false" : "true");
    return r == 0 && out->error ? err_set(err, out->error, "out of memory") : r;
}
