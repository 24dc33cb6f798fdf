// Sampling without sorting the vocabulary. Each worker has a sampler of its own; refuses rows without a finite maximum.
//
// The row is seen as blocks of 64 logits. One pass takes each block's maximum, unless the product that gave the logits
// has found them on its way; almost everything after that looks only at the blocks that can matter. The work is in two
// halves that share nothing but one number:
//
//   find_cut   the lowest-ranking token that the filters keep. Rank: logit downwards, then id upwards (a strict order).
//              A lower bound of the cut (from min_p or the k-th largest block maximum) or a histogram (top_p) leaves
//              few candidates; selection among them is quickselect, by count or mass.
//   draw       inverse CDF over the kept tokens in order of id: block sums first, then one block.
//
// typical_p, which keeps a band rather than a top, comes between the two: it weighs what find_cut left and takes away
// the weight of what it drops.
//
// Sums run in a fixed order over the row, in double across blocks, so the result is a function of the row alone.
// Weights are a float polynomial of exp: 2 ulp, the same bits on every processor.
#include "engine/serve/sampler.h"

#include "engine/serve/philox.h"
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK           64
#define BLOCK_MAXIMA    (BLOCK / MAXIMA_OUTPUTS)
#define PREFETCH_BLOCKS 8 // how far ahead a row is asked for: 2 KiB

// For top_p over a whole row: buckets of equal ratio, down to e^-32 of the most probable token.
#define DEPTH_STEPS 32
#define N_BUCKETS   1024
#define N_SUMS      4 // per bucket: neighbours of a flat row fall into one bucket, and would wait for each other's sum

// Many candidates are thinned out by slices of their range before they are looked at singly.
#define N_SLICES     256
#define SLICED_N_MIN 512

typedef float lanes __attribute__((vector_size(64)));
typedef int32_t lanes_i32 __attribute__((vector_size(64)));

#define BODY_TARGET
#define BODY_NAME(name) name##_base
#include "engine/serve/sampler_body.h"
#undef BODY_TARGET
#undef BODY_NAME

struct sampler_isa {
    const char *name;
    float (*block_max)(const float *x);
    float (*join_maxima)(const float *maxima, size_t n, float *block_max);
    double (*block_exp)(const float *x, float max, float scale, float *w);
    void (*block_buckets)(const float *x, float max, float scale, int32_t *bucket);
    bool (*block_has)(const int32_t *bucket, int32_t wanted);
    double (*block_keep)(const float *x, float cut, int32_t last_tie, float *w);
};

#if defined(__x86_64__)
#define BODY_TARGET     __attribute__((target("avx2")))
#define BODY_NAME(name) name##_avx2
#include "engine/serve/sampler_body.h"
#undef BODY_TARGET
#undef BODY_NAME
#define BODY_TARGET     __attribute__((target("avx512f,avx512dq")))
#define BODY_NAME(name) name##_avx512
#include "engine/serve/sampler_body.h"
#undef BODY_TARGET
#undef BODY_NAME
#endif

// The best first.
static const struct sampler_isa isas[] = {
#if defined(__x86_64__)
    { "avx512", block_max_avx512, join_maxima_avx512, block_exp_avx512, block_buckets_avx512, block_has_avx512,
      block_keep_avx512 },
    { "avx2", block_max_avx2, join_maxima_avx2, block_exp_avx2, block_buckets_avx2, block_has_avx2, block_keep_avx2 },
#endif
    { "base", block_max_base, join_maxima_base, block_exp_base, block_buckets_base, block_has_base, block_keep_base },
};
#define N_ISAS (sizeof(isas) / sizeof(*isas))

static bool has_isa(const char *name)
{
#if defined(__x86_64__)
    if (strcmp(name, "avx512") == 0) {
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
    }
    if (strcmp(name, "avx2") == 0) {
        return __builtin_cpu_supports("avx2");
    }
#endif
    return strcmp(name, "base") == 0;
}

bool sampler_use_isa(struct sampler *s, const char *name)
{
    for (size_t i = 0; i < N_ISAS; i++) {
        if ((!name || strcmp(name, isas[i].name) == 0) && has_isa(isas[i].name)) {
            s->isa = &isas[i];
            return true;
        }
    }
    return false;
}

