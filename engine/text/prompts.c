// The first element of an array says what it is an array of; the others must be the same.
#include "engine/text/prompts.h"

#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int check_ids(struct field_ctx *ctx, const struct json *value, const char *path)
{
    int r = field_check_type(ctx->err, value, T_ARRAY, path);

    return r < 0 ? r : fields_each(ctx, value, path, field_check_token_id);
}

static int check_list(struct field_ctx *ctx, unsigned forms, const struct json *prompts, const char *path)
{
    bool is_texts = forms == PROMPT_TEXTS || (json_first(prompts)->type == JSON_STRING && (forms & PROMPT_TEXTS) != 0);

    return fields_each(ctx, prompts, path, is_texts ? field_check_string : check_ids);
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

// ---- text or input_ids ----------------------------------------------------------------------------------------------

static int take_text(struct field_ctx *ctx, const struct json *value, const char *path)
{
    return prompts_take(ctx, PROMPT_TEXTS, value, path, &((struct prompts_parse *)ctx->target)->texts);
}

static int take_input_ids(struct field_ctx *ctx, const struct json *value, const char *path)
{
    return prompts_take(ctx, PROMPT_IDS, value, path, &((struct prompts_parse *)ctx->target)->ids);
}

static const struct field prompt_fields[] = {
    { "text", T_STRING | T_ARRAY, FIELD_TAKE, .take = take_text },
    { "input_ids", T_ARRAY, FIELD_TAKE, .take = take_input_ids },
};

struct field_table prompts_parse_table(struct prompts_parse *parse)
{
    return (struct field_table){ prompt_fields, COUNT(prompt_fields), parse };
}

int prompts_parse_finish(const struct prompts_parse *parse, struct prompts *ret, const char **ret_name, struct err *err)
{
    bool is_text = parse->texts.value != NULL;

    if (is_text && parse->ids.value != NULL) {
        return err_set_param(err, -EINVAL, "input_ids", "Invalid body: 'text' and 'input_ids' exclude each other.");
    }
    if (!is_text && parse->ids.value == NULL) {
        return field_missing(err, "text");
    }
    *ret = is_text ? parse->texts : parse->ids;
    *ret_name = is_text ? "text" : "input_ids";
    return 0;
}
