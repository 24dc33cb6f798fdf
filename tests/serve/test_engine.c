// The engine through its public API on a small random model: order of events, invariance, cancel, limits, back
// pressure.
#include "tests/serve/engine_test.h"

#include <errno.h>
#include <math.h>
#include <time.h>

static const char *model_dir;

#define N_MANY 24

// A mixture: greedy and sampled, short and long prompts (longer than a chunk), different lengths.
struct request {
    int32_t prompt[700];
    size_t n_prompt;
    struct tokfs_sampling sampling;
};

static const struct tokfs_logit_bias BIASES[] = { { 17, 6 }, { 400, -INFINITY } };
static const int32_t STOP_IDS[] = { 1, 2, 3 };

static struct request request(uint32_t i)
{
    struct request r = { .n_prompt = 1 + (i * 37) % 61 };
    r.n_prompt = i % 12 == 5 ? 600 : r.n_prompt;
    for (size_t t = 0; t < r.n_prompt; t++) {
        r.prompt[t] = (int32_t)((i * 7919 + t * 104729 + t * t) % 990);
    }
    r.sampling = (struct tokfs_sampling){
        .temperature = i % 3 == 0 ? 0 : 0.5 + i % 4,
        .top_p = i % 4 == 1 ? 0.9 : 1,
        .top_k = i % 5 == 2 ? 20 : 0,
        .min_p = i % 7 == 3 ? 0.01 : 0,
        .typical_p = i % 8 == 5 ? 0.7 : 0,
        .repetition_penalty = i % 5 == 3 ? 1.3 : 0,
        .frequency_penalty = i % 6 == 1 ? 0.7 : 0,
        .presence_penalty = i % 6 == 4 ? -0.4 : 0,
        .logit_bias = BIASES,
        .n_logit_bias = i % 9 == 2 ? 2 : 0,
        .stop_token_ids = STOP_IDS,
        .n_stop_token_ids = i % 11 == 7 ? 3 : 0,
        .min_tokens = i % 11 == 7 ? 9 : 0,
        .logprobs = i % 4 == 3,
        .top_logprobs = i % 8 == 3 ? 20 : 0,
        .seed = i,
        .max_tokens = 1 + (i * 67) % 230 + (i % 11 == 7 ? 9 : 0),
        .ignore_eos = i % 2 == 0,
    };
    return r;
}

static void submit(struct tokfs_engine *engine, const struct request *r, struct answer *answer)
{
    struct tokfs_error error;
    assert_int_equal(
        tokfs_submit_tokens(engine, r->prompt, r->n_prompt, &r->sampling, answer, &answer->completion, &error), 0);
}

static void submit_chat(struct tokfs_engine *engine, const char *body, struct answer *answer)
{
    struct tokfs_error error;
    assert_int_equal(tokfs_submit_chat(engine, body, strlen(body), answer, &answer->completion, &error), 0);
}

static void expect_idle(struct tokfs_engine *engine)
{
    struct tokfs_engine_stats stats;
    struct tokfs_event event;
    assert_int_equal(tokfs_poll(engine, &event), 0);
    engine_test_idle(engine, &stats);
    assert_int_equal(stats.n_requests, stats.n_finished + stats.n_cancelled + stats.n_failed);
}

// ---- alone and together ----

static struct answer *run_alone(void)
{
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir, .n_threads = 1 });
    struct answer *answers = answers_new(N_MANY);
    for (uint32_t i = 0; i < N_MANY; i++) {
        struct request r = request(i);
        submit(engine, &r, &answers[i]);
        engine_test_finish(engine, &answers[i], 1);
        assert_true(answers[i].is_finished);
        assert_int_equal(answers[i].usage.prompt_tokens, r.n_prompt);
        assert_true(answers[i].n_ids == (size_t)r.sampling.max_tokens || strcmp(answers[i].reason, "stop") == 0);
    }
    expect_idle(engine);
    tokfs_engine_close(engine);
    return answers;
}

