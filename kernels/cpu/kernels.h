// What each instruction set provides, and the shapes that generic code and ISA code agree on.
//
// Generic code (linear.c, attention.c, ...) splits an operation over the workers; the functions of this table do the
// work of one part on the thread that calls them. The tables are filled by isa_*.c, which include the same *_body.h on
// different vec_*.h. All are bit-identical: lanes run over outputs, and each output is one chain of fused multiply-adds
// (or one fixed tree) whose order does not depend on the vector width. Except for AMX's products of bf16
// (linear_amx_body.h), which are summed in the order that the instruction has.
#ifndef TOKFS_KERNELS_CPU_KERNELS_H
#define TOKFS_KERNELS_CPU_KERNELS_H

#include "kernels/backend.h"

// A matrix is stored in tiles of LINEAR_TILE outputs, each tile contiguous over all inputs (n_in_padded: an even number
// of them; of bf16 a multiple of 32, which AMX takes at once):
//   f32, f16: [n_tiles][n_in_padded][LINEAR_TILE]
//   bf16:     [n_tiles][n_in_padded / 2][LINEAR_TILE][2]   (pairs of inputs side by side, as AMX and VNNI read them)
//   block formats: quant_tile.h
// Padding outputs and inputs are zero.
#define LINEAR_TILE 32
// Inputs that are summed from zero before they are added to the row's total. Part of the definition of the result.
#define LINEAR_K_BLOCK 512
// Rows that one pass over the weights serves; more rows take several passes.
#define LINEAR_ROWS_MAX 512
// Of one packed row's part of a k block, at most: f32 and a cache line, so that rows do not fall on each other's.
#define LINEAR_PACKED_BYTES (LINEAR_K_BLOCK * 4 + 64)

// Tiles that share what is in the L2 cache.
#define LINEAR_TILES_TOGETHER 8

struct matrix {
    enum dtype dtype;
    size_t n_out, n_in;
    size_t n_tiles;
    size_t tile_bytes;
    size_t bytes;
    unsigned char *data; // [n_tiles][tile_bytes], 64-byte aligned
};

// One pass of a product: at most LINEAR_ROWS_MAX rows.
struct linear_job {
    const struct matrix *w;
    const float *bias; // [n_out] or NULL
    const float *x;    // [n_rows] rows x_stride apart
    float *y;          // [n_rows] rows y_stride apart
    float *maxima;     // [n_rows][n_tiles] or NULL
    size_t x_stride, y_stride;
    size_t n_rows;
    bool accumulate;
    // x as the kernels multiply it, made by linear_pack: [blocks of LINEAR_K_BLOCK inputs][n_rows][a row's part of the
    // block], rows as far apart as the instruction set and the type of the weights want, at most LINEAR_PACKED_BYTES.
    unsigned char *packed;
    size_t n_blocks; // of rows that are multiplied together, sizes as linear_block says
};

// Row block `block` of a job: rows are dealt evenly, so that every block keeps the multiply-adds busy.
static inline size_t linear_block(const struct linear_job *job, size_t block, size_t *ret_first)
{
    size_t base = job->n_rows / job->n_blocks, extra = job->n_rows % job->n_blocks;
    *ret_first = block * base + (block < extra ? block : extra);
    return base + (block < extra ? 1 : 0);
}

// A k block of a tile in a block format, widened: working space of linear_quant_body.h.
struct quant_panel {
    _Alignas(64) uint8_t q[LINEAR_K_BLOCK / 32][LINEAR_TILE * 32]; // of a group [8 quads][LINEAR_TILE][4]
    float scales[LINEAR_K_BLOCK / 16][LINEAR_TILE];                // of groups, or of halves of groups
    float mins[LINEAR_K_BLOCK / 32][LINEAR_TILE];                  // what minima add
};

// Attention works on ATTENTION_TILE positions at a time, counted from position 0, and on up to ATTENTION_ROWS rows (one
// row: one new token under one query head) that share a K/V head.
#define ATTENTION_TILE         32
#define ATTENTION_ROWS         64
#define ATTENTION_HEAD_DIM_MAX 256
// Positions, counted from 0, whose sum is made from nothing before it is joined to that of those before them. Part of
// the definition of the result: so a context can be shared out.
#define ATTENTION_SEGMENT 1024

