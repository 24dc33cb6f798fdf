// A connection to a Redis that comes back by itself, by hiredis' asynchronous interface on the loop.
//
//   resolving --> connecting --> greeting (AUTH, SELECT, PING) --> up
//       ^                                                          |
//       `---------- waiting, 0.1 s, doubling to 1 s <--------------'  closed, or silent for 30 s with a command waiting
//
// Nothing blocks: a name is looked up by a thread of its own. Commands are pipelined; what was sent and not answered is
// counted in bytes, so that callers can bound it. Loop thread only.
#ifndef TOKFS_KV_REDIS_LINK_H
#define TOKFS_KV_REDIS_LINK_H

#include "engine/base/loop.h"
#include "engine/base/str.h"
#include "tools/kv/redis_url.h"

struct redis_link;
struct redisReply; // of hiredis

struct redis_link_owner {
    void (*up)(void *ctx);   // commands may be sent
    void (*down)(void *ctx); // what was not answered never will be; after the commands' own `answered`
    void *ctx;
};

int redis_link_new(struct loop *loop, const struct redis_url *url, const struct redis_link_owner *owner,
                   struct redis_link **ret);
void redis_link_stop(struct redis_link *link); // no callback runs any more; free it when the loop has nothing pending
void redis_link_free(struct redis_link *link);

bool redis_link_is_up(const struct redis_link *link);
size_t redis_link_waiting_bytes(const struct redis_link *link); // of commands not answered
// Who is connected to, for messages: host and port or path.
const char *redis_link_name(const struct redis_link *link);

// NULL: the connection broke. An error reply is one (reply->type REDIS_REPLY_ERROR). NULL: nobody cares, but for an
// error, which is told as a warning once a minute.
typedef void redis_answered(void *ctx, const struct redisReply *reply);
// 0, -ENOTCONN or -ENOMEM (then `answered` is not called). The arguments are copied.
int redis_link_send(struct redis_link *link, const struct str *args, size_t n_args, redis_answered *answered,
                    void *ctx);

#endif
