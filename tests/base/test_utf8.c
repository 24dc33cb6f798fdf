// Every sequence of 1 to 3 bytes, and 4-byte ones over the borders of each row, against a second, independent reading
// of RFC 3629: decode by arithmetic first, refuse by value after. Replacement cases are Python's
// decode(errors="replace").
#include "engine/base/utf8.h"
#include "tests/unit.h"
#include <string.h>

// Length of the well-formed character at s, by arithmetic on its value; 0 for none.
static size_t oracle_decode(const unsigned char *s, size_t len, uint32_t *ret)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t n = (s[0] & 0x80) == 0      ? 1
               : (s[0] & 0xe0) == 0xc0 ? 2
               : (s[0] & 0xf0) == 0xe0 ? 3
               : (s[0] & 0xf8) == 0xf0 ? 4
                                       : 0;
    if (n == 0 || n > len) {
        return 0;
    }
    uint32_t value = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (s[i] & 0x3f);
    }
    if (value < smallest[n] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) {
        return 0;
    }
    *ret = value;
    return n;
}

static void check(const unsigned char *bytes, size_t len)
{
    struct str s = { (const char *)bytes, len };
    uint32_t got = 0xffffffff, want = 0xffffffff;
    size_t n = utf8_decode(s, &got);
    if (n != oracle_decode(bytes, len, &want) || got != want) {
        fail_msg("%02x %02x %02x %02x (%zu)", bytes[0], bytes[1], bytes[2], bytes[3], len);
    }
    size_t at = 0, step = n;
    while (step > 0 && at < len) {
        at += step;
        step = at < len ? oracle_decode(bytes + at, len - at, &want) : 0;
    }
    if (utf8_valid_len(s) != at) {
        fail_msg("valid_len of %02x %02x %02x %02x (%zu)", bytes[0], bytes[1], bytes[2], bytes[3], len);
    }
}

static void test_utf8_decode_all_up_to_three_bytes_match_oracle(void **state)
{
    (void)state;
    for (uint32_t v = 0; v < 1u << 24; v++) {
        unsigned char bytes[4] = { (unsigned char)(v >> 16), (unsigned char)(v >> 8), (unsigned char)v, 0 };
        check(bytes, 3);
        if ((v & 0xff) == 0) {
            check(bytes, 2);
        }
        if ((v & 0xffff) == 0) {
            check(bytes, 1);
        }
    }
}

static void test_utf8_decode_four_bytes_match_oracle(void **state)
{
    (void)state;
    static const unsigned char edges[] = {
        0x00, 0x41, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xbe, 0xbf, 0xc0, 0xff
    };
    for (unsigned lead = 0xe0; lead < 0x100; lead++) {
        for (unsigned second = 0; second < 0x100; second++) {
            for (size_t i = 0; i < sizeof(edges) * sizeof(edges); i++) {
                unsigned char bytes[4] = { (unsigned char)lead, (unsigned char)second, edges[i / sizeof(edges)],
                                           edges[i % sizeof(edges)] };
                check(bytes, 4);
            }
        }
    }
}

static void test_utf8_encode_round_trips_every_codepoint(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x110000; cp++) {
        char out[4] = { 0 };
        size_t n = utf8_encode(cp, out);
        bool is_scalar = cp <= 0x10ffff && !(cp >= 0xd800 && cp <= 0xdfff);
        assert_true((n > 0) == is_scalar);
        uint32_t back = 0;
        if (n > 0) {
            assert_true(utf8_decode((struct str){ out, n }, &back) == n && back == cp);
        }
    }
}

static void test_utf8_empty_is_valid_and_decodes_to_nothing(void **state)
{
    (void)state;
    uint32_t cp;
    assert_int_equal(utf8_valid_len((struct str){ NULL, 0 }), 0);
    assert_int_equal(utf8_decode((struct str){ NULL, 0 }, &cp), 0);
    assert_int_equal(utf8_incomplete_tail((struct str){ NULL, 0 }), 0);
}

static void test_utf8_incomplete_tail_counts_only_completable_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t tail;
    } cases[] = {
        { "", 0 },
        { "abc", 0 },
        { "\xc3\xa9", 0 },
        { "a\xc3", 1 },
        { "a\xe2\x82", 2 },
        { "\xe2\x82\xac", 0 },
        { "\xf0\x9f\x98", 3 },
        { "\xf0\x9f", 2 },
        { "\xf0", 1 },
        { "\x82", 0 },
        { "\xc0", 0 },
        { "\xf5", 0 },
        { "\xed\xa0", 0 },
        { "\xe0\x80", 0 },
        { "\xf4\x90\x80", 0 },
        { "\xff\xc3", 1 },
        { "\xe2\x82\xac\xe2", 1 },
        { "\xc3\xa9\x82", 0 },
        { "\xf0\x9f\x98\x80", 0 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(utf8_incomplete_tail(str_from(cases[i].text)), cases[i].tail);
    }
}

#define FFFD "\xef\xbf\xbd"

static void test_utf8_append_lossy_replaces_as_python(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "plain \xc3\xa9", "plain \xc3\xa9" },
        { "a\x80z", "a" FFFD "z" },
        { "\xe2\x82z", FFFD "z" },
        { "\xe2\x82", FFFD },
        { "\xed\xa0\x80", FFFD FFFD FFFD },
        { "\xc0\xaf", FFFD FFFD },
        { "\xf0\x9f\x98", FFFD },
        { "\xf0\x80\x80\x80", FFFD FFFD FFFD FFFD },
        { "\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD },
        { "\xf1\x80\x80\xe1\x80\xc2z", FFFD FFFD FFFD "z" },
    };
    struct strbuf out;
    strbuf_init(&out, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        strbuf_reset(&out);
        assert_int_equal(utf8_append_lossy(&out, str_from(cases[i].text)), 0);
        assert_string_equal(strbuf_str(&out).ptr, cases[i].want);
    }
    strbuf_deinit(&out);
}

static void test_utf8_make_printable_hides_controls_and_bad_bytes(void **state)
{
    (void)state;
    char text[] = "a\x1b[31m\n\x7f\xc2\x9b\xff\xe2\x82\xac\xc2\xa0";
    utf8_make_printable(text, sizeof(text) - 1);
    assert_string_equal(text, "a?[31m?\?\?\?\?\xe2\x82\xac\xc2\xa0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_decode_all_up_to_three_bytes_match_oracle),
        cmocka_unit_test(test_utf8_decode_four_bytes_match_oracle),
        cmocka_unit_test(test_utf8_encode_round_trips_every_codepoint),
        cmocka_unit_test(test_utf8_empty_is_valid_and_decodes_to_nothing),
        cmocka_unit_test(test_utf8_incomplete_tail_counts_only_completable_bytes),
        cmocka_unit_test(test_utf8_append_lossy_replaces_as_python),
        cmocka_unit_test(test_utf8_make_printable_hides_controls_and_bad_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
