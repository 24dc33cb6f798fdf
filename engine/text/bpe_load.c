// Loading the "model" object: vocabulary, merges and options. bpe.c uses what this fills in.
#include "engine/text/bpe.h"
#include "engine/text/byte_level.h"
#include "engine/text/spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- vocabulary ---------------------------------------------------------------------------------------------------

static int vocab_id(const struct json *key, const struct json *value, uint32_t *ret, struct err *err)
{
    int64_t id;
    if (value->type != JSON_NUMBER || json_get_i64(value, &id) < 0 || id < 0 || id > VOCAB_ID_MAX) {
        return err_set(err, -EINVAL, "model.vocab[\"%.*s\"]: %.*s is not an id from 0 to %d", STR_ARG(key->text),
                       STR_ARG(value->text), VOCAB_ID_MAX);
    }
    *ret = (uint32_t)id;
    return 0;
}

static int vocab_n_ids(const struct json *vocab, size_t *ret, struct err *err)
{
    size_t n_ids = 0;
    const struct json *key = json_first(vocab);
    for (size_t i = 0; i < vocab->n_children; i++) {
        const struct json *value = json_next(key);
        uint32_t id = 0;
        int r = vocab_id(key, value, &id, err);
        if (r < 0) {
            return r;
        }
        n_ids = id >= n_ids ? id + 1 : n_ids;
        key = json_next(value);
    }
    *ret = n_ids;
    return 0;
}

static int load_written(struct bpe *bpe, const struct json *vocab, struct err *err)
{
    size_t n_ids = 0;
    int r = vocab_n_ids(vocab, &n_ids, err);
    r = r ? r : vocab_table_init(&bpe->written, n_ids);
    const struct json *key = json_first(vocab);
    for (size_t i = 0; i < vocab->n_children && r == 0; i++) {
        const struct json *value = json_next(key);
        uint32_t id = 0;
        vocab_id(key, value, &id, err);
        if (vocab_table_has(&bpe->written, id)) {
            return err_set(err, -EINVAL, "model.vocab: \"%.*s\" and \"%.*s\" have the same id %u",
                           STR_ARG(vocab_table_get(&bpe->written, id)), STR_ARG(key->text), id);
        }
        r = vocab_table_set(&bpe->written, id, key->text);
        key = json_next(value);
    }
    uint32_t same[2];
    r = r ? r : vocab_map_init(&bpe->by_written, &bpe->written, same);
    if (r == -EEXIST) {
        return err_set(err, -EINVAL, "model.vocab: \"%.*s\" occurs twice, with ids %u and %u",
                       STR_ARG(vocab_table_get(&bpe->written, same[0])), same[0], same[1]);
    }
    return r;
}

// The bytes of each token that is written in the byte-level alphabet.
static int load_bytes(struct bpe *bpe)
{
    int r = vocab_table_init(&bpe->bytes, bpe->written.n_ids);
    char *bytes = malloc(bpe->by_written.n_bytes_max + 1);
    if (!bytes) {
        return -ENOMEM;
    }
    for (uint32_t id = 0; id < bpe->written.n_ids && r == 0; id++) {
        if (!vocab_table_has(&bpe->written, id)) {
            continue;
        }
        ptrdiff_t n = byte_level_read(vocab_table_get(&bpe->written, id), bytes);
        r = n < 0 ? 0 : vocab_table_set(&bpe->bytes, id, (struct str){ bytes, (size_t)n });
    }
    free(bytes);
    uint32_t same[2];
    return r ? r : vocab_map_init(&bpe->by_bytes, &bpe->bytes, same);
}

static void load_char_ids(struct bpe *bpe)
{
    for (int i = 0; i < 256; i++) {
        char byte = (char)i, code[8];
        bpe->char_ids[i] =
            bpe->is_byte_level || i < 0x80 ? vocab_map_find(bpe->by_piece, (struct str){ &byte, 1 }) : -1;
        snprintf(code, sizeof code, "<0x%02X>", i);
        bpe->fallback_ids[i] = vocab_map_find(&bpe->by_written, str_from(code));
    }
}

