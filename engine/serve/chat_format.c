// Reads a Hugging Face tokenizer_config.json for what concerns chats. Owns the compiled templates; refuses a template
// that is not text and special tokens that are neither text nor an object with "content".
#include "engine/serve/chat_format.h"

#include "engine/model/model_text.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CONFIG_BYTES_MAX (64u << 20) // tokenizer_config.json repeats every added token

static int set_special(const struct json *config, const char *name, char **ret, struct err *err)
{
    const struct json *value = json_get(config, str_from(name));
    if (value && value->type == JSON_OBJECT) { // {"__type": "AddedToken", "content": "<s>", ...}
        value = json_get(value, STR("content"));
    }
    if (!value || value->type == JSON_NULL) {
        return 0;
    }
    if (value->type != JSON_STRING) {
        return err_set(err, -EINVAL, "%s is %s, not a token's text", name, json_type_name(value->type));
    }
    *ret = str_dup(value->text);
    return *ret ? 0 : err_set(err, -ENOMEM, "out of memory for %s", name);
}

// A blank template would turn every chat into a prompt of no tokens: that is none.
static int compile(struct str source, struct chat_template **ret, struct answer_style *ret_style, struct err *err)
{
    if (str_trim(source).len == 0) {
        return 0;
    }
    int rc = chat_template_compile(source, ret, err);
    if (rc < 0) {
        err_prefix(err, "chat_template");
    }
    if (rc == 0) {
        *ret_style = (struct answer_style){ .format = answer_format_detect(source), .form = chat_form_probe(*ret) };
    }
    return rc;
}

static int compile_named(const struct json *list, struct chat_format *format, struct err *err)
{
    const struct json *item = json_first(list);
    for (size_t i = 0; i < list->n_children; i++, item = json_next(item)) {
        const struct json *name = json_get(item, STR("name"));
        const struct json *source = json_get(item, STR("template"));
        if (!name || name->type != JSON_STRING || !source || source->type != JSON_STRING) {
            return err_set(err, -EINVAL, "chat_template[%zu] is not {\"name\": text, \"template\": text}", i);
        }
        bool is_tool = str_eq(name->text, STR("tool_use"));
        struct chat_template **place = is_tool ? &format->tool_tmpl : &format->tmpl;
        if ((is_tool || str_eq(name->text, STR("default"))) && !*place) {
            int rc = compile(source->text, place, is_tool ? &format->tool_answer : &format->answer, err);
            if (rc < 0) {
                return rc;
            }
        }
    }
    return 0;
}

static int take_config(struct str text, struct chat_format *format, struct err *err)
{
    struct arena arena;
    arena_init(&arena, 0);
    const struct json *config;
    int rc = json_parse(&arena, text, &config, err);
    const struct json *source = rc == 0 ? json_get(config, STR("chat_template")) : NULL;
    if (rc == 0 && config->type != JSON_OBJECT) {
        rc = err_set(err, -EINVAL, "the top level is %s, not an object", json_type_name(config->type));
    }
    if (rc == 0 && source && !format->tmpl) {
        rc = source->type == JSON_STRING  ? compile(source->text, &format->tmpl, &format->answer, err)
             : source->type == JSON_ARRAY ? compile_named(source, format, err)
             : source->type == JSON_NULL  ? 0
                                          : err_set(err, -EINVAL, "chat_template is %s", json_type_name(source->type));
    }
    char **places[] = { &format->bos_token, &format->eos_token, &format->unk_token, &format->pad_token };
    const char *names[] = { "bos_token", "eos_token", "unk_token", "pad_token" };
    for (size_t i = 0; i < 4 && rc == 0; i++) {
        rc = set_special(config, names[i], places[i], err);
    }
    arena_deinit(&arena);
    return rc;
}

// Reads DIR/NAME and hands it to `take`; an absent file is fine.
static int take_file(const char *dir, const char *name, int (*take)(struct str, struct chat_format *, struct err *),
                     struct chat_format *format, struct err *err)
{
    struct strbuf text;
    strbuf_init(&text, 0);
    int rc = model_text_read(dir, name, CONFIG_BYTES_MAX, &text, err);
    if (rc == 0) {
        rc = take(strbuf_str(&text), format, err);
        if (rc < 0) {
            err_prefix(err, "%s/%s", dir, name);
        }
    }
    strbuf_deinit(&text);
    return rc == -ENOENT ? 0 : rc;
}

static int take_jinja(struct str text, struct chat_format *format, struct err *err)
{
    int rc = str_trim(text).len > 0 ? chat_template_compile(text, &format->tmpl, err) : 0;
    if (rc == 0 && format->tmpl) {
        format->answer =
            (struct answer_style){ .format = answer_format_detect(text), .form = chat_form_probe(format->tmpl) };
    }
    return rc;
}

static int take_tool_jinja(struct str text, struct chat_format *format, struct err *err)
{
    return compile(text, &format->tool_tmpl, &format->tool_answer, err);
}

