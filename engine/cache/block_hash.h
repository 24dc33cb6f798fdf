// The names of blocks: chained hashes, so that a block's name stands for it and all that comes before it.
#ifndef TOKFS_CACHE_BLOCK_HASH_H
#define TOKFS_CACHE_BLOCK_HASH_H

#include "engine/base/str.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

// What stands before the first block.
static inline uint64_t block_hash_of_salt(struct str salt)
{
    return XXH3_64bits(salt.ptr, salt.len);
}

static inline uint64_t block_hash(uint64_t before, const int32_t *tokens, size_t n_tokens)
{
    return XXH3_64bits_withSeed(tokens, n_tokens * sizeof(*tokens), before);
}

#endif
