// One answer's way through its grammar: which tokens may come next, and which must.
//
// Owner: the engine thread, as the sequence's. Looks at the grammar under its lock, since other answers, and the rows
// that are sampled at the same time, share it. What a guide allows depends on the tokens that it took and on nothing
// else. Does not allocate.
#ifndef TOKFS_SERVE_GUIDE_H
#define TOKFS_SERVE_GUIDE_H

#include "engine/serve/grammar_store.h"

struct guide {
    struct answer_grammar *grammar; // NULL: any token may come
    struct automaton_cursor cursor;
};

// Ids that end an answer; those outside of the vocabulary mean nothing.
struct token_set {
    const int32_t *ids;
    size_t n;
};

void guide_begin(struct guide *guide, struct answer_grammar *grammar); // NULL is accepted
void guide_end(struct guide *guide);                                   // a second time is nothing
// Takes a token that is not an end. False: the grammar does not allow it.
bool guide_take(struct guide *guide, int32_t id);
// Makes a row to draw from: the logits of the tokens that may come, -infinity for all others. `ends` may come where the
// text may end, and only there.
void guide_restrict(const struct guide *guide, const struct token_set *ends, size_t n_ends, const float *logits,
                    size_t n_vocab, float *row);
// The text is complete, and nothing may follow.
bool guide_is_over(const struct guide *guide);
// The only token that may come; -1: there are several, or the text may end.
int32_t guide_forced(const struct guide *guide);
// How many of the tokens, from the first on, may follow each other.
uint32_t guide_count_allowed(const struct guide *guide, const int32_t *ids, uint32_t n);

#endif
