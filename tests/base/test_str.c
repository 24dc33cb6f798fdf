// Borrowed strings, number parsers (checked against strtod on random bits and on known hard cases), the growing buffer.
#include "engine/base/str.h"
#include "tests/unit.h"
#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define assert_str(s, literal) assert_true(str_eq(s, STR(literal)))

static void test_str_from_null_is_empty(void **state)
{
    (void)state;
    assert_str(str_from(NULL), "");
    assert_str(str_from("abc"), "abc");
    assert_int_equal(STR("a\0b").len, 3);
}

static void test_str_eq_compares_length_and_bytes(void **state)
{
    (void)state;
    assert_true(str_eq((struct str){ NULL, 0 }, STR("")));
    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_false(str_eq(STR("ab"), STR("abc")));
}

static void test_str_starts_and_ends_with(void **state)
{
    (void)state;
    assert_true(str_starts_with(STR("tokenizer.json"), STR("token")));
    assert_true(str_starts_with(STR("x"), STR("")));
    assert_false(str_starts_with(STR("tok"), STR("token")));
    assert_true(str_ends_with(STR("tokenizer.json"), STR(".json")));
    assert_false(str_ends_with(STR("json"), STR(".json")));
    assert_false(str_ends_with(STR("a.jsom"), STR(".json")));
}

static void test_str_skip_and_take_clip(void **state)
{
    (void)state;
    assert_str(str_skip(STR("abc"), 2), "c");
    assert_str(str_skip(STR("abc"), 9), "");
    assert_str(str_take(STR("abc"), 2), "ab");
    assert_str(str_take(STR("abc"), 9), "abc");
    assert_str(str_skip((struct str){ NULL, 0 }, 1), "");
}

static void test_str_trim_removes_ascii_space_only(void **state)
{
    (void)state;
    assert_str(str_trim(STR(" \t\r\n\v\fa b \n")), "a b");
    assert_str(str_trim(STR("  ")), "");
    assert_str(str_trim(STR("\xc2\xa0x")), "\xc2\xa0x");
}

static void test_str_find_gives_first_offset(void **state)
{
    (void)state;
    assert_int_equal(str_find(STR("abcabc"), STR("ca")), 2);
    assert_int_equal(str_find(STR("abc"), STR("")), 0);
    assert_int_equal(str_find(STR("abc"), STR("abcd")), -1);
    assert_int_equal(str_find(STR("abc"), STR("x")), -1);
    assert_int_equal(str_find((struct str){ NULL, 0 }, STR("x")), -1);
}

static void test_str_cut_splits_at_first_separator(void **state)
{
    (void)state;
    struct str head, rest = str_cut(STR("a=b=c"), '=', &head);
    assert_str(head, "a");
    assert_str(rest, "b=c");
    rest = str_cut(STR("abc"), '=', &head);
    assert_str(head, "abc");
    assert_str(rest, "");
    rest = str_cut(STR("=x"), '=', &head);
    assert_str(head, "");
    assert_str(rest, "x");
}

static void test_str_dup_copies_and_terminates(void **state)
{
    (void)state;
    char *copy = str_dup(str_take(STR("abcdef"), 3));
    assert_string_equal(copy, "abc");
    free(copy);
    copy = str_dup((struct str){ NULL, 0 });
    assert_string_equal(copy, "");
    free(copy);
}

static void test_str_parse_i64_accepts_exact_range(void **state)
{
    (void)state;
    int64_t v = 7;
    assert_int_equal(str_parse_i64(STR("9223372036854775807"), &v), 0);
    assert_true(v == INT64_MAX);
    assert_int_equal(str_parse_i64(STR("-9223372036854775808"), &v), 0);
    assert_true(v == INT64_MIN);
    assert_int_equal(str_parse_i64(STR("-0012"), &v), 0);
    assert_true(v == -12);
}

static void test_str_parse_i64_refuses_others(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "1.0", "0x1", "--1", "1e3", "1_0" };
    int64_t v = 7;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(str_parse_i64(str_from(bad[i]), &v), -EINVAL);
    }
    assert_int_equal(str_parse_i64(STR("1\0"), &v), -EINVAL);
    assert_int_equal(str_parse_i64(STR("9223372036854775808"), &v), -ERANGE);
    assert_int_equal(str_parse_i64(STR("-9223372036854775809"), &v), -ERANGE);
    assert_int_equal(str_parse_i64(STR("99999999999999999999999999"), &v), -ERANGE);
    assert_int_equal(str_parse_i64(STR("99999999999999999999999999x"), &v), -EINVAL);
    assert_true(v == 7);
}

