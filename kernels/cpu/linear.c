// Splits products over the workers, by tiles of outputs; linear_body.h does the work.
//
// More than LINEAR_DIRECT_ROWS rows are packed first ([k][row of block]), so that the kernel reads them as one stream;
// more than LINEAR_ROWS_MAX take several passes over the weights, which at 256 rows are far from the bottleneck.
#include "kernels/cpu/cpu_backend.h"

#include <assert.h>

// A worker takes this much of the weights at a time: long enough to stream, short enough to share out evenly.
#define CHUNK_BYTES ((size_t)128 << 10)
// Products smaller than this many weight bytes times rows are not worth waking anyone for.
#define INLINE_BYTES ((size_t)64 << 10)
// Packed rows up to this size stay in a core's L2 while it streams weights past them.
#define RESIDENT_BYTES ((size_t)512 << 10)
#define TILES_TOGETHER 4

struct linear_run {
    struct linear_job job;
    const struct cpu_kernels *kernels;
    size_t tiles_together;
};

static void pack_blocks(void *ctx, size_t begin, size_t end, size_t worker)
{
    (void)worker;
    const struct linear_job *job = &((const struct linear_run *)ctx)->job;
    size_t n_in = job->w->n_in;
    for (size_t block = begin; block < end; block++) {
        size_t first, n_rows = linear_block(job, block, &first);
        float *dst = job->packed + first * n_in;
        for (size_t r = 0; r < n_rows; r++) {
            const float *src = job->x + (first + r) * job->x_stride;
            for (size_t k = 0; k < n_in; k++) {
                dst[k * n_rows + r] = src[k];
            }
        }
    }
}

static void run_tiles(void *ctx, size_t begin, size_t end, size_t worker)
{
    (void)worker;
    const struct linear_run *run = ctx;
    run->kernels->linear_tiles(&run->job, begin, end, run->tiles_together);
    if (run->job.maxima != NULL) {
        run->kernels->linear_maxima(&run->job, begin, end);
    }
}

static size_t chunk_tiles(const struct cpu_backend *cpu, const struct linear_run *run)
{
    const struct matrix *m = run->job.w;
    if (m->bytes < INLINE_BYTES / run->job.n_rows) {
        return m->n_tiles;
    }
    size_t even = (m->n_tiles + 4 * cpu->n_threads - 1) / (4 * cpu->n_threads);
    size_t stream =
        CHUNK_BYTES / m->tile_bytes > run->tiles_together ? CHUNK_BYTES / m->tile_bytes : run->tiles_together;
    return stream < even ? stream : even;
}

static void linear_pass(struct cpu_backend *cpu, struct linear_run *run)
{
    struct linear_job *job = &run->job;
    bool is_direct = job->n_rows <= LINEAR_DIRECT_ROWS;
    size_t block_rows = is_direct ? LINEAR_DIRECT_ROWS : cpu->kernels->linear_rows;
    job->n_blocks = (job->n_rows + block_rows - 1) / block_rows;
    job->packed = is_direct ? NULL : cpu->packed;
    run->tiles_together = job->n_rows * job->w->n_in * sizeof(float) <= RESIDENT_BYTES ? 1 : TILES_TOGETHER;
    if (!is_direct) {
        pool_run(cpu->pool, job->n_blocks, 1, pack_blocks, run);
    }
    pool_run(cpu->pool, job->w->n_tiles, chunk_tiles(cpu, run), run_tiles, run);
}

void cpu_linear(struct backend *b, const struct op_linear *op)
{
    struct cpu_backend *cpu = cpu_backend_of(b);
    assert(op->n_rows == 0 || (op->x_stride >= op->w->n_in && op->y_stride >= op->w->n_out) || op->n_rows == 1);
    static_assert(MAXIMA_OUTPUTS == LINEAR_TILE, "a tile has one maximum");
    for (size_t row = 0; row < op->n_rows; row += LINEAR_ROWS_MAX) {
        struct linear_run run = {
            .kernels = cpu->kernels,
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
        linear_pass(cpu, &run);
    }
}
