// Two kinds, as in tokenizer_gguf.c: byte-level BPE keeps its merges and names its pre-tokenizer; a BPE with byte
// fallback becomes a model of scores, in which a token that an earlier merge makes has a higher one.
#include "engine/text/gguf_vocab.h"
#include "engine/text/gguf_pre.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER_DEFINED, TYPE_UNUSED, TYPE_BYTE };

#define SCORE_UNMERGED (-1e6f)

struct source {
    const struct json *root, *model;
    const struct gguf_vocab_options *options;
    struct gguf_writer *w;
    struct err *err;
    bool has_scores; // of the second kind
    struct token {
        struct str text; // ptr NULL: none
        int32_t type;
        float score;
    } * tokens;             // [n_vocab]
    struct token **by_text; // [n_named], those that have a text
    size_t n_named;
};

static int bad(const struct source *s, const char *what)
{
    return err_set(s->err, -EINVAL, "tokenizer.json: %s", what);
}

static struct token *token_at(const struct source *s, const struct json *id)
{
    int64_t n = -1;
    bool is_id = id && id->type == JSON_NUMBER && json_get_i64(id, &n) == 0;
    return is_id && n >= 0 && (uint64_t)n < s->options->n_vocab ? &s->tokens[n] : NULL;
}

static bool is_byte(struct str text)
{
    return text.len == 6 && str_starts_with(text, STR("<0x")) && text.ptr[5] == '>';
}

static int take_vocab(struct source *s)
{
    const struct json *vocab = json_get(s->model, STR("vocab"));
    if (!vocab || vocab->type != JSON_OBJECT) {
        return bad(s, "model.vocab is not an object");
    }
    const struct json *key = json_first(vocab);
    for (uint32_t i = 0; i < vocab->n_children; i++) {
        struct token *t = token_at(s, json_next(key));
        if (!t) {
            return bad(s, "model.vocab has an id that the model has not");
        }
        bool is_unknown = s->options->unk_token.ptr && str_eq(key->text, s->options->unk_token);
        t->text = key->text;
        t->type = is_unknown ? TYPE_UNKNOWN : s->has_scores && is_byte(key->text) ? TYPE_BYTE : TYPE_NORMAL;
        key = json_next(json_next(key));
    }
    return 0;
}

static int take_added(struct source *s)
{
    const struct json *list = json_get(s->root, STR("added_tokens"));
    for (size_t i = 0; list && list->type == JSON_ARRAY && i < list->n_children; i++) {
        const struct json *v = json_at(list, i), *content = json_get(v, STR("content"));
        const struct json *special = json_get(v, STR("special"));
        struct token *t = token_at(s, json_get(v, STR("id")));
        if (!t || !content || content->type != JSON_STRING) {
            return bad(s, "added_tokens has an entry without content, or an id that the model has not");
        }
        bool is_special = special && special->type == JSON_BOOL && special->boolean;
        t->text = content->text;
        t->type = t->type == TYPE_UNKNOWN ? TYPE_UNKNOWN : is_special ? TYPE_CONTROL : TYPE_USER_DEFINED;
    }
    return 0;
}

// A merge is "a b" or ["a", "b"]; appends a, `between`, b.
static int join_merge(const struct source *s, const struct json *merge, struct str between, struct strbuf *out)
{
    struct str left, right;
    strbuf_reset(out);
    if (merge->type == JSON_ARRAY && merge->n_children == 2) {
        left = json_at(merge, 0)->text;
        right = json_at(merge, 1)->text;
    } else if (merge->type == JSON_STRING && str_find(merge->text, STR(" ")) > 0) {
        right = str_cut(merge->text, ' ', &left);
    } else {
        return bad(s, "model.merges has an entry that is no pair");
    }
    strbuf_append(out, left);
    strbuf_append(out, between);
    strbuf_append(out, right);
    return out->error ? err_set(s->err, out->error, "no memory for merges") : 0;
}