// ---- merges -------------------------------------------------------------------------------------------------------

static int merge_table_init(struct bpe *bpe, size_t n)
{
    size_t n_slots = 16;
    while (n_slots < n + n / 2) {
        n_slots *= 2;
    }
    bpe->merge_mask = (uint32_t)(n_slots - 1);
    bpe->merges = malloc(n_slots * sizeof *bpe->merges);
    bpe->new_id_of_rank = malloc((n ? n : 1) * sizeof *bpe->new_id_of_rank);
    if (!bpe->merges || !bpe->new_id_of_rank) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_slots; i++) {
        bpe->merges[i].left = BPE_NONE;
    }
    return 0;
}

// The same pair twice: the later line holds, as in the reference.
static void merge_table_put(struct bpe *bpe, struct bpe_merge merge)
{
    uint32_t at = bpe_pair_hash(merge.left, merge.right) & bpe->merge_mask;
    while (bpe->merges[at].left != BPE_NONE &&
           (bpe->merges[at].left != merge.left || bpe->merges[at].right != merge.right)) {
        at = (at + 1) & bpe->merge_mask;
    }
    bpe->merges[at] = merge;
    bpe->new_id_of_rank[merge.rank] = merge.new_id;
}

// Both sides of a merge: "a b", or ["a", "b"].
static int merge_sides(const struct json *entry, bool as_pairs, size_t idx, struct str side[2], struct err *err)
{
    if (as_pairs) {
        const struct json *a = entry->type == JSON_ARRAY && entry->n_children == 2 ? json_first(entry) : NULL;
        if (!a || a->type != JSON_STRING || json_next(a)->type != JSON_STRING) {
            return err_set(err, -EINVAL, "model.merges[%zu]: an array of two strings expected, %.*s found", idx,
                           STR_ARG(str_take(entry->text, 64)));
        }
        side[0] = a->text;
        side[1] = json_next(a)->text;
        return 0;
    }
    if (entry->type != JSON_STRING) {
        return err_set(err, -EINVAL, "model.merges[%zu]: string expected, %s found", idx, json_type_name(entry->type));
    }
    side[1] = str_cut(entry->text, ' ', &side[0]);
    if (side[0].len == entry->text.len || str_find(side[1], STR(" ")) >= 0) {
        return err_set(err, -EINVAL, "model.merges[%zu]: two tokens with one space between expected, \"%.*s\" found",
                       idx, STR_ARG(entry->text));
    }
    return 0;
}

// Merges are looked up in batches, in rounds: what one round will read, the round before has begun to fetch. Looking
// them up one by one would spend most of the loading time waiting for memory.
#define MERGE_BATCH 32

struct merge_batch {
    size_t n;
    struct {
        size_t idx; // in the file
        struct str side[2];
        size_t joined_at, joined_len; // in `joined`
        uint64_t prepared[3];
        struct bpe_merge merge;
    } items[MERGE_BATCH];
    struct strbuf joined;
};

static struct str joined_of(const struct merge_batch *batch, size_t i)
{
    return (struct str){ batch->joined.ptr + batch->items[i].joined_at, batch->items[i].joined_len };
}

static int merge_token(const struct bpe *bpe, size_t idx, struct str token, uint64_t prepared, uint32_t *ret,
                       struct err *err)
{
    int32_t id = vocab_map_find_prepared(&bpe->by_written, token, prepared);
    if (id < 0) {
        return err_set(err, -EINVAL, "model.merges[%zu]: token \"%.*s\" is not in model.vocab", idx, STR_ARG(token));
    }
    *ret = (uint32_t)id;
    return 0;
}

