// Validation of a request's messages and tools; parts of the request parser.
#ifndef TOKFS_TEXT_CHAT_MESSAGE_H
#define TOKFS_TEXT_CHAT_MESSAGE_H

#include "engine/text/chat_fields.h"

// Validates the array and gives it in the form that templates expect: content is a string (text parts joined by a
// newline, none: empty), a tool call's arguments are an object where they are one, members that are null are left out.
int chat_messages_take(struct field_ctx *ctx, const struct json *messages, const char *path, const struct json **ret);
// Validates an array of tools.
int chat_tools_check(struct field_ctx *ctx, const struct json *tools, const char *path);

#endif
