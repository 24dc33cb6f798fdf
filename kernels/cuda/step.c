#include "kernels/cuda/step.h"

#include "kernels/cuda/draws.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

#define BYTES_FIRST ((size_t)1 << 20)
#define ALIGN       64

// ---- memory --------------------------------------------------------------------------------------------------------

static void free_memory(struct step_block *block)
{
    for (size_t i = 0; i < STEP_TURNS; i++) {
        if (block->host[i]) {
            gpu_host_free(block->gpu, block->host[i]);
        }
        block->host[i] = NULL;
    }
    if (block->device) {
        gpu_free(block->gpu, block->device);
    }
    block->device = NULL;
}

static int allocate(struct step_block *block, size_t bytes)
{
    block->bytes = bytes;
    block->device = gpu_alloc(block->gpu, bytes);
    bool is_done = block->device != NULL;
    for (size_t i = 0; i < STEP_TURNS; i++) {
        block->host[i] = gpu_host_alloc(block->gpu, bytes);
        is_done &= block->host[i] != NULL;
    }
    return is_done ? 0 : -ENOMEM;
}

int step_init(struct step_block *block, struct gpu *gpu, struct err *err)
{
    *block = (struct step_block){ .gpu = gpu };
    if (allocate(block, BYTES_FIRST) < 0) {
        return err_set(err, -ENOMEM, "no memory for what a step brings to the GPU");
    }
    return tables_init(&block->tables, gpu, err);
}

void step_deinit(struct step_block *block)
{
    if (block->gpu) {
        free_memory(block);
        tables_deinit(&block->tables);
    }
}

static bool reserve(struct step_block *block, size_t bytes)
{
    size_t wanted = block->bytes;
    if (bytes <= block->bytes) {
        return false;
    }
    while (wanted < bytes) {
        wanted *= 2;
    }
    gpu_sync(block->gpu, NULL);
    free_memory(block);
    int r = allocate(block, wanted);
    assert(r == 0); // a few MiB, asked for by a step that has all its pages
    return true;
}

// ---- layout --------------------------------------------------------------------------------------------------------

// Bytes from the beginning of the block. What has no bound is last.
struct layout {
    size_t token_ids, row_seq, row_pos, seqs, logit_rows, draws;
    size_t windows[STEP_WINDOWS_MAX];
    struct plan_counts bounds[STEP_WINDOWS_MAX];
    size_t extra, changes, end;
    size_t n_rows, n_seqs, n_logit_rows; // that there are places for
};

static size_t take(struct layout *layout, size_t bytes)
{
    size_t at = layout->end;
    layout->end += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    return at;
}

static size_t window_bytes(const struct plan_counts *bounds, size_t n_seqs)
{
    return (bounds->n_prefill + bounds->n_shared + bounds->n_decode) * sizeof(struct gpu_work) +
           bounds->n_merges * sizeof(struct gpu_merge) + (bounds->n_listed + n_seqs) * sizeof(int32_t);
}

static struct plan_options plan_options(const struct step_block *block, const struct op_step *op,
                                        const struct step_options *options, size_t window)
{
    const struct op_attention like = { .kv = op->kv };
    size_t n_floats = options->n_partials_bytes / sizeof(float);
    return (struct plan_options){ .group = op->n_heads / op->kv->n_kv_heads,
                                  .n_kv_heads = op->kv->n_kv_heads,
                                  .page_tokens = op->kv->page_tokens,
                                  .window = window,
                                  .prefill_rows = options->prefill_rows,
                                  .n_processors = gpu_facts_of(block->gpu)->n_processors,
                                  .n_partials_max = n_floats / op->kv->n_kv_heads / gpu_attention_partial_floats(&like),
                                  .is_deterministic = options->is_deterministic };
}

