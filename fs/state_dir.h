// The directory of --state: nobody else's, and one daemon's at a time.
#ifndef TOKFS_FS_STATE_DIR_H
#define TOKFS_FS_STATE_DIR_H

#include "engine/base/err.h"

struct state_dir {
    char *path; // as given
    int fd;
    int lock_fd; // holds the lock: another open file, which no operation of the ring can keep after the process's end
};

// Makes it (0700) when it is not there. -EACCES: it is open to others or another user's; -EBUSY: another daemon has it.
int state_dir_open(const char *path, struct state_dir *ret, struct err *err);
void state_dir_close(struct state_dir *dir); // one that was not opened is left alone

#endif
