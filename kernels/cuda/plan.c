// Sequences whose packed rows fit a decode piece are decoded; the others, and all when the result must not depend on
// the batch, are prefilled in pieces of 64 or 128 packed rows (prefill_rows) with all their positions.
//
// Decode pieces are cut along the positions until there are two CTAs for each processor (and each has 256 positions at
// least, so that merging costs little): with few sequences a long context would otherwise be read by few processors.
//
// Decoded sequences that share leading pages (cascade.h) are one for those: pieces of prefill_rows packed rows of all
// of them, cut along the positions likewise. What is left of each is decoded as if it began there. A window hides what
// is shared.
#include "kernels/cuda/plan.h"
#include "kernels/cuda/cascade.h"

#define SPLIT_MIN   256 // positions; a multiple of both
#define SHARED_TILE 128 // positions that pieces of shared ones begin at multiples of: a tile of attention_hopper.cu

static size_t ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static bool is_decoded(const struct batch_seq *seq, const struct plan_options *options)
{
    return !options->is_deterministic && seq->n_rows * options->group <= ATTENTION_DECODE_ROWS;
}

// The first position, at a multiple of the tile, that row `row` of the sequence sees.
static size_t first_position(const struct batch_seq *seq, size_t row, const struct plan_options *options)
{
    size_t pos = seq->pos + row;
    size_t first = options->window > 0 && pos >= options->window ? pos - options->window + 1 : 0;
    return first / ATTENTION_TILE * ATTENTION_TILE;
}

static size_t n_decoded(const struct batch_map *map, const struct plan_options *options)
{
    size_t n = 0;
    for (size_t s = 0; s < map->n_seqs; s++) {
        n += is_decoded(&map->seqs[s], options);
    }
    return n;
}

// Pieces that a decoded sequence may be cut into.
static size_t n_splits_max(const struct batch_map *map, const struct plan_options *options)
{
    size_t n_ctas = n_decoded(map, options) * options->n_kv_heads, wanted = 2 * options->n_processors;
    return n_ctas == 0 || n_ctas >= wanted ? 1 : ceil_div(wanted, n_ctas);
}

static size_t n_wanted(const struct plan_options *options)
{
    return ceil_div(2 * options->n_processors, options->n_kv_heads);
}

static bool is_shared(const struct plan_options *options)
{
    return !options->is_deterministic && options->window == 0;
}

// Of pieces that are cut along the positions, for so many sequences and rows.
static void bound_decode(size_t n_seqs, size_t n_rows, const struct plan_options *options, struct plan_counts *bounds)
{
    bounds->n_merges = n_seqs;
    bounds->n_decode = bounds->n_partials = n_seqs > 0 ? n_seqs + n_wanted(options) : 0; // n_splits_max, rounded up
    if (is_shared(options) && n_seqs > 1) { // each group: a tile more than its rows fill, and each tile or what is
                                            // wanted in all
        size_t n_tiles = ceil_div(n_rows * options->group, options->prefill_rows) + CASCADE_GROUPS_MAX;
        bounds->n_shared = n_tiles + CASCADE_GROUPS_MAX * n_wanted(options);
        bounds->n_listed = n_rows;
    }
}

struct plan_counts plan_bounds(const struct batch_map *map, const struct plan_options *options)
{
    struct plan_counts bounds = { 0 };
    for (size_t s = 0; s < map->n_seqs; s++) {
        bounds.n_prefill += ceil_div(map->seqs[s].n_rows * options->group, options->prefill_rows);
    }
    bound_decode(n_decoded(map, options), map->n_rows, options, &bounds);
    return bounds;
}

struct plan_counts plan_bounds_of_rows(size_t n_rows, const struct plan_options *options)
{
    struct plan_counts bounds = { .n_prefill = n_rows * ceil_div(options->group, options->prefill_rows) };
    bool may_decode = !options->is_deterministic && options->group <= ATTENTION_DECODE_ROWS;
    bound_decode(may_decode ? n_rows : 0, n_rows, options, &bounds);
    return bounds;
}

static void plan_prefill(const struct batch_seq *seq, size_t index, const struct plan_options *options,
                         struct gpu_work *work, size_t *n_work)
{
    size_t n_packed = seq->n_rows * options->group, step = options->prefill_rows;
    for (size_t packed = 0; packed < n_packed; packed += step) {
        size_t last = packed + step < n_packed ? packed + step : n_packed;
        work[(*n_work)++] = (struct gpu_work){ .seq = (int32_t)index,
                                               .packed_row = (int32_t)packed,
                                               .begin = (int32_t)first_position(seq, packed / options->group, options),
                                               .end = (int32_t)(seq->pos + ceil_div(last, options->group)),
                                               .partial = -1 };
    }
}

// Where the sums of a group's shared positions are.
struct shared_sums {
    size_t n_tokens; // 0: the group is not taken together
    size_t partial, n, step;
    size_t n_packed; // rows handed out
};

