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
#include "engine/base/loop.h"
#include "engine/serve/deadline.h"
#include "engine/serve/error.h"
#include "engine/serve/retrieval.h"
#include "engine/serve/text_task.h"
#include "engine/text/answer_parser.h"
#include "engine/text/chat_request.h"
#include "engine/text/generate_request.h"
#include "tests/byte_tokenizer.h"
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <tokfs/engine.h>
#include <tokfs/kvevent.h>
#include <unistd.h>

#define QUEUE_MAX 4096
#define END_ID    99 // what ends an answer, as its events tell

enum fake_form { FAKE_CHAT, FAKE_PLAIN, FAKE_GENERATE };

struct tokfs_completion {
    struct tokfs_completion *next;
    struct tokfs_engine *engine;
    void *user;
    char *body;
    size_t body_len;
    struct tokfs_chat_source source; // of the body; make NULL: none, or used
    bool is_text, is_plain, is_generate, has_origin;
    struct tokfs_origin origin;
    size_t n_known; // of the origin's tokens, not told yet
    bool is_list, texts_in_logprobs;
    int prompt_logprobs;
    unsigned n_prompts;
    struct strbuf names; // of the prompts, each with its NUL
    struct strbuf echo;
    enum tokfs_text_kind text_kind;
    struct strbuf result; // of work on text
    char *answer;
    size_t answer_len, at;
    int64_t max_tokens;
    int64_t n_stamps; // left to give
    unsigned n;       // choices, which all say the same
    size_t n_probs;   // of each token
    bool is_checked, is_started, is_cancelled, is_ended, is_freed, must_fail;
    bool stream, include_usage, timings_per_token;
    struct tokfs_usage usage;
    uint64_t submitted_ns, first_ns, deadline_ns;
    struct arena arena; // of the request's tools
    struct answer_request request;
    struct answer_parser parser;
    struct answer_parts parts;
};

struct queued {
    struct tokfs_event event;
    char text[64];
    char call_id[ANSWER_CALL_ID_MAX + 1];
    struct tokfs_error error;
};

struct tokfs_engine {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct tokfs_completion *running; // in the order of submission
    struct queued queue[QUEUE_MAX];
    size_t head, n;
    struct queued taken; // what the caller looks at until its next poll
    int fd;
    bool is_closing;
    unsigned step_us;
    double timeout_s;
    char name[64];
    int64_t created;
    struct tokenizer *tok;
    struct chat_format format;
    struct tokfs_model_file files[2];
    char config[100000]; // several pages of the page cache
    struct tokfs_engine_stats stats;
};

// ---- events --------------------------------------------------------------------------------------------------------

static struct queued *push(struct tokfs_completion *c, enum tokfs_event_kind kind)
{
    struct tokfs_engine *engine = c->engine;
    assert(engine->n < QUEUE_MAX);
    struct queued *q = &engine->queue[(engine->head + engine->n++) % QUEUE_MAX];
    *q = (struct queued){ .event = { .kind = kind, .completion = c, .user = c->user, .matched_id = -1 } };
    uint64_t one = 1;
    if (write(engine->fd, &one, sizeof(one)) < 0) {
        assert(errno == EAGAIN);
    }
    return q;
}

static void push_failure(struct tokfs_completion *c, const struct tokfs_error *error)
{
    struct queued *q = push(c, TOKFS_EVENT_FAILED);
    q->error = *error;
    c->is_ended = true;
    c->engine->stats.n_failed++;
}

// The first part of what the parser said, or as much of it as goes in.
static void take_part(struct tokfs_completion *c, struct queued *q)
{
    struct answer_part part;
    if (!answer_parts_first(&c->parts, &part)) {
        return;
    }
    size_t len = part.text.len < sizeof(q->text) ? part.text.len : sizeof(q->text);
    while (len < part.text.len && (part.text.ptr[len] & 0xc0) == 0x80) {
        len--; // whole characters
    }
    memcpy(q->text, part.text.ptr, len);
    memcpy(q->call_id, part.id.ptr ? part.id.ptr : "", part.id.len);
    q->event.text_len = len;
    q->event.part = (enum tokfs_part)part.kind;
    q->event.call_idx = part.call_idx;
    answer_parts_take(&c->parts, len);
}

static void push_parts(struct tokfs_completion *c)
{
    while (!answer_parts_is_empty(&c->parts)) {
        struct queued *q = push(c, TOKFS_EVENT_TOKEN);
        q->event.token_id = -1;
        q->event.sampled_ns = clock_monotonic_ns();
        take_part(c, q);
    }
}