static void run_together(struct tokfs_engine_options options, const struct answer *alone, uint64_t n_preempted_min)
{
    struct tokfs_engine *engine = engine_test_open(options);
    struct answer *answers = answers_new(N_MANY);
    for (uint32_t i = 0; i < N_MANY; i++) {
        struct request r = request(i);
        submit(engine, &r, &answers[i]);
    }
    engine_test_finish(engine, answers, N_MANY);
    for (uint32_t i = 0; i < N_MANY; i++) {
        answers_equal(&answers[i], &alone[i]);
    }
    struct tokfs_engine_stats stats;
    engine_test_idle(engine, &stats);
    assert_true(stats.n_preempted >= n_preempted_min);
    expect_idle(engine);
    tokfs_engine_close(engine);
    free(answers);
}

static void test_engine_many_together_answer_as_each_alone(void **state)
{
    (void)state;
    struct answer *alone = run_alone();
    run_together((struct tokfs_engine_options){ .model = model_dir }, alone, 0);
    for (unsigned n_threads = 2; n_threads <= 4; n_threads++) {
        run_together((struct tokfs_engine_options){ .model = model_dir, .n_threads = n_threads }, alone, 0);
    }
    // Chunks of odd sizes, few slots.
    run_together((struct tokfs_engine_options){ .model = model_dir, .max_sequences = 7, .batch_tokens = 23 }, alone, 0);
    // So few pages that sequences give way to each other: 53 pages of 16 tokens, 2 layers x 2 x 2 heads x 16 x 4 bytes.
    struct tokfs_engine_options tight = { .model = model_dir, .n_ctx = 840, .kv_bytes = 53 * 16 * 512 };
    run_together(tight, alone, 1);
    size_t n_different = 0;
    for (uint32_t i = 1; i < N_MANY; i++) {
        n_different += alone[i].ids[0] != alone[i - 1].ids[0];
    }
    assert_true(n_different > N_MANY / 2); // the control: requests do differ
    free(alone);
}

// ---- limits ----

static void test_engine_refuses_what_cannot_run(void **state)
{
    (void)state;
    struct tokfs_engine *engine =
        engine_test_open((struct tokfs_engine_options){ .model = model_dir, .n_ctx = 64, .served_name = "mini" });
    struct answer *a = answers_new(9);
    struct request r = request(0);
    r.n_prompt = 64; // no room for a token
    submit(engine, &r, &a[0]);
    r.n_prompt = 0;
    submit(engine, &r, &a[1]);
    r.n_prompt = 2;
    r.prompt[1] = 1000; // ids end at 999
    submit(engine, &r, &a[2]);
    r.prompt[1] = 0;
    r.sampling.top_p = 0;
    submit(engine, &r, &a[3]);
    submit_chat(engine, "{\"model\":\"other\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", &a[4]);
    submit_chat(engine, "{\"messages\":", &a[5]);
    r.sampling.top_p = 1;
    r.sampling.max_tokens = 0; // the prompt only
    submit(engine, &r, &a[6]);
    r.sampling.max_tokens = -1; // as much as there is room for
    r.sampling.ignore_eos = true;
    submit(engine, &r, &a[7]);
    r.sampling.timeout = -1;
    submit(engine, &r, &a[8]);
    engine_test_finish(engine, a, 9);
    const int codes[] = { -E2BIG, -EINVAL, -EINVAL, -EINVAL, -ENOENT, -EINVAL };
    const char *params[] = { "input_ids", "input_ids", "input_ids", "top_p", "model", "" };
    for (int i = 0; i < 6; i++) {
        assert_true(a[i].is_failed && !a[i].is_accepted);
        assert_int_equal(a[i].error.code, codes[i]);
        assert_string_equal(a[i].error.param, params[i]);
    }
    assert_non_null(strstr(a[0].error.msg, "64"));
    assert_true(a[8].is_failed && a[8].error.code == -EINVAL);
    assert_string_equal(a[8].error.param, "timeout");
    assert_true(a[6].is_finished && a[6].n_ids == 0);
    assert_string_equal(a[6].reason, "length");
    assert_true(a[7].is_finished);
    assert_int_equal(a[7].n_ids, 62);
    assert_string_equal(a[7].reason, "length");
    expect_idle(engine);
    tokfs_engine_close(engine);
    free(a);
}

