// Messages that were checked (chat_message.h), in the form that templates expect; part of the request parser.
#ifndef TOKFS_TEXT_CHAT_REWRITE_H
#define TOKFS_TEXT_CHAT_REWRITE_H

#include "engine/text/json_fields.h"

// Content is a string (text parts joined by a newline, none: empty), a tool call's arguments are an object where they
// are one, members that are null are left out. -EINVAL: nested too deeply; -ENOMEM.
int chat_messages_rewrite(struct field_ctx *ctx, const struct json *messages, const struct json **ret);

#endif
