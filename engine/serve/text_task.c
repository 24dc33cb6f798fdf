// Tokenize, detokenize and apply-template: what the mount's files of these names answer.
//
// Pure functions of what is immutable after open. A task's memory is its own and bounded: the arena by the body's size,
// the result by the caller's limit. Its time: all conversations of a body share one bound on a template's steps.
#include "engine/serve/text_task.h"

#include "engine/base/utf8.h"
#include "engine/text/jinja/jinja.h"
#include "engine/text/text_request.h"
#include <errno.h>
#include <stdio.h>

#define ARENA_BYTES_PER_BODY_BYTE 64
#define ARENA_BYTES_BASE          (1u << 20)

int text_task_check_model(const char *served_name, struct str model, struct err *err)
{
    if (!model.ptr || str_eq(model, str_from(served_name))) {
        return 0;
    }
    return err_set_param(err, -ENOENT, "model", "model '%.*s' is not served here; '%s' is",
                         STR_ARG(str_take(model, 80)), served_name);
}

// ---- rendering ----------------------------------------------------------------------------------------------------

// A template and what it is given, for any number of conversations.
struct rendering {
    const struct chat_template *tmpl;
    struct chat_template *own; // compiled for this task; NULL: the model's is used
    struct chat_form form;
    struct chat_template_input input;
    uint64_t steps_left;
};

static void rendering_end(struct rendering *r)
{
    chat_template_free(r->own);
}

static int rendering_begin(const struct text_task_env *env, const struct template_options *options,
                           struct jinja_spans *spans, struct rendering *r, struct err *err)
{
    const struct chat_format *format = env->format;
    *r = (struct rendering){ .steps_left = JINJA_STEPS_MAX };
    if (options->source.ptr) {
        int rc = chat_template_compile(options->source, &r->own, err);
        if (rc < 0) {
            snprintf(err->param, sizeof(err->param), "chat_template");
            return err_prefix(err, "chat_template");
        }
    }
    r->tmpl = r->own ? r->own : options->tools && format->tool_tmpl ? format->tool_tmpl : format->tmpl;
    if (!r->tmpl) {
        return err_set_param(err, -EOPNOTSUPP, "chat_template", "the model has no chat template, and none was given");
    }
    r->form = r->own                         ? chat_form_probe(r->own)
              : r->tmpl == format->tool_tmpl ? format->tool_answer.form
                                             : format->answer.form;
    r->input = (struct chat_template_input){
        .tools = options->tools,
        .documents = options->documents,
        .extra = options->vars,
        .add_generation_prompt = options->add_generation_prompt,
        .continue_final_message = options->continue_final_message,
        .generation = spans,
        .steps_left = &r->steps_left,
    };
    chat_format_name_tokens(format, &r->input);
    return 0;
}

static int render(struct rendering *r, const struct json *messages, struct strbuf *out, struct err *err)
{
    struct arena arena;
    arena_init(&arena, 0);
    int rc = chat_form_apply(r->form, &arena, messages, &r->input.messages, err);
    rc = rc == 0 ? chat_template_render(r->tmpl, &r->input, out, err) : rc;
    arena_deinit(&arena);
    return rc;
}

// ---- tokenize -----------------------------------------------------------------------------------------------------

static int text_of_messages(const struct text_task_env *env, const struct tokenize_request *request, struct strbuf *out,
                            struct err *err)
{
    struct rendering r;
    int rc = rendering_begin(env, &request->options, NULL, &r, err);
    rc = rc == 0 ? render(&r, request->messages, out, err) : rc;
    rendering_end(&r);
    return rc;
}

// A token's bytes need not be whole characters: then they are told as numbers.
static void write_piece(struct json_writer *w, struct str bytes)
{
    if (utf8_valid_len(bytes) == bytes.len) {
        json_write_str(w, bytes);
        return;
    }
    json_write_array_begin(w);
    for (size_t i = 0; i < bytes.len; i++) {
        json_write_i64(w, (unsigned char)bytes.ptr[i]);
    }
    json_write_array_end(w);
}

static void write_token(struct json_writer *w, const struct tokenizer *tok, int32_t id, bool with_piece)
{
    if (!with_piece) {
        json_write_i64(w, id);
        return;
    }
    json_write_object_begin(w);
    json_write_key(w, "id");
    json_write_i64(w, id);
    json_write_key(w, "piece");
    write_piece(w, tokenizer_token_bytes(tok, id));
    json_write_object_end(w);
}

static void write_token_strings(struct json_writer *w, const struct tokenizer *tok, const struct token_ids *ids)
{
    json_write_array_begin(w);
    for (size_t i = 0; i < ids->len; i++) {
        struct str text = tokenizer_token_text(tok, ids->ids[i]);
        json_write_str(w, text.ptr ? text : STR(""));
    }
    json_write_array_end(w);
}

