// The sampler against a float64 reference that sorts everything, and against statistics with fixed seeds.
#include "engine/serve/philox.h"
#include "engine/serve/sampler.h"

#include "tests/unit.h"
#include <errno.h>
#include <math.h>
#include <string.h>

#define N_VOCAB_MAX 5000

static int draw_from(struct sampler *s, const float *logits, const struct sampling_params *params, uint64_t pos,
                     int32_t *ret_id)
{
    const struct sampler_input input = { .logits = logits, .params = params, .seed = params->seed, .pos = pos };
    return sampler_draw(s, &input, ret_id);
}

static struct sampling_params params(double temperature, int64_t top_k, double top_p, double min_p)
{
    return (struct sampling_params){
        .temperature = temperature, .top_k = top_k, .top_p = top_p, .min_p = min_p, .has_seed = true, .seed = 1
    };
}

// Logits with a shape like a model's (a few large ones, a long tail) or flat, and with ties.
static void fill_logits(float *logits, size_t n, uint64_t seed, double spread)
{
    for (size_t i = 0; i < n; i++) {
        double u = philox_uniform(seed, i);
        logits[i] = (float)(spread * -log(1 - u) - 3);
        if (i % 7 == 0) {
            logits[i] = roundf(logits[i]); // ties
        }
    }
}

static void test_philox_known_answers_match(void **state)
{
    (void)state; // the generator's published test vectors
    struct philox_block zero = philox((struct philox_block){ { 0, 0, 0, 0 } }, 0, 0);
    const uint32_t want_zero[4] = { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 };
    assert_memory_equal(zero.word, want_zero, sizeof(want_zero));
    struct philox_block ones = philox((struct philox_block){ { ~0u, ~0u, ~0u, ~0u } }, ~0u, ~0u);
    const uint32_t want_ones[4] = { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd };
    assert_memory_equal(ones.word, want_ones, sizeof(want_ones));
    struct philox_block pi =
        philox((struct philox_block){ { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 } }, 0xa4093822, 0x299f31d0);
    const uint32_t want_pi[4] = { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 };
    assert_memory_equal(pi.word, want_pi, sizeof(want_pi));
}

static void test_sampler_greedy_takes_the_lowest_id_of_a_tie(void **state)
{
    (void)state;
    struct sampler s;
    float logits[200] = { 0 };
    logits[70] = logits[71] = logits[199] = 5;
    assert_int_equal(sampler_init(&s, 200), 0);
    struct sampling_params p = params(0, 0, 1, 0);
    int32_t id;
    assert_int_equal(draw_from(&s, logits, &p, 0, &id), 0);
    assert_int_equal(id, 70);
    logits[199] = 6; // in the last, unfilled block
    assert_int_equal(draw_from(&s, logits, &p, 0, &id), 0);
    assert_int_equal(id, 199);
    const int32_t banned[] = { 199, 70 };
    const struct sampler_input input = { .logits = logits, .params = &p, .bans = { { banned, 1 }, { banned + 1, 1 } } };
    assert_int_equal(sampler_draw(&s, &input, &id), 0);
    assert_int_equal(id, 71);
    sampler_deinit(&s);
}

static void test_sampler_no_finite_logit_is_an_error(void **state)
{
    (void)state;
    struct sampler s;
    float logits[100];
    int32_t id = -7;
    struct sampling_params p = params(1, 0, 0.5, 0);
    assert_int_equal(sampler_init(&s, 100), 0);
    for (int i = 0; i < 100; i++) {
        logits[i] = -INFINITY;
    }
    assert_int_equal(draw_from(&s, logits, &p, 0, &id), -EDOM);
    logits[3] = NAN;
    assert_int_equal(draw_from(&s, logits, &p, 0, &id), -EDOM);
    logits[3] = INFINITY;
    assert_int_equal(draw_from(&s, logits, &p, 0, &id), -EDOM);
    assert_int_equal(id, -7);
    logits[3] = -50; // the only one
    assert_int_equal(draw_from(&s, logits, &p, 0, &id), 0);
    assert_int_equal(id, 3);
    sampler_deinit(&s);
}

// ---- reference ----------------------------------------------------------------------------------------------------

static const float *sort_logits; // for qsort

static int by_rank(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    float lx = sort_logits[x], ly = sort_logits[y];
    return lx > ly ? -1 : lx < ly ? 1 : x < y ? -1 : 1;
}

