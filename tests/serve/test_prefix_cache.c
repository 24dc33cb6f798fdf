// Answers must not depend on the prefix cache: whatever is shared, copied, evicted, preempted or cancelled, each answer
// is that of the same request run alone by an engine without a cache, to the bit.
#include "tests/serve/engine_test.h"

#include <errno.h>
#include <time.h>

static const char *model_dir;

struct random {
    uint64_t state;
};

static uint32_t below(struct random *rnd, uint32_t n)
{
    rnd->state = rnd->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((rnd->state >> 33) % n);
}

#define PROMPT_MAX 400
#define N_REQUESTS 48

struct request {
    int32_t prompt[PROMPT_MAX];
    uint32_t n_prompt;
    struct tokfs_sampling sampling;
};

// Prompts that share beginnings of all lengths: each continues a part of an earlier one.
static void make_requests(struct request *requests)
{
    struct random rnd = { 11 };
    for (uint32_t i = 0; i < N_REQUESTS; i++) {
        struct request *r = &requests[i];
        const struct request *base = &requests[i > 0 ? below(&rnd, i) : 0];
        uint32_t n_shared = i > 0 ? below(&rnd, base->n_prompt + 1) : 0;
        r->n_prompt = n_shared + 1 + below(&rnd, i % 5 == 0 ? 150 : 30);
        r->n_prompt = r->n_prompt < PROMPT_MAX ? r->n_prompt : PROMPT_MAX;
        memcpy(r->prompt, base->prompt, n_shared * sizeof(*r->prompt));
        for (uint32_t t = n_shared; t < r->n_prompt; t++) {
            r->prompt[t] = (int32_t)below(&rnd, 900);
        }
        r->sampling = (struct tokfs_sampling){
            .temperature = i % 2, .top_p = 1, .seed = i, .ignore_eos = true, .max_tokens = 1 + below(&rnd, 110)
        };
    }
}

static void submit(struct tokfs_engine *engine, const struct request *r, struct answer *a)
{
    struct tokfs_error error;
    *a = (struct answer){ 0 };
    assert_int_equal(tokfs_submit_tokens(engine, r->prompt, r->n_prompt, &r->sampling, a, &a->completion, &error), 0);
}

static void expect_idle(struct tokfs_engine *engine)
{
    struct tokfs_engine_stats stats;
    for (int i = 0; i < 1000; i++) {
        tokfs_engine_get_stats(engine, &stats);
        if (stats.n_running == 0 && stats.n_queued == 0 && stats.n_pages_free == stats.n_pages) {
            return;
        }
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    fail_msg("%u running, %u queued, %u of %u pages free", stats.n_running, stats.n_queued, stats.n_pages_free,
             stats.n_pages);
}

static void test_prefix_cache_second_time_computes_one_token(void **state)
{
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct request *requests = calloc(N_REQUESTS, sizeof(*requests));
    make_requests(requests);
    struct answer *a = answers_new(2);
    for (int i = 0; i < 2; i++) {
        submit(engine, &requests[0], &a[i]);
        engine_test_finish(engine, &a[i], 1);
    }
    answers_equal(&a[1], &a[0]);
    assert_int_equal(a[0].usage.cached_tokens, 0);
    assert_int_equal(a[1].usage.cached_tokens, requests[0].n_prompt - 1);
    expect_idle(engine);
    tokfs_engine_close(engine);
    free(requests);
    free(a);
}

static void test_prefix_cache_in_flight_duplicates_compute_once(void **state)
{
    (void)state;
    struct tokfs_engine *engine =
        engine_test_open((struct tokfs_engine_options){ .model = model_dir, .batch_tokens = 64 });
    struct request r = { .n_prompt = PROMPT_MAX, .sampling = { .top_p = 1, .max_tokens = 5 } };
    for (int i = 0; i < PROMPT_MAX; i++) {
        r.prompt[i] = i;
    }
    struct answer *a = answers_new(8);
    for (int i = 0; i < 8; i++) {
        submit(engine, &r, &a[i]);
    }
    engine_test_finish(engine, a, 8);
    for (int i = 1; i < 8; i++) {
        answers_equal(&a[i], &a[0]);
        assert_true(a[i].usage.cached_tokens >= PROMPT_MAX - 16);
    }
    tokfs_engine_close(engine);
    free(a);
}

static struct answer *run_alone(const struct request *requests)
{
    struct tokfs_engine *engine = engine_test_open(
        (struct tokfs_engine_options){ .model = model_dir, .no_prefix_cache = true, .no_speculation = true });
    struct answer *answers = answers_new(N_REQUESTS);
    for (uint32_t i = 0; i < N_REQUESTS; i++) {
        submit(engine, &requests[i], &answers[i]);
        engine_test_finish(engine, &answers[i], 1);
        assert_true(answers[i].is_finished);
        assert_int_equal(answers[i].usage.cached_tokens, 0);
    }
    tokfs_engine_close(engine);
    return answers;
}

// A cancelled answer is the beginning of the whole one.
static void expect_answer(const struct answer *got, const struct answer *whole)
{
    if (got->is_failed) { // cancelled before it was accepted
        assert_int_equal(got->error.code, -ECANCELED);
        return;
    }
    if (strcmp(got->reason, "cancel") != 0) {
        answers_equal(got, whole);
    }
    assert_true(got->n_ids <= whole->n_ids);
    assert_memory_equal(got->ids, whole->ids, got->n_ids * sizeof(*got->ids));
}

static bool is_any_left(const struct answer *answers, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!answer_is_over(&answers[i])) {
            return true;
        }
    }
    return false;
}

