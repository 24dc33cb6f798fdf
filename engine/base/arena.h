// Bump allocator for the memory of one request or one loaded file: allocate freely, free once.
//
// Chunks grow geometrically; nothing is freed singly. bytes_max bounds what a client can make it take.
#ifndef TOKFS_BASE_ARENA_H
#define TOKFS_BASE_ARENA_H

#include "engine/base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; // newest first
    size_t used_bytes;          // handed out, alignment included
    size_t bytes_max;           // 0 = unlimited
};

void arena_init(struct arena *arena, size_t bytes_max);
void arena_deinit(struct arena *arena);
void arena_reset(struct arena *arena); // everything handed out is gone; keeps the largest chunk
// Zeroed memory aligned to 16 bytes; NULL when the limit or the machine's memory is reached.
void *arena_alloc(struct arena *arena, size_t size);
void *arena_alloc_array(struct arena *arena, size_t n, size_t item_size); // checks the product for overflow
struct str arena_copy(struct arena *arena, struct str s);                 // NUL-terminated copy; ptr NULL when full
struct str arena_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
