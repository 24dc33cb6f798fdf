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

static int load_flags(struct added_token *token, const struct json *spec, const char *where, struct err *err)
{
    int r = spec_bool(spec, where, "single_word", SPEC_REQUIRED, &token->single_word, err);
    r = r ? r : spec_bool(spec, where, "lstrip", SPEC_REQUIRED, &token->lstrip, err);
    r = r ? r : spec_bool(spec, where, "rstrip", SPEC_REQUIRED, &token->rstrip, err);
    r = r ? r : spec_bool(spec, where, "normalized", SPEC_REQUIRED, &token->normalized, err);
    return r ? r : spec_bool(spec, where, "special", SPEC_REQUIRED, &token->special, err);
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

static int add_token(struct load *load, const struct json *spec, const char *where, struct err *err)
{
    struct added_tokens *added = load->added;
    struct added_token token = { 0 };
    struct str content;
    uint32_t file_id;
    if (spec->type != JSON_OBJECT) {
        return err_set(err, -EINVAL, "%s: object expected, %s found", where, json_type_name(spec->type));
    }
    int r = spec_u32(spec, where, "id", SPEC_REQUIRED, &file_id, err);
    r = r ? r : spec_str(spec, where, "content", SPEC_REQUIRED, &content, err);
    r = r ? r : load_flags(&token, spec, where, err);
    if (r < 0 || content.len == 0) { // an empty token never matches: the reference leaves it out
        return r;
    }
    token.content = content;
    r = check_id(load, &token, file_id, where, err);
    if (r < 0) {
        return r;
    }
    int32_t same = trie_get(&load->contents, content);
    if (same >= 0) { // a later entry of the same content replaces the earlier one's flags
        token.content = added->tokens[same].content;
        token.form = (struct str){ NULL, 0 };
        free((char *)added->tokens[same].form.ptr);
    } else {
        token.content.ptr = str_dup(content);
        if (!token.content.ptr) {
            return -ENOMEM;
        }
        same = (int32_t)added->n_tokens++;
        r = trie_add(&load->contents, token.content, same);
    }
    added->tokens[same] = token;
    return r ? r : set_form(&added->tokens[same], load->norm, load->scratch);
}

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

static int load_tokens(struct load *load, const struct json *spec, struct err *err)
{
    struct added_tokens *added = load->added;
    size_t n = spec ? spec->n_children : 0;
    added->tokens = calloc(n ? n : 1, sizeof *added->tokens);
    int r = added->tokens ? trie_init(&load->contents) : -ENOMEM;
    const struct json *item = spec ? json_first(spec) : NULL;
    for (size_t i = 0; i < n && r == 0; i++, item = json_next(item)) {
        char where[SPEC_PATH_MAX];
        snprintf(where, sizeof where, "added_tokens[%zu]", i);
        r = add_token(load, item, where, err);
    }
    for (size_t i = 0; i < added->n_tokens && r == 0; i++) {
        int32_t same = trie_get(&load->contents, added->tokens[i].form);
        added->tokens[i].is_skippable = same >= 0 && added->tokens[same].special;
    }
    return r;
}

int added_tokens_init(struct added_tokens *added, const struct json *spec, const struct bpe *bpe,
                      const struct normalizer *norm, struct normalizer_scratch *scratch,
                      const struct unicode_table *table, struct err *err)
{
    *added = (struct added_tokens){ .table = table };
    struct load load = { .added = added, .bpe = bpe, .norm = norm, .scratch = scratch };
    for (size_t id = 0; id < bpe->written.n_ids; id++) {
        load.next_id += vocab_table_has(&bpe->written, (int64_t)id);
    }
    int r = load_tokens(&load, spec, err);
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
