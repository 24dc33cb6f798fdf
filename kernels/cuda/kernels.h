// The launchers: one per operation of backend.h, in the order of the files. Each issues its kernels and returns; none
// allocates or synchronises. All pointers are device memory unless the comment says host.
#ifndef TOKFS_KERNELS_CUDA_KERNELS_H
#define TOKFS_KERNELS_CUDA_KERNELS_H

#include "kernels/backend.h"
#include "kernels/cuda/runtime.h"

#ifdef __cplusplus
#include "kernels/cuda/gpu.h"
extern "C" {
#endif

// Weights as kernels read them: dense rows of plain elements, or block formats as in blocks.h.
struct gpu_matrix {
    enum dtype dtype;
    size_t n_out, n_in;
    void *data; // [n_out][n_in], or [blocks_n_tiles][blocks_n_chunks] records
};

// What an expert multiplies with in a product.
struct gpu_expert {
    const void *w; // as gpu_matrix's data; NULL: it has none
    const float *bias;
};

// Slots [row, row + n_rows) of an expert; none: there is nothing to do.
struct gpu_part {
    uint32_t expert, row, n_rows, unused; // 16 bytes, of struct routes' parts
};

// Products of experts in one launch: parts that the device has planned, of up to `rows` slots each. n_max: their number
// if there are as many as there can be.
struct gpu_parts {
    const struct gpu_part *parts;
    const struct gpu_expert *experts;
    size_t n_max, rows;
    bool are_full; // as a rule they have so many slots that operations take longer than the bytes of weights
};

// A page that is another one than before, `at` entries behind the beginning of the page tables.
struct gpu_page_change {
    uint32_t at, page;
};

#define NO_SEQUENCE (-1) // whose a row is that nobody wants

// A batch_map on the device.
struct gpu_map {
    const int32_t *row_seq;    // [n_rows] sequence of a row, or NO_SEQUENCE
    const int32_t *row_pos;    // [n_rows] its absolute position
    const int32_t *seq_row;    // [n_seqs] first row of a sequence
    const int32_t *seq_n_rows; // [n_seqs]
    const int32_t *seq_pos;    // [n_seqs] position of its first row
    const int32_t *seq_page;   // [n_seqs] where its pages begin in `pages`
    const uint32_t *pages;
    size_t n_rows, n_seqs;
};

// Pieces of attention, one CTA each and KV head: the packed rows [packed_row, packed_row + n) of a sequence, or of
// several that share the positions, against positions [begin, end). A packed row is a (row, head of the group) pair, p
// = row * group + head, where row counts the sequence's rows or those of a list.
struct gpu_work {
    int32_t seq, packed_row;
    int32_t begin, end;     // none: there is nothing to do
    int32_t partial;        // where its unfinished sums go: see attention.cu; -1: the piece is all of it, and finished
    int32_t list, n_listed; // rows of the batch: plan.rows[list ... list + n_listed); n_listed = 0: the sequence's own
};

// Rows whose sums several pieces hold: first those of positions that are shared, as rows shared_row ... of n_shared
// partials that are shared_step apart, then their own.
struct gpu_merge {
    int32_t seq, packed_row;
    int32_t partial, n_partials; // in the order of positions; none of either kind: nothing to do
    int32_t shared_partial, n_shared, shared_step, shared_row;
};

struct gpu_attention_plan {
    const struct gpu_work *work;
    const struct gpu_merge *merges;
    const int32_t *rows;
    size_t n_work, n_merges, n_partials;
    bool is_decode; // pieces of ATTENTION_DECODE_ROWS packed rows; else of ATTENTION_PREFILL_ROWS, or _HOPPER_ROWS
};

#define ATTENTION_DECODE_ROWS      16
#define ATTENTION_PREFILL_ROWS     64
#define ATTENTION_HOPPER_ROWS      128
#define ATTENTION_TILE             64 // positions; pieces begin at multiples of it
#define ATTENTION_HEAD_DIM_MAX_GPU 256

// A row's draw on the device: struct sample_row, with what it points to told by where it lies.
#define SAMPLE_IS_PADDING  1u // nothing is drawn
#define SAMPLE_WANTS_PROBS 2u
#define SAMPLE_HAS_MASK    4u

struct gpu_sample_row {
    uint64_t seed, pos;
    double top_p, repetition_penalty, frequency_penalty, presence_penalty;
    float scale, log_min_p;
    uint32_t top_k, n_top, n_edits, flags;
    uint64_t mask_at, edits_at; // bytes from gpu_sample.extra
};

struct gpu_sample {
    float *logits;                     // [n_rows][n_vocab]
    const struct gpu_sample_row *rows; // [n_rows]
    void *extra;
    struct sample_result *results; // [n_rows]
    struct sample_top *tops;       // [n_rows]
    size_t n_rows, n_vocab;
};

// elementwise.cu. `drawn`: for ids below 0.
void gpu_embed(gpu_queue queue, const struct op_embed *op, const struct gpu_matrix *table, const int32_t *token_ids,
               const struct sample_result *drawn);
void gpu_glu(gpu_queue queue, const struct op_glu *op);
void gpu_softcap(gpu_queue queue, const struct op_softcap *op);
void gpu_gather(gpu_queue queue, const struct op_gather *op, const uint32_t *rows);
void gpu_change_pages(gpu_queue queue, uint32_t *tables, const struct gpu_page_change *changes, size_t n_changes);

// experts.cu. `row_seq`: rows of NO_SEQUENCE go nowhere; NULL: all go. Writes the parts too.
void gpu_route(gpu_queue queue, const struct op_route *op, const int32_t *row_seq);
void gpu_dispatch(gpu_queue queue, const struct op_dispatch *op);
void gpu_combine(gpu_queue queue, const struct op_combine *op);

// norm.cu
void gpu_rms_norm(gpu_queue queue, const struct op_rms_norm *op);

// rope_kv.cu
void gpu_rope_kv(gpu_queue queue, const struct op_rope_kv *op, const struct gpu_map *map);

// attention.cu. `partials`: gpu_attention_partial_floats(op) floats for each partial of each KV head.
bool gpu_attention_has_tiles(const struct op_attention *op);
size_t gpu_attention_partial_floats(const struct op_attention *op);
void gpu_attention_tiles(gpu_queue queue, const struct op_attention *op, const struct gpu_map *map,
                         const struct gpu_attention_plan *plan, float *partials);
void gpu_attention_rows(gpu_queue queue, const struct op_attention *op, const struct gpu_map *map);

// attention_hopper.cu: on sm_90a, pieces of ATTENTION_HOPPER_ROWS: prefill, and positions that are shared. K and V as
// it reads them, in a pool of no more than so many bytes; false: not with this layout.
bool gpu_attention_hopper_tensor(const struct kv_layout *kv, const void *pool, uint64_t pool_bytes_max,
                                 struct gpu_tensor *ret);
void gpu_attention_hopper(gpu_queue queue, const struct op_attention *op, const struct gpu_map *map,
                          const struct gpu_attention_plan *plan, const struct gpu_tensor_map *kv, float *partials);

// sampling.cu
void gpu_sample(gpu_queue queue, const struct gpu_sample *args);

// linear.cu
void gpu_gemv(gpu_queue queue, const struct op_linear *op, const struct gpu_matrix *w); // n_rows <= GEMV_ROWS_MAX
// backend.h, linear_glu; false: not of this shape, nothing was launched.
bool gpu_gemv_glu(gpu_queue queue, const struct op_linear *op, const struct gpu_matrix *w, enum glu kind);
void gpu_linear_tiles(gpu_queue queue, const struct op_linear *op, const struct gpu_matrix *w);
// As gpu_linear_parts, for plain weights of any type.
void gpu_linear_tile_parts(gpu_queue queue, const struct op_linear *op, const struct gpu_matrix *like,
                           const struct gpu_parts *parts);
void gpu_rows_to_16(gpu_queue queue, const struct op_linear *op, size_t n_in, bool is_f16, void *x16); // [n_rows][n_in]
void gpu_add_bias(gpu_queue queue, const struct op_linear *op, size_t n_out);

#define GEMV_ROWS_MAX 8

// linear_hopper.cu: any number of rows on sm_90a, dense weights of 16 bits. w as it reads them; false: not of this
// shape, or not here.
bool gpu_linear_hopper_map(const struct gpu *gpu, const void *w, size_t n_out, size_t n_in, bool is_f16,
                           struct gpu_tensor_map *ret);
void gpu_linear_hopper(struct gpu *gpu, const struct gpu_gemm *gemm, const float *bias, const struct gpu_tensor_map *w);

// linear_blocks.cu. Weights of block formats, and for parts plain ones of 16 bits too; n_in in whole blocks, and in
// groups of 32. `x16`: gpu_blocks_x16_bytes for all rows of x, or NULL: then 8 rows of x at a time, and of a part at
// most.
bool gpu_blocks_has(enum dtype dtype, size_t n_in);
size_t gpu_blocks_x16_bytes(size_t n_rows, size_t n_in);
void gpu_linear_blocks(gpu_queue queue, const struct op_linear *op, const struct gpu_matrix *w, void *x16);
// As gpu_gemv_glu.
bool gpu_blocks_glu(gpu_queue queue, const struct op_linear *op, const struct gpu_matrix *w, enum glu kind);
// op's weights and bias are those of the parts, which are of the shape and type of `like`; parts of more than
// GEMV_ROWS_MAX rows need x16.
void gpu_linear_parts(gpu_queue queue, const struct op_linear *op, const struct gpu_matrix *like,
                      const struct gpu_parts *parts, void *x16);
// blocks_rows.cu. `rows`: n_rows rows of w's type as in the file, on the device, to become rows `row` ... of w.
void gpu_blocks_pack(gpu_queue queue, const struct gpu_matrix *w, size_t row, size_t n_rows, const void *rows);
// Rows of w, from and to multiples of BLOCKS_TILE (or to the end), as [n_rows][n_in] bf16.
void gpu_blocks_expand(gpu_queue queue, const struct gpu_matrix *w, size_t row, size_t n_rows, void *rows_bf16);
void gpu_embed_blocks(gpu_queue queue, const struct op_embed *op, const struct gpu_matrix *table,
                      const int32_t *token_ids, const struct sample_result *drawn);

#define PART_ROWS_MAX 64

// Slots of a part, which depend on the routes' shape alone: all that an expert can have, or PART_ROWS_MAX.
static inline size_t gpu_part_rows(const struct routes *routes)
{
    return routes->n_rows <= GEMV_ROWS_MAX ? GEMV_ROWS_MAX : PART_ROWS_MAX;
}

// Parts that there can be: full ones, and one of each expert that has slots.
static inline size_t gpu_n_parts_max(const struct routes *routes, size_t part_rows)
{
    size_t n_slots = routes->n_rows * routes->n_used, n = n_slots < routes->n_experts ? n_slots : routes->n_experts;
    return routes->n_rows <= part_rows ? n : (n_slots + n * (part_rows - 1)) / part_rows;
}

#ifdef __cplusplus
}
#endif

#endif
