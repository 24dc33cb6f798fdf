// tokfs-model quantize: a model, from a directory or a GGUF file, as a GGUF file whose projections have 8 or 4 bits.
//
// The weights go the way they go when a model is loaded, to a backend that keeps rows as they are (memory_backend.h),
// so that memory holds what the file will. The file is written beside its place and moved there when it is complete.
#include "engine/model/gguf_config.h"
#include "engine/model/gguf_keys.h"
#include "engine/model/gguf_sampling.h"
#include "engine/model/model.h"
#include "engine/model/model_text.h"
#include "engine/serve/chat_format.h"
#include "engine/text/gguf_vocab.h"
#include "engine/text/tokenizer.h"
#include "tools/model/command.h"
#include "tools/model/gguf_tensors.h"
#include "tools/model/memory_backend.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOKENIZER_BYTES_MAX  ((size_t)512 << 20)
#define GENERATION_BYTES_MAX ((size_t)4 << 20)
#define QUANTIZATION_VERSION 2

struct quantize {
    const char *in, *out;
    unsigned form; // enum weight_form
    struct backend *cpu, *memory;
    struct model_config config;
    struct checkpoint *cp;
    struct weights weights;
    struct gguf_writer w;
    struct gguf_factors factors[GGUF_FACTORS_MAX];
    size_t n_factors;
    int32_t eos_id; // the tokenizer's; -1: none
};

// ---- weights -------------------------------------------------------------------------------------------------------

static int load(struct quantize *q, struct err *err)
{
    const struct backend_options options = { 0 };
    enum dtype dtype;
    uint64_t bytes;
    int rc = backend_open("cpu", &options, &q->cpu, err);
    if (rc < 0 || (rc = model_config_read(q->in, &q->config, err)) < 0 ||
        (rc = checkpoint_open(q->in, &q->cp, err)) < 0 ||
        (rc = weights_bind(q->cp, &q->config, (enum weight_form)q->form, &dtype, &bytes, err)) < 0) {
        return rc;
    }
    q->memory = memory_backend_new(q->cpu);
    if (!q->memory) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    const struct weight_source source = { .cp = q->cp, .config = &q->config, .form = (enum weight_form)q->form };
    return weights_load(&q->weights, q->memory, &source, err);
}

// ---- keys ----------------------------------------------------------------------------------------------------------

// What the file itself says of these is over.
static bool is_replaced(struct str key)
{
    return str_eq(key, STR("general.file_type")) || str_eq(key, STR("general.quantization_version")) ||
           str_eq(key, STR("general.alignment")) || str_starts_with(key, STR("split."));
}

static int copy_keys(struct quantize *q, struct err *err)
{
    struct gguf_set *set = NULL;
    int rc = gguf_set_open(q->in, &set, err);
    const struct gguf *g = rc == 0 ? gguf_set_head(set) : NULL;
    for (size_t i = 0; g && i < g->n_entries; i++) {
        if (!is_replaced(g->entries[i].key)) {
            gguf_write_entry(&q->w, &g->entries[i]);
        }
    }
    gguf_set_free(set);
    return rc;
}

// Does the tokenizer put this token before, or behind, a text?
static bool adds(const struct tokenizer *tok, const char *token, bool behind)
{
    struct token_ids ids = { 0 };
    int32_t id = token ? tokenizer_find(tok, str_from(token)) : -1;
    bool found = id >= 0 && tokenizer_encode(tok, STR("a"), TOKENIZER_ADD_SPECIAL, &ids, NULL) == 0 && ids.len > 0 &&
                 ids.ids[behind ? ids.len - 1 : 0] == id;
    token_ids_deinit(&ids);
    return found;
}

static struct str optional(const char *text)
{
    return text ? str_from(text) : (struct str){ NULL, 0 };
}