struct sampler_candidate {
    float logit;
    int32_t id;
    float weight; // set when top_p needs it
};

int sampler_init(struct sampler *s, size_t n_vocab)
{
    assert(n_vocab > 0);
    *s = (struct sampler){ .n_vocab = n_vocab, .n_blocks = (n_vocab + BLOCK - 1) / BLOCK };
    sampler_use_isa(s, NULL);
    s->weights = calloc(s->n_blocks * BLOCK, sizeof(float));
    s->block_max = calloc(s->n_blocks, sizeof(float));
    s->tail = calloc(BLOCK, sizeof(float));
    s->block_sum = calloc(s->n_blocks, sizeof(double));
    s->bucket_mass = calloc(N_BUCKETS * N_SUMS, sizeof(double));
    s->candidates = calloc(n_vocab, sizeof(*s->candidates));
    int rc = logit_adjust_init(&s->adjust, n_vocab);
    if (rc < 0 || !s->weights || !s->block_max || !s->tail || !s->block_sum || !s->bucket_mass || !s->candidates) {
        sampler_deinit(s);
        return -ENOMEM;
    }
    return 0;
}

void sampler_deinit(struct sampler *s)
{
    free(s->weights);
    free(s->block_max);
    free(s->tail);
    free(s->block_sum);
    free(s->bucket_mass);
    free(s->candidates);
    logit_adjust_deinit(&s->adjust);
    *s = (struct sampler){ 0 };
}

// ---- blocks -------------------------------------------------------------------------------------------------------

// 64 logits; those past the vocabulary's end are -inf.
static const float *block_logits(const struct sampler *s, const float *logits, size_t block)
{
    return block + 1 == s->n_blocks && s->n_vocab % BLOCK != 0 ? s->tail : logits + block * BLOCK;
}

static void fill_tail(struct sampler *s, const float *logits)
{
    size_t n = s->n_vocab % BLOCK;
    for (size_t i = 0; i < BLOCK; i++) {
        s->tail[i] = i < n ? logits[s->n_vocab - n + i] : -INFINITY;
    }
}

// A row's first reader waits for its memory, which other processors' caches may still hold: it asks well ahead.
static void prefetch_block(const struct sampler *s, const float *logits, size_t block)
{
    if (block + 1 < s->n_blocks) {
        for (size_t i = 0; i < BLOCK; i += 16) {
            __builtin_prefetch(logits + block * BLOCK + i);
        }
    }
}

static float scan_row(struct sampler *s, const float *logits)
{
    float max = -INFINITY;
    for (size_t b = 0; b < s->n_blocks; b++) {
        prefetch_block(s, logits, b + PREFETCH_BLOCKS);
        s->block_max[b] = s->isa->block_max(block_logits(s, logits, b));
        max = s->block_max[b] > max ? s->block_max[b] : max;
    }
    return max;
}

// `maxima` are of these logits, or NULL.
static float find_maximum(struct sampler *s, const float *logits, const float *maxima)
{
    fill_tail(s, logits);
    return maxima ? s->isa->join_maxima(maxima, sampler_n_maxima(s->n_vocab), s->block_max) : scan_row(s, logits);
}

static int32_t first_id_of(const struct sampler *s, const float *logits, float max)
{
    size_t block = 0;
    while (s->block_max[block] != max) {
        block++;
    }
    const float *x = block_logits(s, logits, block);
    size_t i = 0;
    while (x[i] != max) {
        i++;
    }
    return (int32_t)(block * BLOCK + i);
}

// ---- rank ---------------------------------------------------------------------------------------------------------

static bool ranks_before(struct sampler_candidate a, struct sampler_candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

static void swap(struct sampler_candidate *a, struct sampler_candidate *b)
{
    struct sampler_candidate t = *a;
    *a = *b;
    *b = t;
}

// Splits c[0..n) around its median of three: those before the pivot, the pivot at the returned index, those after it.
static size_t partition(struct sampler_candidate *c, size_t n)
{
    if (ranks_before(c[n / 2], c[0])) {
        swap(&c[n / 2], &c[0]);
    }
    if (ranks_before(c[n - 1], c[0])) {
        swap(&c[n - 1], &c[0]);
    }
    if (ranks_before(c[n / 2], c[n - 1])) {
        swap(&c[n / 2], &c[n - 1]);
    }
    struct sampler_candidate pivot = c[n - 1];
    size_t at = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        if (ranks_before(c[i], pivot)) {
            swap(&c[i], &c[at++]);
        }
    }
    swap(&c[at], &c[n - 1]);
    return at;
}

