// All that the scorer is told: by the bridge's own mounts, and by what the option --follow names.
#ifndef TOKFS_BRIDGE_FEED_H
#define TOKFS_BRIDGE_FEED_H

#include "tools/bridge/mounts.h"
#include "tools/bridge/options.h"
#include "tools/kv/score.h"

struct feed;

int feed_check(const char *url, struct err *err); // how one of --follow is written: 0 or -EINVAL
// -errno with the option named. *ret is set unless memory is out, to be stopped and freed.
int feed_new(struct loop *loop, struct exchange_pool *files, const struct options *options, struct scorer *scorer,
             struct feed **ret, struct err *err);
// The mounts' models are known: their events are read from now on. The peer that they are: feed_own_peer.
int feed_follow_mounts(struct feed *feed, const struct mounts *mounts);
int feed_own_peer(const struct feed *feed); // -1: there are no mounts
void feed_stop(struct feed *feed); // NULL is accepted, likewise below; free it when the loop has nothing pending
void feed_free(struct feed *feed);
void feed_write_metrics(const struct feed *feed, struct strbuf *out);

#endif
