// The engine on the CUDA backend, over a model of a GPU on the host: answers that the device draws.
#define ANSWER_TOKENS_MAX 64
#define ANSWER_TEXT_MAX   4096
#define ENGINE_TEST_DTYPE "bf16"
#include "tests/serve/engine_test.h"

#include <errno.h>
#include <math.h>

static const char *model_dir;

#define N_MANY 8

struct request {
    int32_t prompt[24];
    size_t n_prompt;
    struct tokfs_sampling sampling;
};

static const struct tokfs_logit_bias BIASES[] = { { 17, 6 }, { 400, -INFINITY } };
static const int32_t STOP_IDS[] = { 1, 2, 3 };

static struct request request(uint32_t i)
{
    struct request r = { .n_prompt = 1 + (i * 37) % 23 };
    for (size_t t = 0; t < r.n_prompt; t++) {
        r.prompt[t] = (int32_t)((i / 2 * 7919 + t * 104729 + t * t) % 990);
    }
    r.sampling = (struct tokfs_sampling){
        .temperature = i % 3 == 0 ? 0 : 0.5 + i % 4,
        .top_p = i % 4 == 1 ? 0.9 : 1,
        .top_k = i % 5 == 2 ? 20 : 0,
        .min_p = i % 7 == 3 ? 0.01 : 0,
        .typical_p = i % 8 == 5 ? 0.7 : 0, // the host draws these
        .repetition_penalty = i % 5 == 3 ? 1.3 : 0,
        .frequency_penalty = i % 6 == 1 ? 0.7 : 0,
        .logit_bias = BIASES,
        .n_logit_bias = i % 9 == 2 ? 2 : 0,
        .stop_token_ids = STOP_IDS,
        .n_stop_token_ids = i % 11 == 7 ? 3 : 0,
        .min_tokens = i % 11 == 7 ? 5 : 0,
        .logprobs = i % 4 == 3,
        .top_logprobs = i % 8 == 3 ? 20 : 0,
        .seed = i,
        .max_tokens = 3 + (i * 67) % 7,
        .ignore_eos = true,
    };
    return r;
}

static void submit(struct tokfs_engine *engine, uint32_t i, struct answer *answer)
{
    struct request r = request(i);
    struct tokfs_error error;
    answer->probs = calloc(ANSWER_TOKENS_MAX, sizeof(*answer->probs));
    assert_int_equal(
        tokfs_submit_tokens(engine, r.prompt, r.n_prompt, &r.sampling, answer, &answer->completion, &error), 0);
}

static struct answer *run_together(struct tokfs_engine_options options)
{
    options.model = model_dir;
    options.n_threads = 1;
    struct tokfs_engine *engine = engine_test_open(options);
    struct answer *answers = answers_new(N_MANY);
    for (uint32_t i = 0; i < N_MANY; i++) {
        submit(engine, i, &answers[i]);
    }
    engine_test_finish(engine, answers, N_MANY);
    tokfs_engine_close(engine);
    return answers;
}

static void free_answers(struct answer *answers)
{
    for (uint32_t i = 0; i < N_MANY; i++) {
        free(answers[i].probs);
    }
    free(answers);
}

static void expect_same(const struct answer *a, const struct answer *b)
{
    for (uint32_t i = 0; i < N_MANY; i++) {
        answers_equal(&a[i], &b[i]);
        assert_int_equal(a[i].n_probs, b[i].n_probs);
        for (size_t t = 0; t < a[i].n_ids; t++) {
            for (size_t k = 0; k < a[i].n_probs; k++) {
                assert_int_equal(a[i].probs[t][k].id, b[i].probs[t][k].id);
                assert_memory_equal(&a[i].probs[t][k].logprob, &b[i].probs[t][k].logprob, sizeof(float));
            }
        }
    }
}

static struct tokfs_engine_options deterministic(void)
{
    return (struct tokfs_engine_options){ .device = "cuda", .deterministic = true };
}

// Alone, together, in chunks, without guesses and without a cache: bit for bit.
static void test_device_deterministic_answers_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    struct tokfs_engine_options options = deterministic();
    options.max_sequences = 5;
    options.batch_tokens = 13;
    struct answer *together = run_together(options);
    options.max_sequences = 1;
    options.no_speculation = options.no_prefix_cache = true;
    struct answer *alone = run_together(options);
    expect_same(alone, together);
    assert_string_equal(together[0].reason, "length");
    free_answers(together);
    free_answers(alone);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device_deterministic_answers_do_not_depend_on_the_batch),
    };
    assert(argc > 1);
    model_dir = engine_test_model(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
