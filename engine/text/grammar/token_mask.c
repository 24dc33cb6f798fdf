// A mask is a walk over the trie with the automaton, which leaves a subtree where the automaton dies.
//
// Inside strings nothing dies and the walk would be the whole vocabulary. There the state knows how many plain
// characters may follow at the least; the tokens of so many are set together, and subtrees of nothing else are left
// out. Where a state loops, as within [a-z]+, subtrees of bytes that leave it as it is are set without being walked.
//
// Forced bytes may be cut into tokens in many ways. What others do is to take the longest token at each place, or to
// leave it to the model. Here the tokenizer itself cuts them, and only as far as no token of the vocabulary could join
// them with what follows them, which is the model's to say. That is a rule of the mask, not of those who skip forward
// passes: it holds whether anything is skipped or not.
#include "engine/text/grammar/token_mask.h"
#include "engine/base/pages.h"
#include "engine/base/utf8.h"
#include "engine/text/tokenizer.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct kept {
    uint32_t state; // AUTOMATON_DEAD: unused
    int32_t only;   // its only token, or -1
    uint64_t used;  // when last
};

// Kinds of bytes that leave a state as it is: what of the vocabulary consists of them need not be walked.
struct loops {
    uint32_t state; // AUTOMATON_DEAD: unused
    uint16_t kinds;
};

#define N_LOOPS 16 // a power of two

struct token_masks {
    struct automaton *a;
    const struct token_trie *trie;
    uint32_t generation;
    uint64_t n_calls;
    uint64_t n_work; // of the last walk
    size_t n_kept;
    struct kept *kept;               // [n_kept]
    uint64_t *bits;                  // [n_kept][trie->n_words]
    struct loops loops[N_LOOPS];     // by state, of one walk
    uint32_t *path;                  // [trie->depth_max + 1] states by depth
    struct tokenizer_cutter *cutter; // NULL: any tokens may make up bytes that are forced
};

int token_masks_new(struct automaton *a, const struct token_trie *trie, size_t n_kept_max, struct token_masks **ret)
{
    assert(n_kept_max > 0);
    struct token_masks *masks = calloc(1, sizeof(*masks));
    if (!masks) {
        return -ENOMEM;
    }
    *masks = (struct token_masks){ .a = a, .trie = trie, .n_kept = n_kept_max };
    masks->kept = calloc(n_kept_max, sizeof(*masks->kept));
    masks->bits = pages_new(n_kept_max * (trie->n_words + 1), sizeof(uint64_t));
    masks->path = calloc(trie->depth_max + 1u, sizeof(uint32_t));
    if (!masks->kept || !masks->bits || !masks->path) {
        token_masks_free(masks);
        return -ENOMEM;
    }
    *ret = masks;
    return 0;
}

void token_masks_free(struct token_masks *masks)
{
    if (masks) {
        free(masks->kept);
        pages_free(masks->bits, masks->n_kept * (masks->trie->n_words + 1), sizeof(uint64_t));
        free(masks->path);
        tokenizer_cutter_free(masks->cutter);
        free(masks);
    }
}

int token_masks_cut_forced(struct token_masks *masks, const struct tokenizer *tok)
{
    assert(!masks->cutter);
    return tokenizer_cutter_new(tok, &masks->cutter);
}

// The tokens of the nodes from..to - 1.
static void set_tokens(const struct token_trie *trie, uint32_t from, uint32_t to, uint64_t *bits)
{
    for (uint32_t i = trie->nodes[from].first_token; i < trie->nodes[to].first_token; i++) {
        bits[trie->tokens[i] / 64] |= UINT64_C(1) << trie->tokens[i] % 64;
    }
}

// The state after the node's byte. When states are forgotten those on the path are held.
static uint32_t next_state(struct token_masks *masks, const struct token_trie_node *node)
{
    uint8_t class = automaton_nfa(masks->a)->class_of[node->byte];
    uint32_t next = automaton_next(masks->a, masks->path[node->depth - 1], class);
    if (next == AUTOMATON_FULL) {
        automaton_collect(masks->a, masks->path, node->depth);
        memset(masks->loops, 0, sizeof(masks->loops));
        next = automaton_next(masks->a, masks->path[node->depth - 1], class);
    }
    return next == AUTOMATON_FULL ? AUTOMATON_DEAD : next;
}

