// Chooses a backend by name.
#include "kernels/backend.h"
#include "kernels/cpu/cpu.h"
#ifdef TOKFS_CUDA
#include "kernels/cuda/cuda.h"
#endif

#include <errno.h>
#include <string.h>

static int open_cuda(const struct backend_options *options, struct backend **ret, struct err *err)
{
#ifdef TOKFS_CUDA
    return cuda_backend_open(options, ret, err);
#else
    (void)options;
    (void)ret;
    return err_set_param(err, -EOPNOTSUPP, "device", "this build has no cuda");
#endif
}

int backend_open(const char *name, const struct backend_options *options, struct backend **ret, struct err *err)
{
    if (strcmp(name, "cpu") == 0) {
        return cpu_backend_open(options, ret, err);
    }
    if (strcmp(name, "cuda") == 0) {
        return open_cuda(options, ret, err);
    }
    if (strcmp(name, "auto") != 0) {
        return err_set_param(err, -EINVAL, "device", "\"%s\" is none of auto, cpu, cuda", name);
    }
#ifdef TOKFS_CUDA
    int r = options->isa ? -EOPNOTSUPP : open_cuda(options, ret, err); // who names an instruction set means the CPU
    if (r != -EOPNOTSUPP) {
        return r;
    }
#endif
    return cpu_backend_open(options, ret, err);
}
