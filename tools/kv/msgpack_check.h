// Whether bytes are one msgpack value. msgpack-c takes memory for as many elements as a count claims before it has seen
// them, so what a stranger sent is looked through first.
#ifndef TOKFS_KV_MSGPACK_CHECK_H
#define TOKFS_KV_MSGPACK_CHECK_H

#include "engine/base/err.h"
#include "engine/base/str.h"

int msgpack_check(struct str bytes, struct err *err); // 0 or -EINVAL

#endif
