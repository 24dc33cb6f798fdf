// Rows are sorted by expert, each expert computes its rows together, and each row adds up what its experts gave, in the
// order of their weights: a row's result depends on that row alone, however the batch falls to the experts.
//
// The backend tells the routes to the host, which is where the products are issued from; only experts that have rows
// read their weights.
#include "engine/model/experts.h"
#include "engine/model/transformer.h"
#include <errno.h>
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
    if (!p->experts || !p->weights || !p->slots || !p->rows || !p->first) {
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

void experts_run(struct model *m, size_t layer, size_t n_rows)
{
    const struct model_config *c = &m->config;
    const struct layer_weights *w = &m->weights.layers[layer];
    const struct activations *a = &m->act;
    const struct backend_ops *ops = m->backend->ops;
    const struct expert_plan *p = &m->plan;
    size_t n_slots = n_rows * c->n_experts_used, n_embd = c->n_embd, n_ff = c->n_ff_expert;

    route(m, w, n_rows);
    const struct op_gather gather = {
        .x = a->normed, .rows = p->rows, .y = a->slots, .n_rows = n_slots, .dim = n_embd
    };
    ops->gather(m->backend, &gather);
    for (size_t e = 0; e < c->n_experts; e++) {
        size_t first = p->first[e], n = p->first[e + 1] - first;
        if (n > 0) {
            model_linear(m, &w->experts[e].gate_up, w->experts[e].gate_up_bias, a->slots + first * n_embd, n_embd,
                         a->gate_up + first * 2 * n_ff, 2 * n_ff, n, false);
        }
    }
    const struct op_glu glu = { .x = a->gate_up, .y = a->act, .n_rows = n_slots, .dim = n_ff, .kind = c->activation };
    ops->glu(m->backend, &glu);
    for (size_t e = 0; e < c->n_experts; e++) {
        size_t first = p->first[e], n = p->first[e + 1] - first;
        if (n > 0) {
            model_linear(m, &w->experts[e].down, w->experts[e].down_bias, a->act + first * n_ff, n_ff,
                         a->slots + first * n_embd, n_embd, n, false);
        }
    }
    const struct op_combine combine = { .x = a->slots,
                                        .rows = p->slots,
                                        .weights = p->weights,
                                        .y = a->x,
                                        .n_rows = n_rows,
                                        .n_used = c->n_experts_used,
                                        .dim = n_embd };
    ops->combine(m->backend, &combine);
}
