// A sequence's pages: taken as its timeline grows, shared with the prefix cache, given back.
//
// What a sequence has computed becomes part of the cache as soon as a block is whole, so that others who share the
// prefix need not wait for its end; the rest follows when it ends. It goes on holding what it uses: nothing that it
// reads can be evicted. A page of the cache is never written: whoever continues within one has a copy of it. What the
// host tier has of its beginning comes back to the device before anything else is asked of the device's pages.
#include "engine/serve/sequence.h"

#include <assert.h>

#define NO_PAGE UINT32_MAX

// Holds the pages of the first n_cached tokens, wherever they are; the last one, when they end within it, is copied by
// sequence_take_pages.
void sequence_use_cache(struct sequence *seq, uint32_t n_cached)
{
    const struct sequence_env *env = seq->env;
    if (n_cached == 0) {
        return;
    }
    assert(seq->n_pages == 0 && seq->n_computed == 0 && n_cached < seq->n_tokens);
    uint32_t n_found = radix_match(env->radix, seq->completion->cache_root, seq->tokens, n_cached, seq->pages);
    assert(n_found == n_cached); // the scheduler has seen it in this step
    for (uint32_t i = 0; i * env->page_tokens < n_cached; i++) {
        radix_hold_page(env->radix, seq->pages[i]);
    }
    seq->n_pages = n_cached / env->page_tokens;
    seq->copied_page = n_cached % env->page_tokens != 0 ? seq->pages[seq->n_pages] : NO_PAGE;
    seq->n_computed = n_cached;
    seq->has_begun_cached = true;
    seq->has_sat_out = false;
}

void sequence_fetch_pages(struct sequence *seq)
{
    for (uint32_t i = 0; i < seq->n_pages; i++) {
        if (radix_is_on_host(seq->pages[i])) {
            radix_fetch_pages(seq->env->radix, seq->completion->cache_root, seq->tokens, seq->n_pages, seq->pages);
            return;
        }
    }
}

bool sequence_is_coming(const struct sequence *seq)
{
    bool is_coming = false;
    for (uint32_t i = 0; i < seq->n_pages && seq->has_begun_cached && !is_coming; i++) {
        is_coming = page_pool_is_coming(seq->env->radix->pool, seq->pages[i]);
    }
    return is_coming;
}

void sequence_await_pages(struct sequence *seq)
{
    for (uint32_t i = 0; i < seq->n_pages && seq->has_begun_cached; i++) {
        page_pool_await(seq->env->radix->pool, seq->pages[i]);
    }
    seq->has_begun_cached = false;
}

static void copy_page(struct sequence *seq, uint32_t to)
{
    radix_copy_page(seq->env->radix, to, seq->copied_page);
    radix_give_page(seq->env->radix, seq->copied_page);
    seq->copied_page = NO_PAGE;
}

void sequence_take_pages(struct sequence *seq, uint32_t n_pages)
{
    assert((uint64_t)(n_pages - 1) * seq->env->page_tokens < seq->env->n_ctx);
    while (seq->n_pages < n_pages) {
        bool is_taken = radix_take_page(seq->env->radix, &seq->pages[seq->n_pages]);
        assert(is_taken);
        if (seq->copied_page != NO_PAGE) {
            copy_page(seq, seq->pages[seq->n_pages]);
        }
        seq->n_pages++;
    }
}

static void insert(struct sequence *seq, uint32_t n_tokens)
{
    uint32_t root = seq->completion->cache_root;
    if (root == 0 || n_tokens <= seq->n_inserted) {
        return;
    }
    seq->cache_cursor = seq->cache_cursor != 0 ? seq->cache_cursor : root;
    radix_insert(seq->env->radix, &seq->cache_cursor, seq->tokens, n_tokens, seq->pages);
    seq->n_inserted = n_tokens;
}

void sequence_cache_blocks(struct sequence *seq)
{
    insert(seq, seq->n_computed - seq->n_computed % seq->env->page_tokens);
}

static void release(struct sequence *seq)
{
    while (seq->n_pages > 0) {
        page_pool_give(seq->env->radix->pool, seq->pages[--seq->n_pages]);
    }
    seq->n_computed = seq->n_inserted = seq->cache_cursor = 0;
    seq->is_ahead = seq->has_begun_cached = false;
    if (seq->state == SEQUENCE_DECODE) {
        seq->state = SEQUENCE_PREFILL;
    }
}

void sequence_drop_pages(struct sequence *seq)
{
    assert(seq->copied_page == NO_PAGE);
    release(seq);
}

void sequence_give_pages(struct sequence *seq)
{
    assert(seq->copied_page == NO_PAGE);
    if (seq->completion->failure.code == 0) { // else what was computed is not to be trusted
        insert(seq, seq->n_computed);
        if (seq->is_remembered && seq->n_inserted > 0) {
            radix_note_logprobs(seq->env->radix, seq->completion->cache_root, seq->tokens, seq->n_inserted,
                                seq->n_tokens, seq->logprobs);
        }
    }
    release(seq);
}

uint32_t sequence_n_own_pages(const struct sequence *seq)
{
    const uint32_t *n_holders = seq->env->radix->pool->n_holders;
    uint32_t n = 0;
    for (uint32_t i = 0; i < seq->n_pages; i++) {
        n += n_holders[seq->pages[i]] == 1;
    }
    return n;
}
