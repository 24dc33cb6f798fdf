// From what a client sent to tokens that can run: parse, template, tokenize, check. The work of the text threads.
#ifndef TOKFS_SERVE_INTAKE_H
#define TOKFS_SERVE_INTAKE_H

#include "engine/serve/chat_format.h"
#include "engine/serve/completion.h"

// Constant while text threads run.
struct intake {
    const struct tokenizer *tok;
    const struct chat_format *format;
    const char *served_name;
    struct grammar_store *grammars;
    uint32_t n_ctx, n_vocab;
    double timeout_s;            // of requests that name none, and the most; 0: none
    atomic_size_t *score_budget; // bytes of scores that all requests hold
};

// Fills the completion's prompt, limits and sampling parameters, or its result, or its refusal. Frees its body.
void intake_prepare(const struct intake *intake, struct tokfs_completion *completion);
// The part of it for a body of v1/completions: prompts, echo and parameters, which are checked afterwards.
// Compiles what the request demands of its answers, or finds it compiled: of a text, and of an answer to a chat, with
// what its template has for reasoning and calls; `prompt` is what it made of the request.
int intake_guide_text(const struct intake *intake, struct tokfs_completion *completion, const struct answer_rule *rule,
                      struct err *err);
int intake_guide_chat(const struct intake *intake, struct tokfs_completion *completion,
                      const struct chat_request *request, const struct answer_style *style, struct str prompt,
                      struct arena *arena, struct err *err);
int intake_prepare_plain(const struct intake *intake, struct tokfs_completion *completion, struct arena *arena,
                         struct err *err);

#endif
