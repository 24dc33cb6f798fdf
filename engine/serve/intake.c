// Request to prompt. Called by a text thread that owns the completion; touches nothing else but what is immutable.
//
// Refuses: malformed bodies and values (-EINVAL), fields that cannot be honoured (-EOPNOTSUPP), another model's name
// (-ENOENT), a prompt that leaves no room for one token in the context (-E2BIG), a request that was cancelled meanwhile
// (-ECANCELED).
#include "engine/serve/intake.h"

#include "engine/base/loop.h"
#include "engine/base/utf8.h"
#include "engine/serve/deadline.h"
#include "engine/serve/prompt.h"
#include "engine/serve/text_task.h"
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define ARENA_BYTES_PER_BODY_BYTE 64 // an element of "[0,0,...]" takes 2 bytes of text and one struct json
#define ARENA_BYTES_BASE          (1u << 20)

static int tokenize(const struct intake *intake, struct tokfs_completion *c, const struct chat_request *request,
                    struct arena *arena, struct err *err)
{
    struct strbuf text;
    struct token_ids ids = { 0 };
    struct answer_style style;
    strbuf_init(&text, 0);
    int rc = prompt_of_chat(intake->format, intake->tok, request, &text, &ids, err);
    if (rc == 0) {
        rc = chat_format_answer(intake->format, request, intake->tok, &style, err);
    }
    if (rc == 0) {
        rc = answer_setup_new(&style, request, strbuf_str(&text), &c->answer, err);
    }
    if (rc == 0) {
        rc = intake_guide_chat(intake, c, request, &style, strbuf_str(&text), arena, err);
    }
    strbuf_deinit(&text);
    if (rc == 0 && ids.len > UINT32_MAX) {
        rc = err_set(err, -E2BIG, "the prompt has %zu tokens", ids.len);
    }
    if (rc < 0) {
        token_ids_deinit(&ids);
        return rc;
    }
    c->prompt = ids.ids;
    c->n_prompt = (uint32_t)ids.len;
    return 0;
}

static int prepare_chat(const struct intake *intake, struct tokfs_completion *c, struct arena *arena, struct err *err)
{
    struct chat_request request;
    int rc = chat_request_parse(arena, (struct str){ c->body, c->body_len }, &intake->format->sampling, &request, err);
    rc = rc == 0 ? text_task_check_model(intake->served_name, request.common.model, err) : rc;
    if (rc == 0 && completion_keep_sampling(c, &request.sampling, request.common.cache_salt) < 0) {
        rc = err_set(err, -ENOMEM, "out of memory for a request");
    }
    if (rc == 0) {
        request.now = c->origin.now;
        rc = tokenize(intake, c, &request, arena, err);
    }
    if (rc == 0 && c->has_origin && c->answer) {
        c->answer->request.id_seed = c->origin.call_seed;
    }
    if (rc == 0) {
        c->stream = request.common.stream;
        c->include_usage = request.common.include_usage;
        c->timings_per_token = request.common.timings_per_token;
        c->n_choices = (uint32_t)request.n;
        c->has_logprobs = request.logprobs;
        c->n_top_logprobs = (uint32_t)request.top_logprobs;
        c->priority = request.common.priority;
        c->n_prompt_logprobs = (int32_t)request.prompt_logprobs;
    }
    return rc;
}

static int check_range(double value, double min, double max, const char *name, struct err *err)
{
    if (value >= min && value <= max) {
        return 0;
    }
    return err_set_param(err, -EINVAL, name, "%s is %g, not in [%g, %g]", name, value, min, max);
}

static int check_bias_values(const struct sampling_params *p, struct err *err)
{
    for (size_t i = 0; i < p->n_bias; i++) {
        float bias = p->bias[i].bias;
        if (!(bias >= -100 && bias <= 100) && bias != -INFINITY) {
            return err_set_param(err, -EINVAL, "logit_bias", "logit_bias of token %d is %g, not in [-100, 100]",
                                 p->bias[i].id, (double)bias);
        }
    }
    return 0;
}

static int check_stops(const struct sampling_params *p, struct err *err)
{
    for (size_t i = 0; i < p->n_stop; i++) {
        if (p->stop[i].len == 0 || p->stop[i].len > STOP_STRING_BYTES_MAX ||
            utf8_valid_len(p->stop[i]) < p->stop[i].len) {
            return err_set_param(err, -EINVAL, "stop", "stop string %zu is not a UTF-8 text of 1 to %d bytes", i,
                                 STOP_STRING_BYTES_MAX);
        }
    }
    return 0;
}

