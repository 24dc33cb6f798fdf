// Chat templates: the Jinja engine in the environment of transformers' apply_chat_template.
//
// What that function does around the rendering is done here: the variables it passes, and for continue_final_message
// the cut after the last message's content.
#include "engine/text/chat_template.h"

#include "engine/text/jinja/jinja.h"
#include "engine/text/jinja/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct chat_template {
    struct jinja_template *jinja;
    char *source;
    size_t source_len;
    bool knows_developer; // the role is named in the source
};

int chat_template_compile(struct str source, struct chat_template **ret, struct err *err)
{
    static const struct jinja_options options = { .trim_blocks = true, .lstrip_blocks = true };
    struct chat_template *tmpl = calloc(1, sizeof(*tmpl));
    int r;

    if (tmpl == NULL) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    tmpl->source = str_dup(source);
    tmpl->source_len = source.len;
    r = tmpl->source == NULL ? err_set(err, -ENOMEM, "out of memory")
                             : jinja_compile(source, &options, &tmpl->jinja, err);
    if (r < 0) {
        chat_template_free(tmpl);
        return r;
    }
    tmpl->knows_developer = str_find(source, STR("developer")) >= 0;
    *ret = tmpl;
    return 0;
}

void chat_template_free(struct chat_template *tmpl)
{
    if (tmpl == NULL) {
        return;
    }
    jinja_free(tmpl->jinja);
    free(tmpl->source);
    free(tmpl);
}

struct str chat_template_source(const struct chat_template *tmpl)
{
    return (struct str){ tmpl->source, tmpl->source_len };
}

int chat_template_render_context(const struct chat_template *tmpl, const struct json *context, time_t now,
                                 struct strbuf *out, struct err *err)
{
    const struct json *key = json_first(context);
    struct jinja_input input = { .now = now };
    struct jinja_var *vars;
    int r;

    if (context->type != JSON_OBJECT) {
        return err_set(err, -EINVAL, "the context must be an object, not of type %s", json_type_name(context->type));
    }
    vars = calloc(context->n_children + 1, sizeof(*vars));
    if (vars == NULL) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < context->n_children; i++) {
        vars[i] = (struct jinja_var){ .name = key->text, .kind = JINJA_JSON, .json = json_next(key) };
        key = json_next(json_next(key));
    }
    input.vars = vars;
    input.n_vars = context->n_children;
    r = jinja_render(tmpl->jinja, &input, out, err);
    free(vars);
    return r;
}

// ---- a request -----------------------------------------------------------------------------------------------------

#define VARS_MAX 72 // 8 of ours, the rest from chat_template_kwargs

struct var_list {
    struct jinja_var vars[VARS_MAX];
    size_t n;
};

static void add_json(struct var_list *list, struct str name, const struct json *json)
{
    list->vars[list->n++] =
        (struct jinja_var){ .name = name, .kind = json != NULL ? JINJA_JSON : JINJA_NONE, .json = json };
}

static void add_text(struct var_list *list, struct str name, struct str text)
{
    if (text.ptr != NULL) {
        list->vars[list->n++] = (struct jinja_var){ .name = name, .kind = JINJA_TEXT, .text = text };
    }
}

static int add_extra(struct var_list *list, const struct json *extra, struct err *err)
{
    const struct json *key = extra != NULL ? json_first(extra) : NULL;

    for (size_t i = 0; extra != NULL && i < extra->n_children; i++) {
        if (list->n == VARS_MAX) {
            return err_set_param(err, -EINVAL, "chat_template_kwargs",
                                 "Invalid 'chat_template_kwargs': more than %d members.", VARS_MAX - 8);
        }
        add_json(list, key->text, json_next(key));
        key = json_next(json_next(key));
    }
    return 0;
}

static int render_request(const struct chat_template *tmpl, const struct chat_template_input *input,
                          const struct json *messages, struct strbuf *out, struct err *err)
{
    struct var_list list;
    struct jinja_input jinja = {
        .vars = list.vars, .now = input->now, .generation = input->generation, .steps_left = input->steps_left
    };
    int r;

    list.n = 0;
    add_text(&list, STR("bos_token"), input->bos_token);
    add_text(&list, STR("eos_token"), input->eos_token);
    add_text(&list, STR("unk_token"), input->unk_token);
    add_text(&list, STR("pad_token"), input->pad_token);
    add_json(&list, STR("tools"), input->tools);
    add_json(&list, STR("documents"), input->documents);
    list.vars[list.n++] = (struct jinja_var){ .name = STR("add_generation_prompt"),
                                              .kind = JINJA_BOOL,
                                              .boolean = input->add_generation_prompt };
    add_json(&list, STR("messages"), messages);
    r = add_extra(&list, input->extra, err);
    if (r < 0) {
        return r;
    }
    jinja.n_vars = list.n;
    return jinja_render(tmpl->jinja, &jinja, out, err);
}

// ---- continue_final_message ----------------------------------------------------------------------------------------

// transformers puts this behind the last message's content and cuts the rendering where it comes out; the blank tells
// whether the template trims contents.
#define TAG "CONTINUE_FINAL_MESSAGE_TAG "

static int not_continuable(struct err *err, const char *why)
{
    return err_set_param(err, -EINVAL, "continue_final_message", "Invalid 'continue_final_message': %s.", why);
}

