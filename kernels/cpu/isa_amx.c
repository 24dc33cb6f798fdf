// The kernels for AMX with tiles of bf16 and int8, the others those of AVX-512 with VNNI: where there is AMX, VDPBF16PS
// has half the rate of multiply-adds. The only code compiled with those flags; called after cpuid and the kernel said
// so (isa.c).
#define VEC_ISA_NAME "amx"
#include "kernels/cpu/vec_avx512.h"

#include "kernels/cpu/isa_body.h"
#include "kernels/cpu/tile_amx.h"

#include "kernels/cpu/linear_amx_body.h"

const struct cpu_kernels cpu_kernels_amx = ISA_TABLE;
