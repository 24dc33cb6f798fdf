// Prompts in a request: a text, an array of token ids, or an array of either.
//
// Shared by the parsers of completions, generate and retrieve.
#ifndef TOKFS_TEXT_PROMPTS_H
#define TOKFS_TEXT_PROMPTS_H

#include "engine/text/json_fields.h"

struct prompts {
    const struct json *value; // as it was given, checked; NULL: not given
    size_t n;
    bool is_list; // of prompts, even if of one
};

// Which forms a field takes.
enum prompt_forms { PROMPT_TEXTS = 1 << 0, PROMPT_IDS = 1 << 1 };

// Checks the value and keeps it. -EINVAL names the element.
int prompts_take(struct field_ctx *ctx, unsigned forms, const struct json *value, const char *path,
                 struct prompts *ret);
// The prompts in order: a string or an array of ids each (from 0 to INT32_MAX). Starts with `before` NULL.
const struct json *prompts_next(const struct prompts *prompts, const struct json *before);

// SGLang's requests have them in one of two fields: `text` or `input_ids`.
struct prompts_parse {
    struct prompts texts, ids;
};
struct field_table prompts_parse_table(struct prompts_parse *parse);
// Which of them it is, and the name of its field. -EINVAL: both or none.
int prompts_parse_finish(const struct prompts_parse *parse, struct prompts *ret, const char **ret_name,
                         struct err *err);

#endif