// What the first choice has said since `mark`, the others say too.
static void repeat_for_choices(struct tokfs_completion *c, size_t mark)
{
    struct tokfs_engine *engine = c->engine;
    size_t n_said = engine->n - mark;
    for (unsigned i = 1; i < c->n; i++) {
        for (size_t k = 0; k < n_said; k++) {
            struct queued *q = push(c, TOKFS_EVENT_TOKEN);
            *q = engine->queue[(engine->head + mark + k) % QUEUE_MAX];
            q->event.index = i;
        }
    }
}

static void push_end(struct tokfs_completion *c, const char *reason)
{
    if (c->parser.request) {
        size_t mark = c->engine->n;
        answer_parser_finish(&c->parser);
        push_parts(c);
        repeat_for_choices(c, mark);
    }
    c->usage.total_ns = clock_monotonic_ns() - c->submitted_ns;
    for (unsigned i = 0; i + 1 < c->n; i++) {
        struct queued *choice = push(c, TOKFS_EVENT_CHOICE_FINISHED);
        choice->event.index = i;
        choice->event.finish_reason = reason;
        choice->event.choice_usage = c->usage;
        choice->event.matched_id = strcmp(reason, "stop") == 0 ? END_ID : -1;
    }
    struct tokfs_usage alone = c->usage;
    c->usage.completion_tokens *= c->n;
    struct queued *q = push(c, TOKFS_EVENT_FINISHED);
    q->event.index = c->n - 1;
    c->usage.decode_ns = clock_monotonic_ns() - c->first_ns;
    q->event.finish_reason = c->parser.n_calls > 0 && strcmp(reason, "stop") == 0 ? "tool_calls" : reason;
    q->event.usage = c->usage;
    q->event.choice_usage = alone;
    q->event.matched_id = strcmp(reason, "stop") == 0 ? END_ID : -1;
    c->is_ended = true;
    c->engine->stats.n_finished++;
}

// ---- the model -----------------------------------------------------------------------------------------------------

static void make_answer(struct tokfs_completion *c, struct str question)
{
    struct strbuf out;
    int64_t n;
    strbuf_init(&out, 0);
    c->must_fail = str_starts_with(question, STR("fail"));
    struct str digits = str_trim(str_skip(question, 6));
    if (str_starts_with(question, STR("count ")) && str_parse_i64(digits, &n) == 0 && n < 1000000) {
        for (int64_t i = 1; i <= n; i++) {
            strbuf_printf(&out, i < n ? "%lld " : "%lld", (long long)i);
        }
    } else {
        strbuf_append(&out, question);
    }
    if (str_starts_with(question, STR("stamp ")) && str_parse_i64(digits, &n) == 0) {
        c->n_stamps = n;
        strbuf_reset(&out);
        strbuf_append_byte(&out, '\n'); // the last token
    }
    c->answer_len = out.len;
    c->answer = strbuf_steal(&out);
}

// There is no cache: nothing is held.
static int retrieve(const struct text_task_env *env, struct tokfs_completion *c, struct err *err)
{
    struct retrieval *retrieval;
    int r = retrieval_new(env, (struct str){ c->body, c->body_len }, &retrieval, err);
    r = r == 0 ? retrieval_write(retrieval, &c->result) : r;
    retrieval_free(retrieval);
    return r;
}

static void run_text(struct tokfs_completion *c)
{
    struct tokfs_engine *engine = c->engine;
    const struct text_task_env env = { engine->tok, &engine->format, engine->name, 100000 };
    struct tokfs_error error = { .code = -ECANCELED, .msg = "cancelled" };
    struct err err = { 0 };
    c->is_checked = true;
    strbuf_init(&c->result, TEXT_RESULT_BYTES_MAX);
    int r = c->is_cancelled ? -ECANCELED
            : c->text_kind == TOKFS_TEXT_RETRIEVE
                ? retrieve(&env, c, &err)
                : text_task_run(&env, c->text_kind, (struct str){ c->body, c->body_len }, &c->result, &err);
    if (r < 0) {
        if (err.code < 0) {
            error_export(&error, &err);
        }
        push_failure(c, &error);
        return;
    }
    push_end(c, "stop");
}

// Answers are read as Hermes models write them, with reasoning between <think> and </think>.
static void set_up_parser(struct tokfs_completion *c, const struct chat_request *request)
{
    bool has_tools = request->tools && !request->tool_choice_none;
    c->request.format = answer_format_detect(has_tools ? STR("<tool_call></think>") : STR("</think>"));
    c->request.n_calls_max = request->parallel_tool_calls ? ANSWER_CALLS_MAX : 1;
    c->request.id_seed = c->has_origin ? c->origin.call_seed : (uint64_t)(uintptr_t)c ^ c->submitted_ns;
    if (has_tools) {
        int r = json_parse(&c->arena, arena_copy(&c->arena, request->tools->text), &c->request.tools, NULL);
        assert(r == 0);
    }
    answer_parser_begin(&c->parser, &c->request, &c->parts);
}

