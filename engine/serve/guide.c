// Everything here is a few table look-ups where the state was met before; a new state's mask is the work that the lock
// is held for.
#include "engine/serve/guide.h"

#include <math.h>

#define WORD_BITS 64

void guide_begin(struct guide *guide, struct answer_grammar *grammar)
{
    *guide = (struct guide){ .grammar = grammar };
    if (grammar) {
        pthread_mutex_lock(&grammar->lock);
        automaton_cursor_init(grammar->automaton, &guide->cursor);
        pthread_mutex_unlock(&grammar->lock);
    }
}

void guide_end(struct guide *guide)
{
    if (guide->grammar) {
        pthread_mutex_lock(&guide->grammar->lock);
        automaton_cursor_deinit(&guide->cursor);
        pthread_mutex_unlock(&guide->grammar->lock);
        guide->grammar = NULL;
    }
}

static bool take(struct answer_grammar *grammar, struct automaton_cursor *cursor, int32_t id)
{
    char buf[TOKEN_TRIE_DEPTH_MAX];
    struct str bytes = token_trie_bytes(grammar->tok, id, buf);
    return bytes.len > 0 && automaton_cursor_advance(grammar->automaton, cursor, bytes);
}

bool guide_take(struct guide *guide, int32_t id)
{
    if (!guide->grammar) {
        return true;
    }
    pthread_mutex_lock(&guide->grammar->lock);
    bool is_taken = take(guide->grammar, &guide->cursor, id);
    pthread_mutex_unlock(&guide->grammar->lock);
    return is_taken;
}

uint32_t guide_count_allowed(const struct guide *guide, const int32_t *ids, uint32_t n)
{
    struct answer_grammar *grammar = guide->grammar;
    struct automaton_cursor probe;
    uint32_t n_allowed = 0;
    if (!grammar) {
        return n;
    }
    pthread_mutex_lock(&grammar->lock);
    automaton_cursor_copy(grammar->automaton, &probe, &guide->cursor);
    while (n_allowed < n && take(grammar, &probe, ids[n_allowed])) {
        n_allowed++;
    }
    automaton_cursor_deinit(&probe);
    pthread_mutex_unlock(&grammar->lock);
    return n_allowed;
}

bool guide_is_over(const struct guide *guide)
{
    if (!guide->grammar) {
        return false;
    }
    pthread_mutex_lock(&guide->grammar->lock);
    bool is_over = automaton_is_over(guide->grammar->automaton, &guide->cursor);
    pthread_mutex_unlock(&guide->grammar->lock);
    return is_over;
}

int32_t guide_forced(const struct guide *guide)
{
    struct answer_grammar *grammar = guide->grammar;
    int32_t found = -1;
    if (!grammar) {
        return -1;
    }
    pthread_mutex_lock(&grammar->lock);
    if (!automaton_may_end(grammar->automaton, guide->cursor.state)) {
        found = token_masks_only(grammar->masks, &guide->cursor);
    }
    pthread_mutex_unlock(&grammar->lock);
    return found;
}

// ---- rows ----------------------------------------------------------------------------------------------------------

static void restrict_word(uint64_t bits, const float *logits, size_t n, float *row)
{
    for (size_t i = 0; i < n; i++) {
        row[i] = bits >> i & 1 ? logits[i] : -INFINITY;
    }
}

static void restrict_row(const uint64_t *bits, size_t n_tokens, const float *logits, size_t n_vocab, float *row)
{
    for (size_t at = 0; at < n_vocab; at += WORD_BITS) {
        size_t n = n_vocab - at < WORD_BITS ? n_vocab - at : WORD_BITS;
        restrict_word(at < n_tokens ? bits[at / WORD_BITS] : 0, logits + at, n, row + at);
    }
}

void guide_restrict(const struct guide *guide, const struct token_set *ends, size_t n_ends, const float *logits,
                    size_t n_vocab, float *row)
{
    struct answer_grammar *grammar = guide->grammar;
    pthread_mutex_lock(&grammar->lock);
    const uint64_t *bits = token_masks_get(grammar->masks, &guide->cursor);
    restrict_row(bits, grammar->trie->n_vocab, logits, n_vocab, row);
    bool may_end = automaton_may_end(grammar->automaton, guide->cursor.state);
    pthread_mutex_unlock(&grammar->lock);
    for (size_t set = 0; set < n_ends; set++) {
        for (size_t i = 0; i < ends[set].n; i++) {
            int32_t id = ends[set].ids[i];
            if (id >= 0 && (size_t)id < n_vocab) {
                row[id] = may_end ? logits[id] : -INFINITY;
            }
        }
    }
}
