// Arithmetic of the engine's limits. Pure functions; refuses what cannot work instead of trimming it silently.
#include "engine/serve/sizes.h"

#include "engine/cache/radix.h"
#include <errno.h>
#include <stdbool.h>

#define PAGE_TOKENS 16 // positions per page: the block of the prefix cache
#define N_CTX_MIN   32 // a chat template and a few words

static size_t or_default(size_t value, size_t fallback)
{
    return value > 0 ? value : fallback;
}

int sizes_from_options(const struct tokfs_engine_options *options, struct sizes *ret, struct err *err)
{
    if (options->max_sequences > 4096) {
        return err_set_param(err, -EINVAL, "max_sequences", "max_sequences is %u, above 4096", options->max_sequences);
    }
    struct sizes sizes = {
        .page_tokens = PAGE_TOKENS,
        .n_slots = (uint32_t)or_default(options->max_sequences, 64),
        .max_queued = (uint32_t)or_default(options->max_queued, 10000),
    };
    sizes.batch_tokens = or_default(options->batch_tokens, sizes.n_slots > 512 ? sizes.n_slots : 512);
    if (sizes.batch_tokens < sizes.n_slots || sizes.batch_tokens > 65536) {
        return err_set_param(err, -EINVAL, "batch_tokens",
                             "batch_tokens is %zu: it must be at least max_sequences (%u), at most 65536",
                             sizes.batch_tokens, sizes.n_slots);
    }
    if (options->n_ctx > 0 && options->n_ctx < N_CTX_MIN) {
        return err_set_param(err, -EINVAL, "n_ctx", "a context of %zu tokens is too short: at least %d are needed",
                             options->n_ctx, N_CTX_MIN);
    }
    *ret = sizes;
    return 0;
}

static uint64_t pages_for(uint64_t n_tokens)
{
    return (n_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

int sizes_check_options(const struct tokfs_engine_options *options, uint32_t n_ctx_model, uint64_t memory_free,
                        struct err *err)
{
    if (options->n_ctx > n_ctx_model) {
        return err_set_param(err, -EINVAL, "n_ctx", "a context of %zu tokens is above the model's limit of %u",
                             options->n_ctx, n_ctx_model);
    }
    if (options->kv_bytes > memory_free) {
        return err_set_param(err, -ENOMEM, "kv_bytes", "%llu bytes for K and V are more than the %llu that are free",
                             (unsigned long long)options->kv_bytes, (unsigned long long)memory_free);
    }
    return 0;
}

int sizes_check_host_tier(const struct tokfs_engine_options *options, bool has_tier, uint64_t host_free,
                          struct err *err)
{
    if (options->host_kv_bytes == 0) {
        return 0;
    }
    if (!has_tier) {
        return err_set_param(err, -EINVAL, "host_kv_bytes",
                             "the CPU computes, so that K and V are in the host's memory already: a host "
                             "tier is for those of a GPU");
    }
    if (options->no_prefix_cache) {
        return err_set_param(err, -EINVAL, "host_kv_bytes", "there is no prefix cache that could use a host tier");
    }
    if (options->host_kv_bytes > host_free) {
        return err_set_param(err, -ENOMEM, "host_kv_bytes",
                             "%llu bytes of the host for K and V are more than the %llu that are free",
                             (unsigned long long)options->host_kv_bytes, (unsigned long long)host_free);
    }
    return 0;
}

int sizes_fit_pages(struct sizes *sizes, const struct tokfs_engine_options *options, uint32_t n_ctx_model,
                    size_t page_bytes, uint64_t memory_free, struct err *err)
{
    int rc = sizes_check_options(options, n_ctx_model, memory_free, err);
    if (rc < 0) {
        return rc;
    }
    uint64_t n_ctx = or_default(options->n_ctx, n_ctx_model);
    uint64_t n_useful = least(pages_for(n_ctx) * sizes->n_slots, RADIX_PAGES_MAX);
    uint64_t kv_bytes = options->kv_bytes > 0     ? options->kv_bytes
                        : sizes->is_device_memory ? memory_free / 10 * 9
                                                  : memory_free / 4;
    uint64_t n_pages = least(kv_bytes / page_bytes, n_useful);
    uint64_t n_needed = options->n_ctx > 0 ? pages_for(n_ctx) : pages_for(N_CTX_MIN);
    if (n_pages < n_needed) {
        return err_set_param(err, -ENOMEM, "kv_bytes",
                             "%s%llu bytes for K and V hold %llu tokens; a context of %llu tokens takes %llu bytes",
                             options->kv_bytes > 0     ? ""
                             : sizes->is_device_memory ? "nine tenths of the device's free memory, "
                                                       : "a quarter of the free memory, ",
                             (unsigned long long)kv_bytes, (unsigned long long)(n_pages * PAGE_TOKENS),
                             (unsigned long long)(options->n_ctx > 0 ? n_ctx : N_CTX_MIN),
                             (unsigned long long)(n_needed * page_bytes));
    }
    if (options->host_kv_bytes > 0 && options->host_kv_bytes < page_bytes) {
        return err_set_param(err, -ENOMEM, "host_kv_bytes",
                             "%llu bytes of the host for K and V hold no page of %d tokens, which takes %zu bytes",
                             (unsigned long long)options->host_kv_bytes, PAGE_TOKENS, page_bytes);
    }
    sizes->n_ctx = (uint32_t)least(n_ctx, n_pages * PAGE_TOKENS);
    sizes->n_pages = (uint32_t)n_pages;
    sizes->n_host_pages = (uint32_t)least(options->host_kv_bytes / page_bytes, RADIX_PAGES_MAX);
    return 0;
}
