// What the machine itself can do: the limits that a speed is compared with.
#ifndef TOKFS_MEASURE_H
#define TOKFS_MEASURE_H

#include <tokfs/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

// Bytes per second at which n_threads (0: one per processor) read main memory, over a buffer larger than the caches,
// for about `seconds`. Blocking. Measure it in the same run as what it is compared with. -ENOMEM, -EINVAL.
TOKFS_API int tokfs_measure_memory_read(unsigned n_threads, double seconds, double *ret_bytes_per_s,
                                        struct tokfs_error *err);

#ifdef __cplusplus
}
#endif

#endif
