// Two tries over the tokens' bytes, one for each kind of text that is searched, and the walk that cuts a text by them.
//
// The walk mirrors the reference to the letter, because texts with odd neighbours of tokens depend on it: a match that
// is passed over (single_word, special) still consumes its text for the search; lstrip never reaches back into the
// stretch before; rstrip may reach over the next match, which then counts all the same.
#include "engine/text/added_tokens.h"

#include "engine/text/codepoint.h"
#include "engine/text/spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- trie ---------------------------------------------------------------------------------------------------------

static int32_t trie_child(const struct added_trie *trie, int32_t node, uint8_t byte)
{
    int32_t child = trie->nodes[node].first_child;
    while (child && trie->nodes[child].byte != byte) {
        child = trie->nodes[child].next_sibling;
    }
    return child;
}

static int32_t trie_add_child(struct added_trie *trie, int32_t node, uint8_t byte)
{
    struct added_trie_node *nodes = realloc(trie->nodes, (trie->n_nodes + 1) * sizeof *nodes);
    if (!nodes) {
        return -1;
    }
    trie->nodes = nodes;
    int32_t child = (int32_t)trie->n_nodes++;
    nodes[child] = (struct added_trie_node){ .next_sibling = nodes[node].first_child, .token = -1, .byte = byte };
    nodes[node].first_child = child;
    return child;
}

static int trie_init(struct added_trie *trie)
{
    *trie = (struct added_trie){ .n_nodes = 1, .only_first = -1 };
    trie->nodes = calloc(1, sizeof *trie->nodes);
    if (!trie->nodes) {
        return -ENOMEM;
    }
    trie->nodes[0].token = -1;
    return 0;
}

// 0, -ENOMEM, or -EEXIST when another token has the same text.
static int trie_add(struct added_trie *trie, struct str text, int32_t token)
{
    int32_t node = 0;
    for (size_t i = 0; i < text.len; i++) {
        int32_t child = trie_child(trie, node, (uint8_t)text.ptr[i]);
        child = child ? child : trie_add_child(trie, node, (uint8_t)text.ptr[i]);
        if (child < 0) {
            return -ENOMEM;
        }
        node = child;
    }
    if (trie->nodes[node].token >= 0) {
        return -EEXIST;
    }
    trie->nodes[node].token = token;
    return 0;
}

static void trie_finish(struct added_trie *trie)
{
    int n = 0;
    for (int32_t child = trie->nodes[0].first_child; child; child = trie->nodes[child].next_sibling, n++) {
        trie->first[trie->nodes[child].byte] = child;
        trie->only_first = n == 0 ? trie->nodes[child].byte : -1;
    }
}

// The longest token that begins at `at`: its index and end, or -1.
static int32_t trie_longest(const struct added_trie *trie, struct str text, size_t at, size_t *ret_end)
{
    int32_t found = -1;
    int32_t node = trie->first[(uint8_t)text.ptr[at]];
    while (node) {
        at++;
        if (trie->nodes[node].token >= 0) {
            found = trie->nodes[node].token;
            *ret_end = at;
        }
        node = at < text.len ? trie_child(trie, node, (uint8_t)text.ptr[at]) : 0;
    }
    return found;
}

static int32_t trie_find(const struct added_trie *trie, struct str text, size_t from, size_t *ret_start,
                         size_t *ret_end)
{
    for (size_t at = from; at < text.len; at++) {
        if (trie->only_first >= 0) {
            const char *p = memchr(text.ptr + at, trie->only_first, text.len - at);
            if (!p) {
                return -1;
            }
            at = (size_t)(p - text.ptr);
        } else if (!trie->first[(uint8_t)text.ptr[at]]) {
            continue;
        }
        int32_t token = trie_longest(trie, text, at, ret_end);
        if (token >= 0) {
            *ret_start = at;
            return token;
        }
    }
    return -1;
}

// ---- loading ------------------------------------------------------------------------------------------------------

// tokenizer.json says all of them; elsewhere what is not said is not so, but tokens that are not special are
// normalised.
static int load_flags(struct added_token *token, const struct json *spec, const char *where, enum spec_need need,
                      struct err *err)
{
    int r = spec_bool(spec, where, "single_word", need, &token->single_word, err);
    r = r ? r : spec_bool(spec, where, "lstrip", need, &token->lstrip, err);
    r = r ? r : spec_bool(spec, where, "rstrip", need, &token->rstrip, err);
    r = r ? r : spec_bool(spec, where, "special", need, &token->special, err);
    token->normalized = !token->special;
    return r ? r : spec_bool(spec, where, "normalized", need, &token->normalized, err);
}

