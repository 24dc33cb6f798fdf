// Bump allocator over a list of heap chunks, newest first; only the newest is allocated from.
//
//   arena.chunks -> [header | used ... | dirty ... | never touched] -> older chunk -> ... -> NULL
//
// Chunks come from calloc, so that bytes past `dirty_bytes` are known to be zero and a large array costs no clearing. A
// chunk doubles the one before up to CHUNK_BYTES_MAX but never reaches past bytes_max. One owner at a time; nothing
// locks. Under AddressSanitizer what was not handed out is poisoned: an overflow from one allocation into the next is
// caught.
#include "engine/base/arena.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(ptr, size)   ((void)(ptr), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(ptr, size) ((void)(ptr), (void)(size))
#endif

#define ALIGN_BYTES     16
#define CHUNK_BYTES_MIN 4096
#define CHUNK_BYTES_MAX (4u << 20)

struct arena_chunk {
    struct arena_chunk *older;
    size_t cap_bytes;
    size_t used_bytes;
    size_t dirty_bytes; // may be other than zero before this offset; >= used_bytes
    _Alignas(ALIGN_BYTES) unsigned char bytes[];
};

void arena_init(struct arena *arena, size_t bytes_max)
{
    *arena = (struct arena){ .bytes_max = bytes_max };
}

static void free_chunk(struct arena_chunk *chunk)
{
    ASAN_UNPOISON_MEMORY_REGION(chunk->bytes, chunk->cap_bytes);
    free(chunk);
}

void arena_deinit(struct arena *arena)
{
    if (!arena) {
        return;
    }
    arena_reset(arena);
    if (arena->chunks) {
        free_chunk(arena->chunks);
        arena->chunks = NULL;
    }
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *largest = NULL;
    for (struct arena_chunk *chunk = arena->chunks, *older; chunk; chunk = older) {
        older = chunk->older;
        struct arena_chunk *loser = chunk;
        if (!largest || chunk->cap_bytes > largest->cap_bytes) {
            loser = largest;
            largest = chunk;
        }
        if (loser) {
            free_chunk(loser);
        }
    }
    if (largest) {
        largest->older = NULL;
        largest->used_bytes = 0;
        ASAN_POISON_MEMORY_REGION(largest->bytes, largest->cap_bytes);
    }
    arena->chunks = largest;
    arena->used_bytes = 0;
}

// A chunk with room for `need` bytes in front of the list.
static struct arena_chunk *add_chunk(struct arena *arena, size_t need)
{
    size_t cap = arena->chunks ? arena->chunks->cap_bytes * 2 : CHUNK_BYTES_MIN;
    cap = cap > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX : cap;
    if (arena->bytes_max > 0 && cap > arena->bytes_max - arena->used_bytes) {
        cap = (arena->bytes_max - arena->used_bytes) & ~(size_t)(ALIGN_BYTES - 1);
    }
    cap = cap < need ? need : cap;
    struct arena_chunk *chunk = calloc(1, sizeof(*chunk) + cap);
    if (!chunk) {
        return NULL;
    }
    chunk->cap_bytes = cap;
    chunk->older = arena->chunks;
    arena->chunks = chunk;
    ASAN_POISON_MEMORY_REGION(chunk->bytes, cap);
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > PTRDIFF_MAX / 2) {
        return NULL;
    }
    size_t rounded = size == 0 ? ALIGN_BYTES : (size + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
    if (arena->bytes_max > 0 && rounded > arena->bytes_max - arena->used_bytes) {
        return NULL;
    }
    struct arena_chunk *chunk = arena->chunks;
    if (!chunk || rounded > chunk->cap_bytes - chunk->used_bytes) {
        chunk = add_chunk(arena, rounded);
        if (!chunk) {
            return NULL;
        }
    }
    unsigned char *ptr = chunk->bytes + chunk->used_bytes;
    ASAN_UNPOISON_MEMORY_REGION(ptr, size);
    if (chunk->used_bytes < chunk->dirty_bytes) {
        memset(ptr, 0, size);
    }
    chunk->used_bytes += rounded;
    chunk->dirty_bytes = chunk->used_bytes > chunk->dirty_bytes ? chunk->used_bytes : chunk->dirty_bytes;
    arena->used_bytes += rounded;
    return ptr;
}

void *arena_alloc_array(struct arena *arena, size_t n, size_t item_size)
{
    size_t size;
    return __builtin_mul_overflow(n, item_size, &size) ? NULL : arena_alloc(arena, size);
}

struct str arena_copy(struct arena *arena, struct str s)
{
    char *copy = s.len < SIZE_MAX ? arena_alloc(arena, s.len + 1) : NULL;
    if (!copy) {
        return (struct str){ NULL, 0 };
    }
    if (s.len > 0) {
        memcpy(copy, s.ptr, s.len);
    }
    return (struct str){ copy, s.len };
}

struct str arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    assert(len >= 0); // only a broken format or a wide character can fail
    char *text = arena_alloc(arena, (size_t)len + 1);
    if (!text) {
        return (struct str){ NULL, 0 };
    }
    va_start(args, fmt);
    vsnprintf(text, (size_t)len + 1, fmt, args);
    va_end(args);
    return (struct str){ text, (size_t)len };
}
