// The runner, step by step: who goes on when another one ends, and when time is up. Then random runs, by the thousand.
#include "engine/serve/runner_recover.h"
#include "tests/serve/runner_test.h"
#include "tests/serve/seeds.h"

static int32_t prompt_tokens[RUNNER_TEST_CTX_MAX];

static void make_prompt(void)
{
    for (int i = 0; i < RUNNER_TEST_CTX_MAX; i++) {
        prompt_tokens[i] = i * 37 % RUNNER_TEST_VOCAB;
    }
}

// ---- the same prompt twice ----------------------------------------------------------------------------------------

#define N_PROMPT 80

// Two requests with one prompt, computed by eight tokens a step: the second waits for the first.
static struct tokfs_completion *start_duplicates(struct runner_test *t, struct runner_test_answer answers[2])
{
    struct tokfs_completion *first = NULL;
    for (int i = 0; i < 2; i++) {
        struct tokfs_completion *c = runner_test_add(
            t, &(struct runner_test_request){
                   .prompt = prompt_tokens, .n_prompt = N_PROMPT, .max_tokens = 10, .answers = &answers[i] });
        first = i == 0 ? c : first;
    }
    for (int i = 0; i < 5; i++) {
        assert_true(runner_test_step(t));
    }
    assert_true(answers[0].is_started && answers[0].n_ids == 0);
    assert_false(answers[1].is_started);
    assert_int_equal(t->n_computed, 40);
    return first;
}

static void test_runner_duplicate_goes_on_where_the_cancelled_one_stopped(void **state)
{
    (void)state;
    struct runner_test t;
    struct runner_test_answer answers[2];
    runner_test_open(&t, &(struct runner_test_options){ .n_slots = 4, .n_pages = 100, .batch_tokens = 8 });
    struct tokfs_completion *first = start_duplicates(&t, answers);
    runner_test_cancel(&t, first);
    runner_test_finish(&t);
    assert_true(answers[0].is_over && answers[1].is_over);
    assert_string_equal(answers[0].reason, "cancel");
    assert_string_equal(answers[1].reason, "length");
    assert_int_equal(t.n_computed, N_PROMPT + 9 + t.runner.stats.n_guessed - t.runner.stats.n_guessed_right);
    runner_test_close(&t);
}

static void test_runner_duplicate_goes_on_when_the_first_runs_out_of_time(void **state)
{
    (void)state;
    struct runner_test t;
    struct runner_test_answer answers[2];
    runner_test_open(&t, &(struct runner_test_options){ .n_slots = 4, .n_pages = 100, .batch_tokens = 8 });
    struct tokfs_completion *first = start_duplicates(&t, answers);
    first->deadline_ns = t.runner.next_deadline_ns = t.now_ns;
    runner_test_finish(&t);
    assert_true(answers[0].is_failed);
    assert_string_equal(answers[1].reason, "length");
    assert_int_equal(t.n_computed, N_PROMPT + 9 + t.runner.stats.n_guessed - t.runner.stats.n_guessed_right);
    runner_test_close(&t);
}

// An older answer takes the pages of the prefill that the second waits for. Then both go on, one after the other.
static void test_runner_duplicate_goes_on_when_the_first_is_preempted(void **state)
{
    (void)state;
    struct runner_test t;
    struct runner_test_answer answers[2], older;
    runner_test_open(&t,
                     &(struct runner_test_options){ .n_slots = 4, .n_ctx = 100, .n_pages = 25, .batch_tokens = 32 });
    runner_test_add(&t, &(struct runner_test_request){
                            .prompt = prompt_tokens + 100, .n_prompt = 4, .max_tokens = 90, .answers = &older });
    assert_true(runner_test_step(&t));
    for (int i = 0; i < 2; i++) {
        runner_test_add(&t,
                        &(struct runner_test_request){
                            .prompt = prompt_tokens, .n_prompt = N_PROMPT, .max_tokens = 10, .answers = &answers[i] });
    }
    while (!older.is_over) {
        assert_true(runner_test_step(&t));
        assert_false(answers[1].is_started && !answers[0].is_over);
    }
    assert_true(t.runner.stats.n_preempted > 0);
    runner_test_finish(&t);
    assert_string_equal(answers[0].reason, "length");
    assert_string_equal(answers[1].reason, "length");
    runner_test_close(&t);
}

// ---- deadlines ----------------------------------------------------------------------------------------------------

