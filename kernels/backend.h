// The operations that a compute backend implements: what a transformer step is made of, and nothing about transformers.
//
// A backend owns device memory, weight matrices in its own packed form, and the workers or queue that run operations.
// Operations are issued in order by one thread (the engine thread); each sees the results of those before it. A backend
// may run them asynchronously: `sync` waits for all. Pointers named in operation structs are device memory (from
// `alloc`) unless the comment says host. Operations do not allocate and do not fail: shapes are the caller's promise
// and are asserted.
//
// Batch invariance (CPU always; CUDA when opened with `deterministic`): each row of an operation's output depends on
// that row's input alone and is bit-identical whatever n_rows is, which other rows or sequences come along, and how a
// prompt was cut into batches. Reductions therefore run in a fixed order over the reduced index (for attention: the
// absolute position).
#ifndef TOKFS_KERNELS_BACKEND_H
#define TOKFS_KERNELS_BACKEND_H

#include "engine/base/err.h"
#include "kernels/dtype.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend; // each implementation begins its own struct with: struct backend { const struct backend_ops *ops; };
struct matrix;  // weight [n_out][n_in] in the backend's packed form

struct backend_options {
    unsigned n_threads; // CPU: workers including the calling thread; 0 = one per available processor
    const char *isa;    // CPU: the name of a path (kernels/cpu/isa.h); NULL = the best the processor has
    bool deterministic; // CUDA: batch invariance; the CPU backend always is
    bool no_graphs;     // CUDA: each operation is launched by itself
};

#define MAXIMA_OUTPUTS 32
#define BACKEND_MARKS  8

// y[r][o] = sum_i x[r][i] * w[o][i] (+ bias[o]) (+ y[r][o] when accumulate)
struct op_linear {
    const struct matrix *w; // [n_out][n_in]
    const float *bias;      // [n_out] or NULL
    const float *x;         // [n_rows], rows x_stride floats apart, first n_in used
    float *y;               // [n_rows], rows y_stride floats apart, first n_out written
    // [n_rows][ceil(n_out / MAXIMA_OUTPUTS)], or NULL: the largest of each run of outputs, found while they are in the
    // caches. What is not a number counts as -infinity.
    float *maxima;
    size_t x_stride, y_stride;
    size_t n_rows;
    bool accumulate;
    const struct matrix
        *next; // what is multiplied after this, as far as it is known, or NULL: it may be asked for early
};

// y[r][:] = row token_ids[r] of the table, times scale
struct op_embed {
    const struct matrix *table; // [n_vocab][n_embd]
    const int32_t *token_ids;   // [n_rows] host memory, read before the call returns; each in [0, n_vocab), or -1 - i:
                                // what the last op_sample drew from its row i
    float *y;                   // [n_rows][n_embd]
    size_t n_rows;
    float scale; // 1 for most families
};

// y[r][i] (+)= x[r][i] / sqrt(mean_i(x[r][i]^2) + eps) * weight[i]   (Zhang & Sennrich 2019)
struct op_rms_norm {
    const float *x, *weight; // [n_rows][dim], [dim]
    float *y;                // [n_rows][dim], may be x
    size_t n_rows, dim;
    // Rows that are not dense: every `group` rows lie side by side, and groups `stride` floats apart, in x and y (heads
    // of a row of Q, K and V). 0: all are dense.
    size_t group, stride;
    float eps;
    bool accumulate;
};

// Where a batch's rows stand: which sequence, which position, where their K and V live. Host memory, valid until
// `sync` or `sample`.
struct kv_layout {
    enum dtype dtype;   // of K and V elements: f32, f16, bf16, or q8_0 where head_dim is whole blocks
    size_t page_tokens; // positions per page (a power of two, 16 at least)
    size_t page_bytes;  // distance between pages in the pool
    size_t n_layers, n_kv_heads, head_dim;
    // Within a page: [n_layers][2 (K, V)][n_kv_heads][page_tokens * head_dim], in an order of the backend's own
};