static void test_engine_open_errors_name_the_reason(void **state)
{
    (void)state;
    struct tokfs_engine *engine;
    struct tokfs_error error;
    struct tokfs_engine_options options = { .model = "/nonexistent/model" };
    assert_int_equal(tokfs_engine_open(&options, &engine, &error), -ENOENT);
    assert_non_null(strstr(error.msg, "/nonexistent/model"));
    options = (struct tokfs_engine_options){ 0 };
    assert_int_equal(tokfs_engine_open(&options, &engine, &error), -EINVAL);
    options = (struct tokfs_engine_options){ .model = model_dir, .n_ctx = 1000000 };
    assert_int_equal(tokfs_engine_open(&options, &engine, &error), -EINVAL);
    assert_string_equal(error.param, "n_ctx");
    options = (struct tokfs_engine_options){ .model = model_dir, .n_ctx = 2000, .kv_bytes = 10000 };
    assert_int_equal(tokfs_engine_open(&options, &engine, &error), -ENOMEM);
    assert_string_equal(error.param, "kv_bytes");
    options = (struct tokfs_engine_options){ .model = model_dir, .device = "abacus" };
    assert_true(tokfs_engine_open(&options, &engine, &error) < 0);
    assert_true(error.msg[0]);
    tokfs_engine_close(NULL);
}

static void test_engine_full_queue_is_eagain_until_one_leaves(void **state)
{
    (void)state;
    struct tokfs_engine_options options = { .model = model_dir, .max_sequences = 1, .max_queued = 3 };
    struct tokfs_engine *engine = engine_test_open(options);
    struct answer *a = answers_new(4);
    struct request r = request(1);
    for (int i = 0; i < 3; i++) {
        submit(engine, &r, &a[i]);
    }
    struct tokfs_error error;
    assert_int_equal(tokfs_submit_tokens(engine, r.prompt, r.n_prompt, &r.sampling, &a[3], &a[3].completion, &error),
                     -EAGAIN);
    while (!a[0].is_started) {
        engine_test_next(engine);
    }
    submit(engine, &r, &a[3]);
    engine_test_finish(engine, a, 4);
    expect_idle(engine);
    tokfs_engine_close(engine);
    free(a);
}

static void test_engine_bytes_that_wait_are_bounded(void **state)
{
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    const size_t n_ids = (60u << 20) / sizeof(int32_t);
    int32_t *ids = calloc(n_ids, sizeof(*ids));
    struct answer *a = answers_new(5);
    struct tokfs_error error;
    for (int i = 0; i < 4; i++) { // refused soon, but waiting until that is polled
        assert_int_equal(tokfs_submit_tokens(engine, ids, n_ids, NULL, &a[i], &a[i].completion, &error), 0);
    }
    assert_int_equal(tokfs_submit_tokens(engine, ids, n_ids, NULL, &a[4], &a[4].completion, &error), -EAGAIN);
    assert_int_equal(tokfs_submit_tokens(engine, ids, SIZE_MAX / 2, NULL, &a[4], &a[4].completion, &error), -EFBIG);
    engine_test_finish(engine, a, 4);
    assert_int_equal(a[3].error.code, -E2BIG);
    assert_int_equal(tokfs_submit_tokens(engine, ids, n_ids, NULL, &a[4], &a[4].completion, &error), 0);
    engine_test_finish(engine, &a[4], 1);
    expect_idle(engine);
    tokfs_engine_close(engine);
    free(a);
    free(ids);
}

// ---- cancel ----

