// From a template's format and a request to what the answer parser wants. Calls are looked for only where the request
// has tools and may call them; reasoning wherever the template has it. Formats in which every answer has marks
// (gpt-oss, functionary 3.2) are read in any case.
#include "engine/serve/answer_setup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static int add_marks(const struct tokenizer *tok, struct str mark, int32_t *marks, size_t *n, struct err *err)
{
    struct token_ids ids = { 0 };
    int rc = tokenizer_encode(tok, mark, 0, &ids, err);
    for (size_t i = 0; rc == 0 && i < ids.len; i++) {
        size_t k = 0;
        while (k < *n && marks[k] != ids.ids[i]) {
            k++;
        }
        if (k == *n && *n < ANSWER_MARKS_MAX && tokenizer_is_special(tok, ids.ids[i])) {
            marks[(*n)++] = ids.ids[i];
        }
    }
    token_ids_deinit(&ids);
    return rc;
}

int answer_style_find_marks(struct answer_style *style, const struct tokenizer *tok, struct err *err)
{
    const struct reasoning_syntax *reasoning = style->format.reasoning;
    struct str mark;
    int rc = 0;
    for (size_t i = 0; style->format.calls && call_syntax_mark(style->format.calls, i, &mark) && rc == 0; i++) {
        rc = add_marks(tok, mark, style->call_marks, &style->n_call_marks, err);
    }
    for (size_t i = 0; reasoning && reasoning_syntax_mark(reasoning, i, &mark) && rc == 0; i++) {
        rc = add_marks(tok, mark, style->reasoning_marks, &style->n_reasoning_marks, err);
    }
    return rc;
}

static void keep_marks(struct answer_setup *setup, const int32_t *marks, size_t n)
{
    memcpy(setup->marks + setup->n_marks, marks, n * sizeof(*marks));
    setup->n_marks += n;
}

static int keep_tools(struct answer_setup *setup, const struct json *tools, struct err *err)
{
    struct str text = tools ? arena_copy(&setup->arena, tools->text) : STR("");
    if (!text.ptr) {
        return err_set(err, -ENOMEM, "out of memory for a request");
    }
    return tools ? json_parse(&setup->arena, text, &setup->request.tools, err) : 0;
}

static bool may_call(const struct chat_request *request)
{
    return request->tools && !request->tool_choice_none;
}

static int fill(struct answer_setup *setup, const struct answer_style *style, const struct chat_request *request,
                struct str prompt, struct err *err)
{
    struct answer_request *answer = &setup->request;
    if (getrandom(&answer->id_seed, sizeof(answer->id_seed), 0) != (ssize_t)sizeof(answer->id_seed)) {
        return err_set(err, -errno, "no random numbers from the kernel");
    }
    answer->n_calls_max = request->parallel_tool_calls ? ANSWER_CALLS_MAX : 1;
    answer->begins_in_reasoning = answer_prompt_opens_reasoning(style->format.reasoning, prompt);
    if (answer->format.calls) {
        keep_marks(setup, style->call_marks, style->n_call_marks);
    }
    if (answer->format.reasoning) {
        keep_marks(setup, style->reasoning_marks, style->n_reasoning_marks);
    }
    return keep_tools(setup, may_call(request) ? request->tools : NULL, err);
}

int answer_setup_new(const struct answer_style *style, const struct chat_request *request, struct str prompt,
                     struct answer_setup **ret, struct err *err)
{
    const struct call_syntax *calls = style->format.calls;
    bool reads_calls = calls && (may_call(request) || calls->body == CALL_CHANNELS || calls->begins_there ||
                                 calls->header_end.len > 0);
    *ret = NULL;
    if (!reads_calls && !style->format.reasoning) {
        return 0;
    }
    struct answer_setup *setup = calloc(1, sizeof(*setup));
    if (!setup) {
        return err_set(err, -ENOMEM, "out of memory for a request");
    }
    arena_init(&setup->arena, 0);
    setup->request.format = (struct answer_format){ reads_calls ? calls : NULL, style->format.reasoning };
    int rc = fill(setup, style, request, prompt, err);
    if (rc < 0) {
        answer_setup_free(setup);
        return rc;
    }
    *ret = setup;
    return 0;
}

void answer_setup_free(struct answer_setup *setup)
{
    if (setup) {
        arena_deinit(&setup->arena);
        free(setup);
    }
}