static void expect_double(const char *text)
{
    double got = -1, want = strtod(text, NULL); // the test runs in the C locale
    assert_int_equal(str_parse_double(str_from(text), &got), 0);
    if (memcmp(&got, &want, sizeof(got)) != 0) {
        fail_msg("%s: got %.17g, strtod %.17g", text, got, want);
    }
}

static void test_str_parse_double_rounds_correctly(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "0.0",
        "-0.0e5",
        "1",
        ".5",
        "5.",
        "0.1",
        "1e22",
        "1e23",
        "-1.5E+3",
        "1e-3",
        "123456789012345678",
        "9007199254740993",
        "9007199254740992.999999999999999999999",
        "9007199254740993.0000000000000000000001",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "6.02214076e23",
        "1e-400",
        "0e999999999999",
        "0.000000000000000000000000000000000000000000000000000000000000000000001e69",
        "1e-99999999999999999999999",
        "8.98846567431157953864652595394501e307",
        "0.500000000000000166533453693773481063544750213623046875",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        expect_double(texts[i]);
    }
}

// A midpoint between two doubles followed by zeros, with or without a last 1, far past the digits that are kept.
static void test_str_parse_double_sees_digits_past_the_kept_ones(void **state)
{
    (void)state;
    char text[3000];
    const char *midpoint = "9007199254740993.";
    memset(text, '0', sizeof(text));
    memcpy(text, midpoint, strlen(midpoint));
    text[2500] = '\0';
    expect_double(text);
    text[2499] = '1';
    expect_double(text);
    memset(text, '9', sizeof(text));
    memcpy(text + 2000, "e-1990", 7);
    expect_double(text);
}

static void test_str_parse_double_matches_strtod_on_random_bits(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 200000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        double v;
        memcpy(&v, &x, sizeof(v));
        if (!isfinite(v)) {
            continue;
        }
        char text[64];
        snprintf(text, sizeof(text), "%.*g", (int)(x % 20) + 1, v);
        if (isfinite(strtod(text, NULL))) {
            expect_double(text);
        }
    }
}

static void test_str_parse_double_refuses_others(void **state)
{
    (void)state;
    static const char *const bad[] = { "",     "-",     ".",   "-.",  "e5",    "1e",    "1e+",
                                       "1e5x", "1.2.3", "+1",  " 1",  "1 ",    "0x1p3", "inf",
                                       "nan",  "1e5.0", "1,5", "--1", "1e--5", "1e+-5", "infinity" };
    double v = 7;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(str_parse_double(str_from(bad[i]), &v), -EINVAL);
    }
    static const char *const huge[] = { "1e309", "-1e400", "1.7976931348623159e308", "1e99999999999999999999999" };
    for (size_t i = 0; i < sizeof(huge) / sizeof(huge[0]); i++) {
        assert_int_equal(str_parse_double(str_from(huge[i]), &v), -ERANGE);
    }
    assert_true(v == 7);
}

// With a locale whose decimal point is a comma, when the machine has one: nothing changes.
static void test_str_parse_double_in_comma_locale_is_the_same(void **state)
{
    (void)state;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8")) {
        skip();
    }
    double v = 0;
    int rc = str_parse_double(STR("1234567890123.45678901e-2"), &v);
    int rc_comma = str_parse_double(STR("1,5"), &v);
    setlocale(LC_NUMERIC, "C");
    assert_int_equal(rc, 0);
    assert_true(v == 1234567890123.45678901e-2);
    assert_int_equal(rc_comma, -EINVAL);
}

static void test_str_parse_bytes_knows_units(void **state)
{
    (void)state;
    uint64_t v = 7;
    assert_int_equal(str_parse_bytes(STR("4096"), &v), 0);
    assert_true(v == 4096);
    assert_int_equal(str_parse_bytes(STR("512K"), &v), 0);
    assert_true(v == 512u << 10);
    assert_int_equal(str_parse_bytes(STR("2g"), &v), 0);
    assert_true(v == UINT64_C(2) << 30);
    assert_int_equal(str_parse_bytes(STR("16777215T"), &v), 0);
    assert_true(v == UINT64_C(16777215) << 40);
    v = 7;
    assert_int_equal(str_parse_bytes(STR("16777216T"), &v), -ERANGE);
    static const char *const bad[] = { "", "K", "-1", "1.5G", "1KB", "1 K", "1P", "K1" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(str_parse_bytes(str_from(bad[i]), &v), -EINVAL);
    }
    assert_int_equal(str_parse_bytes(STR("1\0"), &v), -EINVAL);
    assert_true(v == 7);
}

