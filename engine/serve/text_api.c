// The C API of text.h: what a text thread does with a request until it has its tokens, without an engine.
#include "engine/cache/block_hash.h"
#include "engine/model/model.h"
#include "engine/serve/error.h"
#include "engine/serve/prompt.h"
#include "engine/serve/text_task.h"
#include "engine/text/generate_request.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tokfs/text.h>

#define ARENA_BYTES_PER_BODY_BYTE 64
#define ARENA_BYTES_BASE          (1u << 20)

struct tokfs_text {
    char *served_name;
    struct tokenizer *tok;
    struct chat_format format;
    struct prompt_limits limits;
};

// ---- open ----------------------------------------------------------------------------------------------------------

static char *name_of(const char *model, const char *served_name)
{
    if (served_name && served_name[0]) {
        return str_dup(str_from(served_name));
    }
    struct str dir = str_from(model);
    while (dir.len > 1 && dir.ptr[dir.len - 1] == '/') {
        dir.len--;
    }
    const char *slash = memrchr(dir.ptr, '/', dir.len);
    struct str name = slash && dir.len > 1 ? str_skip(dir, (size_t)(slash + 1 - dir.ptr)) : dir;
    bool is_file = str_ends_with(name, STR(".gguf")) && name.len > STR(".gguf").len;
    return str_dup(str_take(name, name.len - (is_file ? STR(".gguf").len : 0)));
}

// The engine's, unless it was told to hold less. Engines of others run models whose configuration says nothing here:
// what they take is theirs to say.
static struct prompt_limits read_limits(const char *model)
{
    struct model_config config;
    return model_config_read(model, &config, NULL) == 0 ? (struct prompt_limits){ config.n_ctx_max, config.n_vocab }
                                                        : (struct prompt_limits){ UINT32_MAX, UINT32_MAX };
}

int tokfs_text_open(const char *model, const char *served_name, struct tokfs_text **ret, struct tokfs_error *err)
{
    struct err why = { 0 };
    struct tokfs_text *text = calloc(1, sizeof(*text));
    int rc = text ? 0 : err_set(&why, -ENOMEM, "out of memory for a tokenizer");
    if (rc == 0) {
        text->served_name = name_of(model, served_name);
        rc = text->served_name ? tokenizer_open(model, &text->tok, &why)
                               : err_set(&why, -ENOMEM, "out of memory for a tokenizer");
    }
    rc = rc == 0 ? chat_format_load(model, &text->format, &why) : rc;
    if (rc < 0) {
        tokfs_text_close(text);
        return error_export(err, &why);
    }
    text->limits = read_limits(model);
    *ret = text;
    return 0;
}

void tokfs_text_close(struct tokfs_text *text)
{
    if (text) {
        chat_format_deinit(&text->format);
        tokenizer_free(text->tok);
        free(text->served_name);
        free(text);
    }
}

const char *tokfs_text_model(const struct tokfs_text *text)
{
    return text->served_name;
}

// ---- prompts -------------------------------------------------------------------------------------------------------

// Prompts as they are gathered: all tokens and all texts one after the other, whose places are known at the end.
struct gathered {
    struct token_ids ids;
    struct strbuf texts;        // each with its NUL
    struct tokfs_prompt *items; // [n]: lengths
    size_t n;
    struct str salt;   // cache_salt
    const char *param; // that they were in
};

static void gathered_deinit(struct gathered *g)
{
    token_ids_deinit(&g->ids);
    strbuf_deinit(&g->texts);
    free(g->items);
}

static int add_item(struct gathered *g, size_t n_tokens, struct str rendered, struct err *err)
{
    struct tokfs_prompt *items = reallocarray(g->items, g->n + 1, sizeof(*items));
    if (items) {
        g->items = items;
        items[g->n++] = (struct tokfs_prompt){ .n_tokens = n_tokens, .rendered_len = rendered.len };
    }
    if (rendered.ptr) {
        strbuf_append(&g->texts, rendered);
        strbuf_append_byte(&g->texts, '\0');
    }
    return items && !g->texts.error ? 0 : err_set(err, -ENOMEM, "out of memory for a prompt");
}

