// One token from each row of logits (backend.h, op_sample): what engine/serve/sampler.c does on the host, without a
// sort.
//
//   log probabilities  of the raw row: its sum in double, in a fixed order; the most probable by selection
//   edits, mask        biases, bans and penalties in place, a few per row; the grammar's mask as the row is read
//   select             the last token that top_k or top_p keep, by a histogram of how far tokens are below the maximum,
//                      then by the bits of the logits within one bucket, 11 at a time, then by id among equal logits
//   draw               the first token, in order of id, with more mass before its end than u times all of it: masses of
//                      a range for each warp, then the same within the range that has it
//
// Masses are whole numbers, 2^-44 of the most probable token's: sums of them do not depend on their order, so a row's
// token depends on that row alone, however many threads and CTAs there are. Weights are the host's, bit for bit; the
// host sums them in double. So greedy and top_k are exact, and a draw is the host's unless it falls within 2^-26 of the
// border between two tokens (what is less probable than 2^-44 of the best is never drawn). Random numbers are the
// host's: Philox4x32-10 of (seed, position).
//
// A CTA per row. It reads the row once for the maximum and once for the draw, and for top_k or top_p four times more;
// at 128,256 tokens that is 0.5 MB each time, out of L2, by one processor: about 5 us each at 100 GB/s (a guess; not
// measured).
#include "kernels/cuda/kernels.h"

#define THREADS_MAX   1024
#define LEVEL_BITS    11
#define N_BINS        (1 << LEVEL_BITS)
#define N_BUCKETS     1024
#define BUCKET_STEPS  32.0f // to the factor e: the last bucket is 32 times that deep, where no mass is left
#define N_PARTS       64    // of the bins, when one is looked for
#define MASS_ONE      0x1p44f
#define N_LEVELS      3
#define PER_WARP_STOP 128 // ids: a range that one warp walks

struct sample_run {
    float *logits; // [n_rows][n_vocab]
    const struct gpu_sample_row *rows;
    const unsigned char *extra; // masks and edits
    struct sample_result *results;
    struct sample_top *tops;
    uint32_t n_vocab;
};

// Tokens by bin: how many, and their mass.
template <int N> struct histogram {
    uint64_t mass[N];
    uint32_t count[N];
};

struct sample_shared {
    struct histogram<N_BUCKETS> buckets;
    struct histogram<N_BINS> bins;
    uint64_t part_mass[N_PARTS], warp_mass[32];
    double warp_sum[32];
    uint32_t part_count[N_PARTS];
    float warp_best[32];
    uint32_t warp_id[32];
    uint64_t mass_before; // what find_bin found
    uint32_t bin, count_before;
    uint32_t range_begin, range_end; // what locate has narrowed down
    uint64_t range_before;
    uint32_t found, n_gathered;
    int32_t top_ids[SAMPLE_TOP_MAX];
    float top_logits[SAMPLE_TOP_MAX];
    float raw;
};

struct row_view {
    const float *x;
    const uint64_t *mask; // [ceil(n / 64)] or NULL
    uint32_t n;
    float max, scale, bound; // bound: what is below does not count
};

// ---- a token -------------------------------------------------------------------------------------------------------

// What is not a number counts as -infinity; both zeros are one.
static __device__ __forceinline__ float logit_at(const struct row_view *v, uint32_t i)
{
    float x = v->x[i];
    bool may_come = !v->mask || (v->mask[i / 64] >> i % 64 & 1);
    return may_come && x == x ? x + 0.0f : -INFINITY;
}

static __device__ __forceinline__ bool counts(const struct row_view *v, float x)
{
    return x >= v->bound && x > -INFINITY;
}

// Grows with x.
static __device__ __forceinline__ uint32_t key_of(float x)
{
    uint32_t bits = __float_as_uint(x);
    return bits >> 31 ? ~bits : bits | UINT32_C(1) << 31;
}

