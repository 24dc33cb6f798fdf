// A tokfs process of our own: started on a temporary mount point, stopped again.
#ifndef TOKFS_BENCH_MOUNT_PROCESS_H
#define TOKFS_BENCH_MOUNT_PROCESS_H

#include "tools/bench/bench.h"
#include <sys/types.h>

struct mount_process {
    pid_t pid; // 0: not running
    char dir[128];
};

// Starts the program (tokfs, or tokfs-fake) with -f on the model and waits until the mount answers.
int mount_process_start(const struct bench_options *options, const char *name, const char *model_dir,
                        struct mount_process *ret, struct err *err);
// SIGTERM, wait, remove the mount point. -EIO when tokfs did not exit with 0.
int mount_process_stop(struct mount_process *process, struct err *err);

#endif