// The token whose text this is, or -1.
static int32_t trie_get(const struct added_trie *trie, struct str text)
{
    int32_t node = 0;
    for (size_t i = 0; i < text.len; i++) {
        node = trie_child(trie, node, (uint8_t)text.ptr[i]);
        if (!node) {
            return -1;
        }
    }
    return trie->nodes[node].token;
}

// The content as searched for. The normaliser may need the whole text to be gone through, hence its scratch.
static int set_form(struct added_token *token, const struct normalizer *norm, struct normalizer_scratch *scratch)
{
    struct str form = token->content;
    bool keeps_start = true;
    int r = token->normalized ? normalizer_run(norm, scratch, token->content, &form, &keeps_start) : 0;
    if (r == 0) {
        token->form = (struct str){ str_dup(form), form.len };
        r = token->form.ptr ? 0 : -ENOMEM;
    }
    return r;
}

struct load {
    struct added_tokens *added;
    struct added_trie contents;
    const struct bpe *bpe;
    const struct normalizer *norm;
    struct normalizer_scratch *scratch;
    uint32_t next_id;
};

static int check_id(struct load *load, struct added_token *token, uint32_t file_id, const char *where, struct err *err)
{
    int32_t same = trie_get(&load->contents, token->content);
    int32_t model_id = vocab_map_find(&load->bpe->by_written, token->content);
    if (same >= 0) {
        token->id = load->added->tokens[same].id;
    } else if (model_id >= 0) {
        token->id = (uint32_t)model_id;
    } else {
        token->id = load->next_id++;
    }
    if (token->id != file_id) {
        return err_set(err, -EINVAL, "%s.id: %u, but \"%.*s\" has id %u (%s)", where, file_id, STR_ARG(token->content),
                       token->id, model_id >= 0 ? "model.vocab" : "the next one after the vocabulary");
    }
    return 0;
}

// A later entry of the same content replaces the earlier one's flags, but what was special stays special.
static int put_token(struct load *load, struct added_token token)
{
    struct added_tokens *added = load->added;
    int32_t same = trie_get(&load->contents, token.content);
    int r = 0;
    if (same >= 0) {
        token.special = token.special || added->tokens[same].special;
        token.content = added->tokens[same].content;
        free((char *)added->tokens[same].form.ptr);
    } else {
        token.content.ptr = str_dup(token.content);
        if (!token.content.ptr) {
            return -ENOMEM;
        }
        same = (int32_t)added->n_tokens++;
        r = trie_add(&load->contents, token.content, same);
    }
    added->tokens[same] = token;
    return r ? r : set_form(&added->tokens[same], load->norm, load->scratch);
}

static int load_token(struct load *load, const struct json *spec, uint32_t id, const char *where, enum spec_need need,
                      struct err *err)
{
    struct added_token token = { 0 };
    int r = spec_str(spec, where, "content", SPEC_REQUIRED, &token.content, err);
    r = r ? r : load_flags(&token, spec, where, need, err);
    if (r < 0 || token.content.len == 0) { // an empty token never matches: the reference leaves it out
        return r;
    }
    r = check_id(load, &token, id, where, err);
    return r ? r : put_token(load, token);
}

static int load_list(struct load *load, const struct json *list, struct err *err)
{
    const struct json *item = json_first(list);
    int r = 0;
    for (size_t i = 0; i < list->n_children && r == 0; i++, item = json_next(item)) {
        char where[SPEC_PATH_MAX];
        uint32_t id;
        snprintf(where, sizeof where, "added_tokens[%zu]", i);
        if (item->type != JSON_OBJECT) {
            return err_set(err, -EINVAL, "%s: object expected, %s found", where, json_type_name(item->type));
        }
        r = spec_u32(item, where, "id", SPEC_REQUIRED, &id, err);
        r = r ? r : load_token(load, item, id, where, SPEC_REQUIRED, err);
    }
    return r;
}

// ---- tokenizer_config.json ----------------------------------------------------------------------------------------

struct config_token {
    uint32_t id;
    const struct json *spec;
};

