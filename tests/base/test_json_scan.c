// Each text is fed whole and one byte at a time: the answers, with the offsets of errors, must be the same.
#include "engine/base/json.h"
#include "tests/unit.h"
#include <errno.h>
#include <string.h>

struct outcome {
    int feed, end;
    unsigned long long n_bytes;
    char msg[256];
};

static struct outcome scan_in_pieces(struct str text, size_t piece)
{
    struct json_scan scan;
    struct err err = { 0 };
    struct outcome o = { 0 };
    json_scan_init(&scan);
    do {
        o.feed = json_scan_feed(&scan, str_take(text, piece), &err);
        text = str_skip(text, piece);
    } while (o.feed >= 0 && text.len > 0);
    o.end = json_scan_end(&scan, o.feed < 0 ? NULL : &err);
    o.n_bytes = scan.n_bytes;
    strcpy(o.msg, err.msg);
    return o;
}

static struct outcome scan_text(struct str text)
{
    struct outcome whole = scan_in_pieces(text, SIZE_MAX);
    for (size_t piece = 1; piece <= 3; piece++) {
        struct outcome cut = scan_in_pieces(text, piece);
        if (cut.feed != whole.feed || cut.end != whole.end || cut.n_bytes != whole.n_bytes ||
            strcmp(cut.msg, whole.msg) != 0) {
            fail_msg("pieces of %zu: '%s' at %llu, whole: '%s' at %llu", piece, cut.msg, cut.n_bytes, whole.msg,
                     whole.n_bytes);
        }
    }
    return whole;
}

static void test_json_scan_well_formed_is_accepted(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "[]",
        " [ ] ",
        "{\"a\":1}",
        "{ \"a\" : [ 1 , 2 ] , \"b\" : { } }\n",
        "[true,false,null]",
        "[0,-0,1,-1,10,0.5,1e5,1E+5,1.5e-10,123456789012345678901234567890]",
        "[\"\",\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
        "[\"\\u0000\\uD83D\\uDE00\\uABCD\\udbff\\udfff\"]",
        "[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\"]",
        "[[[[]],{}]]",
        "{\"a\":1,\"a\":2}",
        "{\"\":{\"\":[]}}",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct outcome o = scan_text(str_from(good[i]));
        if (o.feed != JSON_SCAN_COMPLETE || o.end != 0) {
            fail_msg("%s: %s", good[i], o.msg);
        }
    }
}

static void test_json_scan_scalars_never_complete_but_end_well(void **state)
{
    (void)state;
    static const char *const good[] = {
        "0", "-12.5e3", "true", " false ", "null\n", "\"text\"", "\"\\ud83d\\ude00\" "
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct outcome o = scan_text(str_from(good[i]));
        assert_int_equal(o.feed, JSON_SCAN_MORE);
        assert_int_equal(o.end, 0);
    }
}

static void test_json_scan_ill_formed_is_refused_at_its_offset(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned long long offset;
        const char *reason;
    } bad[] = {
        { "{\"a\":}", 5, "expected a value, found '}'" },
        { "[1,]", 3, "expected a value" },
        { "[,1]", 1, "expected a value" },
        { "{,}", 1, "expected a key" },
        { "{\"a\":1,}", 7, "expected a key" },
        { "{a:1}", 1, "expected a key" },
        { "{\"a\" 1}", 5, "expected ':'" },
        { "{\"a\":1 \"b\"", 7, "expected ',' or '}'" },
        { "[1 2", 3, "expected ',' or ']'" },
        { "[1}", 2, "expected ',' or ']'" },
        { "{\"a\":1]", 6, "expected ',' or '}'" },
        { "]", 0, "expected a value" },
        { "{}}", 2, "expected nothing after" },
        { "[] []", 3, "expected nothing after" },
        { "1 2", 2, "expected nothing after" },
        { "[01]", 2, "expected ',' or ']'" },
        { "[+1]", 1, "expected a value" },
        { "[.5]", 1, "expected a value" },
        { "[5.]", 3, "expected a digit" },
        { "[-]", 2, "expected a digit" },
        { "[1e]", 3, "expected a digit" },
        { "[1e+]", 4, "expected a digit" },
        { "[1.2.3]", 4, "expected ','" },
        { "[1e5e5]", 4, "expected ','" },
        { "[1e5.5]", 4, "expected ','" },
        { "[NaN]", 1, "expected a value" },
        { "[-Infinity]", 2, "expected a digit" },
        { "[tru]", 4, "expected true, false or null" },
        { "[nullx]", 5, "expected ','" },
        { "['a']", 1, "expected a value, found '''" },
        { "[\"\n\"]", 2, "control character" },
        { "[\"\t\"]", 2, "found byte 0x09" },
        { "[\"\\x\"]", 3, "unknown escape" },
        { "[\"\\u12g4\"]", 6, "four hexadecimal digits" },
        { "[\"\\ud83d\"]", 8, "unpaired surrogate" },
        { "[\"\\ud83d\\n\"]", 9, "unpaired surrogate" },
        { "[\"\\ud83d\\u0041\"]", 13, "unpaired surrogate" },
        { "[\"\\ude00\"]", 7, "unpaired surrogate" },
        { "[\"\\ud83d\\ud83d\"]", 13, "unpaired surrogate" },
        { "[\"\x80\"]", 2, "ill-formed UTF-8" },
        { "[\"\xc0\xaf\"]", 2, "ill-formed UTF-8" },
        { "[/*c*/1]", 1, "expected a value" },
        { "\xef\xbb\xbf[]", 0, "expected a value" },
        { "[1]\f", 3, "expected nothing after" },
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct outcome o = scan_text(str_from(bad[i].text));
        if (o.feed != -EINVAL || o.end != -EINVAL || o.n_bytes != bad[i].offset || !strstr(o.msg, bad[i].reason)) {
            fail_msg("%s: %d '%s' at %llu", bad[i].text, o.feed, o.msg, o.n_bytes);
        }
    }
}