static const double *sort_distance; // for qsort

static int by_distance(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    double dx = sort_distance[x], dy = sort_distance[y];
    return dx < dy ? -1 : dx > dy ? 1 : x < y ? -1 : 1;
}

// Locally typical sampling as it is written down: those nearest to the entropy, until their mass is reached.
static void reference_typical(size_t n, double typical_p, double *prob)
{
    static double distance[N_VOCAB_MAX];
    static int32_t order[N_VOCAB_MAX];
    size_t n_left = 0, n_kept = 0;
    double entropy = 0, mass = 0;
    for (size_t i = 0; i < n; i++) {
        entropy -= prob[i] > 0 ? prob[i] * log(prob[i]) : 0;
    }
    for (size_t i = 0; i < n; i++) {
        distance[i] = fabs(-log(prob[i]) - entropy);
        if (prob[i] > 0) {
            order[n_left++] = (int32_t)i;
        }
    }
    sort_distance = distance;
    qsort(order, n_left, sizeof(*order), by_distance);
    while (n_kept < n_left && mass < typical_p) {
        mass += prob[order[n_kept++]];
    }
    for (size_t i = 0; i < n_left; i++) {
        prob[order[i]] = i < n_kept ? prob[order[i]] / mass : 0;
    }
}

// Probabilities in float64 after temperature, min_p, top_k, top_p: everything sorted, no shortcuts.
static void reference(const float *logits, size_t n, const struct sampling_params *p, double *ret_prob)
{
    static int32_t order[N_VOCAB_MAX];
    for (size_t i = 0; i < n; i++) {
        order[i] = (int32_t)i;
        ret_prob[i] = 0;
    }
    sort_logits = logits;
    qsort(order, n, sizeof(*order), by_rank);
    double max = logits[order[0]];
    size_t n_kept = n;
    while (p->min_p > 0 && exp((logits[order[n_kept - 1]] - max) / p->temperature) < p->min_p) {
        n_kept--;
    }
    if (p->top_k > 0 && (size_t)p->top_k < n_kept) {
        n_kept = (size_t)p->top_k;
    }
    double total = 0, mass = 0;
    for (size_t i = 0; i < n_kept; i++) {
        total += exp((logits[order[i]] - max) / p->temperature);
    }
    size_t n_top = 0;
    while (n_top < n_kept && (mass < p->top_p * total || p->top_p >= 1)) {
        mass += exp((logits[order[n_top++]] - max) / p->temperature);
    }
    for (size_t i = 0; i < n_top; i++) {
        ret_prob[order[i]] = exp((logits[order[i]] - max) / p->temperature) / mass;
    }
    if (p->typical_p > 0 && p->typical_p < 1) {
        reference_typical(n, p->typical_p, ret_prob);
    }
}

static int32_t reference_draw(const double *prob, size_t n, double u, double *ret_margin)
{
    double below = 0;
    int32_t last = -1;
    for (size_t i = 0; i < n; i++) {
        if (prob[i] > 0) {
            last = (int32_t)i;
            below += prob[i];
            if (below > u) {
                break;
            }
        }
    }
    double down = u - (below - prob[last]), up = below - u;
    *ret_margin = down < up ? down : up;
    return last;
}

static const struct sampling_params CASES[] = {
    { .temperature = 1, .top_p = 1 },
    { .temperature = 0.3, .top_p = 1 },
    { .temperature = 5, .top_p = 1 },
    { .temperature = 1, .top_p = 1, .top_k = 1 },
    { .temperature = 1, .top_p = 1, .top_k = 7 },
    { .temperature = 1, .top_p = 1, .top_k = 300 },
    { .temperature = 1, .top_p = 1, .top_k = 100000 },
    { .temperature = 1, .top_p = 0.9 },
    { .temperature = 0.7, .top_p = 0.5 },
    { .temperature = 2, .top_p = 0.99 },
    { .temperature = 1, .top_p = 1e-9 },
    { .temperature = 1, .top_p = 0.999999 },
    { .temperature = 1, .top_p = 1, .min_p = 0.05 },
    { .temperature = 1.5, .top_p = 1, .min_p = 1 },
    { .temperature = 0.8, .top_p = 0.95, .top_k = 40, .min_p = 0.01 },
    { .temperature = 3, .top_p = 0.8, .top_k = 1000 },
    { .temperature = 1, .top_p = 0.6, .min_p = 0.02 },
    { .temperature = 1, .top_p = 1, .typical_p = 0.5 },
    { .temperature = 1.3, .top_p = 1, .typical_p = 0.95 },
    { .temperature = 0.8, .top_p = 0.9, .top_k = 100, .typical_p = 0.4 },
    { .temperature = 1, .top_p = 1, .min_p = 0.01, .typical_p = 1e-9 },
};

