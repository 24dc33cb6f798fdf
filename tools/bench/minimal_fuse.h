// The least that a FUSE server can be, as a measure for the mount. Its files are read past the page cache:
//
//   f        a constant
//   ticks    a read waits for the next tick and gets the time (CLOCK_MONOTONIC, ns, and a line end) at which it was
//   request  takes what is written and gives the constant, then the end of the file, each time
#ifndef TOKFS_BENCH_MINIMAL_FUSE_H
#define TOKFS_BENCH_MINIMAL_FUSE_H

#include "engine/base/err.h"
#include <sys/types.h>

struct minimal_fuse {
    pid_t pid; // of the server; 0: not running
    char dir[128];
};

int minimal_fuse_start(double tick_us, struct minimal_fuse *ret, struct err *err); // 0: no ticks
void minimal_fuse_stop(struct minimal_fuse *server);

#endif
