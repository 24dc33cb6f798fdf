// How much memory this process can still take without pushing the machine, or its control group, out of memory.
#ifndef TOKFS_MODEL_HOST_MEMORY_H
#define TOKFS_MODEL_HOST_MEMORY_H

#include <stdint.h>

// Bytes: the kernel's MemAvailable (proc(5)), or what the memory limit of the process's control group (v2) leaves,
// whichever is less. UINT64_MAX when neither can be read.
uint64_t host_memory_available(void);

#endif
