// The decoder step, a list of backend operations.
//
//   x = embed[token] * scale
//   per layer:  x += norm?(o(attention(rope(norm?(qkv(norm(x)))))))  K and V of the new rows go into their pages
//               x += norm?(down(act(gate(norm(x))) * up(norm(x))))
//               or, with experts: x += sum of what the experts of each row give (experts.c)
//   logits = cap?(lm_head(norm(x[wanted rows])))
//
// What has a question mark, and which scales, windows and frequencies hold, is in the config (family.c).
//
// Every operation computes a row from that row alone (and the pages of its sequence), so the result of a row does not
// depend on the batch around it (backend.h). Nothing is allocated here: buffers are sized in activations_init.
#include "engine/model/transformer.h"
#include "kernels/cpu/convert.h"
#include "kernels/routes.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- buffers -------------------------------------------------------------------------------------------------------

struct buffer {
    float **ptr;
    size_t n_rows, n_cols;
};

#define N_BUFFERS 14

static void list_buffers(struct activations *act, const struct model_config *c, size_t n_rows, size_t n_logit_rows,
                         struct buffer ret[N_BUFFERS])
{
    size_t n_q = (size_t)c->n_heads * c->head_dim, n_kv = (size_t)c->n_kv_heads * c->head_dim;
    size_t n_ff_slots = (size_t)c->n_experts_used * c->n_ff_expert, n_ff = c->n_ff > n_ff_slots ? c->n_ff : n_ff_slots;
    const struct buffer list[N_BUFFERS] = {
        { &act->x, n_rows, c->n_embd },
        { &act->normed, n_rows, c->n_embd },
        { &act->qkv, n_rows, n_q + 2 * n_kv },
        { &act->attn, n_rows, n_q },
        { &act->gate_up, n_rows, 2 * n_ff },
        { &act->act, n_rows, n_ff },
        { &act->router, n_rows, c->n_experts },
        { &act->routes, c->n_experts > 0, routes_n_words(n_rows, c->n_experts, c->n_experts_used) },
        { &act->slots, n_rows, (size_t)c->n_experts_used * c->n_embd },
        { &act->last, n_logit_rows, c->n_embd },
        { &act->logits, n_logit_rows, c->n_vocab },
        { &act->maxima, n_logit_rows, (c->n_vocab - 1) / MAXIMA_OUTPUTS + 1 },
        { &act->inv_freq, 1, c->rope.n_dims / 2 },
        { &act->window_inv_freq, 1, c->window_rope.n_dims / 2 },
    };
    memcpy(ret, list, sizeof(list));
}

uint64_t activations_bytes(const struct model_config *config, size_t batch_rows_max, size_t logit_rows_max)
{
    struct activations unused;
    struct buffer list[N_BUFFERS];
    list_buffers(&unused, config, batch_rows_max, logit_rows_max, list);
    uint64_t bytes = 0;
    for (size_t i = 0; i < N_BUFFERS; i++) {
        bytes += (uint64_t)list[i].n_rows * list[i].n_cols * sizeof(float);
    }
    return bytes;
}

static int upload_frequencies(struct model *m, const struct rope_config *rope, float *dst, float *ret_attn_scale,
                              struct err *err)
{
    size_t bytes = rope->n_dims / 2 * sizeof(float);
    float *inv_freq = malloc(bytes + 1);
    if (!inv_freq) {
        return err_set(err, -ENOMEM, "no memory for rope frequencies");
    }
    rope_frequencies(rope, m->n_ctx ? m->n_ctx : m->config.n_ctx_max, inv_freq, ret_attn_scale);
    m->backend->ops->upload(m->backend, dst, inv_freq, bytes);
    free(inv_freq);
    return 0;
}

// Rounded to the type of the weights: with it the model was trained.
static float embed_scale(const struct model_config *c)
{
    float scale = sqrtf((float)c->n_embd);
    switch (c->dtype) {
    case DTYPE_F16: return f32_from_f16(f16_from_f32(scale));
    case DTYPE_F8: // of a checkpoint whose other weights are bf16
    case DTYPE_BF16: return f32_from_bf16(bf16_from_f32(scale));
    default: return scale;
    }
}

