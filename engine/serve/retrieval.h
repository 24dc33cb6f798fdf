// What the prefix cache holds of texts: their tokens, how far they are cached, and the log probabilities that it knows.
//
// Made by a text thread, looked up by the engine thread, which owns the cache, and written by a text thread again.
#ifndef TOKFS_SERVE_RETRIEVAL_H
#define TOKFS_SERVE_RETRIEVAL_H

#include "engine/cache/radix.h"
#include "engine/serve/text_task.h"
#include "engine/text/retrieve_request.h"
#include "engine/text/tokenizer.h"

struct retrieved {
    uint32_t first, n; // its tokens as the tokenizer cuts it, in the retrieval's
    int32_t *said;     // [n_said] as it was said, where that is known better; n_said 0: as it was cut
    float *said_held;  // both have room for its text in any tokens; NULL: it came as tokens
    uint32_t n_said;
    size_t text_first, text_len; // in the retrieval's texts
    uint32_t n_cached;
};

struct retrieval {
    struct token_ids tokens; // of all texts, one after the other
    float *held;             // [tokens.len] as radix.h holds them
    const struct tokenizer *tok;
    struct token_ids first;  // that stand before each text
    int32_t *scratch;        // room for the longest text in any tokens
    struct retrieved *items; // [n_items]
    size_t n_items;
    bool is_list;
    struct strbuf texts;
    struct str cache_salt; // a copy
    bool is_looked_up;
};

// From a request to tokens; the errors of text_task_run. To be freed, also after an error.
int retrieval_new(const struct text_task_env *env, struct str body, struct retrieval **ret, struct err *err);
void retrieval_free(struct retrieval *retrieval); // NULL is accepted
// Below `root`; 0: nothing is cached.
void retrieval_look_up(struct retrieval *retrieval, const struct radix *radix, uint32_t root);
// Appends an object, or a list of objects: out->error.
int retrieval_write(const struct retrieval *retrieval, struct strbuf *out);

#endif
