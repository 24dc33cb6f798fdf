// Any bytes as a GGUF file: read within bounds or refused with a reason; and as a vocabulary: loaded, and then it
// encodes and decodes, or refused.
#include "engine/base/gguf.h"
#include "engine/base/utf8.h"
#include "engine/text/tokenizer.h"
#include "tests/fuzz/fuzz.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

#define U32(a)                  a "\0\0\0"
#define U64(a)                  a "\0\0\0\0\0\0\0"
#define HEAD(n_tensors, n_keys) "GGUF" U32("\3") U64(n_tensors) U64(n_keys)
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
    for (size_t i = 0; i < g->n_tensors; i++) {
        assert(g->tensors[i].offset <= size && g->tensors[i].bytes <= size - g->tensors[i].offset);
        assert(gguf_find_tensor(g, g->tensors[i].name) == &g->tensors[i]);
    }
    check_values(g);
    check_tokenizer(g);
    gguf_free(g);
    return 0;
}
