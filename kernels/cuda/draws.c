#include "kernels/cuda/draws.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#define ROWS_FIRST  64
#define BYTES_FIRST ((size_t)256 << 10) // of rows outside of steps

static void free_all(struct draws *draws)
{
    if (draws->results) {
        gpu_free(draws->gpu, draws->results);
    }
    if (draws->tops) {
        gpu_free(draws->gpu, draws->tops);
    }
    for (size_t i = 0; i < N_TURNS; i++) {
        if (draws->host_results[i]) {
            gpu_host_free(draws->gpu, draws->host_results[i]);
        }
        if (draws->host_tops[i]) {
            gpu_host_free(draws->gpu, draws->host_tops[i]);
        }
    }
    *draws = (struct draws){ .gpu = draws->gpu, .rows = draws->rows };
}

static void free_rows(struct draws *draws)
{
    for (size_t i = 0; i < N_TURNS; i++) {
        if (draws->rows.host[i]) {
            gpu_host_free(draws->gpu, draws->rows.host[i]);
        }
    }
    if (draws->rows.device) {
        gpu_free(draws->gpu, draws->rows.device);
    }
    draws->rows = (struct draws_rows){ 0 };
}

static int allocate_rows(struct draws *draws, size_t bytes)
{
    draws->rows.bytes = bytes;
    draws->rows.device = gpu_alloc(draws->gpu, bytes);
    bool is_done = draws->rows.device != NULL;
    for (size_t i = 0; i < N_TURNS; i++) {
        draws->rows.host[i] = gpu_host_alloc(draws->gpu, bytes);
        is_done &= draws->rows.host[i] != NULL;
    }
    return is_done ? 0 : -ENOMEM;
}

static int allocate(struct draws *draws, size_t n_rows)
{
    draws->n_rows_max = n_rows;
    draws->results = gpu_alloc(draws->gpu, n_rows * sizeof(*draws->results));
    draws->tops = gpu_alloc(draws->gpu, n_rows * sizeof(*draws->tops));
    bool is_done = draws->results && draws->tops;
    for (size_t i = 0; i < N_TURNS && is_done; i++) {
        draws->host_results[i] = gpu_host_alloc(draws->gpu, n_rows * sizeof(*draws->results));
        draws->host_tops[i] = gpu_host_alloc(draws->gpu, n_rows * sizeof(*draws->tops));
        is_done = draws->host_results[i] && draws->host_tops[i];
    }
    return is_done ? 0 : -ENOMEM;
}

int draws_init(struct draws *draws, struct gpu *gpu, struct err *err)
{
    *draws = (struct draws){ .gpu = gpu };
    if (allocate(draws, ROWS_FIRST) < 0 || allocate_rows(draws, BYTES_FIRST) < 0) {
        draws_deinit(draws);
        return err_set(err, -ENOMEM, "no memory for the tokens that the GPU draws");
    }
    return 0;
}

void draws_deinit(struct draws *draws)
{
    if (draws->gpu) {
        free_all(draws);
        free_rows(draws);
        draws->gpu = NULL;
    }
}

// What was drawn and not yet looked at: by the next step on the device, or by the host.
static void take_over(struct draws *draws, const struct draws *before)
{
    gpu_copy(draws->gpu, draws->results, before->results, before->n_rows_max * sizeof(*draws->results));
    for (size_t i = 0; i < N_TURNS; i++) {
        memcpy(draws->host_results[i], before->host_results[i], before->n_rows_max * sizeof(**draws->host_results));
        memcpy(draws->host_tops[i], before->host_tops[i], before->n_rows_max * sizeof(**draws->host_tops));
    }
}

bool draws_reserve(struct draws *draws, size_t n_rows)
{
    if (n_rows <= draws->n_rows_max) {
        return false;
    }
    size_t wanted = draws->n_rows_max;
    while (wanted < n_rows) {
        wanted *= 2;
    }
    struct draws before = *draws;
    int r = allocate(draws, wanted);
    assert(r == 0); // a few KiB, asked for by a step that has all its pages
    gpu_sync(draws->gpu, NULL);
    take_over(draws, &before);
    free_all(&before);
    return true;
}

static size_t mask_bytes(size_t n_vocab)
{
    return (n_vocab + 63) / 64 * sizeof(uint64_t);
}

