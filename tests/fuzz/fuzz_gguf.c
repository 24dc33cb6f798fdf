// Any bytes as a GGUF file: read within bounds or refused with a reason; as a vocabulary: loaded, and then it encodes
// and decodes, or refused; and as a model: its tensors' bytes are those of their types and shapes, and its metadata
// makes a configuration or is refused.
#include "engine/base/gguf.h"
#include "engine/base/utf8.h"
#include "engine/model/gguf_config.h"
#include "engine/text/tokenizer.h"
#include "kernels/dtype.h"
#include "tests/fuzz/fuzz.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define U32(a)                  a "\0\0\0"
#define U64(a)                  a "\0\0\0\0\0\0\0"
#define HEAD(n_tensors, n_keys) "GGUF" U32("\3") U64(n_tensors) U64(n_keys)
#define KEY(len, name)          U64(len) name
#define WHOLE(len, name, value) KEY(len, name) U32("\4") U32(value)
#define KEY_MODEL               U64("\x14") "tokenizer.ggml.model" U32("\10")
#define KEY_NO_BOS              U64("\x1c") "tokenizer.ggml.add_bos_token" U32("\7") "\0"
#define KEY_PRE                 U64("\x12") "tokenizer.ggml.pre" U32("\10")
#define KEY_TOKENS(n)           U64("\x15") "tokenizer.ggml.tokens" U32("\11") U32("\10") U64(n)
#define KEY_TYPES(n)            U64("\x19") "tokenizer.ggml.token_type" U32("\11") U32("\5") U64(n)
#define KEY_SCORES(n)           U64("\x15") "tokenizer.ggml.scores" U32("\11") U32("\6") U64(n)
#define KEY_MERGES(n)           U64("\x15") "tokenizer.ggml.merges" U32("\11") U32("\10") U64(n)

const struct str fuzz_seeds[] = {
    STR(HEAD("\0", "\5") KEY_MODEL U64("\5") "llama" KEY_TOKENS("\7")
            U64("\5") "<unk>" U64("\3") "<s>" U64("\4") "</s>" U64("\6") "<0x0A>" U64("\1") "a" U64(
                "\3") "\xe2\x96\x81" U64("\4") "\xe2\x96\x81"
                                               "a" KEY_SCORES(
                                                   "\7") "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80\xbf\0\0\0\xc0\0\0"
                                                         "\x80\x3f" KEY_TYPES("\7") U32("\2") U32("\3") U32("\3")
                                                             U32("\6") U32("\1") U32("\1") U32("\1") U64(
                                                                 "\x1c") "tokenizer.ggml.add_eos_token" U32("\7") "\1"),
    STR(HEAD("\0", "\4") KEY_MODEL U64("\4") "gpt2" KEY_PRE U64("\5") "gpt-2" KEY_TOKENS("\4") U64("\1") "a" U64(
        "\1") "b" U64("\2") "ab" U64("\3") "abb" KEY_MERGES("\2") U64("\3") "a b" U64("\4") "ab b"),
    STR(HEAD("\0", "\4") KEY_NO_BOS KEY_MODEL U64("\6") "gemma4" KEY_TOKENS("\4")
            U64("\1") "a" U64("\1") "b" U64("\2") "ab" U64("\0") KEY_MERGES("\1") U64("\3") "a b"),
    STR(HEAD("\1", "\1") U64("\7") "general" U32("\11") U32("\11") U64("\1") U32("\1") U64("\2") "ab" U64("\1") "t" U32(
        "\2") U64("\x20") U64("\1") U32("\10") U64("\0") "............................................................."
                                                         "........................................"),
    STR(HEAD("\2", "\x0a") KEY("\x14", "general.architecture") U32("\10") U64("\5") "llama" WHOLE(
        "\x14", "llama.context_length", "\x40") WHOLE("\x16", "llama.embedding_length", "\x10")
            WHOLE("\x11", "llama.block_count", "\1") WHOLE("\x19", "llama.feed_forward_length", "\x10")
                WHOLE("\x1a", "llama.attention.head_count", "\2") WHOLE("\x1d", "llama.attention.head_count_kv", "\1")
                    KEY("\x26", "llama.attention.layer_norm_rms_epsilon") U32("\6") "\xac\xc5\x27\x37" WHOLE(
                        "\x1b", "tokenizer.ggml.eos_token_id", "\2") KEY("\x17", "tokenizer.chat_template") U32("\10")
                        U64("\3") "{{}" U64("\x11") "token_embd.weight" U32("\2") U64("\x10") U64("\4") U32("\1")
                            U64("\0") U64("\x0d") "output.weight" U32("\2") U64("\x20") U64("\1") U32("\10")
                                U64("\x80") ".........................................................................."
                                            "......................"
                                            ".........................................................................."
                                            "......................"),
    { NULL, 0 },
};

