// The post-processors of tokenizer.json: ids that stand before and after a text (beginning of text and the like).
#ifndef TOKFS_TEXT_POST_PROCESSOR_H
#define TOKFS_TEXT_POST_PROCESSOR_H

#include "engine/base/json.h"
#include "engine/text/tokenizer.h"

// A template: ids, with the text's ids in the places of TEXT_IDS. No items: the text's ids alone.
struct post_processor {
    struct token_ids items;
};
#define POST_PROCESSOR_TEXT_IDS (-1)

// From the "post_processor" member, which may be NULL or null. Errors as tokenizer_from_json.
int post_processor_init(struct post_processor *post, const struct json *spec, struct err *err);
void post_processor_deinit(struct post_processor *post);

// Rewrites ids[from..] in place. Without add_special the template's own ids are left out. 0 or -ENOMEM.
int post_processor_run(const struct post_processor *post, bool add_special, struct token_ids *ids, size_t from);

#endif