// What else chat_request_parse checks of a body.
static int check_more_sampling(const struct tokfs_completion *c, struct err *err)
{
    const struct sampling_params *p = &c->sampling;
    if (c->has_long_list) {
        return err_set(err, -EINVAL, "more than %d biases, %d stop ids or %d stop strings", LOGIT_BIAS_MAX,
                       STOP_IDS_MAX, STOP_STRINGS_MAX);
    }
    int rc = check_range(p->typical_p, 0, 1, "typical_p", err);
    if (rc == 0 && p->repetition_penalty != 0) {
        rc = check_range(p->repetition_penalty, 0.01, 100, "repetition_penalty", err);
    }
    rc = rc == 0 ? check_range(p->frequency_penalty, -2, 2, "frequency_penalty", err) : rc;
    rc = rc == 0 ? check_range(p->presence_penalty, -2, 2, "presence_penalty", err) : rc;
    rc = rc == 0 ? check_range((double)c->n_choices, 1, CHOICES_MAX, "n", err) : rc;
    rc = rc == 0 ? check_range((double)c->n_top_logprobs, 0, TOP_LOGPROBS_MAX, "top_logprobs", err) : rc;
    if (rc == 0 && p->timeout_s != 0) {
        rc = check_range(p->timeout_s, 0.001, TIMEOUT_S_MAX, "timeout", err);
    }
    rc = rc == 0 ? check_range((double)p->min_tokens, 0, 1e15, "min_tokens", err) : rc;
    rc = rc == 0 ? check_bias_values(p, err) : rc;
    return rc == 0 ? check_stops(p, err) : rc;
}

// What chat_request_parse checks of a body, for parameters that came as a struct.
static int check_sampling(const struct sampling_params *p, struct err *err)
{
    if (!isfinite(p->temperature) || p->temperature < 0) {
        return err_set_param(err, -EINVAL, "temperature", "temperature is %g, not a number from 0 up", p->temperature);
    }
    if (!(p->top_p > 0 && p->top_p <= 1)) {
        return err_set_param(err, -EINVAL, "top_p", "top_p is %g, not in (0, 1]", p->top_p);
    }
    if (!(p->min_p >= 0 && p->min_p <= 1)) {
        return err_set_param(err, -EINVAL, "min_p", "min_p is %g, not in [0, 1]", p->min_p);
    }
    if (p->top_k < -1) {
        return err_set_param(err, -EINVAL, "top_k", "top_k is %lld, not a number from 1 up, or 0 or -1 for off",
                             (long long)p->top_k);
    }
    if (p->max_tokens < -1) {
        return err_set_param(err, -EINVAL, "max_tokens", "max_tokens is %lld, not a number from 0 up, or -1",
                             (long long)p->max_tokens);
    }
    return 0;
}

static int check_prompts(const struct intake *intake, const struct tokfs_completion *c, struct err *err)
{
    const struct prompt_limits limits = { intake->n_ctx, intake->n_vocab };
    int rc = 0;
    if (!c->prompts) {
        return prompt_check(&limits, c->prompt, c->n_prompt, c->body ? "messages" : "input_ids", err);
    }
    for (uint32_t i = 0; i < c->n_prompts && rc == 0; i++) {
        char param[sizeof(err->param)];
        snprintf(param, sizeof(param), c->n_prompts > 1 ? "%s[%u]" : "%s", c->prompt_name, i);
        rc = prompt_check(&limits, c->prompt + c->prompts[i].first, c->prompts[i].n, param, err);
    }
    return rc;
}

static int check_id(const struct intake *intake, int32_t id, const char *param, struct err *err)
{
    if (id >= 0 && (uint32_t)id < intake->n_vocab) {
        return 0;
    }
    return err_set_param(err, -EINVAL, param, "%s names token %d; the model has ids 0 to %u", param, id,
                         intake->n_vocab - 1);
}

static int check_ids(const struct intake *intake, const struct sampling_params *params, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < params->n_bias && rc == 0; i++) {
        rc = check_id(intake, params->bias[i].id, "logit_bias", err);
    }
    for (size_t i = 0; i < params->n_stop_ids && rc == 0; i++) {
        rc = check_id(intake, params->stop_ids[i], "stop_token_ids", err);
    }
    return rc;
}

// The tokens that were sampled before come after the prompt.
static int add_known(const struct intake *intake, struct tokfs_completion *c, struct err *err)
{
    const struct tokfs_origin *origin = &c->origin;
    if (origin->n_ids == 0) {
        return 0;
    }
    if (c->n_choices != 1 || origin->n_ids > intake->n_ctx - c->n_prompt) {
        return err_set_param(err, -EINVAL, "origin", "%zu tokens cannot have been sampled of %u choices after %u",
                             origin->n_ids, c->n_choices, c->n_prompt);
    }
    int32_t *tokens = reallocarray(c->prompt, c->n_prompt + origin->n_ids, sizeof(*tokens));
    if (!tokens) {
        return err_set(err, -ENOMEM, "out of memory for a request");
    }
    c->prompt = tokens;
    memcpy(tokens + c->n_prompt, origin->ids, origin->n_ids * sizeof(*tokens));
    int rc = 0;
    for (size_t i = 0; i < origin->n_ids && rc == 0; i++) {
        rc = check_id(intake, origin->ids[i], "origin", err);
    }
    return rc;
}

