// One node's events in Redis: a stream, a snapshot, an entry in the registry. docs/kv-events.md has the keys.
//
//   DOWN --connected--> WANTING --snapshot--> LIVE --too much waits, or an error--> FULL
//    ^                   ^ ^                   |                                     |
//    `---- closed -------' `--- a loss --------+------- drained, or the next beat ---'
//
// Each time that WANTING is left an epoch begins: entries are numbered from 1, and the snapshot is the state before
// them. Nothing waits for Redis: in FULL events are dropped, and the next epoch says so. A snapshot is written in
// pieces beside the stream's entries, as answers come, and takes its name when it is whole. Loop thread only.
#ifndef TOKFS_BRIDGE_REDIS_SINK_H
#define TOKFS_BRIDGE_REDIS_SINK_H

#include "tools/bridge/kv_source.h"
#include "tools/kv/redis_link.h"

struct redis_sink;

struct redis_sink_options {
    struct redis_link *link;
    const char *node;   // its name
    unsigned n_entries; // that the stream keeps, about
    size_t waiting_max; // bytes sent and not answered, beyond which events are dropped
    bool has_tokens;    // token ids are told
};

// What the registry says of the node; empty texts and 0 where it is not known.
struct node_state {
    const char *address, *model;
    uint32_t block_size;
    uint64_t n_running, n_waiting, n_pages, n_pages_free;
};

struct redis_sink_counts {
    uint64_t n_entries, n_dropped, n_epochs;
    bool is_live;
};

int redis_sink_new(const struct redis_sink_options *options, struct redis_sink **ret);
void redis_sink_free(struct redis_sink *sink);                             // after the link has stopped
void redis_sink_attach(struct redis_sink *sink, struct kv_source *source); // whose calls it gets
struct kv_sink redis_sink_calls(struct redis_sink *sink);

void redis_sink_up(struct redis_sink *sink); // the link is
void redis_sink_down(struct redis_sink *sink);
void redis_sink_beat(struct redis_sink *sink, const struct node_state *state); // every two seconds

const struct redis_sink_counts *redis_sink_counts(const struct redis_sink *sink);

#endif