// The kinds of which every byte leads from the state to itself; where there is no room to tell, it does not.
static uint16_t find_loops(struct token_masks *masks, uint32_t state)
{
    const struct nfa *nfa = automaton_nfa(masks->a);
    uint16_t kinds = (uint16_t)((1u << TOKEN_TRIE_KINDS) - 1);
    for (unsigned byte = 0; byte < 256; byte++) {
        uint16_t kind = (uint16_t)(1u << token_trie_kind((uint8_t)byte));
        if ((kinds & kind) && automaton_next(masks->a, state, nfa->class_of[byte]) != state) {
            kinds &= (uint16_t)~kind;
        }
    }
    return kinds;
}

static uint16_t loops_of(struct token_masks *masks, uint32_t state)
{
    struct loops *loops = &masks->loops[state % N_LOOPS];
    if (loops->state != state) {
        *loops = (struct loops){ state, find_loops(masks, state) };
    }
    return loops->kinds;
}

static void walk(struct token_masks *masks, uint64_t *bits)
{
    const struct token_trie *trie = masks->trie;
    uint8_t plain = automaton_plain(masks->a, masks->path[0]);
    uint64_t begin = automaton_work(masks->a), n_visited = 0;
    memset(masks->loops, 0, sizeof(masks->loops));
    memcpy(bits, trie->plain_masks + plain * trie->n_words, trie->n_words * sizeof(uint64_t));
    for (uint32_t i = 0; i < trie->n_nodes;) {
        const struct token_trie_node *node = &trie->nodes[i];
        masks->n_work = automaton_work(masks->a) - begin + n_visited++;
        if (masks->n_work > TOKEN_MASK_WORK_MAX) {
            memset(bits, 0, trie->n_words * sizeof(*bits));
            return;
        }
        uint32_t state = node->plain <= plain ? AUTOMATON_DEAD : next_state(masks, node);
        if (state == AUTOMATON_DEAD) {
            i = node->skip;
            continue;
        }
        // What is plain as a whole has no more such characters left than that; what leaves the state as it is is well.
        bool is_loop = state == masks->path[node->depth - 1];
        bool is_whole = node->plain <= automaton_plain(masks->a, state) ||
                        (is_loop && (node->kinds & ~loops_of(masks, state)) == 0);
        uint32_t end = is_whole ? node->skip : i + 1;
        masks->path[node->depth] = state;
        set_tokens(trie, i, end, bits);
        i = end;
    }
}

// ---- forced bytes --------------------------------------------------------------------------------------------------

// Whether some token begins with all of the bytes and goes on.
static bool may_run_past(const struct token_trie *trie, struct str bytes)
{
    uint32_t at = 0, end = trie->n_nodes;
    for (size_t i = 0; i < bytes.len; i++) {
        while (at < end && trie->nodes[at].byte != (uint8_t)bytes.ptr[i]) {
            at = trie->nodes[at].skip;
        }
        if (at == end) {
            return false;
        }
        end = trie->nodes[at].skip;
        at++;
    }
    return at < end;
}

// The bytes up to the last whole character.
static struct str whole_characters(struct str bytes)
{
    return str_take(bytes, utf8_valid_len(bytes));
}

static void cut_forced(struct token_masks *masks, const struct automaton_cursor *cursor, uint64_t *bits)
{
    const struct token_trie *trie = masks->trie;
    char forced[TOKENIZER_CUT_BYTES_MAX];
    size_t n = automaton_forced(masks->a, cursor, sizeof(forced), forced);
    struct str bytes = whole_characters((struct str){ forced, n });
    if (bytes.len == 0 || may_run_past(trie, bytes)) {
        return;
    }
    int32_t id = tokenizer_cut_first(masks->cutter, bytes);
    if (id >= 0 && (size_t)id < trie->n_vocab && bits[id / 64] >> id % 64 & 1) {
        memset(bits, 0, trie->n_words * sizeof(*bits));
        bits[id / 64] = UINT64_C(1) << id % 64;
    }
}

