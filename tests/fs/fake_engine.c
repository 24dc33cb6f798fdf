// A null model behind include/tokfs/engine.h: it answers with the words of the last message, or, to "count N", with the
// numbers from 1 to N. Requests are validated, and answers read for tool calls and reasoning, by the text library as
// the real engine does it: a message that is a tool call is answered by that call.
//
// "stamp N" is answered by N lines, each the time (CLOCK_MONOTONIC, ns) at which it was sampled.
//
// Time: every TOKFS_FAKE_TOKEN_US microseconds (environment, default 200) a step gives one token to each running
// sequence. A message that begins with "fail" fails after its first token. Prompt tokens are the words of the body.
//
// Work on text is done with a tokenizer whose tokens are the bytes, and a template of one line per message.
//
// One lock protects everything; the step thread makes events, the caller's thread takes them.
#include "tests/fs/fake_engine.h"
#include "engine/base/loop.h"
#include "engine/text/sampling_params.h"
#include "tests/byte_tokenizer.h"
#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <tokfs/kvevent.h>
#include <unistd.h>

// ---- the thread that steps -----------------------------------------------------------------------------------------

static void release(struct tokfs_completion *c)
{
    fake_drop_source(c);
    free(c->body);
    free(c->answer);
    strbuf_deinit(&c->result);
    strbuf_deinit(&c->echo);
    strbuf_deinit(&c->names);
    arena_deinit(&c->arena);
    answer_parser_deinit(&c->parser);
    answer_parts_deinit(&c->parts);
    free(c);
}

// Those for whom the queue had no room come first in the next step.
static void step(struct tokfs_engine *engine)
{
    struct tokfs_completion **at = &engine->running, **first_left_out = NULL;
    while (*at) {
        struct tokfs_completion *c = *at;
        if (!c->is_freed && engine->n < QUEUE_MAX) {
            fake_step(c);
        } else if (!c->is_freed && !first_left_out) {
            first_left_out = at;
        }
        while (c->n_known > 0 && c->is_started && !c->is_ended && !c->is_freed && engine->n < QUEUE_MAX / 2) {
            fake_step(c); // what was sampled before is told at once
        }
        if (c->is_ended || c->is_freed) {
            *at = c->next;
            c->is_ended = true;
            if (c->is_freed) {
                release(c);
            }
        } else {
            at = &c->next;
        }
    }
    if (first_left_out && first_left_out != &engine->running && *first_left_out) {
        *at = engine->running;
        engine->running = *first_left_out;
        *first_left_out = NULL;
    }
    engine->stats.n_steps++;
}

static void *engine_thread(void *ctx)
{
    struct tokfs_engine *engine = ctx;
    pthread_mutex_lock(&engine->lock);
    while (!engine->is_closing) {
        if (!engine->running) {
            pthread_cond_wait(&engine->work, &engine->lock);
            continue;
        }
        step(engine);
        pthread_mutex_unlock(&engine->lock);
        if (engine->step_us > 0) {
            usleep(engine->step_us);
        } else {
            sched_yield();
        }
        pthread_mutex_lock(&engine->lock);
    }
    pthread_mutex_unlock(&engine->lock);
    return NULL;
}

// ---- engines -------------------------------------------------------------------------------------------------------

