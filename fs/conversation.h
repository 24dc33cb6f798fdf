// The text of a conversation: its messages and settings as JSON, and the request that its next turn makes of them.
//
// Pure: no engine, no files. Everything kept here has been validated before.
#ifndef TOKFS_FS_CONVERSATION_H
#define TOKFS_FS_CONVERSATION_H

#include "engine/base/arena.h"
#include "engine/base/str.h"
#include "fs/user_errors.h"

struct conversation {
    struct strbuf messages; // message objects with commas between them, without brackets
    size_t n_messages;
    struct strbuf system; // text
    struct strbuf params; // JSON object, or empty
    struct strbuf tools;  // JSON array, or empty
};

// What a user adds for the next turn.
struct conversation_input {
    struct strbuf messages; // as above
    size_t n_messages;
    struct strbuf fields; // a JSON object: sampling parameters and all else that the body says, or empty
    struct strbuf tools;  // JSON array, or empty: those of the conversation
};

void conversation_init(struct conversation *c, size_t setting_bytes_max);
void conversation_deinit(struct conversation *c);

void conversation_input_init(struct conversation_input *input);
void conversation_input_deinit(struct conversation_input *input);
int conversation_input_set_text(struct conversation_input *input, struct str text); // one user message
// A chat-completions body, or one message object ({"role":...}): checked by itself first, so that err.param is a path
// in what the user wrote. -EINVAL, -EOPNOTSUPP, ...
int conversation_input_set_json(struct conversation_input *input, struct str json, struct tokfs_error *reason);

// The body of the turn that `input` begins: system, messages, the input's; params overridden by the input's fields.
int conversation_build(const struct conversation *c, const struct conversation_input *input, struct strbuf *out);
// Keeps what a turn added: the input's messages, and the answer as a message object.
int conversation_extend(struct conversation *c, const struct conversation_input *input, struct str message);
// The input's tools and fields, except its model, become the conversation's settings (the body that made the session).
int conversation_adopt_settings(struct conversation *c, const struct conversation_input *input);
// Overrides members of the params object by those of `update` (both JSON objects).
int conversation_merge_params(struct conversation *c, struct str update);
// Adds the elements of an array to those of the tools.
int conversation_add_tools(struct conversation *c, struct str tools);
void conversation_write_messages(const struct conversation *c, struct strbuf *out); // JSON array and a line end

#endif