static void accept(struct tokfs_completion *c, unsigned n, bool logprobs, size_t top_logprobs)
{
    struct queued *q = push(c, TOKFS_EVENT_ACCEPTED);
    c->n = n;
    c->n_probs = logprobs ? 1 + top_logprobs : 0;
    q->event.n = n;
    q->event.logprobs = logprobs;
    q->event.top_logprobs = (unsigned)top_logprobs;
    q->event.stream = c->stream;
    q->event.include_usage = c->include_usage;
    q->event.timings_per_token = c->timings_per_token;
    q->event.usage = c->usage;
    q->event.is_list = c->is_list;
    q->event.echoes_probs = c->echo.len > 0 && logprobs;
    q->event.prompt_logprobs = c->prompt_logprobs;
    q->event.probs_from = -1;
    q->event.texts_in_logprobs = c->texts_in_logprobs;
}

static void keep_names(struct tokfs_completion *c, const struct completion_request *request)
{
    const struct json *ids = request->request_ids, *id = ids && ids->type == JSON_ARRAY ? json_first(ids) : ids;
    for (size_t i = 0; id && i < request->prompts.n; i++) {
        strbuf_append(&c->names, id->text);
        strbuf_append_byte(&c->names, '\0');
        id = ids->type == JSON_ARRAY ? json_next(id) : id;
    }
}

// A plain prompt is answered as a message; all choices by what the first prompt says.
static void check_plain(struct tokfs_completion *c)
{
    struct completion_request request;
    struct tokfs_error error = { 0 };
    struct err err = { 0 };
    struct arena arena;
    arena_init(&arena, 0);
    c->is_checked = true;
    const struct str body = { c->body, c->body_len };
    int r = c->is_generate ? generate_request_parse(&arena, body, NULL, &request, &err)
                           : completion_request_parse(&arena, body, NULL, &request, &err);
    r = r == 0 ? text_task_check_model(c->engine->name, request.common.model, &err) : r;
    if (r < 0) {
        error_export(&error, &err);
        push_failure(c, &error);
    } else {
        const struct json *prompt = prompts_next(&request.prompts, NULL);
        struct str text = prompt->type == JSON_STRING ? prompt->text : STR("ids");
        make_answer(c, text);
        strbuf_append(&c->echo, request.echo ? text : STR(""));
        c->max_tokens = request.sampling.max_tokens;
        c->deadline_ns = deadline_from(c->submitted_ns, request.sampling.timeout_s, c->engine->timeout_s);
        c->stream = request.common.stream;
        c->include_usage = request.common.include_usage;
        c->timings_per_token = request.common.timings_per_token;
        c->usage.prompt_tokens = request.prompts.n;
        c->n_prompts = (unsigned)request.prompts.n;
        c->is_list = request.prompts.is_list || request.n > 1;
        c->texts_in_logprobs = request.texts_in_logprobs;
        c->prompt_logprobs = (int)request.prompt_logprobs;
        keep_names(c, &request);
        answer_parser_begin(&c->parser, NULL, &c->parts);
        accept(c, (unsigned)((size_t)request.n * request.prompts.n), request.logprobs, (size_t)request.top_logprobs);
    }
    arena_deinit(&arena);
}

static void drop_source(struct tokfs_completion *c)
{
    if (c->source.make) {
        c->source.make = NULL;
        c->source.release(c->source.ctx);
    }
}

static void check(struct tokfs_completion *c)
{
    struct chat_request request;
    struct tokfs_error error = { 0 };
    struct err err = { 0 };
    struct arena arena;
    c->is_checked = true;
    if (c->source.make && c->source.make(c->source.ctx, &c->body, &c->body_len, &error) < 0) {
        push_failure(c, &error);
        return;
    }
    drop_source(c);
    arena_init(&arena, 0);
    int r = chat_request_parse(&arena, (struct str){ c->body, c->body_len }, NULL, &request, &err);
    if (r == 0 && request.common.model.len > 0 && !str_eq(request.common.model, str_from(c->engine->name))) {
        r = err_set_param(&err, -ENOENT, "model", "there is no model \"%.*s\"", STR_ARG(request.common.model));
    }
    if (r == 0 && c->body_len > 100000) {
        r = err_set_param(&err, -E2BIG, "messages", "the prompt exceeds the context");
    }
    if (r < 0) {
        error_export(&error, &err);
        push_failure(c, &error);
    } else {
        const struct json *last = json_at(request.messages, request.messages->n_children - 1);
        const struct json *content = json_get(last, STR("content"));
        make_answer(c, content && content->type == JSON_STRING ? content->text : STR(""));
        c->max_tokens = request.sampling.max_tokens;
        c->deadline_ns = deadline_from(c->submitted_ns, request.sampling.timeout_s, c->engine->timeout_s);
        set_up_parser(c, &request);
        c->stream = request.common.stream;
        c->include_usage = request.common.include_usage;
        c->timings_per_token = request.common.timings_per_token;
        c->usage.prompt_tokens = request.messages->n_children;
        c->prompt_logprobs = (int)request.prompt_logprobs;
        accept(c, (unsigned)request.n, request.logprobs, (size_t)request.top_logprobs);
    }
    arena_deinit(&arena);
}

