// The engine on the CUDA backend, over a model of a GPU on the host: answers that the device draws.
#define ANSWER_TOKENS_MAX 64
#define ANSWER_TEXT_MAX   4096
#define ENGINE_TEST_DTYPE "bf16"
#include "kernels/backend.h"
#include "kernels/cuda/shim/faults.h"
#include "tests/serve/engine_test.h"

#include <errno.h>
#include <math.h>
#include <tokfs/kvevent.h>

static const char *model_dir;

#define N_MANY_MAX 8
static uint32_t n_many = N_MANY_MAX; // few under a sanitizer, where the model of a GPU is slow

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

static struct tokfs_engine *open_device(struct tokfs_engine_options options)
{
    options.model = model_dir;
    options.n_threads = 1;
    return engine_test_open(options);
}

static struct answer *answer_all(struct tokfs_engine *engine)
{
    struct answer *answers = answers_new(n_many);
    for (uint32_t i = 0; i < n_many; i++) {
        submit(engine, i, &answers[i]);
    }
    engine_test_finish(engine, answers, n_many);
    return answers;
}

static struct answer *run_together(struct tokfs_engine_options options)
{
    struct tokfs_engine *engine = open_device(options);
    struct answer *answers = answer_all(engine);
    tokfs_engine_close(engine);
    return answers;
}

static void free_some(struct answer *answers, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        free(answers[i].probs);
    }
    free(answers);
}

static void free_answers(struct answer *answers)
{
    free_some(answers, n_many);
}

