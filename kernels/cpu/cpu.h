// The CPU backend. Scalar reference, AVX2, AVX-512 and AMX paths, chosen at run time by cpuid.
#ifndef TOKFS_KERNELS_CPU_CPU_H
#define TOKFS_KERNELS_CPU_CPU_H

#include "kernels/backend.h"

struct cpu_kernels;

// Errors as backend_open.
int cpu_backend_open(const struct backend_options *options, struct backend **ret, struct err *err);
// The same on given kernels, which this processor must be able to run (kernels/cpu/isa.h).
int cpu_backend_open_on(const struct cpu_kernels *kernels, unsigned n_threads, struct backend **ret, struct err *err);

// Bytes per second at which this backend's own workers read memory: sums a buffer of `bytes` (larger than the caches)
// for about `seconds`. The denominator of a bandwidth share; measure it in the same run.
double cpu_backend_measure_read(struct backend *b, size_t bytes, double seconds);

#endif