static int take_generation(struct str text, struct chat_format *format, struct err *err)
{
    struct arena arena;
    const struct json *config;
    arena_init(&arena, 0);
    int rc = json_parse(&arena, text, &config, err); // first, for words about a file instead of about a request
    if (rc == 0 && config->type != JSON_OBJECT) {
        rc = err_set(err, -EINVAL, "the top level is %s, not an object", json_type_name(config->type));
    }
    rc = rc < 0 ? rc : sampling_defaults_parse(&arena, text, &format->sampling, err);
    arena_deinit(&arena);
    return rc;
}

int chat_format_load(const char *dir, struct chat_format *ret, struct err *err)
{
    struct chat_format format = { 0 };
    sampling_params_default(&format.sampling);
    int rc = take_file(dir, "chat_template.jinja", take_jinja, &format, err);
    if (rc == 0 && !format.tmpl) { // MOUNT/models/NAME: the templates that are in use
        rc = take_file(dir, "chat_template", take_jinja, &format, err);
        rc = rc == 0 ? take_file(dir, "chat_template.tool_use", take_tool_jinja, &format, err) : rc;
    }
    if (rc == 0) {
        rc = take_file(dir, "tokenizer_config.json", take_config, &format, err);
    }
    if (rc == 0) {
        rc = take_file(dir, "generation_config.json", take_generation, &format, err);
    }
    if (rc < 0) {
        chat_format_deinit(&format);
        return rc;
    }
    *ret = format;
    return 0;
}

int chat_format_find_marks(struct chat_format *format, const struct tokenizer *tok, struct err *err)
{
    int rc = answer_style_find_marks(&format->answer, tok, err);
    return rc == 0 ? answer_style_find_marks(&format->tool_answer, tok, err) : rc;
}

void chat_format_deinit(struct chat_format *format)
{
    chat_template_free(format->tmpl);
    chat_template_free(format->tool_tmpl);
    free(format->bos_token);
    free(format->eos_token);
    free(format->unk_token);
    free(format->pad_token);
    *format = (struct chat_format){ 0 };
}

static struct str optional(const char *token)
{
    return token ? str_from(token) : (struct str){ 0 };
}

void chat_format_name_tokens(const struct chat_format *format, struct chat_template_input *ret)
{
    ret->bos_token = optional(format->bos_token);
    ret->eos_token = optional(format->eos_token);
    ret->unk_token = optional(format->unk_token);
    ret->pad_token = optional(format->pad_token);
    ret->now = time(NULL);
}

static bool takes_tool_template(const struct chat_format *format, const struct chat_request *request)
{
    return format->tool_tmpl && request->tools && !request->tool_choice_none;
}

int chat_format_answer(const struct chat_format *format, const struct chat_request *request,
                       const struct tokenizer *tok, struct answer_style *ret, struct err *err)
{
    *ret = takes_tool_template(format, request) ? format->tool_answer : format->answer;
    if (!request->chat_template.ptr) {
        return 0;
    }
    *ret = (struct answer_style){ .format = answer_format_detect(request->chat_template) };
    return answer_style_find_marks(ret, tok, err);
}

int chat_format_render(const struct chat_format *format, const struct chat_request *request, struct strbuf *out,
                       struct err *err)
{
    const struct json *tools = request->tool_choice_none ? NULL : request->tools;
    const struct chat_template *tmpl = takes_tool_template(format, request) ? format->tool_tmpl : format->tmpl;
    struct chat_form form = takes_tool_template(format, request) ? format->tool_answer.form : format->answer.form;
    struct chat_template *own = NULL;
    if (request->chat_template.ptr) {
        int rc = chat_template_compile(request->chat_template, &own, err);
        if (rc < 0) {
            snprintf(err->param, sizeof(err->param), "chat_template");
            return rc;
        }
        tmpl = own;
        form = chat_form_probe(own);
    }
    if (!tmpl) {
        return err_set_param(err, -EOPNOTSUPP, "messages", "the model has no chat template: it takes token ids only");
    }
    struct chat_template_input input = {
        .messages = request->messages,
        .tools = tools,
        .documents = request->documents,
        .extra = request->template_kwargs,
        .add_generation_prompt = request->add_generation_prompt,
        .maps_developer = true,
        .continue_final_message = request->continue_final_message,
    };
    chat_format_name_tokens(format, &input);
    input.now = request->now != 0 ? request->now : input.now;
    struct arena arena;
    arena_init(&arena, 0);
    int rc = chat_form_apply(form, &arena, request->messages, &input.messages, err);
    if (rc == 0) {
        rc = chat_template_render(tmpl, &input, out, err);
        if (rc == -EINVAL && err->param[0] == '\0') { // it raised an exception, or expects another form
            snprintf(err->param, sizeof(err->param), "%s", own ? "chat_template" : "messages");
            err_prefix(err, own ? "chat_template" : "the chat template refuses the messages");
        }
    }
    arena_deinit(&arena);
    chat_template_free(own);
    return rc;
}
