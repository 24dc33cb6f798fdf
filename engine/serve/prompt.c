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
