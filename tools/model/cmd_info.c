// tokfs-model info: what a model directory holds, after the same checks as loading makes; no weights are read.
#include "engine/base/json.h"
#include "engine/model/checkpoint.h"
#include "engine/model/model.h"
#include "engine/model/weights.h"
#include "tools/model/command.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct dtype_total {
    struct str name;
    uint64_t n_tensors, bytes;
};

#define N_FEATURES 15
#define DTYPES_MAX 32 // more than the format has

struct info {
    const char *dir;
    struct model_config config;
    struct checkpoint *st;
    struct dtype_total totals[DTYPES_MAX];
    size_t n_totals;
};

static void count_dtypes(struct info *info)
{
    for (size_t i = 0; i < checkpoint_n_tensors(info->st); i++) {
        const struct tensor_info *t = checkpoint_tensor(info->st, i);
        size_t at = 0;
        while (at < info->n_totals && !str_eq(info->totals[at].name, t->dtype_name)) {
            at++;
        }
        assert(at < DTYPES_MAX);
        info->n_totals += at == info->n_totals;
        info->totals[at].name = t->dtype_name;
        info->totals[at].n_tensors++;
        info->totals[at].bytes += t->bytes;
    }
}

// What sets the model apart from plain Llama, in words.
static int list_features(const struct model_config *c, const char *ret[N_FEATURES])
{
    static const struct {
        uint32_t feature;
        const char *words;
    } names[N_FEATURES] = {
        { FEATURE_QKV_BIAS, "bias of q, k, v" },
        { FEATURE_O_BIAS, "bias of o" },
        { FEATURE_MLP_BIAS, "bias of feed-forward" },
        { FEATURE_QK_NORM, "norms of q and k" },
        { FEATURE_NOPE_LAYERS, "layers without rope" },
        { FEATURE_FUSED, "fused tensors" },
        { FEATURE_WINDOW_ROPE, "rope of their own in windowed layers" },
        { FEATURE_NORM_PLUS_ONE, "norms by 1 + weight" },
        { FEATURE_POST_NORMS, "norms behind attention and feed-forward" },
        { FEATURE_SCALED_EMBEDDINGS, "scaled embeddings" },
        { FEATURE_SINKS, "attention sinks" },
        { FEATURE_EXPERT_BIAS, "bias of experts" },
        { FEATURE_MXFP4, "experts of MXFP4, as bf16 in memory" },
        { FEATURE_F8, "projections of F8_E4M3, as bf16 in memory of the CPU" },
        { FEATURE_SOFTCAPS, "soft caps" },
    };
    int n = 0;
    for (size_t i = 0; i < N_FEATURES; i++) {
        bool is_idle = names[i].feature == FEATURE_SOFTCAPS && c->attn_softcap == 0 && c->logit_softcap == 0;
        if (model_has(c, names[i].feature) && !is_idle) {
            ret[n++] = names[i].words;
        }
    }
    return n;
}

static uint32_t count_layers(const struct model_config *c, enum layer_flag flag)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_layers; i++) {
        n += (c->layers[i] & flag) != 0;
    }
    return n;
}

static uint64_t kv_bytes_per_token(const struct model_config *c)
{
    enum dtype kv_dtype = dtype_is_plain(c->dtype) ? c->dtype : DTYPE_BF16;
    return 2 * (uint64_t)c->n_layers * c->n_kv_heads * c->head_dim * dtype_bytes(kv_dtype);
}

