// A channel is what readers wait at: the requests parked until something changes, and the descriptors that are polled
// for it.
//
// Each conversation and each transaction has one. Whoever changes what its files would answer marks it; at the end of
// the loop's turn every marked channel is flushed once: each parked request asks its file again and is answered or
// stays. So a wake of the engine that brings tokens for many readers costs one pass, and no handler ever runs inside
// another.
//
// Owned by the loop thread, like everything of the mount.
#ifndef TOKFS_FS_CHANNEL_H
#define TOKFS_FS_CHANNEL_H

#include "fs/fuse.h"
#include "fs/list.h"
#include <stdint.h>

struct file;
struct mount;

enum parked_kind { PARKED_OPEN, PARKED_READ, PARKED_WRITE };

struct channel {
    struct mount *mount;
    struct list parked;     // struct parked, oldest first
    struct list watchers;   // struct file with a poll handle
    struct list dirty_link; // in mount->dirty_channels when marked
};

void channel_init(struct channel *channel, struct mount *mount);
void channel_deinit(struct channel *channel); // asserts that nobody waits
void channel_mark(struct channel *channel);
// Keeps a request until its file has an answer. Answers it at once when it is interrupted already, or when too many are
// parked.
void channel_park(struct channel *channel, fuse_req_t req, struct file *file, enum parked_kind kind, size_t size,
                  uint64_t offset);
void channel_watch(struct channel *channel, struct file *file, struct fuse_pollhandle *handle); // takes the handle
void channel_unwatch(struct file *file);
// Answers what can be answered now. Called by the mount at the end of a turn of its loop.
void channel_flush(struct channel *channel);
// Answers every parked request with -code: the end of the mount.
void channel_abort(struct channel *channel, int code);

#endif
