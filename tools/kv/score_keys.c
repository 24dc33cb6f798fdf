// The names of a request's blocks, in each size and under each scope in which a peer may hold them. Pure: a thread of
// its own may do it.
#include "tools/kv/foreign_hash.h"
#include "tools/kv/score.h"
#include <errno.h>
#include <stdlib.h>

bool score_sizes_has(const struct score_sizes *sizes, uint32_t size)
{
    for (unsigned i = 0; i < sizes->n; i++) {
        if (sizes->sizes[i] == size) {
            return true;
        }
    }
    return false;
}

void score_sizes_add(struct score_sizes *sizes, uint32_t size)
{
    if (!score_sizes_has(sizes, size) && sizes->n < SCORE_BLOCK_SIZES_MAX + 1) {
        sizes->sizes[sizes->n++] = size;
    }
}

void score_sizes_add_scope(struct score_sizes *sizes, uint64_t scope)
{
    unsigned i = 0;
    while (i < sizes->n_scopes && sizes->scopes[i] != scope) {
        i++;
    }
    if (i == sizes->n_scopes && i < SCORE_SCOPES_MAX && !sizes->has_root) { // llm-d knows no scopes
        sizes->scopes[sizes->n_scopes++] = scope;
    }
}

static int keys_alloc(struct score_keys *keys, const struct tokfs_prompts *prompts)
{
    const struct score_sizes *sizes = &keys->sizes;
    size_t n_total = 0;
    for (size_t i = 0; i < prompts->n; i++) {
        for (unsigned s = 0; s < sizes->n; s++) {
            n_total += prompts->items[i].n_tokens / sizes->sizes[s] * sizes->n_scopes;
        }
    }
    keys->hashes = calloc(n_total + 1, sizeof(*keys->hashes));
    keys->n_hashes = calloc(sizes->n * prompts->n + 1, sizeof(*keys->n_hashes));
    return keys->hashes && keys->n_hashes ? 0 : -ENOMEM;
}

// llm-d's names of a prompt's blocks.
static int fill_request_keys(const struct tokfs_prompt *p, uint32_t block_size, uint64_t root, uint64_t *ret)
{
    for (size_t i = 0; i < p->n_tokens / block_size; i++) {
        const struct block_text block = { .tokens = (const uint32_t *)p->tokens + i * block_size,
                                          .n_tokens = block_size };
        int r = request_key_block(REQUEST_KEY_FNV, i > 0 ? ret[i - 1] : root, &block, &ret[i]);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int keys_fill(struct score_keys *keys, const struct tokfs_prompts *prompts, const uint64_t *salts)
{
    const struct score_sizes *sizes = &keys->sizes;
    uint64_t *hashes = keys->hashes;
    bool has_none = sizes->has_root && salts[0] != tokfs_text_salt("", 0);
    int r = 0;
    for (size_t i = 0; i < prompts->n && r == 0; i++) {
        const struct tokfs_prompt *p = &prompts->items[i];
        keys->n_tokens += p->n_tokens;
        for (unsigned s = 0; s < sizes->n && r == 0; s++) {
            size_t n = has_none ? 0 : p->n_tokens / sizes->sizes[s];
            keys->n_hashes[i * sizes->n + s] = n;
            for (unsigned k = 0; k < sizes->n_scopes && n > 0 && r == 0; k++, hashes += n) {
                if (sizes->has_root) {
                    r = fill_request_keys(p, sizes->sizes[s], sizes->root, hashes);
                } else {
                    tokfs_text_blocks(p->tokens, p->n_tokens, sizes->sizes[s], salts[k], hashes);
                }
            }
        }
    }
    return r;
}

int score_keys_make(const struct tokfs_prompts *prompts, const struct score_sizes *sizes, struct score_keys *ret)
{
    struct score_keys keys = { .sizes = *sizes, .n_prompts = prompts->n };
    uint64_t salts[SCORE_SCOPES_MAX] = { prompts->salt };
    int r = keys_alloc(&keys, prompts);
    for (unsigned k = 1; k < sizes->n_scopes && r == 0; k++) {
        r = tokfs_prompts_salt(prompts, sizes->scopes[k], &salts[k]);
    }
    r = r < 0 ? r : keys_fill(&keys, prompts, salts);
    if (r < 0) {
        score_keys_deinit(&keys);
        return r;
    }
    *ret = keys;
    return 0;
}

void score_keys_deinit(struct score_keys *keys)
{
    free(keys->hashes);
    free(keys->n_hashes);
    *keys = (struct score_keys){ 0 };
}

size_t score_keys_find(const struct score_keys *keys, uint32_t size, const uint64_t **ret_hashes)
{
    const uint64_t *hashes = keys->hashes;
    for (unsigned s = 0; s < keys->sizes.n && keys->n_prompts > 0; s++) {
        if (keys->sizes.sizes[s] == size) {
            *ret_hashes = hashes;
            return keys->n_hashes[s];
        }
        hashes += keys->n_hashes[s] * keys->sizes.n_scopes;
    }
    return 0;
}
