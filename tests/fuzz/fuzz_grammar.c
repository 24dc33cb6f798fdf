// Any bytes as a schema, and as a pattern: refused with an errno of the interface and a reason, or a grammar in which
// no walk through its masks gets stuck.
#include "engine/text/grammar/grammar.h"
#include "engine/text/grammar/token_mask.h"
#include "tests/fuzz/fuzz.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

const struct str fuzz_seeds[] = {
    STR("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"maxLength\":5},\"b\":{\"type\":[\"integer\","
        "\"null\"],\"minimum\":-3,\"maximum\":120}},\"required\":[\"a\"],\"additionalProperties\":{\"enum\":[1,\"x\"]}"
        "}"),
    STR("{\"$defs\":{\"n\":{\"properties\":{\"l\":{\"anyOf\":[{\"$ref\":\"#/$defs/n\"},{\"type\":\"null\"}]}},"
        "\"type\":\"object\"}},\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/n\"},\"minItems\":1,\"maxItems\":3}"),
    STR("{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"number\",\"exclusiveMinimum\":-2,\"maximum\":7}}},{"
        "\"required\":"
        "[\"a\"]}],\"oneOf\":[{\"type\":\"object\"},{\"const\":null}]}"),
    STR("{\"type\":\"string\",\"pattern\":\"^a+(b|[^c-e\\\\d]){2,5}x?$\"}"),
    STR("^(?:[a-z]+\\.)*\\d{1,3}(x|y|\\u00e9)?[^\\s]$"),
    { NULL, 0 },
};

const struct str fuzz_words[] = {
    STR("\"$ref\":\"#\""),
    STR("\"anyOf\":[{},true]"),
    STR("\"items\":{}"),
    STR("\"prefixItems\":[{}]"),
    STR("\"format\":\"date\""),
    STR("\"enum\":[]"),
    STR("{1,40}"),
    STR("(?:"),
    STR("[^"),
    STR("\\\\w"),
    STR("\"additionalProperties\":false"),
    STR("\"minLength\":2"),
    { NULL, 0 },
};

static void walk(const struct grammar *grammar, struct str input)
{
    static const char *const texts[] = { "\"", "{\"",  "\": ", "}", "]",  "a", "ab", "1",
                                         "-",  "\xc3", "\xa9", ",", "\\", "n", "[" };
    struct str tokens[256];
    char bytes[256];
    size_t n_texts = sizeof(texts) / sizeof(*texts);
    for (size_t i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        tokens[i] = i < n_texts ? str_from(texts[i]) : (struct str){ &bytes[i], 1 };
    }
    struct automaton *a;
    struct token_trie trie;
    struct token_masks *masks;
    struct automaton_cursor cursor;
    if (automaton_new(grammar_nfa(grammar), &a) < 0 || token_trie_init(&trie, tokens, 256) < 0 ||
        token_masks_new(a, &trie, 2, &masks) < 0) {
        abort();
    }
    automaton_cursor_init(a, &cursor);
    for (size_t i = 0, n_steps = 0; n_steps < 30 && i < input.len; n_steps++) {
        const uint64_t *bits = token_masks_get(masks, &cursor);
        size_t id = (uint8_t)input.ptr[i++], n = 0;
        for (; n < 256 && !(bits[id / 64] >> id % 64 & 1); n++) {
            id = (id + 1) % 256;
        }
        if (n == 256) {
            break;
        }
        bool is_taken = automaton_cursor_advance(a, &cursor, tokens[id]);
        assert(is_taken);
    }
    automaton_cursor_deinit(&cursor);
    token_masks_free(masks);
    token_trie_deinit(&trie);
    automaton_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = { (const char *)data, size };
    for (int kind = 0; kind < 2; kind++) {
        struct grammar *grammar = NULL;
        struct err err = { 0 };
        int rc = kind == 0 ? grammar_from_schema(input, size & 3, "schema", &grammar, &err)
                           : grammar_from_regex(input, 0, "regex", &grammar, &err);
        assert(rc == 0 || rc == -EINVAL || rc == -EOPNOTSUPP || rc == -E2BIG || rc == -ENOMEM);
        assert(rc == 0 || (err.code == rc && err.msg[0] != 0));
        if (rc == 0) {
            walk(grammar, input);
            grammar_free(grammar);
        }
    }
    return 0;
}
