// The machine's limits, measured with the engine's own workers.
#include "kernels/cpu/cpu.h"
#include <errno.h>
#include <stdio.h>
#include <tokfs/measure.h>

// Far above any last-level cache that a machine shares out to one tenant, far below what it has of memory.
#define READ_BUFFER_BYTES ((size_t)1 << 30)

int tokfs_measure_memory_read(unsigned n_threads, double seconds, double *ret_bytes_per_s, struct tokfs_error *error)
{
    struct backend_options options = { .n_threads = n_threads };
    struct backend *backend;
    struct err err = { 0 };

    if (!(seconds > 0 && seconds <= 60)) {
        *error = (struct tokfs_error){ .code = -EINVAL };
        snprintf(error->msg, sizeof(error->msg), "seconds %g: not in (0, 60]", seconds);
        return -EINVAL;
    }
    int rc = cpu_backend_open(&options, &backend, &err);
    if (rc < 0) {
        *error = (struct tokfs_error){ .code = rc };
        snprintf(error->msg, sizeof(error->msg), "%s", err.msg);
        return rc;
    }
    *ret_bytes_per_s = cpu_backend_measure_read(backend, READ_BUFFER_BYTES, seconds);
    backend->ops->close(backend);
    return 0;
}
