// Large tables that begin zeroed, and of which only what is touched takes memory.
//
// They are mapped, not taken from the heap: that keeps what was freed for the next one, zeroes it, and so makes all of
// it resident, however little is used (malloc(3), M_MMAP_THRESHOLD, which grows by itself).
#ifndef TOKFS_BASE_PAGES_H
#define TOKFS_BASE_PAGES_H

#include <stddef.h>

void *pages_new(size_t n, size_t size);              // n items of size bytes; NULL: no memory
void pages_free(void *pages, size_t n, size_t size); // as they were made; NULL is accepted

#endif
