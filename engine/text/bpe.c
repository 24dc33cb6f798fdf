// Merging: a piece becomes a list of first symbols (one per character), then the adjacent pair of the lowest rank is
// merged, the leftmost one first, until no pair has a merge.
//
// Two ways to the same result: up to SHORT_MAX symbols, arrays that are scanned for their minimum; beyond, bpe_long.c.
// Before merging, a piece that is a token as a whole is looked up: right away with ignore_merges, otherwise
// when merging that very text gives the token, which is found out once per token and remembered (is_whole; every writer
// stores the same value). Before all that, short pieces are looked for among those of late (bpe_cache.c).
#include "engine/text/bpe.h"

#include "engine/text/byte_level.h"
#include "engine/text/codepoint.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_MAX 32
#define NO_RANK   UINT32_MAX

static inline uint32_t pair_rank(const struct bpe *bpe, uint32_t left, uint32_t right)
{
    const struct bpe_merge *m = bpe_find_merge(bpe, left, right);
    return m ? m->rank : NO_RANK;
}

// ---- merging a short piece ----------------------------------------------------------------------------------------

// Merges ids[0..n) in place; returns how many are left.
static size_t merge_short(const struct bpe *bpe, uint32_t *ids, size_t n)
{
    uint32_t ranks[SHORT_MAX]; // of the pair that begins at the same index
    for (size_t i = 0; i + 1 < n; i++) {
        ranks[i] = pair_rank(bpe, ids[i], ids[i + 1]);
    }
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++) {
            best = ranks[i] < ranks[best] ? i : best;
        }
        if (ranks[best] == NO_RANK) {
            break;
        }
        ids[best] = bpe->new_id_of_rank[ranks[best]];
        n--;
        for (size_t i = best + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            ranks[i - 1] = ranks[i];
        }
        if (best > 0) {
            ranks[best - 1] = pair_rank(bpe, ids[best - 1], ids[best]);
        }
        if (best + 1 < n) {
            ranks[best] = pair_rank(bpe, ids[best], ids[best + 1]);
        }
    }
    return n;
}

// ---- first symbols ------------------------------------------------------------------------------------------------

static int push_symbol(struct bpe_scratch *s, int32_t id)
{
    if (s->n_symbols == s->symbols_cap) {
        size_t cap = s->symbols_cap ? 2 * s->symbols_cap : 256;
        if (cap >= BPE_NONE) {
            return -ENOMEM;
        }
        struct bpe_symbol *symbols = realloc(s->symbols, cap * sizeof *symbols);
        if (!symbols) {
            return -ENOMEM;
        }
        s->symbols = symbols;
        s->symbols_cap = cap;
    }
    s->symbols[s->n_symbols++].id = (uint32_t)id;
    return 0;
}

// The character's written form with the prefix of inner and the suffix of last characters.
static int written_form(const struct bpe *bpe, struct bpe_scratch *s, struct str c, bool is_first, bool is_last)
{
    strbuf_reset(&s->form);
    if (!is_first) {
        strbuf_append(&s->form, bpe->prefix);
    }
    if (bpe->is_byte_level) {
        byte_level_append_written(&s->form, c);
    } else {
        strbuf_append(&s->form, c);
    }
    if (is_last) {
        strbuf_append(&s->form, bpe->suffix);
    }
    return s->form.error;
}

static bool has_fallback(const struct bpe *bpe, struct str form)
{
    for (size_t i = 0; i < form.len; i++) {
        if (bpe->fallback_ids[(uint8_t)form.ptr[i]] < 0) {
            return false;
        }
    }
    return bpe->byte_fallback;
}

static int push_fallback(const struct bpe *bpe, struct bpe_scratch *s, struct str form)
{
    int r = 0;
    for (size_t i = 0; i < form.len && r == 0; i++) {
        r = push_symbol(s, bpe->fallback_ids[(uint8_t)form.ptr[i]]);
    }
    return r;
}

static int32_t first_symbol(const struct bpe *bpe, struct bpe_scratch *s, struct str c, bool is_first, bool is_last)
{
    if ((is_first || bpe->prefix.len == 0) && (!is_last || bpe->suffix.len == 0)) {
        if (bpe->is_byte_level || (uint8_t)c.ptr[0] < 0x80) {
            return bpe->char_ids[(uint8_t)c.ptr[0]];
        }
        return vocab_map_find(&bpe->by_written, c);
    }
    return written_form(bpe, s, c, is_first, is_last) < 0 ? -1 : vocab_map_find(&bpe->by_written, strbuf_str(&s->form));
}

