// What the parts of the bridge share. One thread: the loop's.
#ifndef TOKFS_BRIDGE_BRIDGE_H
#define TOKFS_BRIDGE_BRIDGE_H

#include "engine/base/err.h"
#include "engine/base/loop.h"
#include "tools/bridge/access.h"
#include "tools/bridge/exchange.h"
#include "tools/bridge/mounts.h"
#include "tools/bridge/options.h"
#include <microhttpd.h>

struct http;
struct request;
struct access_log;
struct publisher;

struct bridge_counts {
    uint64_t n_requests;     // ended
    uint64_t n_by_class[6];  // of them, by the first digit of their status
    uint64_t n_cancelled;    // the client left before the end
    uint64_t n_refused_keys; // without a right key
    uint64_t n_answering;    // now
    uint64_t n_connections;  // now
    uint64_t body_bytes;     // held now
    uint64_t response_bytes; // sent, bodies only
};

struct bridge {
    const struct options *options;
    struct loop *loop;
    struct exchange_pool *files;
    struct mounts *mounts;
    struct access *access;   // NULL: everybody is let in
    struct scoring *scoring; // NULL: nothing is scored
    struct router *router;   // NULL: requests are for the mounts
    struct http *http;
    struct access_log *log;        // NULL: none
    struct publisher *publisher;   // NULL: nothing is published
    struct request *first;         // of those that are being served
    bool is_draining;              // connections are closed after their answers
    void (*idle)(struct bridge *); // NULL, or called when the last request has ended
    struct bridge_counts counts;
};

#endif
