// The vocabulary as a trie of bytes, made once for a tokenizer; immutable.
//
// A special token stands as a byte that no text has and then its written form: a grammar that wants one says so, and
// text does not become one.
#ifndef TOKFS_TEXT_GRAMMAR_TOKEN_TRIE_H
#define TOKFS_TEXT_GRAMMAR_TOKEN_TRIE_H

#include "engine/base/str.h"
#include "engine/text/grammar/nfa.h"

struct tokenizer;

// Nodes in preorder: the subtree of node i is i..skip - 1.
struct token_trie_node {
    uint32_t skip;
    uint32_t first_token; // its tokens are tokens[first_token] up to the next node's
    uint16_t depth;       // bytes, from 1
    uint8_t byte;
    uint8_t plain;  // all tokens of the subtree are of so many plain characters (nfa_node.plain) or fewer; 255: not all
    uint16_t kinds; // of the bytes below it: a bit for each (token_trie_kind)
};

// Bytes that grammars like to allow together.
#define TOKEN_TRIE_KINDS 12
uint8_t token_trie_kind(uint8_t byte);

struct token_trie {
    struct token_trie_node *nodes; // [n_nodes + 1], the last one closes the token list
    uint32_t n_nodes;
    uint32_t *tokens; // [n_tokens] ids in the order of their bytes
    uint32_t n_tokens;
    size_t n_vocab, n_words; // of a mask: 64 tokens each
    uint64_t *plain_masks;   // [NFA_PLAIN_MAX + 1][n_words] tokens of so many plain characters or fewer
    uint16_t depth_max;
};

#define TOKEN_TRIE_DEPTH_MAX 256 // longer tokens are left out
#define TOKEN_TRIE_SPECIAL   '\xff'

// From the bytes of tokens; an empty one is left out. 0 or -ENOMEM.
int token_trie_init(struct token_trie *trie, const struct str *tokens, size_t n_vocab);
int token_trie_init_from_tokenizer(struct token_trie *trie, const struct tokenizer *tok);
void token_trie_deinit(struct token_trie *trie);
// A token's bytes as the trie has them: borrowed from the tokenizer, or in buf[TOKEN_TRIE_DEPTH_MAX].
struct str token_trie_bytes(const struct tokenizer *tok, int32_t id, char *buf);

#endif
