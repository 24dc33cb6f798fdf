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

_Static_assert((int)TOKFS_PART_CONTENT == (int)ANSWER_CONTENT && (int)TOKFS_PART_REASONING == (int)ANSWER_REASONING &&
                   (int)TOKFS_PART_CALL == (int)ANSWER_CALL && (int)TOKFS_PART_ARGUMENTS == (int)ANSWER_ARGUMENTS,
               "parts keep their numbers");
_Static_assert(ANSWER_CALL_ID_MAX <= EVENT_TEXT_MAX && ANSWER_CALLS_MAX <= UINT8_MAX, "a call fits in an entry");

#define BODY_BYTES_MAX    (64u << 20)
#define PROB_LOG_MIN      (-9999.0f)   // stands for no chance at all: JSON has no infinity
#define WAITING_BYTES_MAX (256u << 20) // of all requests that wait, as they were submitted

// ---- look ---------------------------------------------------------------------------------------------------------

void tokfs_engine_get_info(const struct tokfs_engine *engine, struct tokfs_engine_info *ret)
{
    *ret = engine->info;
}

const struct tokfs_model_file *tokfs_engine_model_files(const struct tokfs_engine *engine, size_t *ret_n)
{
    *ret_n = engine->files.n;
    return engine->files.files;
}

void tokfs_engine_get_stats(const struct tokfs_engine *engine, struct tokfs_engine_stats *ret)
{
    struct tokfs_engine *e = (struct tokfs_engine *)engine; // only its lock is written
    pthread_mutex_lock(&e->stats_lock);
    *ret = e->stats;
    ret->n_failed += e->n_refused;
    ret->n_finished += e->n_texts;
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
    c->tenant = e->tenant.id;
    c->is_modest = !e->tenant.may_hurry;
    c->cache_scope = e->tenant.cache_scope;
    c->submitted_ns = clock_monotonic_ns();
    c->n_prompt_logprobs = -1;
    c->probs_from = -1;
    *ret = c;
    return 0;
}

