// Encoding, decoding and looking up with a loaded tokenizer. Working memory lives for one call, so that threads share
// nothing.
#include "engine/text/tokenizer.h"

#include "engine/base/utf8.h"
#include "engine/text/tokenizer_internal.h"

#include <errno.h>
#include <stdlib.h>

int token_ids_append(struct token_ids *list, int32_t id)
{
    if (list->len == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 64;
        int32_t *ids = realloc(list->ids, cap * sizeof *ids);
        if (!ids) {
            return -ENOMEM;
        }
        list->ids = ids;
        list->cap = cap;
    }
    list->ids[list->len++] = id;
    return 0;
}

void token_ids_deinit(struct token_ids *list)
{
    free(list->ids);
    *list = (struct token_ids){ 0 };
}

// ---- encoding -----------------------------------------------------------------------------------------------------

struct encode {
    const struct tokenizer *tok;
    struct token_ids *out;
    struct err *err;
    bool skip_special; // special tokens are plain text
    struct regex_scratch regex;
    struct normalizer_scratch normalizer;
    struct pretokenizer_scratch pretokenizer;
    struct bpe_scratch bpe;
    struct spm_scratch spm;
};

static void encode_init(struct encode *e)
{
    e->normalizer.regex = &e->regex;
    e->pretokenizer.regex = &e->regex;
}

static void encode_deinit(struct encode *e)
{
    regex_scratch_deinit(&e->regex);
    normalizer_scratch_deinit(&e->normalizer);
    pretokenizer_scratch_deinit(&e->pretokenizer);
    bpe_scratch_deinit(&e->bpe);
    spm_scratch_deinit(&e->spm);
}

static int encode_piece(void *ctx, struct str piece)
{
    struct encode *e = ctx;
    return e->tok->spm.scores ? spm_encode(&e->tok->spm, &e->spm, piece, e->out)
                              : bpe_encode(&e->tok->bpe, &e->bpe, piece, e->out, e->err);
}

static int encode_between(struct encode *e, struct str text, bool is_start)
{
    return pretokenizer_run(&e->tok->pretokenizer, &e->pretokenizer, text, is_start, encode_piece, e);
}

// Text between plain added tokens.
static int encode_section(struct encode *e, struct str text, bool is_start)
{
    struct str normalized;
    int r = normalizer_run(&e->tok->normalizer, &e->normalizer, text, &normalized, &is_start);
    struct added_iter iter = {
        .added = &e->tok->added, .trie = &e->tok->added.normalized, .text = normalized, .skip_special = e->skip_special
    };
    struct added_split split;
    while (r == 0 && added_iter_next(&iter, &split)) {
        struct str part = { normalized.ptr + split.start, split.end - split.start };
        r = split.token ? token_ids_append(e->out, (int32_t)split.token->id)
                        : encode_between(e, part, is_start && split.start == 0);
    }
    return r;
}

static int encode_text(struct encode *e, struct str text)
{
    struct added_iter iter = {
        .added = &e->tok->added, .trie = &e->tok->added.plain, .text = text, .skip_special = e->skip_special
    };
    struct added_split split;
    int r = 0;
    while (r == 0 && added_iter_next(&iter, &split)) {
        struct str part = { text.ptr + split.start, split.end - split.start };
        r = split.token ? token_ids_append(e->out, (int32_t)split.token->id)
                        : encode_section(e, part, split.start == 0);
    }
    return r;
}

int tokenizer_encode(const struct tokenizer *tok, struct str text, unsigned flags, struct token_ids *out,
                     struct err *err)
{
    size_t n_valid = utf8_valid_len(text), len = out->len;
    if (n_valid != text.len) {
        return err_set(err, -EINVAL, "text is not UTF-8 at byte %zu", n_valid);
    }
    struct encode e = { .tok = tok, .out = out, .err = err, .skip_special = (flags & TOKENIZER_PLAIN_SPECIAL) != 0 };
    encode_init(&e);
    int r = encode_text(&e, text);
    r = r ? r : post_processor_run(&tok->post_processor, (flags & TOKENIZER_ADD_SPECIAL) != 0, out, len);
    encode_deinit(&e);
    if (r < 0) {
        out->len = len;
        const char *why = r == -ENOMEM  ? "out of memory"
                          : r == -EFBIG ? "the normalized text is too long"
                                        : "a pattern takes too many steps on this text";
        return r == -EINVAL ? r : err_set(err, r, "%s", why);
    }
    return 0;
}

// ---- cutting ------------------------------------------------------------------------------------------------------

// Encoding with memory that is kept: no piece is longer than the text, and short pieces of byte-level models are merged
// on the stack.
struct tokenizer_cutter {
    struct encode e;
    struct token_ids out;
};

