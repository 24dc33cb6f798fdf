// Tokens drawn by the CUDA backend, over a model of a GPU on the host (or, for tools/gpu-check, on one), against those
// of the host's sampler: the same for every filter, edit and mask, and the same whatever rows are drawn together.
#include "engine/serve/device_draws.h"
#include "kernels/cuda/cuda.h"
#include "tests/unit.h"
#include <errno.h>
#include <math.h>
#include <string.h>

#define N_VOCAB_MAX 3000
#define N_ROWS      6
#define N_ROUNDS    40

struct fixture {
    struct backend *backend;
    float *device;
};

static int open_backend(void **state)
{
    static struct fixture fixture;
    const struct backend_options options = { .n_threads = 1 };
    struct err err = { 0 };
    int r = cuda_backend_open(&options, &fixture.backend, &err);
    if (r < 0) { // on a machine without a GPU, built for one
        fprintf(stderr, "%s\n", err.msg);
        exit(r == -EOPNOTSUPP ? TEST_EXIT_SKIP : 1);
    }
    fixture.device = fixture.backend->ops->alloc(fixture.backend, N_ROWS * N_VOCAB_MAX * sizeof(float));
    *state = &fixture;
    return 0;
}

static int close_backend(void **state)
{
    struct fixture *f = *state;
    f->backend->ops->free(f->backend, f->device);
    f->backend->ops->close(f->backend);
    return 0;
}

static uint32_t random_below(uint64_t *rng, uint32_t n)
{
    *rng = *rng * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*rng >> 33) * n >> 31);
}

static double uniform(uint64_t *rng)
{
    return random_below(rng, 1 << 30) / (double)(1 << 30);
}

// Peaked, flat, or of few different values, so that many are equal.
static void fill_row(uint64_t *rng, float *row, size_t n)
{
    uint32_t kind = random_below(rng, 4);
    for (size_t i = 0; i < n; i++) {
        double x = (uniform(rng) + uniform(rng) + uniform(rng) - 1.5) * (kind == 0 ? 20 : 4);
        row[i] = kind == 1 ? (float)random_below(rng, 3) - 1 : kind == 2 ? (float)(uniform(rng) * 1e-3) : (float)x;
        row[i] = kind == 3 && random_below(rng, 50) == 0 ? -INFINITY : row[i];
        row[i] = random_below(rng, 500) == 0 ? NAN : row[i];
        row[i] = row[i] == 0 && random_below(rng, 2) ? -0.0f : row[i];
    }
}

struct request {
    struct sampling_params params;
    struct logit_bias bias[4];
    int32_t banned[3], tokens[40];
    bool wants_probs;
    uint32_t n_top;
};

static struct sampler_input random_request(uint64_t *rng, struct request *r, size_t n_vocab, const float *logits)
{
    sampling_params_default(&r->params);
    r->params.temperature = random_below(rng, 4) == 0 ? 0 : 0.2 + 2 * uniform(rng);
    r->params.top_k = random_below(rng, 2) ? 0 : 1 + random_below(rng, random_below(rng, 2) ? 50 : 4000);
    r->params.top_p = random_below(rng, 2) ? 1 : 0.01 + 0.98 * uniform(rng);
    r->params.min_p = random_below(rng, 3) ? 0 : 0.2 * uniform(rng);
    for (size_t i = 0; i < 4; i++) {
        r->bias[i] = (struct logit_bias){ (int32_t)(i * n_vocab / 4), random_below(rng, 3) ? 3.3f : -INFINITY };
    }
    r->params.bias = r->bias;
    r->params.n_bias = random_below(rng, 2) * 4;
    if (random_below(rng, 2)) {
        r->params.repetition_penalty = 1.3;
        r->params.repetition_window = random_below(rng, 30);
        r->params.frequency_penalty = 0.37;
        r->params.presence_penalty = -0.21;
    }
    for (size_t i = 0; i < 40; i++) {
        r->tokens[i] = (int32_t)random_below(rng, random_below(rng, 2) && n_vocab > 9 ? 9 : (uint32_t)n_vocab);
    }
    for (size_t i = 0; i < 3; i++) {
        r->banned[i] = (int32_t)random_below(rng, (uint32_t)n_vocab);
    }
    r->wants_probs = random_below(rng, 2);
    r->n_top = random_below(rng, 3) ? 0 : random_below(rng, SAMPLE_TOP_MAX + 1);
    return (struct sampler_input){ .logits = logits,
                                   .params = &r->params,
                                   .seed = random_below(rng, 1 << 30),
                                   .pos = random_below(rng, 1 << 20),
                                   .bans = { { r->banned, random_below(rng, 4) } },
                                   .tokens = r->tokens,
                                   .n_prompt = 13,
                                   .n_tokens = 40 };
}

