// Splits products over the workers, by tiles of outputs; linear_body.h does the work.
//
// Rows are packed first, so that the kernel reads them as one stream in the form that it multiplies; more than
// LINEAR_ROWS_MAX take several passes over the weights, which at 512 rows are far from the bottleneck.
#include "kernels/cpu/cpu_backend.h"

#include <assert.h>

// A worker takes this much of the weights at a time: long enough to stream, short enough to share out evenly.
#define CHUNK_BYTES ((size_t)128 << 10)
// Products smaller than this many weight bytes times rows are not worth waking anyone for.
#define INLINE_BYTES ((size_t)64 << 10)
// Packed rows up to this size stay in a core's L2 while it streams weights past them.
#define RESIDENT_BYTES ((size_t)512 << 10)
// Inputs that one worker packs at a time.
#define PACK_FLOATS ((size_t)16384)

struct linear_run {
    struct linear_job job;
    const struct cpu_backend *cpu;
    size_t tiles_together;
};

static void pack_rows(void *ctx, size_t begin, size_t end, size_t worker)
{
    (void)worker;
    const struct linear_run *run = ctx;
    (dtype_is_plain(run->job.w->dtype) ? run->cpu->kernels->linear_pack : run->cpu->kernels->quant_pack)(&run->job,
                                                                                                         begin, end);
}

static void run_tiles(void *ctx, size_t begin, size_t end, size_t worker)
{
    const struct linear_run *run = ctx;
    const struct cpu_kernels *kernels = run->cpu->kernels;
    if (dtype_is_plain(run->job.w->dtype)) {
        kernels->linear_tiles(&run->job, begin, end, run->tiles_together);
    } else {
        kernels->quant_tiles(&run->job, begin, end, run->tiles_together, &run->cpu->quant_panels[worker]);
    }
    if (run->job.maxima != NULL) {
        kernels->linear_maxima(&run->job, begin, end);
    }
}

static size_t chunk_tiles(const struct cpu_backend *cpu, const struct matrix *m, size_t n_rows, size_t tiles_together)
{
    if (m->bytes < INLINE_BYTES / n_rows) {
        return m->n_tiles;
    }
    size_t even = (m->n_tiles + 4 * cpu->n_threads - 1) / (4 * cpu->n_threads);
    size_t stream = CHUNK_BYTES / m->tile_bytes > tiles_together ? CHUNK_BYTES / m->tile_bytes : tiles_together;
    return stream < even ? stream : even;
}

// Where few rows wait for weights, those of the next product are asked for early.
static struct pool_ahead weights_ahead(const struct cpu_backend *cpu, const struct linear_run *run,
                                       const struct matrix *next)
{
    if (next == NULL || run->job.n_blocks > 1) {
        return (struct pool_ahead){ 0 };
    }
    size_t n = chunk_tiles(cpu, next, run->job.n_rows, 1);
    return (struct pool_ahead){ next->data, (next->n_tiles - 1) / n + 1, n * next->tile_bytes };
}

static void linear_pass(struct cpu_backend *cpu, struct linear_run *run, const struct matrix *next)
{
    struct linear_job *job = &run->job;
    size_t block_rows = dtype_is_plain(job->w->dtype) ? cpu->kernels->linear_rows : cpu->kernels->quant_rows;
    job->n_blocks = (job->n_rows + block_rows - 1) / block_rows;
    job->packed = cpu->packed;
    run->tiles_together = job->n_rows * job->w->n_in * sizeof(float) <= RESIDENT_BYTES ? 1 : LINEAR_TILES_TOGETHER;
    pool_run(cpu->pool, job->n_rows, PACK_FLOATS / job->w->n_in + 1, pack_rows, run);
    size_t chunk = chunk_tiles(cpu, job->w, job->n_rows, run->tiles_together);
    pool_run_ahead(cpu->pool, job->w->n_tiles, chunk, run_tiles, run, weights_ahead(cpu, run, next));
}

void cpu_linear(struct backend *b, const struct op_linear *op)
{
    struct cpu_backend *cpu = cpu_backend_of(b);
    assert(op->n_rows == 0 || (op->x_stride >= op->w->n_in && op->y_stride >= op->w->n_out) || op->n_rows == 1);
    static_assert(MAXIMA_OUTPUTS == LINEAR_TILE, "a tile has one maximum");
    for (size_t row = 0; row < op->n_rows; row += LINEAR_ROWS_MAX) {
        struct linear_run run = {
            .cpu = cpu,
            .job = { .w = op->w,
                     .bias = op->bias,
                     .x = op->x + row * op->x_stride,
                     .y = op->y + row * op->y_stride,
                     .maxima = op->maxima != NULL ? op->maxima + row * op->w->n_tiles : NULL,
                     .x_stride = op->x_stride,
                     .y_stride = op->y_stride,
                     .n_rows = op->n_rows - row < LINEAR_ROWS_MAX ? op->n_rows - row : LINEAR_ROWS_MAX,
                     .accumulate = op->accumulate },
        };
        linear_pass(cpu, &run, op->next);
    }
}
