// The kernels for AVX-512 with VNNI. The only code compiled with those flags; called after cpuid said so (isa.c).
#define VEC_ISA_NAME "avx512vnni"
#include "kernels/cpu/vec_avx512.h"

#include "kernels/cpu/isa_body.h"

const struct cpu_kernels cpu_kernels_avx512vnni = ISA_TABLE;
