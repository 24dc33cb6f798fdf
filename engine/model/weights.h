// The weights of a decoder on a backend, and filling them from a checkpoint.
//
// Projections that read the same input are one: their rows lie one after the other, whatever the file calls the parts.
#ifndef TOKFS_MODEL_WEIGHTS_H
#define TOKFS_MODEL_WEIGHTS_H

#include "engine/model/checkpoint.h"
#include "engine/model/config.h"
#include "kernels/backend.h"

#define WEIGHT_PIECES_MAX 3

// One matrix, or where the file's parts have different types one for each, whose rows follow each other.
struct weight_matrix {
    struct matrix *pieces[WEIGHT_PIECES_MAX];
    uint32_t n_rows[WEIGHT_PIECES_MAX];
    enum dtype dtypes[WEIGHT_PIECES_MAX];
    uint32_t n_pieces;         // 0: the model has none
    const struct matrix *next; // what a step multiplies after it; NULL: that depends
};

struct expert_weights {
    struct weight_matrix gate_up; // [2 * n_ff_expert][n_embd]: gate, up
    struct weight_matrix down;    // [n_embd][n_ff_expert]
    float *gate_up_bias;          // [2 * n_ff_expert] or NULL
    float *down_bias;             // [n_embd] or NULL
};

struct layer_weights {
    float *attn_norm;               // [n_embd]
    float *attn_post_norm;          // [n_embd] or NULL
    struct weight_matrix qkv;       // [(n_heads + 2 * n_kv_heads) * head_dim][n_embd]: q, k, v
    float *qkv_bias;                // [(n_heads + 2 * n_kv_heads) * head_dim] or NULL
    float *q_norm, *k_norm;         // [head_dim] or NULL
    struct weight_matrix o;         // [n_embd][n_heads * head_dim]
    float *o_bias;                  // [n_embd] or NULL
    float *mlp_norm;                // [n_embd]
    float *mlp_post_norm;           // [n_embd] or NULL
    struct weight_matrix gate_up;   // [2 * n_ff][n_embd]: gate, up
    float *gate_up_bias;            // [2 * n_ff] or NULL
    struct weight_matrix down;      // [n_embd][n_ff]
    struct weight_matrix router;    // [n_experts][n_embd]; layers with experts have it and not gate_up and down
    float *router_bias;             // [n_experts] or NULL
    float *sinks;                   // [n_heads] or NULL
    struct expert_weights *experts; // [n_experts] or NULL
    float *down_bias;               // [n_embd] or NULL
};

struct weights {
    struct backend *backend;
    uint32_t n_layers, n_experts;
    struct layer_weights *layers; // [n_layers]
    struct weight_matrix embed;   // [n_vocab][n_embd], one piece
    struct weight_matrix lm_head; // [n_vocab][n_embd], one piece; the same matrix as `embed` when they are tied
    float *final_norm;            // [n_embd]
    enum dtype dtype;             // of the projections
    uint64_t hash;                // of samples of what the files hold
    uint64_t bytes_per_step; // read by one forward pass that wants logits, rows of `embed` apart, and of experts the
                             // share of one token
};

// A tensor that a safetensors checkpoint of `config` has.
struct weight_spec {
    char name[128];
    uint32_t n_dims; // 1 or 2
    uint64_t shape[2];
};
// Tells each one, in the order in which transformers writes them. `fn` returning non-zero stops with that value.
int weights_list(const struct model_config *config, int (*fn)(void *ctx, const struct weight_spec *spec), void *ctx);

// As which type projections are held: as the file has them, or quantized while they are read. Embeddings and head are
// q8_0 where others are q4_0; routers, and what is not whole blocks, stay as they are.
enum weight_form { WEIGHTS_AS_STORED, WEIGHTS_Q8, WEIGHTS_Q4 };

// Finds every tensor that `config` asks for and checks its shape and type; marks them used in `cp`. A tensor
// that nothing asks for is refused. *ret_dtype is the type of the projections in the file, *ret_bytes what all take in
// memory. -EINVAL, -EOPNOTSUPP: err names file and tensor.
int weights_bind(struct checkpoint *cp, const struct model_config *config, enum weight_form form, enum dtype *ret_dtype,
                 uint64_t *ret_bytes, struct err *err);

struct packed_weights;
struct weight_source {
    struct checkpoint *cp; // bound
    const struct model_config *config;
    enum weight_form form;
    const struct packed_weights *packed; // taken from, or kept in, a file of their packed form (weights_packed.h); NULL
    void (*progress)(void *ctx, uint64_t bytes_done, uint64_t bytes_total); // or NULL
    void *progress_ctx;
};
// Makes the matrices and reads the bound tensors, or what was kept of them, into them. -ENOMEM, and what
// checkpoint_read returns.
int weights_load(struct weights *w, struct backend *backend, const struct weight_source *source, struct err *err);
void weights_deinit(struct weights *w); // no-op on a zeroed struct

#endif