struct batch_seq {
    size_t row;            // first row of this sequence in the batch
    size_t n_rows;         // its new tokens in this batch
    size_t pos;            // absolute position of its first new token = tokens already in its pages
    const uint32_t *pages; // [ceil((pos + n_rows) / page_tokens)] page indices, in position order
    uint32_t table; // the list's own number from step to step, so that only what has changed of it is sent; 0: none
};

struct batch_map {
    const struct batch_seq *seqs;
    size_t n_seqs;
    size_t n_rows; // sum of seqs[].n_rows; rows are dense and in order
};

// Rotates Q and K by position and writes K and V of the new rows into their pages.
// Half-split rotation as in Hugging Face Llama: (x[j], x[j + n_dims/2]) is the pair of frequency inv_freq[j];
// dimensions from n_dims on stay as they are.
struct op_rope_kv {
    float *qkv; // [n_rows][(n_heads + 2 * n_kv_heads) * head_dim]: Q heads, K heads, V heads; Q rotated in place
    const float *inv_freq; // [n_dims / 2]
    size_t n_dims;         // even, at most head_dim; 0: nothing turns, K and V are written
    float attn_scale;      // cos and sin are multiplied by it (1 unless the rope scaling says otherwise)
    // Weights of the norms that heads of Q and K get before (op_rms_norm of head_dim), or NULL: none. Only for backends
    // that have has_head_norms.
    const float *q_norm, *k_norm; // [head_dim]
    float norm_eps;
    size_t n_heads;
    const struct kv_layout *kv;
    void *pool; // [n_pages][page_bytes]
    size_t layer;
    const struct batch_map *map;
};

// Causal attention of each new row at position p over positions lo..p, where lo is 0 or, with a window, the first of
// the last `window` positions; K and V read from the pages (op_rope_kv of the same rows first).
//   s[j] = cap(scale * q[r][h] . k[j][h / group]), cap(x) = softcap * tanh(x / softcap) or x
//   out[r][h] = sum_j e^s[j] v[j][h / group] / (sum_j e^s[j] + e^sinks[h])
struct op_attention {
    const float *qkv; // as above, Q rotated
    float *out;       // [n_rows][n_heads * head_dim]
    float scale;
    float softcap;      // 0: none
    size_t window;      // 0: none
    const float *sinks; // [n_heads], or NULL: none
    size_t n_heads;
    const struct kv_layout *kv;
    const void *pool;
    size_t layer;
    const struct batch_map *map;
};

// How the gate of a gated linear unit acts on the other half (Shazeer 2020).
enum glu {
    GLU_SILU,         // g / (1 + e^-g) * u
    GLU_GELU_TANH,    // gelu(g) * u, gelu approximated with tanh
    GLU_SILU_CLAMPED, // gpt-oss: g' / (1 + e^(-1.702 g')) * (u' + 1), g' = min(g, 7), u' = clamp(u, -7, 7)
};

// y[r][i] = glu(x[r][i], x[r][dim + i])
struct op_glu {
    const float *x; // [n_rows][2 * dim]: gate, up
    float *y;       // [n_rows][dim]
    size_t n_rows, dim;
    enum glu kind;
};

// x[i] = cap * tanh(x[i] / cap)
struct op_softcap {
    float *x; // [n]
    size_t n;
    float cap;
};

// y[r][:] = x[rows[r]][:]
struct op_gather {
    const float *x;       // [..][dim]
    const uint32_t *rows; // [n_rows] host memory, read before the call returns
    float *y;             // [n_rows][dim]
    size_t n_rows, dim;
};

// ---- mixtures of experts (Shazeer 2017) ----------------------------------------------------------------------------

