// How a chat template wants the tool calls of earlier turns: most take arguments as an object and content as text, some
// put the arguments' text after a string, or look for a content that is null.
#ifndef TOKFS_TEXT_CHAT_FORM_H
#define TOKFS_TEXT_CHAT_FORM_H

#include "engine/text/chat_template.h"

struct chat_form {
    bool text_arguments; // as JSON text instead of an object
    bool null_content;   // of a message with tool calls that says nothing, instead of ""
};

// Tries the forms in turn on a chat with one tool call (four renderings at most): the first with which the call is
// shown whole, or else that of most templates.
struct chat_form chat_form_probe(const struct chat_template *tmpl);
// The messages in that form: the same where nothing is to be done, else a copy in the arena. -ENOMEM.
int chat_form_apply(struct chat_form form, struct arena *arena, const struct json *messages, const struct json **ret,
                    struct err *err);

#endif
