// Time stands still but for steps, which take what the cost model says, and for waiting until the next arrival.
//
// Fairness compares what tenants got with their share while they competed: in each step, the tenants that have requests
// waiting share equally what they got together; Jain's index (Jain, Chiu, Hawe 1984) of got / share over the
// tenants that ever competed is 1 when all got their share, 1 / n when one got everything.
#include "tools/bench/simulate.h"

#include "engine/base/loop.h"
#include "engine/serve/deadline.h"
#include "engine/serve/runner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define START_NS    1000000000 // the engine takes 0 for never
#define PAGE_TOKENS 16
#define RING_EVENTS 16 // per slot

struct tenant {
    uint32_t n_waiting;
    double got, share; // rows
};

struct running {
    const struct trace_request *request;
    uint64_t arrived_ns, last_token_ns; // 0: none yet
    bool has_started;
};

struct simulator {
    const struct bench_options *options;
    const struct trace *trace;
    uint32_t n_ctx;
    struct runner runner;
    bool has_runner;
    struct event_ring ring;
    struct tokenizer *tok;
    uint64_t now_ns;
    float *logits; // [n_slots][TRACE_VOCAB]
    struct tenant *tenants;
    size_t n_arrived, n_ended;
    struct simulation *out;
    bool is_out_of_memory;
};

// ---- the pages' memory, which nobody reads; one worker ------------------------------------------------------------

static void *heap_alloc(struct backend *b, size_t bytes)
{
    (void)b;
    return calloc(1, bytes);
}

static void heap_free(struct backend *b, void *mem)
{
    (void)b;
    free(mem);
}

static void heap_copy(struct backend *b, void *dst, const void *src, size_t bytes)
{
    (void)b;
    memcpy(dst, src, bytes);
}

static size_t one_worker(const struct backend *b)
{
    (void)b;
    return 1;
}

static void run_here(struct backend *b, size_t n_items, host_fn *fn, void *ctx)
{
    (void)b;
    fn(ctx, 0, n_items, 0);
}

static const struct backend_ops heap_ops = {
    .name = "none",
    .alloc = heap_alloc,
    .free = heap_free,
    .copy = heap_copy,
    .n_workers = one_worker,
    .spread = run_here,
};

// ---- in place of the model ----------------------------------------------------------------------------------------

static uint64_t now_ns(void *ctx)
{
    return ((const struct simulator *)ctx)->now_ns;
}

static double step_us(const struct simulator *s, const struct step *step)
{
    const struct bench_options *o = s->options;
    double context = 0;

    for (size_t i = 0; i < step->map.n_seqs; i++) {
        const struct batch_seq *seq = &step->map.seqs[i];
        context += (double)seq->n_rows * ((double)seq->pos + ((double)seq->n_rows + 1) / 2);
    }
    return o->step_us + o->row_us * (double)step->map.n_rows + o->context_us * context;
}

static struct running *running_of(const struct choice *choice)
{
    return choice->completion->user;
}

static void count_shares(struct simulator *s)
{
    double rows = 0;
    size_t n_waiting = 0;

    for (size_t i = 0; i < s->trace->n_tenants; i++) {
        n_waiting += s->tenants[i].n_waiting > 0;
    }
    if (n_waiting < 2) {
        return;
    }
    for (size_t i = 0; i < s->runner.plan.n_items; i++) {
        const struct sched_item *item = &s->runner.plan.items[i];
        struct tenant *t = &s->tenants[running_of(s->runner.active[item->idx]->choice)->request->tenant];
        if (t->n_waiting > 0) {
            t->got += item->n_tokens;
            rows += item->n_tokens;
        }
    }
    for (size_t i = 0; i < s->trace->n_tenants; i++) {
        s->tenants[i].share += s->tenants[i].n_waiting > 0 ? rows / (double)n_waiting : 0;
    }
}

// Each answer says what its stream says.
static struct logits compute(void *ctx, const struct step *step)
{
    struct simulator *s = ctx;
    uint64_t began_ns = clock_monotonic_ns();
    size_t row = 0;

    for (size_t i = 0; i < s->runner.plan.n_items; i++) {
        const struct sched_item *item = &s->runner.plan.items[i];
        const struct sequence *seq = s->runner.active[item->idx];
        if (seq->n_computed + item->n_tokens == seq->n_tokens) {
            float *logits = s->logits + row++ * TRACE_VOCAB;
            memset(logits, 0, TRACE_VOCAB * sizeof(*logits));
            logits[trace_token(running_of(seq->choice)->request, seq->n_tokens)] = 1;
        }
    }
    count_shares(s);
    s->now_ns += (uint64_t)(step_us(s, step) * 1e3);
    s->out->model_s += (double)(clock_monotonic_ns() - began_ns) / 1e9;
    return (struct logits){ .rows = s->logits };
}

// ---- arrivals and events ------------------------------------------------------------------------------------------

