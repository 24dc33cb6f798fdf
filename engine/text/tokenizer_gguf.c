// A GGUF file's vocabulary, made the tokenizer.json that it was made from and loaded as such: GGUF names the
// pre-tokenizer where tokenizer.json spells it out, keeps one array per property of a token, and implies the rest.
// Models of scores (`llama`, sentencepiece) keep everything around the model too; only the merging is another (spm.c).
//
//   model    normalizer                pre-tokenizer     model                decoder
//   gpt2     NFC for some names        by name           BPE, byte level      ByteLevel
//   gemma4   spaces to U+2581          none              BPE, byte fallback   spaces, bytes, Fuse
//   llama    U+2581 before, and spaces none              scores               the same, and Strip
#include "engine/base/utf8.h"
#include "engine/text/gguf_source.h"
#include "engine/text/tokenizer_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MERGES_MAX (1 << 24)

static const char *const model_names[GGUF_N_MODELS] = { "gpt2", "gemma4", "llama" };

// ---- what the file says --------------------------------------------------------------------------------------------

static int missing(const struct gguf_source *s, const char *key)
{
    return err_set(s->err, -EINVAL, "%s: %s is missing", s->g->file, key);
}

static int read_model(struct gguf_source *s)
{
    struct str name = { NULL, 0 };
    int r = gguf_get_str(s->g, "tokenizer.ggml.model", &name, s->err);
    if (r < 0 || !name.ptr) {
        return r ? r : missing(s, "tokenizer.ggml.model");
    }
    for (size_t i = 0; i < GGUF_N_MODELS; i++) {
        if (str_eq(name, str_from(model_names[i]))) {
            s->model = (enum gguf_model)i;
            return 0;
        }
    }
    return err_set(s->err, -EOPNOTSUPP,
                   "%s: tokenizer.ggml.model: \"%.*s\" is not supported, only gpt2, gemma4 and llama", s->g->file,
                   STR_ARG(str_take(name, 64)));
}

static int read_pre(struct gguf_source *s)
{
    struct str name = STR("default");
    int r = s->model == GGUF_MODEL_GPT2 ? gguf_get_str(s->g, "tokenizer.ggml.pre", &name, s->err) : 0;
    s->pre = r == 0 ? gguf_pre_find(name) : NULL;
    if (r == 0 && !s->pre) {
        return err_set(s->err, -EOPNOTSUPP, "%s: tokenizer.ggml.pre: the pre-tokenizer \"%.*s\" is not known",
                       s->g->file, STR_ARG(str_take(name, 64)));
    }
    return r;
}

// An array beside that of the tokens.
static int read_parallel(const struct gguf_source *s, const char *key, enum gguf_type type,
                         const struct gguf_entry **ret)
{
    int r = gguf_get_array(s->g, key, type, ret, s->err);
    if (r == 0 && *ret && (*ret)->n_items < s->tokens->n_items) {
        return err_set(s->err, -EINVAL, "%s: %s has %" PRIu64 " items for %" PRIu64 " tokens", s->g->file, key,
                       (*ret)->n_items, s->tokens->n_items);
    }
    return r;
}

static int read_arrays(struct gguf_source *s)
{
    int r = gguf_get_array(s->g, "tokenizer.ggml.tokens", GGUF_STRING, &s->tokens, s->err);
    if (r < 0 || !s->tokens) {
        return r ? r : missing(s, "tokenizer.ggml.tokens");
    }
    if (s->tokens->n_items == 0 || s->tokens->n_items > VOCAB_ID_MAX) {
        return err_set(s->err, -EINVAL, "%s: tokenizer.ggml.tokens: %" PRIu64 " tokens, not 1 to %d", s->g->file,
                       s->tokens->n_items, VOCAB_ID_MAX);
    }
    r = read_parallel(s, "tokenizer.ggml.token_type", GGUF_I32, &s->types);
    if (r == 0 && s->model == GGUF_MODEL_LLAMA) {
        const struct gguf_entry *scores = gguf_find(s->g, "tokenizer.ggml.scores");
        bool is_whole = scores && scores->type == GGUF_ARRAY && scores->item_type == GGUF_I32; // some writers
        r = read_parallel(s, "tokenizer.ggml.scores", is_whole ? GGUF_I32 : GGUF_F32, &s->scores);
        return r || s->scores ? r : missing(s, "tokenizer.ggml.scores");
    }
    r = r ? r : gguf_get_array(s->g, "tokenizer.ggml.merges", GGUF_STRING, &s->merges, s->err);
    return r || s->merges ? r : missing(s, "tokenizer.ggml.merges");
}