static int compare_config_tokens(const void *a, const void *b)
{
    const struct config_token *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

// {"100": {"content": "<s>", ...}, ...}, in the order of the ids.
static int load_decoder(struct load *load, const struct json *decoder, struct err *err)
{
    struct config_token *tokens = calloc(decoder->n_children + 1, sizeof *tokens);
    const struct json *key = json_first(decoder);
    int r = tokens ? 0 : -ENOMEM;
    for (size_t i = 0; i < decoder->n_children && r == 0; i++) {
        int64_t id;
        tokens[i].spec = json_next(key);
        if (str_parse_i64(key->text, &id) < 0 || id < 0 || id > VOCAB_ID_MAX || tokens[i].spec->type != JSON_OBJECT) {
            r = err_set(err, -EINVAL, "added_tokens_decoder[\"%.*s\"]: not a token by its id",
                        STR_ARG(str_take(key->text, 64)));
        } else {
            tokens[i].id = (uint32_t)id;
            key = json_next(tokens[i].spec);
        }
    }
    if (r == 0) {
        qsort(tokens, decoder->n_children, sizeof *tokens, compare_config_tokens);
    }
    for (size_t i = 0; i < decoder->n_children && r == 0; i++) {
        char where[SPEC_PATH_MAX];
        snprintf(where, sizeof where, "added_tokens_decoder[\"%u\"]", tokens[i].id);
        r = load_token(load, tokens[i].spec, tokens[i].id, where, SPEC_OPTIONAL, err);
    }
    free(tokens);
    return r;
}

// The text of a token, or {"content": text, ...}: special, unless it is an added token already. One that neither the
// vocabulary nor the added tokens know is left out: the reference gives it an id that the model was not made for.
static int load_named(struct load *load, const struct json *value, struct err *err)
{
    struct added_token token = { .special = true };
    bool is_object = value && value->type == JSON_OBJECT;
    if (!value || (!is_object && value->type != JSON_STRING)) { // not a token: the chat template's business
        return 0;
    }
    int r = is_object ? spec_str(value, "token", "content", SPEC_REQUIRED, &token.content, err) : 0;
    r = r || !is_object ? r : load_flags(&token, value, "token", SPEC_OPTIONAL, err);
    if (!is_object) {
        token.content = value->text;
    }
    int32_t same = r == 0 ? trie_get(&load->contents, token.content) : -1;
    int32_t id = r == 0 ? vocab_map_find(&load->bpe->by_written, token.content) : -1;
    if (r < 0 || same >= 0 || id < 0) {
        return r;
    }
    token.id = (uint32_t)id;
    token.special = true;
    return put_token(load, token);
}

static int load_config(struct load *load, const struct json *config, struct err *err)
{
    static const char *const names[] = { "bos_token", "eos_token", "unk_token", "sep_token",
                                         "pad_token", "cls_token", "mask_token" };
    static const char *const lists[] = { "additional_special_tokens", "extra_special_tokens" };
    const struct json *decoder = json_get(config, STR("added_tokens_decoder"));
    int r = decoder && decoder->type == JSON_OBJECT ? load_decoder(load, decoder, err) : 0;
    for (size_t i = 0; i < sizeof names / sizeof *names && r == 0; i++) {
        r = load_named(load, json_get(config, str_from(names[i])), err);
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const struct json *list = json_get(config, str_from(lists[i]));
        bool is_list = list && list->type == JSON_ARRAY;
        const struct json *item = is_list ? json_first(list) : NULL;
        for (size_t k = 0; is_list && k < list->n_children && r == 0; k++, item = json_next(item)) {
            r = load_named(load, item, err);
        }
    }
    return r;
}

// How many tokens a configuration can add at most.
static size_t config_n_tokens(const struct json *config)
{
    static const char *const members[] = { "added_tokens_decoder", "additional_special_tokens",
                                           "extra_special_tokens" };
    size_t n = 7; // named ones
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const struct json *member = json_get(config, str_from(members[i]));
        n += member && (member->type == JSON_OBJECT || member->type == JSON_ARRAY) ? member->n_children : 0;
    }
    return n;
}

// ---- tries --------------------------------------------------------------------------------------------------------

// Two tokens that are searched for by the same text: the reference takes one of them, another one each time it loads.
static int build_tries(struct added_tokens *added, struct err *err)
{
    int r = trie_init(&added->plain);
    r = r ? r : trie_init(&added->normalized);
    for (size_t i = 0; i < added->n_tokens && r == 0; i++) {
        struct added_token *token = &added->tokens[i];
        struct added_trie *trie = token->normalized ? &added->normalized : &added->plain;
        r = token->form.len == 0 ? -EINVAL : trie_add(trie, token->form, (int32_t)i);
        if (r == -EEXIST || r == -EINVAL) {
            return err_set(err, -EINVAL, "added_tokens: \"%.*s\" %s once it is normalised", STR_ARG(token->content),
                           r == -EEXIST ? "is the same as another token" : "is empty");
        }
    }
    if (r == 0) {
        trie_finish(&added->plain);
        trie_finish(&added->normalized);
    }
    return r;
}

