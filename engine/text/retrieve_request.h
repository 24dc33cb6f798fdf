// The request of retrieve_from_text: what the prefix cache holds of texts or token ids.
//
// Error codes as in chat_request.h.
#ifndef TOKFS_TEXT_RETRIEVE_REQUEST_H
#define TOKFS_TEXT_RETRIEVE_REQUEST_H

#include "engine/text/prompts.h"
#include "engine/text/request_fields.h"

#define RETRIEVE_TEXTS_MAX 512

struct retrieve_request {
    struct str model; // ptr NULL: the served one
    struct prompts prompts;
    const char *prompt_name;
    struct str cache_salt;   // of the requests that may have computed them; empty: none
    bool add_special_tokens; // to texts
};

// Everything in *ret lives in the arena or borrows from `body`.
int retrieve_request_parse(struct arena *arena, struct str body, struct retrieve_request *ret, struct err *err);

#endif