// Reorders c[0..n) so that its first k are the k that rank first, in any order (Hoare's quickselect).
static void select_first(struct sampler_candidate *c, size_t n, size_t k)
{
    while (n > 1 && k > 0 && k < n) {
        size_t at = partition(c, n);
        if (at >= k) {
            n = at;
        } else {
            c += at + 1;
            n -= at + 1;
            k -= at + 1;
        }
    }
}

// ---- filters ------------------------------------------------------------------------------------------------------

struct row {
    const float *logits;
    const struct sampling_params *params;
    float max, scale; // scale = 1 / temperature
};

// A value that at least k logits reach: the k-th largest block maximum (each block above it has one). -inf: k is too
// large.
static float top_k_bound(struct sampler *s, size_t k)
{
    if (k > s->n_blocks) {
        return -INFINITY;
    }
    for (size_t b = 0; b < s->n_blocks; b++) {
        s->candidates[b] = (struct sampler_candidate){ s->block_max[b], (int32_t)b, 0 };
    }
    select_first(s->candidates, s->n_blocks, k);
    float bound = INFINITY;
    for (size_t i = 0; i < k; i++) {
        bound = s->candidates[i].logit < bound ? s->candidates[i].logit : bound;
    }
    return bound;
}

static size_t gather_candidates(struct sampler *s, const struct row *row, float bound, bool is_weighed)
{
    size_t n = 0;
    for (size_t b = 0; b < s->n_blocks; b++) {
        if (s->block_max[b] < bound) {
            continue;
        }
        const float *x = block_logits(s, row->logits, b);
        float *w = &s->weights[b * BLOCK];
        if (is_weighed) {
            s->isa->block_exp(x, row->max, row->scale, w);
        }
        size_t left = s->n_vocab - b * BLOCK;
        for (size_t i = 0; i < BLOCK && i < left; i++) {
            s->candidates[n] = (struct sampler_candidate){ x[i], (int32_t)(b * BLOCK + i), w[i] };
            n += x[i] >= bound; // no branch: in a flat row nobody could predict it
        }
    }
    return n;
}

static double mass_of(const struct sampler_candidate *c, size_t n)
{
    double mass = 0;
    for (size_t i = 0; i < n; i++) {
        mass += (double)c[i].weight;
    }
    return mass;
}

// Puts the fewest candidates of highest rank whose mass reaches `target` first, in any order, and returns how many they
// are: quickselect by mass instead of by count.
static size_t select_mass(struct sampler_candidate *c, size_t n, double target)
{
    size_t n_kept = 0;
    double mass = 0;
    while (n > 0) {
        size_t at = partition(c + n_kept, n);
        double front = mass_of(c + n_kept, at);
        if (mass + front >= target) {
            n = at;
            continue;
        }
        mass += front + (double)c[n_kept + at].weight;
        n_kept += at + 1;
        n -= at + 1;
        if (mass >= target) {
            break;
        }
    }
    return n_kept;
}

static size_t slice_of(struct sampler_candidate c, float high, float scale)
{
    return (size_t)fminf((high - c.logit) * scale, N_SLICES - 1);
}

// The slice in which the mass is reached; *target becomes what is left of it there.
static size_t find_slice(const double *mass, size_t n, double *target)
{
    double before = 0;
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        if (mass[i] > 0) {
            before += found == i ? 0 : mass[found];
            found = i;
            if (before + mass[i] >= *target) {
                break;
            }
        }
    }
    *target -= before;
    return found;
}