// exp((x - max) * scale) as engine/serve/sampler_body.h computes it: each operation rounded by itself.
static __device__ float weight_of(const struct row_view *v, float x)
{
    float a = gpu_mul(gpu_add(x, -v->max), v->scale);
    if (!(a > -87.0f)) {
        return 0.0f;
    }
    float n = gpu_add(gpu_mul(a, 1.44269504088896341f), 12582912.0f);
    uint32_t power = (__float_as_uint(n) - 0x4B400000u + 127u) << 23;
    n = gpu_add(n, -12582912.0f);
    float r = gpu_add(gpu_add(a, -gpu_mul(n, 0.693359375f)), gpu_mul(n, 2.12194440e-4f));
    float p = gpu_add(gpu_mul(r, 1.9875691500e-4f), 1.3981999507e-3f);
    p = gpu_add(gpu_mul(p, r), 8.3334519073e-3f);
    p = gpu_add(gpu_mul(p, r), 4.1665795894e-2f);
    p = gpu_add(gpu_mul(p, r), 1.6666665459e-1f);
    p = gpu_add(gpu_mul(p, r), 5.0000001201e-1f);
    p = gpu_add(gpu_add(gpu_mul(gpu_mul(p, r), r), r), 1.0f);
    return gpu_mul(p, __uint_as_float(power));
}

static __device__ __forceinline__ uint64_t mass_of(const struct row_view *v, float x)
{
    return counts(v, x) ? (uint64_t)(weight_of(v, x) * MASS_ONE) : 0;
}

// Falls with x, the same for equal ones.
static __device__ __forceinline__ uint32_t bucket_of(const struct row_view *v, float x)
{
    float depth = gpu_mul(gpu_mul(gpu_add(v->max, -x), v->scale), BUCKET_STEPS);
    return depth < (float)(N_BUCKETS - 1) ? (uint32_t)depth : N_BUCKETS - 1;
}

// ---- all threads ---------------------------------------------------------------------------------------------------

static __device__ __forceinline__ uint64_t warp_sum_u64(uint64_t x)
{
    for (int distance = GPU_WARP / 2; distance > 0; distance /= 2) {
        uint32_t low = __shfl_xor_sync(0xffffffffu, (uint32_t)x, distance);
        uint32_t high = __shfl_xor_sync(0xffffffffu, (uint32_t)(x >> 32), distance);
        x += (uint64_t)high << 32 | low;
    }
    return x;
}

static __device__ __forceinline__ bool is_better(float a, uint32_t a_id, float b, uint32_t b_id)
{
    return a > b || (a == b && a_id < b_id);
}

// The largest logit, the first of them: *ret_id.
static __device__ float find_best(struct sample_shared *s, const struct row_view *v, uint32_t *ret_id)
{
    float best = -INFINITY;
    uint32_t id = UINT32_MAX, lane = threadIdx.x % GPU_WARP, warp = threadIdx.x / GPU_WARP;
    for (uint32_t i = threadIdx.x; i < v->n; i += blockDim.x) {
        float x = logit_at(v, i);
        id = x > best ? i : id;
        best = x > best ? x : best;
    }
    for (int distance = GPU_WARP / 2; distance > 0; distance /= 2) {
        float other = __shfl_xor_sync(0xffffffffu, best, distance);
        uint32_t other_id = __shfl_xor_sync(0xffffffffu, id, distance);
        id = is_better(other, other_id, best, id) ? other_id : id;
        best = other > best ? other : best;
    }
    if (lane == 0) {
        s->warp_best[warp] = best;
        s->warp_id[warp] = id;
    }
    __syncthreads();
    best = s->warp_best[0];
    id = s->warp_id[0];
    for (uint32_t w = 1; w < blockDim.x / GPU_WARP; w++) {
        id = is_better(s->warp_best[w], s->warp_id[w], best, id) ? s->warp_id[w] : id;
        best = s->warp_best[w] > best ? s->warp_best[w] : best;
    }
    __syncthreads();
    *ret_id = id;
    return best;
}

