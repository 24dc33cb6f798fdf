// Small tables are the heap's, and all of them under AddressSanitizer, which watches it.
#include "engine/base/pages.h"
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#define MAPPED_BYTES_MIN ((size_t)64 << 10)

static bool is_mapped(size_t n, size_t size)
{
#ifdef __SANITIZE_ADDRESS__
    (void)n;
    (void)size;
    return false;
#else
    return n * size >= MAPPED_BYTES_MIN;
#endif
}

void *pages_new(size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        return NULL;
    }
    if (!is_mapped(n, size)) {
        return calloc(n, size);
    }
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void pages_free(void *pages, size_t n, size_t size)
{
    if (pages && is_mapped(n, size)) {
        munmap(pages, n * size);
    } else {
        free(pages);
    }
}
