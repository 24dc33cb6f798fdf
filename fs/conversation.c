// Composition of request bodies. JSON that users wrote is kept as they wrote it (numbers, key order); it has been
// checked by the time it gets here, so that putting it together cannot make it ill formed.
#include "fs/conversation.h"
#include "engine/base/json.h"
#include <errno.h>
#include <stdlib.h>
#include <tokfs/openai.h>

void conversation_init(struct conversation *c, size_t setting_bytes_max)
{
    *c = (struct conversation){ 0 };
    strbuf_init(&c->messages, 0);
    strbuf_init(&c->system, setting_bytes_max);
    strbuf_init(&c->params, setting_bytes_max);
    strbuf_init(&c->tools, setting_bytes_max);
}

void conversation_deinit(struct conversation *c)
{
    strbuf_deinit(&c->messages);
    strbuf_deinit(&c->system);
    strbuf_deinit(&c->params);
    strbuf_deinit(&c->tools);
}

void conversation_input_init(struct conversation_input *input)
{
    *input = (struct conversation_input){ 0 };
    strbuf_init(&input->messages, 0);
    strbuf_init(&input->fields, 0);
    strbuf_init(&input->tools, 0);
}

void conversation_input_deinit(struct conversation_input *input)
{
    strbuf_deinit(&input->messages);
    strbuf_deinit(&input->fields);
    strbuf_deinit(&input->tools);
}

static void add_element(struct strbuf *list, size_t *n, struct str json)
{
    if ((*n)++ > 0) {
        strbuf_append_byte(list, ',');
    }
    strbuf_append(list, json);
}

static void add_message(struct strbuf *list, size_t *n, const char *role, struct str content)
{
    struct strbuf message;
    struct json_writer w;
    strbuf_init(&message, 0);
    json_writer_init(&w, &message);
    json_write_object_begin(&w);
    json_write_key(&w, "role");
    json_write_cstr(&w, role);
    json_write_key(&w, "content");
    json_write_str(&w, content);
    json_write_object_end(&w);
    if (message.error) {
        list->error = message.error;
    } else {
        add_element(list, n, strbuf_str(&message));
    }
    strbuf_deinit(&message);
}

int conversation_input_set_text(struct conversation_input *input, struct str text)
{
    add_message(&input->messages, &input->n_messages, "user", text);
    return input->messages.error;
}

// ---- JSON given by the user ----------------------------------------------------------------------------------------

static bool is_one_of(struct str name, const char *const *names)
{
    for (; *names; names++) {
        if (str_eq(name, str_from(*names))) {
            return true;
        }
    }
    return false;
}

struct members {
    const struct json **keys; // [n] each name once, with its last value
    uint32_t n, cap;
};

static int members_add(struct members *members, const struct json *key)
{
    for (uint32_t i = 0; i < members->n; i++) {
        if (str_eq(members->keys[i]->text, key->text)) {
            members->keys[i] = key;
            return 0;
        }
    }
    if (members->n == members->cap) {
        uint32_t cap = members->cap ? members->cap * 2 : 32;
        const struct json **keys = reallocarray(members->keys, cap, sizeof(const struct json *));
        if (!keys) {
            return -ENOMEM;
        }
        members->keys = keys;
        members->cap = cap;
    }
    members->keys[members->n++] = key;
    return 0;
}

// Members of `object` whose names are not in `except`, each the last one of its name. Names have been checked, so there
// are few, though a hostile body may have each of them 100,000 times.
static void write_members(struct json_writer *w, const struct json *object, const char *const *except,
                          const struct json *overriding)
{
    struct members members = { 0 };
    const struct json *key = object ? json_first(object) : NULL;
    for (uint32_t i = 0; object && i < object->n_children; i++, key = json_next(json_next(key))) {
        if (members_add(&members, key) < 0) {
            w->out->error = -ENOMEM;
        }
    }
    for (uint32_t i = 0; i < members.n; i++) {
        struct str name = members.keys[i]->text;
        if (!is_one_of(name, except) && !(overriding && json_get(overriding, name))) {
            json_write_key_str(w, name);
            json_write_value(w, json_next(members.keys[i]));
        }
    }
    free(members.keys);
}