static __device__ double cta_sum(struct sample_shared *s, double x)
{
    s->bins.mass[threadIdx.x] = gpu_double_bits(x); // as many as there are threads at most
    __syncthreads();
    for (uint32_t half = blockDim.x / 2; half >= GPU_WARP / 2; half /= 2) {
        if (threadIdx.x < half) {
            double sum = gpu_double(s->bins.mass[threadIdx.x]) + gpu_double(s->bins.mass[threadIdx.x + half]);
            s->bins.mass[threadIdx.x] = gpu_double_bits(sum);
        }
        __syncthreads();
    }
    double total = 0;
    for (int i = 0; i < GPU_WARP / 2; i++) {
        total += gpu_double(s->bins.mass[i]);
    }
    __syncthreads();
    return total;
}

// ---- select --------------------------------------------------------------------------------------------------------

// The last token that stays, by rank: logits downwards, then ids upwards.
struct cut {
    uint32_t key, n_ties; // how many of those with this logit stay
    uint32_t n_ties_all;
    uint64_t mass; // of all that stay
};

template <int N> static __device__ void clear(struct histogram<N> *h)
{
    for (uint32_t i = threadIdx.x; i < N; i += blockDim.x) {
        h->count[i] = 0;
        h->mass[i] = 0;
    }
    __syncthreads();
}

template <int N> static __device__ __forceinline__ void count(struct histogram<N> *h, uint32_t bin, uint64_t mass)
{
    atomicAdd(&h->count[bin], 1u);
    if (mass > 0) {
        gpu_atomic_add(&h->mass[bin], mass);
    }
}

static __device__ void fill_buckets(struct sample_shared *s, const struct row_view *v)
{
    clear(&s->buckets);
    for (uint32_t i = threadIdx.x; i < v->n; i += blockDim.x) {
        float x = logit_at(v, i);
        if (counts(v, x)) {
            count(&s->buckets, bucket_of(v, x), mass_of(v, x));
        }
    }
    __syncthreads();
}

// The first bin up to whose end there are `target` tokens, or that mass. There is one.
template <int N>
static __device__ void find_bin(struct sample_shared *s, const struct histogram<N> *h, bool by_mass, uint64_t target)
{
    const uint32_t length = N / N_PARTS;
    for (uint32_t part = threadIdx.x; part < N_PARTS; part += blockDim.x) {
        s->part_mass[part] = s->part_count[part] = 0;
        for (uint32_t i = part * length; i < (part + 1) * length; i++) {
            s->part_mass[part] += h->mass[i];
            s->part_count[part] += h->count[i];
        }
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        uint32_t part = 0, n = 0, last = N - 1;
        uint64_t mass = 0;
        while (part + 1 < N_PARTS && (by_mass ? mass + s->part_mass[part] : n + s->part_count[part]) < target) {
            mass += s->part_mass[part];
            n += s->part_count[part++];
        }
        uint32_t bin = part * length;
        while (bin < last && (by_mass ? mass + h->mass[bin] : n + h->count[bin]) < target) {
            mass += h->mass[bin];
            n += h->count[bin++];
        }
        s->bin = bin;
        s->mass_before = mass;
        s->count_before = n;
    }
    __syncthreads();
}

// Within the found bucket, the tokens whose key begins with `prefix`, by the next bits of their keys.
static __device__ void fill_bins(struct sample_shared *s, const struct row_view *v, uint32_t bucket, uint32_t prefix,
                                 uint32_t shift, uint32_t bits)
{
    clear(&s->bins);
    for (uint32_t i = threadIdx.x; i < v->n; i += blockDim.x) {
        float x = logit_at(v, i);
        uint32_t key = key_of(x);
        bool is_in = counts(v, x) && bucket_of(v, x) == bucket;
        if (is_in && (shift + bits == 32 || key >> (shift + bits) == prefix)) {
            count(&s->bins, (UINT32_C(1) << bits) - 1 - (key >> shift & ((UINT32_C(1) << bits) - 1)), mass_of(v, x));
        }
    }
    __syncthreads();
}

