// The grammars of answers, compiled once and shared by all requests that demand the same.
//
// Text threads look up and compile; the completion holds its grammar until it is freed, by any thread. What nobody
// holds stays for the next request, until its memory is wanted. Memory is bounded: beyond the bound the oldest that
// nobody holds is dropped, and when all are held a new one is refused.
#ifndef TOKFS_SERVE_GRAMMAR_STORE_H
#define TOKFS_SERVE_GRAMMAR_STORE_H

#include "engine/text/answer_rule.h"
#include "engine/text/grammar/token_mask.h"
#include "engine/text/tokenizer.h"
#include <pthread.h>

#define GRAMMAR_STORE_BYTES_MAX ((size_t)1 << 30) // of addresses: most of an automaton's tables are never touched

// One grammar as it runs. The automaton grows while answers walk through it: whoever uses it or its masks holds the
// lock.
struct answer_grammar {
    pthread_mutex_t lock;
    struct automaton *automaton;
    struct token_masks *masks;
    const struct tokenizer *tok;
    const struct token_trie *trie;
    // The store's.
    struct grammar *grammar;
    enum answer_rule_kind kind;
    unsigned flags;
    struct str source; // owned
    size_t n_bytes;
    size_t n_holders;
    struct answer_grammar *newer, *older;
};

struct grammar_store {
    pthread_mutex_t lock; // of all below; held for a few loads and stores, but for the first grammar's trie
    const struct tokenizer *tok;
    struct token_trie trie; // once has_trie; constant then
    bool has_trie;
    struct answer_grammar *newest, *oldest; // by last use
    size_t n_bytes, n_bytes_max;
};

void grammar_store_init(struct grammar_store *store, size_t n_bytes_max); // its owner sets `tok` before it is used
void grammar_store_deinit(struct grammar_store *store);                   // asserts that nobody holds any
// Holds the grammar of a rule, compiling it if need be. Errors of answer_rule_compile, and -EAGAIN: too many different
// ones are in use.
int grammar_store_take(struct grammar_store *store, const struct answer_rule *rule, struct answer_grammar **ret,
                       struct err *err);
void grammar_store_give(struct grammar_store *store, struct answer_grammar *grammar);

#endif
