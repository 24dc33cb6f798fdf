// Element types of stored tensors. Plain types are elements side by side; block types (quant.h) are blocks of elements
// that share their scales, so that only whole blocks have a size. Those before DTYPE_F8 are types of GGUF files.
#ifndef TOKFS_KERNELS_DTYPE_H
#define TOKFS_KERNELS_DTYPE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

enum dtype {
    DTYPE_F32,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_Q8_0,
    DTYPE_Q4_0,
    DTYPE_Q4_K,
    DTYPE_Q5_K,
    DTYPE_Q6_K,
    DTYPE_Q4_1,
    DTYPE_Q5_0,
    DTYPE_Q5_1,
    DTYPE_MXFP4,
    DTYPE_F8, // matrices of backends that have it (has_f8 in backend.h)
    N_DTYPES
};

struct dtype_format {
    const char *name;
    size_t block_len, block_bytes; // elements and bytes of a block; 1 and the element's size where it is plain
};

static inline struct dtype_format dtype_format(enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_F32: return (struct dtype_format){ "f32", 1, 4 };
    case DTYPE_F16: return (struct dtype_format){ "f16", 1, 2 };
    case DTYPE_BF16: return (struct dtype_format){ "bf16", 1, 2 };
    case DTYPE_Q8_0: return (struct dtype_format){ "q8_0", 32, 34 };
    case DTYPE_Q4_0: return (struct dtype_format){ "q4_0", 32, 18 };
    case DTYPE_Q4_K: return (struct dtype_format){ "q4_k", 256, 144 };
    case DTYPE_Q5_K: return (struct dtype_format){ "q5_k", 256, 176 };
    case DTYPE_Q6_K: return (struct dtype_format){ "q6_k", 256, 210 };
    case DTYPE_Q4_1: return (struct dtype_format){ "q4_1", 32, 20 };
    case DTYPE_Q5_0: return (struct dtype_format){ "q5_0", 32, 22 };
    case DTYPE_Q5_1: return (struct dtype_format){ "q5_1", 32, 24 };
    case DTYPE_MXFP4: return (struct dtype_format){ "mxfp4", 32, 17 };
    case DTYPE_F8: return (struct dtype_format){ "f8", 128, 132 };
    case N_DTYPES: break;
    }
    assert(0 && "a dtype");
    return (struct dtype_format){ "", 1, 1 };
}

static inline bool dtype_is_plain(enum dtype dtype)
{
    return dtype <= DTYPE_BF16;
}

// Of an element; plain types only.
static inline size_t dtype_bytes(enum dtype dtype)
{
    assert(dtype_is_plain(dtype));
    return dtype == DTYPE_F32 ? 4 : 2;
}

// Of rows in memory: blocks may begin anywhere.
static inline size_t dtype_align(enum dtype dtype)
{
    return dtype_is_plain(dtype) ? dtype_bytes(dtype) : 1;
}

// Of n elements that are whole blocks.
static inline size_t dtype_row_bytes(enum dtype dtype, size_t n)
{
    struct dtype_format format = dtype_format(dtype);
    assert(n % format.block_len == 0);
    return n / format.block_len * format.block_bytes;
}

static inline const char *dtype_name(enum dtype dtype)
{
    return dtype_format(dtype).name;
}

#endif
