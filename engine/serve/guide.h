// One answer's way through its grammar: which tokens may come next, and which must.
//
// Not all of an answer need be ruled. Reasoning comes first and is free; where a grammar rules tool calls that the
// model may or may not make, so is the text around them:
//
//     REASONING --free_end--> START --first token--> BOUND --the grammar's end--> the answer is over
//         ^                    |  +---call_begin---> OFF
//         +-----free_begin-----+
//     with is_optional:  START or FREE --call_begin, or a first token that fits--> BOUND --the grammar's end--> FREE
//
// Owner: the engine thread, as the sequence's. Looks at the grammar under its lock, since other answers, and the rows
// that are sampled at the same time, share it. What a guide allows depends on the tokens that it took and on nothing
// else. Does not allocate.
#ifndef TOKFS_SERVE_GUIDE_H
#define TOKFS_SERVE_GUIDE_H

#include "engine/serve/grammar_store.h"

#define GUIDE_NO_TOKEN (-1)

// What a request rules; constant.
struct guide_plan {
    struct answer_grammar *grammar; // NULL: any token may come, always
    bool begins_free;               // within reasoning
    int32_t free_begin, free_end;   // tokens around reasoning; GUIDE_NO_TOKEN: there is none, or it is not allowed
    int32_t call_begin; // a token that begins a call, which is not ruled; with is_optional, what the grammar follows
    bool is_optional;   // the grammar rules calls, if there are any; without call_begin, an answer that begins like one
};

struct guide {
    const struct guide_plan *plan; // NULL: none
    enum guide_state { GUIDE_OFF, GUIDE_REASONING, GUIDE_START, GUIDE_FREE, GUIDE_BOUND } state;
    bool has_reasoned;
    struct automaton_cursor cursor;
};

// Ids that end an answer; those outside of the vocabulary mean nothing.
struct token_set {
    const int32_t *ids;
    size_t n;
};

void guide_begin(struct guide *guide, const struct guide_plan *plan);
void guide_end(struct guide *guide); // a second time is nothing
// Takes a token that is not an end. False: the grammar does not allow it.
bool guide_take(struct guide *guide, int32_t id);
// Whether guide_restrict has anything to say of the next token.
bool guide_restricts(const struct guide *guide);
// Makes a row to draw from: the logits of the tokens that may come, -infinity for all others. `ends` may come where the
// text may end, and only there.
void guide_restrict(const struct guide *guide, const struct token_set *ends, size_t n_ends, const float *logits,
                    size_t n_vocab, float *row);
// The same as bits, one for each token that may come: [ceil(n_vocab / 64)].
void guide_mask(const struct guide *guide, const struct token_set *ends, size_t n_ends, size_t n_vocab, uint64_t *mask);
// The text is complete, and nothing may follow.
bool guide_is_over(const struct guide *guide);
// The only token that may come; -1: there are several, or the text may end.
int32_t guide_forced(const struct guide *guide);
// How many of the tokens, from the first on, may follow each other: all where that is not known.
uint32_t guide_count_allowed(const struct guide *guide, const int32_t *ids, uint32_t n);

#endif
