// Random workloads: whatever is shared, copied, evicted, preempted, guessed, cancelled, reordered or cut into chunks,
// each answer is that of the same request run alone by an engine without a cache, to the bit; and nothing is left over.
//
// TOKFS_TEST_WORKLOADS says how many (docs/testing.md), TOKFS_TEST_SEED with which one to begin, TOKFS_TEST_MODEL on
// which of the models. What a workload asks
// and how its engine is made follow from its seed; what happens when does not, because threads are involved.
#define ANSWER_TOKENS_MAX 320
#define ANSWER_TEXT_MAX   4096
#include "tests/serve/engine_test.h"
#include "tests/serve/seeds.h"
#include "tests/serve/workload_requests.h"

#include <errno.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define N_WORKLOADS 20 // unless told otherwise
#define DEMO_SHARE  0  // ten times as slow as the others together
#else
#define N_WORKLOADS 50
#define DEMO_SHARE  2
#endif
#define N_CONTROL        40 // workloads in which everything has happened
#define WORKLOADS_OF_SET 50 // until other requests are made up, and their answers computed
#define N_SUBMITTED_MAX  40
#define CHOICES          WORKLOAD_CHOICES_MAX

// ---- models -------------------------------------------------------------------------------------------------------

struct world {
    const char *name;
    bool is_fixture; // below tests/fixtures/models, without a tokenizer
    struct workload_limits limits;
    uint32_t share; // of the workloads
    // Of the set of requests that is asked now.
    char model[512];
    uint64_t set; // 0: none yet
    struct workload_request *requests;
    struct answer *alone; // [WORKLOAD_REQUESTS][CHOICES]
    uint64_t prompt_hashes[WORKLOAD_REQUESTS * CHOICES];
    uint64_t page_bytes;
};

static struct world worlds[] = {
    { .name = "tiny", .limits = { 1000, 320, 60 }, .share = 6 },
    { .name = "demo", .limits = { 1024, 160, 24 }, .share = DEMO_SHARE },
    { .name = "gemma3", .is_fixture = true, .limits = { 61, 128, 60 }, .share = 3 },         // some layers have windows
    { .name = "mistral-window", .is_fixture = true, .limits = { 61, 128, 60 }, .share = 2 }, // all have
    { .name = "gpt-oss", .is_fixture = true, .limits = { 61, 128, 40 }, .share = 2 },        // experts, windows, sinks
    { .name = "qwen3-moe", .is_fixture = true, .limits = { 61, 128, 40 }, .share = 1 },
};
#define N_WORLDS (sizeof(worlds) / sizeof(*worlds))

// The fixture's files, and a tokenizer of single characters beside them.
static void make_fixture(struct world *w)
{
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz012345678";
    char command[1024], path[600];
    snprintf(w->model, sizeof(w->model), "%s/%s", engine_test_dir, w->name);
    snprintf(command, sizeof(command), "cp -r '%s/tests/fixtures/models/%s' '%s'", getenv("TOKFS_SOURCE_ROOT"), w->name,
             w->model);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof(path), "%s/tokenizer.json", w->model);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, "{\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{");
    for (size_t i = 0; i < sizeof(chars) - 1; i++) {
        fprintf(file, "%s\"%c\":%zu", i > 0 ? "," : "", chars[i], i);
    }
    fprintf(file, "}},\"decoder\":{\"type\":\"Fuse\"}}");
    assert_int_equal(fclose(file), 0);
}

static void make_worlds(const char *tool)
{
    const char *only = getenv("TOKFS_TEST_MODEL");
    for (size_t i = 0; only && i < N_WORLDS; i++) {
        worlds[i].share = strcmp(worlds[i].name, only) == 0;
    }
    snprintf(worlds[0].model, sizeof(worlds[0].model), "%s", engine_test_model(tool));
    snprintf(worlds[1].model, sizeof(worlds[1].model), "%s/tools/demo/model", getenv("TOKFS_SOURCE_ROOT"));
    for (size_t i = 0; i < N_WORLDS; i++) {
        if (worlds[i].is_fixture) {
            make_fixture(&worlds[i]);
        }
        worlds[i].requests = calloc(WORKLOAD_REQUESTS, sizeof(*worlds[i].requests));
        assert_non_null(worlds[i].requests);
    }
}

