// Sampling without sorting the vocabulary. Owned and called by the engine thread; refuses rows without a finite
// maximum.
//
// The row is seen as blocks of 64 logits. One pass takes each block's maximum; almost everything after that looks only
// at the blocks that can matter. The work is in two halves that share nothing but one number:
//
//   find_cut   the lowest-ranking token that the filters keep. Rank: logit downwards, then id upwards (a strict order).
//              A lower bound of the cut (from min_p, from the k-th largest block maximum, or from the mass) selects few
//              candidates; selection among them is quickselect, by count or mass.
//   draw       inverse CDF over the kept tokens in order of id: block sums first, then one block.
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

#define BLOCK 64

struct sampler_candidate {
    float logit;
    int32_t id;
    float weight; // set when top_p needs it
};

int sampler_init(struct sampler *s, size_t n_vocab)
{
    assert(n_vocab > 0);
    *s = (struct sampler){ .n_vocab = n_vocab, .n_blocks = (n_vocab + BLOCK - 1) / BLOCK };
    s->weights = calloc(s->n_blocks * BLOCK, sizeof(float));
    s->block_max = calloc(s->n_blocks, sizeof(float));
    s->masked = calloc(n_vocab, sizeof(float));
    s->tail = calloc(BLOCK, sizeof(float));
    s->block_sum = calloc(s->n_blocks, sizeof(double));
    s->candidates = calloc(n_vocab, sizeof(*s->candidates));
    if (!s->weights || !s->block_max || !s->masked || !s->tail || !s->block_sum || !s->candidates) {
        sampler_deinit(s);
        return -ENOMEM;
    }
    return 0;
}

