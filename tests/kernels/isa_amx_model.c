// The kernels of AMX over portable vectors and a model of the tile instructions: for tests on any processor.
#include "kernels/cpu/vec_scalar.h"
#undef VEC_ISA_NAME
#define VEC_ISA_NAME "amx model"
#include "kernels/cpu/isa_body.h"
#include "tests/kernels/tile_model.h"

#include "kernels/cpu/linear_amx_body.h"

_Thread_local struct tile_model tile_model_here;

extern const struct cpu_kernels test_kernels_amx_model;
const struct cpu_kernels test_kernels_amx_model = ISA_TABLE;