int tokfs_engine_open(const struct tokfs_engine_options *options, struct tokfs_engine **ret, struct tokfs_error *err)
{
    const char *step_us = getenv("TOKFS_FAKE_TOKEN_US");
    struct tokfs_engine *engine = calloc(1, sizeof(*engine));
    (void)err;
    assert(engine);
    engine->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    engine->step_us = step_us ? (unsigned)strtoul(step_us, NULL, 10) : 200;
    engine->created = 1700000000;
    engine->timeout_s = options->timeout;
    strncpy(engine->name, options->served_name ? options->served_name : "fake", sizeof(engine->name) - 1);
    engine->tok = byte_tokenizer_new();
    sampling_params_default(&engine->format.sampling);
    engine->format.bos_token = str_dup(STR("<s>"));
    int r =
        chat_template_compile(STR("{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
                                  "{% if add_generation_prompt %}assistant:{% endif %}"),
                              &engine->format.tmpl, NULL);
    assert(r == 0);
    memset(engine->config, ' ', sizeof(engine->config));
    memcpy(engine->config, "{\n", 2);
    memcpy(engine->config + sizeof(engine->config) - 2, "}\n", 2);
    engine->files[0] = (struct tokfs_model_file){ "config.json", engine->config, sizeof(engine->config) };
    struct str source = chat_template_source(engine->format.tmpl);
    engine->files[1] = (struct tokfs_model_file){ "chat_template", source.ptr, source.len };
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->work, NULL);
    if (options->progress) {
        options->progress(options->progress_ctx, 1, 1);
    }
    sigset_t all, before; // as the engine's: signals are the caller's thread's
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&engine->thread, NULL, engine_thread, engine);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert(r == 0);
    *ret = engine;
    return 0;
}

void tokfs_engine_close(struct tokfs_engine *engine)
{
    if (!engine) {
        return;
    }
    pthread_mutex_lock(&engine->lock);
    engine->is_closing = true;
    pthread_cond_signal(&engine->work);
    pthread_mutex_unlock(&engine->lock);
    pthread_join(engine->thread, NULL);
    while (engine->running) {
        struct tokfs_completion *c = engine->running;
        assert(c->is_freed);
        engine->running = c->next;
        release(c);
    }
    close(engine->fd);
    tokenizer_free(engine->tok);
    chat_format_deinit(&engine->format);
    pthread_mutex_destroy(&engine->lock);
    pthread_cond_destroy(&engine->work);
    free(engine);
}

void tokfs_engine_get_info(const struct tokfs_engine *engine, struct tokfs_engine_info *ret)
{
    const char *weights = getenv("TOKFS_FAKE_WEIGHTS"), *tokenizer = getenv("TOKFS_FAKE_TOKENIZER");
    *ret = (struct tokfs_engine_info){ .model = engine->name,
                                       .kv_tier = "cpu",
                                       .weights_hash = weights ? strtoull(weights, NULL, 16) : 0,
                                       .tokenizer_hash = tokenizer ? strtoull(tokenizer, NULL, 16) : 0,
                                       .architecture = "Fake",
                                       .backend = "none",
                                       .device_note = "",
                                       .pack_note = "",
                                       .dtype = "f32",
                                       .fingerprint = "fp_00000000",
                                       .n_ctx = 100000,
                                       .n_ctx_model = 100000,
                                       .n_vocab = 1,
                                       .max_sequences = 64,
                                       .max_queued = 10000,
                                       .page_tokens = 16,
                                       .created = engine->created,
                                       .has_chat_template = true };
}

const struct tokfs_model_file *tokfs_engine_model_files(const struct tokfs_engine *engine, size_t *ret_n)
{
    *ret_n = 2;
    return engine->files;
}

// The null engine has no prefix cache.
int tokfs_kv_open(struct tokfs_engine *engine)
{
    (void)engine;
    return -EOPNOTSUPP;
}

int tokfs_kv_poll(struct tokfs_engine *engine, struct tokfs_kv_event *ret)
{
    (void)engine;
    (void)ret;
    return 0;
}

void tokfs_kv_snapshot(struct tokfs_engine *engine)
{
    (void)engine;
}

void tokfs_engine_get_stats(const struct tokfs_engine *engine, struct tokfs_engine_stats *ret)
{
    struct tokfs_engine *e = (struct tokfs_engine *)(uintptr_t)engine;
    pthread_mutex_lock(&e->lock);
    *ret = e->stats;
    ret->n_running = 0;
    for (const struct tokfs_completion *c = e->running; c; c = c->next) {
        ret->n_running++;
    }
    pthread_mutex_unlock(&e->lock);
}

// ---- completions ---------------------------------------------------------------------------------------------------