static int write_merges(const struct source *s, const struct json *merges)
{
    struct strbuf text;
    int rc = 0;
    strbuf_init(&text, 0);
    gguf_write_array(s->w, "tokenizer.ggml.merges", GGUF_STRING, merges->n_children);
    const struct json *merge = json_first(merges);
    for (uint32_t i = 0; rc == 0 && i < merges->n_children; i++, merge = json_next(merge)) {
        rc = join_merge(s, merge, STR(" "), &text);
        gguf_write_item_str(s->w, strbuf_str(&text));
    }
    strbuf_deinit(&text);
    return rc;
}

static int compare_tokens(const void *a, const void *b)
{
    return gguf_compare((*(struct token *const *)a)->text, (*(struct token *const *)b)->text);
}

static int compare_text(const void *text, const void *token)
{
    return gguf_compare(*(const struct str *)text, (*(struct token *const *)token)->text);
}

static void index_tokens(struct source *s)
{
    for (size_t i = 0; i < s->options->n_vocab; i++) {
        if (s->tokens[i].text.ptr) {
            s->by_text[s->n_named++] = &s->tokens[i];
        }
    }
    if (s->n_named > 0) {
        qsort(s->by_text, s->n_named, sizeof(*s->by_text), compare_tokens);
    }
}

static struct token *find_token(const struct source *s, struct str text)
{
    struct token **found =
        s->n_named > 0 ? bsearch(&text, s->by_text, s->n_named, sizeof(*s->by_text), compare_text) : NULL;
    return found ? *found : NULL;
}

static int take_scores(struct source *s, const struct json *merges)
{
    struct strbuf text;
    int rc = 0;
    strbuf_init(&text, 0);
    for (size_t i = 0; i < s->options->n_vocab; i++) {
        bool is_plain = s->tokens[i].type == TYPE_NORMAL;
        s->tokens[i].score = is_plain ? SCORE_UNMERGED : 0;
    }
    const struct json *merge = json_first(merges);
    for (uint32_t i = 0; rc == 0 && i < merges->n_children; i++, merge = json_next(merge)) {
        rc = join_merge(s, merge, STR(""), &text);
        struct token *t = rc == 0 ? find_token(s, strbuf_str(&text)) : NULL;
        if (rc == 0 && !t) {
            rc = bad(s, "model.merges makes a token that model.vocab has not");
        } else if (t && t->score == SCORE_UNMERGED) {
            t->score = -1.0f - (float)i;
        }
    }
    strbuf_deinit(&text);
    return rc;
}

static void write_tokens(const struct source *s)
{
    size_t n = s->options->n_vocab;
    gguf_write_array(s->w, "tokenizer.ggml.tokens", GGUF_STRING, n);
    for (size_t i = 0; i < n; i++) {
        char unused[32];
        snprintf(unused, sizeof(unused), "[PAD%zu]", i);
        gguf_write_item_str(s->w, s->tokens[i].text.ptr ? s->tokens[i].text : str_from(unused));
    }
    gguf_write_array(s->w, "tokenizer.ggml.token_type", GGUF_I32, n);
    for (size_t i = 0; i < n; i++) {
        gguf_write_item_i32(s->w, s->tokens[i].text.ptr ? s->tokens[i].type : TYPE_UNUSED);
    }
    if (s->has_scores) {
        gguf_write_array(s->w, "tokenizer.ggml.scores", GGUF_F32, n);
        for (size_t i = 0; i < n; i++) {
            gguf_write_item_f32(s->w, s->tokens[i].score);
        }
    }
}

static void write_special(const struct source *s, const char *key, struct str token)
{
    const struct token *t = token.ptr ? find_token(s, token) : NULL;
    if (t) {
        gguf_write_u32(s->w, key, (uint32_t)(t - s->tokens));
    }
}

static bool type_is(const struct json *v, struct str type)
{
    const struct json *name = v ? json_get(v, STR("type")) : NULL;
    return name && name->type == JSON_STRING && str_eq(name->text, type);
}

// Does the normalizer, or a step of it, have this type?
static bool normalizes_by(const struct source *s, struct str type)
{
    const struct json *v = json_get(s->root, STR("normalizer"));
    const struct json *list = type_is(v, STR("Sequence")) ? json_get(v, STR("normalizers")) : NULL;
    bool found = type_is(v, type);
    for (size_t i = 0; list && i < list->n_children; i++) {
        found = found || type_is(json_at(list, i), type);
    }
    return found;
}