static void print_config(const struct model_config *c)
{
    printf("%-14s%s (%s)\n", "architecture", c->architecture, c->model_type);
    printf("%-14s%" PRIu64 "\n", "parameters", model_config_n_params(c));
    printf("%-14s%" PRIu32 "\n", "layers", c->n_layers);
    printf("%-14s%" PRIu32 "\n", "hidden size", c->n_embd);
    printf("%-14s%" PRIu32 "\n", "feed-forward", c->n_ff);
    printf("%-14s%" PRIu32 " of %" PRIu32 ", %" PRIu32 " of K and V\n", "heads", c->n_heads, c->head_dim,
           c->n_kv_heads);
    printf("%-14s%" PRIu32 "%s\n", "vocabulary", c->n_vocab, model_has(c, FEATURE_TIED) ? ", embeddings tied" : "");
    printf("%-14s%" PRIu32 " tokens\n", "context", c->n_ctx_max);
    if (c->n_experts > 0) {
        printf("%-14s%" PRIu32 " of %" PRIu32 " in %" PRIu32 " of %" PRIu32 " layers, feed-forward %" PRIu32 "\n",
               "experts", c->n_experts_used, c->n_experts, count_layers(c, LAYER_EXPERTS), c->n_layers, c->n_ff_expert);
    }
    if (count_layers(c, LAYER_WINDOWED) > 0) {
        printf("%-14s%" PRIu32 " tokens in %" PRIu32 " of %" PRIu32 " layers\n", "window", c->window,
               count_layers(c, LAYER_WINDOWED), c->n_layers);
    }
    const char *features[N_FEATURES];
    int n_features = list_features(c, features);
    for (int i = 0; i < n_features; i++) {
        printf("%s%s%s", i ? ", " : "features      ", features[i], i + 1 < n_features ? "" : "\n");
    }
    printf("%-14stheta %g, scaling %s", "rope", c->rope.theta, rope_scaling_name(c->rope.scaling));
    if (c->rope.factor > 0) {
        printf(" by %g", c->rope.factor);
    }
    if (c->rope.n_dims < c->head_dim) {
        printf(", %" PRIu32 " of %" PRIu32 " dimensions", c->rope.n_dims, c->head_dim);
    }
    printf("\n%-14s%s", "end tokens", c->n_eos ? "" : "none");
    for (uint32_t i = 0; i < c->n_eos; i++) {
        printf("%s%" PRId32, i ? " " : "", c->eos_ids[i]);
    }
    printf("\n%-14s%" PRIu64 " bytes per token\n", "KV", kv_bytes_per_token(c));
}

static void print_text(const struct info *info, bool with_tensors)
{
    print_config(&info->config);
    for (size_t i = 0; i < info->n_totals; i++) {
        const struct dtype_total *total = &info->totals[i];
        printf("%-14s%" PRIu64 " bytes in %" PRIu64 " tensors of %.*s\n", "weights", total->bytes, total->n_tensors,
               STR_ARG(total->name));
    }
    for (size_t i = 0; with_tensors && i < checkpoint_n_tensors(info->st); i++) {
        const struct tensor_info *t = checkpoint_tensor(info->st, i);
        printf("%.*s %.*s", STR_ARG(t->name), STR_ARG(t->dtype_name));
        for (uint32_t d = 0; d < t->n_dims; d++) {
            printf("%c%" PRIu64, d ? 'x' : ' ', t->shape[d]);
        }
        printf(" %s\n", checkpoint_file_name(info->st, t->file_idx));
    }
}

// ---- JSON ----------------------------------------------------------------------------------------------------------

