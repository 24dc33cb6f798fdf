// A header of 64 bytes before each piece says how it was made. Pieces of HUGE_BYTES and more are mapped at a huge-page
// border with MADV_HUGEPAGE: streaming weights through 4 KiB pages costs a TLB walk every 64 lines. What does not fill
// a huge page at the end has small ones, so that many pieces take no more than they hold. Pages come zeroed from the
// kernel and are placed by the thread that touches them first. AddressSanitizer builds use the heap, which it watches.
#include "kernels/cpu/memory.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_BYTES   ((size_t)2 << 20)
#define SMALL_BYTES  ((size_t)64 << 10) // whole pages, whatever the system has
#define HEADER_BYTES ((size_t)64)
#define MAGIC        0x746f6b66736d656dull

struct header {
    uint64_t magic;
    size_t mapped_bytes; // 0: from the heap
};

#ifndef __SANITIZE_ADDRESS__
static void *map_huge(size_t bytes)
{
    size_t mapped = (bytes + SMALL_BYTES - 1) / SMALL_BYTES * SMALL_BYTES;
    // One huge page more, of which the ends are given back, to begin at a border.
    unsigned char *raw = mmap(NULL, mapped + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED) {
        return NULL;
    }
    size_t before = (HUGE_BYTES - (uintptr_t)raw % HUGE_BYTES) % HUGE_BYTES;
    if (before > 0) {
        munmap(raw, before);
    }
    if (HUGE_BYTES - before > 0) {
        munmap(raw + before + mapped, HUGE_BYTES - before);
    }
    madvise(raw + before, mapped, MADV_HUGEPAGE); // a kernel without huge pages is slower, not wrong
    *(struct header *)(raw + before) = (struct header){ .magic = MAGIC, .mapped_bytes = mapped };
    return raw + before;
}
#endif

static void *from_heap(size_t bytes)
{
    size_t rounded = (bytes + HEADER_BYTES - 1) / HEADER_BYTES * HEADER_BYTES;
    void *raw = aligned_alloc(HEADER_BYTES, rounded);
    if (raw != NULL) {
        memset(raw, 0, rounded);
        *(struct header *)raw = (struct header){ .magic = MAGIC };
    }
    return raw;
}

void *memory_new(size_t bytes)
{
    if (bytes > SIZE_MAX - 4 * HUGE_BYTES) {
        return NULL;
    }
    bytes += HEADER_BYTES;
#ifdef __SANITIZE_ADDRESS__
    unsigned char *raw = from_heap(bytes);
#else
    unsigned char *raw = bytes >= HUGE_BYTES ? map_huge(bytes) : from_heap(bytes);
#endif
    return raw == NULL ? NULL : raw + HEADER_BYTES;
}

void memory_free(void *mem)
{
    if (mem == NULL) {
        return;
    }
    struct header *header = (struct header *)((unsigned char *)mem - HEADER_BYTES);
    assert(header->magic == MAGIC);
    header->magic = 0;
    if (header->mapped_bytes != 0) {
        munmap(header, header->mapped_bytes);
    } else {
        free(header);
    }
}