static struct layout lay_out(const struct step_block *block, const struct op_step *op,
                             const struct step_options *options)
{
    size_t n = options->n_padded_rows;
    struct layout l = { .n_rows = n > 0 ? n : op->map.n_rows,
                        .n_seqs = n > 0 ? n : op->map.n_seqs,
                        .n_logit_rows = n > 0 ? n : op->n_logit_rows };
    l.token_ids = take(&l, l.n_rows * sizeof(int32_t));
    l.row_seq = take(&l, l.n_rows * sizeof(int32_t));
    l.row_pos = take(&l, l.n_rows * sizeof(int32_t));
    l.seqs = take(&l, 4 * l.n_seqs * sizeof(int32_t));
    l.logit_rows = take(&l, l.n_logit_rows * sizeof(uint32_t));
    l.draws = take(&l, (op->draws ? l.n_logit_rows : 0) * sizeof(struct gpu_sample_row));
    for (size_t i = 0; i < op->n_windows; i++) {
        const struct plan_options plan = plan_options(block, op, options, op->windows[i]);
        l.bounds[i] = n > 0 ? plan_bounds_of_rows(n, &plan) : plan_bounds(&op->map, &plan);
        l.windows[i] = take(&l, window_bytes(&l.bounds[i], l.n_seqs));
    }
    l.extra = take(&l, op->draws ? draws_extra_bytes(op->draws, op->n_logit_rows, op->n_vocab) : 0);
    l.changes = take(&l, tables_changes_max(&op->map, op->kv->page_tokens) * sizeof(struct gpu_page_change));
    return l;
}

// ---- filling -------------------------------------------------------------------------------------------------------

// NULL: the step has none.
static void fill_array(unsigned char *to, const void *array, size_t n, size_t n_places)
{
    if (array) {
        memcpy(to, array, n * sizeof(uint32_t));
        memset(to + n * sizeof(uint32_t), 0, (n_places - n) * sizeof(uint32_t));
    }
}

static void fill_map(struct step_block *block, unsigned char *host, const struct layout *l, const struct batch_map *map)
{
    int32_t *row_seq = (int32_t *)(host + l->row_seq), *row_pos = (int32_t *)(host + l->row_pos);
    int32_t *seqs = (int32_t *)(host + l->seqs);
    memset(seqs, 0, 4 * l->n_seqs * sizeof(*seqs));
    for (size_t s = 0; s < map->n_seqs; s++) {
        const struct batch_seq *seq = &map->seqs[s];
        for (size_t i = 0; i < seq->n_rows; i++) {
            row_seq[seq->row + i] = (int32_t)s;
            row_pos[seq->row + i] = (int32_t)(seq->pos + i);
        }
        seqs[s] = (int32_t)seq->row;
        seqs[l->n_seqs + s] = (int32_t)seq->n_rows;
        seqs[2 * l->n_seqs + s] = (int32_t)seq->pos;
        seqs[3 * l->n_seqs + s] = (int32_t)tables_place(&block->tables, map, s);
    }
    for (size_t r = map->n_rows; r < l->n_rows; r++) {
        row_seq[r] = NO_SEQUENCE;
        row_pos[r] = 0;
    }
    const int32_t *device = (const int32_t *)(block->device + l->seqs);
    block->map = (struct gpu_map){ .row_seq = (const int32_t *)(block->device + l->row_seq),
                                   .row_pos = (const int32_t *)(block->device + l->row_pos),
                                   .seq_row = device,
                                   .seq_n_rows = device + l->n_seqs,
                                   .seq_pos = device + 2 * l->n_seqs,
                                   .seq_page = device + 3 * l->n_seqs,
                                   .pages = block->tables.device,
                                   .n_rows = l->n_rows,
                                   .n_seqs = l->n_seqs };
}

// The counts that a recorded step has: powers of two, so that few are recorded.
static size_t padded_count(size_t n, size_t bound)
{
    size_t padded = n > 0 ? 1 : 0;
    while (padded < n) {
        padded *= 2;
    }
    return padded < bound ? padded : bound;
}

static size_t pad_work(struct gpu_work *work, size_t n, size_t bound)
{
    size_t n_padded = padded_count(n, bound);
    for (size_t i = n; i < n_padded; i++) {
        work[i] = (struct gpu_work){ .partial = -1 };
    }
    return n_padded;
}

static size_t pad_merges(struct gpu_merge *merges, size_t n, size_t bound)
{
    size_t n_padded = padded_count(n, bound);
    memset(merges + n, 0, (n_padded - n) * sizeof(*merges));
    return n_padded;
}

