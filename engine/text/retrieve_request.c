// Its own fields beside those of the prompts.
#include "engine/text/retrieve_request.h"

#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define AT(member) offsetof(struct retrieve_request, member)

static const struct field request_fields[] = {
    { "model", T_STRING, FIELD_TAKE_STR, .offset = AT(model) },
    { "cache_salt", T_STRING, FIELD_TAKE_STR, .offset = AT(cache_salt) },
    { "add_special_tokens", T_BOOL, FIELD_TAKE_BOOL, .offset = AT(add_special_tokens) },
};

static int check_limits(const struct retrieve_request *request, struct err *err)
{
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
    struct retrieve_request request = { .add_special_tokens = true };
    struct prompts_parse prompts = { 0 };
    const struct field_table tables[] = {
        prompts_parse_table(&prompts),
        { request_fields, COUNT(request_fields), &request },
    };
    struct field_ctx ctx = { arena, err, &request };
    const struct json *object;
    int r = field_parse_object(arena, body, &object, err);

    r = r == 0 ? fields_apply_tables(&ctx, tables, COUNT(tables), object, "", "Unrecognized request argument supplied")
               : r;
    r = r == 0 ? prompts_parse_finish(&prompts, &request.prompts, &request.prompt_name, err) : r;
    r = r == 0 ? check_limits(&request, err) : r;
    if (r == 0) {
        *ret = request;
    }
    return r;
}
