// Masks over real vocabularies: a document cut by the tokenizer is allowed token by token, and where its bytes are
// given, only so.
#include "engine/text/grammar/grammar.h"
#include "engine/text/grammar/token_mask.h"
#include "engine/text/tokenizer.h"
#include "tests/unit.h"

#include <assert.h>
#include <string.h>

static const char *data_dir;

static const struct {
    const char *schema, *text;
    unsigned flags;
} documents[] = {
    { "{\"type\":\"object\",\"properties\":{\"first_name\":{\"type\":\"string\"},\"date_of_birth\":{\"type\":"
      "\"string\",\"format\":\"date\"},\"isSubscribedToNewsletter\":{\"type\":\"boolean\"},\"\xc3\xa9t\xc3\xa9\":{"
      "\"type\":\"number\"}},\"required\":[\"first_name\",\"date_of_birth\",\"isSubscribedToNewsletter\",\"\xc3\xa9t"
      "\xc3\xa9\"]}",
      "{\"first_name\": \"Ada\", \"date_of_birth\": \"1815-12-10\", \"isSubscribedToNewsletter\": true, "
      "\"\xc3\xa9t\xc3\xa9\": 1.5}",
      0 },
    { "{\"type\":\"object\",\"properties\":{\"temperature_celsius\":{\"type\":\"integer\"},\"conditions\":{\"enum\":["
      "\"partly cloudy with showers\",\"thunderstorm\",\"\xe6\x99\xb4\xe3\x82\x8c\"]}},\"required\":[\"temperature_"
      "celsius\",\"conditions\"]}",
      "{\"temperature_celsius\":21,\"conditions\":\"partly cloudy with showers\"}", GRAMMAR_COMPACT },
    { "{\"enum\":[\"<tool_call> is said, then a name, and </tool_call>\"]}",
      "\"<tool_call> is said, then a name, and </tool_call>\"", 0 }, // tokens of their own in qwen2.5
};

static bool has_bit(const uint64_t *bits, int32_t id)
{
    return bits[id / 64] >> id % 64 & 1;
}

static size_t count_bits(const uint64_t *bits, size_t n_words)
{
    size_t n = 0;
    for (size_t i = 0; i < n_words; i++) {
        n += (size_t)__builtin_popcountll(bits[i]);
    }
    return n;
}

// Follows a text as the tokenizer cuts it. Returns how many of its tokens were the only ones.
static size_t follow(const struct tokenizer *tok, const struct token_trie *trie, size_t document)
{
    struct err err = { 0 };
    struct grammar *grammar;
    struct automaton *a;
    struct token_masks *masks;
    struct automaton_cursor cursor;
    struct token_ids ids = { 0 };
    size_t n_forced = 0;
    int rc =
        grammar_from_schema(str_from(documents[document].schema), documents[document].flags, "schema", &grammar, &err);
    assert_int_equal(rc, 0);
    assert_int_equal(automaton_new(grammar_nfa(grammar), &a), 0);
    assert_int_equal(token_masks_new(a, trie, 64, &masks), 0);
    assert_int_equal(token_masks_cut_forced(masks, tok), 0);
    assert_int_equal(tokenizer_encode(tok, str_from(documents[document].text), 0, &ids, &err), 0);
    automaton_cursor_init(a, &cursor);
    for (size_t i = 0; i < ids.len; i++) {
        const uint64_t *bits = token_masks_get(masks, &cursor);
        struct str token = tokenizer_token_bytes(tok, ids.ids[i]);
        if (!has_bit(bits, ids.ids[i])) {
            fail_msg("%s: token %zu, \"%.*s\", is not allowed", documents[document].text, i, STR_ARG(token));
        }
        bool is_only = count_bits(bits, trie->n_words) == 1;
        n_forced += is_only;
        assert_int_equal(token_masks_only(masks, &cursor), is_only ? ids.ids[i] : -1);
        assert_true(automaton_cursor_advance(a, &cursor, token));
    }
    assert_true(automaton_is_over(a, &cursor));
    automaton_cursor_deinit(&cursor);
    token_ids_deinit(&ids);
    token_masks_free(masks);
    automaton_free(a);
    grammar_free(grammar);
    return n_forced;
}

static void test_token_mask_allows_documents_as_tokenizers_cut_them(void **state)
{
    (void)state;
    static const char *const names[] = { "gpt2", "llama3.2", "qwen2.5", "smollm", "deepseek-llm" };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char path[512];
        struct tokenizer *tok;
        struct token_trie trie;
        struct err err = { 0 };
        snprintf(path, sizeof(path), "%s/tokenizers/%s", data_dir, names[i]);
        assert_int_equal(tokenizer_open(path, &tok, &err), 0);
        assert_int_equal(token_trie_init_from_tokenizer(&trie, tok), 0);
        for (size_t k = 0; k < sizeof(documents) / sizeof(*documents); k++) {
            size_t n_forced = follow(tok, &trie, k);
            printf("%s, document %zu: %zu tokens left no choice\n", names[i], k, n_forced);
            assert_true(n_forced >= 4);
        }
        token_trie_deinit(&trie);
        tokenizer_free(tok);
    }
}

// What would keep everybody waiting is found out by trying.
static void test_token_mask_absurd_grammars_are_found_out(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        bool is_good;
    } cases[] = {
        { "[A-Z][a-z]{1,20}( [A-Z][a-z]{1,20}){0,3}", true },
        { "(\\w+@\\w+\\.com(, )?)*", true },
        { "(.{0,1000}[a-z]{0,1000}){3}", false },
        { "(\\w*\\W*){500}", false },
    };
    char path[512];
    struct tokenizer *tok;
    struct token_trie trie;
    struct err err = { 0 };
    snprintf(path, sizeof(path), "%s/tokenizers/llama3.2", data_dir);
    assert_int_equal(tokenizer_open(path, &tok, &err), 0);
    assert_int_equal(token_trie_init_from_tokenizer(&trie, tok), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct grammar *grammar;
        struct automaton *a;
        struct token_masks *masks;
        assert_int_equal(grammar_from_regex(str_from(cases[i].pattern), 0, "regex", &grammar, &err), 0);
        assert_int_equal(automaton_new(grammar_nfa(grammar), &a), 0);
        assert_int_equal(token_masks_new(a, &trie, 8, &masks), 0);
        if (token_masks_try(masks, tok) != cases[i].is_good) {
            fail_msg("%s", cases[i].pattern);
        }
        token_masks_free(masks);
        automaton_free(a);
        grammar_free(grammar);
    }
    token_trie_deinit(&trie);
    tokenizer_free(tok);
}

int main(void)
{
    data_dir = test_data_dir_or_skip();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_mask_allows_documents_as_tokenizers_cut_them),
        cmocka_unit_test(test_token_mask_absurd_grammars_are_found_out),
    };
    return cmocka_run_group_tests_name("token_mask", tests, NULL, NULL);
}
