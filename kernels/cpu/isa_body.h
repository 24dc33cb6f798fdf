// Every kernel on the vec_*.h that was included before, and their table.
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/kv_page.h"
#include "kernels/cpu/quant_tile.h"
#include "kernels/cpu/vec_common.h"
#include <math.h>

#include "kernels/cpu/attention_body.h"
#include "kernels/cpu/elementwise_body.h"
#include "kernels/cpu/linear_body.h"
#include "kernels/cpu/linear_quant_body.h"
#include "kernels/cpu/norm_body.h"

// linear_amx_body.h has others.
#define ISA_LINEAR .linear_pack = linear_pack, .linear_tiles = linear_tiles, .quant_tiles = quant_tiles

#define ISA_TABLE                                                                                                      \
    {                                                                                                                  \
        .name = VEC_ISA_NAME, .linear_rows = VEC_LINEAR_ROWS, .quant_rows = VEC_QUANT_ROWS, ISA_LINEAR,                \
        .quant_pack = quant_pack_rows, .linear_maxima = linear_maxima, .rms_norm = rms_norm_rows, .glu = glu,          \
        .softcap = softcap, .combine = combine_rows, .rope = rope, .store = store, .attention = attention,             \
        .attention_join = attention_join, .read = read_all                                                             \
    }