// Which rows go to which experts. A slot is a row under one of its experts; slots lie in the order of experts, those of
// one in the order of rows. Device memory of the caller's (routes.h lays it out), written by route.
struct routes {
    uint32_t *experts; // [n_rows][n_used], best first
    float *weights;    // likewise
    uint32_t *slots;   // likewise: the slot; NO_SLOT: the row goes nowhere
    uint32_t *rows;    // [n_rows * n_used] the row of each slot
    uint32_t *first;   // [n_experts + 1] first slot of each expert, and where they end
    uint32_t *parts;   // [n_rows * n_used][4] the backend's own
    size_t n_rows, n_experts, n_used;
};

#define NO_SLOT UINT32_MAX

// The n_used experts of each row, those of its largest logits in falling order (of equal ones the one of lower index
// first), and their weights: e^logit over the sum of those of the chosen (is_normalized) or of all.
struct op_route {
    const float *logits; // [n_rows][n_experts]
    const struct routes *routes;
    const struct batch_map *map; // whose rows they are: those of no sequence (step_fn) go nowhere; NULL: all go
    bool is_normalized;
};

// y[s][:] = x[rows[s]][:] of each slot
struct op_dispatch {
    const float *x; // [n_rows][dim]
    const struct routes *routes;
    float *y; // [n_rows * n_used][dim]
    size_t dim;
};

// y[s][o] = sum_i x[s][i] * w[o][i] + bias[o] of each slot, with the weights of its expert; slots of experts that have
// none are left as they are.
struct expert_matrices; // of one product, by the number of the expert
struct op_linear_experts {
    const struct expert_matrices *w;
    const struct routes *routes;
    const float *x;
    float *y;
    size_t x_stride, y_stride;
};

// y[r][:] += sum_k weights[r][k] * x[slots[r][k]][:], summed in the order of k
struct op_combine {
    const float *x; // [n_rows * n_used][dim]
    const struct routes *routes;
    float *y; // [n_rows][dim]
    size_t dim;
};

// ---- drawing tokens where the logits are. engine/serve/sampler.h says what the numbers mean.

#define SAMPLE_TOP_MAX   20
#define SAMPLE_IN_WINDOW (UINT32_C(1) << 31) // of sample_edit.seen; below it: how often the token was sampled

// What is changed of one logit before the draw; each id once.
struct sample_edit {
    int32_t id;
    float bias; // added; -infinity: it must not come
    uint32_t seen;
    float raw; // the backend's
};

struct sample_row {
    uint64_t seed, pos;                                             // of the random number
    double top_p;                                                   // >= 1: off
    double repetition_penalty, frequency_penalty, presence_penalty; // of edits with `seen`
    float scale;                                                    // 1 / temperature; 0: greedy
    float log_min_p;                                                // -infinity: off
    uint32_t top_k;                                                 // 0: off
    bool wants_probs;                                               // the log probability of the drawn token
    uint32_t n_top;                                                 // ... and of the most probable ones
    const uint64_t *mask;                                           // [ceil(n_vocab / 64)] that may come; NULL: all
    const struct sample_edit *edits;                                // [n_edits]
    uint32_t n_edits;
};

struct sample_result {
    int32_t id; // -1: no logit was finite
    float logprob;
};

// Best first.
struct sample_top {
    uint32_t n;
    int32_t ids[SAMPLE_TOP_MAX];
    float logprobs[SAMPLE_TOP_MAX];
};

// Draws a token from each row. The logits are used up. Rows, masks and edits are host memory, read before the call
// returns; what was drawn is told by `drawn`, and stays on the device for op_embed.
struct op_sample {
    float *logits; // [n_rows][n_vocab]
    const struct sample_row *rows;
    size_t n_rows, n_vocab;
    unsigned turn; // 0 or 1: which of the two places of results
};

struct sample_results {
    const struct sample_result *rows; // [n_rows] host memory, until the place is used again
    const struct sample_top *tops;    // [n_rows], of those with n_top; NULL where none has
};

// ---- a step --------------------------------------------------------------------------------------------------------

#define STEP_WINDOWS_MAX 2 // that a model's layers have: none, and one