// The fewest tokens of highest rank that are `target` many, or that have that mass; all have more. The buckets are
// filled.
static __device__ struct cut select(struct sample_shared *s, const struct row_view *v, bool by_mass, uint64_t target)
{
    struct cut cut = { 0, 0, 0, 0 };
    find_bin(s, &s->buckets, by_mass, target);
    uint32_t bucket = s->bin, shift = 32;
    uint64_t before = 0;
    for (int level = 0; level <= N_LEVELS; level++) {
        uint64_t n = by_mass ? s->mass_before : s->count_before;
        before += n;
        cut.mass += s->mass_before;
        __syncthreads();
        if (level == N_LEVELS) {
            break;
        }
        uint32_t bits = shift < LEVEL_BITS ? shift : LEVEL_BITS;
        shift -= bits;
        fill_bins(s, v, bucket, cut.key, shift, bits);
        find_bin(s, &s->bins, by_mass, target - before);
        cut.key = cut.key << bits | ((UINT32_C(1) << bits) - 1 - s->bin);
    }
    uint32_t bin = s->bin; // of tokens with one logit, hence one mass
    cut.n_ties_all = s->bins.count[bin];
    uint64_t each = s->bins.mass[bin] / cut.n_ties_all, left = target - before;
    uint64_t n_ties = by_mass ? (left + each - 1) / (each > 0 ? each : 1) : left;
    cut.n_ties = n_ties < cut.n_ties_all ? (uint32_t)n_ties : cut.n_ties_all;
    cut.mass += cut.n_ties * each;
    __syncthreads();
    return cut;
}

// ---- locate --------------------------------------------------------------------------------------------------------

// What is added up in order of id: the masses of what stays, or the tokens at the cut.
struct summand {
    struct cut cut;
    uint32_t last_tie; // id of the last of them that stays
    bool is_tie_count;
};

static __device__ __forceinline__ uint64_t value_at(const struct row_view *v, const struct summand *sum, uint32_t i)
{
    float x = logit_at(v, i);
    uint32_t key = key_of(x);
    if (sum->is_tie_count) {
        return counts(v, x) && key == sum->cut.key;
    }
    return key > sum->cut.key || (key == sum->cut.key && i <= sum->last_tie) ? mass_of(v, x) : 0;
}

// One warp: the first id of [begin, end) up to which there is more than `target`, counted from `before`.
static __device__ void walk(struct sample_shared *s, const struct row_view *v, const struct summand *sum,
                            uint64_t target)
{
    uint32_t lane = threadIdx.x, begin = s->range_begin, end = s->range_end, last = UINT32_MAX;
    uint64_t before = s->range_before;
    for (uint32_t at = begin; at < end; at += GPU_WARP) {
        uint64_t own = at + lane < end ? value_at(v, sum, at + lane) : 0, upto = own;
        for (unsigned distance = 1; distance < GPU_WARP; distance *= 2) {
            uint32_t source = lane >= distance ? lane - distance : lane;
            uint32_t low = __shfl_sync(0xffffffffu, (uint32_t)upto, source);
            uint32_t high = __shfl_sync(0xffffffffu, (uint32_t)(upto >> 32), source);
            upto += lane >= distance ? (uint64_t)high << 32 | low : 0;
        }
        uint32_t reached = __ballot_sync(0xffffffffu, before + upto > target);
        uint32_t there = __ballot_sync(0xffffffffu, own > 0);
        if (reached) {
            last = at + (uint32_t)gpu_first_bit(reached);
            break;
        }
        last = there ? at + (uint32_t)gpu_last_bit(there) : last;
        before += (uint64_t)__shfl_sync(0xffffffffu, (uint32_t)(upto >> 32), 31) << 32 |
                  __shfl_sync(0xffffffffu, (uint32_t)upto, 31);
    }
    if (lane == 0) {
        s->found = last;
    }
}