static void sample(struct tokfs_completion *c)
{
    static const struct tokfs_logprob probs[21] = { { 0, -0.5f, "\xc3", 1 },
                                                    { 0, -0.5f, "\xc3", 1 },
                                                    { 1, -9999, "b", 1 } };
    size_t mark = c->engine->n;
    size_t len = 0, rest = c->answer_len - c->at;
    if (c->n_stamps > 0) {
        struct queued *q = push(c, TOKFS_EVENT_TOKEN);
        c->n_stamps--;
        q->event.sampled_ns = clock_monotonic_ns();
        q->event.text_len =
            (size_t)snprintf(q->text, sizeof(q->text), "%llu\n", (unsigned long long)q->event.sampled_ns);
        c->usage.completion_tokens++;
        return;
    }
    while (len < rest && len < sizeof(c->engine->taken.text) - 1 && (len == 0 || c->answer[c->at + len - 1] != ' ')) {
        len++;
    }
    while (len < rest && (c->answer[c->at + len] & 0xc0) == 0x80) {
        len--; // whole characters
    }
    struct queued *q = push(c, TOKFS_EVENT_TOKEN);
    answer_parser_feed(&c->parser, (struct str){ c->answer + c->at, len });
    q->event.token_id = (int32_t)c->usage.completion_tokens;
    q->event.sampled_ns = clock_monotonic_ns();
    q->event.probs = probs;
    q->event.n_probs = c->n_known > 0 ? 0 : c->n_probs;
    if (!c->first_ns) {
        c->first_ns = q->event.sampled_ns;
        c->usage.ttft_ns = c->first_ns - c->submitted_ns;
    }
    q->event.choice_usage.ttft_ns = c->usage.ttft_ns;
    c->n_known -= c->n_known > 0;
    take_part(c, q);
    push_parts(c);
    repeat_for_choices(c, mark);
    c->at += len;
    c->usage.completion_tokens++;
    c->engine->stats.completion_tokens++;
}

static void fail_for_time(struct tokfs_completion *c)
{
    struct tokfs_error error;
    struct err err;
    deadline_error(&err, c->submitted_ns, c->deadline_ns, "running");
    error_export(&error, &err);
    push_failure(c, &error);
}

static void step_one(struct tokfs_completion *c)
{
    if (!c->is_checked && c->is_text) {
        run_text(c);
    } else if (!c->is_checked && c->is_plain) {
        check_plain(c);
    } else if (!c->is_checked) {
        check(c);
    } else if (c->is_cancelled) {
        push_end(c, "cancel");
    } else if (deadline_is_over(c->deadline_ns, clock_monotonic_ns())) {
        fail_for_time(c);
    } else if (!c->is_started) {
        c->is_started = true;
        push(c, TOKFS_EVENT_STARTED);
    } else if (c->must_fail && c->at > 0) {
        struct tokfs_error error = { .code = -EIO, .msg = "the fake engine was asked to fail" };
        push_failure(c, &error);
    } else if (c->at >= c->answer_len || c->parser.is_done) {
        push_end(c, "stop");
    } else if (c->max_tokens >= 0 && (int64_t)c->usage.completion_tokens >= c->max_tokens) {
        push_end(c, "length");
    } else {
        sample(c);
    }
}

static void release(struct tokfs_completion *c)
{
    drop_source(c);
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
            step_one(c);
        } else if (!c->is_freed && !first_left_out) {
            first_left_out = at;
        }
        while (c->n_known > 0 && c->is_started && !c->is_ended && !c->is_freed && engine->n < QUEUE_MAX / 2) {
            step_one(c); // what was sampled before is told at once
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

// ---- the interface -------------------------------------------------------------------------------------------------

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
    return id == 0 ? "\xc3" : "b"; // as in sample()
}

void tokfs_engine_passed_on(struct tokfs_engine *engine, unsigned n_away)
{
    (void)engine, (void)n_away; // the null engine computes nothing that could be in the way
}