static int merge_batch_flush(struct bpe *bpe, struct merge_batch *batch, struct err *err)
{
    int r = 0;
    for (size_t i = 0; i < batch->n; i++) {
        batch->items[i].prepared[0] = vocab_map_prepare(&bpe->by_written, batch->items[i].side[0]);
        batch->items[i].prepared[1] = vocab_map_prepare(&bpe->by_written, batch->items[i].side[1]);
        batch->items[i].prepared[2] = vocab_map_prepare(&bpe->by_written, joined_of(batch, i));
    }
    for (size_t i = 0; i < batch->n && r == 0; i++) {
        struct bpe_merge *merge = &batch->items[i].merge;
        const uint64_t *prepared = batch->items[i].prepared;
        size_t idx = batch->items[i].idx;
        r = merge_token(bpe, idx, batch->items[i].side[0], prepared[0], &merge->left, err);
        r = r ? r : merge_token(bpe, idx, batch->items[i].side[1], prepared[1], &merge->right, err);
        r = r ? r : merge_token(bpe, idx, joined_of(batch, i), prepared[2], &merge->new_id, err);
        __builtin_prefetch(&bpe->merges[bpe_pair_hash(merge->left, merge->right) & bpe->merge_mask], 1);
    }
    for (size_t i = 0; i < batch->n && r == 0; i++) {
        merge_table_put(bpe, batch->items[i].merge);
    }
    batch->n = 0;
    strbuf_reset(&batch->joined);
    return r;
}

static int merge_batch_add(struct bpe *bpe, struct merge_batch *batch, size_t idx, struct str side[2], struct err *err)
{
    if (side[1].len < bpe->prefix.len) {
        return err_set(err, -EINVAL, "model.merges[%zu]: \"%.*s\" is shorter than continuing_subword_prefix", idx,
                       STR_ARG(side[1]));
    }
    size_t i = batch->n++;
    batch->items[i].idx = idx;
    batch->items[i].side[0] = side[0];
    batch->items[i].side[1] = side[1];
    batch->items[i].joined_at = batch->joined.len;
    strbuf_append(&batch->joined, side[0]);
    int r = strbuf_append(&batch->joined, str_skip(side[1], bpe->prefix.len));
    batch->items[i].joined_len = batch->joined.len - batch->items[i].joined_at;
    batch->items[i].merge = (struct bpe_merge){ .rank = (uint32_t)bpe->n_merges++ };
    return r || batch->n < MERGE_BATCH ? r : merge_batch_flush(bpe, batch, err);
}

static int load_merges(struct bpe *bpe, const struct json *merges, struct err *err)
{
    int r = merge_table_init(bpe, merges->n_children);
    const struct json *entry = json_first(merges);
    bool as_pairs = entry && entry->type == JSON_ARRAY;
    struct merge_batch batch = { 0 };
    for (size_t i = 0; i < merges->n_children && r == 0; i++, entry = json_next(entry)) {
        struct str side[2];
        if (!as_pairs && entry->type == JSON_STRING && str_starts_with(entry->text, STR("#version"))) {
            continue; // the first line of merges.txt
        }
        r = merge_sides(entry, as_pairs, i, side, err);
        r = r ? r : merge_batch_add(bpe, &batch, i, side, err);
    }
    r = r ? r : merge_batch_flush(bpe, &batch, err);
    strbuf_deinit(&batch.joined);
    return r;
}

// ---- options ------------------------------------------------------------------------------------------------------

static int dup_str(const struct json *model, const char *key, struct str *ret, struct err *err)
{
    struct str s = { NULL, 0 };
    int r = spec_str(model, "model", key, SPEC_OPTIONAL, &s, err);
    if (r == 0 && s.len > 0) {
        *ret = (struct str){ str_dup(s), s.len };
        r = ret->ptr ? 0 : -ENOMEM;
    }
    return r;
}

