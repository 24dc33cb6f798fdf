// The mounts behind the bridge: which of them answer, and which models they have. Asked every two seconds, through
// v1/models, but for those that still owe an answer. Loop thread only.
#ifndef TOKFS_BRIDGE_MOUNTS_H
#define TOKFS_BRIDGE_MOUNTS_H

#include "engine/base/loop.h"
#include "engine/base/str.h"
#include "tools/bridge/exchange.h"

struct mounts;

// The paths must outlive it. Asking begins at once; `ready` is called when all have answered for the first time,
// or have let their time pass.
int mounts_new(struct loop *loop, struct exchange_pool *files, const char *const *paths, unsigned n,
               void (*ready)(void *ctx), void *ctx, struct mounts **ret);
void mounts_stop(struct mounts *mounts); // asks no more; free it when the loop has nothing pending
void mounts_free(struct mounts *mounts);

unsigned mounts_count(const struct mounts *mounts);
const char *mounts_path(const struct mounts *mounts, unsigned idx);
// The first model that the mount has told of, cut to what fits; empty: it has not.
void mounts_model(const struct mounts *mounts, unsigned idx, char *ret, size_t size);
bool mounts_is_up(const struct mounts *mounts, unsigned idx);
bool mounts_is_silent(const struct mounts *mounts, unsigned idx); // it owes an answer: what it is asked may hang
void mounts_each_model(const struct mounts *mounts, void (*fn)(void *ctx, const char *path, const char *model),
                       void *ctx);
// Which one has the model (NULL: any will do): its index. Where none has it, one that can say so. -1: none is up.
int mounts_find(const struct mounts *mounts, const char *model);
// The next after it that is up and has the model (NULL: any will do); -1: there is none.
int mounts_find_next(const struct mounts *mounts, unsigned idx, const char *model);

#endif
