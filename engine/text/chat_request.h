// The OpenAI chat-completions request, typed and validated: every field is taken, or refused with its path.
//
// Error codes are the errno that a write to the mount returns: -EINVAL bad value, -EOPNOTSUPP a field that would change
// the answer and that this server cannot honour, -ENOENT unknown model, -E2BIG prompt exceeds the context, -EFBIG body
// too large. err.param is the field's path ("messages[2].content[0].type").
#ifndef TOKFS_TEXT_CHAT_REQUEST_H
#define TOKFS_TEXT_CHAT_REQUEST_H

#include "engine/base/arena.h"
#include "engine/base/err.h"
#include "engine/base/json.h"
#include "engine/text/chat_template.h"
#include "engine/text/request_fields.h"
#include "engine/text/tokenizer.h"

struct chat_request {
    struct request_common common;
    const struct json *messages;        // validated array, content in a form that templates expect
    const struct json *tools;           // array or NULL
    const struct json *documents;       // array or NULL
    const struct json *template_kwargs; // object or NULL
    bool tool_choice_none;              // tools are not shown to the template
    bool tool_choice_forced;            // the answer is a call of some tool, or of the one that forced_tool names
    struct str forced_tool;             // ptr NULL: any
    bool parallel_tool_calls;           // false: at most one call
    bool add_generation_prompt, continue_final_message;
    bool add_special_tokens;  // the tokenizer adds its own (a beginning of text) to what the template wrote
    struct str chat_template; // instead of the model's, also when it is empty; ptr NULL: the model's
    int64_t n;                // choices, 1 to CHOICES_MAX
    bool logprobs;
    int64_t prompt_logprobs; // the most probable ones beside each token of the prompt; -1: not asked for
    int64_t top_logprobs;    // beside the sampled token's own, 0 to TOP_LOGPROBS_MAX
    struct sampling_params sampling;
    int64_t now; // unix seconds, for templates; 0: the present. Not of the body: parsing leaves 0
};

// Parses and validates one body (UTF-8 JSON object). Everything in *ret lives in the arena or borrows from `body`.
// Sampling parameters that the body does not name are those of `defaults`; NULL: sampling_params_default.
int chat_request_parse(struct arena *arena, struct str body, const struct sampling_params *defaults,
                       struct chat_request *ret, struct err *err);

#endif