static int write_vocab(struct quantize *q, struct err *err)
{
    struct chat_format format = { 0 };
    struct tokenizer *tok = NULL;
    struct strbuf json;
    strbuf_init(&json, 0);
    int rc = tokenizer_open(q->in, &tok, err);
    rc = rc < 0 ? rc : chat_format_load(q->in, &format, err);
    rc = rc < 0 ? rc : model_text_read(q->in, "tokenizer.json", TOKENIZER_BYTES_MAX, &json, err);
    if (rc == 0) {
        struct str none = { NULL, 0 };
        const struct gguf_vocab_options options = {
            .n_vocab = q->config.n_vocab,
            .bos_token = optional(format.bos_token),
            .eos_token = optional(format.eos_token),
            .unk_token = optional(format.unk_token),
            .pad_token = optional(format.pad_token),
            .add_bos = adds(tok, format.bos_token, false),
            .add_eos = adds(tok, format.eos_token, true),
            .chat_template = format.tmpl ? chat_template_source(format.tmpl) : none,
            .tool_template = format.tool_tmpl ? chat_template_source(format.tool_tmpl) : none,
        };
        q->eos_id = format.eos_token ? tokenizer_find(tok, str_from(format.eos_token)) : -1;
        rc = gguf_vocab_write(strbuf_str(&json), &options, &q->w, err);
    }
    if (rc < 0) {
        err_prefix(err, "%s", q->in);
    }
    strbuf_deinit(&json);
    chat_format_deinit(&format);
    tokenizer_free(tok);
    return rc;
}

// Ends that config.json and generation_config.json name beside the tokenizer's own. A third one has no key.
static int write_ends(struct quantize *q, struct err *err)
{
    static const char *const keys[] = { "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id" };
    size_t n = 0;
    for (uint32_t i = 0; i < q->config.n_eos; i++) {
        if (q->config.eos_ids[i] == q->eos_id) {
            continue;
        }
        if (n == sizeof(keys) / sizeof(*keys)) {
            return err_set(err, -EOPNOTSUPP, "%s: eos_token_id %d: a GGUF file has room for two beside the tokenizer's",
                           q->in, q->config.eos_ids[i]);
        }
        gguf_write_u32(&q->w, keys[n++], (uint32_t)q->config.eos_ids[i]);
    }
    return 0;
}

static int write_sampling(struct quantize *q, struct err *err)
{
    struct strbuf json;
    strbuf_init(&json, 0);
    int rc = model_text_read(q->in, "generation_config.json", GENERATION_BYTES_MAX, &json, err);
    if (rc == 0 && (rc = gguf_sampling_write(strbuf_str(&json), &q->w, err)) < 0) {
        err_prefix(err, "%s/generation_config.json", q->in);
    }
    strbuf_deinit(&json);
    return rc == -ENOENT ? 0 : rc; // few models need it
}

// As llama.cpp numbers them: ALL_F32, MOSTLY_F16, MOSTLY_BF16, MOSTLY_Q8_0, MOSTLY_Q4_0.
static uint32_t file_type(const struct quantize *q)
{
    switch ((enum weight_form)q->form) {
    case WEIGHTS_Q8: return 7;
    case WEIGHTS_Q4: return 2;
    default: return q->config.dtype == DTYPE_F32 ? 0 : q->config.dtype == DTYPE_F16 ? 1 : 32;
    }
}

static int write_keys(struct quantize *q, struct err *err)
{
    struct gguf_writer unused;
    bool is_gguf = model_is_file(q->in);
    gguf_writer_init(&unused);
    int rc = gguf_keys_write(&q->config, is_gguf ? &unused : &q->w, q->factors, &q->n_factors, err);
    gguf_writer_deinit(&unused);
    if (rc == 0 && is_gguf) {
        rc = copy_keys(q, err);
    } else if (rc == 0) {
        rc = write_vocab(q, err);
        rc = rc < 0 ? rc : write_ends(q, err);
        rc = rc < 0 ? rc : write_sampling(q, err);
    }
    gguf_write_u32(&q->w, "general.file_type", file_type(q));
    gguf_write_u32(&q->w, "general.quantization_version", QUANTIZATION_VERSION);
    return rc;
}