static int take_chat(const struct tokfs_text *text, struct arena *arena, struct str body, struct gathered *g,
                     struct err *err)
{
    struct chat_request request;
    struct strbuf rendered;
    strbuf_init(&rendered, 0);
    int rc = chat_request_parse(arena, body, &text->format.sampling, &request, err);
    rc = rc == 0 ? text_task_check_model(text->served_name, request.common.model, err) : rc;
    rc = rc == 0 ? prompt_of_chat(&text->format, text->tok, &request, &rendered, &g->ids, err) : rc;
    if (rc == 0) {
        g->salt = request.common.cache_salt;
        g->param = "messages";
        rc = add_item(g, g->ids.len, rendered.len > 0 ? strbuf_str(&rendered) : STR(""), err);
    }
    strbuf_deinit(&rendered);
    return rc;
}

static int take_plain(const struct tokfs_text *text, enum tokfs_prompt_kind kind, struct arena *arena, struct str body,
                      struct gathered *g, struct err *err)
{
    struct completion_request request;
    const struct json *prompt = NULL;
    int rc = kind == TOKFS_PROMPT_GENERATE
                 ? generate_request_parse(arena, body, &text->format.sampling, &request, err)
                 : completion_request_parse(arena, body, &text->format.sampling, &request, err);
    rc = rc == 0 ? text_task_check_model(text->served_name, request.common.model, err) : rc;
    g->salt = rc == 0 ? request.common.cache_salt : (struct str){ 0 };
    g->param = rc == 0 ? request.prompt_name : NULL;
    for (size_t i = 0; rc == 0 && i < request.prompts.n; i++) {
        size_t before = g->ids.len;
        prompt = prompts_next(&request.prompts, prompt);
        rc = prompt_of_completion(text->tok, &request, prompt, &g->ids, err);
        rc = rc == 0 ? add_item(g, g->ids.len - before, (struct str){ 0 }, err) : rc;
    }
    return rc;
}

// As the file apply-template answers it, and then cut into tokens as a rendered chat is.
static int take_template(const struct tokfs_text *text, struct str body, struct gathered *g, struct err *err)
{
    const struct text_task_env env = { text->tok, &text->format, text->served_name, 0 };
    const struct json *answer;
    struct arena arena;
    struct strbuf out;
    g->param = "conversations";
    arena_init(&arena, 0);
    strbuf_init(&out, TEXT_RESULT_BYTES_MAX);
    int rc = text_task_run(&env, TOKFS_TEXT_APPLY_TEMPLATE, body, &out, err);
    rc = rc == 0 ? json_parse(&arena, strbuf_str(&out), &answer, err) : rc;
    const struct json *chats = rc == 0 ? json_get(answer, STR("rendered_chats")) : NULL;
    const struct json *one = chats ? json_first(chats) : rc == 0 ? json_get(answer, STR("prompt")) : NULL;
    for (size_t i = 0, n = chats ? chats->n_children : 1; rc == 0 && i < n; i++, one = json_next(one)) {
        size_t before = g->ids.len;
        rc = tokenizer_encode(text->tok, one->text, 0, &g->ids, err);
        rc = rc == 0 ? add_item(g, g->ids.len - before, one->text, err) : rc;
    }
    strbuf_deinit(&out);
    arena_deinit(&arena);
    return rc;
}

static int take(const struct tokfs_text *text, enum tokfs_prompt_kind kind, struct str body, struct gathered *g,
                struct err *err)
{
    struct arena arena;
    arena_init(&arena, ARENA_BYTES_BASE + 2 * ARENA_BYTES_PER_BODY_BYTE * body.len);
    int rc = kind == TOKFS_PROMPT_CHAT       ? take_chat(text, &arena, body, g, err)
             : kind == TOKFS_PROMPT_TEMPLATE ? take_template(text, body, g, err)
                                             : take_plain(text, kind, &arena, body, g, err);
    g->salt.ptr = rc == 0 ? str_dup(g->salt) : NULL; // the arena has it
    if (rc == 0 && !g->salt.ptr) {
        rc = err_set(err, -ENOMEM, "out of memory for a prompt");
    }
    arena_deinit(&arena);
    return rc;
}

static int check(const struct prompt_limits *limits, const struct gathered *g, struct err *err)
{
    const int32_t *ids = g->ids.ids;
    int rc = 0;
    for (size_t i = 0; i < g->n && rc == 0; ids += g->items[i++].n_tokens) {
        char param[sizeof(err->param)];
        snprintf(param, sizeof(param), g->n > 1 ? "%s[%zu]" : "%s", g->param, i);
        rc = prompt_check(limits, ids, g->items[i].n_tokens, param, err);
    }
    return rc;
}