static struct world *pick_world(struct random *rnd)
{
    uint32_t n_shares = 0;
    for (size_t i = 0; i < N_WORLDS; i++) {
        n_shares += worlds[i].share;
    }
    uint32_t at = random_below(rnd, n_shares);
    size_t i = 0;
    while (at >= worlds[i].share) {
        at -= worlds[i++].share;
    }
    return &worlds[i];
}

// ---- answers ------------------------------------------------------------------------------------------------------

static void answer_want_probs(struct answer *a)
{
    a->probs = calloc(ANSWER_TOKENS_MAX, sizeof(*a->probs));
    assert_non_null(a->probs);
}

static void answers_free(struct answer *answers, size_t n)
{
    for (size_t i = 0; answers && i < n; i++) {
        free(answers[i].probs);
    }
    free(answers);
}

// Of the log probabilities of a choice's prompt, all bits of them.
static uint64_t prompt_hash(const struct tokfs_completion *completion, uint32_t index, uint32_t n_prompt)
{
    struct tokfs_logprob probs[TOKFS_PROBS_MAX];
    uint64_t hash = 0;
    for (uint32_t pos = 1; pos < n_prompt; pos++) {
        uint32_t rank, bits;
        size_t n = tokfs_completion_prompt_probs(completion, index, pos, probs, &rank);
        assert_true(n > 0);
        for (size_t i = 0; i < n; i++) {
            memcpy(&bits, &probs[i].logprob, sizeof(bits));
            hash = (hash * 31 + (uint32_t)probs[i].id) * UINT64_C(0x9E3779B97F4A7C15) + bits;
        }
        hash = hash * 31 + rank;
    }
    return hash;
}

// The answers to all requests of the set, one choice after the other, nothing beside it and nothing from before.
static void run_alone(struct world *w)
{
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = w->model,
                                                                                  .n_ctx = w->limits.n_ctx,
                                                                                  .max_sequences = 1,
                                                                                  .no_prefix_cache = true,
                                                                                  .no_speculation = true });
    struct tokfs_engine_info info;
    struct tokfs_error error;
    struct strbuf body;
    strbuf_init(&body, 0);
    w->alone = answers_new(WORKLOAD_REQUESTS * CHOICES);
    for (uint32_t i = 0; i < WORKLOAD_REQUESTS * CHOICES; i++) {
        const struct workload_request *r = &w->requests[i / CHOICES];
        struct answer *a = &w->alone[i];
        if (i % CHOICES >= r->n * r->n_prompts) {
            continue;
        }
        if (r->has_probs) {
            answer_want_probs(a);
        }
        workload_request_write_choice(r, i % CHOICES, &body);
        assert_int_equal(tokfs_submit_completion(engine, body.ptr, body.len, a, &a->completion, &error), 0);
        while (!answer_is_over(a)) {
            engine_test_next(engine);
        }
        if (!a->is_finished) {
            fail_msg("%s: %s: %s (after %zu tokens: %s)", w->name, body.ptr, a->error.msg, a->n_ids, a->text);
        }
        assert_int_equal(a->usage.cached_tokens, 0);
        w->prompt_hashes[i] = r->scores_prompt ? prompt_hash(a->completion, 0, r->n_prompt[i % CHOICES / r->n]) : 0;
        tokfs_completion_free(a->completion);
    }
    tokfs_engine_get_info(engine, &info);
    w->page_bytes = info.kv_bytes / info.n_pages;
    strbuf_deinit(&body);
    tokfs_engine_close(engine);
}

static void use_set(struct world *w, uint64_t set)
{
    if (w->set == set) {
        return;
    }
    answers_free(w->alone, w->set > 0 ? WORKLOAD_REQUESTS * CHOICES : 0);
    w->set = set;
    workload_requests_make(w->requests, &w->limits, set);
    run_alone(w);
}

