// The caller's side of the engine: submit, cancel, poll, look. Every function here runs on the caller's thread.
//
// Who frees a completion: its last event passes from the producer's hands into tokfs_poll; from then on the caller's
// thread alone knows it. tokfs_completion_free before that only marks and cancels it, and tokfs_poll frees it when its
// last event comes; after that it frees at once.
#include "engine/serve/engine.h"

#include "engine/base/loop.h"
#include "engine/serve/error.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define BODY_BYTES_MAX    (64u << 20)
#define WAITING_BYTES_MAX (256u << 20) // of all requests that wait, as they were submitted

// ---- look ---------------------------------------------------------------------------------------------------------

void tokfs_engine_get_info(const struct tokfs_engine *engine, struct tokfs_engine_info *ret)
{
    const struct model_config *config = model_get_config(engine->model);
    const struct page_pool *pool = &engine->runner.pool;
    *ret = (struct tokfs_engine_info){
        .model = engine->served_name,
        .architecture = config->architecture,
        .backend = engine->backend->ops->describe(engine->backend),
        .n_ctx = engine->sizes.n_ctx,
        .n_ctx_model = model_get_config(engine->model)->n_ctx_max,
        .n_vocab = config->n_vocab,
        .n_params = model_config_n_params(config),
        .weight_bytes = model_weight_bytes(engine->model),
        .kv_bytes = (uint64_t)pool->page_bytes * engine->sizes.n_pages,
        .max_sequences = engine->sizes.n_slots,
        .max_queued = engine->sizes.max_queued,
        .n_pages = engine->sizes.n_pages,
        .page_tokens = engine->sizes.page_tokens,
        .created = engine->created,
        .has_chat_template = engine->format.tmpl != NULL,
    };
}

void tokfs_engine_get_stats(const struct tokfs_engine *engine, struct tokfs_engine_stats *ret)
{
    struct tokfs_engine *e = (struct tokfs_engine *)engine; // only its lock is written
    pthread_mutex_lock(&e->stats_lock);
    *ret = e->stats;
    ret->n_failed += e->n_refused;
    pthread_mutex_unlock(&e->stats_lock);
    ret->n_requests = e->n_submitted;
    ret->n_queued += atomic_load(&e->work.n) + atomic_load(&e->admission.n);
}

int tokfs_engine_fd(const struct tokfs_engine *engine)
{
    return engine->event_fd;
}

// ---- submit -------------------------------------------------------------------------------------------------------

static int refuse(struct tokfs_error *ret, int code, const char *msg)
{
    struct err err;
    err_set(&err, code, "%s", msg);
    return error_export(ret, &err);
}

static int new_completion(struct tokfs_engine *e, size_t n_bytes, void *user, struct tokfs_completion **ret,
                          struct tokfs_error *err)
{
    if (n_bytes > BODY_BYTES_MAX) {
        return refuse(err, -EFBIG, "the request is larger than 64 MiB");
    }
    if (e->n_waiting >= e->sizes.max_queued || e->waiting_bytes + n_bytes > WAITING_BYTES_MAX) {
        return refuse(err, -EAGAIN, "too many requests are waiting: try again later");
    }
    struct tokfs_completion *c = calloc(1, sizeof(*c));
    if (!c) {
        return refuse(err, -ENOMEM, "out of memory for a request");
    }
    c->engine = e;
    c->user = user;
    c->n_bytes = n_bytes;
    c->submitted_ns = clock_monotonic_ns();
    *ret = c;
    return 0;
}

static void send_to_text(struct tokfs_engine *e, struct tokfs_completion *c, struct tokfs_completion **ret)
{
    e->n_live++;
    e->n_waiting++;
    e->waiting_bytes += c->n_bytes;
    e->n_submitted++;
    *ret = c;
    completion_queue_push(&e->work, c);
}

int tokfs_submit_chat(struct tokfs_engine *engine, const char *json, size_t len, void *user,
                      struct tokfs_completion **ret, struct tokfs_error *err)
{
    struct tokfs_completion *c = NULL;
    int rc = new_completion(engine, len, user, &c, err);
    if (rc < 0) {
        return rc;
    }
    c->body = str_dup((struct str){ json, len });
    c->body_len = len;
    if (!c->body) {
        completion_free(c);
        return refuse(err, -ENOMEM, "out of memory for a request");
    }
    send_to_text(engine, c, ret);
    return 0;
}

static void take_sampling(struct tokfs_completion *c, const struct tokfs_sampling *sampling)
{
    sampling_params_default(&c->sampling);
    c->sampling.temperature = sampling ? sampling->temperature : 0;
    c->sampling.has_seed = true;
    c->sampling.max_tokens = -1;
    if (sampling) {
        c->sampling.top_p = sampling->top_p;
        c->sampling.top_k = sampling->top_k;
        c->sampling.min_p = sampling->min_p;
        c->sampling.seed = sampling->seed;
        c->sampling.max_tokens = sampling->max_tokens;
        c->sampling.ignore_eos = sampling->ignore_eos;
    }
}

