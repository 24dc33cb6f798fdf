#include "engine/serve/prompt.h"
#include <errno.h>

int prompt_of_chat(const struct chat_format *format, const struct tokenizer *tok, const struct chat_request *request,
                   struct strbuf *text, struct token_ids *ids, struct err *err)
{
    int rc = chat_format_render(format, request, text, err);
    if (rc < 0) {
        return rc;
    }
    // Most templates write the special tokens themselves.
    unsigned flags = request->add_special_tokens ? TOKENIZER_ADD_SPECIAL : 0;
    return tokenizer_encode(tok, strbuf_str(text), flags, ids, err);
}

static int add_ids(const struct json *ids, struct token_ids *ret, struct err *err)
{
    const struct json *item = json_first(ids);
    for (size_t i = 0; i < ids->n_children; i++, item = json_next(item)) {
        int64_t id = 0;
        if (json_get_i64(item, &id) < 0 || token_ids_append(ret, (int32_t)id) < 0) {
            return err_set(err, -ENOMEM, "out of memory for a prompt");
        }
    }
    return 0;
}

int prompt_of_completion(const struct tokenizer *tok, const struct completion_request *request,
                         const struct json *prompt, struct token_ids *ids, struct err *err)
{
    unsigned flags = request->add_special_tokens ? TOKENIZER_ADD_SPECIAL : 0;
    return prompt->type == JSON_STRING ? tokenizer_encode(tok, prompt->text, flags, ids, err)
                                       : add_ids(prompt, ids, err);
}

int prompt_check(const struct prompt_limits *limits, const int32_t *ids, size_t n, const char *param, struct err *err)
{
    if (n == 0) {
        return err_set_param(err, -EINVAL, param, "the prompt has no tokens");
    }
    if (n >= limits->n_ctx) {
        return err_set_param(err, -E2BIG, param, "the prompt has %zu tokens and the context %u: no room for an answer",
                             n, limits->n_ctx);
    }
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || (uint32_t)ids[i] >= limits->n_vocab) {
            return err_set_param(err, -EINVAL, param, "token %zu of the prompt is %d; the model has ids 0 to %u", i,
                                 ids[i], limits->n_vocab - 1);
        }
    }
    return 0;
}
