// The portable kernels: the reference that the others must equal bit for bit. Compiled without special flags.
#include "kernels/cpu/vec_scalar.h"

#include "kernels/cpu/isa_body.h"

const struct cpu_kernels cpu_kernels_scalar = ISA_TABLE;