static void test_runner_deadline_ends_what_runs_within_a_step(void **state)
{
    (void)state;
    struct runner_test t;
    struct runner_test_answer late, other;
    runner_test_open(
        &t, &(struct runner_test_options){ .n_slots = 4, .n_pages = 100, .batch_tokens = 8, .no_speculation = true });
    runner_test_add(
        &t, &(struct runner_test_request){
                .prompt = prompt_tokens, .n_prompt = 4, .max_tokens = -1, .timeout_s = 0.02, .answers = &late });
    runner_test_add(
        &t, &(struct runner_test_request){
                .prompt = prompt_tokens + 50, .n_prompt = 4, .max_tokens = 40, .timeout_s = 1, .answers = &other });
    runner_test_finish(&t);
    assert_true(late.is_failed && late.is_started);
    assert_int_equal(late.n_ids, 20); // a step takes 1 ms
    assert_int_equal(late.over_ns, RUNNER_TEST_START_NS + 21000000);
    assert_string_equal(other.reason, "length");
    assert_int_equal(t.runner.stats.n_failed, 1);
    assert_int_equal(t.runner.stats.n_finished, 1);
    runner_test_close(&t);
}

static void test_runner_deadline_ends_what_waits(void **state)
{
    (void)state;
    enum { N = 8 };
    struct runner_test t;
    struct runner_test_answer answers[N];
    runner_test_open(&t, &(struct runner_test_options){ .n_slots = 1, .n_pages = 100, .batch_tokens = 8 });
    for (int i = 0; i < N; i++) { // the first runs for 50 ms and has no timeout; the others have 10, 20 ... ms
        runner_test_add(&t, &(struct runner_test_request){ .prompt = prompt_tokens,
                                                           .n_prompt = 4,
                                                           .max_tokens = 50,
                                                           .timeout_s = 0.01 * i,
                                                           .answers = &answers[i] });
    }
    t.runner.has_speculation = false;
    while (!answers[0].is_over) {
        assert_true(runner_test_step(&t));
        uint64_t ms = (t.now_ns - RUNNER_TEST_START_NS) / 1000000;
        for (uint64_t i = 1; i < N; i++) {
            assert_int_equal(answers[i].is_over, ms > 10 * i);
        }
    }
    assert_false(answers[4].is_started);
    runner_test_finish(&t);
    assert_true(answers[N - 1].is_started && answers[N - 1].is_failed);
    runner_test_close(&t);
}

// What it computed until then is as good as anybody's.
static void test_runner_deadline_leaves_what_was_computed_in_the_cache(void **state)
{
    (void)state;
    struct runner_test t;
    struct runner_test_answer late, next;
    runner_test_open(&t, &(struct runner_test_options){ .n_slots = 4, .n_pages = 100, .batch_tokens = 8 });
    runner_test_add(
        &t, &(struct runner_test_request){
                .prompt = prompt_tokens, .n_prompt = N_PROMPT, .max_tokens = 5, .timeout_s = 0.005, .answers = &late });
    runner_test_finish(&t);
    assert_true(late.is_failed && late.n_ids == 0);
    runner_test_add(&t, &(struct runner_test_request){
                            .prompt = prompt_tokens, .n_prompt = N_PROMPT, .max_tokens = 5, .answers = &next });
    runner_test_finish(&t);
    assert_string_equal(next.reason, "length");
    assert_int_equal(t.runner.stats.cached_tokens, 40);
    runner_test_close(&t);
}

// Two run and one waits: the request fails as a whole.
static void test_runner_deadline_ends_all_choices(void **state)
{
    (void)state;
    struct runner_test t;
    struct runner_test_answer answers[3];
    runner_test_open(&t, &(struct runner_test_options){ .n_slots = 2, .n_pages = 100, .batch_tokens = 8 });
    runner_test_add(
        &t,
        &(struct runner_test_request){
            .prompt = prompt_tokens, .n_prompt = 4, .max_tokens = 200, .n = 3, .timeout_s = 0.01, .answers = answers });
    runner_test_finish(&t);
    for (int i = 0; i < 3; i++) {
        assert_true(answers[i].is_failed);
        assert_int_equal(answers[i].is_started, i < 2);
    }
    assert_int_equal(t.runner.stats.n_failed, 1);
    runner_test_close(&t);
}