// A salt, behind the scope where there is one. 0 or -ENOMEM.
static int salt_of(struct str salt, uint64_t scope, uint64_t *ret)
{
    struct strbuf whole;
    strbuf_init(&whole, 0);
    if (scope) {
        strbuf_append(&whole, (struct str){ (const char *)&scope, sizeof(scope) });
    }
    strbuf_append(&whole, salt);
    *ret = block_hash_of_salt(strbuf_str(&whole));
    int rc = whole.error ? -ENOMEM : 0;
    strbuf_deinit(&whole);
    return rc;
}

int tokfs_prompts_salt(const struct tokfs_prompts *prompts, uint64_t scope, uint64_t *ret)
{
    return salt_of((struct str){ prompts->cache_salt, prompts->cache_salt_len }, scope, ret);
}

// Its salt is a copy of its own by now, or nothing.
static void hand_over(struct gathered *g, uint64_t salt, struct tokfs_prompts *ret)
{
    const int32_t *tokens = g->ids.ids;
    const char *rendered = g->texts.ptr;
    for (size_t i = 0; i < g->n; i++) {
        struct tokfs_prompt *item = &g->items[i];
        item->tokens = tokens;
        tokens += item->n_tokens;
        if (rendered) {
            item->rendered = rendered;
            rendered += item->rendered_len + 1;
        }
    }
    *ret = (struct tokfs_prompts){ .items = g->items,
                                   .n = g->n,
                                   .salt = salt,
                                   .tokens = g->ids.ids,
                                   .rendered = g->texts.ptr,
                                   .cache_salt = (char *)(uintptr_t)g->salt.ptr,
                                   .cache_salt_len = g->salt.len };
}

int tokfs_text_prompts(const struct tokfs_text *text, enum tokfs_prompt_kind kind, const char *json, size_t len,
                       uint64_t scope, struct tokfs_prompts *ret, struct tokfs_error *err)
{
    struct gathered g = { 0 };
    struct err why = { 0 };
    uint64_t salt = 0;
    strbuf_init(&g.texts, 0);
    int rc = take(text, kind, (struct str){ json, len }, &g, &why);
    if (rc == 0 && g.n == 0) {
        rc = err_set_param(&why, -EINVAL, "conversations", "there are no conversations");
    }
    rc = rc == 0 ? check(&text->limits, &g, &why) : rc;
    if (rc == 0 && salt_of(g.salt, scope, &salt) < 0) {
        rc = err_set(&why, -ENOMEM, "out of memory for a prompt");
    }
    if (rc < 0) {
        free((char *)(uintptr_t)g.salt.ptr);
        gathered_deinit(&g);
        return error_export(err, &why);
    }
    hand_over(&g, salt, ret);
    return 0;
}

int tokfs_text_tokens(const struct tokfs_text *text, const char *bytes, size_t len, struct tokfs_prompts *ret,
                      struct tokfs_error *err)
{
    struct gathered g = { 0 };
    struct err why = { 0 };
    strbuf_init(&g.texts, 0);
    int rc = tokenizer_encode(text->tok, (struct str){ bytes, len }, TOKENIZER_ADD_SPECIAL, &g.ids, &why);
    rc = rc == 0 ? add_item(&g, g.ids.len, (struct str){ 0 }, &why) : rc;
    if (rc < 0) {
        gathered_deinit(&g);
        return error_export(err, &why);
    }
    hand_over(&g, block_hash_of_salt(STR("")), ret);
    return 0;
}

void tokfs_prompts_deinit(struct tokfs_prompts *prompts)
{
    free((struct tokfs_prompt *)(uintptr_t)prompts->items);
    free(prompts->tokens);
    free(prompts->rendered);
    free(prompts->cache_salt);
    *prompts = (struct tokfs_prompts){ 0 };
}

// ---- blocks --------------------------------------------------------------------------------------------------------

size_t tokfs_text_blocks(const int32_t *tokens, size_t n_tokens, size_t block_tokens, uint64_t before,
                         uint64_t *ret_hashes)
{
    size_t n = n_tokens / block_tokens;
    for (size_t i = 0; i < n; i++) {
        before = ret_hashes[i] = block_hash(before, tokens + i * block_tokens, block_tokens);
    }
    return n;
}

uint64_t tokfs_text_salt(const char *bytes, size_t len)
{
    return block_hash_of_salt((struct str){ bytes, len });
}
