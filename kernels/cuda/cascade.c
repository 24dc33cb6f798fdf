// One level: groups are made in the order of the batch, each around the sequence that began it. Where the table is full
// a group of one makes room.
#include "kernels/cuda/cascade.h"

// Positions, in whole steps, that two sequences both have in the same pages; `limit` at most.
static size_t shared_tokens(const uint32_t *a, const uint32_t *b, size_t limit, const struct cascade_options *options)
{
    size_t n = 0, n_pages = limit / options->page_tokens;
    while (n < n_pages && a[n] == b[n]) {
        n++;
    }
    return n * options->page_tokens / options->step * options->step;
}

// What joining the group leaves shared; 0: it is better left alone.
static size_t tokens_with(const struct batch_map *map, const struct cascade_group *group, const struct batch_seq *seq,
                          const struct cascade_options *options)
{
    size_t limit = seq->pos < group->n_tokens ? seq->pos : group->n_tokens;
    size_t n = shared_tokens(map->seqs[group->leader].pages, seq->pages, limit, options);
    bool is_gain = n >= options->n_tokens_min && n * group->n_seqs >= group->n_tokens * (group->n_seqs - 1);
    return is_gain ? n : 0;
}

static int find_group(const struct batch_map *map, const struct cascade_group *groups, size_t n_groups,
                      const struct batch_seq *seq, const struct cascade_options *options, size_t *ret_n_tokens)
{
    for (size_t g = 0; g < n_groups; g++) {
        *ret_n_tokens = tokens_with(map, &groups[g], seq, options);
        if (*ret_n_tokens > 0) {
            return (int)g;
        }
    }
    return CASCADE_NONE;
}

// A place for a new group, whose former sequence, if any, is alone again.
static int place_for_group(struct cascade_group *groups, size_t *n_groups, int32_t *group_of)
{
    if (*n_groups < CASCADE_GROUPS_MAX) {
        return (int)(*n_groups)++;
    }
    for (int g = 0; g < CASCADE_GROUPS_MAX; g++) {
        if (groups[g].n_seqs == 1) {
            group_of[groups[g].leader] = CASCADE_NONE;
            return g;
        }
    }
    return CASCADE_NONE;
}

// Groups of one are none.
static size_t drop_single(struct cascade_group *groups, size_t n_groups, int32_t *group_of, size_t n_seqs)
{
    int32_t moved_to[CASCADE_GROUPS_MAX];
    size_t n = 0;
    for (size_t g = 0; g < n_groups; g++) {
        moved_to[g] = groups[g].n_seqs > 1 ? (int32_t)n : CASCADE_NONE;
        groups[n] = groups[g];
        n += groups[g].n_seqs > 1;
    }
    for (size_t s = 0; s < n_seqs; s++) {
        group_of[s] = group_of[s] == CASCADE_NONE ? CASCADE_NONE : moved_to[group_of[s]];
    }
    return n;
}

size_t cascade_find(const struct batch_map *map, const struct cascade_options *options,
                    struct cascade_group groups[CASCADE_GROUPS_MAX], int32_t *group_of)
{
    size_t n_groups = 0;
    for (size_t s = 0; s < map->n_seqs; s++) {
        const struct batch_seq *seq = &map->seqs[s];
        size_t n_tokens = 0,
               all = seq->pos / options->page_tokens * options->page_tokens / options->step * options->step;
        if (group_of[s] == CASCADE_NONE) {
            continue;
        }
        int g = find_group(map, groups, n_groups, seq, options, &n_tokens);
        if (g != CASCADE_NONE) {
            groups[g].n_tokens = n_tokens;
            groups[g].n_seqs++;
            groups[g].n_rows += seq->n_rows;
        } else if (all >= options->n_tokens_min) {
            g = place_for_group(groups, &n_groups, group_of);
            if (g != CASCADE_NONE) {
                groups[g] = (struct cascade_group){ s, all, 1, seq->n_rows };
            }
        }
        group_of[s] = g;
    }
    return drop_single(groups, n_groups, group_of, map->n_seqs);
}
