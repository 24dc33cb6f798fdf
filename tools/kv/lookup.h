// The address of a name, looked up by a thread of its own, since that may take as long as it pleases the name servers.
#ifndef TOKFS_KV_LOOKUP_H
#define TOKFS_KV_LOOKUP_H

#include "engine/base/loop.h"

struct lookup;

// `done` is called once, by the loop: the numeric address, or NULL and why there is none. It frees the lookup. An
// address is its own result, without a thread. 0, or -errno: nothing was started.
int lookup_start(struct loop *loop, const char *host, void (*done)(void *ctx, const char *address, const char *why),
                 void *ctx, struct lookup **ret);
void lookup_cancel(struct lookup *lookup); // `done` is not called any more

#endif