// The text that goes on: the content itself, or the last text part of it.
static const struct json *final_text(const struct json *messages)
{
    const struct json *last = messages->n_children > 0 ? json_at(messages, messages->n_children - 1) : NULL;
    const struct json *content = last != NULL ? json_get(last, STR("content")) : NULL, *text = NULL;
    const struct json *part;

    if (content == NULL || content->type == JSON_STRING) {
        return content;
    }
    part = json_first(content);
    for (size_t i = 0; content->type == JSON_ARRAY && i < content->n_children; i++, part = json_next(part)) {
        const struct json *found = json_get(part, STR("text"));

        text = found != NULL && found->type == JSON_STRING ? found : text;
    }
    return text;
}

// The messages with the tag behind that text: a copy of the array's values, which lie in document order.
static const struct json *tag_messages(struct arena *arena, const struct json *messages, const struct json *text)
{
    struct json *copy = arena_alloc_array(arena, messages->next, sizeof(*copy));
    struct str tagged = arena_printf(arena, "%.*s" TAG, STR_ARG(text->text));

    if (copy == NULL || tagged.ptr == NULL) {
        return NULL;
    }
    memcpy(copy, messages, messages->next * sizeof(*copy));
    copy[text - messages].text = tagged;
    return copy;
}

static ptrdiff_t find_last(struct str text, struct str needle)
{
    for (size_t i = text.len + 1 > needle.len ? text.len + 1 - needle.len : 0; i > 0; i--) {
        if (memcmp(text.ptr + i - 1, needle.ptr, needle.len) == 0) {
            return (ptrdiff_t)i - 1;
        }
    }
    return -1;
}

static int cut_at_tag(struct strbuf *out, size_t start, struct str content, struct err *err)
{
    struct str rendered = { out->ptr + start, out->len - start };
    struct str tag = STR(TAG);
    ptrdiff_t at = find_last(rendered, str_take(tag, tag.len - 1));

    if (at < 0 || str_find(rendered, text_strip(content, true, true)) < 0) {
        return not_continuable(err, "the final message does not appear in the rendered chat");
    }
    if (str_starts_with(str_skip(rendered, (size_t)at), tag)) {
        rendered = str_take(rendered, (size_t)at);
    } else {
        rendered = text_strip(str_take(rendered, (size_t)at), false, true);
    }
    out->len = start + rendered.len;
    out->ptr[out->len] = 0;
    return 0;
}

static int render_continued(const struct chat_template *tmpl, const struct chat_template_input *input,
                            struct strbuf *out, struct err *err)
{
    const struct json *text = final_text(input->messages), *tagged;
    size_t start = out->len;
    struct arena arena;
    int r;

    if (text == NULL) {
        return not_continuable(err, "the final message has no text to continue");
    }
    arena_init(&arena, 0);
    tagged = tag_messages(&arena, input->messages, text);
    r = tagged == NULL ? err_set(err, -ENOMEM, "out of memory") : render_request(tmpl, input, tagged, out, err);
    if (r == 0) {
        r = cut_at_tag(out, start, text->text, err);
    }
    if (r < 0 && out->ptr != NULL) {
        out->len = start;
        out->ptr[start] = 0;
    }
    arena_deinit(&arena);
    return r;
}

// ---- roles ---------------------------------------------------------------------------------------------------------

static const struct json *developer_role(const struct json *message)
{
    const struct json *role = json_get(message, STR("role"));

    return role != NULL && role->type == JSON_STRING && str_eq(role->text, STR("developer")) ? role : NULL;
}

static bool has_developer(const struct json *messages)
{
    const struct json *message = json_first(messages);

    for (size_t i = 0; i < messages->n_children; i++, message = json_next(message)) {
        if (developer_role(message) != NULL) {
            return true;
        }
    }
    return false;
}

// OpenAI's newer name for "system". Most templates were written before it and pass such messages over in silence.
static const struct json *map_developer(struct arena *arena, const struct json *messages)
{
    struct json *copy = arena_alloc_array(arena, messages->next, sizeof(*copy));
    const struct json *message = json_first(messages);

    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, messages, messages->next * sizeof(*copy));
    for (size_t i = 0; i < messages->n_children; i++, message = json_next(message)) {
        const struct json *role = developer_role(message);

        if (role != NULL) {
            copy[role - messages].text = STR("system");
        }
    }
    return copy;
}

static int render(const struct chat_template *tmpl, const struct chat_template_input *input, struct strbuf *out,
                  struct err *err)
{
    return input->continue_final_message ? render_continued(tmpl, input, out, err)
                                         : render_request(tmpl, input, input->messages, out, err);
}

int chat_template_render(const struct chat_template *tmpl, const struct chat_template_input *input, struct strbuf *out,
                         struct err *err)
{
    struct chat_template_input mapped = *input;
    struct arena arena;
    int r;

    if (!input->maps_developer || tmpl->knows_developer || !has_developer(input->messages)) {
        return render(tmpl, input, out, err);
    }
    arena_init(&arena, 0);
    mapped.messages = map_developer(&arena, input->messages);
    r = mapped.messages != NULL ? render(tmpl, &mapped, out, err) : err_set(err, -ENOMEM, "out of memory");
    arena_deinit(&arena);
    return r;
}
