// How long a sequence may be and how many pages there are: from the options, the model and the machine's memory.
#ifndef TOKFS_SERVE_SIZES_H
#define TOKFS_SERVE_SIZES_H

#include "engine/base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tokfs/engine.h>

struct sizes {
    uint32_t n_ctx, n_pages, n_host_pages, page_tokens, n_slots, max_queued;
    size_t batch_tokens;
    bool is_device_memory; // where K and V go: nothing else wants it, so that they may have nine tenths of what is free
};

// The options with their defaults. -EINVAL names the option.
int sizes_from_options(const struct tokfs_engine_options *options, struct sizes *ret, struct err *err);
// What can be told before the weights are read. n_ctx_model: the model's own limit; memory_free: bytes. -EINVAL: the
// context asked for is longer than the model's; -ENOMEM: kv_bytes is more than there is.
int sizes_check_options(const struct tokfs_engine_options *options, uint32_t n_ctx_model, uint64_t memory_free,
                        struct err *err);
// Likewise, of the host tier. host_free: bytes of the host's memory; has_tier: the device can have one. -EINVAL,
// -ENOMEM
int sizes_check_host_tier(const struct tokfs_engine_options *options, bool has_tier, uint64_t host_free,
                          struct err *err);
// n_ctx and n_pages, so that the longest sequence fits into the pages. Errors as above, and
// -ENOMEM: kv_bytes is too little for the context, or host_kv_bytes for a page (err has the arithmetic).
int sizes_fit_pages(struct sizes *sizes, const struct tokfs_engine_options *options, uint32_t n_ctx_model,
                    size_t page_bytes, uint64_t memory_free, struct err *err);

#endif