static struct tokfs_completion *submit(struct tokfs_engine *engine, const struct tokfs_chat_source *source,
                                       const char *json, size_t len, void *user, const enum tokfs_text_kind *text_kind,
                                       enum fake_form form, const struct tokfs_origin *origin)
{
    struct tokfs_completion *c = calloc(1, sizeof(*c));
    assert(c);
    c->engine = engine;
    c->is_text = text_kind != NULL;
    c->text_kind = text_kind ? *text_kind : TOKFS_TEXT_TOKENIZE;
    c->is_plain = form != FAKE_CHAT;
    c->is_generate = form == FAKE_GENERATE;
    c->has_origin = origin != NULL;
    c->origin = origin ? *origin : (struct tokfs_origin){ 0 };
    c->n_known = c->origin.n_ids;
    strbuf_init(&c->names, 0);
    strbuf_init(&c->echo, 0);
    c->user = user;
    if (source) {
        c->source = *source;
    } else {
        c->body = str_dup((struct str){ json, len });
        c->body_len = len;
    }
    arena_init(&c->arena, 0);
    int r = answer_parser_init(&c->parser, 0);
    assert(r == 0);
    answer_parts_init(&c->parts);
    c->submitted_ns = clock_monotonic_ns();
    c->n = 1;
    pthread_mutex_lock(&engine->lock);
    struct tokfs_completion **at = &engine->running;
    while (*at) {
        at = &(*at)->next;
    }
    *at = c;
    engine->stats.n_requests++;
    pthread_cond_signal(&engine->work);
    pthread_mutex_unlock(&engine->lock);
    return c;
}

int tokfs_submit_chat(struct tokfs_engine *engine, const char *json, size_t len, void *user,
                      struct tokfs_completion **ret, struct tokfs_error *err)
{
    (void)err;
    *ret = submit(engine, NULL, json, len, user, NULL, FAKE_CHAT, NULL);
    return 0;
}

int tokfs_submit_chat_from(struct tokfs_engine *engine, const char *json, size_t len, const struct tokfs_origin *origin,
                           void *user, struct tokfs_completion **ret, struct tokfs_error *err)
{
    (void)err;
    *ret = submit(engine, NULL, json, len, user, NULL, FAKE_CHAT, origin);
    return 0;
}

int tokfs_submit_chat_source(struct tokfs_engine *engine, const struct tokfs_chat_source *source,
                             const struct tokfs_origin *origin, void *user, struct tokfs_completion **ret,
                             struct tokfs_error *err)
{
    (void)err;
    *ret = submit(engine, source, NULL, 0, user, NULL, FAKE_CHAT, origin);
    return 0;
}

int tokfs_submit_completion(struct tokfs_engine *engine, const char *json, size_t len, void *user,
                            struct tokfs_completion **ret, struct tokfs_error *err)
{
    (void)err;
    *ret = submit(engine, NULL, json, len, user, NULL, FAKE_PLAIN, NULL);
    return 0;
}

const char *tokfs_completion_echo(const struct tokfs_completion *completion, unsigned index, size_t *ret_len)
{
    (void)index;
    *ret_len = completion->echo.len;
    return completion->echo.ptr ? completion->echo.ptr : "";
}

int tokfs_submit_generate(struct tokfs_engine *engine, const char *json, size_t len, void *user,
                          struct tokfs_completion **ret, struct tokfs_error *err)
{
    (void)err;
    *ret = submit(engine, NULL, json, len, user, NULL, FAKE_GENERATE, NULL);
    return 0;
}

// Each prompt has one token.
const int32_t *tokfs_completion_prompt(const struct tokfs_completion *completion, unsigned index, size_t *ret_n)
{
    static const int32_t id = 7;
    (void)completion, (void)index;
    *ret_n = 1;
    return &id;
}

// All that there is before the one token of a prompt is nothing.
size_t tokfs_completion_prompt_probs(const struct tokfs_completion *completion, unsigned index, size_t pos,
                                     struct tokfs_logprob ret[TOKFS_PROBS_MAX], uint32_t *ret_rank)
{
    (void)completion, (void)index, (void)pos, (void)ret, (void)ret_rank;
    return 0;
}