static void test_deadline_is_the_shorter_of_two(void **state)
{
    (void)state;
    const uint64_t s = 1000000000;
    assert_true(deadline_from(5, 0, 0) == DEADLINE_NEVER);
    assert_true(deadline_from(5, 2, 0) == 5 + 2 * s);
    assert_true(deadline_from(5, 0, 3) == 5 + 3 * s);
    assert_true(deadline_from(5, 2, 3) == 5 + 2 * s);
    assert_true(deadline_from(5, 4, 3) == 5 + 3 * s);
    assert_true(deadline_from(5, 1e9, 0) == 5 + 1000000000 * s);
    assert_true(deadline_from(UINT64_MAX - s, 2, 0) == DEADLINE_NEVER); // would wrap
    assert_false(deadline_is_over(DEADLINE_NEVER, UINT64_MAX - 1));
    assert_true(deadline_is_over(s, s) && !deadline_is_over(s, s - 1));
}

// ---- whose turn it is ---------------------------------------------------------------------------------------------

enum { LIGHT = 3, N_LIGHT = 8, N_HEAVY = 200 };

static const int32_t *unlike_prompt(uint32_t i) // shares nothing with others
{
    static int32_t prompt[4];
    prompt[0] = (int32_t)(i % RUNNER_TEST_VOCAB);
    prompt[1] = (int32_t)(i / RUNNER_TEST_VOCAB % RUNNER_TEST_VOCAB);
    return prompt;
}

// One tenant has two hundred requests waiting, three others ask one thing after the other.
static void test_runner_light_tenants_do_not_wait_for_the_heavy_one(void **state)
{
    (void)state;
    struct runner_test t;
    struct runner_test_answer *heavy = calloc(N_HEAVY, sizeof(*heavy)), light[LIGHT];
    uint32_t n_asked[LIGHT] = { 0 }, n = 0, n_over = 0;
    uint64_t added_ns[LIGHT], longest_ns = 0;
    assert_non_null(heavy);
    runner_test_open(
        &t, &(struct runner_test_options){ .n_slots = 4, .n_pages = 400, .batch_tokens = 16, .no_speculation = true });
    for (; n < N_HEAVY; n++) {
        runner_test_add(&t, &(struct runner_test_request){
                                .prompt = unlike_prompt(n), .n_prompt = 4, .max_tokens = 20, .answers = &heavy[n] });
    }
    while (n_over < LIGHT * N_LIGHT) {
        for (uint32_t i = 0; i < LIGHT; i++) {
            bool is_over = n_asked[i] > 0 && light[i].is_over;
            if (is_over) {
                longest_ns = light[i].over_ns - added_ns[i] > longest_ns ? light[i].over_ns - added_ns[i] : longest_ns;
                n_over++;
            }
            if ((is_over || n_asked[i] == 0) && n_asked[i] < N_LIGHT) {
                added_ns[i] = t.now_ns;
                n_asked[i]++;
                runner_test_add(&t, &(struct runner_test_request){ .prompt = unlike_prompt(n++),
                                                                   .n_prompt = 4,
                                                                   .max_tokens = 20,
                                                                   .tenant = 1 + i,
                                                                   .answers = &light[i] });
            } else if (is_over) {
                light[i].is_over = false; // has asked enough
            }
        }
        assert_true(runner_test_step(&t));
    }
    assert_true(longest_ns <= 2 * 22 * 1000000); // its own 20 steps, and at most as many for a slot
    assert_false(heavy[N_HEAVY - 1].is_started);
    runner_test_finish(&t);
    runner_test_close(&t);
    free(heavy);
}

// While usual ones arrive all the time, one of priority 2 waits for twenty seconds, and then has its turn.
static void test_runner_what_gave_way_does_not_starve(void **state)
{
    (void)state;
    enum { N = 400 };
    struct runner_test t;
    struct runner_test_answer patient, *usual = calloc(N, sizeof(*usual));
    assert_non_null(usual);
    runner_test_open(
        &t, &(struct runner_test_options){ .n_slots = 1, .n_pages = 400, .batch_tokens = 16, .no_speculation = true });
    t.step_ns = 50000000;
    runner_test_add(&t,
                    &(struct runner_test_request){
                        .prompt = prompt_tokens, .n_prompt = 4, .max_tokens = 2, .priority = 2, .answers = &patient });
    for (uint32_t n = 0; !patient.is_over; n++) { // two steps each, and always one more waits
        assert_true(n < N);
        runner_test_add(&t, &(struct runner_test_request){
                                .prompt = unlike_prompt(n), .n_prompt = 4, .max_tokens = 2, .answers = &usual[n] });
        assert_true(runner_test_step(&t));
        assert_true(runner_test_step(&t));
    }
    assert_true(patient.over_ns >= RUNNER_TEST_START_NS + 20000000000 &&
                patient.over_ns < RUNNER_TEST_START_NS + 21000000000);
    runner_test_finish(&t);
    runner_test_close(&t);
    free(usual);
}

