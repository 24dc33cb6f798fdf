// Opens a model: config, then tensors against the config, then memory, then the weights.
//
// The order is that of cost: everything that can be wrong with the files is found before memory is taken, and a model
// that does not fit is refused with its arithmetic before the kernel has to choose a victim.
#include "engine/model/model.h"
#include "engine/model/checkpoint.h"
#include "engine/model/file.h"
#include "engine/model/gguf_config.h"
#include "engine/model/host_memory.h"
#include "engine/model/model_text.h"
#include "engine/model/transformer.h"
#include "engine/model/weights_packed.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_BYTES_MAX (4u << 20)

static int read_gguf(const char *path, struct model_config *ret, struct err *err)
{
    struct gguf_set *set = NULL;
    int rc = gguf_set_open(path, &set, err);
    rc = rc < 0 ? rc : gguf_config_read(set, ret, err);
    gguf_set_free(set);
    return rc;
}

int model_config_read(const char *dir, struct model_config *ret, struct err *err)
{
    if (model_is_file(dir)) {
        return read_gguf(dir, ret, err);
    }
    struct strbuf config, generation;
    strbuf_init(&config, 0);
    strbuf_init(&generation, 0);
    int rc = file_read(dir, "config.json", CONFIG_BYTES_MAX, &config, err);
    if (rc == 0) {
        rc = file_read(dir, "generation_config.json", CONFIG_BYTES_MAX, &generation, err);
        rc = rc == -ENOENT ? 0 : rc; // few models need it
    }
    if (rc == 0 && (rc = model_config_parse(strbuf_str(&config), strbuf_str(&generation), ret, err)) < 0) {
        err_prefix(err, "%s", dir);
    }
    strbuf_deinit(&config);
    strbuf_deinit(&generation);
    return rc;
}

static void init_kv_layout(struct model *m, enum dtype dtype, size_t page_tokens)
{
    const struct model_config *c = &m->config;
    m->kv = (struct kv_layout){ .dtype = dtype,
                                .page_tokens = page_tokens,
                                .n_layers = c->n_layers,
                                .n_kv_heads = c->n_kv_heads,
                                .head_dim = c->head_dim };
    m->kv.page_bytes = (size_t)c->n_layers * 2 * c->n_kv_heads * page_tokens * dtype_row_bytes(dtype, c->head_dim);
}

static enum dtype kv_dtype(const char *name, enum dtype of_weights)
{
    if (name && strcmp(name, "q8") == 0) {
        return DTYPE_Q8_0;
    }
    for (int dtype = DTYPE_F32; name && dtype_is_plain((enum dtype)dtype); dtype++) {
        if (strcmp(name, dtype_name((enum dtype)dtype)) == 0) {
            return (enum dtype)dtype;
        }
    }
    return dtype_is_plain(of_weights) ? of_weights : DTYPE_BF16;
}

static uint64_t memory_available(const struct model *m, uint64_t memory_max)
{
    const struct backend_ops *ops = m->backend->ops;
    return memory_max             ? memory_max
           : ops->memory_free     ? ops->memory_free(m->backend)
           : ops->has_host_memory ? host_memory_available()
                                  : UINT64_MAX;
}

static double mib(uint64_t bytes)
{
    return (double)bytes / 0x1p20;
}

// What would fit in its place, in words.
static void advise(const struct model *m, const struct model_options *o, uint64_t other_bytes, uint64_t available,
                   char *ret, size_t size)
{
    uint64_t n_params = model_config_n_params(&m->config);
    if (o->kv_bytes > 0 && other_bytes < available) {
        snprintf(ret, size, "K and V of %.1f MiB would fit", mib(available - other_bytes));
    } else {
        snprintf(ret, size, "weights as q8 take about %.1f MiB, as q4 %.1f", mib(n_params / 32 * 34),
                 mib(n_params / 32 * 18));
    }
}

// K and V are counted as far as they are asked for: without, they take what is left.
static int check_memory(const struct model *m, uint64_t weight_bytes, const struct model_options *o, struct err *err)
{
    uint64_t available = memory_available(m, o->memory_max), kv_bytes = m->backend->ops->memory_free ? o->kv_bytes : 0;
    uint64_t act_bytes = activations_bytes(&m->config, m->batch_rows_max, m->logit_rows_max);
    if (weight_bytes <= available && act_bytes <= available - weight_bytes &&
        kv_bytes <= available - weight_bytes - act_bytes) {
        return 0;
    }
    char kv[64] = "", advice[80] = "";
    if (m->backend->ops->memory_free) {
        snprintf(kv, sizeof(kv), " + K and V %.1f MiB", mib(kv_bytes));
        snprintf(advice, sizeof(advice), "; ");
        advise(m, o, weight_bytes + act_bytes, available, advice + 2, sizeof(advice) - 2);
    }
    return err_set(err, -ENOMEM,
                   "the model does not fit: weights %.1f MiB + activations %.1f MiB (%zu rows)%s > %.1f MiB of memory "
                   "%s%s",
                   mib(weight_bytes), mib(act_bytes), m->batch_rows_max, kv, mib(available),
                   o->memory_max ? "allowed" : "available", advice);
}