// Tells the weights of each product which are multiplied after them, from the head round to the first layer. What comes
// after a router is its rows' affair.
static void chain_weights(struct weights *w)
{
    struct weight_matrix *last = &w->lm_head;
    for (size_t layer = 0; layer < w->n_layers; layer++) {
        struct layer_weights *l = &w->layers[layer];
        struct weight_matrix *products[] = { &l->qkv, &l->o, &l->gate_up, &l->down, &l->router };
        for (size_t i = 0; i < sizeof(products) / sizeof(*products); i++) {
            if (products[i]->n_pieces > 0) {
                last->next = products[i]->pieces[0];
                last = products[i];
            }
        }
    }
    last->next = w->lm_head.pieces[0];
    for (size_t layer = 0; layer < w->n_layers; layer++) {
        w->layers[layer].router.next = NULL;
    }
}

int activations_init(struct model *m, struct err *err)
{
    chain_weights(&m->weights);
    struct backend *b = m->backend;
    struct buffer list[N_BUFFERS];
    list_buffers(&m->act, &m->config, m->batch_rows_max, m->logit_rows_max, list);
    for (size_t i = 0; i < N_BUFFERS; i++) {
        size_t bytes = list[i].n_rows * list[i].n_cols * sizeof(float);
        *list[i].ptr = b->ops->alloc(b, bytes > 0 ? bytes : 1);
        if (!*list[i].ptr) {
            return err_set(err, -ENOMEM,
                           "no memory for activations: %zu rows and %zu rows of logits take %.1f MiB in all",
                           m->batch_rows_max, m->logit_rows_max,
                           (double)activations_bytes(&m->config, m->batch_rows_max, m->logit_rows_max) / 0x1p20);
        }
    }
    if (!b->ops->has_host_memory && m->logit_rows_max > 0) {
        m->host_logits = malloc(m->logit_rows_max * m->config.n_vocab * sizeof(float));
        if (!m->host_logits) {
            return err_set(err, -ENOMEM, "no memory for %zu rows of %" PRIu32 " logits", m->logit_rows_max,
                           m->config.n_vocab);
        }
    }
    m->embed_scale = model_has(&m->config, FEATURE_SCALED_EMBEDDINGS) ? embed_scale(&m->config) : 1.0f;
    int rc = experts_init(m, err);
    if (rc < 0) {
        return rc;
    }
    rc = upload_frequencies(m, &m->config.rope, m->act.inv_freq, &m->rope_attn_scale, err);
    if (rc == 0 && model_has(&m->config, FEATURE_WINDOW_ROPE)) {
        const struct rope_config *rope = &m->config.window_rope;
        rc = upload_frequencies(m, rope, m->act.window_inv_freq, &m->window_rope_attn_scale, err);
    }
    return rc;
}

void activations_deinit(struct model *m)
{
    struct buffer list[N_BUFFERS];
    list_buffers(&m->act, &m->config, 0, 0, list);
    for (size_t i = 0; i < N_BUFFERS; i++) {
        if (*list[i].ptr) {
            m->backend->ops->free(m->backend, *list[i].ptr);
        }
    }
    free(m->host_logits);
    experts_deinit(m);
}

// ---- step ----------------------------------------------------------------------------------------------------------

// y (+)= norm(x)
static void norm(struct model *m, const float *x, const float *weight, float *y, size_t n_rows, bool accumulate)
{
    const struct op_rms_norm op = { .x = x,
                                    .weight = weight,
                                    .y = y,
                                    .n_rows = n_rows,
                                    .dim = m->config.n_embd,
                                    .eps = m->config.rms_eps,
                                    .accumulate = accumulate };
    m->backend->ops->rms_norm(m->backend, &op);
}

