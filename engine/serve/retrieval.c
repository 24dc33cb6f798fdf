// Members as the router of slime gives them, which keeps texts in a tree of its own; `cached` is this cache's.
#include "engine/serve/retrieval.h"

#include "engine/base/json.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_BYTES_PER_BODY_BYTE 64
#define ARENA_BYTES_BASE          (1u << 20)
#define LOOKS_MAX                 250000     // of one request: others wait for the engine thread meanwhile
#define LOGPROB_MIN               (-9999.0f) // as the API tells no chance at all

void retrieval_free(struct retrieval *retrieval)
{
    if (retrieval) {
        token_ids_deinit(&retrieval->tokens);
        free(retrieval->held);
        for (size_t i = 0; retrieval->items && i < retrieval->n_items; i++) {
            free(retrieval->items[i].said);
            free(retrieval->items[i].said_held);
        }
        free(retrieval->items);
        token_ids_deinit(&retrieval->first);
        free(retrieval->scratch);
        free((char *)retrieval->cache_salt.ptr);
        strbuf_deinit(&retrieval->texts);
        free(retrieval);
    }
}

// ---- tokens -------------------------------------------------------------------------------------------------------

static int take_ids(const struct text_task_env *env, const struct json *ids, const char *path, struct token_ids *ret,
                    struct err *err)
{
    const struct json *item = json_first(ids);
    for (size_t i = 0; i < ids->n_children; i++, item = json_next(item)) {
        int64_t id = 0;
        json_get_i64(item, &id); // checked
        if (!tokenizer_token_text(env->tok, (int32_t)id).ptr) {
            char param[sizeof(err->param)];
            snprintf(param, sizeof(param), "%s[%zu]", path, i);
            return err_set_param(err, -EINVAL, param, "Invalid '%s': the model has no token %d.", param, (int32_t)id);
        }
        if (token_ids_append(ret, (int32_t)id) < 0) {
            return err_set(err, -ENOMEM, "out of memory for %u tokens", (unsigned)ids->n_children);
        }
    }
    return 0;
}

static int take_tokens(const struct text_task_env *env, const struct retrieve_request *request, const struct json *item,
                       struct retrieval *r, struct err *err)
{
    size_t first = r->tokens.len;
    char path[32];
    if (item->type == JSON_STRING) {
        strbuf_append(&r->texts, item->text);
        return tokenizer_encode(env->tok, item->text, request->add_special_tokens ? TOKENIZER_ADD_SPECIAL : 0,
                                &r->tokens, err);
    }
    snprintf(path, sizeof(path), r->is_list ? "%s[%zu]" : "%s", request->prompt_name, r->n_items);
    int rc = take_ids(env, item, path, &r->tokens, err);
    if (rc == 0) {
        tokenizer_decode(env->tok, r->tokens.ids + first, r->tokens.len - first, false, &r->texts);
    }
    return rc;
}

static int take_item(const struct text_task_env *env, const struct retrieve_request *request, const struct json *item,
                     struct retrieval *r, struct err *err)
{
    size_t first = r->tokens.len, text_first = r->texts.len;
    int rc = take_tokens(env, request, item, r, err);
    if (rc == 0 && r->tokens.len > UINT32_MAX) {
        rc = err_set_param(err, -E2BIG, request->prompt_name, "the texts have %zu tokens", r->tokens.len);
    }
    if (rc == 0 && r->texts.error) {
        rc = err_set(err, -ENOMEM, "out of memory for the texts");
    }
    r->items[r->n_items++] = (struct retrieved){ .first = (uint32_t)first,
                                                 .n = (uint32_t)(r->tokens.len - first),
                                                 .text_first = text_first,
                                                 .text_len = r->texts.len - text_first };
    return rc;
}

// Room for what texts may have been said in, and the tokens that stand before them.
static int make_room(struct retrieval *r, const struct retrieve_request *request, struct err *err)
{
    size_t n_most = 0;
    int rc = request->add_special_tokens ? tokenizer_encode(r->tok, STR(""), TOKENIZER_ADD_SPECIAL, &r->first, err) : 0;
    for (size_t i = 0; i < r->n_items && rc == 0; i++) {
        struct retrieved *item = &r->items[i];
        size_t n = r->first.len + item->text_len + 1;
        item->said = malloc(n * sizeof(*item->said));
        item->said_held = malloc(n * sizeof(*item->said_held));
        n_most = n > n_most ? n : n_most;
        rc = item->said && item->said_held ? 0 : err_set(err, -ENOMEM, "out of memory for a text");
    }
    r->scratch = rc == 0 ? malloc(n_most * sizeof(*r->scratch)) : NULL;
    return rc == 0 && !r->scratch ? err_set(err, -ENOMEM, "out of memory for a text") : rc;
}

static int take_items(const struct text_task_env *env, const struct retrieve_request *request, struct retrieval *r,
                      struct err *err)
{
    const struct json *item = NULL;
    char *salt = str_dup(request->cache_salt);
    int rc = 0;
    r->tok = env->tok;
    r->is_list = request->prompts.is_list;
    r->cache_salt = (struct str){ salt, request->cache_salt.len };
    r->items = calloc(request->prompts.n, sizeof(*r->items));
    if (!r->items || !salt) {
        return err_set(err, -ENOMEM, "out of memory for a request");
    }
    for (size_t i = 0; i < request->prompts.n && rc == 0; i++) {
        item = prompts_next(&request->prompts, item);
        rc = take_item(env, request, item, r, err);
    }
    if (rc == 0 && str_eq(str_from(request->prompt_name), STR("text"))) {
        rc = make_room(r, request, err);
    }
    r->held = rc == 0 ? calloc(r->tokens.len + 1, sizeof(*r->held)) : NULL;
    return rc == 0 && !r->held ? err_set(err, -ENOMEM, "out of memory for %zu tokens", r->tokens.len) : rc;
}