static void test_engine_cancel_stops_in_every_state(void **state)
{
    (void)state;
    struct tokfs_engine *engine =
        engine_test_open((struct tokfs_engine_options){ .model = model_dir, .max_sequences = 2 });
    struct answer *a = answers_new(5);
    struct request endless = request(4);
    endless.sampling.max_tokens = -1;
    endless.sampling.ignore_eos = true;
    for (int i = 0; i < 5; i++) {
        submit(engine, &endless, &a[i]);
        while (i < 4 && !a[i].is_accepted) { // two text threads may hand them on in another order
            engine_test_next(engine);
        }
    }
    tokfs_cancel(a[4].completion); // most likely not accepted yet
    while (a[0].n_ids < 3 || !a[3].is_accepted) {
        engine_test_next(engine);
    }
    tokfs_cancel(a[3].completion); // waits for a slot
    tokfs_cancel(a[0].completion); // decodes
    tokfs_cancel(a[0].completion); // twice is once
    while (!answer_is_over(&a[0]) || !answer_is_over(&a[3]) || !answer_is_over(&a[4])) {
        engine_test_next(engine);
    }
    assert_string_equal(a[0].reason, "cancel");
    assert_int_equal(a[0].usage.completion_tokens, a[0].n_ids);
    assert_string_equal(a[3].reason, "cancel");
    assert_false(a[3].is_started);
    assert_true(a[4].is_failed ? a[4].error.code == -ECANCELED : strcmp(a[4].reason, "cancel") == 0);
    while (a[2].n_ids < 3) { // took the free slot
        engine_test_next(engine);
    }
    assert_false(a[1].is_finished);
    for (int i = 0; i < 5; i++) {
        tokfs_completion_free(a[i].completion); // 1 and 2 run: freed, and never heard of again
    }
    tokfs_engine_close(engine);
    free(a);
}

static void test_engine_freed_completions_are_silent(void **state)
{
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct answer *a = answers_new(20);
    for (uint32_t i = 0; i < 20; i++) {
        struct request r = request(i);
        submit(engine, &r, &a[i]);
        if (i % 2 == 0) {
            tokfs_completion_free(a[i].completion);
            a[i].completion = NULL; // an event of it would trip answer_take
        }
    }
    for (uint32_t i = 1; i < 20; i += 2) {
        engine_test_finish(engine, &a[i], 1);
        assert_true(a[i].is_finished);
    }
    tokfs_engine_close(engine);
    free(a);
}

// Random arrivals, cancels and frees on few pages and slots: whoever is not cancelled answers as alone, whoever is has
// said a beginning of that answer.
#define N_LIVE 40

static uint64_t random_next(uint64_t *random, uint64_t n)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (*random >> 33) % n;
}

static void check_and_free(struct answer *a, const struct answer *alone)
{
    if (strcmp(a->reason, "cancel") == 0 || a->is_failed) {
        assert_true(!a->is_failed || a->error.code == -ECANCELED);
        assert_true(a->n_ids <= alone->n_ids && a->text_len <= alone->text_len);
        assert_memory_equal(a->ids, alone->ids, a->n_ids * sizeof(*a->ids));
        assert_memory_equal(a->text, alone->text,
                            a->text_len < 4 ? 0 : a->text_len - 4); // a cut character shows as U+FFFD
    } else {
        answers_equal(a, alone);
    }
    tokfs_completion_free(a->completion);
    memset(a, 0, sizeof(*a));
}

static void act_at_random(struct tokfs_engine *engine, struct answer *a, uint32_t *which, uint64_t *random)
{
    uint64_t act = random_next(random, 10);
    if (!a->completion && act < 6) {
        *which = (uint32_t)random_next(random, N_MANY);
        struct request r = request(*which);
        submit(engine, &r, a);
    } else if (a->completion && act == 6) {
        tokfs_cancel(a->completion);
    }
}

static void test_engine_random_work_is_answered_as_alone(void **state)
{
    (void)state;
    struct answer *alone = run_alone();
    struct tokfs_engine_options tight = {
        .model = model_dir, .n_ctx = 840, .kv_bytes = 53 * 16 * 512, .max_sequences = 9, .batch_tokens = 48
    };
    struct tokfs_engine *engine = engine_test_open(tight);
    struct answer *live = answers_new(N_LIVE);
    uint32_t which[N_LIVE] = { 0 };
    uint64_t random = 11;
    size_t n_over = 0;
    while (n_over < 150) {
        uint64_t i = random_next(&random, N_LIVE);
        act_at_random(engine, &live[i], &which[i], &random);
        struct tokfs_event event;
        uint64_t n = random_next(&random, 12);
        for (; n > 0 && tokfs_poll(engine, &event); n--) {
            answer_take(event.user, &event);
        }
        if (n > 0) { // nothing is there: let the engine work
            poll(&(struct pollfd){ .fd = tokfs_engine_fd(engine), .events = POLLIN }, 1, 1);
        }
        if (live[i].completion && answer_is_over(&live[i])) {
            check_and_free(&live[i], &alone[which[i]]);
            n_over++;
        }
    }
    for (int i = 0; i < N_LIVE; i++) {
        while (live[i].completion && !answer_is_over(&live[i])) {
            engine_test_next(engine);
        }
        if (live[i].completion) {
            check_and_free(&live[i], &alone[which[i]]);
        }
    }
    expect_idle(engine);
    tokfs_engine_close(engine);
    free(live);
    free(alone);
}

