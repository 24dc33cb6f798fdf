// From a request that was parsed to the tokens of its prompts: what the engine runs and what routers hash.
#ifndef TOKFS_SERVE_PROMPT_H
#define TOKFS_SERVE_PROMPT_H

#include "engine/serve/chat_format.h"
#include "engine/text/completion_request.h"
#include "engine/text/tokenizer.h"

// Appends what the template makes of a chat to `text` and its tokens to `ids`. Errors as of chat_format_render and
// tokenizer_encode.
int prompt_of_chat(const struct chat_format *format, const struct tokenizer *tok, const struct chat_request *request,
                   struct strbuf *text, struct token_ids *ids, struct err *err);
// Appends the tokens of one prompt of a completion: a text, or an array of ids.
int prompt_of_completion(const struct tokenizer *tok, const struct completion_request *request,
                         const struct json *prompt, struct token_ids *ids, struct err *err);
// What the engine can run: -EINVAL and -E2BIG name the parameter.
struct prompt_limits {
    uint32_t n_ctx, n_vocab;
};
int prompt_check(const struct prompt_limits *limits, const int32_t *ids, size_t n, const char *param, struct err *err);

#endif