void sampler_deinit(struct sampler *s)
{
    free(s->weights);
    free(s->block_max);
    free(s->masked);
    free(s->tail);
    free(s->block_sum);
    free(s->candidates);
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

static float block_maximum(const float *restrict x)
{
    float max[16];
    for (int lane = 0; lane < 16; lane++) {
        max[lane] = x[lane];
    }
    for (int i = 16; i < BLOCK; i += 16) {
        for (int lane = 0; lane < 16; lane++) {
            max[lane] = x[i + lane] > max[lane] ? x[i + lane] : max[lane];
        }
    }
    for (int lane = 1; lane < 16; lane++) {
        max[0] = max[lane] > max[0] ? max[lane] : max[0];
    }
    return max[0];
}

static float find_maximum(struct sampler *s, const float *logits)
{
    float max = -INFINITY;
    fill_tail(s, logits);
    for (size_t b = 0; b < s->n_blocks; b++) {
        s->block_max[b] = block_maximum(block_logits(s, logits, b));
        max = s->block_max[b] > max ? s->block_max[b] : max;
    }
    return max;
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

// 16 lanes, whatever the processor's width: the compiler splits them.
typedef float lanes __attribute__((vector_size(64)));
typedef int32_t lanes_i32 __attribute__((vector_size(64)));

// w[i] = exp((x[i] - max) * scale) for x[i] <= max, 0 below exp(-87). Cody-Waite reduction by ln 2 and a polynomial of
// degree 6 (Cephes' expf). Comparisons give masks instead of branches.
static void block_exp(const float *restrict x, float max, float scale, float *restrict w)
{
    for (int i = 0; i < BLOCK; i += 16) {
        lanes a;
        memcpy(&a, x + i, sizeof(a));
        a = (a - max) * scale;
        lanes_i32 keep = a > -87.0f;
        a = (lanes)((lanes_i32)a & keep);
        lanes n = a * 1.44269504088896341f + 12582912.0f; // 1.5 * 2^23: rounds to the nearest whole number
        lanes_i32 power = (((lanes_i32)n - 0x4B400000 + 127) << 23) & keep; // 2^n, or 0
        n -= 12582912.0f;
        lanes r = a - n * 0.693359375f + n * 2.12194440e-4f;
        lanes p = r * 1.9875691500e-4f + 1.3981999507e-3f;
        p = p * r + 8.3334519073e-3f;
        p = p * r + 4.1665795894e-2f;
        p = p * r + 1.6666665459e-1f;
        p = p * r + 5.0000001201e-1f;
        p = (p * r * r + r + 1.0f) * (lanes)power;
        memcpy(w + i, &p, sizeof(p));
    }
}

static double block_total(const float *w)
{
    float sum[16] = { 0 };
    for (int i = 0; i < BLOCK; i += 16) {
        for (int lane = 0; lane < 16; lane++) {
            sum[lane] += w[i + lane];
        }
    }
    double total = 0;
    for (int lane = 0; lane < 16; lane++) {
        total += (double)sum[lane];
    }
    return total;
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

static double mass_from(const struct sampler *s, const struct row *row, float bound)
{
    double mass = 0;
    for (size_t b = 0; b < s->n_blocks; b++) {
        const float *x = block_logits(s, row->logits, b);
        for (size_t i = 0; s->block_max[b] >= bound && i < BLOCK; i++) {
            mass += x[i] >= bound ? (double)s->weights[b * BLOCK + i] : 0;
        }
    }
    return mass;
}

// A value such that the logits from it upwards hold the mass that top_p wants; *ret_total is the mass of the whole row.
static float top_p_bound(struct sampler *s, const struct row *row, double *ret_total)
{
    double total = 0;
    for (size_t b = 0; b < s->n_blocks; b++) {
        block_exp(block_logits(s, row->logits, b), row->max, row->scale, &s->weights[b * BLOCK]);
        total += block_total(&s->weights[b * BLOCK]);
    }
    *ret_total = total;
    for (float depth = 4; depth <= 32; depth *= 2) {
        float bound = row->max - depth / row->scale;
        if (mass_from(s, row, bound) > row->params->top_p * total * (1 + 1e-6)) {
            return bound;
        }
    }
    return -INFINITY;
}

static size_t gather_candidates(struct sampler *s, const struct row *row, float bound)
{
    size_t n = 0;
    for (size_t b = 0; b < s->n_blocks; b++) {
        if (s->block_max[b] < bound) {
            continue;
        }
        const float *x = block_logits(s, row->logits, b);
        float *w = &s->weights[b * BLOCK];
        if (row->params->top_p < 1) {
            block_exp(x, row->max, row->scale, w);
        }
        size_t left = s->n_vocab - b * BLOCK;
        for (size_t i = 0; i < BLOCK && i < left; i++) {
            if (x[i] >= bound) {
                s->candidates[n++] = (struct sampler_candidate){ x[i], (int32_t)(b * BLOCK + i), w[i] };
            }
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

static struct sampler_candidate last_of(const struct sampler_candidate *c, size_t n)
{
    struct sampler_candidate last = c[0];
    for (size_t i = 1; i < n; i++) {
        last = ranks_before(last, c[i]) ? c[i] : last;
    }
    return last;
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
    bool is_whole_row = k == 0 && params->min_p <= 0;
    double total = 0;
    if (is_whole_row) {
        bound = top_p_bound(s, row, &total);
    } else if (k > 0) {
        bound = fmaxf(bound, top_k_bound(s, k));
    }
    size_t n = gather_candidates(s, row, bound);
    if (k > 0 && k < n) {
        select_first(s->candidates, n, k);
        n = k;
    }
    if (params->top_p < 1) {
        total = is_whole_row ? total : mass_of(s->candidates, n);
        n = select_mass(s->candidates, n, params->top_p * total);
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
    block_exp(x, row->max, row->scale, w);
    int32_t first_id = (int32_t)(block * BLOCK);
    for (int32_t i = 0; i < BLOCK; i++) {
        bool keep = x[i] > cut.logit || (x[i] == cut.logit && first_id + i <= cut.id);
        w[i] = keep ? w[i] : 0.0f;
    }
    return block_total(w);
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

static int32_t draw(struct sampler *s, const struct row *row, struct sampler_candidate cut, double u)
{
    double total = 0;
    for (size_t b = 0; b < s->n_blocks; b++) {
        s->block_sum[b] = weigh_block(s, row, cut, b);
        total += s->block_sum[b];
    }
    double target = u * total, below = 0;
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

static const float *apply_ban(struct sampler *s, const float *logits, struct sampler_ban ban)
{
    if (ban.n == 0) {
        return logits;
    }
    memcpy(s->masked, logits, s->n_vocab * sizeof(*logits));
    for (size_t i = 0; i < ban.n; i++) {
        if (ban.ids[i] >= 0 && (size_t)ban.ids[i] < s->n_vocab) {
            s->masked[ban.ids[i]] = -INFINITY;
        }
    }
    return s->masked;
}

int sampler_draw(struct sampler *s, const float *logits, const struct sampling_params *params, struct sampler_ban ban,
                 uint64_t pos, int32_t *ret_id)
{
    struct row row = { .logits = apply_ban(s, logits, ban), .params = params };
    row.max = find_maximum(s, row.logits);
    if (!isfinite(row.max)) {
        return -EDOM;
    }
    if (params->temperature < SAMPLER_TEMPERATURE_MIN) {
        *ret_id = first_id_of(s, row.logits, row.max);
        return 0;
    }
    row.scale = (float)(1.0 / params->temperature);
    *ret_id = draw(s, &row, find_cut(s, &row), philox_uniform(params->seed, pos));
    return 0;
}