// Lets n_events pass, and cancels some that run.
static void let_run(struct tokfs_engine *engine, struct random *rnd, struct answer *answers, uint32_t n,
                    uint32_t n_events)
{
    for (; n_events > 0 && is_any_left(answers, n); n_events--) {
        engine_test_next(engine);
        uint32_t victim = below(rnd, 40 * n);
        if (victim < n && !answer_is_over(&answers[victim])) {
            tokfs_cancel(answers[victim].completion);
        }
    }
}

static void run_workload(uint64_t seed, const struct request *requests, const struct answer *alone,
                         struct tokfs_engine_stats *totals)
{
    enum { N = 40 };
    struct random rnd = { seed };
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){
        .model = model_dir,
        .n_ctx = 512,
        .kv_bytes = (32 + below(&rnd, 40)) * 16 * 512, // the longest timeline takes 32 pages
        .max_sequences = 2 + below(&rnd, 14),
        .batch_tokens = 16 + below(&rnd, 200),
    });
    struct answer *answers = answers_new(N);
    uint32_t which[N];
    for (uint32_t i = 0; i < N; i++) {
        which[i] = below(&rnd, N_REQUESTS);
        submit(engine, &requests[which[i]], &answers[i]);
        let_run(engine, &rnd, answers, i + 1, i % 3 == 0 ? below(&rnd, 60) : 0);
    }
    engine_test_finish(engine, answers, N);
    for (uint32_t i = 0; i < N; i++) {
        expect_answer(&answers[i], &alone[which[i]]);
    }
    expect_idle(engine);
    struct tokfs_engine_stats stats;
    tokfs_engine_get_stats(engine, &stats);
    totals->cached_tokens += stats.cached_tokens;
    totals->n_preempted += stats.n_preempted;
    totals->n_cancelled += stats.n_cancelled;
    tokfs_engine_close(engine);
    free(answers);
}

static void test_prefix_cache_random_workloads_answer_as_alone(void **state)
{
    (void)state;
    struct request *requests = calloc(N_REQUESTS, sizeof(*requests));
    make_requests(requests);
    struct answer *alone = run_alone(requests);
    struct tokfs_engine_stats totals = { 0 };
    const char *n = getenv("TOKFS_TEST_WORKLOADS");
    for (uint64_t seed = 1; seed <= (n ? strtoull(n, NULL, 10) : 25); seed++) {
        run_workload(seed, requests, alone, &totals);
    }
    printf("cached %llu tokens, preempted %llu, cancelled %llu\n", (unsigned long long)totals.cached_tokens,
           (unsigned long long)totals.n_preempted, (unsigned long long)totals.n_cancelled);
    assert_true(totals.cached_tokens > 0 && totals.n_preempted > 0 && totals.n_cancelled > 0); // the control
    free(requests);
    free(alone);
}

int main(int argc, char **argv)
{
    assert(argc == 2);
    model_dir = engine_test_model(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefix_cache_second_time_computes_one_token),
        cmocka_unit_test(test_prefix_cache_in_flight_duplicates_compute_once),
        cmocka_unit_test(test_prefix_cache_random_workloads_answer_as_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
