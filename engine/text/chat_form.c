// Finds and applies the form. A copy keeps everything else as it is written.
#include "engine/text/chat_form.h"

#include <errno.h>

// ---- apply ---------------------------------------------------------------------------------------------------------

static bool has_calls(const struct json *message)
{
    const struct json *calls = json_get(message, STR("tool_calls"));
    return calls && calls->type == JSON_ARRAY && calls->n_children > 0;
}

static void write_arguments(struct json_writer *w, const struct json *value)
{
    if (value->type == JSON_OBJECT) {
        json_write_str(w, value->text); // as it was written
    } else {
        json_write_value(w, value);
    }
}

// An object whose member `name` is written by `write`.
static void write_with(struct json_writer *w, const struct json *object, struct str name,
                       void (*write)(struct json_writer *, const struct json *))
{
    const struct json *key = json_first(object);
    json_write_object_begin(w);
    for (size_t i = 0; i < object->n_children; i++) {
        const struct json *value = json_next(key);
        json_write_key_str(w, key->text);
        (str_eq(key->text, name) ? write : json_write_value)(w, value);
        key = json_next(value);
    }
    json_write_object_end(w);
}

static void write_function(struct json_writer *w, const struct json *function)
{
    if (function->type == JSON_OBJECT) {
        write_with(w, function, STR("arguments"), write_arguments);
    } else {
        json_write_value(w, function);
    }
}

static void write_calls(struct json_writer *w, const struct json *calls)
{
    const struct json *call = json_first(calls);
    json_write_array_begin(w);
    for (size_t i = 0; i < calls->n_children; i++, call = json_next(call)) {
        if (call->type == JSON_OBJECT) {
            write_with(w, call, STR("function"), write_function);
        } else {
            json_write_value(w, call);
        }
    }
    json_write_array_end(w);
}

static void write_message(struct json_writer *w, const struct json *message, struct chat_form form)
{
    const struct json *key = json_first(message);
    json_write_object_begin(w);
    for (size_t i = 0; i < message->n_children; i++) {
        const struct json *value = json_next(key);
        bool is_empty = value->type == JSON_STRING && value->text.len == 0;
        json_write_key_str(w, key->text);
        if (form.null_content && is_empty && str_eq(key->text, STR("content"))) {
            json_write_null(w);
        } else if (form.text_arguments && str_eq(key->text, STR("tool_calls"))) {
            write_calls(w, value);
        } else {
            json_write_value(w, value);
        }
        key = json_next(value);
    }
    json_write_object_end(w);
}

static bool any_has_calls(const struct json *messages)
{
    const struct json *message = json_first(messages);
    for (size_t i = 0; i < messages->n_children; i++, message = json_next(message)) {
        if (has_calls(message)) {
            return true;
        }
    }
    return false;
}

int chat_form_apply(struct chat_form form, struct arena *arena, const struct json *messages, const struct json **ret,
                    struct err *err)
{
    struct strbuf text;
    struct json_writer w;
    *ret = messages;
    if ((!form.text_arguments && !form.null_content) || !any_has_calls(messages)) {
        return 0;
    }
    strbuf_init(&text, 0);
    json_writer_init(&w, &text);
    json_write_array_begin(&w);
    const struct json *message = json_first(messages);
    for (size_t i = 0; i < messages->n_children; i++, message = json_next(message)) {
        if (has_calls(message)) {
            write_message(&w, message, form);
        } else {
            json_write_value(&w, message);
        }
    }
    json_write_array_end(&w);
    struct str copy = text.error == 0 ? arena_copy(arena, strbuf_str(&text)) : (struct str){ 0 };
    strbuf_deinit(&text);
    return copy.ptr ? json_parse(arena, copy, ret, err) : err_set(err, -ENOMEM, "out of memory for a chat");
}

// ---- probe ---------------------------------------------------------------------------------------------------------

static const char probe_tools[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"probe_f\",\"description\":\"d\",\"parameters\":{\"type\":"
    "\"object\",\"properties\":{\"probe_key\":{\"type\":\"string\"}}}}}]";
static const char probe_messages[] =
    "[{\"role\":\"user\",\"content\":\"PROBE\"},{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":"
    "\"probe0000\",\"type\":\"function\",\"function\":{\"name\":\"probe_f\",\"arguments\":{\"probe_key\":"
    "\"probe_value\"}}}]}]";

// Whether the call is there, neither as Python shows a dictionary nor as JSON shows a string.
static bool shows_call(struct str rendered)
{
    ptrdiff_t at = str_find(rendered, STR("PROBE"));
    struct str shown = str_skip(rendered, at < 0 ? rendered.len : (size_t)at);
    return str_find(shown, STR("probe_f")) >= 0 && str_find(shown, STR("probe_key")) >= 0 &&
           str_find(shown, STR("probe_value")) >= 0 && str_find(shown, STR("'probe_key'")) < 0 &&
           str_find(shown, STR("\\\"probe_key")) < 0;
}

static bool works(const struct chat_template *tmpl, struct chat_form form, struct arena *arena, struct strbuf *out)
{
    struct chat_template_input input = { .bos_token = STR("<s>"), .eos_token = STR("</s>") };
    const struct json *messages;
    struct err err = { 0 };
    strbuf_reset(out);
    return json_parse(arena, str_from(probe_tools), &input.tools, &err) == 0 &&
           json_parse(arena, str_from(probe_messages), &messages, &err) == 0 &&
           chat_form_apply(form, arena, messages, &input.messages, &err) == 0 &&
           chat_template_render(tmpl, &input, out, &err) == 0 && shows_call(strbuf_str(out));
}

struct chat_form chat_form_probe(const struct chat_template *tmpl)
{
    static const struct chat_form forms[] = { { false, false }, { true, false }, { false, true }, { true, true } };
    struct arena arena;
    struct strbuf out;
    size_t i = 0;
    arena_init(&arena, 0);
    strbuf_init(&out, 0);
    while (i < 4 && !works(tmpl, forms[i], &arena, &out)) {
        i++;
    }
    strbuf_deinit(&out);
    arena_deinit(&arena);
    return forms[i % 4];
}
