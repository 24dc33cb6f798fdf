// One table of fields for each kind of request, as in chat_request.c. Conversations and the messages to be tokenized go
// to the template as they were written: it is the template that says what a message is.
#include "engine/text/text_request.h"

#include "engine/text/json_fields.h"

#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

// ---- what the kinds share -------------------------------------------------------------------------------------------

static int apply(struct arena *arena, const struct field *table, size_t n_fields, const struct json *object,
                 void *target, struct err *err)
{
    struct field_ctx ctx = { arena, err, target };

    return fields_apply(&ctx, table, n_fields, object, "", "Unrecognized request argument supplied");
}

static int check_together(const struct template_options *options, struct err *err)
{
    if (options->continue_final_message && options->add_generation_prompt) {
        return err_set_param(err, -EINVAL, "continue_final_message",
                             "Invalid 'continue_final_message': it excludes 'add_generation_prompt'.");
    }
    return 0;
}

// An array of objects that is taken as it is, at the offset of its table's row.
#define TAKE_OBJECTS(name, type, member)                                                                               \
    static int name(struct field_ctx *ctx, const struct json *value, const char *path)                                 \
    {                                                                                                                  \
        ((type *)ctx->target)->member = value;                                                                         \
        return fields_each(ctx, value, path, field_check_object);                                                      \
    }

// ---- tokenize -------------------------------------------------------------------------------------------------------

struct tokenize_parse {
    struct tokenize_request request;
    struct str content;
    int64_t has_special; // add_special_tokens or add_special was given, and whether it was true: -1, 0, 1
    bool parse_special;
};

TAKE_OBJECTS(take_messages, struct tokenize_parse, request.messages)
TAKE_OBJECTS(take_tools, struct tokenize_parse, request.options.tools)

static int take_add_special(struct field_ctx *ctx, const struct json *value, const char *path)
{
    (void)path;
    ((struct tokenize_parse *)ctx->target)->has_special = value->boolean;
    return 0;
}

#define AT(member) offsetof(struct tokenize_parse, member)

static const struct field tokenize_fields[] = {
    { "model", T_STRING, FIELD_TAKE_STR, .offset = AT(request.model) },
    // vLLM
    { "prompt", T_STRING, FIELD_TAKE_STR, .offset = AT(request.text) },
    { "messages", T_ARRAY, FIELD_TAKE, .take = take_messages },
    { "add_special_tokens", T_BOOL, FIELD_TAKE, .take = take_add_special },
    { "return_token_strs", T_BOOL, FIELD_TAKE_BOOL, .offset = AT(request.return_strings) },
    { "add_generation_prompt", T_BOOL, FIELD_TAKE_BOOL, .offset = AT(request.options.add_generation_prompt) },
    { "continue_final_message", T_BOOL, FIELD_TAKE_BOOL, .offset = AT(request.options.continue_final_message) },
    { "chat_template", T_STRING, FIELD_TAKE_STR, .offset = AT(request.options.source) },
    { "chat_template_kwargs", T_OBJECT, FIELD_TAKE_JSON, .offset = AT(request.options.vars) },
    { "tools", T_ARRAY, FIELD_TAKE, .take = take_tools },
    { "mm_processor_kwargs", T_OBJECT, FIELD_REFUSE, .neutral = "{}" },
    // llama-server
    { "content", T_STRING, FIELD_TAKE_STR, .offset = AT(content) },
    { "add_special", T_BOOL, FIELD_TAKE, .take = take_add_special },
    { "parse_special", T_BOOL, FIELD_TAKE_BOOL, .offset = AT(parse_special) },
    { "with_pieces", T_BOOL, FIELD_TAKE_BOOL, .offset = AT(request.with_pieces) },
};
#undef AT

// Exactly one of the three says what is to be tokenized. As in the servers that the fields come from, special tokens
// are added to a prompt unless refused, to content and rendered messages only if asked for.
static int choose_text(struct tokenize_parse *parse, struct err *err)
{
    struct tokenize_request *request = &parse->request;
    bool is_prompt = request->text.ptr != NULL, is_content = parse->content.ptr != NULL;

    if (is_prompt + is_content + (request->messages != NULL) > 1) {
        return err_set_param(err, -EINVAL, "prompt",
                             "Invalid body: 'prompt', 'messages' and 'content' exclude each other.");
    }
    if (!is_prompt && !is_content && request->messages == NULL) {
        return field_missing(err, "prompt");
    }
    request->add_special = parse->has_special < 0 ? is_prompt : parse->has_special == 1;
    request->plain_special = !parse->parse_special;
    request->text = is_content ? parse->content : request->text;
    return 0;
}