// The positions [begin, end) of a decoded sequence, in up to n_splits pieces. `shared`: sums of those before, or NULL.
static void plan_decode(const struct batch_map *map, size_t index, size_t n_splits, const struct plan_options *options,
                        struct shared_sums *shared, const struct plan_arrays *arrays, struct plan_counts *counts)
{
    const struct batch_seq *seq = &map->seqs[index];
    size_t begin = shared ? shared->n_tokens : first_position(seq, 0, options), end = seq->pos + seq->n_rows;
    size_t length = ceil_div(ceil_div(end - begin, n_splits), ATTENTION_TILE) * ATTENTION_TILE;
    length = length > SPLIT_MIN ? length : SPLIT_MIN;
    size_t n = ceil_div(end - begin, length);
    if (counts->n_partials + n + map->n_seqs > options->n_partials_max) { // one is left for each
        n = 1;
    }
    bool is_merged = n > 1 || shared;
    for (size_t i = 0; i < n; i++) {
        size_t from = begin + i * length;
        arrays->decode[counts->n_decode++] =
            (struct gpu_work){ .seq = (int32_t)index,
                               .begin = (int32_t)from,
                               .end = (int32_t)(i + 1 < n ? from + length : end),
                               .partial = is_merged ? (int32_t)(counts->n_partials + i) : -1 };
    }
    if (!is_merged) {
        return;
    }
    struct gpu_merge merge = { .seq = (int32_t)index,
                               .partial = (int32_t)counts->n_partials,
                               .n_partials = (int32_t)n };
    if (shared) {
        merge.shared_partial = (int32_t)shared->partial;
        merge.n_shared = (int32_t)shared->n;
        merge.shared_step = (int32_t)shared->step;
        merge.shared_row = (int32_t)shared->n_packed;
        shared->n_packed += seq->n_rows * options->group;
    }
    arrays->merges[counts->n_merges++] = merge;
    counts->n_partials += n;
}

// Pieces of a group's shared positions.
static void plan_shared(const struct batch_map *map, size_t index, const struct cascade_group *group,
                        const struct plan_options *options, const struct plan_arrays *arrays,
                        struct plan_counts *counts, struct shared_sums *ret)
{
    const size_t n_slots = options->prefill_rows / ATTENTION_DECODE_ROWS;
    size_t n_tiles = ceil_div(group->n_rows * options->group, options->prefill_rows);
    size_t n_splits = ceil_div(n_wanted(options), n_tiles);
    size_t length = ceil_div(ceil_div(group->n_tokens, n_splits), SHARED_TILE) * SHARED_TILE;
    length = length > SPLIT_MIN ? length : SPLIT_MIN;
    n_splits = ceil_div(group->n_tokens, length);
    *ret = (struct shared_sums){ 0 };
    if (counts->n_partials + n_splits * n_tiles * n_slots + map->n_seqs > options->n_partials_max) {
        return;
    }
    *ret = (struct shared_sums){
        .n_tokens = group->n_tokens, .partial = counts->n_partials, .n = n_splits, .step = n_tiles * n_slots
    };
    for (size_t i = 0; i < n_splits * n_tiles; i++) {
        size_t tile = i % n_tiles, from = i / n_tiles * length, to = from + length;
        arrays->shared[counts->n_shared++] =
            (struct gpu_work){ .seq = (int32_t)group->leader,
                               .packed_row = (int32_t)(tile * options->prefill_rows),
                               .begin = (int32_t)from,
                               .end = (int32_t)(to < group->n_tokens ? to : group->n_tokens),
                               .partial = (int32_t)(counts->n_partials + i * n_slots),
                               .list = (int32_t)counts->n_listed,
                               .n_listed = (int32_t)group->n_rows };
    }
    counts->n_partials += n_splits * n_tiles * n_slots;
    for (size_t s = 0; s < map->n_seqs; s++) {
        for (size_t i = 0; arrays->group_of[s] == (int32_t)index && i < map->seqs[s].n_rows; i++) {
            arrays->rows[counts->n_listed++] = (int32_t)(map->seqs[s].row + i);
        }
    }
}

static void plan_groups(const struct batch_map *map, const struct plan_options *options,
                        const struct plan_arrays *arrays, struct plan_counts *counts,
                        struct shared_sums sums[CASCADE_GROUPS_MAX])
{
    struct cascade_group groups[CASCADE_GROUPS_MAX];
    const struct cascade_options cascade = { .page_tokens = options->page_tokens,
                                             .step = ATTENTION_TILE,
                                             .n_tokens_min = SPLIT_MIN };
    for (size_t s = 0; s < map->n_seqs; s++) {
        arrays->group_of[s] = is_shared(options) && is_decoded(&map->seqs[s], options) ? 0 : CASCADE_NONE;
    }
    size_t n_groups = is_shared(options) ? cascade_find(map, &cascade, groups, arrays->group_of) : 0;
    for (size_t g = 0; g < n_groups; g++) {
        plan_shared(map, g, &groups[g], options, arrays, counts, &sums[g]);
    }
}

struct plan_counts plan_make(const struct batch_map *map, const struct plan_options *options,
                             const struct plan_arrays *arrays)
{
    struct plan_counts counts = { 0 };
    struct shared_sums sums[CASCADE_GROUPS_MAX];
    size_t n_splits = n_splits_max(map, options);
    plan_groups(map, options, arrays, &counts, sums);
    for (size_t s = 0; s < map->n_seqs; s++) {
        const struct batch_seq *seq = &map->seqs[s];
        if (!is_decoded(seq, options)) {
            plan_prefill(seq, s, options, arrays->prefill, &counts.n_prefill);
            continue;
        }
        int32_t group = arrays->group_of[s];
        bool is_member = group != CASCADE_NONE && sums[group].n_tokens > 0;
        plan_decode(map, s, n_splits, options, is_member ? &sums[group] : NULL, arrays, &counts);
    }
    return counts;
}