// An unknown character waits (n_unk) until a known one comes, so that a run of them can be fused; characters that fall
// back to bytes do not end the run and come to stand before it, as in the reference.
static int first_symbols(const struct bpe *bpe, struct bpe_scratch *s, struct str piece, struct err *err)
{
    bool has_unk = false;
    int r = 0;
    s->n_symbols = 0;
    for (size_t i = 0, n; i < piece.len && r == 0; i += n) {
        n = bpe->is_byte_level ? 1 : codepoint_len((uint8_t)piece.ptr[i]);
        struct str c = { piece.ptr + i, n };
        bool is_first = i == 0, is_last = i + n == piece.len;
        int32_t id = first_symbol(bpe, s, c, is_first, is_last);
        if (id >= 0) {
            if (has_unk) {
                r = push_symbol(s, bpe->unk_id);
                has_unk = false;
            }
            r = r ? r : push_symbol(s, id);
            continue;
        }
        r = written_form(bpe, s, c, is_first, is_last);
        if (r == 0 && has_fallback(bpe, strbuf_str(&s->form))) {
            r = push_fallback(bpe, s, strbuf_str(&s->form));
        } else if (r == 0 && bpe->unk_missing) {
            r = err_set(err, -EINVAL, "model.unk_token \"%s\" is needed but not in model.vocab", bpe->unk_missing);
        } else if (r == 0 && bpe->unk_id >= 0) {
            r = has_unk && !bpe->fuse_unk ? push_symbol(s, bpe->unk_id) : 0;
            has_unk = true;
        } // else a character that nothing stands for: dropped, as in the reference
    }
    return r == 0 && has_unk ? push_symbol(s, bpe->unk_id) : r;
}

// ---- encoding -----------------------------------------------------------------------------------------------------

static int append_ids(struct token_ids *out, const uint32_t *ids, size_t n)
{
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = token_ids_append(out, (int32_t)ids[i]);
    }
    return r;
}

static int merge_symbols(const struct bpe *bpe, struct bpe_scratch *s, struct token_ids *out)
{
    if (s->n_symbols <= SHORT_MAX) {
        uint32_t ids[SHORT_MAX];
        for (size_t i = 0; i < s->n_symbols; i++) {
            ids[i] = s->symbols[i].id;
        }
        return append_ids(out, ids, merge_short(bpe, ids, s->n_symbols));
    }
    int r = bpe_merge_long(bpe, s);
    for (uint32_t i = 0; i != BPE_NONE && r == 0; i = s->symbols[i].next) {
        r = token_ids_append(out, (int32_t)s->symbols[i].id);
    }
    return r;
}

// Most pieces of byte-level models: every byte has a symbol, nothing is unknown.
static bool short_byte_symbols(const struct bpe *bpe, struct str piece, uint32_t *ids)
{
    int32_t all = 0;
    for (size_t i = 0; i < piece.len; i++) {
        int32_t id = bpe->char_ids[(uint8_t)piece.ptr[i]];
        ids[i] = (uint32_t)id;
        all |= id;
    }
    return all >= 0;
}

static int encode_by_merging(const struct bpe *bpe, struct bpe_scratch *scratch, struct str piece,
                             struct token_ids *out, struct err *err)
{
    if (bpe->is_byte_level && piece.len <= SHORT_MAX && bpe->prefix.len == 0 && bpe->suffix.len == 0) {
        uint32_t ids[SHORT_MAX];
        if (short_byte_symbols(bpe, piece, ids)) {
            return append_ids(out, ids, merge_short(bpe, ids, piece.len));
        }
    }
    int r = first_symbols(bpe, scratch, piece, err);
    return r < 0 || scratch->n_symbols == 0 ? r : merge_symbols(bpe, scratch, out);
}

static int encode_piece(const struct bpe *bpe, struct bpe_scratch *scratch, struct str piece, struct token_ids *out,
                        struct err *err)
{
    int32_t id = piece.len == 0 ? -1 : vocab_map_find(bpe->by_piece, piece);
    if (id < 0) {
        return encode_by_merging(bpe, scratch, piece, out, err);
    }
    uint8_t state = bpe->ignore_merges ? 1 : atomic_load_explicit(&bpe->is_whole[id], memory_order_relaxed);
    if (state == 1) {
        return token_ids_append(out, id);
    }
    size_t len = out->len;
    int r = encode_by_merging(bpe, scratch, piece, out, err);
    if (r == 0 && state == 0) {
        bool is_whole = out->len == len + 1 && out->ids[len] == id;
        atomic_store_explicit(&bpe->is_whole[id], is_whole ? 1 : 2, memory_order_relaxed);
    }
    return r;
}

int bpe_encode(const struct bpe *bpe, struct bpe_scratch *scratch, struct str piece, struct token_ids *out,
               struct err *err)
{
    if (piece.len > BPE_CACHE_PIECE_MAX || piece.len == 0) {
        return encode_piece(bpe, scratch, piece, out, err);
    }
    struct bpe_cache_key key = bpe_cache_key(piece);
    int r = bpe_cache_find(bpe->cache, &key, out);
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    size_t len = out->len;
    r = encode_piece(bpe, scratch, piece, out, err);
    if (r == 0) {
        bpe_cache_keep(bpe->cache, &key, out->ids ? &out->ids[len] : NULL, out->len - len);
    }
    return r;
}

void bpe_scratch_deinit(struct bpe_scratch *scratch)
{
    free(scratch->symbols);
    bpe_queue_deinit(&scratch->queue);
    strbuf_deinit(&scratch->form);
    *scratch = (struct bpe_scratch){ 0 };
}