// A prompt of low priority has begun, usual ones take all the rows, and an urgent one has the same prompt: it does not
// wait for what makes way for everybody.
static void test_runner_urgent_duplicate_does_not_wait_for_a_low_one(void **state)
{
    (void)state;
    enum { N = 20 };
    struct runner_test t;
    struct runner_test_answer low, urgent, usual[N];
    runner_test_open(&t, &(struct runner_test_options){ .n_slots = N + 2, .n_pages = 1000, .batch_tokens = N + 2 });
    runner_test_add(&t,
                    &(struct runner_test_request){
                        .prompt = prompt_tokens, .n_prompt = 200, .max_tokens = 2, .priority = 5, .answers = &low });
    runner_test_step(&t);
    for (uint32_t i = 0; i < N; i++) {
        int32_t prompt[200] = { (int32_t)i };
        runner_test_add(&t, &(struct runner_test_request){
                                .prompt = prompt, .n_prompt = 200, .max_tokens = 2, .answers = &usual[i] });
    }
    for (int i = 0; i < 5; i++) {
        runner_test_step(&t);
    }
    runner_test_add(
        &t, &(struct runner_test_request){
                .prompt = prompt_tokens, .n_prompt = 200, .max_tokens = 2, .priority = -1, .answers = &urgent });
    uint32_t n_steps = 0;
    while (!urgent.is_over) {
        runner_test_step(&t);
        n_steps++;
    }
    assert_true(n_steps <= 200 / (N + 2) + 4); // as many as its prompt takes
    assert_false(low.is_over || usual[N - 1].is_over);
    runner_test_finish(&t);
    runner_test_close(&t);
}

// ---- one step ahead -----------------------------------------------------------------------------------------------

static void open_drawing(struct runner_test *t, uint32_t n_pages)
{
    runner_test_open(t,
                     &(struct runner_test_options){
                         .n_slots = 4, .n_pages = n_pages, .batch_tokens = 32, .no_speculation = true, .draws = true });
}

// Two answers: one step each, all but the first two and the last issued before the one before was read.
static void test_runner_goes_ahead_of_its_tokens(void **state)
{
    (void)state;
    struct runner_test t;
    struct runner_test_answer answers[2];
    open_drawing(&t, 100);
    for (int i = 0; i < 2; i++) {
        runner_test_add(&t, &(struct runner_test_request){ .prompt = prompt_tokens + i,
                                                           .n_prompt = 8,
                                                           .max_tokens = i == 0 ? 20 : 10,
                                                           .answers = &answers[i] });
    }
    runner_test_finish(&t);
    assert_string_equal(answers[0].reason, "length");
    assert_string_equal(answers[1].reason, "length");
    assert_int_equal(t.runner.stats.n_steps, 20);
    assert_true(t.runner.stats.n_ahead >= 17);
    assert_int_equal(t.n_computed, 16 + 19 + 9); // nothing in vain: that an answer will have its length is known
    runner_test_close(&t);
}

// Its row in the step that was issued means nothing, and its pages are others'.
static void test_runner_ahead_of_what_was_cancelled_and_ran_out_of_time(void **state)
{
    (void)state;
    struct runner_test t;
    struct runner_test_answer answers[3], next;
    struct tokfs_completion *first = NULL;
    open_drawing(&t, 100);
    for (int i = 0; i < 3; i++) {
        struct tokfs_completion *c =
            runner_test_add(&t, &(struct runner_test_request){ .prompt = prompt_tokens + i,
                                                               .n_prompt = 8,
                                                               .max_tokens = 60,
                                                               .timeout_s = i == 1 ? 0.0105 : 0,
                                                               .answers = &answers[i] });
        first = i == 0 ? c : first;
    }
    for (int i = 0; i < 5; i++) {
        runner_test_step(&t);
    }
    assert_true(t.runner.is_ahead);
    runner_test_cancel(&t, first);
    runner_test_add(&t, &(struct runner_test_request){
                            .prompt = prompt_tokens + 9, .n_prompt = 30, .max_tokens = 5, .answers = &next });
    runner_test_finish(&t);
    assert_string_equal(answers[0].reason, "cancel");
    assert_true(answers[1].is_failed);
    assert_string_equal(answers[2].reason, "length");
    assert_string_equal(next.reason, "length");
    runner_test_close(&t);
}

