// Sequences whose packed rows fit a decode piece are decoded; the others, and all when the result must not depend on
// the batch, are prefilled in pieces of 64 packed rows with all their positions.
//
// Decode pieces are cut along the positions until there are two CTAs for each processor (and each has 256 positions at
// least, so that merging costs little): with few sequences a long context would otherwise be read by few processors.
#include "kernels/cuda/plan.h"

#define SPLIT_MIN 256 // positions; a multiple of ATTENTION_TILE

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

struct plan_counts plan_bounds(const struct batch_map *map, const struct plan_options *options)
{
    struct plan_counts bounds = { 0 };
    for (size_t s = 0; s < map->n_seqs; s++) {
        bounds.n_prefill += ceil_div(map->seqs[s].n_rows * options->group, ATTENTION_PREFILL_ROWS);
    }
    bounds.n_merges = n_decoded(map, options);
    bounds.n_decode = bounds.n_partials = bounds.n_merges * n_splits_max(map, options);
    return bounds;
}

static void plan_prefill(const struct batch_seq *seq, size_t index, const struct plan_options *options,
                         struct gpu_work *work, size_t *n_work)
{
    size_t n_packed = seq->n_rows * options->group;
    for (size_t packed = 0; packed < n_packed; packed += ATTENTION_PREFILL_ROWS) {
        size_t last = packed + ATTENTION_PREFILL_ROWS < n_packed ? packed + ATTENTION_PREFILL_ROWS : n_packed;
        work[(*n_work)++] = (struct gpu_work){ .seq = (int32_t)index,
                                               .packed_row = (int32_t)packed,
                                               .begin = (int32_t)first_position(seq, packed / options->group, options),
                                               .end = (int32_t)(seq->pos + ceil_div(last, options->group)),
                                               .partial = -1 };
    }
}

static void plan_decode(const struct batch_seq *seq, size_t index, size_t n_splits, const struct plan_options *options,
                        struct gpu_work *work, struct gpu_merge *merges, struct plan_counts *counts)
{
    size_t begin = first_position(seq, 0, options), end = seq->pos + seq->n_rows;
    size_t length = ceil_div(ceil_div(end - begin, n_splits), ATTENTION_TILE) * ATTENTION_TILE;
    length = length > SPLIT_MIN ? length : SPLIT_MIN;
    size_t n = ceil_div(end - begin, length);
    if (counts->n_partials + n > options->n_partials_max) {
        n = 1;
    }
    for (size_t i = 0; i < n; i++) {
        size_t from = begin + i * length;
        work[counts->n_decode++] = (struct gpu_work){ .seq = (int32_t)index,
                                                      .begin = (int32_t)from,
                                                      .end = (int32_t)(i + 1 < n ? from + length : end),
                                                      .partial = n > 1 ? (int32_t)(counts->n_partials + i) : -1 };
    }
    if (n > 1) {
        merges[counts->n_merges++] = (struct gpu_merge){ .seq = (int32_t)index,
                                                         .partial = (int32_t)counts->n_partials,
                                                         .n_partials = (int32_t)n };
        counts->n_partials += n;
    }
}

struct plan_counts plan_make(const struct batch_map *map, const struct plan_options *options, struct gpu_work *prefill,
                             struct gpu_work *decode, struct gpu_merge *merges)
{
    struct plan_counts counts = { 0 };
    size_t n_splits = n_splits_max(map, options);
    for (size_t s = 0; s < map->n_seqs; s++) {
        const struct batch_seq *seq = &map->seqs[s];
        if (is_decoded(seq, options)) {
            plan_decode(seq, s, n_splits, options, decode, merges, &counts);
        } else {
            plan_prefill(seq, s, options, prefill, &counts.n_prefill);
        }
    }
    return counts;
}