static void expect_probs(struct sampler *sampler, const struct sampler_input *input, const struct request *r,
                         const struct sample_results *drawn, size_t row)
{
    struct token_prob probs[1 + SAMPLE_TOP_MAX];
    size_t n = sampler_logprobs(sampler, input, drawn->rows[row].id, r->n_top, probs);
    assert_float_equal(drawn->rows[row].logprob, probs[0].logprob, 1e-5f);
    if (r->n_top == 0) {
        return;
    }
    assert_int_equal(drawn->tops[row].n + 1, n);
    for (size_t i = 0; i + 1 < n; i++) {
        assert_int_equal(drawn->tops[row].ids[i], probs[1 + i].id);
        if (isfinite(probs[1 + i].logprob)) {
            assert_float_equal(drawn->tops[row].logprobs[i], probs[1 + i].logprob, 1e-5f);
        }
    }
}

// All rows at once, and the first one alone once more.
static void draw_on_device(struct fixture *f, const float *logits, size_t n_vocab, const struct device_draws *draws,
                           size_t n_rows, unsigned turn)
{
    f->backend->ops->upload(f->backend, f->device, logits, n_rows * n_vocab * sizeof(*logits));
    const struct op_sample op = {
        .logits = f->device, .rows = draws->rows, .n_rows = n_rows, .n_vocab = n_vocab, .turn = turn
    };
    f->backend->ops->sample(f->backend, &op);
}

static void run_round(struct fixture *f, uint64_t *rng, size_t n_vocab)
{
    struct sampler sampler;
    struct device_draws draws;
    struct request requests[N_ROWS];
    struct sampler_input inputs[N_ROWS];
    float *logits = malloc(N_ROWS * n_vocab * sizeof(*logits));
    assert_int_equal(sampler_init(&sampler, n_vocab), 0);
    assert_int_equal(device_draws_init(&draws, n_vocab, N_ROWS), 0);
    for (size_t i = 0; i < N_ROWS; i++) {
        fill_row(rng, logits + i * n_vocab, n_vocab);
        inputs[i] = random_request(rng, &requests[i], n_vocab, logits + i * n_vocab);
        assert_true(device_draws_add(&draws, &inputs[i], 0, requests[i].wants_probs, requests[i].n_top));
    }
    draw_on_device(f, logits, n_vocab, &draws, N_ROWS, 0);
    draw_on_device(f, logits, n_vocab, &draws, 1, 1);
    struct sample_results alone = f->backend->ops->drawn(f->backend, 1);
    struct sample_results drawn = f->backend->ops->drawn(f->backend, 0);
    assert_int_equal(alone.rows[0].id, drawn.rows[0].id);
    for (size_t i = 0; i < N_ROWS; i++) {
        int32_t id = -1;
        int rc = sampler_draw(&sampler, &inputs[i], &id);
        assert_true(rc == 0 || rc == -EDOM);
        if (id != drawn.rows[i].id) {
            fail_msg("vocabulary %zu, row %zu: %d, not %d (top_k %lld, top_p %g, min_p %g)", n_vocab, i,
                     drawn.rows[i].id, id, (long long)requests[i].params.top_k, requests[i].params.top_p,
                     requests[i].params.min_p);
        }
        if (rc == 0 && requests[i].wants_probs) {
            expect_probs(&sampler, &inputs[i], &requests[i], &drawn, i);
        }
    }
    device_draws_deinit(&draws);
    sampler_deinit(&sampler);
    free(logits);
}

static void test_device_draws_are_the_hosts(void **state)
{
    static const size_t vocabs[] = { 1, 31, 64, 100, 257, 1000, N_VOCAB_MAX };
    uint64_t rng = 7;
    for (int round = 0; round < N_ROUNDS; round++) {
        run_round(*state, &rng, vocabs[(size_t)round % (sizeof(vocabs) / sizeof(*vocabs))]);
    }
}