void model_linear(struct model *m, const struct weight_matrix *w, const float *bias, const float *x, size_t n_in,
                  float *y, size_t n_out, size_t n_rows, bool accumulate)
{
    for (uint32_t i = 0, first = 0; i < w->n_pieces; first += w->n_rows[i++]) {
        const struct op_linear op = { .w = w->pieces[i],
                                      .bias = bias ? bias + first : NULL,
                                      .x = x,
                                      .y = y + first,
                                      .x_stride = n_in,
                                      .y_stride = n_out,
                                      .n_rows = n_rows,
                                      .accumulate = accumulate,
                                      .next = i + 1 < w->n_pieces ? w->pieces[i + 1] : w->next };
        m->backend->ops->linear(m->backend, &op);
    }
}

// Norms of `n_heads` heads of each row of qkv from head `first` on, in place.
static void norm_heads(struct model *m, const float *weight, size_t first, size_t n_heads, size_t n_rows)
{
    const struct model_config *c = &m->config;
    float *heads = m->act.qkv + first * c->head_dim;
    const struct op_rms_norm op = { .x = heads,
                                    .weight = weight,
                                    .y = heads,
                                    .n_rows = n_rows * n_heads,
                                    .dim = c->head_dim,
                                    .group = n_heads,
                                    .stride = ((size_t)c->n_heads + 2 * c->n_kv_heads) * c->head_dim,
                                    .eps = c->rms_eps };
    m->backend->ops->rms_norm(m->backend, &op);
}

static void attend(struct model *m, const struct step *step, size_t layer)
{
    const struct model_config *c = &m->config;
    const struct layer_weights *w = &m->weights.layers[layer];
    bool has_norms = model_has(c, FEATURE_QK_NORM), is_norm_with_rope = has_norms && m->backend->ops->has_head_norms;
    if (has_norms && !is_norm_with_rope) {
        norm_heads(m, w->q_norm, 0, c->n_heads, step->map.n_rows);
        norm_heads(m, w->k_norm, c->n_heads, c->n_kv_heads, step->map.n_rows);
    }
    bool is_windowed = c->layers[layer] & LAYER_WINDOWED;
    bool has_own_rope = is_windowed && model_has(c, FEATURE_WINDOW_ROPE);
    size_t n_dims = has_own_rope ? c->window_rope.n_dims : c->rope.n_dims;
    const struct op_rope_kv rope = { .qkv = m->act.qkv,
                                     .inv_freq = has_own_rope ? m->act.window_inv_freq : m->act.inv_freq,
                                     .n_dims = c->layers[layer] & LAYER_NOPE ? 0 : n_dims,
                                     .attn_scale = has_own_rope ? m->window_rope_attn_scale : m->rope_attn_scale,
                                     .q_norm = is_norm_with_rope ? w->q_norm : NULL,
                                     .k_norm = is_norm_with_rope ? w->k_norm : NULL,
                                     .norm_eps = c->rms_eps,
                                     .n_heads = c->n_heads,
                                     .kv = &m->kv,
                                     .pool = step->kv_pool,
                                     .layer = layer,
                                     .map = &step->map };
    m->backend->ops->rope_kv(m->backend, &rope);
    const struct op_attention attention = { .qkv = m->act.qkv,
                                            .out = m->act.attn,
                                            .scale = c->attn_scale,
                                            .softcap = c->attn_softcap,
                                            .sinks = w->sinks,
                                            .window = is_windowed ? c->window : 0,
                                            .n_heads = c->n_heads,
                                            .kv = &m->kv,
                                            .pool = step->kv_pool,
                                            .layer = layer,
                                            .map = &step->map };
    m->backend->ops->attention(m->backend, &attention);
}

// x += w y + bias, or with a norm: x += norm(w y + bias). `normed` is free by then.
static void add_projection(struct model *m, const struct weight_matrix *w, const float *bias, const float *post_norm,
                           const float *y, size_t n_in, size_t n_rows)
{
    const struct activations *a = &m->act;
    if (!post_norm) {
        model_linear(m, w, bias, y, n_in, a->x, m->config.n_embd, n_rows, true);
        return;
    }
    model_linear(m, w, bias, y, n_in, a->normed, m->config.n_embd, n_rows, false);
    norm(m, a->normed, post_norm, a->x, n_rows, true);
}

