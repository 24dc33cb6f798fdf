// Each scanner against the regex that it stands for, on random Unicode text: the same matches, to the byte.
#include "engine/base/utf8.h"
#include "engine/text/regex.h"
#include "engine/text/scanner.h"
#include "tests/unit.h"

#include <string.h>

static const char llama3_pattern[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char qwen2_pattern[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static uint64_t random_state = 1;

static uint32_t next_random(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

static uint32_t random_codepoint(void)
{
    static const char common[] = "   \n\n\r\t''''sSTtrReEvVMmLlDd019.,!-_()aZ";
    static const uint32_t odd[] = { 0x17f, 0x212a, 0x85,    0xa0,    0x180e,  0x200b, 0x2028, 0x3000, 0xb2,   0x301,
                                    0xe9,  0x4f60, 0x1f600, 0x2ebf0, 0x31350, 0x1c89, 0xfb06, 0x149,  0x2167, 0x660 };
    switch (next_random(8)) {
    case 0: return odd[next_random(sizeof odd / sizeof odd[0])];
    case 1:
        for (;;) {
            uint32_t c = next_random(0x110000);
            if (c < 0xd800 || c > 0xdfff) {
                return c;
            }
        }
    case 2: return next_random(0x3000);
    default: return (uint8_t)common[next_random(sizeof common - 1)];
    }
}

static void make_text(struct strbuf *text)
{
    strbuf_reset(text);
    for (uint32_t n = 1 + next_random(40); n > 0; n--) {
        char c[4];
        uint32_t codepoint = random_codepoint();
        for (uint32_t repeat = next_random(10) ? 1 : 1 + next_random(6); repeat > 0; repeat--) {
            strbuf_append(text, (struct str){ c, utf8_encode(codepoint, c) });
        }
    }
}

static void check_text(const struct unicode_table *table, enum scanner_kind kind, const struct regex *re,
                       struct regex_scratch *scratch, struct str text)
{
    size_t from = 0, start = 0, end = 0, want_start = 0, want_end = 0;
    for (;;) {
        bool found = scanner_next(kind, table, text, from, &start, &end);
        int want = from < text.len ? regex_find(re, scratch, text, from, &want_start, &want_end) : 0;
        if (found != (want > 0) || (found && (start != want_start || end != want_end))) {
            fail_msg("scanner %d from %zu: %d [%zu,%zu), regex %d [%zu,%zu) in \"%.*s\"", kind, from, found, start, end,
                     want, want_start, want_end, STR_ARG(text));
        }
        if (!found) {
            return;
        }
        from = end;
    }
}

static void check_pattern(const char *pattern)
{
    static struct unicode_table table;
    struct regex *re;
    struct regex_scratch scratch = { 0 };
    struct err err = { 0 };
    struct strbuf text;
    enum scanner_kind kind = scanner_for_pattern(str_from(pattern));
    assert_int_not_equal(kind, SCANNER_NONE);
    unicode_table_init(&table);
    strbuf_init(&text, 0);
    assert_int_equal(regex_new(str_from(pattern), &table, "test", &re, &err), 0);
    for (int i = 0; i < 4000; i++) {
        make_text(&text);
        check_text(&table, kind, re, &scratch, strbuf_str(&text));
    }
    regex_scratch_deinit(&scratch);
    regex_free(re);
    strbuf_deinit(&text);
}

static void test_scanner_random_texts_equal_regex(void **state)
{
    (void)state;
    check_pattern(scanner_gpt2_pattern);
    check_pattern(llama3_pattern);
    check_pattern(qwen2_pattern);
    check_pattern("\\s+$");
}

static void test_scanner_other_pattern_none(void **state)
{
    (void)state;
    assert_int_equal(scanner_for_pattern(STR("\\s+")), SCANNER_NONE);
    assert_int_equal(scanner_for_pattern(STR("")), SCANNER_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scanner_random_texts_equal_regex),
        cmocka_unit_test(test_scanner_other_pattern_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