// For each case and many positions: the same token, except where the float64 sums say that u lies on a border.
static void test_sampler_every_filter_matches_the_reference(void **state)
{
    (void)state;
    static float logits[N_VOCAB_MAX];
    static double prob[N_VOCAB_MAX];
    const size_t sizes[] = { 1, 3, 64, 65, 512, 5000 };
    size_t n_borders = 0, n_draws = 0;
    for (size_t z = 0; z < sizeof(sizes) / sizeof(*sizes); z++) {
        struct sampler s;
        assert_int_equal(sampler_init(&s, sizes[z]), 0);
        for (size_t c = 0; c < sizeof(CASES) / sizeof(*CASES); c++) {
            fill_logits(logits, sizes[z], c + 100 * z, c % 2 == 0 ? 2.0 : 0.2);
            struct sampling_params p = CASES[c];
            p.seed = 1000 + c;
            reference(logits, sizes[z], &p, prob);
            for (uint64_t pos = 0; pos < 200; pos++, n_draws++) {
                int32_t id;
                double margin;
                assert_int_equal(draw_from(&s, logits, &p, pos, &id), 0);
                int32_t want = reference_draw(prob, sizes[z], philox_uniform(p.seed, pos), &margin);
                assert_true(prob[id] > 0);
                if (id != want) {
                    assert_true(margin < 1e-6);
                    n_borders++;
                }
            }
        }
        sampler_deinit(&s);
    }
    assert_true(n_borders * 200 < n_draws);
}

static void test_sampler_all_equal_logits_keep_the_lowest_ids(void **state)
{
    (void)state;
    static float logits[N_VOCAB_MAX];
    struct sampler s;
    assert_int_equal(sampler_init(&s, N_VOCAB_MAX), 0);
    struct sampling_params p = params(1, 10, 1, 0), q = params(1, 0, 0.001, 0);
    for (uint64_t pos = 0; pos < 300; pos++) {
        int32_t id;
        assert_int_equal(draw_from(&s, logits, &p, pos, &id), 0);
        assert_in_range(id, 0, 9);
        assert_int_equal(draw_from(&s, logits, &q, pos, &id), 0);
        assert_in_range(id, 0, 5); // 5 of 5000, and one more if the sums round down
    }
    sampler_deinit(&s);
}

// Chi-square over 40 classes, fixed seeds: below the 99.9% quantile of 39 degrees of freedom (72.1); the control, with
// another temperature, far above it.
static double chi_square(struct sampler *s, const float *logits, const struct sampling_params *p, const double *prob)
{
    enum { N = 40, DRAWS = 40000 };
    double count[N] = { 0 }, sum = 0;
    for (uint64_t pos = 0; pos < DRAWS; pos++) {
        int32_t id;
        assert_int_equal(draw_from(s, logits, p, pos, &id), 0);
        count[id]++;
    }
    for (int i = 0; i < N; i++) {
        double expected = prob[i] * DRAWS;
        sum += (count[i] - expected) * (count[i] - expected) / expected;
    }
    return sum;
}

static void test_sampler_distribution_passes_chi_square(void **state)
{
    (void)state;
    float logits[40];
    double prob[40];
    struct sampler s;
    fill_logits(logits, 40, 5, 0.8);
    assert_int_equal(sampler_init(&s, 40), 0);
    struct sampling_params p = params(0.9, 0, 1, 0), other = params(1.1, 0, 1, 0);
    reference(logits, 40, &p, prob);
    for (uint64_t seed = 0; seed < 5; seed++) {
        p.seed = seed;
        assert_true(chi_square(&s, logits, &p, prob) < 72.1);
    }
    assert_true(chi_square(&s, logits, &other, prob) > 150);
    sampler_deinit(&s);
}