// *ret stays as it is when the file does not say or the id is the usual one of the model but not one of this file.
static int read_id(const struct gguf_source *s, const char *key, bool is_needed, int64_t *ret)
{
    bool is_said = gguf_find(s->g, key) != NULL;
    uint64_t id = UINT64_MAX;
    int r = gguf_get_u64(s->g, key, &id, s->err);
    if (r == 0 && is_said && id < s->tokens->n_items) {
        *ret = (int64_t)id;
    } else if (r == 0 && is_said && is_needed) {
        return err_set(s->err, -EINVAL, "%s: %s: there is no token %" PRIu64, s->g->file, key, id);
    } else if (*ret >= 0 && (uint64_t)*ret >= s->tokens->n_items) {
        *ret = -1;
    }
    return r || *ret >= 0 || !is_needed ? r : missing(s, key);
}

static int read_special(struct gguf_source *s)
{
    bool is_llama = s->model == GGUF_MODEL_LLAMA, removes_spaces = false;
    s->add_bos = is_llama || s->model == GGUF_MODEL_GEMMA4 || s->pre->adds_bos;
    s->add_space_prefix = is_llama;
    s->bos_id = is_llama ? 1 : -1;
    s->eos_id = is_llama ? 2 : -1;
    s->unk_id = is_llama ? 0 : -1;
    int r = gguf_get_bool(s->g, "tokenizer.ggml.add_bos_token", &s->add_bos, s->err);
    r = r ? r : gguf_get_bool(s->g, "tokenizer.ggml.add_eos_token", &s->add_eos, s->err);
    r = r ? r : gguf_get_bool(s->g, "tokenizer.ggml.add_space_prefix", &s->add_space_prefix, s->err);
    r = r ? r : gguf_get_bool(s->g, "tokenizer.ggml.remove_extra_whitespaces", &removes_spaces, s->err);
    if (r == 0 && removes_spaces) {
        return err_set(s->err, -EOPNOTSUPP, "%s: tokenizer.ggml.remove_extra_whitespaces: true is not supported",
                       s->g->file);
    }
    r = r ? r : read_id(s, "tokenizer.ggml.bos_token_id", s->add_bos, &s->bos_id);
    r = r ? r : read_id(s, "tokenizer.ggml.eos_token_id", s->add_eos, &s->eos_id);
    r = r ? r : read_id(s, "tokenizer.ggml.unknown_token_id", false, &s->unk_id);
    struct str architecture = { NULL, 0 };
    r = r ? r : gguf_get_str(s->g, "general.architecture", &architecture, s->err);
    s->strips_right = is_llama && str_eq(architecture, STR("phi3")); // which no key of the file says
    return r;
}

static int read_source(struct gguf_source *s)
{
    int r = read_model(s);
    r = r ? r : read_pre(s);
    r = r ? r : read_arrays(s);
    return r ? r : read_special(s);
}

// ---- the model -----------------------------------------------------------------------------------------------------

// Hundreds of thousands of tokens and merges: values as json_parse would give them, without writing and reading them.
struct values {
    struct json *next;
    char *digits;
};

#define DIGITS_MAX 8 // of an id

static struct json *put(struct values *v, enum json_type type, struct str text, size_t n_children, size_t n_inside)
{
    *v->next =
        (struct json){ .type = type, .text = text, .n_children = (uint32_t)n_children, .next = (uint32_t)n_inside + 1 };
    return v->next++;
}

static void put_bool(struct values *v, struct str key, bool value)
{
    put(v, JSON_STRING, key, 0, 0);
    put(v, JSON_BOOL, value ? STR("true") : STR("false"), 0, 0)->boolean = value;
}

static void put_id(struct values *v, uint64_t id)
{
    char *end = v->digits + DIGITS_MAX, *p = end;
    do {
        *--p = (char)('0' + id % 10);
        id /= 10;
    } while (id > 0);
    put(v, JSON_NUMBER, (struct str){ p, (size_t)(end - p) }, 0, 0);
    v->digits = end;
}

static int check_text(const struct gguf_source *s, const char *key, uint64_t idx, struct str text)
{
    return utf8_valid_len(text) == text.len ? 0
                                            : err_set(s->err, -EINVAL, "%s: %s[%" PRIu64 "]: not UTF-8: \"%.*s\"",
                                                      s->g->file, key, idx, STR_ARG(str_take(text, 64)));
}

// A token without text stands for nothing that could be written or read: its id stays unused.
static int put_vocab(struct values *v, const struct gguf_source *s)
{
    struct str items = s->tokens->bytes;
    size_t n = 0;
    int r = 0;
    put(v, JSON_STRING, STR("vocab"), 0, 0);
    struct json *vocab = put(v, JSON_OBJECT, STR("{}"), 0, 0);
    for (uint64_t id = 0; id < s->tokens->n_items && r == 0; id++) {
        struct str token = gguf_next_str(&items);
        r = check_text(s, "tokenizer.ggml.tokens", id, token);
        if (r == 0 && token.len > 0) {
            put(v, JSON_STRING, token, 0, 0);
            put_id(v, id);
            n++;
        }
    }
    vocab->n_children = (uint32_t)n;
    vocab->next = (uint32_t)(2 * n + 1);
    return r;
}