static void write_tokens(const struct text_task_env *env, const struct tokenize_request *request,
                         const struct token_ids *ids, struct strbuf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_write_object_begin(&w);
    json_write_key(&w, "count");
    json_write_u64(&w, ids->len);
    json_write_key(&w, "max_model_len");
    json_write_u64(&w, env->n_ctx);
    json_write_key(&w, "tokens");
    json_write_array_begin(&w);
    for (size_t i = 0; i < ids->len && !out->error; i++) {
        write_token(&w, env->tok, ids->ids[i], request->with_pieces);
    }
    json_write_array_end(&w);
    json_write_key(&w, "token_strs");
    if (request->return_strings) {
        write_token_strings(&w, env->tok, ids);
    } else {
        json_write_null(&w);
    }
    json_write_object_end(&w);
}

static int run_tokenize(const struct text_task_env *env, struct arena *arena, struct str body, struct strbuf *out,
                        struct err *err)
{
    struct tokenize_request request;
    struct token_ids ids = { 0 };
    struct strbuf rendered;
    strbuf_init(&rendered, 0);
    int rc = tokenize_request_parse(arena, body, &request, err);
    rc = rc == 0 ? text_task_check_model(env->served_name, request.model, err) : rc;
    if (rc == 0 && request.messages) {
        rc = text_of_messages(env, &request, &rendered, err);
        request.text = strbuf_str(&rendered);
    }
    if (rc == 0) {
        unsigned flags = request.add_special ? TOKENIZER_ADD_SPECIAL : 0;
        flags |= request.plain_special ? TOKENIZER_PLAIN_SPECIAL : 0;
        rc = tokenizer_encode(env->tok, request.text, flags, &ids, err);
    }
    if (rc == 0) {
        write_tokens(env, &request, &ids, out);
    }
    token_ids_deinit(&ids);
    strbuf_deinit(&rendered);
    return rc;
}

// ---- detokenize ---------------------------------------------------------------------------------------------------

static int take_ids(const struct json *tokens, struct token_ids *ret, struct err *err)
{
    const struct json *item = json_first(tokens);
    for (size_t i = 0; i < tokens->n_children; i++, item = json_next(item)) {
        int64_t id = 0;
        if (json_get_i64(item, &id) < 0 || token_ids_append(ret, (int32_t)id) < 0) {
            return err_set(err, -ENOMEM, "out of memory for %u tokens", (unsigned)tokens->n_children);
        }
    }
    return 0;
}

// Ids that do not exist are an error here: a client that sends them has another model in mind.
static int check_ids(const struct text_task_env *env, const struct token_ids *ids, struct err *err)
{
    for (size_t i = 0; i < ids->len; i++) {
        if (!tokenizer_token_text(env->tok, ids->ids[i]).ptr) {
            char param[sizeof(err->param)];
            snprintf(param, sizeof(param), "tokens[%zu]", i);
            return err_set_param(err, -EINVAL, param, "Invalid '%s': the model has no token %d.", param, ids->ids[i]);
        }
    }
    return 0;
}

static int run_detokenize(const struct text_task_env *env, struct arena *arena, struct str body, struct strbuf *out,
                          struct err *err)
{
    struct detokenize_request request;
    struct token_ids ids = { 0 };
    struct strbuf text;
    strbuf_init(&text, 0);
    int rc = detokenize_request_parse(arena, body, &request, err);
    rc = rc == 0 ? text_task_check_model(env->served_name, request.model, err) : rc;
    rc = rc == 0 ? take_ids(request.tokens, &ids, err) : rc;
    rc = rc == 0 ? check_ids(env, &ids, err) : rc;
    if (rc == 0 && tokenizer_decode(env->tok, ids.ids, ids.len, false, &text) < 0) {
        rc = err_set(err, -ENOMEM, "out of memory for the text");
    }
    if (rc == 0) {
        struct str decoded = text.len > 0 ? strbuf_str(&text) : STR("");
        struct json_writer w;
        json_writer_init(&w, out);
        json_write_object_begin(&w);
        json_write_key(&w, "prompt");
        json_write_str(&w, decoded);
        json_write_key(&w, "content");
        json_write_str(&w, decoded);
        json_write_object_end(&w);
    }
    token_ids_deinit(&ids);
    strbuf_deinit(&text);
    return rc;
}

// ---- apply-template -----------------------------------------------------------------------------------------------

static void write_spans(struct json_writer *w, const struct jinja_spans *spans)
{
    json_write_array_begin(w);
    for (size_t i = 0; i < spans->n; i++) {
        json_write_array_begin(w);
        json_write_u64(w, spans->items[i].start);
        json_write_u64(w, spans->items[i].end);
        json_write_array_end(w);
    }
    json_write_array_end(w);
}