// ---- failure ----

// Weights that are not numbers: a step gives no finite logit, which fails the request and leaves the engine running.
static void test_engine_broken_weights_fail_the_request(void **state)
{
    (void)state;
    char command[256], path[160];
    snprintf(path, sizeof(path), "%s/broken", engine_test_dir);
    snprintf(command, sizeof(command), "cp -r '%s' '%s'", model_dir, path);
    assert_int_equal(system(command), 0);
    strcat(path, "/model.safetensors");
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, -300000, SEEK_END), 0);
    for (int i = 0; i < 300000; i++) {
        fputc(0xff, file);
    }
    fclose(file);
    path[strlen(path) - strlen("/model.safetensors")] = '\0';
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = path });
    struct answer *a = answers_new(2);
    struct request r = request(3);
    for (int i = 0; i < 2; i++) {
        submit(engine, &r, &a[i]);
        engine_test_finish(engine, &a[i], 1);
        assert_true(a[i].is_started && a[i].is_failed);
        assert_int_equal(a[i].error.code, -EIO);
    }
    expect_idle(engine);
    tokfs_engine_close(engine);
    free(a);
}

// ---- order ----

static void expect_queued(struct tokfs_engine *engine, int n)
{
    struct tokfs_engine_stats stats;
    do {
        tokfs_engine_get_stats(engine, &stats);
    } while (stats.n_queued != (uint32_t)n);
}

// One slot: who is told STARTED in which order.
static void test_engine_runs_by_priority_and_by_tenant(void **state)
{
    (void)state;
    static const struct {
        uint32_t tenant;
        int64_t priority;
        bool may_hurry;
    } who[] = { { 1, 0, true }, { 1, 0, true },  { 1, 0, true },  { 1, 9, true },
                { 2, 0, true }, { 2, -1, true }, { 2, -1, false } };
    static const int expected[] = { 0, 5, 4, 6, 1, 2, 3 }; // tenant 1 had much by then; the last -1 may not hurry
    struct tokfs_engine *engine =
        engine_test_open((struct tokfs_engine_options){ .model = model_dir, .max_sequences = 1 });
    struct answer *a = answers_new(7);
    for (int i = 0; i < 7; i++) {
        struct request r = request(2);
        r.sampling.max_tokens = i == 0 ? 1500 : 3; // the others must be there before it ends
        r.sampling.ignore_eos = true;
        tokfs_set_tenant(engine, &(struct tokfs_tenant){ .id = who[i].tenant, .may_hurry = who[i].may_hurry });
        submit(engine, &r, &a[i]);
        tokfs_set_priority(a[i].completion, who[i].priority);
        while (i == 0 ? a[0].n_ids == 0 : !a[i].is_accepted) {
            engine_test_next(engine);
        }
        expect_queued(engine, i); // ACCEPTED comes a moment before it stands in the queue
    }
    assert_false(a[0].is_finished);
    for (int i = 0; i < 7;) {
        struct answer *next = engine_test_next(engine);
        if (answer_is_over(next)) {
            assert_int_equal(next - a, expected[i]);
            i++;
        }
    }
    engine_test_finish(engine, a, 7);
    expect_idle(engine);
    tokfs_engine_close(engine);
    free(a);
}

// ---- back pressure ----

