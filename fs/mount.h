// The mount: one libfuse session, one io_uring loop and one engine, and everything that hangs on them.
//
// All of it belongs to the loop thread. Requests are read from the FUSE device and handled to completion or parked;
// the engine's events come through its descriptor. After each turn of the loop the marked channels are flushed.
//
//   serving --SIGTERM--> draining (new requests ESHUTDOWN; running ones have drain_ms, then they are cancelled)
//           --all turns ended--> detached (out of the namespace; open descriptors have linger_ms to read what is left)
//           --last descriptor closed, or the time is up--> loop stops.   Unmounted by others: loop stops.
#ifndef TOKFS_FS_MOUNT_H
#define TOKFS_FS_MOUNT_H

#include "engine/base/err.h"
#include "engine/base/loop.h"
#include "fs/channel.h"
#include "fs/fuse.h"
#include "fs/kv_feed.h"
#include "fs/list.h"
#include "fs/model_dir.h"
#include "fs/node.h"
#include "fs/prune.h"
#include "fs/user.h"
#include <stdbool.h>
#include <time.h>
#include <tokfs/engine.h>

struct journal;
struct reply_crew;
struct session_table;

// What clients can grow, and how far. Over it: the errno in the comment.
struct mount_limits {
    uint32_t n_sessions;  // the least recently used idle one goes; EDQUOT when none is idle
    uint32_t n_files;     // open at once, and directories likewise: ENFILE
    uint32_t n_parked;    // waiting requests: EAGAIN
    size_t body_bytes;    // one request, one input: EFBIG
    size_t setting_bytes; // a session's system, params and tools, each: EFBIG
    struct user_limits users;
    uint64_t write_timeout_ms; // what was begun and not gone on with is given up: ETIMEDOUT
    uint32_t drain_ms;
    uint32_t linger_ms;
};
extern const struct mount_limits mount_limits_default;

// Charged and uncharged where the thing is made and freed; all zero when the mount is freed.
struct mount_counts {
    uint32_t n_sessions, n_files, n_dirs, n_parked, n_turns, n_fresh_nodes, n_exchanges;
    uint32_t n_running; // turns that have not ended
    uint32_t n_away;    // files with is_reader_away
};

enum mount_phase { MOUNT_SERVING, MOUNT_DRAINING, MOUNT_DETACHED, MOUNT_STOPPED };

#define MOUNT_WRITE_BYTES_MAX (128u << 10)

// The kernel holds the pages of a reader's buffer for each READ, as many as the READ may fill, and a reader asks for
// far more than a token: with 16 KiB instead of 128 waking it is cheaper (see docs/performance.md).
#define MOUNT_READ_BYTES_MAX (16u << 10)

// st_ino: 1.. the fixed tree, then 32 numbers per session.
#define MOUNT_SESSION_INO(serial) ((uint64_t)(serial)*32 + 1024)

struct mount {
    struct loop *loop;
    struct tokfs_engine *engine;
    struct tokfs_engine_info info;
    struct fuse_session *fuse;
    struct mount_limits limits;
    struct mount_counts counts;
    enum mount_phase phase;

    struct model_dir models;
    struct node *nodes; // the fixed tree; [0] is the root
    size_t n_nodes;
    struct session_table *sessions;
    struct journal *journal; // NULL: conversations end with the mount. Its maker's, who closes it before mount_free
    struct user_errors errors;
    struct users *users;
    bool has_private_caches; // of prompts: each user his own
    struct kv_feed kv;
    struct pruner pruner;
    struct list files;          // struct file
    struct list begun;          // struct file, by their latest write
    struct list listings;       // of the open directories
    struct list running;        // struct turn
    struct list dirty_channels; // struct channel
    struct list fresh_nodes;    // NODE_FRESH nodes that the kernel knows
    struct list all_sessions;   // struct session, also those removed and the private ones
    uint64_t n_sessions_made;

    uid_t uid;
    gid_t gid;
    struct timespec started;

    struct reply_crew *crew; // NULL: the loop does not run
    char *received;          // [MOUNT_WRITE_BYTES_MAX + room for the headers]
    char *mountpoint;        // NULL: never in the namespace
    bool was_detached;       // by detach_lazily
    pid_t helper;            // that it started, 0: none
    struct loop_watcher device, engine_events;
    bool is_engine_watched; // not while the journal has no room
    struct loop_op signal_op, timer_op, stall_op, kv_op;
    int signal_fd;            // -1: none
    uint32_t signal_buf[32];  // struct signalfd_siginfo
    void (*ready)(void *ctx); // called once, when the kernel's INIT was answered
    void (*drain)(void *ctx); // called once, when it begins to end in order; NULL: nobody
    void *ctx;
};

struct mount_options {
    struct fuse_args *args; // for libfuse: program name and -o options
    struct mount_limits limits;
    bool has_private_caches;
    int signal_fd; // signalfd(2) of SIGTERM and SIGINT, -1: none; stays the caller's
    void (*ready)(void *ctx);
    void (*drain)(void *ctx);
    void *ctx;
};

// Neither the loop nor the engine is taken: both stay the caller's and outlive the mount.
int mount_new(const struct mount_options *options, struct loop *loop, struct tokfs_engine *engine, struct mount **ret,
              struct err *err);
int mount_attach(struct mount *mount, const char *mountpoint, struct err *err); // into the namespace
int mount_run(struct mount *mount);   // until it is unmounted or drained: 0 or -errno
void mount_free(struct mount *mount); // detaches if need be; asserts that all counts are zero; NULL is accepted

void mount_drain(struct mount *mount);
// Handles one request of the kernel: what the loop does, and tests with a device of their own.
void mount_process(struct mount *mount, const struct fuse_buf *buf);
// What the loop does when the engine's descriptor is readable, and at the end of its turn.
void mount_take_events(struct mount *mount);
void mount_watch_engine(struct mount *mount, bool is_watched); // for its events; not while the journal has no room
void mount_flush(struct mount *mount);
void mount_watch_writers(struct mount *mount); // somebody has written: see file_give_up_stalled
bool mount_is_draining(const struct mount *mount);
void mount_on_init(struct mount *mount, struct fuse_conn_info *conn);

#endif
