// Writes out an index that lies in Redis: a line of JSON for each block at a node and tier. It blocks: for a program of
// its own.
#ifndef TOKFS_KV_SHARE_LIST_H
#define TOKFS_KV_SHARE_LIST_H

#include "tools/kv/redis_url.h"
#include "tools/kv/share_schema.h"
#include <stdio.h>

// {"hash", "peer", "model", "block_size", "tiers"}, as /kv/index of the bridge; llm-d: the hash is the request key.
// What changes meanwhile may be there or not. -errno with the reason, of Redis or of the file.
int share_list(const struct redis_url *url, enum share_kind kind, FILE *out, struct err *err);

#endif
