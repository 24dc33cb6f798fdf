// How one request's answer is to be read, and what that needs to know of the request: made by a text thread, constant
// after, owned by the completion.
#ifndef TOKFS_SERVE_ANSWER_SETUP_H
#define TOKFS_SERVE_ANSWER_SETUP_H

#include "engine/text/answer_parser.h"
#include "engine/text/chat_form.h"
#include "engine/text/chat_request.h"

#define ANSWER_MARKS_MAX 32

// What belongs to a chat template.
struct answer_style {
    struct answer_format format;
    struct chat_form form; // of calls in the prompt
    // Special tokens that are part of a mark: the reader of an answer must see them, a client must not.
    int32_t call_marks[ANSWER_MARKS_MAX], reasoning_marks[ANSWER_MARKS_MAX];
    size_t n_call_marks, n_reasoning_marks;
};

struct answer_setup {
    struct answer_request request;
    int32_t marks[2 * ANSWER_MARKS_MAX];
    size_t n_marks;
    struct arena arena; // of request.tools
};

// Finds the marks among the tokenizer's special tokens.
int answer_style_find_marks(struct answer_style *style, const struct tokenizer *tok, struct err *err);
// *ret NULL: the answer is content. `prompt` is what the template made of the request. -ENOMEM, -errno of getrandom.
int answer_setup_new(const struct answer_style *style, const struct chat_request *request, struct str prompt,
                     struct answer_setup **ret, struct err *err);
void answer_setup_free(struct answer_setup *setup); // NULL is accepted

#endif