int tokenizer_cutter_new(const struct tokenizer *tok, struct tokenizer_cutter **ret)
{
    struct tokenizer_cutter *cutter = calloc(1, sizeof(*cutter));
    static const char words[] = "\"a\":{ 1,\n\n.2}  \xe4\xb8\xad don't [x]";
    if (!cutter) {
        return -ENOMEM;
    }
    cutter->e.tok = tok;
    cutter->e.out = &cutter->out;
    encode_init(&cutter->e);
    for (size_t i = 0; i < TOKENIZER_CUT_BYTES_MAX; i++) { // as many tokens as there are bytes at most
        if (token_ids_append(&cutter->out, 0) < 0) {
            tokenizer_cutter_free(cutter);
            return -ENOMEM;
        }
    }
    tokenizer_cut_first(cutter, str_take(str_from(words), TOKENIZER_CUT_BYTES_MAX)); // takes the memory of its parts
    *ret = cutter;
    return 0;
}

void tokenizer_cutter_free(struct tokenizer_cutter *cutter)
{
    if (cutter) {
        encode_deinit(&cutter->e);
        token_ids_deinit(&cutter->out);
        free(cutter);
    }
}

// What comes first: an added token that texts may contain, or (NULL) the text up to the next one.
static const struct added_token *first_added(const struct tokenizer *tok, const struct added_trie *trie,
                                             struct str *text)
{
    struct added_iter iter = { .added = &tok->added, .trie = trie, .text = *text, .skip_special = true };
    struct added_split split;
    if (!added_iter_next(&iter, &split)) {
        return NULL;
    }
    *text = (struct str){ text->ptr + split.start, split.end - split.start };
    return split.token;
}

int32_t tokenizer_cut_first(struct tokenizer_cutter *cutter, struct str text)
{
    struct encode *e = &cutter->e;
    const struct bpe *bpe = &e->tok->bpe;
    cutter->out.len = 0;
    if (e->tok->spm.scores || !bpe->is_byte_level || bpe->prefix.len > 0 || bpe->suffix.len > 0 ||
        text.len > TOKENIZER_CUT_BYTES_MAX || utf8_valid_len(text) != text.len) {
        return -1;
    }
    const struct added_token *added = first_added(e->tok, &e->tok->added.plain, &text);
    added = added ? added : first_added(e->tok, &e->tok->added.normalized, &text);
    if (added) {
        return (int32_t)added->id;
    }
    return encode_between(e, text, false) == 0 && cutter->out.len > 0 ? cutter->out.ids[0] : -1;
}

// ---- decoding -----------------------------------------------------------------------------------------------------

bool tokenizer_token_form(const struct tokenizer *tok, int32_t id, struct str *ret_form, bool *ret_is_skippable)
{
    if (id < 0 || (size_t)id >= tok->n_ids) {
        return false;
    }
    uint32_t idx = tok->added_of_id[id];
    *ret_is_skippable = false;
    if (idx == 0) {
        *ret_form = vocab_table_get(&tok->bpe.written, id);
        return vocab_table_has(&tok->bpe.written, id);
    }
    const struct added_token *token = &tok->added.tokens[idx - 1];
    *ret_form = token->form;
    *ret_is_skippable = token->is_skippable;
    return true;
}

int tokenizer_decode(const struct tokenizer *tok, const int32_t *ids, size_t n, bool skip_special, struct strbuf *out)
{
    struct detokenizer d;
    int r = 0;
    detokenizer_init(&d, tok, skip_special);
    for (size_t i = 0; i < n && r == 0; i++) {
        r = detokenizer_push(&d, ids[i], out);
    }
    r = r ? r : detokenizer_finish(&d, out);
    detokenizer_deinit(&d);
    return r;
}

// ---- looking up ---------------------------------------------------------------------------------------------------

size_t tokenizer_n_vocab(const struct tokenizer *tok)
{
    return tok->n_ids;
}

int32_t tokenizer_find(const struct tokenizer *tok, struct str token)
{
    for (size_t i = 0; i < tok->added.n_tokens; i++) {
        if (str_eq(tok->added.tokens[i].content, token)) {
            return (int32_t)tok->added.tokens[i].id;
        }
    }
    return vocab_map_find(&tok->bpe.by_written, token);
}

bool tokenizer_is_special(const struct tokenizer *tok, int32_t id)
{
    return id >= 0 && (size_t)id < tok->n_ids && tok->added_of_id[id] != 0 &&
           tok->added.tokens[tok->added_of_id[id] - 1].special;
}

struct str tokenizer_token_bytes(const struct tokenizer *tok, int32_t id)
{
    return vocab_table_get(vocab_table_has(&tok->token_bytes, id) ? &tok->token_bytes : &tok->bpe.bytes, id);
}

struct str tokenizer_token_text(const struct tokenizer *tok, int32_t id)
{
    struct str form;
    bool is_skippable;

    return tokenizer_token_form(tok, id, &form, &is_skippable) ? form : (struct str){ 0 };
}