static int put_merges(struct values *v, const struct gguf_source *s)
{
    struct str items = s->merges ? s->merges->bytes : (struct str){ 0 };
    size_t n = s->merges ? (size_t)s->merges->n_items : 0;
    int r = 0;
    put(v, JSON_STRING, STR("merges"), 0, 0);
    put(v, JSON_ARRAY, STR("[]"), n, n);
    for (size_t i = 0; i < n && r == 0; i++) {
        struct str merge = gguf_next_str(&items);
        r = check_text(s, "tokenizer.ggml.merges", i, merge);
        put(v, JSON_STRING, merge, 0, 0);
    }
    return r;
}

static int make_model(const struct gguf_source *s, struct arena *arena, const struct json **ret)
{
    uint64_t n_merges = s->merges ? s->merges->n_items : 0;
    if (n_merges > MERGES_MAX) {
        return err_set(s->err, -EINVAL, "%s: tokenizer.ggml.merges: %" PRIu64 " merges, more than %d", s->g->file,
                       n_merges, MERGES_MAX);
    }
    enum { N_FIXED = 1 + 2 * 5 }; // the object and its five members
    size_t n = N_FIXED + 2 * (size_t)s->tokens->n_items + (size_t)n_merges;
    struct values v = { arena_alloc_array(arena, n, sizeof *v.next),
                        arena_alloc_array(arena, (size_t)s->tokens->n_items, DIGITS_MAX) };
    if (!v.next || !v.digits) {
        return err_set(s->err, -ENOMEM, "%s: no memory for the vocabulary", s->g->file);
    }
    struct json *model = put(&v, JSON_OBJECT, STR("{}"), 5, 0);
    put(&v, JSON_STRING, STR("type"), 0, 0);
    put(&v, JSON_STRING, STR("BPE"), 0, 0);
    put_bool(&v, STR("byte_fallback"), s->model != GGUF_MODEL_GPT2);
    put_bool(&v, STR("ignore_merges"), s->model == GGUF_MODEL_GPT2 && s->pre->ignore_merges);
    int r = put_vocab(&v, s);
    r = r ? r : put_merges(&v, s);
    model->next = (uint32_t)(v.next - model);
    *ret = model;
    return r;
}

// ---- scores --------------------------------------------------------------------------------------------------------

static int set_scores(const struct gguf_source *s, struct tokenizer *tok)
{
    size_t n = (size_t)s->tokens->n_items;
    float *scores = malloc(n * sizeof *scores);
    if (!scores) {
        return err_set(s->err, -ENOMEM, "%s: no memory for %zu scores", s->g->file, n);
    }
    for (size_t i = 0; i < n; i++) {
        scores[i] = (float)gguf_item_f64(s->scores, i);
        if (isnan(scores[i])) {
            free(scores);
            return err_set(s->err, -EINVAL, "%s: tokenizer.ggml.scores[%zu] is not a number", s->g->file, i);
        }
    }
    tok->spm = (struct spm){
        .vocab = &tok->bpe.by_written, .scores = scores, .byte_ids = tok->bpe.fallback_ids, .unk_id = (int32_t)s->unk_id
    };
    return 0;
}

static int load(const struct gguf_source *s, struct arena *arena, struct strbuf *text, struct tokenizer **ret)
{
    const struct json *root = NULL, *model = NULL;
    gguf_write_document(s, text);
    if (text->error) {
        return err_set(s->err, text->error, "%s: no memory for the vocabulary", s->g->file);
    }
    int r = make_model(s, arena, &model);
    if (r == 0) {
        r = json_parse(arena, strbuf_str(text), &root, s->err);
        r = r ? r : tokenizer_from_parts(root, model, NULL, ret, s->err);
        r = r ? (err_prefix(s->err, "%s: tokenizer.ggml", s->g->file), r) : 0;
    }
    return r;
}

int tokenizer_from_gguf(const struct gguf *g, struct tokenizer **ret, struct err *err)
{
    struct gguf_source s = { .g = g, .err = err };
    struct tokenizer *tok = NULL;
    struct strbuf text = { 0 };
    struct arena arena;
    arena_init(&arena, 0);
    int r = read_source(&s);
    r = r ? r : load(&s, &arena, &text, &tok);
    r = r || s.model != GGUF_MODEL_LLAMA ? r : set_scores(&s, tok);
    strbuf_deinit(&text);
    arena_deinit(&arena);
    if (r < 0) {
        tokenizer_free(tok);
        return r;
    }
    *ret = tok;
    return 0;
}
