// The kernels for AVX2, FMA and F16C. The only code compiled with those flags; called after cpuid said so (isa.c).
#define VEC_ISA_NAME "avx2"
#include "kernels/cpu/vec_avx2.h"

#include "kernels/cpu/isa_body.h"

const struct cpu_kernels cpu_kernels_avx2 = ISA_TABLE;
