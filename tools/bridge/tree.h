// The shape of a prefix cache, for the eye: without the tokens and the hashes, which tell prompts.
#ifndef TOKFS_BRIDGE_TREE_H
#define TOKFS_BRIDGE_TREE_H

#include "engine/base/err.h"
#include "engine/base/str.h"

#define TREE_BLOCKS_MAX 65536 // more are not shown

// Appends {"block_size": tokens in a block, "parents": of each block the index of the one before it, or -1,
// "is_whole": whether these are all} and a line's end, from what kv/snapshot says. -EINVAL where it is no snapshot.
int tree_write(struct str snapshot, struct strbuf *out, struct err *err);

#endif
