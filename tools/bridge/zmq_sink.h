// One node's events by ZeroMQ, in vLLM's format: a PUB socket, and a ROUTER that repeats what it has published of late.
// docs/kv-events.md has the frames.
//
//   UNTRUE --snapshot--> TRUE --a loss--> UNTRUE
//
// The format knows no snapshots: one is told as AllBlocksCleared and then every block, parents first, so that whoever
// hears it is right from there on. That happens after a loss, and when somebody subscribes, who would otherwise know of
// what comes only. Nothing waits: a subscriber that is too slow loses messages, sees it by their numbers, and asks for
// them. Loop thread only.
#ifndef TOKFS_BRIDGE_ZMQ_SINK_H
#define TOKFS_BRIDGE_ZMQ_SINK_H

#include "tools/bridge/kv_source.h"

struct zmq_sink;

struct zmq_sink_options {
    struct loop *loop;
    void *context;        // of ZeroMQ
    const char *endpoint; // bound where it has a * or ::, or is ipc or inproc; otherwise connected to
    const char *replay;   // bound; NULL: none
    unsigned node_idx;    // added to the ports of both; of ipc and inproc: appended as _dpN, but for 0
    unsigned hwm;         // messages kept for a subscriber that is slow
    bool as_maps, has_tokens;
};

struct zmq_sink_counts {
    uint64_t n_batches, n_replayed, n_subscriptions;
    bool is_true;
};

// -errno with the option and endpoint named.
int zmq_sink_new(const struct zmq_sink_options *options, struct zmq_sink **ret, struct err *err);
void zmq_sink_stop(struct zmq_sink *sink); // free it when the loop has nothing pending
void zmq_sink_free(struct zmq_sink *sink);
void zmq_sink_attach(struct zmq_sink *sink, struct kv_source *source); // whose calls it gets
struct kv_sink zmq_sink_calls(struct zmq_sink *sink);
// Every two seconds: what the topic is made of. Nothing is published before it is known (empty texts).
void zmq_sink_beat(struct zmq_sink *sink, const char *address, const char *model);

const struct zmq_sink_counts *zmq_sink_counts(const struct zmq_sink *sink);

#endif