// What the operations of a step bring along, told before the first of them, so that it is sent together. The operations
// name the same arrays.
struct op_step {
    const void *model;              // whose steps of equal shapes have equal operations
    const int32_t *token_ids;       // of op_embed
    struct batch_map map;           // of op_rope_kv and op_attention: an operation's has the same seqs
    const uint32_t *logit_rows;     // [n_logit_rows] of op_gather
    const struct sample_row *draws; // [n_logit_rows] of op_sample, the last operation; NULL: there is none
    size_t n_logit_rows, n_vocab;
    unsigned turn; // of op_sample
    const struct kv_layout *kv;
    size_t n_heads;
    size_t windows[STEP_WINDOWS_MAX], n_windows; // of op_attention
    size_t n_rows_max, n_logit_rows_max;         // that the model's buffers hold
};

// Issues the operations of a step as if it had so many rows: the arrays are as they were, and what is beyond their ends
// is the backend's business. Of equal shapes, they differ in nothing but these arrays.
typedef void step_fn(void *ctx, size_t n_rows, size_t n_logit_rows);

// Work of the host on items [begin, end). `worker` < n_workers names the thread that does it, for scratch; 0 is the
// caller.
typedef void host_fn(void *ctx, size_t begin, size_t end, size_t worker);

struct backend_ops {
    const char *name;                   // "cpu", "cuda"
    bool has_host_memory;               // the host may read and write what `alloc` gave, after `sync`
    bool has_block_kv;                  // K and V may be of a block type
    bool has_head_norms;                // rope_kv norms heads
    bool has_f8;                        // matrices may be of type f8
    size_t head_dim_step, head_dim_max; // attention and rope take multiples of the first up to the second

    void (*close)(struct backend *b);
    const char *(*describe)(const struct backend *b); // e.g. "cpu avx512, 2 threads"

    void *(*alloc)(struct backend *b,
                   size_t bytes); // zeroed, aligned to 64 bytes at least; NULL when there is no memory
    void (*free)(struct backend *b, void *mem);
    void (*upload)(struct backend *b, void *dst, const void *host_src, size_t bytes);
    void (*download)(struct backend *b, void *host_dst, const void *src,
                     size_t bytes); // waits for the operations before it
    void (*copy)(struct backend *b, void *dst, const void *src, size_t bytes);

    // A weight is made empty and then filled in runs of rows, as they come from the file, in any order, each row once.
    // n_in is whole blocks of the type.
    struct matrix *(*matrix_new)(struct backend *b, enum dtype dtype, size_t n_out, size_t n_in); // NULL: no memory
    void (*matrix_fill)(struct backend *b, struct matrix *m, size_t row, size_t n_rows,
                        const void *host_rows); // [n_rows][n_in] dtype
    void (*matrix_free)(struct backend *b, struct matrix *m);
    size_t (*matrix_bytes)(const struct matrix *m); // device bytes read when the whole matrix is used once
    // What a matrix has become, matrix_bytes of host memory: written back into a new one of the same type and shape it
    // makes the same matrix. NULL where the backend has no such memory.
    unsigned char *(*matrix_packed)(struct matrix *m);

