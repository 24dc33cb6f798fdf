// The text side of a model, without its weights: which tokens a request's prompt is, and which blocks of a prefix cache
// these are. It is the engine's own code, so that whoever routes requests hashes exactly the tokens that will be run.
//
// Constant once opened: any number of threads may use it at once.
#ifndef TOKFS_TEXT_H
#define TOKFS_TEXT_H

#include <tokfs/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tokfs_text;

// `model`: a Hugging Face directory, of which no weights are needed, a GGUF file, or MOUNT/models/NAME of a mount.
// `served_name` NULL: its name, without .gguf. -ENOENT, -EINVAL, -EOPNOTSUPP, -ENOMEM ...
TOKFS_API int tokfs_text_open(const char *model, const char *served_name, struct tokfs_text **ret,
                              struct tokfs_error *err);
TOKFS_API void tokfs_text_close(struct tokfs_text *text);              // NULL is accepted
TOKFS_API const char *tokfs_text_model(const struct tokfs_text *text); // served name

enum tokfs_prompt_kind {
    TOKFS_PROMPT_CHAT,       // a body of v1/chat/completions
    TOKFS_PROMPT_COMPLETION, // of v1/completions
    TOKFS_PROMPT_GENERATE,   // of generate
    // A ChatTemplateRequest: {"conversations": [...], "tools", "documents", "chat_template", "template_vars" ...}
    TOKFS_PROMPT_TEMPLATE,
};

struct tokfs_prompt {
    const int32_t *tokens; // [n_tokens]
    size_t n_tokens;
    const char *rendered; // CHAT, TEMPLATE: what the template made of it, NUL-terminated; NULL otherwise
    size_t rendered_len;
};
struct tokfs_prompts {
    const struct tokfs_prompt *items; // [n]
    size_t n;
    uint64_t salt; // what the first blocks follow, for tokfs_text_blocks
    // The rest is private.
    int32_t *tokens;
    char *rendered;
    char *cache_salt; // NULL: none
    size_t cache_salt_len;
};

// The prompts of a request. `scope`: tokfs_tenant.cache_scope of those that it is run for. As for tokfs_submit_chat and
// the like: -EINVAL, -EOPNOTSUPP, -ENOENT (another model), -E2BIG, -ENOMEM; err has the field. The context's length is
// the model's, where its configuration is one that tokfs reads; an engine may have been told to hold less.
TOKFS_API int tokfs_text_prompts(const struct tokfs_text *text, enum tokfs_prompt_kind kind, const char *json,
                                 size_t len, uint64_t scope, struct tokfs_prompts *ret, struct tokfs_error *err);
// The tokens of a plain text, as of a completion's prompt.
TOKFS_API int tokfs_text_tokens(const struct tokfs_text *text, const char *bytes, size_t len, struct tokfs_prompts *ret,
                                struct tokfs_error *err);
// The salt that they would have for users of another cache scope. -ENOMEM.
TOKFS_API int tokfs_prompts_salt(const struct tokfs_prompts *prompts, uint64_t scope, uint64_t *ret);
TOKFS_API void tokfs_prompts_deinit(struct tokfs_prompts *prompts);

// The hashes of the whole blocks of `block_tokens` tokens, as kvevent.h tells them: ret_hashes [n_tokens /
// block_tokens], whose number is returned. A block follows `before`: the block before it, or the salt.
TOKFS_API size_t tokfs_text_blocks(const int32_t *tokens, size_t n_tokens, size_t block_tokens, uint64_t before,
                                   uint64_t *ret_hashes);
// The salt of a cache_salt: len 0 where there is none.
TOKFS_API uint64_t tokfs_text_salt(const char *bytes, size_t len);

#ifdef __cplusplus
}
#endif

#endif
