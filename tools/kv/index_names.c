#include "tools/kv/index_names.h"
#include <errno.h>
#include <stdlib.h>

#define CAP_MIN 1024u

static size_t home_of(const struct index_names *names, uint64_t theirs)
{
    uint64_t mixed = theirs * UINT64_C(0x9e3779b97f4a7c15);
    return (mixed ^ mixed >> 32) & (names->cap - 1);
}

static struct index_name *find(const struct index_names *names, uint64_t theirs)
{
    size_t i = home_of(names, theirs);
    while (names->slots[i].ours != 0 && names->slots[i].theirs != theirs) {
        i = (i + 1) & (names->cap - 1);
    }
    return &names->slots[i];
}

static int grow(struct index_names *names)
{
    struct index_names larger = { .cap = names->cap ? 2 * names->cap : CAP_MIN, .n = names->n };
    larger.slots = calloc(larger.cap, sizeof(*larger.slots));
    if (!larger.slots) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < names->cap; i++) {
        if (names->slots[i].ours != 0) {
            *find(&larger, names->slots[i].theirs) = names->slots[i];
        }
    }
    free(names->slots);
    *names = larger;
    return 0;
}

void index_names_clear(struct index_names *names)
{
    free(names->slots);
    *names = (struct index_names){ 0 };
}

int index_names_put(struct index_names *names, uint64_t theirs, uint64_t ours)
{
    if (4 * (names->n + 1) > 3 * names->cap && grow(names) < 0) {
        return -ENOMEM;
    }
    struct index_name *slot = find(names, theirs);
    names->n += slot->ours == 0;
    *slot = (struct index_name){ theirs, ours };
    return 0;
}

bool index_names_get(const struct index_names *names, uint64_t theirs, uint64_t *ret_ours)
{
    const struct index_name *slot = names->n > 0 ? find(names, theirs) : NULL;
    if (!slot || slot->ours == 0) {
        return false;
    }
    *ret_ours = slot->ours;
    return true;
}

// Closes the gap, as in index_table.c.
void index_names_take(struct index_names *names, uint64_t theirs)
{
    struct index_name *slot = names->n > 0 ? find(names, theirs) : NULL;
    if (!slot || slot->ours == 0) {
        return;
    }
    size_t mask = names->cap - 1, gap = (size_t)(slot - names->slots);
    for (size_t i = (gap + 1) & mask; names->slots[i].ours != 0; i = (i + 1) & mask) {
        size_t home = home_of(names, names->slots[i].theirs);
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            names->slots[gap] = names->slots[i];
            gap = i;
        }
    }
    names->slots[gap] = (struct index_name){ 0 };
    names->n--;
}
