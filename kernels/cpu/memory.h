// Zeroed memory for weights, activations and KV pages: large pieces on huge pages.
#ifndef TOKFS_KERNELS_CPU_MEMORY_H
#define TOKFS_KERNELS_CPU_MEMORY_H

#include <stddef.h>

void *memory_new(size_t bytes); // zeroed, 64-byte aligned; NULL when there is none
void memory_free(void *mem);    // NULL is fine

#endif
