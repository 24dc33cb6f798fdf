// Rows are sorted by expert, each expert computes its rows together, and each row adds up what its experts gave, in the
// order of their weights: a row's result depends on that row alone, however the batch falls to the experts.
//
// The backend tells the routes to the host, which is where the products are issued from; only experts that have rows
// read their weights.
#include "engine/model/experts.h"
#include "engine/model/transformer.h"
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int experts_init(struct model *m, struct err *err)
{
    const struct model_config *c = &m->config;
    size_t n_slots = m->batch_rows_max * c->n_experts_used;
    if (c->n_experts == 0) {
        return 0;
    }
    struct expert_plan *p = &m->plan;
    p->experts = malloc(n_slots * sizeof(*p->experts));
    p->weights = malloc(n_slots * sizeof(*p->weights));
    p->slots = malloc(n_slots * sizeof(*p->slots));
    p->rows = malloc(n_slots * sizeof(*p->rows));
    p->first = malloc((c->n_experts + 1) * sizeof(*p->first));
    p->parts = malloc(c->n_experts * sizeof(*p->parts));
    if (!p->experts || !p->weights || !p->slots || !p->rows || !p->first || !p->parts) {
        return err_set(err, -ENOMEM, "no memory to route %zu rows to experts", m->batch_rows_max);
    }
    return 0;
}

void experts_deinit(struct model *m)
{
    free(m->plan.experts);
    free(m->plan.weights);
    free(m->plan.slots);
    free(m->plan.rows);
    free(m->plan.first);
    free(m->plan.parts);
}

// Fills slots, rows and first from experts: a counting sort.
static void plan_slots(struct expert_plan *p, size_t n_rows, size_t n_used, size_t n_experts)
{
    memset(p->first, 0, (n_experts + 1) * sizeof(*p->first));
    for (size_t i = 0; i < n_rows * n_used; i++) {
        p->first[p->experts[i] + 1]++;
    }
    for (size_t e = 0; e < n_experts; e++) {
        p->first[e + 1] += p->first[e];
    }
    for (size_t i = 0; i < n_rows * n_used; i++) {
        p->slots[i] = p->first[p->experts[i]]++;
        p->rows[p->slots[i]] = (uint32_t)(i / n_used);
    }
    for (size_t e = n_experts; e > 0; e--) { // every border was moved to the next one
        p->first[e] = p->first[e - 1];
    }
    p->first[0] = 0;
}

static void route(struct model *m, const struct layer_weights *w, size_t n_rows)
{
    const struct model_config *c = &m->config;
    model_linear(m, &w->router, w->router_bias, m->act.normed, c->n_embd, m->act.routes, c->n_experts, n_rows, false);
    const struct op_route op = { .logits = m->act.routes,
                                 .experts = m->plan.experts,
                                 .weights = m->plan.weights,
                                 .n_rows = n_rows,
                                 .n_experts = c->n_experts,
                                 .n_used = c->n_experts_used,
                                 .is_normalized = model_has(c, FEATURE_NORMED_TOPK) };
    m->backend->ops->route(m->backend, &op);
    plan_slots(&m->plan, n_rows, c->n_experts_used, c->n_experts);
}

// What an expert does with its rows: first the one, then the other.
struct expert_product {
    size_t weight, bias; // offsets of a weight_matrix and a float * in expert_weights
    const float *x;      // [n_slots][n_in]
    float *y;            // [n_slots][n_out]
    size_t n_in, n_out;
};

static const struct weight_matrix *weight_of(const struct expert_weights *w, const struct expert_product *product)
{
    return (const struct weight_matrix *)((const char *)w + product->weight);
}

static const float *bias_of(const struct expert_weights *w, const struct expert_product *product)
{
    return *(float *const *)((const char *)w + product->bias);
}

// False: an expert's weights are more than one matrix.
static bool multiply_together(struct model *m, const struct expert_weights *experts,
                              const struct expert_product *product)
{
    const struct expert_plan *p = &m->plan;
    size_t n_parts = 0;
    for (size_t e = 0; e < m->config.n_experts; e++) {
        size_t first = p->first[e], n = p->first[e + 1] - first;
        const struct weight_matrix *w = weight_of(&experts[e], product);
        if (w->n_pieces != 1) {
            return false;
        }
        if (n > 0) {
            p->parts[n_parts++] = (struct linear_part){
                .w = w->pieces[0], .bias = bias_of(&experts[e], product), .row = first, .n_rows = n
            };
        }
    }
    const struct op_linear_group op = { .parts = p->parts,
                                        .n_parts = n_parts,
                                        .x = product->x,
                                        .y = product->y,
                                        .x_stride = product->n_in,
                                        .y_stride = product->n_out };
    m->backend->ops->linear_group(m->backend, &op);
    return true;
}

static void multiply(struct model *m, const struct expert_weights *experts, const struct expert_product *product)
{
    if (m->backend->ops->linear_group && multiply_together(m, experts, product)) {
        return;
    }
    for (size_t e = 0; e < m->config.n_experts; e++) {
        size_t first = m->plan.first[e], n = m->plan.first[e + 1] - first;
        if (n > 0) {
            model_linear(m, weight_of(&experts[e], product), bias_of(&experts[e], product),
                         product->x + first * product->n_in, product->n_in, product->y + first * product->n_out,
                         product->n_out, n, false);
        }
    }
}

void experts_run(struct model *m, size_t layer, size_t n_rows)
{
    const struct model_config *c = &m->config;
    const struct layer_weights *w = &m->weights.layers[layer];
    const struct activations *a = &m->act;
    const struct backend_ops *ops = m->backend->ops;
    const struct expert_plan *p = &m->plan;
    size_t n_slots = n_rows * c->n_experts_used, n_embd = c->n_embd, n_ff = c->n_ff_expert;
    const struct expert_product gate_up = { offsetof(struct expert_weights, gate_up),
                                            offsetof(struct expert_weights, gate_up_bias),
                                            a->slots,
                                            a->gate_up,
                                            n_embd,
                                            2 * n_ff };
    const struct expert_product down = { offsetof(struct expert_weights, down),
                                         offsetof(struct expert_weights, down_bias),
                                         a->act,
                                         a->slots,
                                         n_ff,
                                         n_embd };

    route(m, w, n_rows);
    const struct op_gather gather = {
        .x = a->normed, .rows = p->rows, .y = a->slots, .n_rows = n_slots, .dim = n_embd
    };
    ops->gather(m->backend, &gather);
    multiply(m, w->experts, &gate_up);
    const struct op_glu glu = { .x = a->gate_up, .y = a->act, .n_rows = n_slots, .dim = n_ff, .kind = c->activation };
    ops->glu(m->backend, &glu);
    multiply(m, w->experts, &down);
    const struct op_combine combine = { .x = a->slots,
                                        .rows = p->slots,
                                        .weights = p->weights,
                                        .y = a->x,
                                        .n_rows = n_rows,
                                        .n_used = c->n_experts_used,
                                        .dim = n_embd };
    ops->combine(m->backend, &combine);
}