// The first id up to which the sum is above `target`.
static __device__ uint32_t locate(struct sample_shared *s, const struct row_view *v, const struct summand *sum,
                                  uint64_t target)
{
    uint32_t lane = threadIdx.x % GPU_WARP, warp = threadIdx.x / GPU_WARP, n_warps = blockDim.x / GPU_WARP;
    if (threadIdx.x == 0) {
        s->range_begin = 0;
        s->range_end = v->n;
        s->range_before = 0;
    }
    __syncthreads();
    for (uint32_t begin = 0, end = v->n; end - begin > PER_WARP_STOP;) {
        uint32_t length = ((end - begin + n_warps - 1) / n_warps + GPU_WARP - 1) / GPU_WARP * GPU_WARP;
        uint64_t mass = 0;
        for (uint32_t i = begin + warp * length + lane; i < end && i < begin + (warp + 1) * length; i += GPU_WARP) {
            mass += value_at(v, sum, i);
        }
        mass = warp_sum_u64(mass);
        if (lane == 0) {
            s->warp_mass[warp] = mass;
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            uint32_t w = 0;
            uint64_t before = s->range_before;
            while (w + 1 < n_warps && before + s->warp_mass[w] <= target) {
                before += s->warp_mass[w++];
            }
            s->range_begin = begin + w * length < end ? begin + w * length : end;
            s->range_end = begin + (w + 1) * length < end ? begin + (w + 1) * length : end;
            s->range_before = before;
        }
        __syncthreads();
        bool is_smaller = s->range_end - s->range_begin < end - begin;
        begin = s->range_begin;
        end = s->range_end;
        __syncthreads();
        if (!is_smaller) {
            break;
        }
    }
    if (warp == 0) {
        walk(s, v, sum, target);
    }
    __syncthreads();
    uint32_t found = s->found;
    __syncthreads();
    return found;
}

// ---- draw ----------------------------------------------------------------------------------------------------------

struct philox_block {
    uint32_t word[4];
};

// Philox4x32-10 (Salmon et al., SC 2011): 53 bits, as engine/serve/philox.h takes them.
static __device__ uint64_t random_bits(uint64_t seed, uint64_t pos)
{
    struct philox_block c = { { (uint32_t)pos, (uint32_t)(pos >> 32), 0, 0 } };
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c.word[0], p1 = (uint64_t)0xCD9E8D57u * c.word[2];
        c = { { (uint32_t)(p1 >> 32) ^ c.word[1] ^ key0, (uint32_t)p1, (uint32_t)(p0 >> 32) ^ c.word[3] ^ key1,
                (uint32_t)p0 } };
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return ((uint64_t)c.word[1] << 32 | c.word[0]) >> 11;
}

static __device__ uint64_t mass_of_buckets(struct sample_shared *s, uint32_t *ret_count)
{
    uint64_t mass = 0;
    uint32_t n = 0;
    find_bin(s, &s->buckets, true, ~UINT64_C(0)); // fills the parts
    for (int part = 0; part < N_PARTS; part++) {
        mass += s->part_mass[part];
        n += s->part_count[part];
    }
    __syncthreads();
    *ret_count = n;
    return mass;
}

static __device__ uint64_t mass_of_row(struct sample_shared *s, const struct row_view *v)
{
    uint64_t mass = 0;
    for (uint32_t i = threadIdx.x; i < v->n; i += blockDim.x) {
        mass += mass_of(v, logit_at(v, i));
    }
    mass = warp_sum_u64(mass);
    if (threadIdx.x % GPU_WARP == 0) {
        s->warp_mass[threadIdx.x / GPU_WARP] = mass;
    }
    __syncthreads();
    mass = 0;
    for (uint32_t w = 0; w < blockDim.x / GPU_WARP; w++) {
        mass += s->warp_mass[w];
    }
    __syncthreads();
    return mass;
}