// The renderings go to `out`, the places of their generation blocks to `indices` until the former are all written.
static int render_all(struct rendering *r, const struct template_request *request, struct jinja_spans *spans,
                      struct json_writer *out, struct json_writer *indices, struct err *err)
{
    struct strbuf text;
    strbuf_init(&text, 0);
    const struct json *messages = json_first(request->conversations);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < request->conversations->n_children; i++, messages = json_next(messages)) {
        strbuf_reset(&text);
        spans->n = 0;
        rc = render(r, messages, &text, err);
        if (rc < 0) {
            err_prefix(err, "conversations[%zu]", i);
        } else {
            json_write_str(out, text.len > 0 ? strbuf_str(&text) : STR(""));
            rc = out->out->error;
        }
        if (rc == 0 && request->return_spans) {
            write_spans(indices, spans);
        }
    }
    strbuf_deinit(&text);
    return rc;
}

static int render_conversations(const struct text_task_env *env, const struct template_request *request,
                                struct strbuf *out, struct err *err)
{
    struct jinja_spans spans = { 0 };
    struct json_writer w, indices;
    struct strbuf indices_text;
    struct rendering r;
    strbuf_init(&indices_text, TEXT_RESULT_BYTES_MAX);
    json_writer_init(&w, out);
    json_writer_init(&indices, &indices_text);
    int rc = rendering_begin(env, &request->options, request->return_spans ? &spans : NULL, &r, err);
    if (rc == 0) {
        json_write_object_begin(&w);
        json_write_key(&w, "rendered_chats");
        json_write_array_begin(&w);
        json_write_array_begin(&indices);
        rc = render_all(&r, request, &spans, &w, &indices, err);
        json_write_array_end(&indices);
        json_write_array_end(&w);
        json_write_key(&w, "generation_indices");
        json_write_raw(&w, strbuf_str(&indices_text));
        json_write_object_end(&w);
    }
    rendering_end(&r);
    jinja_spans_deinit(&spans);
    out->error = out->error ? out->error : indices_text.error;
    strbuf_deinit(&indices_text);
    return rc;
}

// llama-server's form: a chat request, and what the model would read.
static int render_chat(const struct text_task_env *env, struct arena *arena, struct str body, struct strbuf *out,
                       struct err *err)
{
    struct chat_request request;
    struct strbuf text;
    strbuf_init(&text, 0);
    int rc = chat_request_parse(arena, body, &env->format->sampling, &request, err);
    rc = rc == 0 ? text_task_check_model(env->served_name, request.common.model, err) : rc;
    rc = rc == 0 ? chat_format_render(env->format, &request, &text, err) : rc;
    if (rc == 0) {
        struct json_writer w;
        json_writer_init(&w, out);
        json_write_object_begin(&w);
        json_write_key(&w, "prompt");
        json_write_str(&w, text.len > 0 ? strbuf_str(&text) : STR(""));
        json_write_object_end(&w);
    }
    strbuf_deinit(&text);
    return rc;
}

static int run_template(const struct text_task_env *env, struct arena *arena, struct str body, struct strbuf *out,
                        struct err *err)
{
    struct template_request request;
    bool is_chat;
    int rc = template_request_parse(arena, body, &request, &is_chat, err);
    if (rc == 0 && is_chat) {
        return render_chat(env, arena, body, out, err);
    }
    rc = rc == 0 ? text_task_check_model(env->served_name, request.model, err) : rc;
    return rc == 0 ? render_conversations(env, &request, out, err) : rc;
}

// ---- all kinds ----------------------------------------------------------------------------------------------------

int text_task_run(const struct text_task_env *env, enum tokfs_text_kind kind, struct str body, struct strbuf *out,
                  struct err *err)
{
    static int (*const kinds[])(const struct text_task_env *, struct arena *, struct str, struct strbuf *,
                                struct err *) = {
        [TOKFS_TEXT_TOKENIZE] = run_tokenize,
        [TOKFS_TEXT_DETOKENIZE] = run_detokenize,
        [TOKFS_TEXT_APPLY_TEMPLATE] = run_template,
    };
    struct arena arena;
    arena_init(&arena, ARENA_BYTES_BASE + 2 * ARENA_BYTES_PER_BODY_BYTE * body.len); // a chat body is parsed twice
    int rc = kinds[kind](env, &arena, body, out, err);
    arena_deinit(&arena);
    if (out->error == -EFBIG && (rc == 0 || rc == -EFBIG)) {
        rc = err_set(err, -E2BIG, "the result is longer than %zu MiB", TEXT_RESULT_BYTES_MAX >> 20);
    } else if (out->error && (rc == 0 || rc == out->error)) {
        rc = err_set(err, -ENOMEM, "out of memory for the result");
    }
    return rc;
}