static size_t oldest(const struct token_masks *masks)
{
    size_t found = 0;
    for (size_t i = 1; i < masks->n_kept; i++) {
        found = masks->kept[i].used < masks->kept[found].used ? i : found;
    }
    return found;
}

static int32_t find_only(const uint64_t *bits, size_t n_words)
{
    int32_t only = -1;
    for (size_t i = 0; i < n_words; i++) {
        if (bits[i] != 0) {
            if (only >= 0 || (bits[i] & (bits[i] - 1)) != 0) {
                return -1;
            }
            only = (int32_t)(64 * i) + __builtin_ctzll(bits[i]);
        }
    }
    return only;
}

// The place where the mask of the cursor's state is kept now.
static size_t look_up(struct token_masks *masks, const struct automaton_cursor *cursor)
{
    size_t at = 0, n_words = masks->trie->n_words;
    if (masks->generation != automaton_generation(masks->a)) {
        memset(masks->kept, 0, masks->n_kept * sizeof(*masks->kept));
        masks->generation = automaton_generation(masks->a);
    }
    masks->n_calls++;
    while (at < masks->n_kept && (cursor->state == AUTOMATON_DEAD || masks->kept[at].state != cursor->state)) {
        at++;
    }
    if (at == masks->n_kept) {
        uint64_t *bits = masks->bits + (at = oldest(masks)) * n_words;
        masks->path[0] = cursor->state;
        walk(masks, bits);
        if (masks->cutter) {
            cut_forced(masks, cursor, bits);
        }
        masks->kept[at].only = find_only(bits, n_words);
    }
    // Should the walk have forgotten states, the next call drops all masks, this one too.
    masks->kept[at].state = cursor->state;
    masks->kept[at].used = masks->n_calls;
    return at;
}

const uint64_t *token_masks_get(struct token_masks *masks, const struct automaton_cursor *cursor)
{
    return masks->bits + look_up(masks, cursor) * masks->trie->n_words;
}

int32_t token_masks_only(struct token_masks *masks, const struct automaton_cursor *cursor)
{
    return masks->kept[look_up(masks, cursor)].only;
}

#define TRIED_MASKS 24

// An allowed token, -1 when there is none.
static int32_t pick(const uint64_t *bits, const struct token_trie *trie, uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    for (size_t i = 0, at = (*random >> 33) % trie->n_tokens; i < trie->n_tokens; i++, at++) {
        uint32_t id = trie->tokens[at < trie->n_tokens ? at : at - trie->n_tokens];
        if (bits[id / 64] >> id % 64 & 1) {
            return (int32_t)id;
        }
    }
    return -1;
}

bool token_masks_try(struct token_masks *masks, const struct tokenizer *tok)
{
    struct automaton_cursor cursor;
    char buf[TOKEN_TRIE_DEPTH_MAX];
    uint64_t random = 1;
    bool is_good = masks->trie->n_tokens > 0;
    automaton_cursor_init(masks->a, &cursor);
    for (int i = 0; i < TRIED_MASKS && is_good; i++) {
        masks->n_work = 0;
        int32_t id = pick(token_masks_get(masks, &cursor), masks->trie, &random);
        is_good = masks->n_work <= TOKEN_MASK_WORK_MAX / 8;
        if (id < 0 || !automaton_cursor_advance(masks->a, &cursor, token_trie_bytes(tok, id, buf))) {
            automaton_cursor_deinit(&cursor); // the end of a text
            automaton_cursor_init(masks->a, &cursor);
        }
    }
    automaton_cursor_deinit(&cursor);
    return is_good;
}

size_t token_masks_bytes(const struct token_trie *trie, size_t n_kept_max)
{
    return n_kept_max * (sizeof(struct kept) + (trie->n_words + 1) * sizeof(uint64_t)) + sizeof(struct token_masks);
}