static void test_sampler_draw_depends_on_seed_and_position_only(void **state)
{
    (void)state;
    static float logits[N_VOCAB_MAX], noise[N_VOCAB_MAX];
    struct sampler a, b;
    int32_t ids[50], id;
    fill_logits(logits, N_VOCAB_MAX, 9, 0.5);
    fill_logits(noise, N_VOCAB_MAX, 10, 2);
    assert_int_equal(sampler_init(&a, N_VOCAB_MAX), 0);
    assert_int_equal(sampler_init(&b, N_VOCAB_MAX), 0);
    struct sampling_params p = params(1, 0, 0.95, 0);
    size_t n_other = 0;
    for (uint64_t pos = 0; pos < 50; pos++) {
        assert_int_equal(draw_from(&a, logits, &p, pos, &ids[pos]), 0);
    }
    for (uint64_t pos = 50; pos-- > 0;) { // backwards, other rows in between, another sampler
        assert_int_equal(draw_from(&b, noise, &p, pos, &id), 0);
        assert_int_equal(draw_from(&b, logits, &p, pos, &id), 0);
        assert_int_equal(id, ids[pos]);
        struct sampling_params q = p;
        q.seed = 2;
        assert_int_equal(draw_from(&b, logits, &q, pos, &id), 0);
        n_other += id != ids[pos];
    }
    assert_true(n_other > 40);
    sampler_deinit(&a);
    sampler_deinit(&b);
}

static void test_sampler_every_instruction_set_draws_the_same(void **state)
{
    (void)state;
    static float logits[N_VOCAB_MAX];
    static const char *const names[] = { "base", "avx2", "avx512" };
    struct sampler best, other;
    assert_int_equal(sampler_init(&best, N_VOCAB_MAX), 0);
    assert_int_equal(sampler_init(&other, N_VOCAB_MAX), 0);
    assert_false(sampler_use_isa(&other, "abacus"));
    for (size_t n = 0; n < 3; n++) {
        if (!sampler_use_isa(&other, names[n])) {
            printf("skipped: no %s here\n", names[n]);
            continue;
        }
        for (size_t c = 0; c < sizeof(CASES) / sizeof(*CASES); c++) {
            fill_logits(logits, N_VOCAB_MAX, c, c % 2 == 0 ? 2.0 : 0.2);
            for (uint64_t pos = 0; pos < 20; pos++) {
                int32_t a, b;
                assert_int_equal(draw_from(&best, logits, &CASES[c], pos, &a), 0);
                assert_int_equal(draw_from(&other, logits, &CASES[c], pos, &b), 0);
                assert_int_equal(a, b);
                assert_memory_equal(best.weights, other.weights, N_VOCAB_MAX * sizeof(float));
            }
        }
    }
    sampler_deinit(&best);
    sampler_deinit(&other);
}

// ---- biases and penalties -----------------------------------------------------------------------------------------

#define N_SMALL 40

static const struct logit_bias BIASES[] = { { 3, 2.5f }, { 5, -1.5f }, { 7, -INFINITY }, { 39, 100 }, { 12, -100 } };
static const int32_t TIMELINE[] = { 1, 2, 2, 3, 8, 8, 8, 2, 9, 1, 8, 14, 3 }; // a prompt of 5, 8 sampled
#define N_PROMPT   5
#define N_TIMELINE (sizeof(TIMELINE) / sizeof(*TIMELINE))

// Each id by itself, counting anew: what vLLM's documentation says, in its order.
static double reference_logit(float logit, int32_t id, const struct sampling_params *p)
{
    double x = logit;
    for (size_t i = 0; i < p->n_bias; i++) {
        x += p->bias[i].id == id ? (double)p->bias[i].bias : 0;
    }
    size_t n_sampled = 0, begin = p->repetition_window > 0 ? N_TIMELINE - (size_t)p->repetition_window : 0;
    bool is_seen = false;
    for (size_t i = 0; i < N_TIMELINE; i++) {
        n_sampled += TIMELINE[i] == id && i >= N_PROMPT;
        is_seen = is_seen || (TIMELINE[i] == id && i >= begin);
    }
    if (is_seen && p->repetition_penalty > 0) {
        x = x > 0 ? x / p->repetition_penalty : x * p->repetition_penalty;
    }
    return x - p->frequency_penalty * (double)n_sampled - (n_sampled > 0 ? p->presence_penalty : 0);
}

