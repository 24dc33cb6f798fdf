// Guesses of a sequence's next tokens from its own timeline ("prompt lookup"): what followed the last time that the
// same few tokens stood there. Guesses are checked in one step with the token before them and never change an answer;
// right ones save steps.
#ifndef TOKFS_SERVE_DRAFT_H
#define TOKFS_SERVE_DRAFT_H

#include <stdint.h>

#define DRAFT_MAX      8  // tokens per sequence and step
#define DRAFT_ROWS_MAX 16 // of a step, decodes included: beyond, rows cost more than the steps that they save

// How far a sequence's guesses have been right lately.
struct draft_state {
    uint8_t n_next;      // tokens to guess next
    uint8_t n_rest;      // steps without guesses to come
    uint8_t n_rest_next; // after the next failure
};

void draft_init(struct draft_state *state);
// Guesses at most n_max tokens that follow tokens[0 .. n_tokens). Returns how many.
uint32_t draft_find(const int32_t *tokens, uint32_t n_tokens, uint32_t n_max, int32_t *ret);
// How many to guess in this step; 0 while it rests.
uint32_t draft_length(struct draft_state *state);
void draft_adapt(struct draft_state *state, uint32_t n_guessed, uint32_t n_right);

#endif
