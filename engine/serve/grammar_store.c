// A list by last use, short enough to be walked: the bound on bytes keeps it below a few hundred.
//
// Compiling happens outside of the lock. Two threads that compile the same rule at once both succeed; the second finds
// the first one's and drops its own.
#include "engine/serve/grammar_store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define MASKS_KEPT 128

void grammar_store_init(struct grammar_store *store, size_t n_bytes_max)
{
    *store = (struct grammar_store){ .n_bytes_max = n_bytes_max };
    pthread_mutex_init(&store->lock, NULL);
}

static void answer_grammar_free(struct answer_grammar *g)
{
    if (g) {
        token_masks_free(g->masks);
        automaton_free(g->automaton);
        grammar_free(g->grammar);
        free((char *)g->source.ptr);
        pthread_mutex_destroy(&g->lock);
        free(g);
    }
}

// ---- the list ------------------------------------------------------------------------------------------------------

static void link_newest(struct grammar_store *store, struct answer_grammar *g)
{
    g->newer = NULL;
    g->older = store->newest;
    *(store->newest ? &store->newest->newer : &store->oldest) = g;
    store->newest = g;
    store->n_bytes += g->n_bytes;
}

static void unlink_grammar(struct grammar_store *store, struct answer_grammar *g)
{
    *(g->newer ? &g->newer->older : &store->newest) = g->older;
    *(g->older ? &g->older->newer : &store->oldest) = g->newer;
    store->n_bytes -= g->n_bytes;
}

static struct answer_grammar *find(const struct grammar_store *store, const struct answer_rule *rule)
{
    for (struct answer_grammar *g = store->newest; g; g = g->older) {
        if (g->kind == rule->kind && g->flags == rule->flags && str_eq(g->source, rule->source)) {
            return g;
        }
    }
    return NULL;
}

static struct answer_grammar *hold(struct grammar_store *store, struct answer_grammar *g)
{
    unlink_grammar(store, g);
    link_newest(store, g);
    g->n_holders++;
    return g;
}

// Drops what nobody holds, the oldest first, until n_bytes more fit. False: they never will.
static bool make_room(struct grammar_store *store, size_t n_bytes)
{
    struct answer_grammar *g = store->oldest;
    while (g && store->n_bytes + n_bytes > store->n_bytes_max) {
        struct answer_grammar *newer = g->newer;
        if (g->n_holders == 0) {
            unlink_grammar(store, g);
            answer_grammar_free(g);
        }
        g = newer;
    }
    return store->n_bytes + n_bytes <= store->n_bytes_max;
}

void grammar_store_deinit(struct grammar_store *store)
{
    while (store->newest) {
        struct answer_grammar *g = store->newest;
        assert(g->n_holders == 0);
        unlink_grammar(store, g);
        answer_grammar_free(g);
    }
    if (store->has_trie) {
        token_trie_deinit(&store->trie);
    }
    pthread_mutex_destroy(&store->lock);
}

// ---- making --------------------------------------------------------------------------------------------------------

static int make_trie(struct grammar_store *store)
{
    int rc = 0;
    pthread_mutex_lock(&store->lock);
    if (!store->has_trie) {
        rc = token_trie_init_from_tokenizer(&store->trie, store->tok);
        store->has_trie = rc == 0;
    }
    pthread_mutex_unlock(&store->lock);
    return rc;
}

static int make(struct grammar_store *store, const struct answer_rule *rule, struct answer_grammar **ret,
                struct err *err)
{
    struct answer_grammar *g = calloc(1, sizeof(*g));
    char *source = str_dup(rule->source);
    if (!g || !source || make_trie(store) < 0) {
        free(g);
        free(source);
        return err_set(err, -ENOMEM, "out of memory for a grammar");
    }
    pthread_mutex_init(&g->lock, NULL);
    g->tok = store->tok;
    g->trie = &store->trie;
    g->kind = rule->kind;
    g->flags = rule->flags;
    g->source = (struct str){ source, rule->source.len };
    int rc = answer_rule_compile(rule, &g->grammar, err);
    if (rc == 0 && (automaton_new(grammar_nfa(g->grammar), &g->automaton) < 0 ||
                    token_masks_new(g->automaton, g->trie, MASKS_KEPT, &g->masks) < 0 ||
                    token_masks_cut_forced(g->masks, g->tok) < 0)) {
        rc = err_set(err, -ENOMEM, "out of memory for a grammar");
    }
    if (rc == 0 && !token_masks_try(g->masks, g->tok)) {
        rc =
            err_set_param(err, -E2BIG, rule->where, "%s: too much may be meant at once by what it allows", rule->where);
    }
    if (rc == -E2BIG) { // which says of a request that its prompt is too long
        rc = -EOPNOTSUPP;
        if (err) {
            err->code = rc;
        }
    }
    if (rc < 0) {
        answer_grammar_free(g);
        return rc;
    }
    g->n_bytes = sizeof(*g) + rule->source.len + automaton_bytes(grammar_nfa(g->grammar)) +
                 token_masks_bytes(g->trie, MASKS_KEPT);
    *ret = g;
    return 0;
}

int grammar_store_take(struct grammar_store *store, const struct answer_rule *rule, struct answer_grammar **ret,
                       struct err *err)
{
    struct answer_grammar *made = NULL;
    int rc = 0;
    pthread_mutex_lock(&store->lock);
    struct answer_grammar *found = find(store, rule);
    found = found ? hold(store, found) : NULL;
    pthread_mutex_unlock(&store->lock);
    if (!found) {
        rc = make(store, rule, &made, err);
    }
    if (made) {
        pthread_mutex_lock(&store->lock);
        found = find(store, rule);
        if (found) {
            hold(store, found);
        } else if (make_room(store, made->n_bytes)) {
            link_newest(store, made);
            made->n_holders = 1;
            found = made;
            made = NULL;
        }
        pthread_mutex_unlock(&store->lock);
        answer_grammar_free(made);
        rc = found ? 0 : err_set_param(err, -EAGAIN, rule->where, "too many different grammars are in use; try again");
    }
    if (rc == 0) {
        *ret = found;
    }
    return rc;
}

void grammar_store_give(struct grammar_store *store, struct answer_grammar *grammar)
{
    pthread_mutex_lock(&store->lock);
    assert(grammar->n_holders > 0);
    grammar->n_holders--;
    pthread_mutex_unlock(&store->lock);
}
