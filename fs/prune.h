// Names of sessions that have ended: the kernel is asked to forget them.
//
// The kernel keeps what it has looked up until somebody asks for it again or memory is short, and so long a session
// that has ended keeps its nodes here, whose numbers the kernel may still use. Since Linux 6.18 it can be told to drop
// what nobody uses (FUSE_NOTIFY_PRUNE), which takes no lock that a request of a client could hold. Where it cannot,
// nothing changes: it forgets in its own time.
#ifndef TOKFS_FS_PRUNE_H
#define TOKFS_FS_PRUNE_H

#include "engine/base/loop.h"
#include "fs/list.h"

struct mount;
struct session;

struct pruner {
    struct mount *mount;
    struct list ended; // of sessions: those that the kernel may know
    struct loop_op timer_op;
    uint64_t delay_ns;     // until the next attempt
    bool is_not_supported; // by this kernel
};

void pruner_init(struct pruner *pruner, struct mount *mount);
void pruner_add(struct pruner *pruner,
                struct session *session); // it has just ended; it leaves the list when it is freed
void pruner_stop(struct pruner *pruner);

#endif
