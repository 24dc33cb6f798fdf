// The request of SGLang's native generate endpoint: prompts as texts or token ids, sampling parameters in an object of
// their own. It becomes a completion request, which has all that it asks for.
//
// Fields: SGLang's GenerateReqInput and SamplingParams. Error codes as in chat_request.h.
#ifndef TOKFS_TEXT_GENERATE_REQUEST_H
#define TOKFS_TEXT_GENERATE_REQUEST_H

#include "engine/text/completion_request.h"

// Everything in *ret lives in the arena or borrows from `body`.
int generate_request_parse(struct arena *arena, struct str body, const struct sampling_params *defaults,
                           struct completion_request *ret, struct err *err);

#endif