// A long prompt is computed beside an answer, and the row that ends it is drawn from: only the first step is issued
// with nothing before it.
static void test_runner_goes_ahead_beside_chunks_of_prompts(void **state)
{
    (void)state;
    struct runner_test t;
    struct runner_test_answer answers[2];
    open_drawing(&t, 100);
    runner_test_add(&t, &(struct runner_test_request){
                            .prompt = prompt_tokens, .n_prompt = 8, .max_tokens = 40, .answers = &answers[0] });
    for (int i = 0; i < 3; i++) {
        assert_true(runner_test_step(&t));
    }
    runner_test_add(&t, &(struct runner_test_request){
                            .prompt = prompt_tokens + 1, .n_prompt = 100, .max_tokens = 20, .answers = &answers[1] });
    runner_test_finish(&t);
    assert_string_equal(answers[0].reason, "length");
    assert_string_equal(answers[1].reason, "length");
    assert_int_equal(t.runner.stats.n_ahead, t.runner.stats.n_steps - 1);
    assert_int_equal(t.n_computed, 8 + 39 + 100 + 19);
    runner_test_close(&t);
}

// Steps from which nothing is drawn are issued one after the other: the device is never asked for anything.
static void test_runner_does_not_wait_for_chunks(void **state)
{
    (void)state;
    struct runner_test t;
    struct runner_test_answer answer;
    open_drawing(&t, 100);
    runner_test_add(&t, &(struct runner_test_request){
                            .prompt = prompt_tokens, .n_prompt = 250, .max_tokens = 1, .answers = &answer });
    while (!answer.is_over) {
        assert_true(answer.n_ids == 0 && t.n_waits == 0);
        runner_test_step(&t);
    }
    assert_int_equal(t.n_waits, 1);
    assert_int_equal(t.runner.stats.n_steps, (250 + 31) / 32);
    runner_test_close(&t);
}

// Who arrives while a step runs is in the next one that is issued, and takes from the cache what others have computed.
static void test_runner_admits_into_a_step_ahead(void **state)
{
    (void)state;
    struct runner_test t;
    struct runner_test_answer answers[4];
    open_drawing(&t, 200);
    for (int i = 0; i < 4; i++) {
        runner_test_add(&t, &(struct runner_test_request){
                                .prompt = prompt_tokens, .n_prompt = 20, .max_tokens = 30, .answers = &answers[i] });
        for (int k = 0; k < 3; k++) {
            assert_true(runner_test_step(&t));
        }
        assert_true(answers[i].is_started && t.runner.is_ahead);
    }
    runner_test_finish(&t);
    assert_int_equal(t.runner.stats.n_ahead, t.runner.stats.n_steps - 1);
    assert_int_equal(t.runner.stats.cached_tokens, 3 * 19);
    runner_test_close(&t);
}

// What the host draws is waited for. What the device is told after the token before is not: the step is ahead of it,
// and the device checks what it is told.
static void test_runner_waits_for_tokens_that_the_host_draws_and_for_no_others(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct runner_test t;
        struct runner_test_answer answers[2];
        open_drawing(&t, 100);
        for (int i = 0; i < 2; i++) {
            runner_test_add(&t, &(struct runner_test_request){ .prompt = prompt_tokens + i,
                                                               .n_prompt = 8,
                                                               .max_tokens = 20,
                                                               .is_typical = i == 1 && kind == 0,
                                                               .is_penalized = i == 1 && kind == 1,
                                                               .answers = &answers[i] });
        }
        runner_test_finish(&t);
        assert_int_equal(t.runner.stats.n_ahead, kind == 0 ? 0 : 19);
        assert_string_equal(answers[1].reason, "length");
        runner_test_close(&t);
    }
}