// Keeps only the candidates among which the mass is reached, one slice of the range of their logits; returns how many.
static size_t thin_out(struct sampler *s, size_t n, double *target)
{
    struct sampler_candidate *c = s->candidates;
    float low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        low = c[i].logit < low && c[i].logit > -INFINITY ? c[i].logit : low;
        high = c[i].logit > high ? c[i].logit : high;
    }
    float scale = (float)N_SLICES / (high - low);
    if (!(high > low) || !isfinite(scale)) {
        return n;
    }
    memset(s->bucket_mass, 0, N_SLICES * sizeof(*s->bucket_mass));
    for (size_t i = 0; i < n; i++) {
        s->bucket_mass[slice_of(c[i], high, scale)] += (double)c[i].weight;
    }
    size_t slice = find_slice(s->bucket_mass, N_SLICES, target), n_left = 0;
    for (size_t i = 0; i < n; i++) {
        c[n_left] = c[i];
        n_left += slice_of(c[i], high, scale) == slice;
    }
    return n_left;
}

static struct sampler_candidate last_of(const struct sampler_candidate *c, size_t n)
{
    struct sampler_candidate last = c[0];
    for (size_t i = 1; i < n; i++) {
        last = ranks_before(last, c[i]) ? c[i] : last;
    }
    return last;
}

// The last of the fewest candidates of highest rank whose mass reaches `target`.
static struct sampler_candidate cut_by_mass(struct sampler *s, size_t n, double target)
{
    for (size_t n_before = n + 1; n >= SLICED_N_MIN && n < n_before;) {
        n_before = n;
        n = thin_out(s, n, &target);
    }
    size_t n_kept = select_mass(s->candidates, n, target);
    return last_of(s->candidates, n_kept > 0 ? n_kept : 1);
}

// Weights of the whole row into s->weights, their mass per bucket; returns the mass of all.
static double fill_histogram(struct sampler *s, const struct row *row)
{
    double total = 0;
    memset(s->bucket_mass, 0, N_BUCKETS * N_SUMS * sizeof(*s->bucket_mass));
    for (size_t b = 0; b < s->n_blocks; b++) {
        int32_t bucket[BLOCK];
        const float *x = block_logits(s, row->logits, b);
        float *w = &s->weights[b * BLOCK];
        total += s->isa->block_exp(x, row->max, row->scale, w);
        s->isa->block_buckets(x, row->max, row->scale, bucket);
        for (int i = 0; i < BLOCK; i++) {
            s->bucket_mass[i % N_SUMS * N_BUCKETS + bucket[i]] += (double)w[i];
        }
    }
    for (int i = 0; i < N_BUCKETS; i++) {
        for (int sum = 1; sum < N_SUMS; sum++) {
            s->bucket_mass[i] += s->bucket_mass[sum * N_BUCKETS + i];
        }
    }
    return total;
}

static size_t gather_bucket(struct sampler *s, const struct row *row, int32_t wanted)
{
    size_t n = 0;
    for (size_t b = 0; b < s->n_blocks; b++) {
        int32_t bucket[BLOCK];
        const float *x = block_logits(s, row->logits, b);
        s->isa->block_buckets(x, row->max, row->scale, bucket);
        if (!s->isa->block_has(bucket, wanted)) {
            continue;
        }
        size_t left = s->n_vocab - b * BLOCK;
        for (size_t i = 0; i < BLOCK && i < left; i++) {
            int32_t id = (int32_t)(b * BLOCK + i);
            s->candidates[n] = (struct sampler_candidate){ x[i], id, s->weights[id] };
            n += bucket[i] == wanted;
        }
    }
    return n;
}

// top_p alone: the bucket in which the mass is reached holds the cut; only its tokens are looked at singly.
static struct sampler_candidate cut_row_by_mass(struct sampler *s, const struct row *row)
{
    double target = row->params->top_p * fill_histogram(s, row);
    size_t bucket = find_slice(s->bucket_mass, N_BUCKETS, &target);
    return cut_by_mass(s, gather_bucket(s, row, (int32_t)bucket), target);
}