static void expect_beginning(const struct answer *got, const struct answer *whole)
{
    assert_true(got->n_ids <= whole->n_ids);
    assert_memory_equal(got->ids, whole->ids, got->n_ids * sizeof(*got->ids));
    assert_true(got->n_ids == 0 || got->n_probs == whole->n_probs);
    for (size_t i = 0; i < got->n_ids * got->n_probs; i++) {
        const struct tokfs_logprob *x = &got->probs[i / got->n_probs][i % got->n_probs];
        const struct tokfs_logprob *y = &whole->probs[i / got->n_probs][i % got->n_probs];
        assert_int_equal(x->id, y->id);
        assert_memory_equal(&x->logprob, &y->logprob, sizeof(x->logprob));
    }
}

// ---- one workload -------------------------------------------------------------------------------------------------

struct submitted {
    uint32_t request;
    bool is_freed, is_cancelled, has_timeout;
};

struct workload {
    struct world *world;
    struct random rnd;
    struct tokfs_engine *engine;
    uint32_t n;        // to be submitted
    uint32_t n_cancel; // one event in so many cancels somebody; 0: nobody is
    struct submitted submitted[N_SUBMITTED_MAX];
    struct answer *answers; // [n][CHOICES]
    uint32_t n_submitted;
};

static struct answer *answer_of(struct workload *w, uint32_t i)
{
    return &w->answers[i * CHOICES];
}

static struct tokfs_engine *open_engine(struct world *world, struct random *rnd)
{
    uint32_t n_pages = (world->limits.n_ctx + 15) / 16; // the longest timeline takes so many
    uint32_t n_slots = 1 + random_below(rnd, random_one_in(rnd, 8) ? 40 : 16);
    n_pages += random_below(rnd, random_one_in(rnd, 2) ? 4 : 2 * n_pages);
    return engine_test_open((struct tokfs_engine_options){
        .model = world->model,
        .n_threads = 1 + random_below(rnd, 2),
        .n_ctx = world->limits.n_ctx,
        .kv_bytes = n_pages * world->page_bytes,
        .max_sequences = n_slots,
        .max_queued = random_one_in(rnd, 4) ? 1 + random_below(rnd, 20) : 0,
        .batch_tokens = n_slots + random_below(rnd, random_one_in(rnd, 3) ? 20 : 300),
        .no_prefix_cache = random_one_in(rnd, 12),
        .no_speculation = random_one_in(rnd, 4),
    });
}

static void stop_somebody(struct workload *w)
{
    uint32_t victim = random_below(&w->rnd, w->n_submitted);
    struct submitted *s = &w->submitted[victim];
    struct answer *a = answer_of(w, victim);
    if (s->is_freed) {
        return;
    }
    s->is_cancelled = true; // which means nothing any more for one that is over
    if (random_one_in(&w->rnd, 3)) {
        s->is_freed = true;
        tokfs_completion_free(a->completion);
    } else {
        tokfs_cancel(a->completion);
    }
}

static bool is_any_left(struct workload *w)
{
    for (uint32_t i = 0; i < w->n_submitted; i++) {
        if (!w->submitted[i].is_freed && !answer_is_over(answer_of(w, i))) {
            return true;
        }
    }
    return false;
}

static void let_run(struct workload *w, uint32_t n_events)
{
    for (; n_events > 0 && is_any_left(w); n_events--) {
        engine_test_next(w->engine);
        if (w->n_cancel > 0 && random_one_in(&w->rnd, w->n_cancel)) {
            stop_somebody(w);
        }
    }
}

// True: it may run out of time.
static bool write_more(struct random *rnd, char *ret, size_t size)
{
    char salt[40] = "";
    if (random_one_in(rnd, 4)) {
        snprintf(salt, sizeof(salt), ",\"cache_salt\":\"%u\"", random_below(rnd, random_one_in(rnd, 3) ? 1000 : 2));
    }
    int len =
        snprintf(ret, size, "%s,\"priority\":%d", salt, random_one_in(rnd, 3) ? (int)random_below(rnd, 5) - 2 : 0);
    if (random_one_in(rnd, 20)) {
        snprintf(ret + len, size - (size_t)len, ",\"timeout\":%.3f", 0.001 * (1 + random_below(rnd, 50)));
        return true;
    }
    return false;
}

