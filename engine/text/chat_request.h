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
#include "engine/text/tokenizer.h"

#define STOP_STRINGS_MAX      16 // OpenAI allows 4; vLLM and llama-server more
#define STOP_STRING_BYTES_MAX 256

struct sampling_params {
    double temperature; // >= 0; 0 = greedy
    double top_p;       // (0, 1]
    int64_t top_k;      // 0 or -1 = off
    double min_p;       // [0, 1]
    bool has_seed;      // otherwise the engine draws one
    uint64_t seed;
    int64_t max_tokens; // -1: as many as the context allows
    int64_t min_tokens;
    bool ignore_eos;
    struct str stop[STOP_STRINGS_MAX]; // in the request's arena
    size_t n_stop;
};

void sampling_params_default(struct sampling_params *params); // OpenAI's: temperature 1, top_p 1

struct chat_request {
    struct str model;                   // empty: the served one
    const struct json *messages;        // validated array, content in a form that templates expect
    const struct json *tools;           // array or NULL
    const struct json *documents;       // array or NULL
    const struct json *template_kwargs; // object or NULL
    bool tool_choice_none;              // tools are not shown to the template
    bool stream, include_usage;
    bool timings_per_token; // llama-server's extension: chunks tell when their token was sampled
    bool add_generation_prompt, continue_final_message;
    struct sampling_params sampling;
};

// Parses and validates one body (UTF-8 JSON object). Everything in *ret lives in the arena or borrows from `body`.
// Sampling parameters that the body does not name are those of `defaults`; NULL: sampling_params_default.
int chat_request_parse(struct arena *arena, struct str body, const struct sampling_params *defaults,
                       struct chat_request *ret, struct err *err);
// The defaults that a model's authors chose: temperature, top_p, top_k and min_p of a generation_config.json, and
// greedy where it says "do_sample": false. What it does not name keeps its value in *ret. -EINVAL names the field.
int sampling_defaults_parse(struct arena *arena, struct str generation_json, struct sampling_params *ret,
                            struct err *err);
// The same for sampling parameters alone: a JSON object, or lines "name value". Writes a JSON object with the same
// meaning to *out (for merging into requests): the form in which a session keeps them.
int sampling_params_parse(struct arena *arena, struct str text, struct strbuf *out, struct err *err);
// Tool schemas alone: a JSON array of tools (or one tool object). Validates.
int chat_tools_parse(struct arena *arena, struct str text, const struct json **ret, struct err *err);

#endif