static int split_body(struct conversation_input *input, const struct json *body)
{
    static const char *const others[] = { "messages", "tools", "stream", "stream_options", NULL };
    const struct json *messages = json_get(body, STR("messages"));
    const struct json *tools = json_get(body, STR("tools"));
    const struct json *message = json_first(messages);
    for (uint32_t i = 0; i < messages->n_children; i++, message = json_next(message)) {
        add_element(&input->messages, &input->n_messages, message->text);
    }
    if (tools && tools->type == JSON_ARRAY) {
        strbuf_append(&input->tools, tools->text);
    }
    struct json_writer w;
    json_writer_init(&w, &input->fields);
    json_write_object_begin(&w);
    write_members(&w, body, others, NULL);
    json_write_object_end(&w);
    return input->messages.error ? input->messages.error
           : input->tools.error  ? input->tools.error
                                 : input->fields.error;
}

int conversation_input_set_json(struct conversation_input *input, struct str json, struct tokfs_error *reason)
{
    struct arena arena;
    struct strbuf wrapped;
    struct err err = { 0 };
    const struct json *body = NULL;
    struct tokfs_request_info info;
    arena_init(&arena, 0);
    strbuf_init(&wrapped, 0);
    int r = json_parse(&arena, json, &body, &err);
    if (r == 0 && body->type == JSON_OBJECT && json_get(body, STR("role")) && !json_get(body, STR("messages"))) {
        strbuf_append(&wrapped, STR("{\"messages\":["));
        strbuf_append(&wrapped, json);
        strbuf_append(&wrapped, STR("]}"));
        json = strbuf_str(&wrapped);
        r = wrapped.error ? wrapped.error : json_parse(&arena, json, &body, &err);
    }
    if (r < 0) {
        if (err.code) {
            reason_from_err(reason, &err);
        } else {
            reason_set(reason, r, NULL, "out of memory");
        }
    } else {
        r = tokfs_request_check(json.ptr, json.len, &info, reason);
        if (r == 0 && info.n > 1) {
            r = reason_set(reason, -EOPNOTSUPP, "n",
                           "Unsupported value: 'n' must be 1: a conversation has one answer.");
        }
        if (r == 0) {
            r = split_body(input, body);
        }
    }
    strbuf_deinit(&wrapped);
    arena_deinit(&arena);
    return r;
}

// ---- bodies --------------------------------------------------------------------------------------------------------

static int parse_json(struct arena *arena, const struct strbuf *text, const struct json **ret)
{
    *ret = NULL;
    return text->len > 0 ? json_parse(arena, strbuf_str(text), ret, NULL) : 0;
}

static struct str without_line_end(struct str s)
{
    return s.len > 0 && s.ptr[s.len - 1] == '\n' ? str_take(s, s.len - 1) : s;
}

static void write_all_messages(const struct conversation *c, const struct conversation_input *input, struct strbuf *out)
{
    size_t n = 0;
    strbuf_append_byte(out, '[');
    if (c->system.len > 0) {
        add_message(out, &n, "system", without_line_end(strbuf_str(&c->system)));
    }
    if (c->n_messages > 0) {
        add_element(out, &n, strbuf_str(&c->messages));
    }
    if (input && input->n_messages > 0) {
        add_element(out, &n, strbuf_str(&input->messages));
    }
    strbuf_append_byte(out, ']');
}

int conversation_build(const struct conversation *c, const struct conversation_input *input, struct strbuf *out)
{
    static const char *const none[] = { NULL };
    const struct strbuf *tools = input->tools.len > 0 ? &input->tools : &c->tools;
    const struct json *params, *fields;
    struct json_writer w;
    struct arena arena;
    arena_init(&arena, 0);
    json_writer_init(&w, out);
    json_write_object_begin(&w);
    json_write_key(&w, "messages");
    write_all_messages(c, input, out);
    w.need_comma = true;
    int r = parse_json(&arena, &c->params, &params);
    if (r == 0) {
        r = parse_json(&arena, &input->fields, &fields);
    }
    if (r == 0) {
        write_members(&w, params, none, fields);
        write_members(&w, fields, none, NULL);
        if (tools->len > 0) {
            json_write_key(&w, "tools");
            json_write_raw(&w, strbuf_str(tools));
        }
        json_write_object_end(&w);
        r = out->error;
    }
    arena_deinit(&arena);
    return r;
}