// How many steps it takes until one is over whose prompt is on the host, beside an answer that has had n_ahead tokens
// and is far from its end.
static uint32_t count_steps_of_who_comes_back(uint32_t n_ahead)
{
    struct runner_test t;
    struct runner_test_answer first, others[3], running, back;
    struct tokfs_completion *c;
    uint32_t n = 0;
    runner_test_open(&t, &(struct runner_test_options){ .n_slots = 4,
                                                        .n_ctx = 128,
                                                        .n_pages = 32,
                                                        .n_host_pages = 64,
                                                        .batch_tokens = 128,
                                                        .no_speculation = true,
                                                        .draws = true,
                                                        .seed = n_ahead });
    const struct runner_test_request request = {
        .prompt = prompt_tokens, .n_prompt = 40, .max_tokens = 1, .answers = &first
    };
    runner_test_add(&t, &request);
    runner_test_finish(&t);
    for (int i = 0; i < 3; i++) {
        runner_test_add(&t,
                        &(struct runner_test_request){
                            .prompt = prompt_tokens + 10 + i, .n_prompt = 60, .max_tokens = 1, .answers = &others[i] });
        runner_test_finish(&t);
    }
    c = runner_test_add(&t, &(struct runner_test_request){
                                .prompt = prompt_tokens + 50, .n_prompt = 8, .max_tokens = 60, .answers = &running });
    while (!running.is_started || running.n_ids < n_ahead) {
        runner_test_step(&t);
    }
    uint64_t n_from_host = t.runner.radix.n_from_host;
    runner_test_add(&t, &(struct runner_test_request){
                            .prompt = prompt_tokens, .n_prompt = 40, .max_tokens = 1, .answers = &back });
    for (; !back.is_over; n++) {
        assert_true(runner_test_step(&t) && !running.is_over);
    }
    assert_true(t.runner.radix.n_from_host >= n_from_host + 9); // the control
    runner_test_cancel(&t, c);
    runner_test_finish(&t);
    runner_test_close(&t);
    return n;
}

// One step, which the copies have for themselves, however long the others go on without awaiting any.
static void test_runner_who_comes_back_from_the_host_sits_out_one_step(void **state)
{
    (void)state;
    for (uint32_t n_ahead = 1; n_ahead <= 8; n_ahead++) {
        assert_int_equal(count_steps_of_who_comes_back(n_ahead), 3); // admitted, sat out, taken
    }
}

// ---- random runs --------------------------------------------------------------------------------------------------

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define N_RUNS 300 // unless TOKFS_TEST_RUNS says otherwise
#else
#define N_RUNS 2000
#endif
#define N_REQUESTS_MAX 40
#define N_CHOICES_MAX  4

static uint32_t below(uint64_t *state, uint32_t n)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*state >> 33) % n);
}

struct random_run {
    struct runner_test t;
    uint64_t rnd;
    uint32_t n_requests, n_added;
    struct tokfs_completion *completions[N_REQUESTS_MAX];
    struct runner_test_answer answers[N_REQUESTS_MAX][N_CHOICES_MAX];
    int32_t prompts[N_REQUESTS_MAX][RUNNER_TEST_CTX_MAX];
    uint32_t n_prompt[N_REQUESTS_MAX];
};

static void add_random(struct random_run *run)
{
    static const char *const salts[] = { NULL, NULL, NULL, "a", "b" };
    uint32_t i = run->n_added++, n_ctx = run->t.runner.env.n_ctx;
    uint32_t base = i > 0 ? below(&run->rnd, i) : 0;
    uint32_t n_shared = i > 0 ? below(&run->rnd, run->n_prompt[base] + 1) : 0;
    uint32_t n = n_shared + 1 + below(&run->rnd, n_ctx / (below(&run->rnd, 4) == 0 ? 1 : 8));
    n = n < n_ctx ? n : n_ctx - 1;
    memcpy(run->prompts[i], run->prompts[base], n_shared * sizeof(int32_t));
    for (uint32_t t = n_shared; t < n; t++) {
        run->prompts[i][t] = (int32_t)below(&run->rnd, below(&run->rnd, 2) == 0 ? 2 : RUNNER_TEST_VOCAB);
    }
    run->n_prompt[i] = n;
    run->completions[i] =
        runner_test_add(&run->t, &(struct runner_test_request){
                                     .prompt = run->prompts[i],
                                     .n_prompt = n,
                                     .max_tokens = below(&run->rnd, 12) == 0
                                                       ? -1
                                                       : (int64_t)below(&run->rnd, below(&run->rnd, 3) == 0 ? 120 : 12),
                                     .n = below(&run->rnd, 5) == 0 ? 1 + below(&run->rnd, N_CHOICES_MAX) : 1,
                                     .priority = below(&run->rnd, 3) == 0 ? (int)below(&run->rnd, 5) - 2 : 0,
                                     .tenant = below(&run->rnd, 4),
                                     .salt = salts[below(&run->rnd, 5)],
                                     .is_typical = run->t.runner.drive.drawn && below(&run->rnd, 8) == 0,
                                     .is_penalized = run->t.runner.drive.drawn && below(&run->rnd, 8) == 0,
                                     .timeout_s = below(&run->rnd, 8) == 0 ? 0.001 * (1 + below(&run->rnd, 60)) : 0,
                                     .answers = run->answers[i] });
}