    void (*linear)(struct backend *b, const struct op_linear *op);
    // y[r][o] = glu(w x of o, w x of n_out / 2 + o), each with its bias: a product and the unit after it at once.
    // False: not this one, and nothing was done. NULL: none.
    bool (*linear_glu)(struct backend *b, const struct op_linear *op, enum glu kind);
    void (*embed)(struct backend *b, const struct op_embed *op);
    void (*rms_norm)(struct backend *b, const struct op_rms_norm *op);
    void (*rope_kv)(struct backend *b, const struct op_rope_kv *op);
    void (*attention)(struct backend *b, const struct op_attention *op);
    void (*glu)(struct backend *b, const struct op_glu *op);
    void (*softcap)(struct backend *b, const struct op_softcap *op);
    void (*gather)(struct backend *b, const struct op_gather *op);
    void (*route)(struct backend *b, const struct op_route *op);
    void (*dispatch)(struct backend *b, const struct op_dispatch *op);
    void (*combine)(struct backend *b, const struct op_combine *op);
    // Optional, all three: NULL where the host reads the routes, and issues the products of each expert by itself.
    // w, bias: [n_experts], of equal shapes and types, the caller's for as long as the table is there; NULL entries:
    // none. No product will be of more than n_slots_max slots. NULL: there is no memory.
    struct expert_matrices *(*expert_matrices_new)(struct backend *b, const struct matrix *const *w,
                                                   const float *const *bias, size_t n_experts, size_t n_slots_max);
    void (*expert_matrices_free)(struct backend *b, struct expert_matrices *w);
    void (*linear_experts)(struct backend *b, const struct op_linear_experts *op);
    void (*sync)(struct backend *b);
    // Optional: NULL where nothing is gained by it. Runs a step: calls `issue`, perhaps for more rows than the step
    // has, or repeats what it issued for an earlier step of the same shape. The step's arrays are the caller's on
    // return.
    void (*step)(struct backend *b, const struct op_step *op, step_fn *issue, void *ctx);

    // Optional: NULL for what does not fail. 0, or -EIO, with the reason: the device has failed. What was computed
    // since it was asked last means nothing, nor does what is in its memory, and it stays so: it is to be closed and
    // opened anew. Does not wait: a failure is known once its operations were waited for.
    int (*failure)(struct backend *b, struct err *err);
    // Optional: NULL where `alloc` gives the host's memory. Bytes that it can still give.
    uint64_t (*memory_free)(struct backend *b);
    // Optional, likewise. Memory of the host that the device reads and writes by itself (NULL: there is none), and
    // copies to it and from it. They run beside the operations, in order among themselves: each begins when the
    // operations that were issued before it are over, and returns its number (not 0). Nothing waits on the host.
    void *(*host_alloc)(struct backend *b, size_t bytes);
    void (*host_free)(struct backend *b, void *mem);
    uint64_t (*copy_out)(struct backend *b, void *host_dst, const void *src, size_t bytes);
    uint64_t (*copy_in)(struct backend *b, void *dst, const void *host_src, size_t bytes);
    // Operations that are issued from now on begin when this copy, and those before it, are over. Without it they must
    // not write what is copied out, nor read or write what is copied in.
    void (*await_copy)(struct backend *b, uint64_t copy);
    // Optional, likewise. Makes pages of the caller's memory, one piece at a time, such that the device reads them by
    // itself: what matrix_fill is given from there is not copied before, and has to stay as it is until the device has
    // come to a mark that was set after it. False: it stays memory like any other. host_unpin waits.
    bool (*host_pin)(struct backend *b, void *mem, size_t bytes);
    void (*host_unpin)(struct backend *b, void *mem);
    void (*mark)(struct backend *b, unsigned mark); // below BACKEND_MARKS
    void (*wait)(struct backend *b, unsigned mark); // one that was never set is passed

    // Optional: NULL where the host has to draw.
    void (*sample)(struct backend *b, const struct op_sample *op);
    // Waits for the last op_sample of that turn, and for nothing issued after it.
    struct sample_results (*drawn)(struct backend *b, unsigned turn);

    // The host's processors between steps, for what is no operation: spread runs fn over n_items that are independent
    // of each other and returns when all are done.
    size_t (*n_workers)(const struct backend *b);
    void (*spread)(struct backend *b, size_t n_items, host_fn *fn, void *ctx);
};

struct backend {
    const struct backend_ops *ops;
};

// `name`: "auto", "cpu" or "cuda". 0, -EINVAL (unknown name or isa), -EOPNOTSUPP (not built in, or the machine cannot),
// -ENOMEM. Where "auto" takes the CPU though the build has another backend it returns 0 and *err says why.
int backend_open(const char *name, const struct backend_options *options, struct backend **ret, struct err *err);

#endif
