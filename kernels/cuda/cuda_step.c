// A step, and the operations that look at what it has brought: K and V, attention, draws.
#include "kernels/cuda/cuda_backend.h"

#include <assert.h>

static bool is_same_layout(const struct kv_layout *a, const struct kv_layout *b)
{
    return a->dtype == b->dtype && a->page_tokens == b->page_tokens && a->page_bytes == b->page_bytes &&
           a->n_layers == b->n_layers && a->n_kv_heads == b->n_kv_heads && a->head_dim == b->head_dim;
}

static bool make_hopper_map(struct cuda_backend *cuda, const struct kv_layout *kv, const void *pool)
{
    struct gpu_tensor tensor;
    cuda->hopper.layout = *kv;
    cuda->hopper.pool = pool;
    return gpu_attention_hopper_tensor(kv, pool, gpu_facts_of(cuda->gpu)->bytes, &tensor) &&
           gpu_tensor_map_make(cuda->gpu, &tensor, &cuda->hopper.map);
}

// Before the pool is known: any memory of the device will do to see whether there can be a map.
static bool uses_hopper(struct cuda_backend *cuda, const struct kv_layout *kv)
{
    if (cuda->has_hopper && !is_same_layout(&cuda->hopper.layout, kv)) {
        cuda->hopper.is_there = make_hopper_map(cuda, kv, cuda->partials);
    }
    return cuda->has_hopper && cuda->hopper.is_there;
}

// NULL: attention is by mma.sync.
static const struct gpu_tensor_map *hopper_map_of(struct cuda_backend *cuda, const struct op_attention *op)
{
    if (!uses_hopper(cuda, op->kv)) {
        return NULL;
    }
    bool is_made = cuda->hopper.pool == op->pool || make_hopper_map(cuda, op->kv, op->pool);
    assert(is_made);
    return &cuda->hopper.map;
}

// n_padded: see step_options.
static void bring(struct cuda_backend *cuda, const struct op_step *op, size_t n_padded)
{
    const struct step_options options = { .n_partials_bytes = PARTIALS_BYTES,
                                          .prefill_rows = uses_hopper(cuda, op->kv) ? ATTENTION_HOPPER_ROWS
                                                                                    : ATTENTION_PREFILL_ROWS,
                                          .n_padded_rows = n_padded,
                                          .is_deterministic = cuda->is_deterministic };
    size_t n_drawn = n_padded > op->n_logit_rows ? n_padded : op->n_logit_rows;
    // As many as there can be, with the first step: what a step ahead draws must not move what is being read.
    bool has_moved = draws_reserve(&cuda->draws, n_drawn > op->n_logit_rows_max ? n_drawn : op->n_logit_rows_max);
    if (step_bring(&cuda->step, op, &options) || has_moved) {
        graphs_forget(&cuda->graphs);
    }
}

void cuda_step(struct backend *b, const struct op_step *op, step_fn *issue, void *ctx)
{
    struct cuda_backend *cuda = cuda_of(b);
    size_t n_padded = graphs_n_rows(&cuda->graphs, op);
    bring(cuda, op, n_padded);
    if (n_padded > 0) {
        graphs_run(&cuda->graphs, op, &cuda->step, issue, ctx);
    } else {
        issue(ctx, op->map.n_rows, op->n_logit_rows);
    }
    if (op->draws) {
        draws_send(&cuda->draws, op->draws, op->n_logit_rows, op->turn);
    }
    step_forget(&cuda->step);
}

// ---- attention -----------------------------------------------------------------------------------------------------

// Outside of a step an operation brings its map itself.
static void bring_map(struct cuda_backend *cuda, const struct batch_map *map, const struct kv_layout *kv,
                      size_t n_heads, const size_t *window)
{
    const struct step_block *step = &cuda->step;
    if (step->seqs != map->seqs || (window && !step_window(step, *window))) {
        const struct op_step op = {
            .map = *map, .kv = kv, .n_heads = n_heads, .windows = { window ? *window : 0 }, .n_windows = window ? 1 : 0
        };
        bring(cuda, &op, 0);
    }
}

void cuda_rope_kv(struct backend *b, const struct op_rope_kv *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    if (op->map->n_rows > 0) {
        bring_map(cuda, op->map, op->kv, op->n_heads, NULL);
        gpu_rope_kv(queue_of(cuda), op, &cuda->step.map);
    }
}

void cuda_attention(struct backend *b, const struct op_attention *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    if (op->map->n_rows == 0) {
        return;
    }
    bring_map(cuda, op->map, op->kv, op->n_heads, &op->window);
    const struct step_window *window = step_window(&cuda->step, op->window);
    const struct gpu_attention_plan *plans[] = { &window->prefill, &window->shared, &window->decode };
    if (!gpu_attention_has_tiles(op)) {
        gpu_attention_rows(queue_of(cuda), op, &cuda->step.map);
        return;
    }
    const struct gpu_tensor_map *hopper = hopper_map_of(cuda, op);
    for (size_t i = 0; i < sizeof(plans) / sizeof(*plans); i++) {
        if (plans[i]->n_work > 0 && hopper && !plans[i]->is_decode) {
            gpu_attention_hopper(queue_of(cuda), op, &cuda->step.map, plans[i], hopper, cuda->partials);
        } else if (plans[i]->n_work > 0) {
            gpu_attention_tiles(queue_of(cuda), op, &cuda->step.map, plans[i], cuda->partials);
        }
    }
}

// ---- draws ---------------------------------------------------------------------------------------------------------

// Outside of a step: sends the rows, and their draws back.
static void sample_alone(struct cuda_backend *cuda, const struct op_sample *op, struct gpu_sample *args)
{
    if (draws_reserve(&cuda->draws, op->n_rows)) {
        graphs_forget(&cuda->graphs);
    }
    draws_bring(&cuda->draws, op->rows, op->n_rows, op->n_vocab, args);
    args->results = cuda->draws.results;
    args->tops = cuda->draws.tops;
    gpu_sample(queue_of(cuda), args);
    draws_send(&cuda->draws, op->rows, op->n_rows, op->turn);
}

void cuda_sample(struct backend *b, const struct op_sample *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    struct gpu_sample args = { .logits = op->logits,
                               .rows = cuda->step.device_draws,
                               .extra = cuda->step.device,
                               .results = cuda->draws.results,
                               .tops = cuda->draws.tops,
                               .n_rows = op->n_rows,
                               .n_vocab = op->n_vocab };
    if (op->n_rows == 0) {
        return;
    }
    if (op->rows == cuda->step.draws) {
        gpu_sample(queue_of(cuda), &args);
    } else {
        sample_alone(cuda, op, &args);
    }
}

struct sample_results cuda_drawn(struct backend *b, unsigned turn)
{
    return draws_wait(&cuda_of(b)->draws, turn);
}
