// The request of OpenAI's v1/completions: plain prompts, without a chat's roles and template.
//
// Error codes as in chat_request.h.
#ifndef TOKFS_TEXT_COMPLETION_REQUEST_H
#define TOKFS_TEXT_COMPLETION_REQUEST_H

#include "engine/text/prompts.h"
#include "engine/text/request_fields.h"

#define COMPLETION_CHOICES_MAX 512 // prompts times n

struct completion_request {
    struct request_common common;
    struct prompts prompts;
    const char *prompt_name; // of the field that they were in
    bool echo;               // answers begin with their prompt
    bool add_special_tokens; // to prompts that are text
    bool logprobs;
    int64_t top_logprobs;    // beside the sampled token's own
    int64_t prompt_logprobs; // the most probable ones beside each token of the prompt; -1: not asked for
    int64_t probs_from;      // generate: the first token of the prompt to be told of; -1: the last
    bool texts_in_logprobs;
    const struct json *request_ids;  // a string, or an array of as many strings as there are prompts; NULL: none
    int64_t n;                       // choices for each prompt
    struct sampling_params sampling; // max_tokens is 16 unless given, as OpenAI has it
};

// Everything in *ret lives in the arena or borrows from `body`.
int completion_request_parse(struct arena *arena, struct str body, const struct sampling_params *defaults,
                             struct completion_request *ret, struct err *err);
// Not more than COMPLETION_CHOICES_MAX. -EINVAL.
int completion_request_check_choices(const struct completion_request *request, struct err *err);

#endif
