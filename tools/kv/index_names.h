// What a node calls its blocks, where that is not what we call them: from its name of a block to ours.
#ifndef TOKFS_KV_INDEX_NAMES_H
#define TOKFS_KV_INDEX_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct index_name {
    uint64_t theirs, ours;
};

// Empty when it is all zeroes. Linear probing; at most three quarters are taken.
struct index_names {
    struct index_name *slots; // [cap], free where `ours` is 0
    size_t cap, n;
};

void index_names_clear(struct index_names *names);                              // frees
int index_names_put(struct index_names *names, uint64_t theirs, uint64_t ours); // ours is not 0; 0 or -ENOMEM
bool index_names_get(const struct index_names *names, uint64_t theirs, uint64_t *ret_ours);
void index_names_take(struct index_names *names, uint64_t theirs);

#endif