static void submit_one(struct workload *w, struct strbuf *body)
{
    struct submitted *s = &w->submitted[w->n_submitted];
    struct answer *a = answer_of(w, w->n_submitted);
    s->request = random_below(&w->rnd, WORKLOAD_REQUESTS);
    const struct workload_request *r = &w->world->requests[s->request];
    char more[100];
    a->more = a + 1;
    for (uint32_t i = 0; i < r->n * r->n_prompts && r->has_probs; i++) {
        answer_want_probs(&a[i]);
    }
    s->has_timeout = write_more(&w->rnd, more, sizeof(more));
    workload_request_write(r, more, body);
    int rc;
    struct tokfs_error error;
    const struct tokfs_tenant tenant = { .id = random_below(&w->rnd, 4), .may_hurry = random_one_in(&w->rnd, 2) };
    tokfs_set_tenant(w->engine, &tenant);
    while ((rc = tokfs_submit_completion(w->engine, body->ptr, body->len, a, &a->completion, &error)) == -EAGAIN) {
        engine_test_next(w->engine); // the queue is full
    }
    assert_int_equal(rc, 0);
    w->n_submitted++;
    if (random_one_in(&w->rnd, 10)) {
        tokfs_set_priority(a->completion, (int)random_below(&w->rnd, 7) - 3);
    }
}

static void expect_prompt(struct workload *w, const struct submitted *s, const struct tokfs_completion *completion,
                          uint32_t idx)
{
    const struct workload_request *r = &w->world->requests[s->request];
    if (r->scores_prompt) {
        assert_true(prompt_hash(completion, idx, r->n_prompt[idx / r->n]) ==
                    w->world->prompt_hashes[s->request * CHOICES + idx]);
    }
}

static void expect_answer(struct workload *w, uint32_t idx)
{
    const struct submitted *s = &w->submitted[idx];
    const struct workload_request *r = &w->world->requests[s->request];
    const struct answer *got = answer_of(w, idx), *alone = &w->world->alone[s->request * CHOICES];
    if (got->is_failed && got->error.code == -ECANCELED) { // before it was accepted
        assert_true(s->is_cancelled && !got->is_accepted);
        return;
    }
    if (got->is_failed) {
        assert_true(s->has_timeout);
        assert_int_equal(got->error.code, -ETIMEDOUT);
    }
    for (uint32_t i = 0; i < r->n * r->n_prompts; i++) {
        assert_true(got[i].is_finished || got->is_failed);
        expect_beginning(&got[i], &alone[i]);
        if (!got[i].is_finished) {
            continue;
        }
        if (strcmp(got[i].reason, "cancel") == 0) {
            assert_true(s->is_cancelled);
        } else {
            answers_equal(&got[i], &alone[i]);
            expect_prompt(w, s, got->completion, i);
        }
    }
}

// The last event of a completion comes a moment before the pages of its last step are counted.
static void expect_idle(struct tokfs_engine *engine, struct tokfs_engine_stats *ret)
{
    struct tokfs_event event;
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(tokfs_poll(engine, &event), 0); // takes what is said of those that were freed
        tokfs_engine_get_stats(engine, ret);
        if (ret->n_running == 0 && ret->n_queued == 0 && ret->n_pages_free == ret->n_pages &&
            ret->n_requests == ret->n_finished + ret->n_cancelled + ret->n_failed) {
            return;
        }
        nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
    }
    fail_msg("%u running, %u queued, %u of %u pages free; %llu requests, %llu + %llu + %llu over", ret->n_running,
             ret->n_queued, ret->n_pages_free, ret->n_pages, (unsigned long long)ret->n_requests,
             (unsigned long long)ret->n_finished, (unsigned long long)ret->n_cancelled,
             (unsigned long long)ret->n_failed);
}