static int write_pre(const struct source *s)
{
    const struct json *ignore = json_get(s->model, STR("ignore_merges"));
    bool ignores = ignore && ignore->type == JSON_BOOL && ignore->boolean;
    const struct json *pre = json_get(s->root, STR("pre_tokenizer"));
    const struct gguf_pre *row = gguf_pre_match(pre, normalizes_by(s, STR("NFC")), ignores);
    if (!row) {
        return err_set(s->err, -EOPNOTSUPP, "tokenizer.json: pre_tokenizer: GGUF has no name for this one");
    }
    gguf_write_str(s->w, "tokenizer.ggml.pre", str_from(row->names[0]));
    return 0;
}

static void write_rest(const struct source *s)
{
    const struct gguf_vocab_options *o = s->options;
    write_special(s, "tokenizer.ggml.bos_token_id", o->bos_token);
    write_special(s, "tokenizer.ggml.eos_token_id", o->eos_token);
    write_special(s, "tokenizer.ggml.unknown_token_id", o->unk_token);
    write_special(s, "tokenizer.ggml.padding_token_id", o->pad_token);
    gguf_write_bool(s->w, "tokenizer.ggml.add_bos_token", o->add_bos);
    gguf_write_bool(s->w, "tokenizer.ggml.add_eos_token", o->add_eos);
    if (s->has_scores) {
        gguf_write_bool(s->w, "tokenizer.ggml.add_space_prefix", normalizes_by(s, STR("Prepend")));
    }
    if (o->chat_template.ptr) {
        gguf_write_str(s->w, "tokenizer.chat_template", o->chat_template);
    }
    if (o->tool_template.ptr) {
        gguf_write_str(s->w, "tokenizer.chat_template.tool_use", o->tool_template);
    }
}

static int write_all(struct source *s)
{
    const struct json *merges = json_get(s->model, STR("merges")), *fallback = json_get(s->model, STR("byte_fallback"));
    if (!type_is(s->model, STR("BPE")) || !merges || merges->type != JSON_ARRAY) {
        const struct json *type = json_get(s->model, STR("type"));
        struct str name = type && type->type == JSON_STRING ? type->text : STR("none");
        return err_set(s->err, -EOPNOTSUPP, "tokenizer.json: model.type is %.*s: only BPE can be written",
                       STR_ARG(str_take(name, 40)));
    }
    s->has_scores = fallback && fallback->type == JSON_BOOL && fallback->boolean;
    gguf_write_str(s->w, "tokenizer.ggml.model", s->has_scores ? STR("llama") : STR("gpt2"));
    int rc = s->has_scores ? 0 : write_pre(s);
    rc = rc < 0 ? rc : take_vocab(s);
    rc = rc < 0 ? rc : take_added(s);
    if (rc == 0) {
        index_tokens(s);
        rc = s->has_scores ? take_scores(s, merges) : 0;
    }
    if (rc < 0) {
        return rc;
    }
    write_tokens(s);
    rc = s->has_scores ? 0 : write_merges(s, merges);
    write_rest(s);
    return rc;
}

int gguf_vocab_write(struct str tokenizer_json, const struct gguf_vocab_options *options, struct gguf_writer *w,
                     struct err *err)
{
    struct source s = { .options = options, .w = w, .err = err };
    struct arena arena;
    arena_init(&arena, 0);
    int rc = json_parse(&arena, tokenizer_json, &s.root, err);
    s.tokens = calloc(options->n_vocab + 1, sizeof(*s.tokens));
    s.by_text = calloc(options->n_vocab + 1, sizeof(struct token *));
    if (rc == 0) {
        s.model = json_get(s.root, STR("model"));
        rc = !s.tokens || !s.by_text ? err_set(err, -ENOMEM, "no memory for %zu tokens", options->n_vocab)
             : !s.model || s.model->type != JSON_OBJECT ? bad(&s, "model is not an object")
                                                        : write_all(&s);
    }
    free(s.tokens);
    free(s.by_text);
    arena_deinit(&arena);
    return rc;
}