int tokenize_request_parse(struct arena *arena, struct str body, struct tokenize_request *ret, struct err *err)
{
    struct tokenize_parse parse = { .has_special = -1, .parse_special = true };
    const struct json *object, *goes_on;
    int r = field_parse_object(arena, body, &object, err);

    if (r < 0) {
        return r;
    }
    goes_on = json_get(object, STR("continue_final_message"));
    parse.request.options.add_generation_prompt = goes_on == NULL || !goes_on->boolean;
    r = apply(arena, tokenize_fields, COUNT(tokenize_fields), object, &parse, err);
    r = r == 0 ? choose_text(&parse, err) : r;
    r = r == 0 ? check_together(&parse.request.options, err) : r;
    if (r == 0) {
        *ret = parse.request;
    }
    return r;
}

// ---- detokenize -----------------------------------------------------------------------------------------------------

static int take_tokens(struct field_ctx *ctx, const struct json *value, const char *path)
{
    ((struct detokenize_request *)ctx->target)->tokens = value;
    return fields_each(ctx, value, path, field_check_token_id);
}

static const struct field detokenize_fields[] = {
    { "model", T_STRING, FIELD_TAKE_STR, .offset = offsetof(struct detokenize_request, model) },
    { "tokens", T_ARRAY, FIELD_TAKE, .take = take_tokens },
};

int detokenize_request_parse(struct arena *arena, struct str body, struct detokenize_request *ret, struct err *err)
{
    struct detokenize_request request = { 0 };
    const struct json *object;
    int r = field_parse_object(arena, body, &object, err);

    r = r == 0 ? apply(arena, detokenize_fields, COUNT(detokenize_fields), object, &request, err) : r;
    if (r == 0 && request.tokens == NULL) {
        r = field_missing(err, "tokens");
    }
    if (r == 0) {
        *ret = request;
    }
    return r;
}

// ---- apply-template -------------------------------------------------------------------------------------------------

TAKE_OBJECTS(take_template_tools, struct template_request, options.tools)
TAKE_OBJECTS(take_template_documents, struct template_request, options.documents)

static int check_conversation(struct field_ctx *ctx, const struct json *value, const char *path)
{
    int r = field_check_type(ctx->err, value, T_ARRAY, path);

    return r < 0 ? r : fields_each(ctx, value, path, field_check_object);
}

static int take_conversations(struct field_ctx *ctx, const struct json *value, const char *path)
{
    ((struct template_request *)ctx->target)->conversations = value;
    return fields_each(ctx, value, path, check_conversation);
}

#define AT(member) offsetof(struct template_request, member)

static const struct field template_fields[] = {
    { "model", T_STRING, FIELD_TAKE_STR, .offset = AT(model) },
    { "conversations", T_ARRAY, FIELD_TAKE, .take = take_conversations },
    { "tools", T_ARRAY, FIELD_TAKE, .take = take_template_tools },
    { "documents", T_ARRAY, FIELD_TAKE, .take = take_template_documents },
    { "chat_template", T_STRING, FIELD_TAKE_STR, .offset = AT(options.source) },
    { "return_assistant_tokens_mask", T_BOOL, FIELD_TAKE_BOOL, .offset = AT(return_spans) },
    { "continue_final_message", T_BOOL, FIELD_TAKE_BOOL, .offset = AT(options.continue_final_message) },
    { "add_generation_prompt", T_BOOL, FIELD_TAKE_BOOL, .offset = AT(options.add_generation_prompt) },
    { "template_vars", T_OBJECT, FIELD_TAKE_JSON, .offset = AT(options.vars) },
    { "chat_template_kwargs", T_OBJECT, FIELD_TAKE_JSON, .offset = AT(options.vars) }, // the name elsewhere
};
#undef AT

int template_request_parse(struct arena *arena, struct str body, struct template_request *ret, bool *ret_is_chat,
                           struct err *err)
{
    struct template_request request = { 0 };
    const struct json *object;
    int r = field_parse_object(arena, body, &object, err);

    if (r < 0) {
        return r;
    }
    *ret_is_chat = json_get(object, STR("conversations")) == NULL && json_get(object, STR("messages")) != NULL;
    if (*ret_is_chat) {
        return 0;
    }
    r = apply(arena, template_fields, COUNT(template_fields), object, &request, err);
    if (r == 0 && request.conversations == NULL) {
        r = field_missing(err, "conversations");
    }
    r = r == 0 ? check_together(&request.options, err) : r;
    if (r == 0) {
        *ret = request;
    }
    return r;
}
