// tokfs-model random: a model directory with the shape of a known model and random contents.
//
// It exists to measure: speed depends on shapes, not on what the weights know. config.json is written last, so that a
// directory that was not finished is not taken for a model.
#include "engine/base/json.h"
#include "tools/model/command.h"
#include "tools/model/random_shapes.h"
#include "tools/model/random_tokenizer.h"
#include "tools/model/random_weights.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *const torch_names[] = {
    [DTYPE_F32] = "float32", [DTYPE_F16] = "float16", [DTYPE_BF16] = "bfloat16"
};

// ---- configuration -------------------------------------------------------------------------------------------------

static void write_rope(struct json_writer *w, const struct random_shape *s)
{
    json_write_key(w, "rope_theta");
    json_write_double(w, s->rope_theta);
    json_write_key(w, "rope_scaling");
    if (s->llama3_factor == 0) {
        json_write_null(w);
        return;
    }
    json_write_object_begin(w);
    json_write_member_cstr(w, "rope_type", "llama3");
    json_write_key(w, "factor");
    json_write_double(w, s->llama3_factor);
    json_write_key(w, "low_freq_factor");
    json_write_double(w, 1);
    json_write_key(w, "high_freq_factor");
    json_write_double(w, 4);
    json_write_member_u64(w, "original_max_position_embeddings", 8192);
    json_write_object_end(w);
}

static void write_config(struct json_writer *w, const struct random_shape *s, enum dtype dtype)
{
    json_write_object_begin(w);
    json_write_key(w, "architectures");
    json_write_array_begin(w);
    json_write_cstr(w, s->architecture);
    json_write_array_end(w);
    json_write_member_cstr(w, "model_type", s->model_type);
    json_write_member_u64(w, "vocab_size", s->n_vocab);
    json_write_member_u64(w, "hidden_size", s->n_embd);
    json_write_member_u64(w, "intermediate_size", s->n_ff);
    json_write_member_u64(w, "num_hidden_layers", s->n_layers);
    json_write_member_u64(w, "num_attention_heads", s->n_heads);
    json_write_member_u64(w, "num_key_value_heads", s->n_kv_heads);
    json_write_member_u64(w, "head_dim", s->head_dim);
    json_write_member_u64(w, "max_position_embeddings", s->n_ctx_max);
    json_write_key(w, "rms_norm_eps");
    json_write_double(w, s->rms_eps);
    write_rope(w, s);
    json_write_member_cstr(w, "hidden_act", "silu");
    json_write_member_bool(w, "tie_word_embeddings", s->tie_embeddings);
    json_write_key(w, "bos_token_id");
    json_write_null(w);
    json_write_member_u64(w, "eos_token_id", random_tokenizer_specials(s->n_vocab).im_end);
    json_write_member_cstr(w, "torch_dtype", torch_names[dtype]);
    json_write_object_end(w);
    strbuf_append_byte(w->out, '\n');
}

static void write_generation_config(struct json_writer *w, const struct random_shape *s)
{
    struct special_tokens special = random_tokenizer_specials(s->n_vocab);
    json_write_object_begin(w);
    json_write_key(w, "eos_token_id");
    json_write_array_begin(w);
    json_write_u64(w, special.im_end);
    json_write_u64(w, special.end_of_text);
    json_write_array_end(w);
    json_write_member_u64(w, "pad_token_id", special.end_of_text);
    json_write_object_end(w);
    strbuf_append_byte(w->out, '\n');
}

// ---- command -------------------------------------------------------------------------------------------------------

struct request {
    const struct random_shape *shape;
    enum dtype dtype;
    uint64_t seed, shard_bytes_max;
    const char *dir;
};

static int write_files(const struct request *r, struct str config_text, struct str generation, struct err *err)
{
    struct model_config config;
    int rc = model_config_parse(config_text, generation, &config, err);
    if (rc < 0) {
        return rc;
    }
    char path[4096];
    struct stat st;
    if (mkdir(r->dir, 0777) < 0 && errno != EEXIST) {
        return err_set(err, -errno, "%s: %s", r->dir, strerror(errno));
    }
    if (snprintf(path, sizeof(path), "%s/config.json", r->dir) < (int)sizeof(path) && stat(path, &st) == 0) {
        return err_set(err, -EEXIST, "%s: a model is there already", r->dir);
    }
    if ((rc = random_tokenizer_write(r->dir, config.n_vocab, config.n_ctx_max, err)) < 0 ||
        (rc = random_weights_write(r->dir, &config, r->seed, r->shard_bytes_max, err)) < 0 ||
        (rc = output_write(r->dir, "generation_config.json", generation, err)) < 0) {
        return rc;
    }
    return output_write(r->dir, "config.json", config_text, err);
}

static int make(const struct request *r, struct err *err)
{
    struct strbuf config, generation;
    struct json_writer w;
    strbuf_init(&config, 0);
    strbuf_init(&generation, 0);
    json_writer_init(&w, &config);
    write_config(&w, r->shape, r->dtype);
    json_writer_init(&w, &generation);
    write_generation_config(&w, r->shape);
    int rc = config.error || generation.error ? err_set(err, -ENOMEM, "no memory")
                                              : write_files(r, strbuf_str(&config), strbuf_str(&generation), err);
    strbuf_deinit(&config);
    strbuf_deinit(&generation);
    return rc;
}

static int run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = {
        { "shape", required_argument, NULL, 's' }, { "dtype", required_argument, NULL, 'd' },
        { "seed", required_argument, NULL, 'r' },  { "shard-max", required_argument, NULL, 'm' },
        { "help", no_argument, NULL, 'h' },        { 0 }
    };
    struct request r = { .dtype = DTYPE_BF16, .shard_bytes_max = RANDOM_SHARD_BYTES_MAX };
    struct err err = { 0 };
    int64_t seed = 0;
    int rc = 0;
    for (int opt; rc == 0 && (opt = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (opt) {
        case 's': rc = random_shape_find(optarg, &r.shape, &err); break;
        case 'd': rc = option_choice("dtype", optarg, random_dtype_names, &r.dtype, &err); break;
        case 'r': rc = option_whole("seed", optarg, 0, INT64_MAX, &seed, &err); break;
        case 'm': rc = option_bytes("shard-max", optarg, &r.shard_bytes_max, &err); break;
        case 'h': return command_help(command);
        default: return 2;
        }
    }
    if (rc < 0) {
        return command_misuse(command, &err);
    }
    if (argc - optind != 1 || !r.shape) {
        return command_usage(command);
    }
    r.seed = (uint64_t)seed;
    r.dir = argv[optind];
    return make(&r, &err) < 0 ? command_fail(command, "%s", err.msg) : 0;
}

const struct command command_random = {
    .name = "random",
    .synopsis = "--shape NAME [--dtype bf16|f16|f32] [--seed N] [--shard-max SIZE] DIR",
    .summary = "makes a model with random weights and a working tokenizer",
    .options = "  --shape NAME      " RANDOM_SHAPE_LIST "\n"
               "  --dtype TYPE      of the weights: bf16 (default), f16, f32\n"
               "  --seed N          another seed, other weights (default 0)\n"
               "  --shard-max SIZE  of one weight file (default 5000000000); more files and an index above it\n",
    .run = run,
};
