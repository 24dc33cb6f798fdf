// Only steps whose every row is drawn from: one token of each sequence, or with its guesses. They come by the thousand
// and are short, so that launches would take longer than what they launch.
//
// A shape is issued plainly when it is seen first, recorded when it is seen again, and repeated from then on: what a
// first issue does beside launching (kernels are loaded, buffers grow, the library of products chooses) must not be
// done while recording. Where recording fails, nothing is recorded any more.
#include "kernels/cuda/graphs.h"

#include "engine/base/log.h"
#include <errno.h>
#include <string.h>

#define ROWS_MAX 512 // beyond, launches are not what takes time

// 1, 2, 3, 4, 6, 8, 12, 16, 24 ...: a third more rows than there are at most. No kernel for few rows ends between them.
size_t graphs_n_rows(const struct graphs *graphs, const struct op_step *op)
{
    size_t n = op->map.n_rows, padded = 1;
    if (graphs->is_off || !op->logit_rows || op->n_logit_rows != n || n > ROWS_MAX) {
        return 0;
    }
    while (padded < n) {
        padded *= 2;
    }
    padded = padded >= 4 && padded / 4 * 3 >= n ? padded / 4 * 3 : padded;
    padded = padded < op->n_rows_max ? padded : op->n_rows_max;
    return padded < op->n_logit_rows_max ? padded : op->n_logit_rows_max;
}

static struct graph_shape shape_of(const struct op_step *op, const struct step_block *block)
{
    struct graph_shape shape = { .model = op->model, .n_rows = block->map.n_rows, .is_drawn = op->draws != NULL };
    for (size_t i = 0; i < block->n_windows; i++) {
        const struct step_window *w = &block->windows[i];
        const size_t n_work[4] = { w->prefill.n_work, w->shared.n_work, w->decode.n_work, w->decode.n_merges };
        memcpy(shape.n_work[i], n_work, sizeof(n_work));
    }
    return shape;
}

static void drop(struct graphs *graphs, struct recorded *r)
{
    if (r->graph) {
        gpu_sync(graphs->gpu, NULL); // it may be running
        gpu_graph_free(graphs->gpu, r->graph);
    }
    *r = graphs->all[--graphs->n];
}

void graphs_forget(struct graphs *graphs)
{
    while (graphs->n > 0) {
        drop(graphs, &graphs->all[graphs->n - 1]);
    }
}

// Makes room by dropping the one that was not used for the longest time.
static struct recorded *add(struct graphs *graphs, const struct graph_shape *shape)
{
    if (graphs->n == GRAPHS_MAX) {
        struct recorded *oldest = graphs->all;
        for (size_t i = 1; i < graphs->n; i++) {
            oldest = graphs->all[i].last_use < oldest->last_use ? &graphs->all[i] : oldest;
        }
        drop(graphs, oldest);
    }
    struct recorded *r = &graphs->all[graphs->n++];
    *r = (struct recorded){ .shape = *shape };
    return r;
}

static struct recorded *find(struct graphs *graphs, const struct graph_shape *shape)
{
    for (size_t i = 0; i < graphs->n; i++) {
        if (memcmp(&graphs->all[i].shape, shape, sizeof(*shape)) == 0) { // of words: no holes
            return &graphs->all[i];
        }
    }
    return NULL;
}

static int record_once(struct graphs *graphs, struct recorded *r, step_fn *issue, void *ctx, struct err *err)
{
    int rc = gpu_record_begin(graphs->gpu, err);
    if (rc == 0) {
        issue(ctx, r->shape.n_rows, r->shape.n_rows);
        rc = gpu_record_end(graphs->gpu, &r->graph, err);
    }
    return rc;
}

static void record(struct graphs *graphs, struct recorded *r, step_fn *issue, void *ctx)
{
    struct err err = { 0 };
    int rc = record_once(graphs, r, issue, ctx, &err);
    if (rc == -EAGAIN) {
        log_warn("cuda: steps cannot be recorded with kernels that begin early: %s", err.msg);
        rc = record_once(graphs, r, issue, ctx, &err);
    }
    if (rc < 0) {
        log_warn("cuda: steps cannot be recorded, and are launched kernel by kernel: %s", err.msg);
        graphs->is_off = true;
    }
}

void graphs_run(struct graphs *graphs, const struct op_step *op, const struct step_block *block, step_fn *issue,
                void *ctx)
{
    struct graph_shape shape = shape_of(op, block);
    struct recorded *r = find(graphs, &shape);
    if (!r) {
        r = add(graphs, &shape);
    } else if (!r->graph && !graphs->is_off) {
        record(graphs, r, issue, ctx);
    }
    r->last_use = ++graphs->now;
    if (r->graph) {
        gpu_graph_launch(graphs->gpu, r->graph);
    } else {
        issue(ctx, shape.n_rows, shape.n_rows);
    }
}
