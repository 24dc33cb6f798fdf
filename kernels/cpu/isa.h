// Which kernels this processor can run.
#ifndef TOKFS_KERNELS_CPU_ISA_H
#define TOKFS_KERNELS_CPU_ISA_H

#include "engine/base/err.h"
#include "kernels/cpu/kernels.h"

// `isa`: "scalar", "avx2", "avx2vnni", "avx512", "avx512vnni", "avx512bf16", "amx"; NULL: the best there is. 0, -EINVAL
// (no such name), -EOPNOTSUPP (not on this processor, or the system does not permit it).
int isa_choose(const char *isa, const struct cpu_kernels **ret, struct err *err);

#endif
