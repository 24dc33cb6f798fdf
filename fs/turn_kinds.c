// What can be asked of the engine, one row each.
#include "fs/generate.h"
#include "fs/turn.h"
#include "fs/user_errors.h"
#include <errno.h>

const struct turn_kind turn_kind_chat = {
    .id_prefix = "chatcmpl-",
    .submit = tokfs_submit_chat,
    .write_response = turn_write_response,
    .write_chunk = tokfs_write_chunk,
    .write_answer = tokfs_write_answer,
    .has_roles = true,
};

const struct turn_kind turn_kind_completion = {
    .id_prefix = "cmpl-",
    .submit = tokfs_submit_completion,
    .write_response = turn_write_response,
    .write_chunk = tokfs_write_text_chunk,
    .write_answer = tokfs_write_text_completion,
};

const struct turn_kind turn_kind_generate = {
    .id_prefix = "gen-",
    .submit = tokfs_submit_generate,
    .write_response = generate_write_response,
    .write_run = generate_write_run,
};

// ---- work on text --------------------------------------------------------------------------------------------------

// A result may be long: it is moved, not copied. Nobody else reads the turn of a transaction.
static int move_text(struct turn *turn, struct strbuf *out)
{
    struct strbuf unused = *out;
    *out = turn->text;
    turn->text = unused;
    return strbuf_append_byte(out, '\n');
}

#define TEXT_KIND(name, text_kind)                                                                                     \
    static int submit_##name(struct tokfs_engine *engine, const char *json, size_t len, void *user,                    \
                             struct tokfs_completion **ret, struct tokfs_error *reason)                                \
    {                                                                                                                  \
        return tokfs_submit_text(engine, text_kind, json, len, user, ret, reason);                                     \
    }                                                                                                                  \
    const struct turn_kind turn_kind_##name = { .id_prefix = "text-",                                                  \
                                                .submit = submit_##name,                                               \
                                                .write_response = move_text };

TEXT_KIND(tokenize, TOKFS_TEXT_TOKENIZE)
TEXT_KIND(detokenize, TOKFS_TEXT_DETOKENIZE)
TEXT_KIND(apply_template, TOKFS_TEXT_APPLY_TEMPLATE)
TEXT_KIND(retrieve, TOKFS_TEXT_RETRIEVE)

// ---- what the model cannot do --------------------------------------------------------------------------------------

static int refuse_embeddings(struct tokfs_engine *engine, const char *json, size_t len, void *user,
                             struct tokfs_completion **ret, struct tokfs_error *reason)
{
    (void)engine, (void)json, (void)len, (void)user, (void)ret;
    return reason_set(reason, -EOPNOTSUPP, "model", "the model has no embeddings: it completes texts");
}

const struct turn_kind turn_kind_embeddings = { .id_prefix = "embd-", .submit = refuse_embeddings };