// The lowest-ranking token that stays. top_k 0 and top_p >= 1 are off.
static struct sampler_candidate find_cut(struct sampler *s, const struct row *row)
{
    const struct sampling_params *params = row->params;
    size_t k = params->top_k > 0 && (uint64_t)params->top_k < s->n_vocab ? (size_t)params->top_k : 0;
    float bound = params->min_p > 0 ? row->max + (float)log(params->min_p) / row->scale : -INFINITY;
    if (k == 0 && params->top_p >= 1) {
        return (struct sampler_candidate){ bound, INT32_MAX, 0 };
    }
    if (k == 0 && params->min_p <= 0) {
        return cut_row_by_mass(s, row);
    }
    if (k > 0) {
        bound = fmaxf(bound, top_k_bound(s, k));
    }
    size_t n = gather_candidates(s, row, bound, params->top_p < 1);
    if (k > 0 && k < n) {
        select_first(s->candidates, n, k);
        n = k;
    }
    if (params->top_p < 1) {
        return cut_by_mass(s, n, params->top_p * mass_of(s->candidates, n));
    }
    return last_of(s->candidates, n);
}

// ---- draw ---------------------------------------------------------------------------------------------------------

// Weights of one block, 0 for what ranks after the cut.
static double weigh_block(struct sampler *s, const struct row *row, struct sampler_candidate cut, size_t block)
{
    float *w = &s->weights[block * BLOCK];
    const float *x = block_logits(s, row->logits, block);
    if (s->block_max[block] < cut.logit) {
        return 0;
    }
    if (row->params->top_p >= 1) { // else find_cut has weighed every block that reaches the cut
        double mass = s->isa->block_exp(x, row->max, row->scale, w);
        if (cut.logit == -INFINITY) {
            return mass;
        }
    }
    return s->isa->block_keep(x, cut.logit, cut.id - (int32_t)(block * BLOCK), w);
}

static int32_t draw_from_block(const struct sampler *s, size_t block, double below, double target)
{
    const float *w = &s->weights[block * BLOCK];
    int32_t last = -1;
    for (int32_t i = 0; i < BLOCK; i++) {
        if (w[i] > 0) {
            last = i;
            below += (double)w[i];
            if (below > target) {
                break;
            }
        }
    }
    assert(last >= 0); // the block's sum is above 0
    return (int32_t)(block * BLOCK) + last;
}

// The weights of what the cut keeps, and their sums by block.
static double weigh_row(struct sampler *s, const struct row *row, struct sampler_candidate cut)
{
    double total = 0;
    for (size_t b = 0; b < s->n_blocks; b++) {
        s->block_sum[b] = weigh_block(s, row, cut, b);
        total += s->block_sum[b];
    }
    return total;
}

// Sums over the tokens that still have weight, in order of id: their mass, and the mean of how far below the maximum
// they are, in units of the scaled logits.
static double mean_depth(const struct sampler *s, const struct row *row, double total)
{
    double sum = 0;
    for (size_t b = 0; b < s->n_blocks; b++) {
        const float *x = block_logits(s, row->logits, b), *w = &s->weights[b * BLOCK];
        for (size_t i = 0; i < BLOCK && s->block_sum[b] > 0; i++) {
            sum += w[i] > 0 ? (double)w[i] * (double)(row->max - x[i]) : 0;
        }
    }
    return sum * (double)row->scale / total;
}

// With p = exp(-depth) / total, surprise is depth + log(total) and the entropy is the mean of that; so a token is as
// typical as its depth is near the mean depth. Candidates rank by that instead of their logit.
static struct sampler_candidate by_typicality(const struct row *row, float logit, size_t id, float weight, double mean)
{
    double depth = (double)(row->max - logit) * (double)row->scale;
    return (struct sampler_candidate){ (float)-fabs(depth - mean), (int32_t)id, weight };
}

static struct sampler_candidate find_typical_cut(struct sampler *s, const struct row *row, double mean, double target)
{
    size_t n = 0;
    for (size_t b = 0; b < s->n_blocks; b++) {
        const float *x = block_logits(s, row->logits, b), *w = &s->weights[b * BLOCK];
        for (size_t i = 0; i < BLOCK && s->block_sum[b] > 0; i++) {
            if (w[i] > 0) {
                s->candidates[n++] = by_typicality(row, x[i], b * BLOCK + i, w[i], mean);
            }
        }
    }
    return cut_by_mass(s, n, target);
}