struct attention_scratch {
    _Alignas(64) uint16_t q[ATTENTION_ROWS][ATTENTION_HEAD_DIM_MAX]; // in bf16
    // A tile of K, transposed: [head_dim][position], and of V: [position][head_dim rounded up to 16]; or of blocks, two
    // runs of each as pages of bf16 have them (kv_page.h), with the blocks' scales, of K and of V.
    _Alignas(64) float k[ATTENTION_HEAD_DIM_MAX][ATTENTION_TILE];
    _Alignas(64) float v[ATTENTION_TILE * ATTENTION_HEAD_DIM_MAX];
    _Alignas(64) float steps[2][ATTENTION_HEAD_DIM_MAX / 32][ATTENTION_TILE];
    _Alignas(64) float acc[ATTENTION_ROWS * ATTENTION_HEAD_DIM_MAX];       // [row][head_dim rounded up to 16]
    _Alignas(64) float sum[ATTENTION_ROWS][16];                            // lane-wise sums of the weights
    _Alignas(64) float total_acc[ATTENTION_ROWS * ATTENTION_HEAD_DIM_MAX]; // the same of all segments so far
    _Alignas(64) float total_sum[ATTENTION_ROWS][16];
    float max[ATTENTION_ROWS], total_max[ATTENTION_ROWS];
    const unsigned char *fetch[2 * ATTENTION_TILE]; // K and V rows of the tile after this one
    size_t n_fetch, n_fetched;                      // how many there are, and have been asked for
};

// Rows [first, first + n_rows) of one sequence under each of n_heads K/V heads, counted token by token, query head by
// query head within the group; n_heads * n_rows <= ATTENTION_ROWS. The heads of a page lie side by side, so that a
// worker that takes several reads longer runs.
struct attention_part {
    const struct op_attention *op;
    const struct batch_seq *seq;
    size_t kv_head, n_heads;
    size_t first, n_rows;
    size_t segment_begin, segment_end;
    // [segments][n_heads * n_rows][ATTENTION_PARTIAL]: where the segments' sums are kept for attention_join, or NULL:
    // they are joined at once.
    float *partials;
};

// Floats of a row's sum of one segment: lane-wise sums of the weights, largest score, values.
#define ATTENTION_PARTIAL(head_dim) (32 + ((head_dim) + 15) / 16 * 16)

struct cpu_kernels {
    const char *name;
    size_t linear_rows, quant_rows; // most rows of a block; of plain and of block formats
    void (*linear_pack)(const struct linear_job *job, size_t row_begin, size_t row_end);
    void (*linear_tiles)(const struct linear_job *job, size_t tile_begin, size_t tile_end, size_t tiles_together);
    void (*quant_pack)(const struct linear_job *job, size_t row_begin, size_t row_end); // the same of block formats
    void (*quant_tiles)(const struct linear_job *job, size_t tile_begin, size_t tile_end, size_t tiles_together,
                        struct quant_panel *panel);
    void (*linear_maxima)(const struct linear_job *job, size_t tile_begin, size_t tile_end); // of what was just written
    void (*rms_norm)(const struct op_rms_norm *op, size_t row_begin, size_t row_end);
    void (*glu)(enum glu kind, const float *gate, const float *up, float *y, size_t n);
    void (*combine)(const struct op_combine *op, size_t row_begin, size_t row_end);
    void (*softcap)(float *x, float cap, size_t n);
    void (*rope)(float *head, const float *cosines, const float *sines, size_t half_dim); // [2][half_dim] in place
    void (*store)(enum dtype dtype, void *dst, const float *src, size_t n);               // f32 -> dtype
    void (*attention)(const struct attention_part *part, struct attention_scratch *scratch);
    void (*attention_join)(const struct attention_part *part, struct attention_scratch *scratch); // of what was kept
    float (*read)(const void *mem,
                  size_t bytes); // reads all of it (multiple of 256 bytes); the sum keeps it from being elided
};

extern const struct cpu_kernels cpu_kernels_scalar;
#ifdef TOKFS_CPU_X86
extern const struct cpu_kernels cpu_kernels_avx2, cpu_kernels_avx2vnni, cpu_kernels_avx512, cpu_kernels_avx512vnni,
    cpu_kernels_avx512bf16, cpu_kernels_amx;
#endif

#endif
