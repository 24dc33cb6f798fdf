// A decoder-only transformer on a backend: its weights, and one forward pass over a ragged batch.
//
// Owner: the engine thread, which is also the thread that calls the backend.
#ifndef TOKFS_MODEL_MODEL_H
#define TOKFS_MODEL_MODEL_H

#include "engine/model/config.h"
#include "engine/model/weights.h"
#include "kernels/backend.h"

struct model;

struct model_options {
    const char *dir;         // Hugging Face directory, or a GGUF file (of several, the first)
    struct backend *backend; // outlives the model
    enum weight_form weights;
    const char *pack_cache; // file that keeps the packed weights from one start to the next, "auto": beside the model
    const char
        *kv_dtype; // of K and V: "f32", "f16", "bf16", "q8"; NULL or "auto": as the file's weights, bf16 for blocks
    size_t batch_rows_max; // most rows (new tokens) of one step: sizes the activation buffers
    size_t logit_rows_max; // most rows of one step whose logits are wanted
    size_t page_tokens;    // positions per KV page, a power of two, 16 at least
    uint32_t n_ctx;        // most positions that a sequence will have; 0: what the model allows. See rope_frequencies
    uint64_t memory_max;   // bytes for weights and activations; 0: what the machine, or the device, has available
    uint64_t kv_bytes; // that will be asked for beside them, where the backend has memory of its own; 0: what is left
    void (*progress)(void *ctx, uint64_t bytes_done, uint64_t bytes_total); // while weights load; or NULL
    void *progress_ctx;
};

// DIR/config.json and DIR/generation_config.json (which may be absent), or what a GGUF file says, without the weights.
int model_config_read(const char *dir, struct model_config *ret, struct err *err);

// Opens the configuration and the weights. -ENOENT, -EINVAL, -EOPNOTSUPP, -ENOMEM (err has the
// arithmetic): err names directory, file and field or tensor.
int model_open(const struct model_options *options, struct model **ret, struct err *err);
void model_free(struct model *model);
const struct model_config *model_get_config(const struct model *model);
const struct kv_layout *model_get_kv_layout(const struct model *model); // page_bytes included
uint64_t model_weight_bytes(const struct model *model); // device bytes read by one step, embedding rows apart
uint64_t model_weights_hash(const struct model *model); // of samples of every tensor, as the files have it

struct packed_note;
const struct packed_note *model_packed_note(const struct model *model); // what became of pack_cache: weights_packed.h

struct step {
    const int32_t *token_ids; // [map.n_rows], in row order; or -1 - i: what was drawn last, from row i of logit_rows
    struct batch_map map;
    void *kv_pool;              // page_pool.mem
    const uint32_t *logit_rows; // batch rows whose logits are wanted
    size_t n_logit_rows;
    // What is drawn from them where the backend does that (model_can_draw): [n_logit_rows]; NULL: the logits are wanted
    // themselves.
    const struct sample_row *draws;
    unsigned turn;       // of the draws: 0 or 1
    bool is_drawn_later; // draws is NULL, and the logits stay where they are until model_draw
};

// Host memory, valid until the next step; NULL when no logits were asked for.
struct logits {
    const float *rows;   // [n_rows][n_vocab]
    const float *maxima; // [n_rows][ceil(n_vocab / MAXIMA_OUTPUTS)], as op_linear; NULL where they are not known
};

// Runs one forward pass: writes K and V of the new rows. Does not allocate and does not fail. It need not have ended on
// return, but where it gives logits; what the step points to is the caller's again.
struct logits model_step(struct model *model, const struct step *step);
bool model_can_draw(const struct model *model);
// Draws from the logits of the last step, which was one that is drawn later; [its n_logit_rows].
void model_draw(struct model *model, const struct sample_row *rows, size_t n_rows, unsigned turn);
// Waits for what the last step of that turn has drawn.
struct sample_results model_drawn(struct model *model, unsigned turn);
// 0, or -EIO: the backend's device has failed, and what was computed means nothing (backend.h, `failure`).
int model_failure(struct model *model, struct err *err);
// Logits of rows of the last step, as model_step gives them, in their place.
struct logits model_logits(struct model *model, const uint32_t *rows, size_t n_rows);

#endif