size_t draws_extra_bytes(const struct sample_row *rows, size_t n_rows, size_t n_vocab)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n_rows; i++) {
        bytes += (rows[i].mask ? mask_bytes(n_vocab) : 0) + rows[i].n_edits * sizeof(*rows[i].edits);
    }
    return bytes;
}

void draws_fill(const struct sample_row *rows, size_t n_rows, size_t n_padded, size_t n_vocab,
                struct gpu_sample_row *ret, unsigned char *extra, size_t extra_at)
{
    size_t used = 0;
    for (size_t i = 0; i < n_rows; i++) {
        const struct sample_row *row = &rows[i];
        ret[i] = (struct gpu_sample_row){ .seed = row->seed,
                                          .pos = row->pos,
                                          .top_p = row->top_p,
                                          .repetition_penalty = row->repetition_penalty,
                                          .frequency_penalty = row->frequency_penalty,
                                          .presence_penalty = row->presence_penalty,
                                          .scale = row->scale,
                                          .log_min_p = row->log_min_p,
                                          .top_k = row->top_k,
                                          .n_top = row->n_top < SAMPLE_TOP_MAX ? row->n_top : SAMPLE_TOP_MAX,
                                          .n_edits = row->n_edits,
                                          .flags = row->wants_probs ? SAMPLE_WANTS_PROBS : 0 };
        if (row->mask) {
            ret[i].flags |= SAMPLE_HAS_MASK;
            ret[i].mask_at = extra_at + used;
            memcpy(extra + used, row->mask, mask_bytes(n_vocab));
            used += mask_bytes(n_vocab);
        }
        ret[i].edits_at = extra_at + used;
        if (row->n_edits > 0) {
            memcpy(extra + used, row->edits, row->n_edits * sizeof(*row->edits));
            used += row->n_edits * sizeof(*row->edits);
        }
    }
    for (size_t i = n_rows; i < n_padded; i++) {
        ret[i] = (struct gpu_sample_row){ .flags = SAMPLE_IS_PADDING };
    }
}

static void reserve_rows(struct draws *draws, size_t bytes)
{
    size_t wanted = draws->rows.bytes;
    if (bytes <= wanted) {
        return;
    }
    while (wanted < bytes) {
        wanted *= 2;
    }
    gpu_sync(draws->gpu, NULL);
    free_rows(draws);
    int r = allocate_rows(draws, wanted);
    assert(r == 0); // a few MiB, asked for by a step that has all its pages
}

void draws_bring(struct draws *draws, const struct sample_row *rows, size_t n_rows, size_t n_vocab,
                 struct gpu_sample *args)
{
    struct draws_rows *block = &draws->rows;
    size_t rows_bytes = n_rows * sizeof(struct gpu_sample_row);
    size_t bytes = rows_bytes + draws_extra_bytes(rows, n_rows, n_vocab);
    reserve_rows(draws, bytes);
    block->turn = (block->turn + 1) % N_TURNS;
    gpu_wait(draws->gpu, GPU_MARK_ROWS + block->turn);
    unsigned char *host = block->host[block->turn];
    draws_fill(rows, n_rows, n_rows, n_vocab, (struct gpu_sample_row *)host, host + rows_bytes, rows_bytes);
    gpu_copy_in(draws->gpu, block->device, host, bytes);
    gpu_mark(draws->gpu, GPU_MARK_ROWS + block->turn);
    args->rows = (const struct gpu_sample_row *)block->device;
    args->extra = block->device;
}

void draws_send(struct draws *draws, const struct sample_row *rows, size_t n_rows, unsigned turn)
{
    assert(turn < N_TURNS && n_rows <= draws->n_rows_max);
    bool has_tops = false;
    for (size_t i = 0; i < n_rows; i++) {
        has_tops |= rows[i].wants_probs && rows[i].n_top > 0;
    }
    draws->has_tops[turn] = has_tops;
    gpu_copy_out(draws->gpu, draws->host_results[turn], draws->results, n_rows * sizeof(*draws->results));
    if (has_tops) {
        gpu_copy_out(draws->gpu, draws->host_tops[turn], draws->tops, n_rows * sizeof(*draws->tops));
    }
    gpu_mark(draws->gpu, GPU_MARK_DRAWN + turn);
}

struct sample_results draws_wait(struct draws *draws, unsigned turn)
{
    assert(turn < N_TURNS);
    gpu_wait(draws->gpu, GPU_MARK_DRAWN + turn);
    return (struct sample_results){ draws->host_results[turn], draws->has_tops[turn] ? draws->host_tops[turn] : NULL };
}