static void free_request(struct tokfs_completion *c)
{
    if (c) {
        free(c->user);
        completion_free(c);
    }
}

// What intake makes of a request that is accepted. NULL: no memory.
static struct tokfs_completion *make_request(const struct simulator *s, const struct trace_request *request)
{
    struct tokfs_completion *c = calloc(1, sizeof(*c));
    struct sampling_params params;

    if (!c) {
        return NULL;
    }
    sampling_params_default(&params);
    params.temperature = 0;
    params.ignore_eos = true;
    params.max_tokens = request->answer_tokens;
    c->user = calloc(1, sizeof(struct running));
    c->prompt = malloc(request->prompt_tokens * sizeof(*c->prompt));
    c->n_prompt = request->prompt_tokens;
    if (!c->user || !c->prompt || completion_keep_sampling(c, &params, STR("")) < 0 ||
        completion_make_choices(c, 1, s->n_ctx) < 0) {
        free_request(c);
        return NULL;
    }
    for (uint32_t i = 0; i < request->prompt_tokens; i++) {
        c->prompt[i] = trace_token(request, i);
    }
    c->priority = request->priority;
    c->deadline_ns = deadline_from(START_NS + request->arrival_ns, request->timeout_s, 0);
    c->submitted_ns = c->accepted_ns = START_NS + request->arrival_ns;
    atomic_store(&c->tenant, request->tenant);
    *(struct running *)c->user = (struct running){ .request = request, .arrived_ns = c->submitted_ns };
    return c;
}

static int add_arrivals(struct simulator *s)
{
    int rc = 0;

    while (rc == 0 && s->n_arrived < s->trace->n &&
           START_NS + s->trace->requests[s->n_arrived].arrival_ns <= s->now_ns) {
        const struct trace_request *request = &s->trace->requests[s->n_arrived++];
        struct tokfs_completion *c = make_request(s, request);
        if (c) {
            runner_add(&s->runner, c);
            s->tenants[request->tenant].n_waiting++;
        }
        rc = c ? 0 : -ENOMEM;
    }
    s->out->n_queued_max = s->runner.n_waiting > s->out->n_queued_max ? s->runner.n_waiting : s->out->n_queued_max;
    return rc;
}

static bool add_itl(struct simulation *out, double ms)
{
    if (out->n_itl == out->n_itl_allocated) {
        size_t n = out->n_itl_allocated ? 2 * out->n_itl_allocated : 4096;
        double *itl_ms = realloc(out->itl_ms, n * sizeof(*itl_ms));
        if (!itl_ms) {
            return false;
        }
        out->itl_ms = itl_ms;
        out->n_itl_allocated = n;
    }
    out->itl_ms[out->n_itl++] = ms;
    return true;
}

static void take_token(struct simulator *s, struct running *running, uint64_t sampled_ns)
{
    if (running->last_token_ns == 0) {
        s->out->ttft_ms[s->out->n_ttft++] = (double)(sampled_ns - running->arrived_ns) / 1e6;
    } else if (!add_itl(s->out, (double)(sampled_ns - running->last_token_ns) / 1e6)) {
        s->is_out_of_memory = true;
    }
    running->last_token_ns = sampled_ns;
}

static void publish(void *ctx)
{
    struct simulator *s = ctx;
    const struct event_slot *slot;

    event_ring_publish(&s->ring);
    while ((slot = event_ring_take(&s->ring, event_ring_published(&s->ring))) != NULL) {
        struct running *running = running_of(slot->choice);
        switch ((enum event_slot_kind)slot->kind) {
        case EVENT_SLOT_STARTED:
            s->tenants[running->request->tenant].n_waiting--;
            running->has_started = true;
            break;
        case EVENT_SLOT_TOKEN:
            if (slot->token_id >= 0) {
                take_token(s, running, slot->sampled_ns);
            }
            break;
        case EVENT_SLOT_FINISHED:
        case EVENT_SLOT_FAILED:
            s->tenants[running->request->tenant].n_waiting -= !running->has_started;
            s->n_ended++;
            free_request(slot->choice->completion);
            break;
        case EVENT_SLOT_PROBS:
        case EVENT_SLOT_CALL_ID: break;
        }
    }
}

// ---- the run ------------------------------------------------------------------------------------------------------

