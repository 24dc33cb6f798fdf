// Sorting the tokens by their bytes puts the trie's nodes in preorder: each token adds those of its bytes that it does
// not share with the one before.
#include "engine/text/grammar/token_trie.h"
#include "engine/base/utf8.h"
#include "engine/text/tokenizer.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NOT_PLAIN 255

struct entry {
    struct str bytes;
    uint32_t id;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    size_t n = x->bytes.len < y->bytes.len ? x->bytes.len : y->bytes.len;
    int order = memcmp(x->bytes.ptr, y->bytes.ptr, n);
    if (order == 0) {
        order = (x->bytes.len > y->bytes.len) - (x->bytes.len < y->bytes.len);
    }
    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

uint8_t token_trie_kind(uint8_t byte)
{
    static const char alone[] = " _-.";
    const char *at = byte != 0 ? strchr(alone, byte) : NULL;
    if (at) {
        return (uint8_t)(at - alone);
    }
    if (byte >= '0' && byte <= '9') {
        return 4;
    }
    if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') {
        uint8_t is_small = byte >> 5 & 1, is_hex = (byte | 0x20) <= 'f';
        return (uint8_t)(5 + 2 * is_small + is_hex);
    }
    return byte >= 0x80 ? 9 : byte < 0x20 || byte == '"' || byte == '\\' ? 10 : 11;
}

// How many characters, all of them plain (nfa.h); NOT_PLAIN when one does not, or is cut, or
// there are more than NFA_PLAIN_MAX.
static uint8_t count_plain(struct str bytes)
{
    uint8_t n = 0;
    while (bytes.len > 0) {
        uint32_t c;
        size_t len = utf8_decode(bytes, &c);
        bool is_plain = c >= 0x20 && c != '"' && c != '\\' && c != 0x2028 && c != 0x2029;
        if (len == 0 || !is_plain || n == NFA_PLAIN_MAX) {
            return NOT_PLAIN;
        }
        bytes = str_skip(bytes, len);
        n++;
    }
    return n;
}

static size_t gather(struct entry *entries, const struct str *tokens, size_t n_vocab, size_t *ret_n_bytes)
{
    size_t n = 0, n_bytes = 0;
    for (size_t id = 0; id < n_vocab; id++) {
        if (tokens[id].len > 0 && tokens[id].len <= TOKEN_TRIE_DEPTH_MAX) {
            entries[n++] = (struct entry){ tokens[id], (uint32_t)id };
            n_bytes += tokens[id].len;
        }
    }
    qsort(entries, n, sizeof(*entries), compare_entries);
    *ret_n_bytes = n_bytes;
    return n;
}

static bool allocate(struct token_trie *trie, size_t n_tokens, size_t n_bytes)
{
    trie->nodes = calloc(n_bytes + 1, sizeof(*trie->nodes));
    trie->tokens = calloc(n_tokens + 1, sizeof(*trie->tokens));
    trie->plain_masks = calloc((NFA_PLAIN_MAX + 1) * (trie->n_words + 1), sizeof(uint64_t));
    return trie->nodes && trie->tokens && trie->plain_masks;
}

static void add_plain(struct token_trie *trie, uint32_t id, uint8_t n_chars)
{
    for (size_t k = n_chars; k <= NFA_PLAIN_MAX; k++) {
        trie->plain_masks[k * trie->n_words + id / 64] |= UINT64_C(1) << id % 64;
    }
}

// Closes the nodes that are deeper than `depth`: their subtrees end here.
static void close_nodes(struct token_trie *trie, const uint32_t *path, size_t from, size_t depth)
{
    for (size_t d = from; d > depth; d--) {
        struct token_trie_node *node = &trie->nodes[path[d]];
        node->skip = trie->n_nodes;
        if (d > 1) {
            struct token_trie_node *above = &trie->nodes[path[d - 1]];
            above->plain = node->plain > above->plain ? node->plain : above->plain;
            above->kinds |= (uint16_t)(node->kinds | 1u << token_trie_kind(node->byte));
        }
    }
}

