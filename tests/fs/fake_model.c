// What the null engine answers: requests are checked by the text library as the real engine does it, and their words,
// or numbers, or times, are said one a step.
#include "engine/base/loop.h"
#include "engine/serve/deadline.h"
#include "engine/serve/error.h"
#include "engine/serve/retrieval.h"
#include "engine/serve/text_task.h"
#include "engine/text/chat_request.h"
#include "engine/text/generate_request.h"
#include "tests/fs/fake_engine.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>

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
        fake_push_failure(c, &error);
        return;
    }
    fake_push_end(c, "stop");
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
    struct queued *q = fake_push(c, TOKFS_EVENT_ACCEPTED);
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

static void take_settings(struct tokfs_completion *c, const struct request_common *common,
                          const struct sampling_params *sampling)
{
    c->max_tokens = sampling->max_tokens;
    c->deadline_ns = deadline_from(c->submitted_ns, sampling->timeout_s, c->engine->timeout_s);
    c->stream = common->stream;
    c->include_usage = common->include_usage;
    c->timings_per_token = common->timings_per_token;
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
        fake_push_failure(c, &error);
    } else {
        const struct json *prompt = prompts_next(&request.prompts, NULL);
        struct str text = prompt->type == JSON_STRING ? prompt->text : STR("ids");
        make_answer(c, text);
        strbuf_append(&c->echo, request.echo ? text : STR(""));
        take_settings(c, &request.common, &request.sampling);
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

void fake_drop_source(struct tokfs_completion *c)
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
        fake_push_failure(c, &error);
        return;
    }
    fake_drop_source(c);
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
        fake_push_failure(c, &error);
    } else {
        const struct json *last = json_at(request.messages, request.messages->n_children - 1);
        const struct json *content = json_get(last, STR("content"));
        make_answer(c, content && content->type == JSON_STRING ? content->text : STR(""));
        take_settings(c, &request.common, &request.sampling);
        set_up_parser(c, &request);
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
        struct queued *q = fake_push(c, TOKFS_EVENT_TOKEN);
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
    struct queued *q = fake_push(c, TOKFS_EVENT_TOKEN);
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
    fake_take_part(c, q);
    fake_push_parts(c);
    fake_repeat_for_choices(c, mark);
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
    fake_push_failure(c, &error);
}

void fake_step(struct tokfs_completion *c)
{
    if (!c->is_checked && c->is_text) {
        run_text(c);
    } else if (!c->is_checked && c->is_plain) {
        check_plain(c);
    } else if (!c->is_checked) {
        check(c);
    } else if (c->is_cancelled) {
        fake_push_end(c, "cancel");
    } else if (deadline_is_over(c->deadline_ns, clock_monotonic_ns())) {
        fail_for_time(c);
    } else if (!c->is_started) {
        c->is_started = true;
        fake_push(c, TOKFS_EVENT_STARTED);
    } else if (c->must_fail && c->at > 0) {
        struct tokfs_error error = { .code = -EIO, .msg = "the fake engine was asked to fail" };
        fake_push_failure(c, &error);
    } else if (c->at >= c->answer_len || c->parser.is_done) {
        fake_push_end(c, "stop");
    } else if (c->max_tokens >= 0 && (int64_t)c->usage.completion_tokens >= c->max_tokens) {
        fake_push_end(c, "length");
    } else {
        sample(c);
    }
}