// A mask is -infinity for all that it does not name.
static void test_device_draws_mask_is_kept(void **state)
{
    struct fixture *f = *state;
    uint64_t rng = 11, mask[8] = { 0 };
    const size_t n_vocab = 500;
    float logits[500], masked[500];
    struct sampler sampler;
    struct sampling_params params;
    sampling_params_default(&params);
    assert_int_equal(sampler_init(&sampler, n_vocab), 0);
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < n_vocab; i++) {
            bool may_come = random_below(&rng, 20) == 0;
            logits[i] = (float)(6 * uniform(&rng));
            masked[i] = may_come ? logits[i] : -INFINITY;
            mask[i / 64] = (mask[i / 64] & ~(UINT64_C(1) << i % 64)) | (uint64_t)may_come << i % 64;
        }
        struct sampler_input input = { .logits = masked, .params = &params, .seed = 3, .pos = (uint64_t)round };
        struct device_draws draws;
        assert_int_equal(device_draws_init(&draws, n_vocab, 1), 0);
        assert_true(device_draws_add(&draws, &input, 0, false, 0));
        draws.rows[0].mask = mask;
        draw_on_device(f, logits, n_vocab, &draws, 1, 0);
        int32_t id;
        assert_int_equal(sampler_draw(&sampler, &input, &id), 0);
        assert_int_equal(f->backend->ops->drawn(f->backend, 0).rows[0].id, id);
        device_draws_deinit(&draws);
    }
    sampler_deinit(&sampler);
}

// What stays for the host to draw.
// A step ahead draws more rows than any before it, while the step's own tokens wait to be read.
static void test_device_draws_outlast_more_rows(void **state)
{
    enum { FEW = 3, MANY = 1000, N_VOCAB = 8 };
    struct fixture *f = *state;
    struct backend *b = f->backend;
    struct sample_row rows[MANY];
    float *logits = calloc(MANY * N_VOCAB, sizeof(*logits)), *device = b->ops->alloc(b, MANY * N_VOCAB * sizeof(float));
    assert_true(logits && device);
    for (size_t i = 0; i < MANY; i++) {
        rows[i] = (struct sample_row){ .top_p = 1, .wants_probs = i == 1, .n_top = i == 1 ? 2 : 0 };
        logits[i * N_VOCAB + i % N_VOCAB] = 1;
    }
    b->ops->upload(b, device, logits, MANY * N_VOCAB * sizeof(float));
    struct op_sample op = { .logits = device, .rows = rows, .n_rows = FEW, .n_vocab = N_VOCAB };
    b->ops->sample(b, &op);
    op.n_rows = MANY;
    op.turn = 1;
    b->ops->sample(b, &op);
    struct sample_results few = b->ops->drawn(b, 0), many = b->ops->drawn(b, 1);
    assert_non_null(few.tops);
    assert_int_equal(few.tops[1].n, 2);
    assert_int_equal(few.tops[1].ids[0], 1);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(many.rows[i].id, i % N_VOCAB);
        assert_int_equal(i < FEW ? few.rows[i].id : 0, i < FEW ? (int)(i % N_VOCAB) : 0);
    }
    b->ops->free(b, device);
    free(logits);
}

static void test_device_draws_refuses_what_it_cannot(void **state)
{
    (void)state;
    struct device_draws draws;
    struct sampling_params params;
    const int32_t tokens[] = { 1, 2 };
    sampling_params_default(&params);
    struct sampler_input input = { .params = &params, .tokens = tokens, .n_prompt = 1, .n_tokens = 2 };
    assert_int_equal(device_draws_init(&draws, 10, 4), 0);
    assert_true(device_draws_add(&draws, &input, 0, false, 0));
    assert_true(device_draws_add(&draws, &input, 3, false, 0));
    assert_int_equal(draws.rows[1].pos, input.pos + 3);
    params.typical_p = 0.5;
    assert_false(device_draws_add(&draws, &input, 0, false, 0));
    params.typical_p = 1;
    params.presence_penalty = 1;
    assert_false(device_draws_add(&draws, &input, 1, false, 0)); // a guess that is right changes it
    draws.n_edits = DEVICE_EDITS_MAX;
    assert_false(device_draws_add(&draws, &input, 0, false, 0));
    draws.n_edits = 0;
    assert_true(device_draws_add(&draws, &input, 0, false, 0));
    assert_int_equal(draws.n_rows, 3);
    assert_int_equal(draws.rows[2].n_edits, 1);
    device_draws_deinit(&draws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device_draws_outlast_more_rows), // before there is room for so many
        cmocka_unit_test(test_device_draws_are_the_hosts),
        cmocka_unit_test(test_device_draws_mask_is_kept),
        cmocka_unit_test(test_device_draws_refuses_what_it_cannot),
    };
    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
