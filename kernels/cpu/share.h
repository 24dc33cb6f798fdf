// How many of a pool's workers take part while other programs want the processors too.
//
// A worker that the kernel has taken off its processor in the middle of a chunk holds up all others at the end of the
// loop, so two pools that each want every processor get less together than one alone. The kernel knows how long each
// thread stood ready without a processor (proc(5), schedstat); where that is a processor's worth, one worker less takes
// part. From time to time one more is tried, so that the pool grows again when the others have gone.
//
// Answers do not depend on the number of workers. Owner: the pool's caller.
#ifndef TOKFS_KERNELS_CPU_SHARE_H
#define TOKFS_KERNELS_CPU_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct share {
    size_t n_max, n;      // workers there are, and that take part
    uint64_t quiet_ns;    // without contention since the last change
    uint64_t patience_ns; // after so long one more is tried
    bool is_trying;       // the last change was one more
};

void share_init(struct share *s, size_t n_max);
// Of the last stretch of work: how long it was and how long all workers that took part waited for processors, together.
// Returns how many are to take part.
size_t share_next(struct share *s, uint64_t window_ns, uint64_t waited_ns);

// Time of a thread of this process on a processor, and waiting for one. False: the kernel does not tell.
struct share_clock {
    uint64_t run_ns, wait_ns;
};
bool share_read_clock(int tid, struct share_clock *ret);

#endif
