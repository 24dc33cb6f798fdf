// ByteLevel only trims offsets, which nobody here asks for; TemplateProcessing, RobertaProcessing and BertProcessing
// become one list of items. Only the template for a single text matters: there are no pairs here.
#include "engine/text/post_processor.h"

#include "engine/text/spec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int append_special(struct post_processor *post, const struct json *special_tokens, struct str name,
                          const char *where, struct err *err)
{
    const struct json *entry = json_get(special_tokens, name), *ids = NULL;
    if (!entry) {
        return err_set(err, -EINVAL, "%s.special_tokens: \"%.*s\" is missing", where, STR_ARG(name));
    }
    char path[SPEC_PATH_MAX];
    snprintf(path, sizeof path, "%s.special_tokens[\"%.*s\"]", where, STR_ARG(str_take(name, 32)));
    int r = spec_container(entry, path, "ids", JSON_ARRAY, SPEC_REQUIRED, &ids, err);
    const struct json *item = r == 0 ? json_first(ids) : NULL;
    for (size_t i = 0; r == 0 && i < ids->n_children; i++, item = json_next(item)) {
        int64_t id;
        if (item->type != JSON_NUMBER || json_get_i64(item, &id) < 0 || id < 0 || id > INT32_MAX) {
            return err_set(err, -EINVAL, "%s.ids[%zu]: %.*s is not an id", path, i, STR_ARG(item->text));
        }
        r = token_ids_append(&post->items, (int32_t)id);
    }
    return r;
}

// {"Sequence": {"id": "A"}} or {"SpecialToken": {"id": "<s>"}}
static int append_piece(struct post_processor *post, const struct json *piece, const struct json *special_tokens,
                        const char *where, struct err *err)
{
    const struct json *body;
    struct str name;
    if ((body = json_get(piece, STR("SpecialToken")))) {
        int r = spec_str(body, where, "id", SPEC_REQUIRED, &name, err);
        return r ? r : append_special(post, special_tokens, name, where, err);
    }
    body = json_get(piece, STR("Sequence"));
    if (!body) {
        return err_set(err, -EINVAL, "%s.single: Sequence or SpecialToken expected, %.*s found", where,
                       STR_ARG(str_take(piece->text, 64)));
    }
    int r = spec_str(body, where, "id", SPEC_REQUIRED, &name, err);
    if (r == 0 && !str_eq(name, STR("A"))) {
        return err_set(err, -EINVAL, "%s.single: Sequence \"%.*s\" where only A exists", where, STR_ARG(name));
    }
    return r ? r : token_ids_append(&post->items, POST_PROCESSOR_TEXT_IDS);
}

static int load_template(struct post_processor *post, const struct json *spec, const char *where, struct err *err)
{
    const struct json *single, *special_tokens = NULL;
    int r = spec_container(spec, where, "single", JSON_ARRAY, SPEC_REQUIRED, &single, err);
    r = r ? r : spec_container(spec, where, "special_tokens", JSON_OBJECT, SPEC_REQUIRED, &special_tokens, err);
    const struct json *piece = r == 0 ? json_first(single) : NULL;
    for (size_t i = 0; r == 0 && i < single->n_children; i++, piece = json_next(piece)) {
        r = append_piece(post, piece, special_tokens, where, err);
    }
    if (r == 0 && single->n_children == 0) {
        return err_set(err, -EINVAL, "%s.single: an empty template", where);
    }
    return r;
}

// "cls": ["<s>", 0]
static int append_pair(struct post_processor *post, const struct json *spec, const char *where, const char *key,
                       struct err *err)
{
    const struct json *pair;
    int64_t id;
    int r = spec_container(spec, where, key, JSON_ARRAY, SPEC_REQUIRED, &pair, err);
    if (r < 0) {
        return r;
    }
    const struct json *value = pair->n_children == 2 ? json_next(json_first(pair)) : NULL;
    if (!value || value->type != JSON_NUMBER || json_get_i64(value, &id) < 0 || id < 0 || id > INT32_MAX) {
        return err_set(err, -EINVAL, "%s.%s: [token, id] expected, %.*s found", where, key,
                       STR_ARG(str_take(pair->text, 64)));
    }
    return token_ids_append(&post->items, (int32_t)id);
}

static int load_cls_sep(struct post_processor *post, const struct json *spec, const char *where, struct err *err)
{
    int r = append_pair(post, spec, where, "cls", err);
    r = r ? r : token_ids_append(&post->items, POST_PROCESSOR_TEXT_IDS);
    return r ? r : append_pair(post, spec, where, "sep", err);
}

static int add_processor(void *ctx, const struct json *spec, const char *where, struct err *err)
{
    static const char *const names[] = { "ByteLevel", "TemplateProcessing", "RobertaProcessing", "BertProcessing" };
    struct post_processor *post = ctx;
    int kind;
    int r = spec_type(spec, where, names, 4, sizeof names[0], &kind, err);
    if (r < 0 || kind == 0) {
        return r;
    }
    if (post->items.len > 0) {
        return err_set(err, -EOPNOTSUPP, "%s: a second template after the first is not supported", where);
    }
    return kind == 1 ? load_template(post, spec, where, err) : load_cls_sep(post, spec, where, err);
}

int post_processor_init(struct post_processor *post, const struct json *spec, struct err *err)
{
    *post = (struct post_processor){ 0 };
    if (!spec || spec->type == JSON_NULL) {
        return 0;
    }
    int r = spec_for_each(spec, "post_processor", "processors", add_processor, post, err);
    if (r < 0) {
        post_processor_deinit(post);
    }
    return r;
}

void post_processor_deinit(struct post_processor *post)
{
    token_ids_deinit(&post->items);
}

static int append_items(const struct post_processor *post, bool add_special, const struct token_ids *text, size_t from,
                        struct token_ids *out)
{
    int r = 0;
    for (size_t i = 0; i < post->items.len && r == 0; i++) {
        int32_t item = post->items.ids[i];
        if (item != POST_PROCESSOR_TEXT_IDS) {
            r = add_special ? token_ids_append(out, item) : 0;
            continue;
        }
        for (size_t k = from; k < text->len && r == 0; k++) {
            r = token_ids_append(out, text->ids[k]);
        }
    }
    return r;
}

int post_processor_run(const struct post_processor *post, bool add_special, struct token_ids *ids, size_t from)
{
    if (post->items.len == 0) {
        return 0;
    }
    struct token_ids out = { 0 };
    int r = append_items(post, add_special, ids, from, &out);
    ids->len = r < 0 ? ids->len : from;
    for (size_t i = 0; i < out.len && r == 0; i++) {
        r = token_ids_append(ids, out.ids[i]);
    }
    token_ids_deinit(&out);
    return r;
}
