// The first element of an array says what it is an array of; the others must be the same.
#include "engine/text/prompts.h"

#include <errno.h>

static int check_id(struct field_ctx *ctx, const struct json *value, const char *path)
{
    char got[48];
    int64_t id;

    if (value->type == JSON_NUMBER && json_get_i64(value, &id) == 0 && id >= 0 && id <= INT32_MAX) {
        return 0;
    }
    if (value->type != JSON_NUMBER) {
        return field_type_error(ctx->err, path, "an integer", value);
    }
    field_quote(value->text, got);
    return err_set_param(ctx->err, -EINVAL, path, "Invalid '%s': %s is not a token id.", path, got);
}

static int check_text(struct field_ctx *ctx, const struct json *value, const char *path)
{
    return field_check_type(ctx->err, value, T_STRING, path);
}

static int check_ids(struct field_ctx *ctx, const struct json *value, const char *path)
{
    int r = field_check_type(ctx->err, value, T_ARRAY, path);

    return r < 0 ? r : fields_each(ctx, value, path, check_id);
}

static int check_list(struct field_ctx *ctx, unsigned forms, const struct json *prompts, const char *path)
{
    bool is_texts = forms == PROMPT_TEXTS || (json_first(prompts)->type == JSON_STRING && (forms & PROMPT_TEXTS) != 0);

    return fields_each(ctx, prompts, path, is_texts ? check_text : check_ids);
}

int prompts_take(struct field_ctx *ctx, unsigned forms, const struct json *value, const char *path, struct prompts *ret)
{
    bool is_list = value->type == JSON_ARRAY;

    if (is_list && value->n_children == 0) {
        return err_set_param(ctx->err, -EINVAL, path,
                             "Invalid '%s': empty array. Expected an array with minimum length 1.", path);
    }
    *ret = (struct prompts){ value, 1, false };
    if (is_list && (forms & PROMPT_IDS) != 0 && json_first(value)->type == JSON_NUMBER) {
        return check_ids(ctx, value, path);
    }
    if (is_list) {
        ret->n = value->n_children;
        ret->is_list = true;
        return check_list(ctx, forms, value, path);
    }
    return 0;
}

const struct json *prompts_next(const struct prompts *prompts, const struct json *before)
{
    const struct json *value = prompts->value;
    bool is_one = value->type == JSON_STRING || json_first(value)->type == JSON_NUMBER;

    if (before == NULL) {
        return is_one ? value : json_first(value);
    }
    return json_next(before);
}
