// Mixtures of experts: which experts a row goes to, and the sum of what they give. The products between are op_linear.
//
// Routing is a few hundred numbers per row and runs on the calling thread, in double precision.
#include "kernels/cpu/cpu_backend.h"

#include <assert.h>
#include <math.h>
#include <string.h>

// Floats that one worker takes at a time.
#define CHUNK_FLOATS ((size_t)8192)

// The n_used largest of n logits, largest first; of equal ones the one of lower index.
static void choose(const float *logits, size_t n, size_t n_used, uint32_t *experts)
{
    size_t n_chosen = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = n_chosen;
        while (at > 0 && logits[i] > logits[experts[at - 1]]) {
            at--;
        }
        if (at == n_used) {
            continue;
        }
        n_chosen += n_chosen < n_used;
        for (size_t j = n_chosen - 1; j > at; j--) {
            experts[j] = experts[j - 1];
        }
        experts[at] = (uint32_t)i;
    }
}

static void route_row(const struct op_route *op, size_t row)
{
    size_t n_experts = op->routes->n_experts, n_used = op->routes->n_used;
    const float *logits = op->logits + row * n_experts;
    uint32_t *experts = op->routes->experts + row * n_used;
    float *weights = op->routes->weights + row * n_used;
    choose(logits, n_experts, n_used, experts);
    double max = (double)logits[experts[0]], sum = 0;
    for (size_t i = 0; !op->is_normalized && i < n_experts; i++) {
        sum += exp((double)logits[i] - max);
    }
    for (size_t i = 0; op->is_normalized && i < n_used; i++) {
        sum += exp((double)logits[experts[i]] - max);
    }
    for (size_t i = 0; i < n_used; i++) {
        weights[i] = (float)(exp((double)logits[experts[i]] - max) / sum);
    }
}

// Slots, rows and first from experts: a counting sort.
static void plan_slots(const struct routes *r)
{
    size_t n = r->n_rows * r->n_used;
    memset(r->first, 0, (r->n_experts + 1) * sizeof(*r->first));
    for (size_t i = 0; i < n; i++) {
        r->first[r->experts[i] + 1]++;
    }
    for (size_t e = 0; e < r->n_experts; e++) {
        r->first[e + 1] += r->first[e];
    }
    for (size_t i = 0; i < n; i++) {
        r->slots[i] = r->first[r->experts[i]]++;
        r->rows[r->slots[i]] = (uint32_t)(i / r->n_used);
    }
    for (size_t e = r->n_experts; e > 0; e--) { // every border was moved to the next one
        r->first[e] = r->first[e - 1];
    }
    r->first[0] = 0;
}

void cpu_route(struct backend *b, const struct op_route *op)
{
    (void)b;
    assert(op->routes->n_used > 0 && op->routes->n_used <= op->routes->n_experts);
    for (size_t row = 0; row < op->routes->n_rows; row++) {
        route_row(op, row);
    }
    plan_slots(op->routes);
}

void cpu_dispatch(struct backend *b, const struct op_dispatch *op)
{
    const struct op_gather gather = { .x = op->x,
                                      .rows = op->routes->rows,
                                      .y = op->y,
                                      .n_rows = op->routes->n_rows * op->routes->n_used,
                                      .dim = op->dim };
    cpu_gather(b, &gather);
}

struct run {
    const struct cpu_kernels *kernels;
    const struct op_combine *op;
};

static void run_combine(void *ctx, size_t begin, size_t end, size_t worker)
{
    (void)worker;
    const struct run *run = ctx;
    run->kernels->combine(run->op, begin, end);
}

void cpu_combine(struct backend *b, const struct op_combine *op)
{
    struct cpu_backend *cpu = cpu_backend_of(b);
    assert(op->dim > 0 && op->routes->n_used > 0);
    struct run run = { .kernels = cpu->kernels, .op = op };
    size_t row_floats = op->dim * op->routes->n_used;
    size_t chunk_rows = row_floats < CHUNK_FLOATS ? CHUNK_FLOATS / row_floats : 1;
    pool_run(cpu->pool, op->routes->n_rows, chunk_rows, run_combine, &run);
}
