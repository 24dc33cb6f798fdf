// Work on text that no model runs for: tokenize, detokenize, apply-template. JSON in, JSON out, by a text thread.
#ifndef TOKFS_SERVE_TEXT_TASK_H
#define TOKFS_SERVE_TEXT_TASK_H

#include "engine/serve/chat_format.h"
#include <tokfs/engine.h>

#define TEXT_RESULT_BYTES_MAX ((size_t)64 << 20)

// Constant while tasks run, any number at a time.
struct text_task_env {
    const struct tokenizer *tok;
    const struct chat_format *format;
    const char *served_name;
    size_t n_ctx;
};

// Appends the result, one JSON object, to `out`, whose limit should be TEXT_RESULT_BYTES_MAX. -EINVAL, -EOPNOTSUPP,
// -ENOENT (another model), -E2BIG (a template or a result out of bounds), -ENOMEM.
int text_task_run(const struct text_task_env *env, enum tokfs_text_kind kind, struct str body, struct strbuf *out,
                  struct err *err);

int text_task_check_model(const char *served_name, struct str model, struct err *err); // ptr NULL: the served one

#endif
