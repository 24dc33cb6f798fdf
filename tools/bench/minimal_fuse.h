// The least that a FUSE server can be, as a measure for the mount: one file, `f`, that is read past the page cache.
#ifndef TOKFS_BENCH_MINIMAL_FUSE_H
#define TOKFS_BENCH_MINIMAL_FUSE_H

#include "engine/base/err.h"
#include <sys/types.h>

struct minimal_fuse {
    pid_t pid; // of the server; 0: not running
    char dir[128];
};

int minimal_fuse_start(struct minimal_fuse *ret, struct err *err);
void minimal_fuse_stop(struct minimal_fuse *server);

#endif