// What stays. All that counts where neither top_k nor top_p take anything away.
static __device__ struct cut find_cut(struct sample_shared *s, const struct row_view *v,
                                      const struct gpu_sample_row *row)
{
    struct cut cut = { 0, 0, 0, 0 };
    if (row->top_k == 0 && row->top_p >= 1) {
        cut.mass = mass_of_row(s, v);
        return cut;
    }
    uint32_t n;
    fill_buckets(s, v);
    cut.mass = mass_of_buckets(s, &n);
    if (row->top_k > 0 && row->top_k < n) {
        cut = select(s, v, false, row->top_k);
    }
    if (row->top_p < 1) {
        uint64_t target = (uint64_t)ceil(row->top_p * (double)cut.mass);
        target = target > cut.mass ? cut.mass : target;
        cut = select(s, v, true, target > 0 ? target : 1);
    }
    return cut;
}

static __device__ int32_t draw(struct sample_shared *s, const struct row_view *v, const struct gpu_sample_row *row)
{
    struct summand sum = { find_cut(s, v, row), UINT32_MAX, true };
    if (sum.cut.n_ties < sum.cut.n_ties_all) {
        sum.last_tie = locate(s, v, &sum, sum.cut.n_ties - 1);
    }
    sum.is_tie_count = false;
    uint64_t target = gpu_mul_high(random_bits(row->seed, row->pos) << 11, sum.cut.mass);
    return (int32_t)locate(s, v, &sum, target);
}

// ---- edits, log probabilities --------------------------------------------------------------------------------------

static __device__ float edited(float x, const struct sample_edit *edit, const struct gpu_sample_row *row)
{
    double y = (double)gpu_add(x, edit->bias);
    uint32_t n_sampled = edit->seen & ~SAMPLE_IN_WINDOW;
    if (edit->seen & SAMPLE_IN_WINDOW) {
        y = y > 0 ? y / row->repetition_penalty : gpu_mul(y, row->repetition_penalty);
    }
    if (n_sampled > 0) {
        y = gpu_add(y, -gpu_add(gpu_mul(row->frequency_penalty, (double)n_sampled), row->presence_penalty));
    }
    return (float)y;
}

static __device__ void apply_edits(float *x, struct sample_edit *edits, const struct gpu_sample_row *row)
{
    for (uint32_t i = threadIdx.x; i < row->n_edits; i += blockDim.x) {
        edits[i].raw = x[edits[i].id];
        x[edits[i].id] = edited(edits[i].raw, &edits[i], row);
    }
    __syncthreads();
}

// The n most probable, best first.
static __device__ void tell_top(struct sample_shared *s, const struct row_view *v, uint32_t n_wanted, double log_total,
                                struct sample_top *top)
{
    uint32_t n;
    struct summand sum = { { 0, 0, 0, 0 }, UINT32_MAX, true };
    fill_buckets(s, v);
    mass_of_buckets(s, &n);
    if (n_wanted < n) {
        sum.cut = select(s, v, false, n_wanted);
        sum.last_tie = sum.cut.n_ties < sum.cut.n_ties_all ? locate(s, v, &sum, sum.cut.n_ties - 1) : UINT32_MAX;
    }
    if (threadIdx.x == 0) {
        s->n_gathered = 0;
    }
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < v->n; i += blockDim.x) {
        float x = logit_at(v, i);
        uint32_t key = key_of(x);
        if (counts(v, x) && (key > sum.cut.key || (key == sum.cut.key && i <= sum.last_tie))) {
            uint32_t at = atomicAdd(&s->n_gathered, 1u);
            s->top_ids[at] = (int32_t)i;
            s->top_logits[at] = x;
        }
    }
    __syncthreads();
    n = s->n_gathered;
    for (uint32_t i = threadIdx.x; i < n; i += blockDim.x) {
        uint32_t rank = 0;
        for (uint32_t j = 0; j < n; j++) {
            rank += is_better(s->top_logits[j], (uint32_t)s->top_ids[j], s->top_logits[i], (uint32_t)s->top_ids[i]);
        }
        top->ids[rank] = s->top_ids[i];
        top->logprobs[rank] = (float)((double)s->top_logits[i] - log_total);
    }
    if (threadIdx.x == 0) {
        top->n = n;
    }
    __syncthreads();
}