// A caller that does not poll: the engine fills its ring and waits; nothing is lost when the caller comes back.
static void test_engine_caller_that_sleeps_loses_nothing(void **state)
{
    (void)state;
    struct tokfs_engine *engine =
        engine_test_open((struct tokfs_engine_options){ .model = model_dir, .max_sequences = 4 });
    struct answer *a = answers_new(4);
    struct request r = request(6);
    r.sampling.max_tokens = 1200; // 4800 events; the ring has 1024
    r.sampling.ignore_eos = true;
    for (int i = 0; i < 4; i++) {
        submit(engine, &r, &a[i]);
    }
    struct tokfs_engine_stats stats = { 0 }, later;
    for (uint64_t before = 0; stats.completion_tokens < 900 || stats.n_steps != before;) { // a busy machine is slow
        before = stats.n_steps;
        nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
        tokfs_engine_get_stats(engine, &stats);
    }
    assert_true(stats.completion_tokens < 1100);
    assert_int_equal(stats.n_running, 4);
    engine_test_finish(engine, a, 4);
    engine_test_idle(engine, &later);
    assert_int_equal(later.completion_tokens, 4800);
    for (int i = 1; i < 4; i++) {
        answers_equal(&a[i], &a[0]);
    }
    expect_idle(engine);
    tokfs_engine_close(engine);
    free(a);
}

static void test_engine_descriptor_is_readable_while_events_are_left(void **state)
{
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct answer *a = answers_new(1);
    struct request r = request(2);
    struct pollfd pfd = { .fd = tokfs_engine_fd(engine), .events = POLLIN };
    assert_int_equal(poll(&pfd, 1, 0), 0);
    submit(engine, &r, a);
    while (!answer_is_over(a)) { // one event per wake
        assert_int_equal(poll(&pfd, 1, 300000), 1);
        struct tokfs_event event;
        if (tokfs_poll(engine, &event)) {
            answer_take(a, &event);
        }
    }
    tokfs_completion_free(a->completion);
    expect_idle(engine);
    assert_int_equal(poll(&pfd, 1, 0), 0);
    tokfs_engine_close(engine);
    free(a);
}

static void test_engine_timings_add_up(void **state)
{
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct tokfs_engine_info info;
    tokfs_engine_get_info(engine, &info);
    assert_string_equal(info.model, "tiny");
    assert_string_equal(info.architecture, "LlamaForCausalLM");
    assert_int_equal(info.n_ctx, 2048);
    assert_int_equal(info.n_vocab, 1000);
    assert_true(info.has_chat_template && info.n_params > 0 && info.kv_bytes > 0);
    struct answer *a = answers_new(1);
    struct request r = request(5);
    r.sampling.max_tokens = 20;
    r.sampling.ignore_eos = true;
    submit(engine, &r, a);
    engine_test_finish(engine, a, 1);
    assert_true(a->usage.prefill_ns > 0 && a->usage.decode_ns > 0);
    assert_true(a->usage.ttft_ns >= a->usage.queue_ns + a->usage.prefill_ns);
    struct tokfs_engine_stats stats;
    engine_test_idle(engine, &stats);
    assert_int_equal(stats.n_finished, 1);
    assert_int_equal(stats.completion_tokens, 20);
    assert_int_equal(stats.prompt_tokens, 600);
    assert_int_equal(stats.n_steps, 2 + 19); // 600 tokens are two chunks
    assert_true(stats.step_ns >= stats.model_ns && stats.model_ns > 0);
    tokfs_engine_close(engine);
    free(a);
}

// ---- work on text ----

static void wait_result(struct tokfs_engine *engine, struct tokfs_event *ret)
{
    while (tokfs_poll(engine, ret) == 0) {
        struct pollfd pfd = { .fd = tokfs_engine_fd(engine), .events = POLLIN };
        assert_int_equal(poll(&pfd, 1, 300000), 1);
    }
}

static struct tokfs_completion *submit_text(struct tokfs_engine *engine, enum tokfs_text_kind kind, struct str body)
{
    struct tokfs_completion *completion;
    struct tokfs_error error;
    assert_int_equal(tokfs_submit_text(engine, kind, body.ptr, body.len, NULL, &completion, &error), 0);
    return completion;
}

