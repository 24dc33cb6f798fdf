// What nodes tell through Redis, into the scorer: docs/kv-events.md has the keys.
//
// A node is one that the registry names and whose heartbeat has not lapsed. Its stream is read from the entry after the
// last one that was applied:
//
//   FOLLOWING --another epoch, or a gap--> WANTING --the snapshot's head--> LOADING --all parts, head unchanged--.
//       ^                                   ^   `--none yet, or the same: asked again--'   |                      |
//       |                                   `---------- it was replaced -------------------'                      |
//       `-----------------------------------------------------------------------------------------------------'
//
// Two connections, as one of them waits for entries. Loop thread only.
#ifndef TOKFS_BRIDGE_FEED_REDIS_H
#define TOKFS_BRIDGE_FEED_REDIS_H

#include "tools/kv/redis_url.h"
#include "tools/kv/score.h"

struct loop;
struct feed_redis;

struct feed_redis_counts {
    uint64_t n_entries, n_snapshots, n_bad; // n_bad: entries and parts that made no sense
    unsigned n_nodes;
    bool is_up;
};

// What is told of the peer `own` is left alone but for its load: it is heard of at first hand. NULL: there is none.
int feed_redis_new(struct loop *loop, const struct redis_url *url, struct scorer *scorer, const char *own,
                   struct feed_redis **ret);
void feed_redis_stop(struct feed_redis *feed); // free it when the loop has nothing pending
void feed_redis_free(struct feed_redis *feed); // NULL is accepted
const struct feed_redis_counts *feed_redis_counts(const struct feed_redis *feed);

#endif