static bool is_over(const struct random_run *run, uint32_t i)
{
    for (uint32_t k = 0; k < N_CHOICES_MAX && run->answers[i][k].choice; k++) {
        if (!run->answers[i][k].is_over) {
            return false;
        }
    }
    return true;
}

// As if a step had failed: all K and V are lost.
static void lose_device(struct random_run *run)
{
    struct runner *r = &run->t.runner;
    err_set(&r->failure, -EIO, "made to fail");
    runner_test_forget(&run->t);
    runner_drop_device(r);
    assert_false(r->is_ahead);
    assert_int_equal(r->pool.n_free, r->pool.n_pages);
    assert_int_equal(r->host_pool.n_free, r->host_pool.n_pages);
    assert_int_equal(runner_renew_device(r, &run->t.backend, &run->t, NULL), 0);
}

static void do_something(struct random_run *run, uint32_t n_cancel)
{
    if (run->n_added < run->n_requests && below(&run->rnd, 3) > 0) {
        add_random(run);
    }
    if (n_cancel > 0 && run->n_added > 0 && below(&run->rnd, n_cancel) == 0) {
        uint32_t victim = below(&run->rnd, run->n_added);
        if (!is_over(run, victim)) {
            runner_test_cancel(&run->t, run->completions[victim]);
        }
    }
    if (below(&run->rnd, 200) == 0) {
        lose_device(run);
    }
    if (run->n_added > 0 && below(&run->rnd, 20) == 0) {
        uint32_t i = below(&run->rnd, run->n_added);
        if (!is_over(run, i)) {
            atomic_store(&run->completions[i]->priority_set, (int)below(&run->rnd, 5) - 2);
            atomic_store(&run->completions[i]->has_priority_set, true);
        }
    }
}

static void run_random(uint64_t seed, void *ctx)
{
    struct tokfs_engine_stats *totals = ctx;
    static const uint32_t cancels[] = { 0, 0, 40, 8 };
    struct random_run *run = calloc(1, sizeof(*run));
    assert_non_null(run);
    run->rnd = seed;
    below(&run->rnd, 2);
    uint32_t n_slots = 1 + below(&run->rnd, 12), n_ctx = 32 + below(&run->rnd, RUNNER_TEST_CTX_MAX - 32);
    uint32_t n_pages = (n_ctx + RUNNER_TEST_PAGE_TOKENS - 1) / RUNNER_TEST_PAGE_TOKENS;
    runner_test_open(&run->t, &(struct runner_test_options){
                                  .n_slots = n_slots,
                                  .n_ctx = n_ctx,
                                  .n_pages = n_pages + below(&run->rnd, below(&run->rnd, 2) == 0 ? 6 : 2 * n_pages),
                                  .n_host_pages = below(&run->rnd, 2) * (1 + below(&run->rnd, 3 * n_pages)),
                                  .batch_tokens = n_slots + below(&run->rnd, below(&run->rnd, 3) == 0 ? 4 : 120),
                                  .n_events = below(&run->rnd, 3) == 0 ? 8u << below(&run->rnd, 4) : 0,
                                  .no_prefix_cache = below(&run->rnd, 12) == 0,
                                  .no_speculation = below(&run->rnd, 4) == 0,
                                  .draws = below(&run->rnd, 2),
                                  .seed = seed });
    uint32_t n_cancel = cancels[below(&run->rnd, 4)], n_events = below(&run->rnd, 3) == 0 ? 12 : UINT32_MAX;
    run->n_requests = 1 + below(&run->rnd, N_REQUESTS_MAX);
    uint32_t n_idle = 0;
    while (run->n_added < run->n_requests || !runner_is_idle(&run->t.runner)) {
        do_something(run, n_cancel);
        bool has_run = runner_step(&run->t.runner, runner_test_publish, &run->t);
        runner_test_take(&run->t, n_events < UINT32_MAX ? below(&run->rnd, n_events) : n_events);
        runner_cancel_flagged(&run->t.runner); // those that the full ring kept
        n_idle = has_run ? 0 : n_idle + 1;
        assert_true(n_idle < 1000); // or nothing goes on any more
    }
    runner_test_take(&run->t, UINT32_MAX);
    const struct tokfs_engine_stats *s = &run->t.runner.stats;
    for (uint32_t i = 0; i < run->n_requests; i++) {
        assert_true(is_over(run, i));
    }
    assert_int_equal(s->n_finished + s->n_cancelled + s->n_failed, run->n_requests);
    totals->n_ahead += s->n_ahead;
    totals->n_failed += s->n_failed;
    totals->n_cancelled += s->n_cancelled;
    totals->n_preempted += s->n_preempted;
    totals->n_guessed_right += s->n_guessed_right;
    totals->cached_tokens += s->cached_tokens;
    totals->completion_tokens += s->completion_tokens;
    totals->n_evicted += run->t.runner.radix.n_evicted;
    totals->n_from_host += run->t.runner.radix.n_from_host;
    totals->n_host_evicted += run->t.runner.radix.n_host_evicted;
    totals->n_device_restarts += s->n_device_restarts;
    runner_test_close(&run->t);
    free(run);
}