static const struct sampling_params ADJUST_CASES[] = {
    { .temperature = 1, .top_p = 1, .repetition_penalty = 1.7 },
    { .temperature = 1, .top_p = 1, .repetition_penalty = 0.6 },
    { .temperature = 1, .top_p = 1, .repetition_penalty = 2, .repetition_window = 3 },
    { .temperature = 1, .top_p = 1, .frequency_penalty = 0.8 },
    { .temperature = 1, .top_p = 1, .frequency_penalty = -0.5 },
    { .temperature = 1, .top_p = 1, .presence_penalty = 1.5 },
    { .temperature = 1, .top_p = 1, .bias = BIASES, .n_bias = 3 },
    { .temperature = 1, .top_p = 1, .bias = BIASES, .n_bias = 5 },
    { .temperature = 0.7,
      .top_p = 0.9,
      .top_k = 20,
      .repetition_penalty = 1.2,
      .frequency_penalty = 0.4,
      .presence_penalty = 0.3,
      .bias = BIASES,
      .n_bias = 3 },
};
#define N_ADJUST_CASES (sizeof(ADJUST_CASES) / sizeof(*ADJUST_CASES))

static struct sampler_input timeline_input(const float *logits, const struct sampling_params *p, uint64_t pos)
{
    return (struct sampler_input){
        .logits = logits,
        .params = p,
        .seed = p->seed,
        .pos = pos,
        .tokens = TIMELINE,
        .n_prompt = N_PROMPT,
        .n_tokens = N_TIMELINE,
    };
}

static void test_sampler_biases_and_penalties_match_the_reference(void **state)
{
    (void)state;
    float logits[N_SMALL];
    struct logit_adjust adjust;
    fill_logits(logits, N_SMALL, 6, 0.8);
    assert_int_equal(logit_adjust_init(&adjust, N_SMALL), 0);
    for (size_t c = 0; c < N_ADJUST_CASES; c++) {
        struct sampler_input input = timeline_input(logits, &ADJUST_CASES[c], 0);
        const float *row = logit_adjust_apply(&adjust, &input);
        assert_true(row != logits);
        for (int32_t id = 0; id < N_SMALL; id++) {
            double want = reference_logit(logits[id], id, &ADJUST_CASES[c]);
            assert_true((isinf(want) && (double)row[id] == want) || fabs((double)row[id] - want) < 1e-5);
        }
    }
    struct sampling_params none = params(1, 0, 1, 0);
    none.repetition_penalty = 1;
    struct sampler_input input = timeline_input(logits, &none, 0);
    assert_ptr_equal(logit_adjust_apply(&adjust, &input), logits); // nothing asked, nothing done
    logit_adjust_deinit(&adjust);
}

// Chi-square over the classes that are expected at least 5 times, against the 99.9% quantile by Wilson and Hilferty's
// approximation; what has no probability is never drawn. *ret_bound is the quantile.
static double chi_square_of(struct sampler *s, const float *logits, const struct sampling_params *p, const double *prob,
                            double *ret_bound)
{
    enum { DRAWS = 20000 };
    double count[N_SMALL] = { 0 }, sum = 0, rest = 0, rest_expected = 0;
    size_t n_classes = 0;
    for (uint64_t pos = 0; pos < DRAWS; pos++) {
        struct sampler_input input = timeline_input(logits, p, pos);
        int32_t id;
        assert_int_equal(sampler_draw(s, &input, &id), 0);
        count[id]++;
    }
    for (int i = 0; i < N_SMALL; i++) {
        double expected = prob[i] * DRAWS;
        if (expected >= 5) {
            sum += (count[i] - expected) * (count[i] - expected) / expected;
            n_classes++;
        } else {
            rest += count[i];
            rest_expected += expected;
        }
    }
    if (rest_expected >= 5) {
        sum += (rest - rest_expected) * (rest - rest_expected) / rest_expected;
        n_classes++;
    } else if (rest > 0) {
        assert_true(rest_expected > 0 && rest < rest_expected + 15);
    }
    double k = n_classes > 1 ? (double)(n_classes - 1) : 1, t = 1 - 2 / (9 * k) + 3.0902 * sqrt(2 / (9 * k));
    *ret_bound = k * t * t * t;
    return sum;
}