static int load_tokens(struct load *load, const struct json *spec, const struct json *config, struct err *err)
{
    struct added_tokens *added = load->added;
    size_t n = (spec ? spec->n_children : 0) + (config ? config_n_tokens(config) : 0);
    added->tokens = calloc(n ? n : 1, sizeof *added->tokens);
    int r = added->tokens ? trie_init(&load->contents) : -ENOMEM;
    r = r || !spec ? r : load_list(load, spec, err);
    if (r == 0 && config) {
        r = load_config(load, config, err);
        r = r ? (err_prefix(err, "tokenizer_config.json"), r) : 0;
    }
    for (size_t i = 0; i < added->n_tokens && r == 0; i++) {
        int32_t same = trie_get(&load->contents, added->tokens[i].form);
        added->tokens[i].is_skippable = same >= 0 && added->tokens[same].special;
    }
    return r;
}

int added_tokens_init(struct added_tokens *added, const struct json *spec, const struct json *config,
                      const struct bpe *bpe, const struct normalizer *norm, struct normalizer_scratch *scratch,
                      const struct unicode_table *table, struct err *err)
{
    *added = (struct added_tokens){ .table = table };
    struct load load = { .added = added, .bpe = bpe, .norm = norm, .scratch = scratch };
    for (size_t id = 0; id < bpe->written.n_ids; id++) {
        load.next_id += vocab_table_has(&bpe->written, (int64_t)id);
    }
    int r = load_tokens(&load, spec, config, err);
    free(load.contents.nodes);
    r = r ? r : build_tries(added, err);
    if (r < 0) {
        added_tokens_deinit(added);
    }
    return r;
}

void added_tokens_deinit(struct added_tokens *added)
{
    for (size_t i = 0; i < added->n_tokens; i++) {
        free((char *)added->tokens[i].content.ptr);
        free((char *)added->tokens[i].form.ptr);
    }
    free(added->tokens);
    free(added->plain.nodes);
    free(added->normalized.nodes);
    *added = (struct added_tokens){ 0 };
}

// ---- the walk -----------------------------------------------------------------------------------------------------

// Start of the last character before `at`.
static size_t previous_char(struct str text, size_t at, uint32_t *ret)
{
    do {
        at--;
    } while (((uint8_t)text.ptr[at] & 0xc0) == 0x80);
    codepoint_next((const uint8_t *)text.ptr + at, ret);
    return at;
}

static bool is_single_word(const struct added_iter *iter, size_t start, size_t end)
{
    const struct unicode_table *table = iter->added->table;
    uint32_t c;
    if (start > 0) {
        previous_char(iter->text, start, &c);
        if (unicode_class(table, c) & UNICODE_IS_WORD) {
            return false;
        }
    }
    if (end < iter->text.len) {
        codepoint_next((const uint8_t *)iter->text.ptr + end, &c);
        if (unicode_class(table, c) & UNICODE_IS_WORD) {
            return false;
        }
    }
    return true;
}

static size_t spaces_before(const struct added_iter *iter, size_t at)
{
    uint32_t c;
    while (at > iter->done) {
        size_t previous = previous_char(iter->text, at, &c);
        if (!unicode_is_space(iter->added->table, c)) {
            break;
        }
        at = previous;
    }
    return at;
}

static size_t spaces_after(const struct added_iter *iter, size_t at)
{
    uint32_t c;
    while (at < iter->text.len) {
        size_t n = codepoint_next((const uint8_t *)iter->text.ptr + at, &c);
        if (!unicode_is_space(iter->added->table, c)) {
            break;
        }
        at += n;
    }
    return at;
}

// The next match that counts, with the white space that belongs to it.
static bool next_token(struct added_iter *iter, struct added_split *ret)
{
    size_t start, end;
    int32_t idx;
    while ((idx = trie_find(iter->trie, iter->text, iter->from, &start, &end)) >= 0) {
        const struct added_token *token = &iter->added->tokens[idx];
        iter->from = end;
        if ((iter->skip_special && token->special) || (token->single_word && !is_single_word(iter, start, end))) {
            continue;
        }
        if (token->lstrip) {
            size_t stripped = spaces_before(iter, start);
            start = stripped > iter->done ? stripped : iter->done;
        }
        if (start >= end) { // all of it went with the token before
            continue;
        }
        if (token->rstrip) {
            end = spaces_after(iter, end);
        }
        *ret = (struct added_split){ start, end, token };
        return true;
    }
    return false;
}

bool added_iter_next(struct added_iter *iter, struct added_split *ret)
{
    if (iter->pending.token) {
        *ret = iter->pending;
        iter->pending.token = NULL;
        iter->done = ret->end;
        return true;
    }
    struct added_split token;
    if (next_token(iter, &token)) {
        if (iter->done < token.start) {
            *ret = (struct added_split){ iter->done, token.start, NULL };
            iter->pending = token;
            return true;
        }
        *ret = token;
        iter->done = token.end;
        return true;
    }
    if (iter->done == iter->text.len) {
        return false;
    }
    *ret = (struct added_split){ iter->done, iter->text.len, NULL };
    iter->done = iter->text.len;
    return true;
}
