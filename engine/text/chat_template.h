// A model's chat template: Jinja source compiled once, rendered per request as transformers renders it
// (apply_chat_template: trim_blocks, lstrip_blocks, loop controls, its tojson, raise_exception, strftime_now).
//
// A compiled template is immutable and may be rendered by several threads at once. Rendering is bounded in depth, steps
// and output bytes: a hostile template ends in an error.
#ifndef TOKFS_TEXT_CHAT_TEMPLATE_H
#define TOKFS_TEXT_CHAT_TEMPLATE_H

#include "engine/base/err.h"
#include "engine/base/json.h"
#include "engine/base/str.h"
#include <time.h>

struct chat_template;
struct jinja_spans; // engine/text/jinja/jinja.h

// -EINVAL with line and column; -EOPNOTSUPP for a construct that is not implemented, named.
int chat_template_compile(struct str source, struct chat_template **ret, struct err *err);
void chat_template_free(struct chat_template *tmpl);
struct str chat_template_source(const struct chat_template *tmpl); // as it was given; borrowed

struct chat_template_input {
    const struct json *messages;  // array of message objects
    const struct json *tools;     // array or NULL (rendered as none)
    const struct json *documents; // array or NULL
    const struct json *extra;     // object whose members become variables (chat_template_kwargs), or NULL
    struct str bos_token, eos_token, unk_token, pad_token; // ptr NULL: undefined
    bool add_generation_prompt;
    bool maps_developer;         // where the template does not know that role, such messages are the system's
    bool continue_final_message; // cut what the template puts after the last message's content
    time_t now;                  // clock of strftime_now, local time
    // Both may be NULL; see struct jinja_input. With continue_final_message the spans are those of the rendering before
    // the cut, as in transformers.
    struct jinja_spans *generation;
    uint64_t *steps_left;
};

// Appends the rendering. -EINVAL (raise_exception or a run-time error: line, column and words), -E2BIG (a bound was
// hit), -ENOMEM.
int chat_template_render(const struct chat_template *tmpl, const struct chat_template_input *input, struct strbuf *out,
                         struct err *err);
// The same with any object as the context: every member is a variable.
int chat_template_render_context(const struct chat_template *tmpl, const struct json *context, time_t now,
                                 struct strbuf *out, struct err *err);

#endif
