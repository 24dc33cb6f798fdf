// How a model wants to be talked to: its chat templates, the special tokens that they name and the sampling parameters
// that its authors chose, from the model's directory.
#ifndef TOKFS_SERVE_CHAT_FORMAT_H
#define TOKFS_SERVE_CHAT_FORMAT_H

#include "engine/serve/answer_setup.h"
#include "engine/text/chat_request.h"

// Immutable after load; read by the text threads.
struct chat_format {
    struct chat_template *tmpl;                          // NULL: the model has none
    struct chat_template *tool_tmpl;                     // for requests with tools; NULL: tmpl serves both
    struct answer_style answer, tool_answer;             // how answers are written: of tmpl and of tool_tmpl
    struct sampling_params sampling;                     // what a request does not say
    char *bos_token, *eos_token, *unk_token, *pad_token; // NULL: the model names none
};

// From DIR/tokenizer_config.json (chat_template: a text, or a list of named ones of which "default" and "tool_use"
// count), DIR/chat_template.jinja, which comes before it (as in transformers >= 4.49), and DIR/generation_config.json.
// Without the latter DIR/chat_template and DIR/chat_template.tool_use are looked for, as a mount shows them.
// From a GGUF file: what its metadata says in place of the first and the last. All may be absent, and a blank template
// counts as absent. -EINVAL and -EOPNOTSUPP name the file and the place.
int chat_format_load(const char *dir, struct chat_format *ret, struct err *err);
// What the answers' marks are to the tokenizer.
int chat_format_find_marks(struct chat_format *format, const struct tokenizer *tok, struct err *err);
void chat_format_deinit(struct chat_format *format);
// The special tokens by name, and the clock, for what its templates are given.
void chat_format_name_tokens(const struct chat_format *format, struct chat_template_input *ret);
// The style of the template that this request takes.
int chat_format_answer(const struct chat_format *format, const struct chat_request *request,
                       const struct tokenizer *tok, struct answer_style *ret, struct err *err);
// Appends the text that the model reads. -EOPNOTSUPP: the model has no template.
int chat_format_render(const struct chat_format *format, const struct chat_request *request, struct strbuf *out,
                       struct err *err);

#endif
