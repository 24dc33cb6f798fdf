// How long a thread may compute before the kernel looks whether somebody else should run.
//
// Readers of a stream sleep most of the time and must run at once when a token is there, while the compute threads
// occupy every processor. Since Linux 6.12 a thread that wakes takes the processor from one that asked for a longer
// slice; threads with the same slice wait for its end (measured: 5 ms in the median). Long slices take no share of the
// processor from anyone.
#ifndef TOKFS_SERVE_SLICE_H
#define TOKFS_SERVE_SLICE_H

#include <stdint.h>

#define SLICE_COMPUTE_NS 20000000 // the kernel's own is 1.4 to 3 ms

// Sets the calling thread's slice; threads that it creates inherit it. Returns the one before, to be restored in the
// same way; 0: unknown or unchanged (an older kernel, a real-time policy), and 0 changes nothing.
uint64_t slice_set(uint64_t slice_ns);

#endif