static void test_strbuf_append_grows_and_terminates(void **state)
{
    (void)state;
    struct strbuf buf;
    strbuf_init(&buf, 0);
    assert_str(strbuf_str(&buf), "");
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(strbuf_printf(&buf, "%03d,", i), 0);
        assert_int_equal(buf.ptr[buf.len], 0);
        assert_true(buf.len <= buf.cap);
    }
    assert_int_equal(strbuf_append_byte(&buf, '\0'), 0);
    assert_int_equal(buf.len, 4001);
    assert_true(str_ends_with(strbuf_str(&buf), STR("999,\0")));
    strbuf_reset(&buf);
    assert_str(strbuf_str(&buf), "");
    strbuf_deinit(&buf);
    strbuf_deinit(NULL);
}

static void test_strbuf_past_limit_keeps_contents_and_error(void **state)
{
    (void)state;
    struct strbuf buf;
    strbuf_init(&buf, 5);
    assert_int_equal(strbuf_append(&buf, STR("abc")), 0);
    assert_int_equal(strbuf_append(&buf, STR("def")), -EFBIG);
    assert_int_equal(strbuf_append(&buf, STR("d")), -EFBIG);
    assert_int_equal(strbuf_printf(&buf, "%d", 1), -EFBIG);
    assert_null(strbuf_steal(&buf));
    assert_str(strbuf_str(&buf), "abc");
    strbuf_reset(&buf);
    assert_int_equal(strbuf_append(&buf, STR("abcde")), 0);
    assert_int_equal(strbuf_reserve(&buf, SIZE_MAX), -EFBIG);
    strbuf_deinit(&buf);
}

static void test_strbuf_absurd_size_is_enomem(void **state)
{
    (void)state;
    struct strbuf buf;
    strbuf_init(&buf, 0);
    assert_int_equal(strbuf_append(&buf, STR("a")), 0);
    assert_int_equal(strbuf_reserve(&buf, SIZE_MAX), -ENOMEM);
    assert_str(strbuf_str(&buf), "a");
    strbuf_deinit(&buf);
}

static void test_strbuf_steal_hands_over(void **state)
{
    (void)state;
    struct strbuf buf;
    strbuf_init(&buf, 0);
    char *empty = strbuf_steal(&buf);
    assert_string_equal(empty, "");
    strbuf_append(&buf, STR("xyz"));
    char *text = strbuf_steal(&buf);
    assert_string_equal(text, "xyz");
    assert_str(strbuf_str(&buf), "");
    free(empty);
    free(text);
    strbuf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_str_from_null_is_empty),
        cmocka_unit_test(test_str_eq_compares_length_and_bytes),
        cmocka_unit_test(test_str_starts_and_ends_with),
        cmocka_unit_test(test_str_skip_and_take_clip),
        cmocka_unit_test(test_str_trim_removes_ascii_space_only),
        cmocka_unit_test(test_str_find_gives_first_offset),
        cmocka_unit_test(test_str_cut_splits_at_first_separator),
        cmocka_unit_test(test_str_dup_copies_and_terminates),
        cmocka_unit_test(test_str_parse_i64_accepts_exact_range),
        cmocka_unit_test(test_str_parse_i64_refuses_others),
        cmocka_unit_test(test_str_parse_double_rounds_correctly),
        cmocka_unit_test(test_str_parse_double_sees_digits_past_the_kept_ones),
        cmocka_unit_test(test_str_parse_double_matches_strtod_on_random_bits),
        cmocka_unit_test(test_str_parse_double_refuses_others),
        cmocka_unit_test(test_str_parse_double_in_comma_locale_is_the_same),
        cmocka_unit_test(test_str_parse_bytes_knows_units),
        cmocka_unit_test(test_strbuf_append_grows_and_terminates),
        cmocka_unit_test(test_strbuf_past_limit_keeps_contents_and_error),
        cmocka_unit_test(test_strbuf_absurd_size_is_enomem),
        cmocka_unit_test(test_strbuf_steal_hands_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