static void expected_of(const float *logits, const struct sampling_params *p, double *ret_prob)
{
    float adjusted[N_SMALL];
    for (int32_t id = 0; id < N_SMALL; id++) {
        adjusted[id] = (float)reference_logit(logits[id], id, p);
    }
    reference(adjusted, N_SMALL, p, ret_prob);
}

// Every parameter, alone and together: drawn as often as the reference says; the control, without the parameter, is
// not.
static void test_sampler_every_parameter_passes_chi_square(void **state)
{
    (void)state;
    float logits[N_SMALL];
    double prob[N_SMALL], bound;
    struct sampler s;
    struct sampling_params plain = params(1, 0, 1, 0);
    fill_logits(logits, N_SMALL, 6, 0.8);
    assert_int_equal(sampler_init(&s, N_SMALL), 0);
    for (size_t c = 0; c < N_ADJUST_CASES; c++) {
        struct sampling_params p = ADJUST_CASES[c];
        p.seed = 70 + c;
        expected_of(logits, &p, prob);
        assert_true(chi_square_of(&s, logits, &p, prob, &bound) < bound);
    }
    expected_of(logits, &plain, prob);
    for (size_t c = 0; c < N_ADJUST_CASES; c++) {
        assert_true(chi_square_of(&s, logits, &ADJUST_CASES[c], prob, &bound) > 2 * bound);
    }
    const struct sampling_params filters[] = {
        { .temperature = 0.6, .top_p = 1 },
        { .temperature = 1, .top_p = 0.7 },
        { .temperature = 1, .top_p = 1, .top_k = 9 },
        { .temperature = 1, .top_p = 1, .min_p = 0.1 },
        { .temperature = 1, .top_p = 1, .typical_p = 0.6 },
    };
    for (size_t c = 0; c < sizeof(filters) / sizeof(*filters); c++) {
        struct sampling_params p = filters[c];
        p.seed = 90 + c;
        expected_of(logits, &plain, prob);
        assert_true(chi_square_of(&s, logits, &p, prob, &bound) > 2 * bound);
        expected_of(logits, &p, prob);
        assert_true(chi_square_of(&s, logits, &p, prob, &bound) < bound);
    }
    sampler_deinit(&s);
}

// ---- maxima that the product has found -----------------------------------------------------------------------------

static void find_maxima(const float *logits, size_t n, float *maxima)
{
    for (size_t i = 0; i < sampler_n_maxima(n); i++) {
        maxima[i] = -INFINITY;
        for (size_t j = i * MAXIMA_OUTPUTS; j < n && j < (i + 1) * MAXIMA_OUTPUTS; j++) {
            maxima[i] = logits[j] > maxima[i] ? logits[j] : maxima[i];
        }
    }
}

static void expect_same_draw(struct sampler *s, const struct sampler_input *input, const float *maxima)
{
    struct sampler_input with = *input;
    struct token_prob probs[2][6] = { 0 };
    int32_t want = -1, got = -1;
    with.maxima = maxima;
    int rc = sampler_draw(s, input, &want);
    assert_int_equal(sampler_draw(s, &with, &got), rc);
    assert_int_equal(got, want);
    if (rc == 0) {
        assert_int_equal(sampler_logprobs(s, input, want, 5, probs[0]), sampler_logprobs(s, &with, want, 5, probs[1]));
        assert_memory_equal(probs[0], probs[1], sizeof(probs[0]));
    }
}

static void test_sampler_known_maxima_change_nothing(void **state)
{
    (void)state;
    static float logits[N_VOCAB_MAX], maxima[N_VOCAB_MAX / MAXIMA_OUTPUTS + 1];
    static const char *const isas[] = { "base", "avx2", "avx512" };
    static const size_t sizes[] = { 5, 31, 32, 33, 64, 65, 96, 1023, 1024, 1025, 2050, 5000 };
    const struct sampling_params greedy = params(0, 0, 1, 0);
    for (size_t c = 0; c < 3 * sizeof(sizes) / sizeof(*sizes); c++) {
        size_t n = sizes[c / 3];
        struct sampler s;
        assert_int_equal(sampler_init(&s, n), 0);
        for (uint64_t round = 0; sampler_use_isa(&s, isas[c % 3]) && round < 24; round++) {
            struct sampler_input input = { .logits = logits, .params = &greedy, .seed = round, .pos = c };
            fill_logits(logits, n, round, round % 2 == 0 ? 2.0 : 0.2);
            logits[round * 31 % n] = round % 5 == 0 ? NAN : round % 5 == 1 ? -INFINITY : 9;
            find_maxima(logits, n, maxima);
            expect_same_draw(&s, &input, maxima);
            input.params = &CASES[round % (sizeof(CASES) / sizeof(*CASES))];
            expect_same_draw(&s, &input, maxima);
        }
        sampler_deinit(&s);
    }
}

