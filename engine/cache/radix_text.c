// Looking for a text instead of tokens: a walk over all paths whose tokens' bytes are the text's, depth first.
//
// The model may have said a text in other tokens than the tokenizer cuts it into. There may be several such paths, each
// a node's run of tokens after the other; the tree's own links lead on and back, so that nothing is allocated. How many
// tokens are looked at is bounded.
#include "engine/cache/radix_node.h"

#include <string.h>

struct walk {
    const struct radix *r;
    const struct radix_text *text;
    uint32_t node;
    size_t offset;   // of the text, where the tokens before `node` end; then where its own end
    int32_t *tokens; // of the path up to the node
};

static bool is_text_next(const struct walk *w, int32_t token, size_t *ret_len)
{
    struct str bytes = w->text->bytes(w->text->ctx, token), rest = str_skip(w->text->text, w->offset);
    *ret_len = bytes.len;
    return bytes.len > 0 && bytes.len <= rest.len && memcmp(bytes.ptr, rest.ptr, bytes.len) == 0;
}

enum outcome { APART, ALONG, THROUGH };

// The node's tokens: APART at one that the text does not have, THROUGH where the text ends, at *ret_end.
static enum outcome look_along(struct walk *w, uint32_t *ret_end)
{
    const struct radix_node *node = &w->r->nodes[w->node];
    for (uint32_t i = 0; i < node->n_tokens; i++) {
        uint32_t pos = node->begin + i;
        int32_t token = tokens_of(w->r, w->node)[i];
        size_t len = 0;
        if (pos >= w->text->n_first && w->offset == w->text->text.len) {
            *ret_end = pos;
            return THROUGH;
        }
        if (pos < w->text->n_first ? token != w->text->first[pos] : !is_text_next(w, token, &len)) {
            return APART;
        }
        w->tokens[pos] = token;
        w->offset += len;
        *w->text->looks_left -= *w->text->looks_left > 0;
    }
    *ret_end = end_of(w->r, w->node);
    return w->offset == w->text->text.len && *ret_end >= w->text->n_first ? THROUGH : ALONG;
}

// Where an answer ended with a token that was not computed, and the text with it.
static bool ends_with_last(struct walk *w, uint32_t *end)
{
    const struct radix_node *node = &w->r->nodes[w->node];
    size_t len;
    if (!radix_held_is_known(node->last_logprob) || *end < w->text->n_first ||
        !is_text_next(w, node->last_token, &len) || w->offset + len != w->text->text.len) {
        return false;
    }
    w->tokens[(*end)++] = node->last_token;
    return true;
}

static size_t bytes_along(const struct walk *w, uint32_t node)
{
    size_t n = 0;
    for (uint32_t i = 0; i < w->r->nodes[node].n_tokens; i++) {
        if (w->r->nodes[node].begin + i >= w->text->n_first) {
            n += w->text->bytes(w->text->ctx, tokens_of(w->r, node)[i]).len;
        }
    }
    return n;
}

// To the next node that is not below this one. `begin` is where this one's tokens begin in the text.
static bool step_over(struct walk *w, size_t begin)
{
    while (!is_root(w->r, w->node) && w->r->nodes[w->node].next_sibling == 0) {
        w->node = parent_of(w->r, w->node);
        begin -= bytes_along(w, w->node);
    }
    if (is_root(w->r, w->node)) {
        return false;
    }
    w->node = w->r->nodes[w->node].next_sibling;
    w->offset = begin;
    return true;
}

static uint32_t count_known(const struct walk *w, uint32_t root, uint32_t n, float *held)
{
    uint32_t n_known = 0;
    radix_find_logprobs(w->r, root, w->tokens, n, held);
    for (uint32_t i = 0; i < n; i++) {
        n_known += radix_held_is_known(held[i]);
    }
    return n_known;
}

uint32_t radix_find_text(const struct radix *radix, uint32_t root, const struct radix_text *text, int32_t *scratch,
                         int32_t *ret_tokens, float *held)
{
    struct walk w = { radix, text, radix->nodes[root].first_child, 0, scratch };
    uint32_t n_best = 0, n_known_best = 0;
    bool goes_on = w.node != 0 && text->text.len > 0;
    while (goes_on && *text->looks_left > 0) {
        uint32_t end = 0;
        size_t begin = w.offset;
        enum outcome outcome = look_along(&w, &end);
        bool is_whole = outcome == THROUGH || (outcome == ALONG && ends_with_last(&w, &end));
        uint32_t n_known = is_whole ? count_known(&w, root, end, held) : 0;
        if (is_whole && (n_best == 0 || n_known > n_known_best)) {
            memcpy(ret_tokens, scratch, end * sizeof(*scratch));
            n_best = end;
            n_known_best = n_known;
        }
        if (outcome == ALONG && radix->nodes[w.node].first_child != 0) {
            w.node = radix->nodes[w.node].first_child;
        } else {
            goes_on = step_over(&w, begin);
        }
        *text->looks_left -= *text->looks_left > 0;
    }
    return n_best;
}