// act = glu(gate_up normed), in one operation where the backend has it
static void gated_unit(struct model *m, const struct layer_weights *w, size_t n_rows)
{
    const struct model_config *c = &m->config;
    const struct activations *a = &m->act;
    const struct backend_ops *ops = m->backend->ops;
    const struct op_linear both = { .w = w->gate_up.pieces[0],
                                    .bias = w->gate_up_bias,
                                    .x = a->normed,
                                    .y = a->act,
                                    .x_stride = c->n_embd,
                                    .y_stride = c->n_ff,
                                    .n_rows = n_rows };
    if (ops->linear_glu && w->gate_up.n_pieces == 1 && ops->linear_glu(m->backend, &both, c->activation)) {
        return;
    }
    model_linear(m, &w->gate_up, w->gate_up_bias, a->normed, c->n_embd, a->gate_up, 2 * (size_t)c->n_ff, n_rows, false);
    const struct op_glu glu = { .x = a->gate_up, .y = a->act, .n_rows = n_rows, .dim = c->n_ff, .kind = c->activation };
    ops->glu(m->backend, &glu);
}

static void run_layer(struct model *m, const struct step *step, size_t layer)
{
    const struct model_config *c = &m->config;
    const struct layer_weights *w = &m->weights.layers[layer];
    const struct activations *a = &m->act;
    size_t n_rows = step->map.n_rows, n_q = (size_t)c->n_heads * c->head_dim;
    size_t n_qkv = n_q + 2 * (size_t)c->n_kv_heads * c->head_dim;

    norm(m, a->x, w->attn_norm, a->normed, n_rows, false);
    model_linear(m, &w->qkv, w->qkv_bias, a->normed, c->n_embd, a->qkv, n_qkv, n_rows, false);
    attend(m, step, layer);
    add_projection(m, &w->o, w->o_bias, w->attn_post_norm, a->attn, n_q, n_rows);

    norm(m, a->x, w->mlp_norm, a->normed, n_rows, false);
    if (c->layers[layer] & LAYER_EXPERTS) {
        experts_run(m, layer, &step->map);
        return;
    }
    gated_unit(m, w, n_rows);
    add_projection(m, &w->down, w->down_bias, w->mlp_post_norm, a->act, c->n_ff, n_rows);
}

// Logits of rows of x, on the device. `maxima`: NULL, or where those of the product go.
static void run_head(struct model *m, const uint32_t *rows, size_t n_rows, float *maxima)
{
    assert(n_rows > 0 && n_rows <= m->logit_rows_max);
    const struct backend_ops *ops = m->backend->ops;
    const struct activations *a = &m->act;
    size_t n_embd = m->config.n_embd, n_vocab = m->config.n_vocab;
    const struct op_gather gather = { .x = a->x, .rows = rows, .y = a->last, .n_rows = n_rows, .dim = n_embd };
    ops->gather(m->backend, &gather);
    norm(m, a->last, m->weights.final_norm, a->last, n_rows, false);
    const struct op_linear linear = { .w = m->weights.lm_head.pieces[0],
                                      .x = a->last,
                                      .y = a->logits,
                                      .maxima = maxima,
                                      .x_stride = n_embd,
                                      .y_stride = n_vocab,
                                      .n_rows = n_rows,
                                      .next = m->weights.lm_head.next };
    ops->linear(m->backend, &linear);
    if (m->config.logit_softcap > 0) {
        const struct op_softcap softcap = { .x = a->logits, .n = n_rows * n_vocab, .cap = m->config.logit_softcap };
        ops->softcap(m->backend, &softcap);
    }
}

// Maxima are of what the product gives: a soft cap and a copy to the host leave them behind.
struct logits model_logits(struct model *m, const uint32_t *rows, size_t n_rows)
{
    const struct backend_ops *ops = m->backend->ops;
    const struct activations *a = &m->act;
    float *maxima = ops->has_host_memory && m->config.logit_softcap <= 0 ? a->maxima : NULL;
    run_head(m, rows, n_rows, maxima);
    if (ops->has_host_memory) {
        ops->sync(m->backend);
        return (struct logits){ a->logits, maxima };
    }
    ops->download(m->backend, m->host_logits, a->logits, n_rows * m->config.n_vocab * sizeof(float));
    return (struct logits){ .rows = m->host_logits };
}