static int simulator_open(struct simulator *s, struct backend *backend, struct err *err)
{
    // Texts are nobody's concern here: a tokenizer without tokens beside one.
    static const char tokenizer[] = "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}";
    const struct bench_options *o = s->options;
    uint32_t n_slots = o->n_sequences;
    size_t n_batch = o->batch_tokens ? o->batch_tokens : n_slots > 512 ? n_slots : 512;

    if (n_batch < n_slots || (uint64_t)o->n_pages * PAGE_TOKENS < s->n_ctx) {
        return err_set(err, -EINVAL, "%s is below %s", n_batch < n_slots ? "--batch" : "--pages times 16",
                       n_batch < n_slots ? "--sequences" : "--ctx");
    }
    s->logits = calloc((size_t)n_slots * TRACE_VOCAB, sizeof(*s->logits));
    s->tenants = calloc(s->trace->n_tenants, sizeof(*s->tenants));
    s->out->ttft_ms = calloc(s->trace->n, sizeof(double));
    if (!s->logits || !s->tenants || !s->out->ttft_ms || event_ring_init(&s->ring, RING_EVENTS * n_slots) < 0) {
        return err_set(err, -ENOMEM, "out of memory for %zu requests", s->trace->n);
    }
    int rc = tokenizer_from_json(str_from(tokenizer), &s->tok, err);
    if (rc < 0) {
        return rc;
    }
    const struct runner_options runner_options = {
        .backend = backend,
        .drive = { .step = compute, .now_ns = now_ns, .ctx = s, .n_vocab = TRACE_VOCAB, .page_bytes = 1 },
        .tok = s->tok,
        .ring = &s->ring,
        .n_slots = n_slots,
        .n_ctx = s->n_ctx,
        .n_pages = o->n_pages,
        .page_tokens = PAGE_TOKENS,
        .batch_tokens = n_batch,
        .no_prefix_cache = o->no_prefix_cache,
        .no_speculation = true, // what is said means nothing here
    };
    rc = runner_init(&s->runner, &runner_options, err);
    s->has_runner = rc == 0;
    return rc;
}

static int run(struct simulator *s, struct err *err)
{
    while (s->n_ended < s->trace->n) {
        if (add_arrivals(s) < 0 || s->is_out_of_memory) {
            return err_set(err, -ENOMEM, "out of memory for the requests of the trace");
        }
        bool has_run = runner_step(&s->runner, publish, s);
        publish(s);
        if (has_run || s->n_ended == s->trace->n) {
            continue;
        }
        if (!runner_is_idle(&s->runner) || s->n_arrived == s->trace->n) {
            return err_set(err, -EIO, "after %zu of %zu requests nothing runs any more", s->n_ended, s->trace->n);
        }
        s->now_ns = START_NS + s->trace->requests[s->n_arrived].arrival_ns;
    }
    return 0;
}

static double fairness(const struct simulator *s)
{
    double sum = 0, squares = 0;
    size_t n = 0;

    for (size_t i = 0; i < s->trace->n_tenants; i++) {
        if (s->tenants[i].share > 0) {
            double x = s->tenants[i].got / s->tenants[i].share;
            sum += x;
            squares += x * x;
            n++;
        }
    }
    return squares > 0 ? sum * sum / ((double)n * squares) : 1;
}

// Nothing is left running, however the run ended.
static void simulator_close(struct simulator *s)
{
    if (s->has_runner) {
        for (uint32_t i = 0; i < s->runner.n_active; i++) {
            atomic_store(&s->runner.active[i]->completion->cancel, true);
        }
        for (struct choice *choice = s->runner.waiting_first; choice; choice = choice->next) {
            atomic_store(&choice->completion->cancel, true);
        }
        while (!runner_is_idle(&s->runner)) {
            runner_cancel_flagged(&s->runner);
            runner_step(&s->runner, publish, s);
            publish(s);
        }
        runner_deinit(&s->runner);
    }
    event_ring_deinit(&s->ring);
    tokenizer_free(s->tok);
    free(s->logits);
    free(s->tenants);
}

int simulate(const struct bench_options *options, uint32_t n_ctx, const struct trace *trace, struct simulation *ret,
             struct err *err)
{
    struct backend backend = { .ops = &heap_ops };
    struct simulator s = { .options = options, .trace = trace, .n_ctx = n_ctx, .now_ns = START_NS, .out = ret };

    *ret = (struct simulation){ 0 };
    int rc = simulator_open(&s, &backend, err);
    uint64_t began_ns = clock_monotonic_ns();
    rc = rc == 0 ? run(&s, err) : rc;
    ret->wall_s = (double)(clock_monotonic_ns() - began_ns) / 1e9;
    if (rc == 0) {
        const struct tokfs_engine_stats *stats = &s.runner.stats;
        ret->end_ns = s.now_ns - START_NS;
        ret->prompt_tokens = stats->prompt_tokens;
        ret->cached_tokens = stats->cached_tokens;
        ret->completion_tokens = stats->completion_tokens;
        ret->n_preempted = stats->n_preempted;
        ret->n_steps = stats->n_steps;
        ret->n_evicted = s.runner.radix.n_evicted;
        ret->n_failed = stats->n_failed;
        ret->fairness = fairness(&s);
    }
    simulator_close(&s);
    return rc;
}

void simulation_free(struct simulation *simulation)
{
    free(simulation->ttft_ms);
    free(simulation->itl_ms);
    *simulation = (struct simulation){ 0 };
}
