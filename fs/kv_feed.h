// kv/events and kv/snapshot: what the prefix cache holds, as NDJSON, for the owner of the mount.
//
// Every line has the sequence number and the epoch of the step that it is of:
//
//   {"seq":7,"epoch":E,"type":"stored","tier":"cpu","block_size":16,"blocks":[{"hash":"9f..","parent":null,"tokens":[..]},..]}
//   {"seq":8,"epoch":E,"type":"removed","tier":"cpu","blocks":["9f..",..]}
//   {"seq":9,"epoch":E+1,"type":"lost"}              what came before is incomplete: take a snapshot
//   {"seq":9,"epoch":E+1,"type":"snapshot","tier":"cpu","block_size":16}       the first line of kv/snapshot, then
//   "stored" ones
//   {"seq":9,"epoch":E+1,"type":"end","blocks":N}    its last line
//
// The tier is "cpu" or "gpu", where the block is computed with, or "host": in the host's memory, from where it can be
// brought to the GPU.
//
// A reader of kv/events gets what happens from its open on. Open it first, then read kv/snapshot, then apply the events
// with a higher seq. The lines are kept for slow readers up to a limit; one that falls behind it is told by a "lost"
// line of the present seq and epoch.
#ifndef TOKFS_FS_KV_FEED_H
#define TOKFS_FS_KV_FEED_H

#include "fs/channel.h"
#include "fs/file.h"
#include <tokfs/kvevent.h>

struct kv_snapshot;

struct kv_feed {
    struct mount *mount;
    struct channel channel;
    bool is_open;               // the engine tells
    struct strbuf lines;        // the latest, whole ones and the one in hand
    uint64_t begin;             // stream offset of lines.ptr[0]
    size_t n_whole;             // bytes of whole lines
    enum tokfs_kv_kind kind;    // of the line in hand, if lines.len > n_whole
    bool is_on_host;            // likewise
    uint64_t seq, epoch;        // of the latest event
    struct kv_snapshot *making; // shared; NULL: none
    struct kv_snapshot *next;   // shared: for those who came when it had begun; NULL: none
};

void kv_feed_init(struct kv_feed *feed, struct mount *mount);
void kv_feed_deinit(struct kv_feed *feed);
// Takes what the engine tells. True: there is more, call again soon.
bool kv_feed_take(struct kv_feed *feed);

int kv_events_open(struct file *file);
void kv_events_close(struct file *file);
int kv_events_read(struct file *file, size_t size, uint64_t offset, struct str *ret_bytes);
bool kv_events_is_readable(struct file *file);
int kv_snapshot_open(struct file *file);
void kv_snapshot_close(struct file *file);
int kv_snapshot_read(struct file *file, size_t size, uint64_t offset, struct str *ret_bytes);

#endif
