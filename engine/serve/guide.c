// Everything here is a few table look-ups where the state was met before; a new state's mask is the work that the lock
// is held for.
#include "engine/serve/guide.h"

#include <math.h>
#include <string.h>

#define WORD_BITS 64

static struct automaton *lock_grammar(const struct guide *guide)
{
    pthread_mutex_lock(&guide->plan->grammar->lock);
    return guide->plan->grammar->automaton;
}

static void unlock_grammar(const struct guide *guide)
{
    pthread_mutex_unlock(&guide->plan->grammar->lock);
}

// What comes when there is no reasoning, or when it is over.
static enum guide_state state_of_text(const struct guide_plan *plan)
{
    return plan->is_optional && plan->call_begin != GUIDE_NO_TOKEN ? GUIDE_FREE : GUIDE_START;
}

void guide_begin(struct guide *guide, const struct guide_plan *plan)
{
    *guide = (struct guide){ .plan = plan && plan->grammar ? plan : NULL };
    if (guide->plan) {
        guide->state = plan->begins_free ? GUIDE_REASONING : state_of_text(plan);
        automaton_cursor_init(lock_grammar(guide), &guide->cursor);
        unlock_grammar(guide);
    }
}

void guide_end(struct guide *guide)
{
    if (guide->plan) {
        lock_grammar(guide);
        automaton_cursor_deinit(&guide->cursor);
        unlock_grammar(guide);
        *guide = (struct guide){ 0 };
    }
}

// ---- tokens --------------------------------------------------------------------------------------------------------

static bool is_space(struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (!strchr(" \n\r\t", bytes.ptr[i]) || bytes.ptr[i] == '\0') {
            return false;
        }
    }
    return true;
}

static bool opens_reasoning(const struct guide *guide, int32_t id)
{
    return !guide->has_reasoned && id == guide->plan->free_begin;
}

// Under the lock.
static bool advance(const struct guide *guide, struct automaton_cursor *cursor, struct str bytes)
{
    return bytes.len > 0 && automaton_cursor_advance(guide->plan->grammar->automaton, cursor, bytes);
}

static void restart(struct guide *guide)
{
    struct automaton *a = guide->plan->grammar->automaton;
    automaton_cursor_deinit(&guide->cursor);
    automaton_cursor_init(a, &guide->cursor);
    guide->state = GUIDE_BOUND;
}

// The first token of what is ruled. One that does not fit where nothing need be ruled ends the matter.
static bool take_first(struct guide *guide, int32_t id, struct str bytes)
{
    const struct guide_plan *plan = guide->plan;
    if (opens_reasoning(guide, id)) {
        guide->state = GUIDE_REASONING;
    } else if (id == plan->call_begin) {
        guide->state = GUIDE_OFF;
    } else if (plan->is_optional && is_space(bytes)) {
        return true;
    } else if (advance(guide, &guide->cursor, bytes)) {
        guide->state = is_space(bytes) ? GUIDE_START : GUIDE_BOUND;
    } else {
        guide->state = GUIDE_OFF;
        return plan->is_optional;
    }
    return true;
}

static bool take_bound(struct guide *guide, struct str bytes)
{
    if (!advance(guide, &guide->cursor, bytes)) {
        return false;
    }
    if (guide->plan->is_optional && automaton_is_over(guide->plan->grammar->automaton, &guide->cursor)) {
        guide->state = guide->plan->call_begin != GUIDE_NO_TOKEN ? GUIDE_FREE : GUIDE_OFF;
    }
    return true;
}

static bool take(struct guide *guide, int32_t id)
{
    char buf[TOKEN_TRIE_DEPTH_MAX];
    struct str bytes = token_trie_bytes(guide->plan->grammar->tok, id, buf);
    switch (guide->state) {
    case GUIDE_OFF: break;
    case GUIDE_REASONING:
        if (id == guide->plan->free_end) {
            guide->has_reasoned = true;
            guide->state = state_of_text(guide->plan);
        }
        break;
    case GUIDE_FREE:
        if (id == guide->plan->call_begin) {
            restart(guide);
        }
        break;
    case GUIDE_START: return take_first(guide, id, bytes);
    case GUIDE_BOUND: return take_bound(guide, bytes);
    }
    return true;
}

bool guide_take(struct guide *guide, int32_t id)
{
    if (!guide->plan || guide->state == GUIDE_OFF) {
        return true;
    }
    lock_grammar(guide);
    bool is_taken = take(guide, id);
    unlock_grammar(guide);
    return is_taken;
}

// ---- what may come -------------------------------------------------------------------------------------------------

// Within the grammar, or at its beginning with nothing else to choose.
static bool is_ruled(const struct guide *guide)
{
    return guide->plan && (guide->state == GUIDE_BOUND || (guide->state == GUIDE_START && !guide->plan->is_optional));
}

static bool may_open(const struct guide *guide)
{
    const struct guide_plan *plan = guide->plan;
    bool may_reason = !guide->has_reasoned && plan->free_begin != GUIDE_NO_TOKEN;
    return guide->state == GUIDE_START && (may_reason || plan->call_begin != GUIDE_NO_TOKEN);
}

bool guide_restricts(const struct guide *guide)
{
    return guide && guide->plan && (is_ruled(guide) || guide->state == GUIDE_REASONING);
}