static double keep_typical(struct sampler *s, const struct row *row, double total)
{
    double mean = mean_depth(s, row, total), kept = 0;
    struct sampler_candidate cut = find_typical_cut(s, row, mean, row->params->typical_p * total);
    for (size_t b = 0; b < s->n_blocks; b++) {
        const float *x = block_logits(s, row->logits, b);
        float *w = &s->weights[b * BLOCK];
        double sum = 0;
        for (size_t i = 0; i < BLOCK && s->block_sum[b] > 0; i++) {
            if (w[i] > 0 && ranks_before(cut, by_typicality(row, x[i], b * BLOCK + i, w[i], mean))) {
                w[i] = 0;
            }
            sum += (double)w[i];
        }
        s->block_sum[b] = sum;
        kept += sum;
    }
    return kept;
}

static int32_t draw(const struct sampler *s, double target)
{
    double below = 0;
    size_t chosen = 0;
    for (size_t b = 0; b < s->n_blocks; b++) {
        if (s->block_sum[b] > 0) {
            chosen = b;
            if (below + s->block_sum[b] > target) {
                break;
            }
            below += s->block_sum[b];
        }
    }
    return draw_from_block(s, chosen, below, target);
}

static bool is_greedy(const struct sampling_params *params)
{
    return params->temperature < SAMPLER_TEMPERATURE_MIN;
}

bool sampler_is_quick(const struct sampler_input *input)
{
    return is_greedy(input->params) && input->maxima && !logit_adjust_is_needed(input);
}

int sampler_draw(struct sampler *s, const struct sampler_input *input, int32_t *ret_id)
{
    const struct sampling_params *params = input->params;
    struct row row = { .logits = logit_adjust_apply(&s->adjust, input), .params = params };
    row.max = find_maximum(s, row.logits, row.logits == input->logits ? input->maxima : NULL);
    if (!isfinite(row.max)) {
        return -EDOM;
    }
    if (is_greedy(params)) {
        *ret_id = first_id_of(s, row.logits, row.max);
        return 0;
    }
    row.scale = (float)(1.0 / params->temperature);
    double total = weigh_row(s, &row, find_cut(s, &row));
    if (params->typical_p > 0 && params->typical_p < 1) {
        total = keep_typical(s, &row, total);
    }
    *ret_id = draw(s, philox_uniform(input->seed, input->pos) * total);
    return 0;
}

// ---- log probabilities --------------------------------------------------------------------------------------------

// Puts the k first-ranking candidates in order (k is at most a few dozen).
static void sort_first(struct sampler_candidate *c, size_t k)
{
    for (size_t i = 1; i < k; i++) {
        for (size_t at = i; at > 0 && ranks_before(c[at], c[at - 1]); at--) {
            swap(&c[at], &c[at - 1]);
        }
    }
}

static double log_sum(struct sampler *s, const float *logits, float max)
{
    double total = 0;
    for (size_t b = 0; b < s->n_blocks; b++) {
        total += s->isa->block_exp(block_logits(s, logits, b), max, 1, &s->weights[b * BLOCK]);
    }
    return (double)max + log(total);
}

size_t sampler_logprobs(struct sampler *s, const struct sampler_input *input, int32_t id, size_t n_top,
                        struct token_prob *ret)
{
    const float *logits = input->logits;
    struct row row = { .logits = logits, .max = find_maximum(s, logits, input->maxima), .scale = 1 };
    double log_total = log_sum(s, logits, row.max);
    ret[0] = (struct token_prob){ id, (float)((double)logits[id] - log_total) };
    n_top = n_top < s->n_vocab ? n_top : s->n_vocab;
    if (n_top == 0) {
        return 1;
    }
    size_t n = gather_candidates(s, &row, top_k_bound(s, n_top), false);
    n_top = n_top < n ? n_top : n; // what is not a number is nowhere
    select_first(s->candidates, n, n_top);
    sort_first(s->candidates, n_top);
    for (size_t i = 0; i < n_top; i++) {
        ret[1 + i] = (struct token_prob){ s->candidates[i].id, (float)((double)s->candidates[i].logit - log_total) };
    }
    return 1 + n_top;
}

uint32_t sampler_rank(const struct sampler *s, const float *logits, int32_t id)
{
    float logit = logits[id];
    uint32_t n = 1;
    for (int32_t i = 0; i < id; i++) {
        n += logits[i] >= logit;
    }
    for (size_t i = (size_t)id + 1; i < s->n_vocab; i++) {
        n += logits[i] > logit;
    }
    return n;
}