static int check_known(const struct tokfs_completion *c, struct err *err)
{
    const struct choice *choice = &c->choices[0];
    if (choice->n_known <= choice->n_tokens_max - choice->n_prompt) {
        return 0;
    }
    return err_set_param(err, -EINVAL, "origin", "%u tokens are more than the request asks for", choice->n_known);
}

static int draw_seed(struct tokfs_completion *c, struct err *err)
{
    struct sampling_params *params = &c->sampling;
    if (!params->has_seed && c->has_origin) {
        params->seed = c->origin.seed;
    } else if (!params->has_seed &&
               getrandom(&params->seed, sizeof(params->seed), 0) != (ssize_t)sizeof(params->seed)) {
        return err_set(err, -errno, "no random seed from the kernel");
    }
    params->has_seed = true;
    return 0;
}

// The first time its tokens; the second time, after the engine thread has looked them up, its result.
static int retrieve(const struct text_task_env *env, struct tokfs_completion *c, struct err *err)
{
    struct sampling_params unused;
    int rc;
    if (!c->retrieval) {
        sampling_params_default(&unused);
        rc = retrieval_new(env, (struct str){ c->body, c->body_len }, &c->retrieval, err);
        if (rc == 0 && completion_keep_sampling(c, &unused, c->retrieval->cache_salt) < 0) {
            rc = err_set(err, -ENOMEM, "out of memory for a request");
        }
        return rc;
    }
    strbuf_init(&c->result, TEXT_RESULT_BYTES_MAX);
    rc = retrieval_write(c->retrieval, &c->result);
    if (rc == -EFBIG) {
        return err_set(err, -E2BIG, "the result is longer than %zu MiB", TEXT_RESULT_BYTES_MAX >> 20);
    }
    return rc < 0 ? err_set(err, -ENOMEM, "out of memory for the result") : 0;
}

static int run_text(const struct intake *intake, struct tokfs_completion *c, struct err *err)
{
    const struct text_task_env env = { intake->tok, intake->format, intake->served_name, intake->n_ctx };
    if (c->text_kind == TOKFS_TEXT_RETRIEVE) {
        return retrieve(&env, c, err);
    }
    strbuf_init(&c->result, TEXT_RESULT_BYTES_MAX);
    return text_task_run(&env, c->text_kind, (struct str){ c->body, c->body_len }, &c->result, err);
}

// The body of a request that came as a source of one.
static int make_body(struct tokfs_completion *c, struct err *err)
{
    struct tokfs_error reason = { 0 };
    int rc = c->source.make(c->source.ctx, &c->body, &c->body_len, &reason);
    return rc < 0 ? err_set_param(err, rc, reason.param, "%s", reason.msg) : 0;
}

static int prepare(const struct intake *intake, struct tokfs_completion *c, struct err *err)
{
    if (c->is_text) {
        return run_text(intake, c, err);
    }
    int rc = c->source.make ? make_body(c, err) : 0;
    if (rc < 0) {
        return rc;
    }
    if (c->body) {
        struct arena arena;
        arena_init(&arena, ARENA_BYTES_BASE + ARENA_BYTES_PER_BODY_BYTE * c->body_len);
        rc = c->form == REQUEST_CHAT ? prepare_chat(intake, c, &arena, err)
                                     : intake_prepare_plain(intake, c, &arena, err);
        arena_deinit(&arena);
    } else {
        rc = check_sampling(&c->sampling, err);
        rc = rc == 0 ? check_more_sampling(c, err) : rc;
    }
    rc = rc == 0 ? check_prompts(intake, c, err) : rc;
    rc = rc == 0 ? check_ids(intake, &c->sampling, err) : rc;
    rc = rc == 0 ? add_known(intake, c, err) : rc;
    rc = rc == 0 ? draw_seed(c, err) : rc;
    rc = rc == 0 ? completion_make_scores(c, intake->score_budget, err) : rc;
    if (rc == 0 && completion_make_choices(c, c->n_choices, intake->n_ctx) < 0) {
        rc = err_set(err, -ENOMEM, "out of memory for a request");
    }
    return rc == 0 ? check_known(c, err) : rc;
}

// Whether somebody still waits for it: a look before the work and one after it.
static int check_wanted(const struct intake *intake, struct tokfs_completion *c, struct err *err)
{
    c->deadline_ns = deadline_from(c->submitted_ns, c->sampling.timeout_s, intake->timeout_s);
    if (atomic_load(&c->cancel)) {
        return err_set(err, -ECANCELED, "cancelled");
    }
    if (deadline_is_over(c->deadline_ns, clock_monotonic_ns())) {
        return deadline_error(err, c->submitted_ns, c->deadline_ns, "not read");
    }
    return 0;
}

void intake_prepare(const struct intake *intake, struct tokfs_completion *completion)
{
    struct err *err = &completion->refusal;
    int rc = check_wanted(intake, completion, err);
    rc = rc == 0 ? prepare(intake, completion, err) : rc;
    rc = rc == 0 ? check_wanted(intake, completion, err) : rc;
    assert((rc < 0) == (completion->refusal.code < 0));
    completion_drop_body(completion);
    completion->accepted_ns = clock_monotonic_ns();
}
