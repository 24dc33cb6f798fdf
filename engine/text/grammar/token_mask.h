// The tokens that a grammar allows next, as bits; kept for each state.
#ifndef TOKFS_TEXT_GRAMMAR_TOKEN_MASK_H
#define TOKFS_TEXT_GRAMMAR_TOKEN_MASK_H

#include "engine/text/grammar/automaton.h"
#include "engine/text/grammar/token_trie.h"

// Masks of one automaton over one vocabulary; same thread. Both must outlive it.
struct token_masks;

int token_masks_new(struct automaton *a, const struct token_trie *trie, size_t n_kept_max, struct token_masks **ret);
void token_masks_free(struct token_masks *masks);
// From now on, where the bytes that come are given and no token could run past them, only the token that the tokenizer
// would make of them is allowed: the model sees the text cut as it is used to, and has nothing to decide. -ENOMEM.
int token_masks_cut_forced(struct token_masks *masks, const struct tokenizer *tok);
// [trie->n_words] bits, valid until the next call. Every allowed token can be followed by some end of the text. An end
// token is allowed where automaton_may_end says so; it has no bit here. Does not allocate. May replace the cursor's
// state by an equal one (automaton_collect).
const uint64_t *token_masks_get(struct token_masks *masks, const struct automaton_cursor *cursor);
// What a mask may cost at most, in units of a few nanoseconds (automaton_work). Beyond that it is empty: no token is
// allowed. A grammar for which token_masks_try found masks that cost an eighth of it is better refused.
#define TOKEN_MASK_WORK_MAX (UINT64_C(1) << 23)
// Makes the masks of some texts that a random walk finds. False: one costs too much. Later ones may, all the same.
bool token_masks_try(struct token_masks *masks, const struct tokenizer *tok);
// The only token that is allowed, -1 when there are several or none. Otherwise as token_masks_get.
int32_t token_masks_only(struct token_masks *masks, const struct automaton_cursor *cursor);
size_t token_masks_bytes(const struct token_trie *trie, size_t n_kept_max); // what they take, at most

#endif