static void expect_same(const struct answer *a, const struct answer *b)
{
    for (uint32_t i = 0; i < n_many; i++) {
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

// The host waits for tokens, and for nothing else.
static void test_device_steps_do_not_wait_for_the_queue(void **state)
{
    (void)state;
    struct tokfs_engine *engine =
        open_device((struct tokfs_engine_options){ .device = "cuda", .no_speculation = true });
    struct answer *answers = answers_new(4);
    uint32_t n = n_many < 4 ? n_many : 4; // none with typical_p
    uint64_t n_launches = shim_n_launches(), n_syncs = shim_n_syncs();
    for (uint32_t i = 0; i < n; i++) {
        submit(engine, i, &answers[i]);
    }
    engine_test_finish(engine, answers, n);
    struct tokfs_engine_stats stats;
    tokfs_engine_get_stats(engine, &stats);
    assert_true(stats.n_steps > 2 && shim_n_launches() > n_launches + 10 * stats.n_steps);
    assert_true(2 * (shim_n_syncs() - n_syncs) < stats.n_steps); // memory that grows waits, once
    tokfs_engine_close(engine);
    for (uint32_t i = 0; i < 4; i++) {
        free(answers[i].probs);
    }
    free(answers);
}

// ---- the host tier -------------------------------------------------------------------------------------------------

#define KV_PAGE_BYTES 4096 // of the model's

// Blocks go from one tier to the other, and in the end there are as many as were not removed.
static void expect_tiers_told(struct tokfs_engine *engine, const struct tokfs_engine_stats *stats)
{
    struct tokfs_kv_event event;
    int64_t n_on_device = 0, n_on_host = 0;
    uint64_t n_to_host = 0;
    while (tokfs_kv_poll(engine, &event)) {
        assert_true(event.kind == TOKFS_KV_STORED || event.kind == TOKFS_KV_REMOVED);
        *(event.is_on_host ? &n_on_host : &n_on_device) += event.kind == TOKFS_KV_STORED ? 1 : -1;
        n_to_host += event.kind == TOKFS_KV_STORED && event.is_on_host;
        assert_true(n_on_device >= 0 && n_on_host >= 0);
    }
    assert_true(n_to_host > 0 && n_to_host <= stats->n_to_host);
    assert_true(n_on_device <= stats->n_pages_cached && n_on_host <= stats->n_host_pages_cached);
}

// So few pages that prefixes have to leave: they come back, and nobody can tell, also when the device fails meanwhile.
static void test_device_host_tier_changes_no_answer(void **state)
{
    (void)state;
    struct tokfs_engine_options options = deterministic();
    struct answer *whole = run_together(options);
    struct tokfs_engine_stats stats;
    options.n_ctx = 48;
    options.max_sequences = 2;
    options.kv_bytes = 4 * KV_PAGE_BYTES;
    options.host_kv_bytes = 64 * KV_PAGE_BYTES;
    struct tokfs_engine *engine = open_device(options);
    assert_int_equal(tokfs_kv_open(engine), 0);
    for (unsigned round = 0; round < 3; round++) {
        if (round == 2) {
            shim_fail_after(50, 1);
        }
        struct answer *answers = answer_all(engine);
        expect_same(answers, whole);
        free_answers(answers);
    }
    tokfs_engine_get_stats(engine, &stats);
    assert_int_equal(stats.n_device_restarts, 1);
    assert_int_equal(stats.n_pages_free, stats.n_pages);
    if (n_many == N_MANY_MAX) {
        assert_true(stats.n_to_host > 0 && stats.n_from_host > 0);
        expect_tiers_told(engine, &stats);
    }
    tokfs_engine_close(engine);
    free_answers(whole);
}

static void test_device_host_tier_needs_a_device(void **state)
{
    (void)state;
    struct tokfs_engine_options options = { .model = model_dir, .device = "cpu", .host_kv_bytes = 1 << 20 };
    struct tokfs_engine *engine;
    struct tokfs_error error;
    assert_int_equal(tokfs_engine_open(&options, &engine, &error), -EINVAL);
    assert_string_equal(error.param, "host_kv_bytes");
    options = (struct tokfs_engine_options){
        .model = model_dir, .device = "cuda", .n_threads = 1, .host_kv_bytes = UINT64_MAX / 2
    };
    assert_int_equal(tokfs_engine_open(&options, &engine, &error), -ENOMEM);
    assert_string_equal(error.param, "host_kv_bytes");
}

// ---- one step ahead -----------------------------------------------------------------------------------------------

#define N_PLAIN 5

// The first three need nothing of the token before; the others penalties, biases, bans.
static void submit_plain(struct tokfs_engine *engine, uint32_t i, int32_t stop_id, struct answer *a)
{
    struct request r = request(i);
    struct tokfs_error error;
    r.sampling = (struct tokfs_sampling){ .temperature = i % 3,
                                          .top_p = i == 2 ? 0.9 : 1,
                                          .repetition_penalty = i == 3 ? 1.3 : 0,
                                          .frequency_penalty = i == 4 ? 0.7 : 0,
                                          .logit_bias = BIASES,
                                          .n_logit_bias = i == 3 ? 2 : 0,
                                          .min_tokens = i == 4 ? 5 : 0,
                                          .stop_token_ids = &stop_id,
                                          .n_stop_token_ids = i % 3 == 1 && stop_id >= 0,
                                          .logprobs = i == 2,
                                          .seed = i,
                                          .max_tokens = 10 + i,
                                          .ignore_eos = true };
    a->probs = calloc(ANSWER_TOKENS_MAX, sizeof(*a->probs));
    assert_int_equal(tokfs_submit_tokens(engine, r.prompt, r.n_prompt, &r.sampling, a, &a->completion, &error), 0);
}

// fails_after 0: the device does not fail. In batches of a few rows prompts are computed beside answers, and some wait.
static struct answer *answer_plain(bool no_ahead, unsigned batch_tokens, int32_t stop_id, uint64_t fails_after)
{
    struct tokfs_engine_options options = deterministic();
    options.no_speculation = true;
    options.no_ahead = no_ahead;
    options.batch_tokens = batch_tokens;
    options.max_sequences = batch_tokens > 0 ? 4 : 0;
    struct tokfs_engine *engine = open_device(options);
    struct answer *answers = answers_new(N_PLAIN);
    struct tokfs_engine_stats stats;
    if (fails_after > 0) {
        shim_fail_after(fails_after, 1);
    }
    for (uint32_t i = 0; i < N_PLAIN; i++) {
        submit_plain(engine, i, stop_id, &answers[i]);
    }
    engine_test_finish(engine, answers, N_PLAIN);
    tokfs_engine_get_stats(engine, &stats);
    assert_int_equal(stats.n_ahead > 5, !no_ahead);
    assert_int_equal(stats.n_device_restarts, fails_after > 0);
    tokfs_engine_close(engine);
    return answers;
}

static void expect_same_plain(struct answer *got, const struct answer *want)
{
    for (uint32_t i = 0; i < N_PLAIN; i++) {
        answers_equal(&got[i], &want[i]);
        for (size_t t = 0; t < want[i].n_ids && want[i].n_probs > 0; t++) {
            assert_memory_equal(&got[i].probs[t][0].logprob, &want[i].probs[t][0].logprob, sizeof(float));
        }
    }
    free_some(got, N_PLAIN);
}

// Also of an answer that ends where nobody knew, and on a device that fails in between.
static void test_device_ahead_of_its_tokens_says_the_same(void **state)
{
    (void)state;
    struct answer *whole = answer_plain(true, 0, -1, 0);
    int32_t stop_id = whole[1].ids[5];
    struct answer *want = answer_plain(true, 0, stop_id, 0);
    assert_true(want[1].n_ids <= 6);
    expect_same_plain(answer_plain(false, 0, -1, 0), whole);
    expect_same_plain(answer_plain(false, 9, stop_id, 0), want);
    expect_same_plain(answer_plain(false, 0, stop_id, 130), want);
    free_some(whole, N_PLAIN);
    free_some(want, N_PLAIN);
}

// The first n_guided answers are JSON of a form, the others free; the form leaves no choice at times.
static struct answer *answer_guided(bool no_ahead, unsigned n_guided, unsigned n)
{
    static const char form[] = "{\"prompt\":\"Say\",\"temperature\":1.2,\"seed\":%u,\"max_tokens\":14,\"guided_regex\":"
                               "\"[{]\\\"name\\\":\\\"[a-z]{1,3}\\\",\\\"age\\\":[0-9]{2}[}]\"}";
    struct tokfs_engine_options options = deterministic();
    options.no_speculation = true;
    options.no_ahead = no_ahead;
    options.no_jump_forward = n_guided > 1;
    struct tokfs_engine *engine = open_device(options);
    struct answer *answers = answers_new(n);
    struct tokfs_engine_stats stats;
    struct tokfs_error error;
    for (unsigned i = 0; i < n; i++) {
        char body[256];
        size_t len = (size_t)snprintf(body, sizeof(body), form, i);
        struct request r = request(i);
        r.sampling = (struct tokfs_sampling){ .temperature = 1, .top_p = 1, .seed = i, .max_tokens = 6 };
        struct answer *a = &answers[i];
        assert_int_equal(
            i < n_guided ? tokfs_submit_completion(engine, body, len, a, &a->completion, &error)
                         : tokfs_submit_tokens(engine, r.prompt, r.n_prompt, &r.sampling, a, &a->completion, &error),
            0);
    }
    engine_test_finish(engine, answers, n);
    tokfs_engine_get_stats(engine, &stats);
    assert_int_equal(stats.n_ahead > 3, !no_ahead);
    assert_int_equal(stats.n_forced > 0, n_guided == 1);
    tokfs_engine_close(engine);
    return answers;
}

// Masks of grammars are told when the token before is known, and what a grammar forces comes beside a step that is
// ahead.
static void test_device_ahead_of_grammars_says_the_same(void **state)
{
    (void)state;
    const unsigned n[][2] = { { 2, 3 }, { 1, 8 } };
    for (int i = 0; i < 2; i++) {
        struct answer *want = answer_guided(true, n[i][0], n[i][1]), *got = answer_guided(false, n[i][0], n[i][1]);
        assert_memory_equal(want[0].text, "{\"name\":\"", 9);
        for (unsigned k = 0; k < n[i][1]; k++) {
            answers_equal(&got[k], &want[k]);
        }
        free(want);
        free(got);
    }
}

// ---- faults --------------------------------------------------------------------------------------------------------

static void expect_restarts(struct tokfs_engine *engine, uint64_t n)
{
    struct tokfs_engine_stats stats;
    tokfs_engine_get_stats(engine, &stats);
    assert_int_equal(stats.n_device_restarts, n);
    assert_int_equal(stats.n_pages_free, stats.n_pages);
}

// One at any time: nobody notices.
static void test_device_fault_changes_no_answer(void **state)
{
    (void)state;
    struct answer *whole = run_together(deterministic());
    for (uint64_t n = 5; n < (n_many == N_MANY_MAX ? 400 : 6); n *= 3) {
        struct tokfs_engine *engine = open_device(deterministic());
        shim_fail_after(n, 1);
        struct answer *answers = answer_all(engine);
        expect_same(answers, whole);
        expect_restarts(engine, 1);
        tokfs_engine_close(engine);
        free_answers(answers);
    }
    free_answers(whole);
}

// Again and again: who ran ends with EIO, and the engine goes on with the next.
static void test_device_second_fault_is_eio_and_the_next_request_is_answered(void **state)
{
    (void)state;
    struct tokfs_engine *engine = open_device(deterministic());
    struct answer *answers = answers_new(2);
    shim_fail_after(5, 2);
    submit(engine, 1, &answers[0]);
    engine_test_finish(engine, answers, 1);
    assert_true(answers[0].is_failed);
    assert_int_equal(answers[0].error.code, -EIO);
    assert_non_null(strstr(answers[0].error.msg, "made to fail"));
    submit(engine, 2, &answers[1]);
    engine_test_finish(engine, &answers[1], 1);
    assert_true(answers[1].is_finished);
    expect_restarts(engine, 2);
    tokfs_engine_close(engine);
    for (int i = 0; i < 2; i++) {
        free(answers[i].probs);
    }
    free(answers);
}

// The device is gone: EIO for who asks, until it is back.
static void test_device_that_is_gone_is_eio_until_it_is_back(void **state)
{
    (void)state;
    struct tokfs_engine *engine = open_device(deterministic());
    struct answer *answers = answers_new(2);
    shim_fail_after(3, 1);
    shim_refuse_open(1);
    submit(engine, 0, &answers[0]);
    engine_test_finish(engine, answers, 1);
    assert_int_equal(answers[0].error.code, -EIO);
    assert_non_null(strstr(answers[0].error.msg, "taken away"));
    while (!answers[1].is_finished) { // for a second it is not tried again
        free(answers[1].probs);
        answers[1] = (struct answer){ 0 };
        submit(engine, 1, &answers[1]);
        engine_test_finish(engine, &answers[1], 1);
    }
    expect_restarts(engine, 1);
    tokfs_engine_close(engine);
    for (int i = 0; i < 2; i++) {
        free(answers[i].probs);
    }
    free(answers);
}

// ---- memory --------------------------------------------------------------------------------------------------------

static void expect_no_memory(uint64_t bytes, uint64_t kv_bytes, const char *word)
{
    struct tokfs_engine_options options = {
        .model = model_dir, .device = "cuda", .n_threads = 1, .kv_bytes = kv_bytes
    };
    struct tokfs_engine *engine;
    struct tokfs_error error;
    shim_set_memory(bytes);
    assert_int_equal(tokfs_engine_open(&options, &engine, &error), -ENOMEM);
    print_message("%s\n", error.msg);
    assert_non_null(strstr(error.msg, word));
    shim_set_memory(UINT64_MAX);
}

// What the backend takes for itself.
static uint64_t backend_bytes(void)
{
    const struct backend_options options = { .n_threads = 1 };
    const uint64_t all = UINT64_C(1) << 30;
    struct backend *backend;
    shim_set_memory(all);
    assert_int_equal(backend_open("cuda", &options, &backend, NULL), 0);
    uint64_t bytes = all - backend->ops->memory_free(backend);
    backend->ops->close(backend);
    return bytes;
}

static void test_device_memory_that_is_too_small_is_told_with_its_arithmetic(void **state)
{
    (void)state;
    expect_no_memory(1000, 0, "staging");
    expect_no_memory(backend_bytes() + 200000, 0, "weights as q8");
    expect_no_memory(backend_bytes() + (UINT64_C(28) << 20), UINT64_C(1) << 30, "would fit");
    shim_set_memory(UINT64_C(256) << 20); // K and V take what is left
    struct tokfs_engine *engine = open_device((struct tokfs_engine_options){ .device = "cuda" });
    tokfs_engine_close(engine);
    shim_set_memory(UINT64_MAX);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device_deterministic_answers_do_not_depend_on_the_batch),
        cmocka_unit_test(test_device_steps_do_not_wait_for_the_queue),
        cmocka_unit_test(test_device_host_tier_changes_no_answer),
        cmocka_unit_test(test_device_host_tier_needs_a_device),
        cmocka_unit_test(test_device_ahead_of_its_tokens_says_the_same),
        cmocka_unit_test(test_device_ahead_of_grammars_says_the_same),
        cmocka_unit_test(test_device_fault_changes_no_answer),
        cmocka_unit_test(test_device_second_fault_is_eio_and_the_next_request_is_answered),
        cmocka_unit_test(test_device_that_is_gone_is_eio_until_it_is_back),
        cmocka_unit_test(test_device_memory_that_is_too_small_is_told_with_its_arithmetic),
    };
    assert(argc > 1);
    n_many = argc > 2 ? 2 : N_MANY_MAX;
    model_dir = engine_test_model(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