// Of one window: pieces of prefill, shared ones, pieces of decode, merges, rows, and the planner's scratch.
static void fill_window(struct step_block *block, unsigned char *host, const struct layout *l, size_t i,
                        const struct op_step *op, const struct step_options *options)
{
    const struct plan_counts *bounds = &l->bounds[i];
    const struct plan_options plan = plan_options(block, op, options, op->windows[i]);
    struct gpu_work *work = (struct gpu_work *)(host + l->windows[i]);
    const size_t shared = bounds->n_prefill, decode = shared + bounds->n_shared, end = decode + bounds->n_decode;
    struct gpu_merge *merges = (struct gpu_merge *)(work + end);
    int32_t *rows = (int32_t *)(merges + bounds->n_merges);
    const struct plan_arrays arrays = { .prefill = work,
                                        .shared = work + shared,
                                        .decode = work + decode,
                                        .merges = merges,
                                        .rows = rows,
                                        .group_of = rows + bounds->n_listed };
    struct plan_counts n = plan_make(&op->map, &plan, &arrays);
    assert(n.n_prefill <= bounds->n_prefill && n.n_shared <= bounds->n_shared && n.n_decode <= bounds->n_decode &&
           n.n_merges <= bounds->n_merges && n.n_listed <= bounds->n_listed);
    if (options->n_padded_rows > 0) {
        n.n_prefill = pad_work(work, n.n_prefill, bounds->n_prefill);
        n.n_shared = pad_work(work + shared, n.n_shared, bounds->n_shared);
        n.n_decode = pad_work(work + decode, n.n_decode, bounds->n_decode);
        n.n_merges = pad_merges(merges, n.n_merges, bounds->n_merges);
        n.n_partials = plan.n_partials_max; // where a partial lies is the same in every step
    }
    const struct gpu_work *device = (const struct gpu_work *)(block->device + l->windows[i]);
    const struct gpu_merge *device_merges = (const struct gpu_merge *)(device + end);
    const int32_t *device_rows = (const int32_t *)(device_merges + bounds->n_merges);
    block->windows[i] = (struct step_window){
        .window = op->windows[i],
        .prefill = { .work = device, .n_work = n.n_prefill },
        .shared = { .work = device + shared, .rows = device_rows, .n_work = n.n_shared, .n_partials = n.n_partials },
        .decode = { .work = device + decode,
                    .merges = device_merges,
                    .n_work = n.n_decode,
                    .n_merges = n.n_merges,
                    .n_partials = n.n_partials,
                    .is_decode = true },
    };
}

// ---- bringing ------------------------------------------------------------------------------------------------------

bool step_bring(struct step_block *block, const struct op_step *op, const struct step_options *options)
{
    assert(op->n_windows <= STEP_WINDOWS_MAX);
    bool has_moved = tables_reserve(&block->tables, &op->map, op->kv->page_tokens);
    struct layout l = lay_out(block, op, options);
    has_moved |= reserve(block, l.end);
    block->turn = (block->turn + 1) % STEP_TURNS;
    gpu_wait(block->gpu, GPU_MARK_SENT + block->turn);
    unsigned char *host = block->host[block->turn];
    fill_array(host + l.token_ids, op->token_ids, op->map.n_rows, l.n_rows);
    fill_array(host + l.logit_rows, op->logit_rows, op->n_logit_rows, l.n_logit_rows);
    fill_map(block, host, &l, &op->map);
    for (size_t i = 0; i < op->n_windows; i++) {
        fill_window(block, host, &l, i, op, options);
    }
    if (op->draws) {
        draws_fill(op->draws, op->n_logit_rows, l.n_logit_rows, op->n_vocab, (struct gpu_sample_row *)(host + l.draws),
                   host + l.extra, l.extra);
    }
    size_t n_changes = tables_list_changes(&block->tables, &op->map, op->kv->page_tokens,
                                           (struct gpu_page_change *)(host + l.changes));
    gpu_copy_in(block->gpu, block->device, host, l.changes + n_changes * sizeof(struct gpu_page_change));
    gpu_mark(block->gpu, GPU_MARK_SENT + block->turn);
    if (n_changes > 0) {
        gpu_change_pages(gpu_queue_of(block->gpu), block->tables.device,
                         (const struct gpu_page_change *)(block->device + l.changes), n_changes);
    }
    block->token_ids = op->token_ids;
    block->seqs = op->map.seqs;
    block->logit_rows = op->logit_rows;
    block->draws = op->draws;
    block->device_token_ids = (const int32_t *)(block->device + l.token_ids);
    block->device_logit_rows = (const uint32_t *)(block->device + l.logit_rows);
    block->device_draws = (const struct gpu_sample_row *)(block->device + l.draws);
    block->n_windows = op->n_windows;
    return has_moved;
}

void step_forget(struct step_block *block)
{
    block->token_ids = NULL;
    block->seqs = NULL;
    block->logit_rows = NULL;
    block->draws = NULL;
}

const struct step_window *step_window(const struct step_block *block, size_t window)
{
    for (size_t i = 0; i < block->n_windows; i++) {
        if (block->windows[i].window == window) {
            return &block->windows[i];
        }
    }
    return NULL;
}