static void add_stats(struct tokfs_engine_stats *totals, const struct tokfs_engine_stats *s)
{
    totals->n_requests += s->n_requests;
    totals->n_cancelled += s->n_cancelled;
    totals->n_failed += s->n_failed;
    totals->completion_tokens += s->completion_tokens;
    totals->cached_tokens += s->cached_tokens;
    totals->n_preempted += s->n_preempted;
    totals->n_guessed_right += s->n_guessed_right;
    totals->n_evicted += s->n_evicted;
}

static void finish(struct workload *w, struct tokfs_engine_stats *totals)
{
    struct tokfs_engine_stats stats;
    bool is_left_running = random_one_in(&w->rnd, 12); // the engine is closed on them
    while (!is_left_running && is_any_left(w)) {
        let_run(w, 1);
    }
    for (uint32_t i = 0; i < w->n_submitted; i++) {
        if (!w->submitted[i].is_freed) {
            if (!is_left_running) {
                expect_answer(w, i);
            }
            tokfs_completion_free(answer_of(w, i)->completion);
        }
    }
    expect_idle(w->engine, &stats);
    add_stats(totals, &stats);
    tokfs_engine_close(w->engine);
    answers_free(w->answers, w->n * CHOICES);
}

static void run_workload(uint64_t seed, void *totals)
{
    static const uint32_t cancels[] = { 0, 0, 400, 100, 20 };
    struct workload w = { .rnd = { seed } };
    struct strbuf body;
    strbuf_init(&body, 0);
    random_below(&w.rnd, 2); // seeds that follow one another begin alike
    w.world = pick_world(&w.rnd);
    use_set(w.world, 1 + seed / WORKLOADS_OF_SET);
    w.engine = open_engine(w.world, &w.rnd);
    w.n = 1 + random_below(&w.rnd, N_SUBMITTED_MAX);
    w.n_cancel = cancels[random_below(&w.rnd, 5)];
    w.answers = answers_new(w.n * CHOICES);
    uint32_t n_gap = random_one_in(&w.rnd, 3) ? 0 : 1 + random_below(&w.rnd, 100); // events between arrivals
    while (w.n_submitted < w.n) {
        submit_one(&w, &body);
        let_run(&w, n_gap > 0 && random_one_in(&w.rnd, 3) ? random_below(&w.rnd, n_gap) : 0);
    }
    if (random_one_in(&w.rnd, 20)) {
        nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL); // the ring fills, and the engine waits for room
    }
    finish(&w, totals);
    strbuf_deinit(&body);
}

static void test_workloads_answer_as_alone(void **state)
{
    (void)state;
    struct tokfs_engine_stats t = { 0 };
    uint64_t n = seeds_run("TOKFS_TEST_WORKLOADS", N_WORKLOADS, run_workload, &t);
    printf("%llu workloads, %llu requests (%llu cancelled, %llu failed), %llu tokens; cached %llu, preempted %llu, "
           "evicted %llu, "
           "guessed %llu\n",
           (unsigned long long)n, (unsigned long long)t.n_requests, (unsigned long long)t.n_cancelled,
           (unsigned long long)t.n_failed, (unsigned long long)t.completion_tokens, (unsigned long long)t.cached_tokens,
           (unsigned long long)t.n_preempted, (unsigned long long)t.n_evicted, (unsigned long long)t.n_guessed_right);
    if (n >= N_CONTROL) {
        assert_true(t.cached_tokens > 0 && t.n_preempted > 0 && t.n_cancelled > 0 && t.n_evicted > 0 &&
                    t.n_guessed_right > 0);
    }
}

int main(int argc, char **argv)
{
    assert(argc == 2);
    make_worlds(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workloads_answer_as_alone),
    };
    int rc = cmocka_run_group_tests_name("workloads", tests, NULL, NULL);
    for (size_t i = 0; i < N_WORLDS; i++) {
        answers_free(worlds[i].alone, worlds[i].set > 0 ? WORKLOAD_REQUESTS * CHOICES : 0);
        free(worlds[i].requests);
    }
    return rc;
}