static int check_kv_dtype(const struct model *m, enum dtype dtype, struct err *err)
{
    size_t block_len = dtype_format(dtype).block_len;
    if (!dtype_is_plain(dtype) && !m->backend->ops->has_block_kv) {
        return err_set_param(err, -EOPNOTSUPP, "kv_dtype", "the %s backend keeps no K and V of type %s",
                             m->backend->ops->name, dtype_name(dtype));
    }
    if (m->config.head_dim % block_len == 0) {
        return 0;
    }
    return err_set_param(err, -EOPNOTSUPP, "head_dim",
                         "K and V of type %s need heads of a multiple of %zu, not %" PRIu32, dtype_name(dtype),
                         block_len, m->config.head_dim);
}

static int check_backend(const struct model *m, struct err *err)
{
    const struct backend_ops *ops = m->backend->ops;
    uint32_t head_dim = m->config.head_dim;
    if (head_dim % ops->head_dim_step == 0 && head_dim <= ops->head_dim_max) {
        return 0;
    }
    return err_set_param(err, -EOPNOTSUPP, "head_dim",
                         "config.json: head_dim %" PRIu32
                         " is not supported: the %s backend takes multiples of %zu up to "
                         "%zu",
                         head_dim, ops->name, ops->head_dim_step, ops->head_dim_max);
}

static int load(struct model *m, const struct model_options *o, struct checkpoint *cp, struct err *err)
{
    enum dtype dtype;
    uint64_t weight_bytes;
    m->config.f8.is_kept = m->backend->ops->has_f8 && o->weights == WEIGHTS_AS_STORED;
    int rc = check_backend(m, err);
    if (rc < 0 || (rc = weights_bind(cp, &m->config, o->weights, &dtype, &weight_bytes, err)) < 0 ||
        (rc = check_memory(m, weight_bytes, o, err)) < 0) {
        return rc;
    }
    if ((rc = check_kv_dtype(m, kv_dtype(o->kv_dtype, dtype), err)) < 0) {
        return rc;
    }
    m->config.dtype = dtype;
    init_kv_layout(m, kv_dtype(o->kv_dtype, dtype), o->page_tokens);
    struct packed_weights packed;
    if ((rc = packed_weights_init(&packed, o->pack_cache, o->dir, cp, o->weights, m->backend, &m->packed_note, err)) <
        0) {
        return rc;
    }
    const struct weight_source source = { cp, &m->config, o->weights, &packed, o->progress, o->progress_ctx };
    if ((rc = weights_load(&m->weights, m->backend, &source, err)) == 0) {
        m->weights.dtype = dtype;
        rc = activations_init(m, err);
    }
    return rc;
}

int model_open(const struct model_options *options, struct model **ret, struct err *err)
{
    assert(options->page_tokens >= 16 && (options->page_tokens & (options->page_tokens - 1)) == 0);
    assert(options->batch_rows_max > 0);
    struct model *m = calloc(1, sizeof(*m));
    if (!m) {
        return err_set(err, -ENOMEM, "%s: no memory", options->dir);
    }
    m->backend = options->backend;
    m->batch_rows_max = options->batch_rows_max;
    m->logit_rows_max = options->logit_rows_max;
    m->n_ctx = options->n_ctx;
    struct checkpoint *cp = NULL;
    int rc = model_config_read(options->dir, &m->config, err);
    if (rc == 0) {
        rc = checkpoint_open(options->dir, &cp, err);
    }
    if (rc == 0 && (rc = load(m, options, cp, err)) != 0) {
        err_prefix(err, "%s", options->dir);
    }
    checkpoint_close(cp);
    if (rc != 0) {
        model_free(m);
        return rc;
    }
    *ret = m;
    return 0;
}

void model_free(struct model *m)
{
    if (!m) {
        return;
    }
    activations_deinit(m);
    weights_deinit(&m->weights);
    free(m);
}

const struct model_config *model_get_config(const struct model *m)
{
    return &m->config;
}

const struct kv_layout *model_get_kv_layout(const struct model *m)
{
    return &m->kv;
}

uint64_t model_weight_bytes(const struct model *m)
{
    return m->weights.bytes_per_step;
}

uint64_t model_weights_hash(const struct model *m)
{
    return m->weights.hash;
}

const struct packed_note *model_packed_note(const struct model *m)
{
    return &m->packed_note;
}
