// Requests about text alone, which no model runs for: tokenize, detokenize and apply-template, typed and validated.
//
// Fields are those of vLLM's and of llama-server's endpoints, and of transformers' render_jinja_template. Error codes
// as in chat_request.h; everything in a result lives in the arena or borrows from the body.
#ifndef TOKFS_TEXT_TEXT_REQUEST_H
#define TOKFS_TEXT_TEXT_REQUEST_H

#include "engine/base/arena.h"
#include "engine/base/err.h"
#include "engine/base/json.h"

// How conversations are rendered.
struct template_options {
    struct str source;                    // ptr NULL: the model's own template
    const struct json *tools, *documents; // array or NULL
    const struct json *vars;              // object whose members become variables, or NULL
    bool add_generation_prompt, continue_final_message;
};

struct tokenize_request {
    struct str model; // ptr NULL: the served one
    struct str text;
    const struct json *messages; // rendered to get the text; NULL: `text` it is
    struct template_options options;
    bool add_special;    // the tokens that stand around a text
    bool plain_special;  // the text of special tokens is plain text
    bool return_strings; // vLLM's return_token_strs
    bool with_pieces;    // llama-server's
};

struct detokenize_request {
    struct str model;
    const struct json *tokens; // array of token ids, each from 0 to INT32_MAX
};

struct template_request {
    struct str model;
    const struct json *conversations; // array of arrays of objects
    struct template_options options;
    bool return_spans; // of the generation blocks
};

int tokenize_request_parse(struct arena *arena, struct str body, struct tokenize_request *ret, struct err *err);
int detokenize_request_parse(struct arena *arena, struct str body, struct detokenize_request *ret, struct err *err);
// *ret_is_chat: the body has "messages" and none of the rest was looked at: it is a chat request, to be rendered as
// one.
int template_request_parse(struct arena *arena, struct str body, struct template_request *ret, bool *ret_is_chat,
                           struct err *err);

#endif
