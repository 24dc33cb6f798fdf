// Rows are sorted by expert, each expert computes its rows together, and each row adds up what its experts gave, in the
// order of their weights: a row's result depends on that row alone, however the batch falls to the experts.
//
// Where the backend has the weights of all experts in tables (`tables`), nothing here depends on what was routed where,
// and the host never knows. Else the host reads the routes and issues a product for each expert that has rows.
#include "engine/model/experts.h"
#include "engine/model/transformer.h"
#include "kernels/routes.h"
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

// What an expert does with its slots: first the one, then the other.
struct expert_product {
    size_t weight, bias, table; // offsets: weight_matrix and float * in expert_weights, expert_pieces in layer_experts
    size_t n_in, n_out;
};

static struct expert_product gate_up_of(const struct model_config *c)
{
    return (struct expert_product){ offsetof(struct expert_weights, gate_up),
                                    offsetof(struct expert_weights, gate_up_bias),
                                    offsetof(struct layer_experts, gate_up), c->n_embd, 2 * (size_t)c->n_ff_expert };
}

static struct expert_product down_of(const struct model_config *c)
{
    return (struct expert_product){ offsetof(struct expert_weights, down), offsetof(struct expert_weights, down_bias),
                                    offsetof(struct layer_experts, down), c->n_ff_expert, c->n_embd };
}

static const struct weight_matrix *weight_of(const struct expert_weights *w, const struct expert_product *product)
{
    return (const struct weight_matrix *)((const char *)w + product->weight);
}

static const float *bias_of(const struct expert_weights *w, const struct expert_product *product)
{
    return *(float *const *)((const char *)w + product->bias);
}

static struct expert_pieces *pieces_of(struct layer_experts *tables, const struct expert_product *product)
{
    return (struct expert_pieces *)((char *)tables + product->table);
}

// ---- tables --------------------------------------------------------------------------------------------------------

// Where an expert's weights have a piece that gives outputs from `first` on, of this type and so many rows: its number.
static int find_piece(const struct weight_matrix *w, uint32_t first, uint32_t n_rows, enum dtype dtype)
{
    for (uint32_t i = 0, at = 0; i < w->n_pieces; at += w->n_rows[i++]) {
        if (at == first && w->n_rows[i] == n_rows && w->dtypes[i] == dtype) {
            return (int)i;
        }
    }
    return -1;
}

// A piece of one expert's weights, which gives outputs from `first` on.
struct placed_piece {
    const struct expert_product *product;
    const struct expert_weights *experts;
    const struct weight_matrix *of;
    uint32_t piece, first;
};

// A table of what lies where this piece does, unless an expert before its own has the like.
static int add_table(struct model *m, const struct placed_piece *like, struct expert_pieces *ret)
{
    const struct model_config *c = &m->config;
    const struct matrix *w[MODEL_EXPERTS_MAX];
    const float *biases[MODEL_EXPERTS_MAX];
    for (uint32_t e = 0; e < c->n_experts; e++) {
        const struct weight_matrix *own = weight_of(&like->experts[e], like->product);
        const float *bias = bias_of(&like->experts[e], like->product);
        int i = find_piece(own, like->first, like->of->n_rows[like->piece], like->of->dtypes[like->piece]);
        if (i >= 0 && own < like->of) {
            return 0;
        }
        w[e] = i >= 0 ? own->pieces[i] : NULL;
        biases[e] = bias ? bias + like->first : NULL;
    }
    struct expert_piece *list = realloc(ret->list, (ret->n + 1) * sizeof(*list));
    if (!list) {
        return -ENOMEM;
    }
    ret->list = list;
    list[ret->n].first = like->first;
    list[ret->n].w = m->backend->ops->expert_matrices_new(m->backend, w, biases, c->n_experts,
                                                          m->batch_rows_max * c->n_experts_used);
    if (!list[ret->n].w) {
        return -ENOMEM;
    }
    ret->n++;
    return 0;
}

static int make_tables(struct model *m, size_t layer, const struct expert_product *product)
{
    const struct expert_weights *experts = m->weights.layers[layer].experts;
    int rc = 0;
    for (uint32_t e = 0; e < m->config.n_experts; e++) {
        struct placed_piece p = { .product = product, .experts = experts, .of = weight_of(&experts[e], product) };
        for (; rc == 0 && p.piece < p.of->n_pieces; p.first += p.of->n_rows[p.piece++]) {
            rc = add_table(m, &p, pieces_of(&m->experts[layer], product));
        }
    }
    return rc;
}