static void test_runner_random_runs_say_what_the_model_says(void **state)
{
    (void)state;
    struct tokfs_engine_stats t = { 0 };
    uint64_t n = seeds_run("TOKFS_TEST_RUNS", N_RUNS, run_random, &t);
    printf("%llu tokens; %llu cancelled, %llu out of time, %llu preempted, %llu guessed, %llu cached, %llu evicted, "
           "%llu from the host, %llu devices lost\n",
           (unsigned long long)t.completion_tokens, (unsigned long long)t.n_cancelled, (unsigned long long)t.n_failed,
           (unsigned long long)t.n_preempted, (unsigned long long)t.n_guessed_right,
           (unsigned long long)t.cached_tokens, (unsigned long long)t.n_evicted, (unsigned long long)t.n_from_host,
           (unsigned long long)t.n_device_restarts);
    if (n >= 100) { // the control
        assert_true(t.n_cancelled > 0 && t.n_failed > 0 && t.n_preempted > 0 && t.n_guessed_right > 0 &&
                    t.cached_tokens > 0 && t.n_evicted > 0 && t.n_from_host > 0 && t.n_host_evicted > 0 &&
                    t.n_device_restarts > 0 && t.n_ahead > 0);
    }
}

int main(void)
{
    make_prompt();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runner_duplicate_goes_on_where_the_cancelled_one_stopped),
        cmocka_unit_test(test_runner_duplicate_goes_on_when_the_first_runs_out_of_time),
        cmocka_unit_test(test_runner_duplicate_goes_on_when_the_first_is_preempted),
        cmocka_unit_test(test_runner_deadline_ends_what_runs_within_a_step),
        cmocka_unit_test(test_runner_deadline_ends_what_waits),
        cmocka_unit_test(test_runner_deadline_leaves_what_was_computed_in_the_cache),
        cmocka_unit_test(test_runner_deadline_ends_all_choices),
        cmocka_unit_test(test_deadline_is_the_shorter_of_two),
        cmocka_unit_test(test_runner_light_tenants_do_not_wait_for_the_heavy_one),
        cmocka_unit_test(test_runner_what_gave_way_does_not_starve),
        cmocka_unit_test(test_runner_urgent_duplicate_does_not_wait_for_a_low_one),
        cmocka_unit_test(test_runner_goes_ahead_of_its_tokens),
        cmocka_unit_test(test_runner_ahead_of_what_was_cancelled_and_ran_out_of_time),
        cmocka_unit_test(test_runner_goes_ahead_beside_chunks_of_prompts),
        cmocka_unit_test(test_runner_does_not_wait_for_chunks),
        cmocka_unit_test(test_runner_admits_into_a_step_ahead),
        cmocka_unit_test(test_runner_waits_for_tokens_that_the_host_draws_and_for_no_others),
        cmocka_unit_test(test_runner_who_comes_back_from_the_host_sits_out_one_step),
        cmocka_unit_test(test_runner_random_runs_say_what_the_model_says),
    };
    return cmocka_run_group_tests_name("runner", tests, NULL, NULL);
}