static void write_tensors(struct json_writer *w, const struct info *info)
{
    json_write_key(w, "tensors");
    json_write_array_begin(w);
    for (size_t i = 0; i < checkpoint_n_tensors(info->st); i++) {
        const struct tensor_info *t = checkpoint_tensor(info->st, i);
        json_write_object_begin(w);
        json_write_key(w, "name");
        json_write_str(w, t->name);
        json_write_key(w, "dtype");
        json_write_str(w, t->dtype_name);
        json_write_key(w, "shape");
        json_write_array_begin(w);
        for (uint32_t d = 0; d < t->n_dims; d++) {
            json_write_u64(w, t->shape[d]);
        }
        json_write_array_end(w);
        json_write_member_cstr(w, "file", checkpoint_file_name(info->st, t->file_idx));
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void write_config(struct json_writer *w, const struct model_config *c)
{
    json_write_member_cstr(w, "architecture", c->architecture);
    json_write_member_cstr(w, "model_type", c->model_type);
    json_write_member_u64(w, "parameters", model_config_n_params(c));
    json_write_member_u64(w, "layers", c->n_layers);
    json_write_member_u64(w, "hidden_size", c->n_embd);
    json_write_member_u64(w, "intermediate_size", c->n_ff);
    json_write_member_u64(w, "experts", c->n_experts);
    json_write_member_u64(w, "experts_per_token", c->n_experts_used);
    json_write_member_u64(w, "expert_intermediate_size", c->n_ff_expert);
    json_write_member_u64(w, "heads", c->n_heads);
    json_write_member_u64(w, "kv_heads", c->n_kv_heads);
    json_write_member_u64(w, "head_dim", c->head_dim);
    json_write_member_u64(w, "vocab_size", c->n_vocab);
    json_write_member_u64(w, "context", c->n_ctx_max);
    json_write_key(w, "window");
    if (count_layers(c, LAYER_WINDOWED) > 0) {
        json_write_u64(w, c->window);
    } else {
        json_write_null(w);
    }
    json_write_member_u64(w, "windowed_layers", count_layers(c, LAYER_WINDOWED));
    const char *features[N_FEATURES];
    int n_features = list_features(c, features);
    json_write_key(w, "features");
    json_write_array_begin(w);
    for (int i = 0; i < n_features; i++) {
        json_write_cstr(w, features[i]);
    }
    json_write_array_end(w);
    json_write_member_bool(w, "tied_embeddings", model_has(c, FEATURE_TIED));
    json_write_key(w, "rope_theta");
    json_write_double(w, c->rope.theta);
    json_write_member_cstr(w, "rope_scaling", rope_scaling_name(c->rope.scaling));
    json_write_key(w, "end_tokens");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < c->n_eos; i++) {
        json_write_i64(w, c->eos_ids[i]);
    }
    json_write_array_end(w);
    json_write_member_u64(w, "kv_bytes_per_token", kv_bytes_per_token(c));
}

static int print_json(const struct info *info, bool with_tensors)
{
    struct strbuf out;
    struct json_writer w;
    strbuf_init(&out, 0);
    json_writer_init(&w, &out);
    json_write_object_begin(&w);
    write_config(&w, &info->config);
    json_write_key(&w, "weight_bytes");
    json_write_object_begin(&w);
    for (size_t i = 0; i < info->n_totals; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%.*s", STR_ARG(info->totals[i].name));
        json_write_member_u64(&w, name, info->totals[i].bytes);
    }
    json_write_object_end(&w);
    if (with_tensors) {
        write_tensors(&w, info);
    }
    json_write_object_end(&w);
    int rc = out.error;
    if (rc == 0) {
        puts(out.ptr);
    }
    strbuf_deinit(&out);
    return rc;
}

// ---- command -------------------------------------------------------------------------------------------------------

static int inspect(struct info *info, struct err *err)
{
    uint64_t bytes;
    int rc = model_config_read(info->dir, &info->config, err);
    if (rc == 0) {
        rc = checkpoint_open(info->dir, &info->st, err);
    }
    if (rc == 0 &&
        (rc = weights_bind(info->st, &info->config, WEIGHTS_AS_STORED, &info->config.dtype, &bytes, err)) < 0) {
        err_prefix(err, "%s", info->dir);
    }
    if (rc == 0) {
        count_dtypes(info);
    }
    return rc;
}

static int run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' },
                                             { "tensors", no_argument, NULL, 't' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    bool as_json = false, with_tensors = false;
    for (int opt; (opt = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (opt) {
        case 'j': as_json = true; break;
        case 't': with_tensors = true; break;
        case 'h': return command_help(command);
        default: return 2;
        }
    }
    if (argc - optind != 1) {
        return command_usage(command);
    }
    struct info info = { .dir = argv[optind] };
    struct err err = { 0 };
    int status = 0;
    if (inspect(&info, &err) < 0) {
        status = command_fail(command, "%s", err.msg);
    } else if (!as_json) {
        print_text(&info, with_tensors);
    } else if (print_json(&info, with_tensors) < 0) {
        status = command_fail(command, "out of memory");
    }
    checkpoint_close(info.st);
    return status ? status : command_finish(command);
}

const struct command command_info = {
    .name = "info",
    .synopsis = "[--json] [--tensors] MODEL",
    .summary = "what a model is: architecture, shapes, parameters, bytes; checked as for loading",
    .options = "  --json     one JSON object\n"
               "  --tensors  also every tensor: name, type, shape, file\n",
    .run = run,
};