static void build(struct token_trie *trie, const struct entry *entries, size_t n)
{
    uint32_t path[TOKEN_TRIE_DEPTH_MAX + 1]; // nodes of the last token, by depth
    size_t depth = 0;
    for (size_t i = 0; i < n; i++) {
        struct str bytes = entries[i].bytes;
        size_t same = 0;
        while (same < depth && same < bytes.len && trie->nodes[path[same + 1]].byte == (uint8_t)bytes.ptr[same]) {
            same++;
        }
        close_nodes(trie, path, depth, same);
        for (depth = same; depth < bytes.len; depth++) {
            path[depth + 1] = trie->n_nodes;
            trie->nodes[trie->n_nodes++] = (struct token_trie_node){ .first_token = trie->n_tokens,
                                                                     .depth = (uint16_t)(depth + 1),
                                                                     .byte = (uint8_t)bytes.ptr[depth] };
        }
        uint8_t plain = count_plain(bytes);
        struct token_trie_node *node = &trie->nodes[path[depth]];
        node->plain = plain > node->plain ? plain : node->plain;
        if (plain != NOT_PLAIN) {
            add_plain(trie, entries[i].id, plain);
        }
        trie->tokens[trie->n_tokens++] = entries[i].id;
        trie->depth_max = depth > trie->depth_max ? (uint16_t)depth : trie->depth_max;
    }
    close_nodes(trie, path, depth, 0);
    trie->nodes[trie->n_nodes].first_token = trie->n_tokens;
}

int token_trie_init(struct token_trie *trie, const struct str *tokens, size_t n_vocab)
{
    *trie = (struct token_trie){ .n_vocab = n_vocab, .n_words = (n_vocab + 63) / 64 };
    struct entry *entries = calloc(n_vocab + 1, sizeof(*entries));
    size_t n_bytes = 0, n = entries ? gather(entries, tokens, n_vocab, &n_bytes) : 0;
    if (!entries || !allocate(trie, n, n_bytes)) {
        free(entries);
        token_trie_deinit(trie);
        return -ENOMEM;
    }
    build(trie, entries, n);
    free(entries);
    struct token_trie_node *fitted = realloc(trie->nodes, (trie->n_nodes + 1) * sizeof(*fitted));
    trie->nodes = fitted ? fitted : trie->nodes;
    return 0;
}

struct str token_trie_bytes(const struct tokenizer *tok, int32_t id, char *buf)
{
    struct str bytes = tokenizer_token_bytes(tok, id);
    if (!tokenizer_is_special(tok, id)) {
        return bytes;
    }
    if (bytes.len >= TOKEN_TRIE_DEPTH_MAX) {
        return (struct str){ 0 };
    }
    buf[0] = TOKEN_TRIE_SPECIAL;
    memcpy(buf + 1, bytes.ptr, bytes.len);
    return (struct str){ buf, bytes.len + 1 };
}

int token_trie_init_from_tokenizer(struct token_trie *trie, const struct tokenizer *tok)
{
    size_t n_vocab = tokenizer_n_vocab(tok), n_special = 0;
    for (size_t id = 0; id < n_vocab; id++) {
        n_special += tokenizer_is_special(tok, (int32_t)id);
    }
    struct str *tokens = calloc(n_vocab + 1, sizeof(*tokens));
    char(*special)[TOKEN_TRIE_DEPTH_MAX] = calloc(n_special + 1, sizeof(*special));
    int rc = -ENOMEM;
    if (tokens && special) {
        n_special = 0;
        for (size_t id = 0; id < n_vocab; id++) {
            tokens[id] = token_trie_bytes(tok, (int32_t)id, special[n_special]);
            n_special += tokenizer_is_special(tok, (int32_t)id);
        }
        rc = token_trie_init(trie, tokens, n_vocab);
    }
    free(tokens);
    free(special);
    return rc;
}

void token_trie_deinit(struct token_trie *trie)
{
    free(trie->nodes);
    free(trie->tokens);
    free(trie->plain_masks);
    *trie = (struct token_trie){ 0 };
}