int retrieval_new(const struct text_task_env *env, struct str body, struct retrieval **ret, struct err *err)
{
    struct retrieve_request request;
    struct arena arena;
    *ret = calloc(1, sizeof(**ret));
    if (!*ret) {
        return err_set(err, -ENOMEM, "out of memory for a request");
    }
    strbuf_init(&(*ret)->texts, 0);
    arena_init(&arena, ARENA_BYTES_BASE + ARENA_BYTES_PER_BODY_BYTE * body.len);
    int rc = retrieve_request_parse(&arena, body, &request, err);
    rc = rc == 0 ? text_task_check_model(env->served_name, request.model, err) : rc;
    rc = rc == 0 ? take_items(env, &request, *ret, err) : rc;
    arena_deinit(&arena);
    return rc;
}

// ---- the cache ----------------------------------------------------------------------------------------------------

static struct str bytes_of(void *ctx, int32_t token)
{
    return tokenizer_token_bytes(ctx, token);
}

static uint32_t count_known(const float *held, uint32_t n)
{
    uint32_t n_known = 0;
    for (uint32_t i = 0; i < n; i++) {
        n_known += radix_held_is_known(held[i]);
    }
    return n_known;
}

// In the tokens that it was said in, where more is known of those, or the others are not cached to the end.
static void look_up_text(struct retrieval *r, struct retrieved *item, const struct radix *radix, uint32_t root,
                         uint32_t *looks_left)
{
    const struct radix_text text = { .text =
                                         str_take(str_skip(strbuf_str(&r->texts), item->text_first), item->text_len),
                                     .first = r->first.ids,
                                     .n_first = (uint32_t)r->first.len,
                                     .bytes = bytes_of,
                                     .ctx = (void *)r->tok,
                                     .looks_left = looks_left };
    uint32_t n_known = count_known(r->held + item->first, item->n);
    uint32_t n = radix_find_text(radix, root, &text, r->scratch, item->said, item->said_held);
    uint32_t n_cached = n > 0 ? radix_find_logprobs(radix, root, item->said, n, item->said_held) : 0;
    if (n > 0 && (count_known(item->said_held, n) > n_known || item->n_cached + 1 < item->n)) {
        item->n_said = n;
        item->n_cached = n_cached;
    }
}

void retrieval_look_up(struct retrieval *retrieval, const struct radix *radix, uint32_t root)
{
    uint32_t looks_left = LOOKS_MAX;
    for (size_t i = 0; i < retrieval->n_items && root != 0; i++) {
        struct retrieved *item = &retrieval->items[i];
        item->n_cached = radix_find_logprobs(radix, root, retrieval->tokens.ids + item->first, item->n,
                                             retrieval->held + item->first);
        if (item->said) {
            look_up_text(retrieval, item, radix, root, &looks_left);
        }
    }
    retrieval->is_looked_up = true;
}

// ---- the answer ---------------------------------------------------------------------------------------------------

static void write_count(struct json_writer *w, const char *key, size_t n)
{
    json_write_key(w, key);
    json_write_u64(w, n);
}

static void write_logprobs(struct json_writer *w, const float *held, size_t n)
{
    json_write_key(w, "rollout_logp");
    json_write_array_begin(w);
    for (size_t i = 0; i < n; i++) {
        float logprob = held[i] > 0 ? -held[i] : held[i];
        if (radix_held_is_known(held[i])) {
            json_write_double(w, (double)(logprob < LOGPROB_MIN ? LOGPROB_MIN : logprob) + 0.0); // no -0
        } else {
            json_write_null(w);
        }
    }
    json_write_array_end(w);
}

// What the model said, as far as is known.
static void write_mask(struct json_writer *w, const float *held, size_t n)
{
    json_write_key(w, "loss_mask");
    json_write_array_begin(w);
    for (size_t i = 0; i < n; i++) {
        json_write_i64(w, signbit(held[i]) != 0);
    }
    json_write_array_end(w);
}

static void write_item(struct json_writer *w, const struct retrieval *r, const struct retrieved *item)
{
    const float *held = item->n_said > 0 ? item->said_held : r->held + item->first;
    const int32_t *tokens = item->n_said > 0 ? item->said : r->tokens.ids + item->first;
    uint32_t n = item->n_said > 0 ? item->n_said : item->n;
    json_write_object_begin(w);
    json_write_key(w, "tokens");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < n; i++) {
        json_write_i64(w, tokens[i]);
    }
    json_write_array_end(w);
    json_write_key(w, "response");
    json_write_str(w, str_take(str_skip(strbuf_str(&r->texts), item->text_first), item->text_len));
    write_mask(w, held, n);
    write_count(w, "token_length", n);
    write_count(w, "loss_mask_length", n);
    write_logprobs(w, held, n);
    write_count(w, "cached", item->n_cached);
    json_write_object_end(w);
}

int retrieval_write(const struct retrieval *retrieval, struct strbuf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    if (retrieval->is_list) {
        json_write_array_begin(&w);
    }
    for (size_t i = 0; i < retrieval->n_items; i++) {
        write_item(&w, retrieval, &retrieval->items[i]);
    }
    if (retrieval->is_list) {
        json_write_array_end(&w);
    }
    return out->error;
}