const struct str fuzz_words[] = {
    STR("\0\0\0\0\0\0\0"),
    STR("\377\377\377\377\377\377\377\377"),
    STR(KEY_MODEL),
    STR(KEY_PRE),
    STR(KEY_TOKENS("\2")),
    STR(KEY_TYPES("\2")),
    STR(KEY_SCORES("\2")),
    STR(KEY_MERGES("\1")),
    STR("llama"),
    STR("gemma3"),
    STR("qwen3moe"),
    STR("gpt-oss"),
    STR(WHOLE("\x12", "llama.expert_count", "\2")),
    STR(WHOLE("\x17", "llama.expert_used_count", "\1")),
    STR(WHOLE("\x1c", "llama.attention.value_length", "\4")),
    STR(WHOLE("\x1a", "llama.attention.key_length", "\4")),
    STR(WHOLE("\x1a", "llama.rope.dimension_count", "\4")),
    STR(KEY("\x17", "llama.rope.scaling.type") U32("\10") U64("\4") "yarn"),
    STR(KEY("\x19", "llama.rope.scaling.factor") U32("\6") "\0\0\0\x40"),
    STR(U64("\x11") "rope_freqs.weight" U32("\1") U64("\4") U32("\0") U64("\0")),
    STR("gpt2"),
    STR("default"),
    STR("qwen2"),
    STR("falcon"),
    STR("deepseek-v3"),
    STR("general.alignment"),
    STR("tokenizer.ggml.add_space_prefix"),
    STR("tokenizer.ggml.bos_token_id"),
    STR("tokenizer.ggml.unknown_token_id"),
    STR("<0x61>"),
    STR("\xe2\x96\x81"),
    { NULL, 0 },
};

static void check_tokenizer(const struct gguf *g)
{
    static const struct str texts[] = { STR("ab abb  a\n12"), STR(" \xe2\x96\x81 \xc3\xa9<s>a") };
    struct tokenizer *tok = NULL;
    struct err err = { 0 };
    int r = tokenizer_from_gguf(g, &tok, &err);
    assert(r == err.code && (r == 0) == (tok != NULL));
    assert(r == 0 || ((r == -EINVAL || r == -EOPNOTSUPP || r == -ENOMEM) && err.msg[0]));
    for (size_t i = 0; r == 0 && i < sizeof texts / sizeof *texts; i++) {
        struct token_ids ids = { 0 };
        struct strbuf out;
        strbuf_init(&out, 1 << 26);
        int rc = tokenizer_encode(tok, texts[i], TOKENIZER_ADD_SPECIAL, &ids, &err);
        assert(rc == 0 || ids.len == 0);
        for (size_t k = 0; k < ids.len; k++) {
            assert(ids.ids[k] >= 0 && (size_t)ids.ids[k] < tokenizer_n_vocab(tok));
        }
        rc = tokenizer_decode(tok, ids.ids, ids.len, false, &out);
        assert(rc < 0 || utf8_valid_len(strbuf_str(&out)) == out.len);
        strbuf_deinit(&out);
        token_ids_deinit(&ids);
    }
    tokenizer_free(tok);
}

static void check_values(const struct gguf *g)
{
    for (size_t i = 0; i < g->n_entries; i++) {
        const struct gguf_entry *e = &g->entries[i];
        struct str items = e->bytes;
        bool is_array = e->type == GGUF_ARRAY;
        for (uint64_t k = 0; is_array && k < e->n_items && e->item_type != GGUF_ARRAY; k++) {
            if (e->item_type == GGUF_STRING) {
                struct str s = gguf_next_str(&items);
                assert(s.len <= e->bytes.len);
            } else {
                (void)gguf_item_f64(e, k), (void)gguf_item_i64(e, k);
            }
        }
        assert(!is_array || e->item_type != GGUF_STRING || items.len == 0);
    }
}

static void check_model(struct gguf *g)
{
    struct gguf_file file = { .name = (char *)"f", .gguf = g };
    const struct gguf_set set = { .dir = (char *)".", .files = &file, .n_files = 1 };
    struct model_config config;
    struct strbuf text;
    struct err err = { 0 };
    strbuf_init(&text, 0);
    int r = gguf_config_read(&set, &config, &err);
    assert(r == err.code && (r == 0 || err.msg[0]));
    assert(r < 0 || (config.n_layers > 0 && config.n_heads > 0 && config.n_embd > 0 && config.head_dim > 0));
    err = (struct err){ 0 };
    r = gguf_tokenizer_config_write(&set, &text, &err);
    assert(r < 0 || utf8_valid_len(strbuf_str(&text)) == text.len);
    strbuf_deinit(&text);
}

static void check_tensors(const struct gguf *g, size_t size)
{
    for (size_t i = 0; i < g->n_tensors; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        assert(t->offset <= size && t->bytes <= size - t->offset);
        assert(gguf_find_tensor(g, t->name) == t);
        assert(t->shape[0] % t->storage->block_items == 0);
        uint64_t items = t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3];
        assert(t->bytes == items / t->storage->block_items * t->storage->block_bytes);
        for (int dtype = 0; dtype < N_DTYPES; dtype++) { // two tables of the same
            struct dtype_format format = dtype_format((enum dtype)dtype);
            bool is_same = strcasecmp(format.name, t->storage->name) == 0;
            assert(!is_same ||
                   (format.block_len == t->storage->block_items && format.block_bytes == t->storage->block_bytes));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf *g = NULL;
    struct err err = { 0 };
    int r = gguf_parse((struct str){ (const char *)data, size }, size, "f", &g, &err);
    assert(r == err.code && (r == 0) == (g != NULL));
    if (r < 0) {
        assert((r == -EINVAL || r == -EOPNOTSUPP || r == -ENOMEM) && err.msg[0]);
        return 0;
    }
    check_tensors(g, size);
    check_values(g);
    check_model(g);
    check_tokenizer(g);
    gguf_free(g);
    return 0;
}
