// One table, as for the other requests about text alone.
#include "engine/text/retrieve_request.h"

#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct parse {
    struct retrieve_request request;
    struct prompts texts, ids;
};

#define AT(member) offsetof(struct parse, request.member)

static int take_text(struct field_ctx *ctx, const struct json *value, const char *path)
{
    return prompts_take(ctx, PROMPT_TEXTS, value, path, &((struct parse *)ctx->target)->texts);
}

static int take_input_ids(struct field_ctx *ctx, const struct json *value, const char *path)
{
    return prompts_take(ctx, PROMPT_IDS, value, path, &((struct parse *)ctx->target)->ids);
}

static const struct field request_fields[] = {
    { "text", T_STRING | T_ARRAY, FIELD_TAKE, .take = take_text },
    { "input_ids", T_ARRAY, FIELD_TAKE, .take = take_input_ids },
    { "model", T_STRING, FIELD_TAKE_STR, .offset = AT(model) },
    { "cache_salt", T_STRING, FIELD_TAKE_STR, .offset = AT(cache_salt) },
    { "add_special_tokens", T_BOOL, FIELD_TAKE_BOOL, .offset = AT(add_special_tokens) },
};

static int check_together(struct parse *parse, struct err *err)
{
    struct retrieve_request *request = &parse->request;

    if (parse->texts.value != NULL && parse->ids.value != NULL) {
        return err_set_param(err, -EINVAL, "input_ids", "Invalid body: 'text' and 'input_ids' exclude each other.");
    }
    if (parse->texts.value == NULL && parse->ids.value == NULL) {
        return field_missing(err, "text");
    }
    request->prompts = parse->texts.value != NULL ? parse->texts : parse->ids;
    request->prompt_name = parse->texts.value != NULL ? "text" : "input_ids";
    if (request->prompts.n > RETRIEVE_TEXTS_MAX) {
        return err_set_param(err, -EINVAL, request->prompt_name,
                             "Invalid '%s': array too long. Expected at most %d items, but got %zu instead.",
                             request->prompt_name, RETRIEVE_TEXTS_MAX, request->prompts.n);
    }
    if (request->cache_salt.len > CACHE_SALT_BYTES_MAX) {
        return err_set_param(err, -EINVAL, "cache_salt", "Invalid 'cache_salt': expected a string of 1 to %d bytes.",
                             CACHE_SALT_BYTES_MAX);
    }
    return 0;
}

int retrieve_request_parse(struct arena *arena, struct str body, struct retrieve_request *ret, struct err *err)
{
    struct parse parse = { .request = { .add_special_tokens = true } };
    struct field_ctx ctx = { arena, err, &parse };
    const struct json *object;
    int r = field_parse_object(arena, body, &object, err);

    r = r == 0 ? fields_apply(&ctx, request_fields, COUNT(request_fields), object, "",
                              "Unrecognized request argument supplied")
               : r;
    r = r == 0 ? check_together(&parse, err) : r;
    if (r == 0) {
        *ret = parse.request;
    }
    return r;
}
