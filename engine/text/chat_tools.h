// Validation of a request's tools; part of the request parser.
#ifndef TOKFS_TEXT_CHAT_TOOLS_H
#define TOKFS_TEXT_CHAT_TOOLS_H

#include "engine/text/json_fields.h"

// Validates an array of tools.
int chat_tools_check(struct field_ctx *ctx, const struct json *tools, const char *path);
// Tool schemas alone: a JSON array of tools (or one tool object). Validates.
int chat_tools_parse(struct arena *arena, struct str text, const struct json **ret, struct err *err);

#endif
