// Messages in the form that templates expect. Templates are written for string contents and for tool arguments that are
// objects (transformers documents both), while OpenAI's clients send parts and JSON inside a string; so those are
// rewritten, and everything else is passed as the client wrote it.
#include "engine/text/chat_rewrite.h"

#include <errno.h>

static bool message_is_plain(const struct json *message)
{
    const struct json *key = json_first(message);

    for (size_t i = 0; i < message->n_children; i++) {
        const struct json *value = json_next(key);

        if (value->type == JSON_NULL || value->type == JSON_ARRAY) {
            return false;
        }
        key = json_next(value);
    }
    return json_is_given(message, "content");
}

static void write_content(struct json_writer *w, struct strbuf *scratch, const struct json *content)
{
    const struct json *part = json_first(content);

    if (content->type == JSON_STRING) {
        json_write_str(w, content->text);
        return;
    }
    strbuf_reset(scratch);
    for (size_t i = 0; i < content->n_children; i++, part = json_next(part)) {
        const struct json *text = json_get(part, STR("text"));

        if (text == NULL) {
            text = json_get(part, STR("refusal"));
        }
        if (i > 0) {
            strbuf_append_byte(scratch, '\n');
        }
        strbuf_append(scratch, text->text);
    }
    if (scratch->error != 0) {
        w->out->error = scratch->error;
        return;
    }
    json_write_str(w, strbuf_str(scratch));
}

// JSON inside a string becomes the object that it spells; anything else stays what it was.
static void write_arguments(struct json_writer *w, struct arena *arena, const struct json *arguments)
{
    const struct json *parsed;

    if (arguments->type != JSON_STRING) {
        json_write_value(w, arguments);
    } else if (str_trim(arguments->text).len == 0) {
        json_write_raw(w, STR("{}"));
    } else if (json_parse(arena, arguments->text, &parsed, NULL) == 0 && parsed->type == JSON_OBJECT) {
        json_write_raw(w, parsed->text); // as it was written: chat_form may make it text again
    } else {
        json_write_str(w, arguments->text);
    }
}

// A key that need not be a C string.
static void write_key(struct json_writer *w, struct str key)
{
    json_write_str(w, key);
    strbuf_append_byte(w->out, ':');
    w->need_comma = false;
}

static void write_function(struct json_writer *w, struct arena *arena, const struct json *function)
{
    const struct json *key = json_first(function);

    json_write_object_begin(w);
    for (size_t i = 0; i < function->n_children; i++) {
        const struct json *value = json_next(key);

        write_key(w, key->text);
        if (str_eq(key->text, STR("arguments"))) {
            write_arguments(w, arena, value);
        } else {
            json_write_value(w, value);
        }
        key = json_next(value);
    }
    json_write_object_end(w);
}

static void write_tool_call(struct json_writer *w, struct arena *arena, const struct json *call)
{
    const struct json *key = json_first(call);

    json_write_object_begin(w);
    for (size_t i = 0; i < call->n_children; i++) {
        const struct json *value = json_next(key);

        write_key(w, key->text);
        if (str_eq(key->text, STR("function"))) {
            write_function(w, arena, value);
        } else {
            json_write_value(w, value);
        }
        key = json_next(value);
    }
    json_write_object_end(w);
}

static void write_member(struct json_writer *w, struct arena *arena, struct strbuf *scratch, struct str key,
                         const struct json *value)
{
    const struct json *call = json_first(value);

    write_key(w, key);
    if (str_eq(key, STR("content"))) {
        write_content(w, scratch, value);
    } else if (str_eq(key, STR("tool_calls"))) {
        json_write_array_begin(w);
        for (size_t i = 0; i < value->n_children; i++, call = json_next(call)) {
            write_tool_call(w, arena, call);
        }
        json_write_array_end(w);
    } else {
        json_write_value(w, value);
    }
}

static void write_message(struct json_writer *w, struct arena *arena, struct strbuf *scratch,
                          const struct json *message)
{
    const struct json *key = json_first(message);

    json_write_object_begin(w);
    for (size_t i = 0; i < message->n_children; i++) {
        const struct json *value = json_next(key);
        bool is_empty_list = value->type == JSON_ARRAY && value->n_children == 0;

        if (value->type != JSON_NULL && !is_empty_list) {
            write_member(w, arena, scratch, key->text, value);
        }
        key = json_next(value);
    }
    if (!json_is_given(message, "content")) {
        json_write_key(w, "content");
        json_write_cstr(w, "");
    }
    json_write_object_end(w);
}

static int write_all(struct field_ctx *ctx, const struct json *messages, const struct json **ret)
{
    struct strbuf text, scratch;
    struct json_writer w;
    const struct json *message = json_first(messages);
    struct str copy;
    int r;

    strbuf_init(&text, 0);
    strbuf_init(&scratch, 0);
    json_writer_init(&w, &text);
    json_write_array_begin(&w);
    for (size_t i = 0; i < messages->n_children; i++, message = json_next(message)) {
        write_message(&w, ctx->arena, &scratch, message);
    }
    json_write_array_end(&w);
    copy = text.error == 0 ? arena_copy(ctx->arena, strbuf_str(&text)) : (struct str){ 0 };
    strbuf_deinit(&scratch);
    strbuf_deinit(&text);
    if (copy.ptr == NULL) {
        return err_set(ctx->err, -ENOMEM, "Out of memory.");
    }
    r = json_parse(ctx->arena, copy, ret, ctx->err);
    return r == -EINVAL ? err_set_param(ctx->err, -EINVAL, "messages", "Invalid 'messages': nested too deeply.") : r;
}

int chat_messages_rewrite(struct field_ctx *ctx, const struct json *messages, const struct json **ret)
{
    const struct json *message = json_first(messages);
    bool is_plain = true;

    for (size_t i = 0; i < messages->n_children; i++, message = json_next(message)) {
        is_plain = is_plain && message_is_plain(message);
    }
    if (!is_plain) {
        return write_all(ctx, messages, ret);
    }
    *ret = messages;
    return 0;
}