static int load_unk(struct bpe *bpe, const struct json *model, struct err *err)
{
    struct str unk = { NULL, 0 };
    int r = spec_str(model, "model", "unk_token", SPEC_OPTIONAL, &unk, err);
    bpe->unk_id = -1;
    if (r < 0 || !unk.ptr) {
        return r;
    }
    bpe->unk_id = vocab_map_find(&bpe->by_written, unk);
    if (bpe->unk_id < 0) {
        bpe->unk_missing = str_dup(unk);
        return bpe->unk_missing ? 0 : -ENOMEM;
    }
    return 0;
}

static int load_options(struct bpe *bpe, const struct json *model, struct err *err)
{
    const struct json *dropout = json_get(model, STR("dropout"));
    if (dropout && dropout->type != JSON_NULL && (dropout->type != JSON_NUMBER || json_get_double(dropout) != 0)) {
        return err_set(err, -EOPNOTSUPP, "model.dropout: %.*s is not supported (ids would be random)",
                       STR_ARG(dropout->text));
    }
    int r = spec_bool(model, "model", "fuse_unk", SPEC_OPTIONAL, &bpe->fuse_unk, err);
    r = r ? r : spec_bool(model, "model", "byte_fallback", SPEC_OPTIONAL, &bpe->byte_fallback, err);
    r = r ? r : spec_bool(model, "model", "ignore_merges", SPEC_OPTIONAL, &bpe->ignore_merges, err);
    r = r ? r : dup_str(model, "continuing_subword_prefix", &bpe->prefix, err);
    r = r ? r : dup_str(model, "end_of_word_suffix", &bpe->suffix, err);
    return r;
}

// Files older than the type field: what the fields say.
int bpe_check_type(const struct json *model, struct err *err)
{
    static const char *const names[] = { "BPE" };
    int type;
    if (model->type == JSON_OBJECT && !json_get(model, STR("type"))) {
        const struct json *merges = json_get(model, STR("merges"));
        return merges ? 0 : err_set(err, -EOPNOTSUPP, "model: no type and no merges: only BPE models are supported");
    }
    return spec_type(model, "model", names, 1, sizeof names[0], &type, err);
}

int bpe_init(struct bpe *bpe, const struct json *model, bool is_byte_level, struct err *err)
{
    *bpe = (struct bpe){ .is_byte_level = is_byte_level };
    const struct json *vocab = NULL, *merges = NULL;
    int r = spec_container(model, "model", "vocab", JSON_OBJECT, SPEC_REQUIRED, &vocab, err);
    r = r ? r : spec_container(model, "model", "merges", JSON_ARRAY, SPEC_REQUIRED, &merges, err);
    r = r ? r : load_options(bpe, model, err);
    r = r ? r : load_written(bpe, vocab, err);
    if (r == 0 && is_byte_level) {
        r = load_bytes(bpe);
    }
    bpe->by_piece = is_byte_level ? &bpe->by_bytes : &bpe->by_written;
    r = r ? r : load_unk(bpe, model, err);
    r = r ? r : load_merges(bpe, merges, err);
    if (r == 0) {
        load_char_ids(bpe);
        bpe->is_whole = calloc(bpe->written.n_ids + 1, 1);
        bpe->cache = bpe_cache_new();
        r = bpe->is_whole && bpe->cache ? 0 : -ENOMEM;
    }
    if (r < 0) {
        bpe_deinit(bpe);
    }
    return r;
}

void bpe_deinit(struct bpe *bpe)
{
    vocab_map_deinit(&bpe->by_written);
    vocab_map_deinit(&bpe->by_bytes);
    vocab_table_deinit(&bpe->written);
    vocab_table_deinit(&bpe->bytes);
    free(bpe->merges);
    free(bpe->new_id_of_rank);
    free((char *)bpe->prefix.ptr);
    free((char *)bpe->suffix.ptr);
    free(bpe->unk_missing);
    free((void *)bpe->is_whole);
    bpe_cache_free(bpe->cache);
    *bpe = (struct bpe){ 0 };
}
