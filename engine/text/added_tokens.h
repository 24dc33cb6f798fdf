// Added tokens: texts that are cut out before anything else looks at the text, each with an id of its own.
#ifndef TOKFS_TEXT_ADDED_TOKENS_H
#define TOKFS_TEXT_ADDED_TOKENS_H

#include "engine/base/json.h"
#include "engine/text/bpe.h"
#include "engine/text/normalizer.h"

struct added_token {
    struct str content; // as written in the file; owned
    struct str form;    // what is searched for and what decoders see: the content, normalised if `normalized`; owned
    uint32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
    bool is_skippable; // its form is the content of a special token, whether its own or another's
};

struct added_trie {
    struct added_trie_node {
        int32_t first_child, next_sibling; // 0: none
        int32_t token;                     // index, -1: no token ends here
        uint8_t byte;
    } * nodes; // nodes[0] is the root
    size_t n_nodes;
    int32_t first[256]; // node of each first byte, 0: none
    int only_first;     // the only first byte, -1 when there are several
};

struct added_tokens {
    struct added_token *tokens;
    size_t n_tokens;
    struct added_trie plain;           // tokens that are searched for in the text as given
    struct added_trie normalized;      // tokens that are searched for in normalised text
    const struct unicode_table *table; // outlives this
};

// From the "added_tokens" member of tokenizer.json and the tokens that a tokenizer_config.json names; either may be
// NULL. A token's id is the model's when its vocabulary has it, else the next free one; a file that says otherwise is
// refused. Errors as tokenizer_from_json.
int added_tokens_init(struct added_tokens *added, const struct json *spec, const struct json *config,
                      const struct bpe *bpe, const struct normalizer *norm, struct normalizer_scratch *scratch,
                      const struct unicode_table *table, struct err *err);
void added_tokens_deinit(struct added_tokens *added);

// A stretch of text: an added token, or text between them.
struct added_split {
    size_t start, end;
    const struct added_token *token; // NULL: text
};

// Walks over a text from left to right: the leftmost match counts, the longest of those that begin there.
struct added_iter {
    const struct added_tokens *added;
    const struct added_trie *trie;
    struct str text;
    bool skip_special;          // special tokens are plain text
    size_t from;                // private: where the search goes on
    size_t done;                // private: end of the last stretch
    struct added_split pending; // private: a token whose preceding text was returned first
};
bool added_iter_next(struct added_iter *iter, struct added_split *ret); // false at the end

#endif
