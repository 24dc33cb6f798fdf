// Merging by score: of all neighbours that are a token together, the pair with the best score is merged, the leftmost
// one of equals, until no neighbours are a token. A character that is no token in the end becomes its bytes' tokens.
//
// The pairs wait in a heap; symbols are a linked list over the piece. A pair whose symbols have changed since is
// recognised by its length when it is taken from the heap. O(n log n).
#include "engine/text/spm.h"

#include "engine/text/codepoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SPM_NONE UINT32_MAX

// ---- the heap of pairs ---------------------------------------------------------------------------------------------

// Bits that order as descending floats do.
static uint32_t descending(float score)
{
    uint32_t bits;
    score += 0.0f; // -0 and 0 are equal
    memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}

static void heap_push(struct spm_scratch *s, struct spm_pair pair)
{
    size_t i = s->heap_len++;
    for (; i > 0 && pair.order < s->heap[(i - 1) / 2].order; i = (i - 1) / 2) {
        s->heap[i] = s->heap[(i - 1) / 2];
    }
    s->heap[i] = pair;
}

static struct spm_pair heap_pop(struct spm_scratch *s)
{
    struct spm_pair top = s->heap[0], last = s->heap[--s->heap_len];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < s->heap_len; i = child) {
        if (child + 1 < s->heap_len && s->heap[child + 1].order < s->heap[child].order) {
            child++;
        }
        if (last.order <= s->heap[child].order) {
            break;
        }
        s->heap[i] = s->heap[child];
    }
    s->heap[i] = last;
    return top;
}

// The heap has room: a pair for each two neighbours at first, two more for each merge.
static void push_pair(const struct spm *spm, struct spm_scratch *s, struct str piece, uint32_t left)
{
    uint32_t right = left == SPM_NONE ? SPM_NONE : s->symbols[left].next;
    if (right == SPM_NONE) {
        return;
    }
    uint32_t len = s->symbols[left].len + s->symbols[right].len;
    int32_t id = vocab_map_find(spm->vocab, (struct str){ piece.ptr + s->symbols[left].at, len });
    if (id >= 0) {
        heap_push(s, (struct spm_pair){ (uint64_t)descending(spm->scores[id]) << 32 | left, len, id });
    }
}

// ---- encoding ------------------------------------------------------------------------------------------------------

// Room for n symbols and their pairs.
static int reserve(struct spm_scratch *s, size_t n)
{
    if (n >= SPM_NONE) {
        return -ENOMEM;
    }
    if (n > s->symbols_cap) {
        struct spm_symbol *symbols = reallocarray(s->symbols, n, sizeof *symbols);
        if (!symbols) {
            return -ENOMEM;
        }
        s->symbols = symbols;
        s->symbols_cap = n;
    }
    if (3 * n > s->heap_cap) {
        struct spm_pair *heap = reallocarray(s->heap, 3 * n, sizeof *heap);
        if (!heap) {
            return -ENOMEM;
        }
        s->heap = heap;
        s->heap_cap = 3 * n;
    }
    return 0;
}

static void split_characters(const struct spm *spm, struct spm_scratch *s, struct str piece)
{
    s->n_symbols = s->heap_len = 0;
    for (size_t at = 0, n; at < piece.len; at += n) {
        n = codepoint_len((uint8_t)piece.ptr[at]);
        uint32_t i = (uint32_t)s->n_symbols++;
        int32_t id = vocab_map_find(spm->vocab, (struct str){ piece.ptr + at, n });
        s->symbols[i] = (struct spm_symbol){ (uint32_t)at, (uint32_t)n, i ? i - 1 : SPM_NONE,
                                             at + n < piece.len ? i + 1 : SPM_NONE, id };
    }
    for (uint32_t i = 0; i < s->n_symbols; i++) {
        push_pair(spm, s, piece, i);
    }
}

static void merge_pairs(const struct spm *spm, struct spm_scratch *s, struct str piece)
{
    while (s->heap_len > 0) {
        struct spm_pair pair = heap_pop(s);
        struct spm_symbol *left = &s->symbols[(uint32_t)pair.order];
        if (left->len == 0 || left->next == SPM_NONE || left->len + s->symbols[left->next].len != pair.len) {
            continue;
        }
        struct spm_symbol *right = &s->symbols[left->next];
        left->len = pair.len;
        left->id = pair.id;
        left->next = right->next;
        right->len = 0;
        if (left->next != SPM_NONE) {
            s->symbols[left->next].prev = (uint32_t)pair.order;
        }
        push_pair(spm, s, piece, left->prev);
        push_pair(spm, s, piece, (uint32_t)pair.order);
    }
}

static int append_bytes(const struct spm *spm, struct str c, struct token_ids *out)
{
    int r = 0;
    for (size_t i = 0; i < c.len; i++) {
        if (spm->byte_ids[(uint8_t)c.ptr[i]] < 0) {
            return spm->unk_id >= 0 ? token_ids_append(out, spm->unk_id) : 0;
        }
    }
    for (size_t i = 0; i < c.len && r == 0; i++) {
        r = token_ids_append(out, spm->byte_ids[(uint8_t)c.ptr[i]]);
    }
    return r;
}

int spm_encode(const struct spm *spm, struct spm_scratch *scratch, struct str piece, struct token_ids *out)
{
    int r = reserve(scratch, piece.len);
    if (r < 0 || piece.len == 0) {
        return r;
    }
    split_characters(spm, scratch, piece);
    merge_pairs(spm, scratch, piece);
    for (uint32_t i = 0; i != SPM_NONE && r == 0; i = scratch->symbols[i].next) {
        const struct spm_symbol *symbol = &scratch->symbols[i];
        r = symbol->id >= 0 ? token_ids_append(out, symbol->id)
                            : append_bytes(spm, (struct str){ piece.ptr + symbol->at, symbol->len }, out);
    }
    return r;
}

void spm_scratch_deinit(struct spm_scratch *scratch)
{
    free(scratch->symbols);
    free(scratch->heap);
    *scratch = (struct spm_scratch){ 0 };
}

void spm_deinit(struct spm *spm)
{
    free(spm->scores);
    *spm = (struct spm){ 0 };
}