bool guide_is_over(const struct guide *guide)
{
    if (!is_ruled(guide) || guide->plan->is_optional) {
        return false;
    }
    bool is_over = automaton_is_over(lock_grammar(guide), &guide->cursor);
    unlock_grammar(guide);
    return is_over;
}

int32_t guide_forced(const struct guide *guide)
{
    int32_t found = -1;
    if (!is_ruled(guide) || may_open(guide)) {
        return found;
    }
    if (!automaton_may_end(lock_grammar(guide), guide->cursor.state)) {
        found = token_masks_only(guide->plan->grammar->masks, &guide->cursor);
    }
    unlock_grammar(guide);
    return found;
}

uint32_t guide_count_allowed(const struct guide *guide, const int32_t *ids, uint32_t n)
{
    struct automaton_cursor probe;
    uint32_t n_allowed = 0;
    if (!is_ruled(guide) || may_open(guide)) {
        return n;
    }
    automaton_cursor_copy(lock_grammar(guide), &probe, &guide->cursor);
    for (; n_allowed < n; n_allowed++) {
        char buf[TOKEN_TRIE_DEPTH_MAX];
        if (!advance(guide, &probe, token_trie_bytes(guide->plan->grammar->tok, ids[n_allowed], buf))) {
            break;
        }
    }
    automaton_cursor_deinit(&probe);
    unlock_grammar(guide);
    return n_allowed;
}

// ---- rows ----------------------------------------------------------------------------------------------------------

// Most words allow all of their tokens, or none.
static void restrict_word(uint64_t bits, const float *logits, size_t n, float *row)
{
    if (bits == ~UINT64_C(0)) {
        memcpy(row, logits, n * sizeof(*row));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        row[i] = -INFINITY;
    }
    for (bits &= n < WORD_BITS ? (UINT64_C(1) << n) - 1 : bits; bits != 0; bits &= bits - 1) {
        size_t i = (size_t)__builtin_ctzll(bits);
        row[i] = logits[i];
    }
}

static void restrict_row(const uint64_t *bits, size_t n_tokens, const float *logits, size_t n_vocab, float *row)
{
    for (size_t at = 0; at < n_vocab; at += WORD_BITS) {
        size_t n = n_vocab - at < WORD_BITS ? n_vocab - at : WORD_BITS;
        restrict_word(at < n_tokens ? bits[at / WORD_BITS] : 0, logits + at, n, row + at);
    }
}

static void set_one(int32_t id, bool may_come, const float *logits, size_t n_vocab, float *row)
{
    if (id >= 0 && (size_t)id < n_vocab) {
        row[id] = may_come ? logits[id] : -INFINITY;
    }
}

void guide_restrict(const struct guide *guide, const struct token_set *ends, size_t n_ends, const float *logits,
                    size_t n_vocab, float *row)
{
    const struct guide_plan *plan = guide->plan;
    bool may_end = false;
    if (is_ruled(guide)) {
        struct automaton *a = lock_grammar(guide);
        restrict_row(token_masks_get(plan->grammar->masks, &guide->cursor), plan->grammar->trie->n_vocab, logits,
                     n_vocab, row);
        may_end = automaton_may_end(a, guide->cursor.state);
        unlock_grammar(guide);
    } else {
        memcpy(row, logits, n_vocab * sizeof(*row));
    }
    for (size_t set = 0; set < n_ends; set++) {
        for (size_t i = 0; i < ends[set].n; i++) {
            set_one(ends[set].ids[i], may_end, logits, n_vocab, row);
        }
    }
    if (may_open(guide)) {
        set_one(plan->call_begin, true, logits, n_vocab, row);
        set_one(guide->has_reasoned ? GUIDE_NO_TOKEN : plan->free_begin, true, logits, n_vocab, row);
    }
}

static void mask_one(int32_t id, bool may_come, size_t n_vocab, uint64_t *mask)
{
    if (id >= 0 && (size_t)id < n_vocab) {
        uint64_t bit = UINT64_C(1) << (size_t)id % WORD_BITS, *word = &mask[(size_t)id / WORD_BITS];
        *word = may_come ? *word | bit : *word & ~bit;
    }
}

void guide_mask(const struct guide *guide, const struct token_set *ends, size_t n_ends, size_t n_vocab, uint64_t *mask)
{
    const struct guide_plan *plan = guide->plan;
    size_t n_words = (n_vocab + WORD_BITS - 1) / WORD_BITS;
    bool may_end = false;
    if (is_ruled(guide)) {
        struct automaton *a = lock_grammar(guide);
        size_t n_tokens = plan->grammar->trie->n_vocab, n_known = (n_tokens + WORD_BITS - 1) / WORD_BITS;
        const uint64_t *bits = token_masks_get(plan->grammar->masks, &guide->cursor);
        for (size_t i = 0; i < n_words; i++) {
            mask[i] = i < n_known ? bits[i] : 0;
        }
        may_end = automaton_may_end(a, guide->cursor.state);
        unlock_grammar(guide);
    } else {
        memset(mask, 0xff, n_words * sizeof(*mask));
    }
    for (size_t set = 0; set < n_ends; set++) {
        for (size_t i = 0; i < ends[set].n; i++) {
            mask_one(ends[set].ids[i], may_end, n_vocab, mask);
        }
    }
    if (may_open(guide)) {
        mask_one(plan->call_begin, true, n_vocab, mask);
        mask_one(guide->has_reasoned ? GUIDE_NO_TOKEN : plan->free_begin, true, n_vocab, mask);
    }
}