static void test_engine_text_work_has_one_event(void **state)
{
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir, .n_threads = 1 });
    struct tokfs_event event;
    (void)state;
    submit_text(engine, TOKFS_TEXT_TOKENIZE, STR("{\"prompt\":\"hello\",\"model\":\"tiny\"}"));
    wait_result(engine, &event);
    assert_int_equal(event.kind, TOKFS_EVENT_FINISHED);
    assert_memory_equal(event.text, "{\"count\":", 9);
    assert_int_equal(event.text[event.text_len - 1], '}');
    tokfs_completion_free(event.completion);
    submit_text(engine, TOKFS_TEXT_DETOKENIZE, STR("{\"tokens\":[-1]}"));
    wait_result(engine, &event);
    assert_int_equal(event.kind, TOKFS_EVENT_FAILED);
    assert_int_equal(event.error->code, -EINVAL);
    assert_string_equal(event.error->param, "tokens[0]");
    tokfs_completion_free(event.completion);
    struct tokfs_completion *forgotten = submit_text(engine, TOKFS_TEXT_TOKENIZE, STR("{\"prompt\":\"x\"}"));
    tokfs_completion_free(forgotten);
    submit_text(engine, TOKFS_TEXT_APPLY_TEMPLATE, STR("{\"conversations\":[[]],\"chat_template\":\"t\"}"));
    wait_result(engine, &event);
    assert_true(event.completion != forgotten);
    struct str want = STR("{\"rendered_chats\":[\"t\"],\"generation_indices\":[]}");
    assert_true(str_eq((struct str){ event.text, event.text_len }, want));
    tokfs_completion_free(event.completion);
    expect_idle(engine);
    tokfs_engine_close(engine);
}

// A megabyte, there and back; the engine is closed while another waits.
static void test_engine_text_work_takes_long_prompts(void **state)
{
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir, .n_threads = 1 });
    struct tokfs_event event;
    struct strbuf body, back;
    (void)state;
    strbuf_init(&body, 0);
    strbuf_init(&back, 0);
    strbuf_append(&body, STR("{\"content\":\""));
    for (int i = 0; i < 1 << 17; i++) {
        strbuf_append(&body, STR("words \xc3\xa9 "));
    }
    struct str text = str_skip(strbuf_str(&body), 12);
    strbuf_append(&body, STR("\"}"));
    submit_text(engine, TOKFS_TEXT_TOKENIZE, strbuf_str(&body));
    wait_result(engine, &event);
    assert_int_equal(event.kind, TOKFS_EVENT_FINISHED);
    struct str result = { event.text, event.text_len };
    ptrdiff_t start = str_find(result, STR("[")), end = str_find(result, STR("]"));
    strbuf_append(&back, STR("{\"tokens\":"));
    strbuf_append(&back, (struct str){ result.ptr + start, (size_t)(end + 1 - start) });
    strbuf_append(&back, STR("}"));
    tokfs_completion_free(event.completion);
    submit_text(engine, TOKFS_TEXT_DETOKENIZE, strbuf_str(&back));
    wait_result(engine, &event);
    assert_int_equal(event.kind, TOKFS_EVENT_FINISHED);
    text.ptr = body.ptr + 12; // the buffer may have moved
    assert_true(str_find((struct str){ event.text, event.text_len }, text) > 0);
    tokfs_completion_free(event.completion);
    tokfs_completion_free(submit_text(engine, TOKFS_TEXT_TOKENIZE, strbuf_str(&body)));
    strbuf_deinit(&body);
    strbuf_deinit(&back);
    tokfs_engine_close(engine);
}

int main(int argc, char **argv)
{
    assert(argc == 2);
    model_dir = engine_test_model(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine_many_together_answer_as_each_alone),
        cmocka_unit_test(test_engine_refuses_what_cannot_run),
        cmocka_unit_test(test_engine_open_errors_name_the_reason),
        cmocka_unit_test(test_engine_full_queue_is_eagain_until_one_leaves),
        cmocka_unit_test(test_engine_bytes_that_wait_are_bounded),
        cmocka_unit_test(test_engine_cancel_stops_in_every_state),
        cmocka_unit_test(test_engine_freed_completions_are_silent),
        cmocka_unit_test(test_engine_random_work_is_answered_as_alone),
        cmocka_unit_test(test_engine_broken_weights_fail_the_request),
        cmocka_unit_test(test_engine_runs_by_priority_and_by_tenant),
        cmocka_unit_test(test_engine_caller_that_sleeps_loses_nothing),
        cmocka_unit_test(test_engine_descriptor_is_readable_while_events_are_left),
        cmocka_unit_test(test_engine_timings_add_up),
        cmocka_unit_test(test_engine_text_work_has_one_event),
        cmocka_unit_test(test_engine_text_work_takes_long_prompts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