void tokfs_set_tenant(struct tokfs_engine *engine, const struct tokfs_tenant *tenant)
{
    engine->tenant = *tenant;
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

static int new_with_body(struct tokfs_engine *e, struct str body, void *user, struct tokfs_completion **ret,
                         struct tokfs_error *err)
{
    struct tokfs_completion *c = NULL;
    int rc = new_completion(e, body.len, user, &c, err);
    if (rc < 0) {
        return rc;
    }
    c->body = str_dup(body);
    c->body_len = body.len;
    if (!c->body) {
        completion_free(c);
        return refuse(err, -ENOMEM, "out of memory for a request");
    }
    *ret = c;
    return 0;
}

int tokfs_submit_chat(struct tokfs_engine *engine, const char *json, size_t len, void *user,
                      struct tokfs_completion **ret, struct tokfs_error *err)
{
    struct tokfs_completion *c = NULL;
    int rc = new_with_body(engine, (struct str){ json, len }, user, &c, err);
    if (rc == 0) {
        send_to_text(engine, c, ret);
    }
    return rc;
}

static int keep_origin(struct tokfs_completion *c, const struct tokfs_origin *origin)
{
    int32_t *ids = malloc(origin->n_ids > 0 ? origin->n_ids * sizeof(*ids) : 1);
    if (!ids) {
        return -ENOMEM;
    }
    if (origin->n_ids > 0) {
        memcpy(ids, origin->ids, origin->n_ids * sizeof(*ids));
    }
    c->has_origin = true;
    c->origin = *origin;
    c->origin.ids = ids;
    return 0;
}

int tokfs_submit_chat_from(struct tokfs_engine *engine, const char *json, size_t len, const struct tokfs_origin *origin,
                           void *user, struct tokfs_completion **ret, struct tokfs_error *err)
{
    struct tokfs_completion *c = NULL;
    int rc = new_with_body(engine, (struct str){ json, len }, user, &c, err);
    if (rc == 0 && keep_origin(c, origin) < 0) {
        completion_free(c);
        rc = refuse(err, -ENOMEM, "out of memory for a request");
    }
    if (rc == 0) {
        send_to_text(engine, c, ret);
    }
    return rc;
}

int tokfs_submit_chat_source(struct tokfs_engine *engine, const struct tokfs_chat_source *source,
                             const struct tokfs_origin *origin, void *user, struct tokfs_completion **ret,
                             struct tokfs_error *err)
{
    struct tokfs_completion *c = NULL;
    int rc = new_completion(engine, source->n_bytes, user, &c, err);
    if (rc == 0 && origin && keep_origin(c, origin) < 0) {
        completion_free(c);
        rc = refuse(err, -ENOMEM, "out of memory for a request");
    }
    if (rc == 0) {
        c->source = *source;
        send_to_text(engine, c, ret);
    }
    return rc;
}

int tokfs_submit_completion(struct tokfs_engine *engine, const char *json, size_t len, void *user,
                            struct tokfs_completion **ret, struct tokfs_error *err)
{
    struct tokfs_completion *c = NULL;
    int rc = new_with_body(engine, (struct str){ json, len }, user, &c, err);
    if (rc == 0) {
        c->form = REQUEST_COMPLETION;
        send_to_text(engine, c, ret);
    }
    return rc;
}

int tokfs_submit_generate(struct tokfs_engine *engine, const char *json, size_t len, void *user,
                          struct tokfs_completion **ret, struct tokfs_error *err)
{
    struct tokfs_completion *c = NULL;
    int rc = new_with_body(engine, (struct str){ json, len }, user, &c, err);
    if (rc == 0) {
        c->form = REQUEST_GENERATE;
        send_to_text(engine, c, ret);
    }
    return rc;
}

int tokfs_submit_text(struct tokfs_engine *engine, enum tokfs_text_kind kind, const char *json, size_t len, void *user,
                      struct tokfs_completion **ret, struct tokfs_error *err)
{
    struct tokfs_completion *c = NULL;
    int rc = new_with_body(engine, (struct str){ json, len }, user, &c, err);
    if (rc < 0) {
        return rc;
    }
    c->is_text = true;
    c->text_kind = kind;
    send_to_text(engine, c, ret);
    return 0;
}

_Static_assert(sizeof(struct tokfs_logit_bias) == sizeof(struct logit_bias) &&
                   offsetof(struct tokfs_logit_bias, bias) == offsetof(struct logit_bias, bias),
               "one is read as the other");

// Lists that are too long are left out here and refused by the text thread, which goes by their counts.
static struct sampling_params params_of(const struct tokfs_sampling *s)
{
    struct sampling_params params = {
        .temperature = s->temperature,
        .top_p = s->top_p,
        .top_k = s->top_k,
        .min_p = s->min_p,
        .typical_p = s->typical_p,
        .repetition_penalty = s->repetition_penalty,
        .frequency_penalty = s->frequency_penalty,
        .presence_penalty = s->presence_penalty,
        .bias = (const struct logit_bias *)s->logit_bias,
        .n_bias = s->n_logit_bias <= LOGIT_BIAS_MAX ? s->n_logit_bias : 0,
        .has_seed = true,
        .seed = s->seed,
        .max_tokens = s->max_tokens,
        .min_tokens = s->min_tokens,
        .timeout_s = s->timeout,
        .ignore_eos = s->ignore_eos,
        .stop_ids = s->stop_token_ids,
        .n_stop_ids = s->n_stop_token_ids <= STOP_IDS_MAX ? s->n_stop_token_ids : 0,
        .include_stop = s->include_stop_str_in_output,
        .shows_special = s->show_special_tokens,
    };
    for (size_t i = 0; i < s->n_stop && s->n_stop <= STOP_STRINGS_MAX; i++) {
        params.stop[params.n_stop++] = str_from(s->stop[i]);
    }
    return params;
}

static int take_sampling(struct tokfs_completion *c, const struct tokfs_sampling *sampling)
{
    static const struct tokfs_sampling greedy = { .top_p = 1, .max_tokens = -1 };
    const struct tokfs_sampling *s = sampling ? sampling : &greedy;
    const struct sampling_params params = params_of(s);
    c->has_logprobs = s->logprobs;
    c->n_top_logprobs = s->top_logprobs;
    c->n_choices = s->n > 0 ? s->n : 1;
    c->has_long_list =
        s->n_logit_bias > LOGIT_BIAS_MAX || s->n_stop_token_ids > STOP_IDS_MAX || s->n_stop > STOP_STRINGS_MAX;
    return completion_keep_sampling(c, &params, (struct str){ 0 });
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
    if (take_sampling(c, sampling) < 0) {
        completion_free(c);
        return refuse(err, -ENOMEM, "out of memory for a request");
    }
    send_to_text(engine, c, ret);
    return 0;
}

// ---- what was accepted --------------------------------------------------------------------------------------------

static const char *text_at(const struct tokfs_completion *c, const struct text_place *place, size_t *ret_len)
{
    *ret_len = place->len;
    return place->len > 0 ? c->texts.ptr + place->first : "";
}

const char *tokfs_completion_echo(const struct tokfs_completion *completion, unsigned index, size_t *ret_len)
{
    *ret_len = 0;
    if (!completion->prompts || index >= completion->n_choices) {
        return "";
    }
    return text_at(completion, &completion_prompt(completion, index)->echo, ret_len);
}

const char *tokfs_completion_name(const struct tokfs_completion *completion, unsigned index, size_t *ret_len)
{
    *ret_len = 0;
    if (!completion->prompts || index >= completion->n_choices) {
        return "";
    }
    return text_at(completion, &completion_prompt(completion, index)->name, ret_len);
}

const int32_t *tokfs_completion_prompt(const struct tokfs_completion *completion, unsigned index, size_t *ret_n)
{
    const struct choice *choice = index < completion->n_choices ? &completion->choices[index] : NULL;
    *ret_n = choice ? choice->n_prompt : 0;
    return choice ? choice->prompt : NULL;
}

const char *tokfs_token_bytes(const struct tokfs_engine *engine, int32_t id, size_t *ret_len)
{
    struct str bytes = tokenizer_token_bytes(engine->tok, id);
    *ret_len = bytes.len;
    return bytes.ptr ? bytes.ptr : "";
}

static void export_prob(const struct tokfs_engine *e, const struct token_prob *prob, struct tokfs_logprob *ret)
{
    bool is_number = prob->logprob >= PROB_LOG_MIN;
    *ret = (struct tokfs_logprob){ .id = prob->id, .logprob = is_number ? prob->logprob : PROB_LOG_MIN };
    ret->bytes = tokfs_token_bytes(e, prob->id, &ret->n_bytes);
}

size_t tokfs_completion_prompt_probs(const struct tokfs_completion *completion, unsigned index, size_t pos,
                                     struct tokfs_logprob ret[TOKFS_PROBS_MAX], uint32_t *ret_rank)
{
    const struct scores *scores = index < completion->n_choices ? completion->choices[index].scores : NULL;
    size_t n = 0;
    if (!scores || pos < scores->first || pos >= scores->next) {
        return 0;
    }
    const struct token_prob *probs = &scores->probs[(pos - scores->first) * scores->n_each];
    for (; n < scores->n_each && probs[n].id >= 0; n++) {
        export_prob(completion->engine, &probs[n], &ret[n]);
    }
    *ret_rank = scores->ranks[pos - scores->first];
    return n;
}

// ---- cancel and forget
// -----------------------------------------------------------------------------------------------

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

void tokfs_set_priority(struct tokfs_completion *completion, int64_t priority)
{
    atomic_store(&completion->priority_set, priority);
    atomic_store(&completion->has_priority_set, true);
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
    return (struct tokfs_event){ .completion = c, .user = c->user, .token_id = -1, .matched_id = -1, .text = "" };
}

static void take_probs(struct tokfs_engine *e, const struct event_slot *slot)
{
    struct token_prob probs[EVENT_PROBS_MAX];
    memcpy(probs, slot->text, slot->text_len);
    for (size_t i = 0; i < slot->text_len / sizeof(*probs); i++) {
        export_prob(e, &probs[i], &e->polled_probs[e->n_polled_probs++]);
    }
}

// What does not change any more once the first token was sampled.
static struct tokfs_usage usage_so_far(const struct choice *choice)
{
    const struct tokfs_usage *usage = &choice->usage;
    return (struct tokfs_usage){ .cached_tokens = usage->cached_tokens,
                                 .queue_ns = usage->queue_ns,
                                 .prefill_ns = usage->prefill_ns,
                                 .ttft_ns = usage->ttft_ns };
}

static bool tell_token(struct tokfs_engine *e, const struct event_slot *slot, struct tokfs_event *ret)
{
    ret->kind = TOKFS_EVENT_TOKEN;
    ret->token_id = slot->token_id;
    ret->part = (enum tokfs_part)slot->part;
    ret->call_idx = slot->call_idx;
    ret->call_id = ret->part == TOKFS_PART_CALL ? e->polled_call_id : NULL;
    ret->sampled_ns = slot->sampled_ns;
    ret->choice_usage = usage_so_far(slot->choice);
    if (slot->token_id >= 0) {
        ret->probs = e->polled_probs;
        ret->n_probs = e->n_polled_probs;
        e->n_polled_probs = 0;
    }
    return !slot->choice->completion->is_freed && !slot->choice->completion->has_failed;
}

// A choice has ended: its request goes on, unless this was the last, or the choice failed and takes the others with it.
static bool tell_end(struct tokfs_engine *e, const struct choice *choice, struct tokfs_event *ret)
{
    struct tokfs_completion *c = choice->completion;
    c->has_failed = c->has_failed || !choice->finish_reason;
    ret->kind = TOKFS_EVENT_CHOICE_FINISHED;
    ret->finish_reason = choice->finish_reason;
    ret->choice_usage = choice->usage;
    ret->matched_id = choice->matched_id;
    ret->matched = choice->matched.ptr;
    ret->matched_len = choice->matched.len;
    if (--c->n_untold > 0) {
        if (c->has_failed) {
            tokfs_cancel(c);
        }
        return !c->is_freed && !c->has_failed;
    }
    if (c->has_failed) {
        ret->index = 0;
        ret->text_len = 0;
        return tell_failure(e, c, &c->failure, ret);
    }
    ret->kind = TOKFS_EVENT_FINISHED;
    ret->usage = completion_usage(c);
    return take_last(e, c);
}

static bool tell_verdict(struct tokfs_engine *e, struct tokfs_completion *c, struct tokfs_event *ret)
{
    *ret = event_of(c);
    if (c->refusal.code < 0) {
        return tell_failure(e, c, &c->refusal, ret);
    }
    if (c->is_text) {
        ret->kind = TOKFS_EVENT_FINISHED;
        ret->finish_reason = "stop";
        ret->text = c->result.ptr;
        ret->text_len = c->result.len;
        return take_last(e, c);
    }
    ret->kind = TOKFS_EVENT_ACCEPTED;
    ret->usage.prompt_tokens = c->n_prompt;
    ret->n = c->n_choices;
    ret->logprobs = c->has_logprobs;
    ret->top_logprobs = c->n_top_logprobs;
    ret->stream = c->stream;
    ret->include_usage = c->include_usage;
    ret->timings_per_token = c->timings_per_token;
    ret->is_list = c->is_list;
    ret->echoes_probs = c->echoes_probs;
    ret->prompt_logprobs = c->n_prompt_logprobs;
    ret->probs_from = c->probs_from;
    ret->texts_in_logprobs = c->texts_in_logprobs;
    return !c->is_freed;
}

static bool tell_slot(struct tokfs_engine *e, const struct event_slot *slot, struct tokfs_event *ret)
{
    struct tokfs_completion *c = slot->choice->completion;
    *ret = event_of(c);
    ret->index = slot->choice->index;
    ret->text = slot->text;
    ret->text_len = slot->text_len;
    switch ((enum event_slot_kind)slot->kind) {
    case EVENT_SLOT_STARTED:
        ret->kind = TOKFS_EVENT_STARTED;
        ret->index = 0;      // whichever of the choices began
        if (c->is_started) { // by another choice
            return false;
        }
        leave_waiting(e, c);
        return !c->is_freed;
    case EVENT_SLOT_PROBS: take_probs(e, slot); return false;
    case EVENT_SLOT_CALL_ID:
        memcpy(e->polled_call_id, slot->text, slot->text_len);
        e->polled_call_id[slot->text_len] = '\0';
        return false;
    case EVENT_SLOT_TOKEN: return tell_token(e, slot, ret);
    case EVENT_SLOT_FINISHED:
    case EVENT_SLOT_FAILED: return tell_end(e, slot->choice, ret);
    }
    assert(0 && "event kind");
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
    eventfd_read(engine->event_fd, &count);
    atomic_exchange(&engine->is_signalled, false); // quiet from here on, unless something came in between
    if (!take_event(engine, ret)) {
        return 0;
    }
    engine_signal(engine);
    return 1;
}

void tokfs_engine_passed_on(struct tokfs_engine *engine, unsigned n_away)
{
    handoff_tell(&engine->handoff, event_ring_taken(&engine->ring), n_away);
}
