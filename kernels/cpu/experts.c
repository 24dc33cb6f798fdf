// Mixtures of experts: which experts a row goes to, and the sum of what they give. The products between are op_linear.
//
// Routing is a few hundred numbers per row and runs on the calling thread, in double precision.
#include "kernels/cpu/cpu_backend.h"

#include <assert.h>
#include <math.h>

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

static void route_row(const struct op_route *op, const float *logits, uint32_t *experts, float *weights)
{
    choose(logits, op->n_experts, op->n_used, experts);
    double max = (double)logits[experts[0]], sum = 0;
    for (size_t i = 0; !op->is_normalized && i < op->n_experts; i++) {
        sum += exp((double)logits[i] - max);
    }
    for (size_t i = 0; op->is_normalized && i < op->n_used; i++) {
        sum += exp((double)logits[experts[i]] - max);
    }
    for (size_t i = 0; i < op->n_used; i++) {
        weights[i] = (float)(exp((double)logits[experts[i]] - max) / sum);
    }
}

void cpu_route(struct backend *b, const struct op_route *op)
{
    (void)b;
    assert(op->n_used > 0 && op->n_used <= op->n_experts);
    for (size_t row = 0; row < op->n_rows; row++) {
        route_row(op, op->logits + row * op->n_experts, op->experts + row * op->n_used, op->weights + row * op->n_used);
    }
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
    assert(op->dim > 0 && op->n_used > 0);
    struct run run = { .kernels = cpu->kernels, .op = op };
    size_t row_floats = op->dim * op->n_used;
    size_t chunk_rows = row_floats < CHUNK_FLOATS ? CHUNK_FLOATS / row_floats : 1;
    pool_run(cpu->pool, op->n_rows, chunk_rows, run_combine, &run);
}