// What a request takes from the row is not in its maxima.
static void test_sampler_maxima_of_a_changed_row_do_not_count(void **state)
{
    (void)state;
    float logits[100] = { [40] = 3, [41] = 2, [90] = 1 }, maxima[4];
    const struct sampling_params p = params(0, 0, 1, 0);
    const int32_t banned[] = { 40, 41 };
    struct sampler_input input = { .logits = logits, .maxima = maxima, .params = &p };
    struct sampler s;
    int32_t id;
    assert_int_equal(sampler_init(&s, 100), 0);
    find_maxima(logits, 100, maxima);
    assert_true(sampler_is_quick(&input));
    assert_int_equal(sampler_draw(&s, &input, &id), 0);
    assert_int_equal(id, 40);
    input.bans[0] = (struct token_set){ banned, 2 };
    assert_false(sampler_is_quick(&input));
    assert_int_equal(sampler_draw(&s, &input, &id), 0);
    assert_int_equal(id, 90);
    sampler_deinit(&s);
}

// ---- log probabilities --------------------------------------------------------------------------------------------

static void test_sampler_logprobs_match_float64(void **state)
{
    (void)state;
    static float logits[N_VOCAB_MAX];
    static int32_t order[N_VOCAB_MAX];
    const size_t sizes[] = { 1, 3, 64, 65, 512, 5000 };
    for (size_t z = 0; z < sizeof(sizes) / sizeof(*sizes); z++) {
        size_t n = sizes[z];
        struct sampler s;
        assert_int_equal(sampler_init(&s, n), 0);
        for (uint64_t round = 0; round < 20; round++) {
            double max, total = 0;
            struct token_prob probs[21];
            size_t n_top = round % 21;
            int32_t id = (int32_t)(round * 7919 % n);
            fill_logits(logits, n, round, round % 2 == 0 ? 2.0 : 0.2);
            logits[n / 2] = round == 3 && n > 1 ? -INFINITY : logits[n / 2];
            for (size_t i = 0; i < n; i++) {
                order[i] = (int32_t)i;
            }
            sort_logits = logits;
            qsort(order, n, sizeof(*order), by_rank);
            max = logits[order[0]];
            for (size_t i = 0; i < n; i++) {
                total += exp((double)logits[i] - max);
            }
            size_t want_n = 1 + (n_top < n ? n_top : n);
            const struct sampler_input input = { .logits = logits };
            assert_int_equal(sampler_logprobs(&s, &input, id, n_top, probs), want_n);
            assert_int_equal(probs[0].id, id);
            for (size_t i = 0; i < want_n; i++) {
                double want = (double)logits[probs[i].id] - max - log(total);
                assert_true(i == 0 || probs[i].id == order[i - 1]);
                assert_true((isinf(want) && isinf(probs[i].logprob)) ||
                            fabs((double)probs[i].logprob - want) < 1e-6 * (1 + fabs(want)));
            }
        }
        sampler_deinit(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_known_answers_match),
        cmocka_unit_test(test_sampler_greedy_takes_the_lowest_id_of_a_tie),
        cmocka_unit_test(test_sampler_no_finite_logit_is_an_error),
        cmocka_unit_test(test_sampler_every_filter_matches_the_reference),
        cmocka_unit_test(test_sampler_all_equal_logits_keep_the_lowest_ids),
        cmocka_unit_test(test_sampler_distribution_passes_chi_square),
        cmocka_unit_test(test_sampler_every_instruction_set_draws_the_same),
        cmocka_unit_test(test_sampler_biases_and_penalties_match_the_reference),
        cmocka_unit_test(test_sampler_every_parameter_passes_chi_square),
        cmocka_unit_test(test_sampler_known_maxima_change_nothing),
        cmocka_unit_test(test_sampler_maxima_of_a_changed_row_do_not_count),
        cmocka_unit_test(test_sampler_logprobs_match_float64),
        cmocka_unit_test(test_sampler_draw_depends_on_seed_and_position_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
