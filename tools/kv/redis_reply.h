// What Redis answers, as texts and numbers.
#ifndef TOKFS_KV_REDIS_REPLY_H
#define TOKFS_KV_REDIS_REPLY_H

#include "engine/base/str.h"
#include <hiredis/hiredis.h>

// Empty where it is no text; the reply's memory.
static inline struct str redis_reply_str(const redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_STRING ? (struct str){ reply->str, reply->len } : STR("");
}

// Of a text of digits; 0 where it is none.
static inline uint64_t redis_reply_number(const redisReply *reply)
{
    int64_t value;
    return str_parse_i64(redis_reply_str(reply), &value) == 0 && value >= 0 ? (uint64_t)value : 0;
}

#endif