bool model_can_draw(const struct model *m)
{
    return m->backend->ops->sample != NULL;
}

struct sample_results model_drawn(struct model *m, unsigned turn)
{
    return m->backend->ops->drawn(m->backend, turn);
}

int model_failure(struct model *m, struct err *err)
{
    return m->backend->ops->failure ? m->backend->ops->failure(m->backend, err) : 0;
}

static void run_layers(struct model *m, const struct step *step)
{
    const struct op_embed embed = { .table = m->weights.embed.pieces[0],
                                    .token_ids = step->token_ids,
                                    .y = m->act.x,
                                    .n_rows = step->map.n_rows,
                                    .scale = m->embed_scale };
    m->backend->ops->embed(m->backend, &embed);
    for (size_t layer = 0; layer < m->config.n_layers; layer++) {
        run_layer(m, step, layer);
    }
}

void model_draw(struct model *m, const struct sample_row *rows, size_t n_rows, unsigned turn)
{
    const struct op_sample sample = {
        .logits = m->act.logits, .rows = rows, .n_rows = n_rows, .n_vocab = m->config.n_vocab, .turn = turn
    };
    m->backend->ops->sample(m->backend, &sample);
}

struct issue {
    struct model *model;
    struct step step;
};

static void issue(void *ctx, size_t n_rows, size_t n_logit_rows)
{
    const struct issue *given = ctx;
    struct step step = given->step;
    step.map.n_rows = n_rows;
    step.n_logit_rows = n_logit_rows;
    run_layers(given->model, &step);
    if (n_logit_rows > 0) {
        run_head(given->model, step.logit_rows, n_logit_rows, NULL);
    }
    if (n_logit_rows > 0 && step.draws) {
        model_draw(given->model, step.draws, n_logit_rows, step.turn);
    }
}

static void list_windows(const struct model_config *c, struct op_step *op)
{
    bool has[2] = { false, false };
    for (size_t i = 0; i < c->n_layers; i++) {
        bool is_windowed = c->layers[i] & LAYER_WINDOWED;
        if (!has[is_windowed]) {
            has[is_windowed] = true;
            op->windows[op->n_windows++] = is_windowed ? c->window : 0;
        }
    }
}

// All of the step but logits for the host. has_head: others are wanted on the device.
static void run(struct model *m, const struct step *step, bool has_head)
{
    const struct model_config *c = &m->config;
    struct issue given = { m, *step };
    struct op_step op = { .model = m,
                          .token_ids = step->token_ids,
                          .map = step->map,
                          .logit_rows = has_head ? step->logit_rows : NULL,
                          .n_logit_rows = has_head ? step->n_logit_rows : 0,
                          .draws = has_head ? step->draws : NULL,
                          .n_vocab = c->n_vocab,
                          .turn = step->turn,
                          .kv = &m->kv,
                          .n_heads = c->n_heads,
                          .n_rows_max = m->batch_rows_max,
                          .n_logit_rows_max = m->logit_rows_max };
    if (!m->backend->ops->step) {
        issue(&given, op.map.n_rows, op.n_logit_rows);
        return;
    }
    list_windows(c, &op);
    m->backend->ops->step(m->backend, &op, issue, &given);
}

struct logits model_step(struct model *m, const struct step *step)
{
    assert(step->map.n_rows > 0 && step->map.n_rows <= m->batch_rows_max);
    assert(step->n_logit_rows <= m->logit_rows_max);
    bool has_head = (step->draws || step->is_drawn_later) && step->n_logit_rows > 0;
    run(m, step, has_head);
    if (step->n_logit_rows > 0 && !has_head) {
        return model_logits(m, step->logit_rows, step->n_logit_rows);
    }
    if (!m->backend->ops->step) {
        m->backend->ops->sync(m->backend); // the batch map is the caller's again
    }
    return (struct logits){ 0 };
}