// ---- file ----------------------------------------------------------------------------------------------------------

static int write_to(struct quantize *q, const struct gguf_tensors *tensors, FILE *f)
{
    struct strbuf head;
    strbuf_init(&head, 0);
    int rc = gguf_write_head(&q->w, &head);
    if (rc == 0) {
        fwrite(head.ptr, 1, head.len, f);
        rc = gguf_tensors_write(tensors, f);
    }
    strbuf_deinit(&head);
    return rc == 0 && fflush(f) != 0 ? -errno : rc;
}

static int write_file(struct quantize *q, struct err *err)
{
    const struct gguf_tensors tensors = {
        .weights = &q->weights,
        .config = &q->config,
        .factors = q->factors,
        .n_factors = q->n_factors,
        .is_permuted = gguf_is_permuted(&q->config),
    };
    char part[4096];
    if (access(q->out, F_OK) == 0) {
        return err_set(err, -EEXIST, "%s: is there already", q->out);
    }
    if (snprintf(part, sizeof(part), "%s.part", q->out) >= (int)sizeof(part)) {
        return err_set(err, -ENAMETOOLONG, "%s: %s", q->out, strerror(ENAMETOOLONG));
    }
    FILE *f = fopen(part, "wxe");
    if (!f) {
        return err_set(err, -errno, "%s: %s", part, strerror(errno));
    }
    gguf_tensors_describe(&tensors, &q->w);
    errno = 0;
    int rc = write_to(q, &tensors, f);
    rc = rc == -EIO && errno ? -errno : rc;
    if (fclose(f) != 0 && rc == 0) {
        rc = -errno;
    }
    if (rc == 0 && rename(part, q->out) < 0) {
        rc = -errno;
    }
    if (rc < 0) {
        unlink(part);
        return err_set(err, rc, "%s: %s", part, strerror(-rc));
    }
    return 0;
}

static void quantize_close(struct quantize *q)
{
    gguf_writer_deinit(&q->w);
    if (q->memory) {
        weights_deinit(&q->weights);
        q->memory->ops->close(q->memory);
    }
    checkpoint_close(q->cp);
    if (q->cpu) {
        q->cpu->ops->close(q->cpu);
    }
}

// ---- command -------------------------------------------------------------------------------------------------------

static int run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = { { "weights", required_argument, NULL, 'w' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    static const char *const forms[] = { "stored", "q8", "q4", NULL }; // as enum weight_form
    struct quantize q = { 0 };
    struct err err = { 0 };
    unsigned form = WEIGHTS_Q8;
    int rc = 0;
    for (int opt; rc == 0 && (opt = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (opt) {
        case 'w': rc = option_choice("weights", optarg, forms, &form, &err); break;
        case 'h': return command_help(command);
        default: return 2;
        }
    }
    if (rc < 0) {
        return command_misuse(command, &err);
    }
    if (argc - optind != 2) {
        return command_usage(command);
    }
    q.in = argv[optind];
    q.out = argv[optind + 1];
    q.form = form;
    gguf_writer_init(&q.w);
    rc = load(&q, &err);
    rc = rc < 0 ? rc : write_keys(&q, &err);
    rc = rc < 0 ? rc : write_file(&q, &err);
    int status = rc < 0 ? command_fail(command, "%s", err.msg) : 0;
    quantize_close(&q);
    return status ? status : command_finish(command);
}

const struct command command_quantize = {
    .name = "quantize",
    .synopsis = "[--weights FORM] MODEL OUT.gguf",
    .summary = "writes a model as a GGUF file, of 8 or 4 bits or as it is",
    .options = "  --weights FORM  q8 (Q8_0; default), q4 (Q4_0, embeddings and head Q8_0) or stored\n",
    .run = run,
};
