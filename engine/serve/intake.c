// Request to prompt. Called by a text thread that owns the completion; touches nothing else but what is immutable.
//
// Refuses: malformed bodies and values (-EINVAL), fields that cannot be honoured (-EOPNOTSUPP), another model's name
// (-ENOENT), a prompt that leaves no room for one token in the context (-E2BIG), a request that was cancelled meanwhile
// (-ECANCELED).
#include "engine/serve/intake.h"

#include "engine/base/loop.h"
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define ARENA_BYTES_PER_BODY_BYTE 64 // an element of "[0,0,...]" takes 2 bytes of text and one struct json
#define ARENA_BYTES_BASE          (1u << 20)

static int check_model(const struct intake *intake, struct str model, struct err *err)
{
    if (model.len == 0 || str_eq(model, str_from(intake->served_name))) {
        return 0;
    }
    return err_set_param(err, -ENOENT, "model", "model '%.*s' is not served here; '%s' is",
                         STR_ARG(str_take(model, 80)), intake->served_name);
}

// The request's arena goes; the stop strings stay.
static int keep_sampling(struct tokfs_completion *c, const struct sampling_params *params, struct err *err)
{
    size_t n_bytes = 1;
    for (size_t i = 0; i < params->n_stop; i++) {
        n_bytes += params->stop[i].len;
    }
    c->stop_bytes = malloc(n_bytes);
    if (!c->stop_bytes) {
        return err_set(err, -ENOMEM, "out of memory for a request");
    }
    c->sampling = *params;
    char *at = c->stop_bytes;
    for (size_t i = 0; i < params->n_stop; i++) {
        memcpy(at, params->stop[i].ptr, params->stop[i].len);
        c->sampling.stop[i].ptr = at;
        at += params->stop[i].len;
    }
    return 0;
}

static int tokenize(const struct intake *intake, struct tokfs_completion *c, const struct chat_request *request,
                    struct err *err)
{
    struct strbuf text;
    struct token_ids ids = { 0 };
    strbuf_init(&text, 0);
    int rc = chat_format_render(intake->format, request, &text, err);
    if (rc == 0) {
        rc = tokenizer_encode(intake->tok, strbuf_str(&text), 0, &ids, err); // the template wrote the special tokens
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
    rc = rc == 0 ? check_model(intake, request.model, err) : rc;
    rc = rc == 0 ? keep_sampling(c, &request.sampling, err) : rc;
    rc = rc == 0 ? tokenize(intake, c, &request, err) : rc;
    if (rc == 0) {
        c->stream = request.stream;
        c->include_usage = request.include_usage;
        c->timings_per_token = request.timings_per_token;
    }
    return rc;
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

static int check_prompt(const struct intake *intake, struct tokfs_completion *c, struct err *err)
{
    const char *param = c->body ? "messages" : "input_ids";
    if (c->n_prompt == 0) {
        return err_set_param(err, -EINVAL, param, "the prompt has no tokens");
    }
    if (c->n_prompt >= intake->n_ctx) {
        return err_set_param(err, -E2BIG, param, "the prompt has %u tokens and the context %u: no room for an answer",
                             c->n_prompt, intake->n_ctx);
    }
    for (uint32_t i = 0; i < c->n_prompt; i++) {
        if (c->prompt[i] < 0 || (uint32_t)c->prompt[i] >= intake->n_vocab) {
            return err_set_param(err, -EINVAL, param, "token %u of the prompt is %d; the model has ids 0 to %u", i,
                                 c->prompt[i], intake->n_vocab - 1);
        }
    }
    return 0;
}

static int draw_seed(struct sampling_params *params, struct err *err)
{
    if (!params->has_seed && getrandom(&params->seed, sizeof(params->seed), 0) != (ssize_t)sizeof(params->seed)) {
        return err_set(err, -errno, "no random seed from the kernel");
    }
    params->has_seed = true;
    return 0;
}

static uint32_t limit_tokens(const struct intake *intake, const struct tokfs_completion *c)
{
    uint32_t n_room = intake->n_ctx - c->n_prompt;
    bool is_bounded = c->sampling.max_tokens >= 0 && c->sampling.max_tokens < n_room;
    return c->n_prompt + (is_bounded ? (uint32_t)c->sampling.max_tokens : n_room);
}

static int prepare(const struct intake *intake, struct tokfs_completion *c, struct err *err)
{
    int rc = 0;
    if (c->body) {
        struct arena arena;
        arena_init(&arena, ARENA_BYTES_BASE + ARENA_BYTES_PER_BODY_BYTE * c->body_len);
        rc = prepare_chat(intake, c, &arena, err);
        arena_deinit(&arena);
    } else {
        rc = check_sampling(&c->sampling, err);
    }
    rc = rc == 0 ? check_prompt(intake, c, err) : rc;
    rc = rc == 0 ? draw_seed(&c->sampling, err) : rc;
    if (rc == 0) {
        c->n_tokens_max = limit_tokens(intake, c);
    }
    return rc;
}

void intake_prepare(const struct intake *intake, struct tokfs_completion *completion)
{
    struct err *err = &completion->refusal;
    int rc = 0;
    if (!atomic_load(&completion->cancel)) {
        rc = prepare(intake, completion, err);
    }
    if (rc == 0 && atomic_load(&completion->cancel)) {
        rc = err_set(err, -ECANCELED, "cancelled");
    }
    assert((rc < 0) == (completion->refusal.code < 0));
    free(completion->body);
    completion->body = NULL;
    completion->accepted_ns = clock_monotonic_ns();
}