int tokfs_submit_tokens(struct tokfs_engine *engine, const int32_t *ids, size_t n_ids,
                        const struct tokfs_sampling *sampling, void *user, struct tokfs_completion **ret,
                        struct tokfs_error *err)
{
    struct tokfs_completion *c = NULL;
    int rc = new_completion(engine, n_ids > BODY_BYTES_MAX ? n_ids : n_ids * sizeof(*ids), user, &c, err);
    if (rc < 0) {
        return rc;
    }
    c->prompt = malloc(n_ids > 0 ? n_ids * sizeof(*ids) : 1);
    if (!c->prompt) {
        completion_free(c);
        return refuse(err, -ENOMEM, "out of memory for a request");
    }
    if (n_ids > 0) {
        memcpy(c->prompt, ids, n_ids * sizeof(*ids));
    }
    c->n_prompt = (uint32_t)n_ids;
    take_sampling(c, sampling);
    send_to_text(engine, c, ret);
    return 0;
}

void tokfs_cancel(struct tokfs_completion *completion)
{
    if (completion->is_done) {
        return;
    }
    struct tokfs_engine *e = completion->engine;
    atomic_store(&completion->cancel, true);
    atomic_store(&e->cancel_pending, true);
    wake_notify(&e->wake);
}

static void forget(struct tokfs_engine *e, struct tokfs_completion *completion)
{
    assert(completion->is_done);
    completion_free(completion);
    e->n_live--;
}

void tokfs_completion_free(struct tokfs_completion *completion)
{
    if (!completion) {
        return;
    }
    assert(!completion->is_freed);
    if (completion->is_done) {
        forget(completion->engine, completion);
        return;
    }
    completion->is_freed = true;
    tokfs_cancel(completion);
}

// ---- poll ---------------------------------------------------------------------------------------------------------

static void leave_waiting(struct tokfs_engine *e, struct tokfs_completion *c)
{
    if (!c->is_started) {
        c->is_started = true;
        e->n_waiting--;
        e->waiting_bytes -= c->n_bytes;
    }
}

// The last event of `c` was reached. False: nobody wants to hear it.
static bool take_last(struct tokfs_engine *e, struct tokfs_completion *c)
{
    leave_waiting(e, c);
    c->is_done = true;
    if (c->is_freed) {
        forget(e, c);
        return false;
    }
    return true;
}

static bool tell_failure(struct tokfs_engine *e, struct tokfs_completion *c, const struct err *why,
                         struct tokfs_event *ret)
{
    error_export(&e->polled_error, why);
    ret->kind = TOKFS_EVENT_FAILED;
    ret->error = &e->polled_error;
    return take_last(e, c);
}

static struct tokfs_event event_of(struct tokfs_completion *c)
{
    return (struct tokfs_event){ .completion = c, .user = c->user, .token_id = -1, .text = "" };
}

static bool tell_verdict(struct tokfs_engine *e, struct tokfs_completion *c, struct tokfs_event *ret)
{
    *ret = event_of(c);
    if (c->refusal.code < 0) {
        return tell_failure(e, c, &c->refusal, ret);
    }
    ret->kind = TOKFS_EVENT_ACCEPTED;
    ret->usage.prompt_tokens = c->n_prompt;
    ret->stream = c->stream;
    ret->include_usage = c->include_usage;
    ret->timings_per_token = c->timings_per_token;
    return !c->is_freed;
}

static bool tell_slot(struct tokfs_engine *e, const struct event_slot *slot, struct tokfs_event *ret)
{
    struct tokfs_completion *c = slot->completion;
    *ret = event_of(c);
    ret->text = slot->text;
    ret->text_len = slot->text_len;
    switch ((enum event_slot_kind)slot->kind) {
    case EVENT_SLOT_STARTED:
        ret->kind = TOKFS_EVENT_STARTED;
        leave_waiting(e, c);
        return !c->is_freed;
    case EVENT_SLOT_TOKEN:
        ret->kind = TOKFS_EVENT_TOKEN;
        ret->token_id = slot->token_id;
        ret->sampled_ns = slot->sampled_ns;
        return !c->is_freed;
    case EVENT_SLOT_FINISHED:
        ret->kind = TOKFS_EVENT_FINISHED;
        ret->finish_reason = c->finish_reason;
        ret->usage = c->usage;
        return take_last(e, c);
    case EVENT_SLOT_FAILED: return tell_failure(e, c, &c->failure, ret);
    }
    assert(!"event kind");
    return false;
}

// The next event that somebody wants. How far the ring was published is read before the verdicts: see threads.c.
static bool take_event(struct tokfs_engine *e, struct tokfs_event *ret)
{
    for (;;) {
        uint32_t limit = event_ring_published(&e->ring);
        struct tokfs_completion *c = completion_queue_pop(&e->verdicts);
        if (c) {
            if (tell_verdict(e, c, ret)) {
                return true;
            }
            continue;
        }
        const struct event_slot *slot = event_ring_take(&e->ring, limit);
        if (atomic_load(&e->wants_room) && event_ring_is_roomy(&e->ring)) {
            wake_notify(&e->wake);
        }
        if (!slot) {
            return false;
        }
        if (tell_slot(e, slot, ret)) {
            return true;
        }
    }
}

int tokfs_poll(struct tokfs_engine *engine, struct tokfs_event *ret)
{
    if (take_event(engine, ret)) {
        return 1;
    }
    eventfd_t count;
    eventfd_read(engine->event_fd, &count); // quiet from here on, unless something came in between
    if (!take_event(engine, ret)) {
        return 0;
    }
    engine_signal(engine);
    return 1;
}

void tokfs_engine_passed_on(struct tokfs_engine *engine)
{
    handoff_tell(&engine->handoff, event_ring_taken(&engine->ring));
}
