// What the bridge tells other machines of its mounts' prefix caches: each mount is a node, with a source of events and
// a sink for Redis and for ZeroMQ, as the options want them. Loop thread only.
#ifndef TOKFS_BRIDGE_PUBLISHER_H
#define TOKFS_BRIDGE_PUBLISHER_H

#include "tools/bridge/mounts.h"
#include "tools/bridge/options.h"

struct publisher;

// Opens the sockets of ZeroMQ; Redis is connected to later. -errno with the option named.
int publisher_new(struct loop *loop, struct exchange_pool *files, const struct options *options, struct publisher **ret,
                  struct err *err);
// `mounts` say which models there are.
int publisher_start(struct publisher *publisher, const struct mounts *mounts);
void publisher_stop(struct publisher *publisher); // NULL is accepted; free it when the loop has nothing pending
void publisher_free(struct publisher *publisher);
void publisher_write_metrics(const struct publisher *publisher, struct strbuf *out);

#endif