int conversation_extend(struct conversation *c, const struct conversation_input *input, struct str message)
{
    if (input->n_messages > 0) {
        add_element(&c->messages, &c->n_messages, strbuf_str(&input->messages));
        c->n_messages += input->n_messages - 1;
    }
    add_element(&c->messages, &c->n_messages, message);
    return c->messages.error;
}

// Puts `text` into the place of `target`, which it gets, unless it failed.
static int take_over(struct strbuf *target, struct strbuf *text)
{
    if (text->error == 0) {
        struct strbuf old = *target;
        *target = *text;
        *text = old;
    }
    return text->error;
}

static int set_object(struct strbuf *target, const struct json *a, const struct json *b, const char *const *except)
{
    struct strbuf merged;
    struct json_writer w;
    strbuf_init(&merged, target->len_max);
    json_writer_init(&w, &merged);
    json_write_object_begin(&w);
    write_members(&w, a, except, b);
    write_members(&w, b, except, NULL);
    json_write_object_end(&w);
    int r = take_over(target, &merged);
    strbuf_deinit(&merged);
    return r;
}

static int merge_into_params(struct conversation *c, struct str update, const char *const *except)
{
    const struct json *old = NULL, *new = NULL;
    struct arena arena;
    arena_init(&arena, 0);
    int r = parse_json(&arena, &c->params, &old);
    if (r == 0) {
        r = json_parse(&arena, update, &new, NULL);
    }
    if (r == 0) {
        r = set_object(&c->params, old, new, except);
    }
    arena_deinit(&arena);
    return r;
}

int conversation_merge_params(struct conversation *c, struct str update)
{
    static const char *const none[] = { NULL };
    return merge_into_params(c, update, none);
}

static void write_elements(struct json_writer *w, const struct json *array)
{
    const struct json *element = array ? json_first(array) : NULL;
    for (uint32_t i = 0; array && i < array->n_children; i++, element = json_next(element)) {
        json_write_value(w, element);
    }
}

int conversation_add_tools(struct conversation *c, struct str tools)
{
    const struct json *old = NULL, *new = NULL;
    struct strbuf joined;
    struct json_writer w;
    struct arena arena;
    arena_init(&arena, 0);
    strbuf_init(&joined, c->tools.len_max);
    int r = parse_json(&arena, &c->tools, &old);
    if (r == 0) {
        r = json_parse(&arena, tools, &new, NULL);
    }
    if (r == 0) {
        json_writer_init(&w, &joined);
        json_write_array_begin(&w);
        write_elements(&w, old);
        write_elements(&w, new);
        json_write_array_end(&w);
        r = take_over(&c->tools, &joined);
    }
    strbuf_deinit(&joined);
    arena_deinit(&arena);
    return r;
}

int conversation_adopt_settings(struct conversation *c, const struct conversation_input *input)
{
    static const char *const not_kept[] = { "model", NULL };
    int r = input->fields.len > c->params.len_max ? -EFBIG : 0; // not to be read only to be found too long
    if (r < 0) {
        return r;
    }
    if (input->tools.len > 0) {
        strbuf_reset(&c->tools);
        r = strbuf_append(&c->tools, strbuf_str(&input->tools));
    }
    if (r == 0 && input->fields.len > 0) {
        r = merge_into_params(c, strbuf_str(&input->fields), not_kept);
    }
    return r;
}

void conversation_write_messages(const struct conversation *c, struct strbuf *out)
{
    write_all_messages(c, NULL, out);
    strbuf_append_byte(out, '\n');
}
