// One forward pass of a decoder: which operations of the backend, in which order, on which buffers.
#ifndef TOKFS_MODEL_TRANSFORMER_H
#define TOKFS_MODEL_TRANSFORMER_H

#include "engine/model/experts.h"
#include "engine/model/model.h"
#include "engine/model/weights_packed.h"

// Device memory, sized once for the largest step.
struct activations {
    float *x;                          // [batch_rows_max][n_embd], the residual stream
    float *normed;                     // [batch_rows_max][n_embd]
    float *qkv;                        // [batch_rows_max][(n_heads + 2 * n_kv_heads) * head_dim]
    float *attn;                       // [batch_rows_max][n_heads * head_dim]
    float *gate_up;                    // [batch_rows_max][2 * n_ff], or of each slot (experts.h) [2 * n_ff_expert]
    float *act;                        // half as much
    float *router;                     // [batch_rows_max][n_experts], logits of experts
    float *routes;                     // routes_n_words of them
    float *slots;                      // [batch_rows_max * n_experts_used][n_embd]
    float *last;                       // [logit_rows_max][n_embd], rows whose logits are wanted
    float *logits;                     // [logit_rows_max][n_vocab]
    float *maxima;                     // [logit_rows_max][ceil(n_vocab / MAXIMA_OUTPUTS)]
    float *inv_freq, *window_inv_freq; // [n_dims / 2] of each rope
};

struct model {
    struct model_config config;
    struct backend *backend;
    struct kv_layout kv;
    struct weights weights;
    struct packed_note packed_note;
    struct activations act;
    struct layer_experts *experts; // [n_layers]; NULL: the backend has no tables, or the model no experts
    float *host_logits;            // [logit_rows_max][n_vocab]; NULL where the host reads the device's
    float rope_attn_scale, window_rope_attn_scale;
    float embed_scale;
    size_t batch_rows_max, logit_rows_max;
    uint32_t n_ctx; // 0: n_ctx_max
};

uint64_t activations_bytes(const struct model_config *config, size_t batch_rows_max, size_t logit_rows_max);
int activations_init(struct model *model, struct err *err); // -ENOMEM: err has the arithmetic
void activations_deinit(struct model *model);
// y [n_rows][n_out] (+)= x [n_rows][n_in] w^T + bias; rows are dense
void model_linear(struct model *model, const struct weight_matrix *w, const float *bias, const float *x, size_t n_in,
                  float *y, size_t n_out, size_t n_rows, bool accumulate);

#endif
