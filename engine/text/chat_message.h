// Validation of a request's messages; part of the request parser.
#ifndef TOKFS_TEXT_CHAT_MESSAGE_H
#define TOKFS_TEXT_CHAT_MESSAGE_H

#include "engine/text/json_fields.h"

// Validates the array and gives it in the form that templates expect (chat_rewrite.h).
int chat_messages_take(struct field_ctx *ctx, const struct json *messages, const char *path, const struct json **ret);

#endif
