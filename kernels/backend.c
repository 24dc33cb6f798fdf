// Chooses a backend by name.
#include "kernels/backend.h"
#include "kernels/cpu/cpu.h"

#include <errno.h>
#include <string.h>

int backend_open(const char *name, const struct backend_options *options, struct backend **ret, struct err *err)
{
    if (strcmp(name, "cpu") == 0 || strcmp(name, "auto") == 0) {
        return cpu_backend_open(options, ret, err);
    }
    if (strcmp(name, "cuda") == 0) {
        return err_set_param(err, -EOPNOTSUPP, "device", "this build has no cuda");
    }
    return err_set_param(err, -EINVAL, "device", "\"%s\" is none of auto, cpu, cuda", name);
}