// A character cut by a border between feeds is refused where it breaks, or at its first byte when seen whole.
static void test_json_scan_broken_character_is_refused_in_any_pieces(void **state)
{
    (void)state;
    static const char *const bad[] = { "[\"\xe2\x82z\"]", "[\"\xf0\x9f\x98\"]", "[\"\xed\xa0\x80\"]", "[\"\xc3\"]" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (size_t piece = 1; piece <= 8; piece++) {
            struct outcome o = scan_in_pieces(str_from(bad[i]), piece);
            assert_int_equal(o.feed, -EINVAL);
            assert_non_null(strstr(o.msg, "ill-formed UTF-8"));
        }
    }
}

static void test_json_scan_nul_byte_is_refused(void **state)
{
    (void)state;
    assert_int_equal(scan_text(STR("[\"a\0b\"]")).feed, -EINVAL);
    assert_int_equal(scan_text(STR("[1,\0]")).feed, -EINVAL);
    assert_int_equal(scan_text(STR("[]\0")).feed, -EINVAL);
    assert_int_equal(scan_text(STR("[\"\\\0\"]")).feed, -EINVAL);
}

static void test_json_scan_unfinished_is_more_but_no_end(void **state)
{
    (void)state;
    static const char *const unfinished[] = {
        "",   "  ", "{",     "[1,", "{\"a\"",  "{\"a\":", "[\"",    "[\"\\",        "[\"\\u1",   "tru",   "-",
        "1.", "1e", "\"abc", "[1",  "[\"\xe2", "[null",   "{\"a\"", "\"\\ud83d\\u", "{\"a\":1,", "\"\xc3"
    };
    for (size_t i = 0; i < sizeof(unfinished) / sizeof(unfinished[0]); i++) {
        struct outcome o = scan_text(str_from(unfinished[i]));
        assert_int_equal(o.feed, JSON_SCAN_MORE);
        assert_int_equal(o.end, -EINVAL);
    }
    assert_string_equal(scan_text(STR("{\"a\":[1,")).msg, "byte 8: the text ends inside an array");
    assert_string_equal(scan_text(STR("{\"a")).msg, "byte 3: the text ends inside a string");
    assert_string_equal(scan_text(STR(" ")).msg, "byte 1: expected a value, found the end of the text");
}

static void test_json_scan_depth_is_limited(void **state)
{
    (void)state;
    char text[2 * (JSON_DEPTH_MAX + 1)];
    memset(text, '[', sizeof(text) / 2);
    memset(text + sizeof(text) / 2, ']', sizeof(text) / 2);
    struct outcome o = scan_text((struct str){ text + 1, sizeof(text) - 2 });
    assert_int_equal(o.feed, JSON_SCAN_COMPLETE);
    o = scan_text((struct str){ text, sizeof(text) });
    assert_int_equal(o.feed, -EINVAL);
    assert_int_equal(o.n_bytes, JSON_DEPTH_MAX);
    assert_non_null(strstr(o.msg, "deeper than 256"));
}

// Levels above 64 share no bit: closing each by the bracket of the other kind is refused, by its own accepted.
static void test_json_scan_stack_remembers_kinds(void **state)
{
    (void)state;
    struct json_scan scan;
    json_scan_init(&scan);
    for (int i = 0; i < 200; i++) {
        assert_true(json_scan_feed(&scan, i % 3 ? STR("[") : STR("{\"k\":"), NULL) >= 0);
    }
    assert_true(json_scan_feed(&scan, STR("1"), NULL) >= 0);
    for (int i = 200; i-- > 0;) {
        struct json_scan copy = scan;
        assert_int_equal(json_scan_feed(&copy, i % 3 ? STR("}") : STR("]"), NULL), -EINVAL);
        assert_int_equal(json_scan_feed(&scan, i % 3 ? STR("]") : STR("}"), NULL), i > 0 ? 0 : JSON_SCAN_COMPLETE);
    }
}

static void test_json_scan_after_error_stays_failed(void **state)
{
    (void)state;
    struct json_scan scan;
    json_scan_init(&scan);
    assert_int_equal(json_scan_feed(&scan, STR("[1,]"), NULL), -EINVAL);
    assert_int_equal(json_scan_feed(&scan, STR("[]"), NULL), -EINVAL);
    assert_int_equal(scan.n_bytes, 3);
    assert_int_equal(json_scan_end(&scan, NULL), -EINVAL);
}

static void test_json_scan_counts_values(void **state)
{
    (void)state;
    struct json_scan scan;
    json_scan_init(&scan);
    json_scan_feed(&scan, STR("{\"a\":[1,true,\"x\"],\"b\":{}}"), NULL);
    assert_int_equal(scan.n_values, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_scan_well_formed_is_accepted),
        cmocka_unit_test(test_json_scan_scalars_never_complete_but_end_well),
        cmocka_unit_test(test_json_scan_ill_formed_is_refused_at_its_offset),
        cmocka_unit_test(test_json_scan_broken_character_is_refused_in_any_pieces),
        cmocka_unit_test(test_json_scan_nul_byte_is_refused),
        cmocka_unit_test(test_json_scan_unfinished_is_more_but_no_end),
        cmocka_unit_test(test_json_scan_depth_is_limited),
        cmocka_unit_test(test_json_scan_stack_remembers_kinds),
        cmocka_unit_test(test_json_scan_after_error_stays_failed),
        cmocka_unit_test(test_json_scan_counts_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