int experts_init(struct model *m, struct err *err)
{
    const struct model_config *c = &m->config;
    const struct expert_product products[] = { gate_up_of(c), down_of(c) };
    int rc = 0;
    if (c->n_experts == 0 || !m->backend->ops->expert_matrices_new) {
        return 0;
    }
    m->experts = calloc(c->n_layers, sizeof(*m->experts));
    if (!m->experts) {
        return err_set(err, -ENOMEM, "no memory for tables of %zu layers' experts", (size_t)c->n_layers);
    }
    for (size_t i = 0; rc == 0 && i < 2 * (size_t)c->n_layers; i++) {
        rc = c->layers[i / 2] & LAYER_EXPERTS ? make_tables(m, i / 2, &products[i % 2]) : 0;
    }
    return rc < 0 ? err_set(err, rc, "no memory for tables of experts, and their inputs in steps of %zu rows",
                            m->batch_rows_max)
                  : 0;
}

static void free_tables(struct model *m, struct expert_pieces *pieces)
{
    for (size_t i = 0; i < pieces->n; i++) {
        m->backend->ops->expert_matrices_free(m->backend, pieces->list[i].w);
    }
    free(pieces->list);
}

void experts_deinit(struct model *m)
{
    for (size_t layer = 0; m->experts && layer < m->config.n_layers; layer++) {
        free_tables(m, &m->experts[layer].gate_up);
        free_tables(m, &m->experts[layer].down);
    }
    free(m->experts);
}

// ---- running -------------------------------------------------------------------------------------------------------

// y [n_slots][n_out] = x [n_slots][n_in] by the weights of each slot's expert
static void multiply(struct model *m, size_t layer, const struct expert_product *product, const struct routes *routes,
                     const float *x, float *y)
{
    const struct expert_weights *experts = m->weights.layers[layer].experts;
    const struct backend_ops *ops = m->backend->ops;
    for (size_t i = 0; m->experts && i < pieces_of(&m->experts[layer], product)->n; i++) {
        const struct expert_piece *piece = &pieces_of(&m->experts[layer], product)->list[i];
        const struct op_linear_experts op = { .w = piece->w,
                                              .routes = routes,
                                              .x = x,
                                              .y = y + piece->first,
                                              .x_stride = product->n_in,
                                              .y_stride = product->n_out };
        ops->linear_experts(m->backend, &op);
    }
    for (size_t e = 0; !m->experts && e < m->config.n_experts; e++) {
        size_t first = routes->first[e], n = routes->first[e + 1] - first;
        if (n > 0) {
            model_linear(m, weight_of(&experts[e], product), bias_of(&experts[e], product), x + first * product->n_in,
                         product->n_in, y + first * product->n_out, product->n_out, n, false);
        }
    }
}

void experts_run(struct model *m, size_t layer, const struct batch_map *map)
{
    const struct model_config *c = &m->config;
    const struct layer_weights *w = &m->weights.layers[layer];
    const struct activations *a = &m->act;
    const struct backend_ops *ops = m->backend->ops;
    const struct expert_product gate_up = gate_up_of(c), down = down_of(c);
    const struct routes routes = routes_in(a->routes, map->n_rows, c->n_experts, c->n_experts_used);

    model_linear(m, &w->router, w->router_bias, a->normed, c->n_embd, a->router, c->n_experts, map->n_rows, false);
    const struct op_route route = {
        .logits = a->router, .routes = &routes, .map = map, .is_normalized = model_has(c, FEATURE_NORMED_TOPK)
    };
    ops->route(m->backend, &route);
    const struct op_dispatch dispatch = { .x = a->normed, .routes = &routes, .y = a->slots, .dim = c->n_embd };
    ops->dispatch(m->backend, &dispatch);
    multiply(m, layer, &gate_up, &routes, a->slots, a->gate_up);
    const struct op_glu glu = { .x = a->gate_up,
                                .y = a->act,
                                .n_rows = map->n_rows * c->n_experts_used,
                                .dim = c->n_ff_expert,
                                .kind = c->activation };
    ops->glu(m->backend, &glu);
    multiply(m, layer, &down, &routes, a->act, a->slots);
    const struct op_combine combine = { .x = a->slots, .routes = &routes, .y = a->x, .dim = c->n_embd };
    ops->combine(m->backend, &combine);
}