// Of the row as the model gave it. Returns the logarithm of what all e^logit add up to.
static __device__ double tell_probs(struct sample_shared *s, struct row_view v, uint32_t n_top, struct sample_top *top)
{
    uint32_t id;
    v.max = find_best(s, &v, &id);
    v.scale = 1.0f;
    double sum = 0;
    for (uint32_t i = threadIdx.x; i < v.n; i += blockDim.x) {
        sum += (double)weight_of(&v, logit_at(&v, i));
    }
    double log_total = (double)v.max + log(cta_sum(s, sum));
    if (n_top > 0) {
        tell_top(s, &v, n_top, log_total, top);
    }
    return log_total;
}

static __device__ float raw_logit(struct sample_shared *s, const float *x, const struct sample_edit *edits,
                                  uint32_t n_edits, int32_t id)
{
    if (threadIdx.x == 0) {
        s->raw = x[id];
    }
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < n_edits; i += blockDim.x) {
        if (edits[i].id == id) {
            s->raw = edits[i].raw;
        }
    }
    __syncthreads();
    return s->raw;
}

// ---- kernel --------------------------------------------------------------------------------------------------------

static __global__ void __launch_bounds__(THREADS_MAX) sample(struct sample_run run)
{
    gpu_begin();
    GPU_SHARED(struct sample_shared, shared);
    const struct gpu_sample_row row = run.rows[blockIdx.x];
    if (row.flags & SAMPLE_IS_PADDING) {
        return;
    }
    float *x = run.logits + (size_t)blockIdx.x * run.n_vocab;
    struct sample_edit *edits = (struct sample_edit *)(run.extra + row.edits_at);
    struct row_view v = { x, NULL, run.n_vocab, 0.0f, row.scale, -INFINITY };
    double log_total = 0;
    if (row.flags & SAMPLE_WANTS_PROBS) {
        log_total = tell_probs(&shared, v, row.n_top, &run.tops[blockIdx.x]);
    }
    apply_edits(x, edits, &row);
    v.mask = row.flags & SAMPLE_HAS_MASK ? (const uint64_t *)(run.extra + row.mask_at) : NULL;
    uint32_t best;
    v.max = find_best(&shared, &v, &best);
    int32_t id = -1;
    if (v.max > -INFINITY && v.max < INFINITY) {
        v.bound = row.scale > 0 ? gpu_add(v.max, row.log_min_p / row.scale) : -INFINITY;
        id = row.scale > 0 ? draw(&shared, &v, &row) : (int32_t)best;
    }
    float logprob = 0.0f;
    if (id >= 0 && row.flags & SAMPLE_WANTS_PROBS) {
        logprob = (float)((double)raw_logit(&shared, x, edits, row.n_edits, id) - log_total);
    }
    if (threadIdx.x == 0) {
        run.results[blockIdx.x].id = id;
        run.results[blockIdx.x].logprob = logprob;
    }
}

// A warp has 32 tokens at least, so that small vocabularies do not wait for many idle threads.
static unsigned n_threads_for(size_t n_vocab)
{
    unsigned n = GPU_WARP;
    while (n < THREADS_MAX && n_vocab > 4 * (size_t)n) {
        n *= 2;
    }
    return n;
}

void gpu_sample(gpu_queue queue, const struct gpu_sample *args)
{
    assert(args->n_vocab > 0 && args->n_vocab < INT32_MAX);
    struct sample_run run = { args->logits,  args->rows, (const unsigned char *)args->extra,
                              args->results, args->tops, (uint32_t)args->n_vocab };
    gpu_launch_early(queue, sample, dim3((unsigned)args->n_rows), n_threads_for(args->n_vocab), 0, run);
}
