// The compute pool: workers that run one parallel loop at a time together with the thread that asked for it.
//
// Owner: the thread that calls pool_run (one at a time). Items are cut into chunks, chunks dealt to workers in equal
// runs; a worker that is done with its run takes chunks of the others'. So the same item tends to go to the same worker
// (its cache, its first touch), and a worker that the kernel took off the processor delays nothing but the chunk in its
// hands.
#ifndef TOKFS_KERNELS_CPU_POOL_H
#define TOKFS_KERNELS_CPU_POOL_H

#include "kernels/backend.h"

#define POOL_THREADS_MAX 256

struct pool;

// n_threads counts the calling thread; 0: one per processor that this process may use, as many as the quota of its
// control group allows. Workers are pinned (the caller is not) when there are as many processors as threads, else kept
// to a node where there are several (places.h), and do not spin when there are fewer processors than threads. 0,
// -EINVAL (more than POOL_THREADS_MAX), -ENOMEM, -EAGAIN (the system refuses threads).
int pool_new(size_t n_threads, struct pool **ret, struct err *err);
void pool_free(struct pool *pool);
size_t pool_n_threads(const struct pool *pool);
// How many workers take part from now on, the caller among them: 1 to pool_n_threads. The pool itself lets as many as
// other programs leave processors for (share.h), and pins them only while all take part.
void pool_limit(struct pool *pool, size_t n);

// Runs fn over items 0 .. n_items - 1 in chunks of chunk_items; returns when all are done. Does not allocate.
void pool_run(struct pool *pool, size_t n_items, size_t chunk_items, host_fn *fn, void *ctx);

// What a later loop will read: memory of n_chunks chunks, dealt to the workers as those of that loop will be. It need
// not be there any more when it is looked at.
struct pool_ahead {
    const unsigned char *mem; // NULL: nothing is known
    size_t n_chunks, chunk_bytes;
};

// The same; and workers that wait for others, or for the loop after this one, meanwhile have the beginning of what they
// will read brought into their caches.
void pool_run_ahead(struct pool *pool, size_t n_items, size_t chunk_items, host_fn *fn, void *ctx,
                    struct pool_ahead ahead);

#endif
