// Vocabularies from GGUF files, small ones made here. test_tokenizer_vectors.c has published ones.
#include "engine/text/gguf_pre.h"
#include "engine/text/tokenizer.h"
#include "tests/gguf_build.h"
#include "tests/unit.h"

#include <errno.h>
#include <string.h>

static struct tokenizer *load(struct gguf_build *b)
{
    struct gguf *g = NULL;
    struct tokenizer *tok = NULL;
    struct err err = { 0 };
    struct str file = build_end(b, 0);
    if (gguf_parse(file, file.len, "f.gguf", &g, &err) < 0 || tokenizer_from_gguf(g, &tok, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    gguf_free(g);
    strbuf_deinit(&b->out); // the tokenizer needs neither
    return tok;
}

static void check_refused(struct gguf_build *b, int code, const char *msg)
{
    struct gguf *g = NULL;
    struct tokenizer *tok = NULL;
    struct err err = { 0 };
    struct str file = build_end(b, 0);
    assert_int_equal(gguf_parse(file, file.len, "f.gguf", &g, &err), 0);
    assert_int_equal(tokenizer_from_gguf(g, &tok, &err), code);
    assert_null(tok);
    assert_string_equal(err.msg, msg);
    gguf_free(g);
    strbuf_deinit(&b->out);
}

static void check_ids(const struct tokenizer *tok, const char *text, unsigned flags, const char *want)
{
    struct token_ids ids = { 0 };
    struct err err = { 0 };
    struct strbuf got = { 0 };
    assert_int_equal(tokenizer_encode(tok, str_from(text), flags, &ids, &err), 0);
    for (size_t i = 0; i < ids.len; i++) {
        strbuf_printf(&got, "%s%d", i ? " " : "", ids.ids[i]);
    }
    if (!str_eq(strbuf_str(&got), str_from(want))) {
        fail_msg("\"%s\" (flags %u): want %s, got %.*s", text, flags, want, STR_ARG(strbuf_str(&got)));
    }
    token_ids_deinit(&ids);
    strbuf_deinit(&got);
}

static void check_text(const struct tokenizer *tok, const int32_t *ids, size_t n, const char *want)
{
    struct strbuf out = { 0 };
    assert_int_equal(tokenizer_decode(tok, ids, n, false, &out), 0);
    assert_true(str_eq(strbuf_str(&out), str_from(want)));
    strbuf_deinit(&out);
}

// ---- models of scores ----------------------------------------------------------------------------------------------

static const char *const llama_tokens[] = {
    "<unk>",
    "<s>",
    "</s>",
    "<0xC3>",
    "<0xA9>",
    "\xe2\x96\x81",
    "a",
    "b",
    "ab",
    "aba",
    "\xe2\x96\x81"
    "a",
    "<|u|>",
    NULL,
};
static const uint32_t llama_types[] = { 2, 3, 3, 6, 6, 1, 1, 1, 1, 1, 1, 4 };
static const float llama_scores[] = { 0, 0, 0, 0, 0, -9, -8, -7, -2, -3, -1, 0 };
enum { N_LLAMA = 12 };

static void build_llama(struct gguf_build *b)
{
    build_begin(b);
    build_text(b, "tokenizer.ggml.model", "llama");
    build_strs(b, "tokenizer.ggml.tokens", llama_tokens);
    build_array(b, "tokenizer.ggml.scores", GGUF_F32, N_LLAMA);
    for (size_t i = 0; i < N_LLAMA; i++) {
        build_f32(b, llama_scores[i]);
    }
    build_array(b, "tokenizer.ggml.token_type", GGUF_I32, N_LLAMA);
    for (size_t i = 0; i < N_LLAMA; i++) {
        build_le(b, llama_types[i], 4);
    }
}

static void test_gguf_llama_best_score_merged_first(void **state)
{
    (void)state;
    struct gguf_build b;
    build_llama(&b);
    struct tokenizer *tok = load(&b);
    check_ids(tok, "", 0, "");
    check_ids(tok, "a", 0, "10");
    check_ids(tok, "ba", 0, "5 7 6");
    check_ids(tok, "abab", 0, "10 7 8");       // space and a are better than ab
    check_ids(tok, "baba", 0, "5 7 9");        // ab is better than aba, which then follows
    check_ids(tok, "bababa", 0, "5 7 8 9");    // equals: the left one first
    check_ids(tok, "b\xc3\xa9", 0, "5 7 3 4"); // no token: its bytes
    check_ids(tok, "b\xc3\xbf", 0, "5 7 0");   // no bytes either: unknown
    check_ids(tok, " a", 0, "5 10");
    tokenizer_free(tok);
}

static void test_gguf_llama_special_tokens_cut_the_text(void **state)
{
    (void)state;
    struct gguf_build b;
    build_llama(&b);
    build_number(&b, "tokenizer.ggml.add_eos_token", GGUF_BOOL, 1);
    struct tokenizer *tok = load(&b);
    check_ids(tok, "a", TOKENIZER_ADD_SPECIAL, "1 10 2"); // bos by default, eos as the file says
    check_ids(tok, "</s>a<|u|>b", 0, "2 10 11 5 7");      // a space before the text behind each
    check_ids(tok, "<|u|></s>", TOKENIZER_PLAIN_SPECIAL, "11 5 0 0 0 0");
    check_text(tok, (const int32_t[]){ 1, 10, 3, 4, 5, 8 }, 6, "<s> a\xc3\xa9 ab");
    check_text(tok, (const int32_t[]){ 10, 3, 5 }, 3, "a\xef\xbf\xbd ");
    assert_true(tokenizer_is_special(tok, 2) && !tokenizer_is_special(tok, 11) && !tokenizer_is_special(tok, 5));
    tokenizer_free(tok);
}

static void test_gguf_llama_without_space_prefix(void **state)
{
    (void)state;
    struct gguf_build b;
    build_llama(&b);
    build_number(&b, "tokenizer.ggml.add_space_prefix", GGUF_BOOL, 0);
    build_number(&b, "tokenizer.ggml.add_bos_token", GGUF_BOOL, 0);
    struct tokenizer *tok = load(&b);
    check_ids(tok, "a", TOKENIZER_ADD_SPECIAL, "6");
    check_ids(tok, " a", 0, "10");
    check_text(tok, (const int32_t[]){ 10 }, 1, " a");
    tokenizer_free(tok);
}

// What no key says: the special tokens of Phi-3 take the white space behind them.
static void test_gguf_phi3_special_tokens_strip_right(void **state)
{
    (void)state;
    struct gguf_build b;
    build_llama(&b);
    build_text(&b, "general.architecture", "phi3");
    struct tokenizer *tok = load(&b);
    check_ids(tok, "</s>  b<s> b", 0, "2 5 7 1 5 5 7");
    tokenizer_free(tok);
}

static void test_gguf_llama_scores_may_be_whole_numbers(void **state)
{
    (void)state;
    struct gguf_build b;
    build_begin(&b);
    build_text(&b, "tokenizer.ggml.model", "llama");
    build_strs(&b, "tokenizer.ggml.tokens", (const char *const[]){ "a", "b", "ab", "ba", "\xe2\x96\x81", NULL });
    build_array(&b, "tokenizer.ggml.scores", GGUF_I32, 5);
    for (int i = 0; i < 5; i++) {
        build_le(&b, (uint64_t)(int64_t) - (5 - i), 4); // ba is better than ab
    }
    build_number(&b, "tokenizer.ggml.add_bos_token", GGUF_BOOL, 0);
    struct tokenizer *tok = load(&b);
    check_ids(tok, "aba", 0, "4 0 3");
    tokenizer_free(tok);
}

// A megabyte of one letter: n log n.
static void test_gguf_llama_long_text_quick(void **state)
{
    (void)state;
    struct gguf_build b;
    struct token_ids ids = { 0 };
    struct err err = { 0 };
    build_llama(&b);
    struct tokenizer *tok = load(&b);
    size_t len = 1 << 20;
    char *text = malloc(len);
    memset(text, 'a', len);
    assert_int_equal(tokenizer_encode(tok, (struct str){ text, len }, 0, &ids, &err), 0);
    assert_int_equal(ids.len, len);
    assert_int_equal(ids.ids[0], 10);
    free(text);
    token_ids_deinit(&ids);
    tokenizer_free(tok);
}

// ---- models of merges ----------------------------------------------------------------------------------------------

static void build_gpt2(struct gguf_build *b, const char *pre)
{
    static const char *const tokens[] = { "a",
                                          "b",
                                          "1",
                                          "\xc4\xa0",
                                          "ab",
                                          "\xc4\xa0"
                                          "ab",
                                          "11",
                                          "<|end|>",
                                          "",
                                          "abb",
                                          NULL };
    static const char *const merges[] = { "a b", "\xc4\xa0 ab", "1 1", NULL };
    static const uint32_t types[] = { 1, 1, 1, 1, 1, 1, 1, 3, 5, 1 };
    build_begin(b);
    build_text(b, "tokenizer.ggml.model", "gpt2");
    if (pre) {
        build_text(b, "tokenizer.ggml.pre", pre);
    }
    build_strs(b, "tokenizer.ggml.tokens", tokens);
    build_strs(b, "tokenizer.ggml.merges", merges);
    build_array(b, "tokenizer.ggml.token_type", GGUF_I32, 10);
    for (size_t i = 0; i < 10; i++) {
        build_le(b, types[i], 4);
    }
}

static void test_gguf_gpt2_cut_as_its_name_says(void **state)
{
    (void)state;
    // default when the file names none; llama-bpe ignores merges: abb is a token
    static const char *const cases[] = { "gpt-2", "qwen2", "llama-bpe", NULL };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gguf_build b;
        build_gpt2(&b, cases[i]);
        build_number(&b, "tokenizer.ggml.bos_token_id", GGUF_U32, 7);
        struct tokenizer *tok = load(&b);
        check_ids(tok, "ab ab111<|end|> ab", 0, i == 1 ? "4 5 2 2 2 7 5" : "4 5 6 2 7 5");
        check_ids(tok, "abb", 0, i == 2 ? "9" : "4 1");
        check_ids(tok, "b", TOKENIZER_ADD_SPECIAL, i == 2 ? "7 1" : "1");
        tokenizer_free(tok);
    }
}

static void test_gguf_every_known_pre_tokenizer_loads(void **state)
{
    (void)state;
    static const char *const names[] = {
        "default",        "llama-bpe",   "dbrx",        "glm4",      "qwen2",  "stablelm2",
        "qwen35",         "gpt-2",       "jais",        "mpt",       "olmo",   "starcoder",
        "refact",         "command-r",   "smollm",      "codeshell", "falcon", "deepseek-llm",
        "deepseek-coder", "deepseek-v3", "spark2_5",    "youtu",     "gpt-4o", "granite-embed-multi-97m",
        "tekken",         "tiny_aya",    "poro-chat",   "viking",    "jais-2", "chameleon",
        "superbpe",       "bailingmoe",  "seed-coder",  "ufakzeka",  "laguna", "exaone-moe",
        "minicpm5",       "kimi-k2",     "chatglm-bpe",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct gguf_build b;
        assert_non_null(gguf_pre_find(str_from(names[i])));
        build_gpt2(&b, names[i]);
        build_number(&b, "tokenizer.ggml.add_bos_token", GGUF_BOOL, 0);
        struct tokenizer *tok = load(&b);
        check_ids(tok, "a1", 0, "0 2");
        check_text(tok, (const int32_t[]){ 5, 7, 8, 6 }, 4, " ab<|end|>11");
        tokenizer_free(tok);
    }
}

// ---- what is refused -----------------------------------------------------------------------------------------------

static void test_gguf_unsupported_refused_by_name(void **state)
{
    (void)state;
    struct gguf_build b;
    build_begin(&b);
    build_text(&b, "tokenizer.ggml.model", "bert");
    check_refused(&b, -EOPNOTSUPP,
                  "f.gguf: tokenizer.ggml.model: \"bert\" is not supported, only gpt2, gemma4 and llama");
    build_gpt2(&b, "no-such");
    check_refused(&b, -EOPNOTSUPP, "f.gguf: tokenizer.ggml.pre: the pre-tokenizer \"no-such\" is not known");
    build_llama(&b);
    build_number(&b, "tokenizer.ggml.remove_extra_whitespaces", GGUF_BOOL, 1);
    check_refused(&b, -EOPNOTSUPP, "f.gguf: tokenizer.ggml.remove_extra_whitespaces: true is not supported");
}

static void build_short(struct gguf_build *b, const char *model)
{
    build_begin(b);
    build_text(b, "tokenizer.ggml.model", model);
    build_strs(b, "tokenizer.ggml.tokens", (const char *const[]){ "a", "b", NULL });
}

static void test_gguf_contradictions_refused_by_key(void **state)
{
    (void)state;
    struct gguf_build b;
    build_begin(&b);
    check_refused(&b, -EINVAL, "f.gguf: tokenizer.ggml.model is missing");
    build_begin(&b);
    build_text(&b, "tokenizer.ggml.model", "llama");
    check_refused(&b, -EINVAL, "f.gguf: tokenizer.ggml.tokens is missing");
    build_short(&b, "llama");
    check_refused(&b, -EINVAL, "f.gguf: tokenizer.ggml.scores is missing");
    build_short(&b, "gpt2");
    check_refused(&b, -EINVAL, "f.gguf: tokenizer.ggml.merges is missing");
    build_short(&b, "llama");
    build_array(&b, "tokenizer.ggml.scores", GGUF_F32, 1);
    build_f32(&b, 1);
    check_refused(&b, -EINVAL, "f.gguf: tokenizer.ggml.scores has 1 items for 2 tokens");
    build_short(&b, "gpt2");
    build_strs(&b, "tokenizer.ggml.merges", (const char *const[]){ "a b", NULL });
    check_refused(&b, -EINVAL, "f.gguf: tokenizer.ggml: model.merges[0]: token \"ab\" is not in model.vocab");
    build_short(&b, "gpt2");
    build_strs(&b, "tokenizer.ggml.merges", (const char *const[]){ "\xff b", NULL });
    check_refused(&b, -EINVAL, "f.gguf: tokenizer.ggml.merges[0]: not UTF-8: \"? b\"");
    build_gpt2(&b, "gpt-2");
    build_number(&b, "tokenizer.ggml.add_eos_token", GGUF_BOOL, 1);
    build_number(&b, "tokenizer.ggml.eos_token_id", GGUF_U32, 10);
    check_refused(&b, -EINVAL, "f.gguf: tokenizer.ggml.eos_token_id: there is no token 10");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gguf_llama_best_score_merged_first),
        cmocka_unit_test(test_gguf_llama_special_tokens_cut_the_text),
        cmocka_unit_test(test_gguf_llama_without_space_prefix),
        cmocka_unit_test(test_gguf_phi3_special_tokens_strip_right),
        cmocka_unit_test(test_gguf_llama_scores_may_be_whole_numbers),
        cmocka_unit_test(test_gguf_llama_long_text_quick),
        cmocka_unit_test(test_gguf_gpt2_cut_as_its_name_says),
        cmocka_unit_test(test_gguf_every_known_pre_tokenizer_loads),
        cmocka_unit_test(test_gguf_unsupported_refused_by_name),
        cmocka_unit_test(test_gguf_contradictions_refused_by_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
