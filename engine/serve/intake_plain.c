// A body of v1/completions or of generate: its prompts become one array of tokens, one after the other, and a list of
// their places.
#include "engine/serve/intake.h"

#include "engine/serve/prompt.h"
#include "engine/serve/text_task.h"
#include "engine/text/generate_request.h"
#include <errno.h>
#include <stdlib.h>

// The tokens of one prompt, and its text where an echo is wanted.
static int add_prompt(const struct intake *intake, const struct completion_request *request, const struct json *prompt,
                      struct token_ids *ids, struct strbuf *texts, struct prompt_place *ret, struct err *err)
{
    size_t first = ids->len, echo_first = texts->len;
    int rc = prompt_of_completion(intake->tok, request, prompt, ids, err);
    if (rc < 0) {
        return rc;
    }
    if (ids->len > UINT32_MAX) {
        return err_set_param(err, -E2BIG, request->prompt_name, "the prompts have %zu tokens", ids->len);
    }
    if (request->echo) {
        rc = prompt->type == JSON_STRING
                 ? strbuf_append(texts, prompt->text)
                 : tokenizer_decode(intake->tok, ids->ids + first, ids->len - first, true, texts);
    }
    *ret = (struct prompt_place){ .first = (uint32_t)first,
                                  .n = (uint32_t)(ids->len - first),
                                  .echo = { echo_first, texts->len - echo_first } };
    return rc < 0 ? err_set(err, -ENOMEM, "out of memory for a prompt") : 0;
}

static int add_prompts(const struct intake *intake, struct tokfs_completion *c,
                       const struct completion_request *request, struct err *err)
{
    struct token_ids ids = { 0 };
    const struct json *prompt = NULL;
    int rc = 0;
    strbuf_init(&c->texts, 0);
    c->prompts = calloc(request->prompts.n, sizeof(*c->prompts));
    if (!c->prompts) {
        return err_set(err, -ENOMEM, "out of memory for a request");
    }
    for (size_t i = 0; i < request->prompts.n && rc == 0; i++) {
        prompt = prompts_next(&request->prompts, prompt);
        rc = add_prompt(intake, request, prompt, &ids, &c->texts, &c->prompts[i], err);
    }
    c->n_prompts = (uint32_t)request->prompts.n;
    c->prompt_name = request->prompt_name;
    c->prompt = ids.ids;
    c->n_prompt = (uint32_t)ids.len;
    return rc;
}

// A name for all of them, which are then numbered, or one for each.
static int add_names(struct tokfs_completion *c, const struct completion_request *request, struct err *err)
{
    const struct json *ids = request->request_ids, *id = ids && ids->type == JSON_ARRAY ? json_first(ids) : ids;
    for (uint32_t i = 0; ids && i < c->n_prompts; i++) {
        size_t first = c->texts.len;
        strbuf_append(&c->texts, id->text);
        if (ids->type == JSON_ARRAY) {
            id = json_next(id);
        } else if (request->prompts.is_list) {
            strbuf_printf(&c->texts, "_%u", i);
        }
        c->prompts[i].name = (struct text_place){ first, c->texts.len - first };
        if (c->texts.error) {
            return err_set(err, -ENOMEM, "out of memory for a request");
        }
    }
    return 0;
}

int intake_prepare_plain(const struct intake *intake, struct tokfs_completion *completion, struct arena *arena,
                         struct err *err)
{
    struct completion_request request;
    const struct str body = { completion->body, completion->body_len };
    int rc = completion->form == REQUEST_GENERATE
                 ? generate_request_parse(arena, body, &intake->format->sampling, &request, err)
                 : completion_request_parse(arena, body, &intake->format->sampling, &request, err);
    rc = rc == 0 ? text_task_check_model(intake->served_name, request.common.model, err) : rc;
    if (rc == 0 && completion_keep_sampling(completion, &request.sampling, request.common.cache_salt) < 0) {
        rc = err_set(err, -ENOMEM, "out of memory for a request");
    }
    rc = rc == 0 ? intake_guide_text(intake, completion, &request.common.rule, err) : rc;
    rc = rc == 0 ? add_prompts(intake, completion, &request, err) : rc;
    rc = rc == 0 ? add_names(completion, &request, err) : rc;
    if (rc == 0) {
        completion->stream = request.common.stream;
        completion->include_usage = request.common.include_usage;
        completion->timings_per_token = request.common.timings_per_token;
        completion->n_choices = (uint32_t)request.n;
        completion->is_list = request.prompts.is_list || request.n > 1;
        completion->texts_in_logprobs = request.texts_in_logprobs;
        completion->has_logprobs = request.logprobs;
        completion->n_top_logprobs = (uint32_t)request.top_logprobs;
        completion->echoes_probs = request.echo && request.logprobs;
        completion->n_prompt_logprobs = (int32_t)request.prompt_logprobs;
        completion->probs_from = request.probs_from;
        completion->priority = request.common.priority;
    }
    return rc;
}