const char *tokfs_completion_name(const struct tokfs_completion *completion, unsigned index, size_t *ret_len)
{
    const char *name = completion->names.ptr;
    for (unsigned i = completion->n_prompts > 0 ? index / (completion->n / completion->n_prompts) : 0; name && i > 0;
         i--) {
        name += strlen(name) + 1;
    }
    *ret_len = name ? strlen(name) : 0;
    return name ? name : "";
}

int tokfs_submit_text(struct tokfs_engine *engine, enum tokfs_text_kind kind, const char *json, size_t len, void *user,
                      struct tokfs_completion **ret, struct tokfs_error *err)
{
    (void)err;
    *ret = submit(engine, NULL, json, len, user, &kind, FAKE_CHAT, NULL);
    return 0;
}

void tokfs_cancel(struct tokfs_completion *completion)
{
    struct tokfs_engine *engine = completion->engine;
    pthread_mutex_lock(&engine->lock);
    if (!completion->is_cancelled) {
        completion->is_cancelled = true;
        engine->stats.n_cancelled++;
    }
    pthread_mutex_unlock(&engine->lock);
}

void tokfs_set_tenant(struct tokfs_engine *engine, const struct tokfs_tenant *tenant)
{
    (void)engine;
    (void)tenant;
}

void tokfs_set_priority(struct tokfs_completion *completion, int64_t priority)
{
    (void)completion;
    (void)priority;
}

void tokfs_completion_free(struct tokfs_completion *completion)
{
    if (!completion) {
        return;
    }
    struct tokfs_engine *engine = completion->engine;
    pthread_mutex_lock(&engine->lock);
    for (size_t i = 0; i < engine->n; i++) {
        struct queued *q = &engine->queue[(engine->head + i) % QUEUE_MAX];
        q->event.completion = q->event.completion == completion ? NULL : q->event.completion;
    }
    engine->stats.n_cancelled += !completion->is_ended && !completion->is_cancelled;
    completion->is_freed = true;
    bool is_ended = completion->is_ended;
    pthread_mutex_unlock(&engine->lock);
    if (is_ended) { // no longer in the list
        release(completion);
    }
}

// ---- events --------------------------------------------------------------------------------------------------------

int tokfs_engine_fd(const struct tokfs_engine *engine)
{
    return engine->fd;
}

int tokfs_poll(struct tokfs_engine *engine, struct tokfs_event *ret)
{
    bool is_found = false;
    pthread_mutex_lock(&engine->lock);
    while (engine->n > 0 && !is_found) {
        engine->taken = engine->queue[engine->head];
        engine->head = (engine->head + 1) % QUEUE_MAX;
        engine->n--;
        is_found = engine->taken.event.completion != NULL;
    }
    if (!is_found) {
        uint64_t count;
        if (read(engine->fd, &count, sizeof(count)) < 0) {
            assert(errno == EAGAIN);
        }
    }
    pthread_mutex_unlock(&engine->lock);
    if (is_found) {
        *ret = engine->taken.event;
        ret->text = ret->completion->is_text ? ret->completion->result.ptr : engine->taken.text;
        ret->text_len = ret->completion->is_text ? ret->completion->result.len : ret->text_len;
        ret->call_id = ret->part == TOKFS_PART_CALL ? engine->taken.call_id : NULL;
        ret->error = &engine->taken.error;
    }
    return is_found;
}

const char *tokfs_token_bytes(const struct tokfs_engine *engine, int32_t id, size_t *ret_len)
{
    (void)engine;
    *ret_len = id == 0 || id == 1;
    return id == 0 ? "\xc3" : "b"; // as fake_model.c samples
}

void tokfs_engine_passed_on(struct tokfs_engine *engine, unsigned n_away)
{
    (void)engine, (void)n_away; // the null engine computes nothing that could be in the way
}
