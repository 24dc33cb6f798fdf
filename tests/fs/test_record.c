// Records: what is written is read; what is cut off asks for more; no single flipped bit goes unseen.
#include "fs/record.h"
#include "tests/unit.h"
#include <errno.h>
#include <string.h>

static void make(struct strbuf *out, struct str body)
{
    const struct record record = { .type = RECORD_SETTING, .epoch = 7, .seq = 0x123456789a, .body = body };
    strbuf_init(out, 0);
    assert_int_equal(record_append(out, &record), 0);
}

static void test_record_round_trip_keeps_everything(void **state)
{
    (void)state;
    struct strbuf body, out;
    struct record record;
    strbuf_init(&body, 0);
    record_put_u8(&body, 200);
    record_put_u32(&body, 0xfedcba98);
    record_put_u64(&body, UINT64_MAX - 1);
    record_put_str(&body, STR("text"));
    record_put_str(&body, STR(""));
    make(&out, strbuf_str(&body));
    assert_int_equal(record_parse(strbuf_str(&out), &record), out.len);
    assert_int_equal(record.type, RECORD_SETTING);
    assert_int_equal(record.epoch, 7);
    assert_int_equal(record.seq, 0x123456789a);
    struct record_reader reader = { .rest = record.body };
    assert_int_equal(record_get_u8(&reader), 200);
    assert_int_equal(record_get_u32(&reader), 0xfedcba98);
    assert_int_equal(record_get_u64(&reader), UINT64_MAX - 1);
    assert_true(str_eq(record_get_str(&reader), STR("text")));
    assert_int_equal(record_get_str(&reader).len, 0);
    assert_int_equal(reader.rest.len, 0);
    assert_false(reader.is_bad);
    strbuf_deinit(&body);
    strbuf_deinit(&out);
}

static void test_record_cut_anywhere_asks_for_more(void **state)
{
    (void)state;
    struct strbuf out;
    struct record record;
    make(&out, STR("some bytes"));
    for (size_t n = 0; n < out.len; n++) {
        assert_int_equal(record_parse(str_take(strbuf_str(&out), n), &record), 0);
    }
    strbuf_deinit(&out);
}

static void test_record_flipped_bit_is_seen(void **state)
{
    (void)state;
    struct strbuf out;
    struct record record;
    make(&out, STR("some bytes"));
    for (size_t bit = 0; bit < out.len * 8; bit++) {
        out.ptr[bit / 8] ^= (char)(1 << bit % 8);
        assert_true(record_parse(strbuf_str(&out), &record) <= 0); // a longer length asks for more
        out.ptr[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_int_equal(record_parse(strbuf_str(&out), &record), out.len);
    strbuf_deinit(&out);
}

static void test_record_body_too_short_is_bad(void **state)
{
    (void)state;
    struct record_reader reader = { .rest = STR("\x05\0\0\0abc") };
    assert_int_equal(record_get_str(&reader).len, 0);
    assert_true(reader.is_bad);
    assert_int_equal(record_get_u64(&reader), 0);
    reader = (struct record_reader){ .rest = STR("\xff\xff\xff\x0f"
                                                 "12345678") };
    assert_int_equal(record_get_count(&reader, 8), 0);
    assert_true(reader.is_bad);
}

static void test_record_longer_than_the_limit_is_refused(void **state)
{
    (void)state;
    struct strbuf out;
    strbuf_init(&out, 0);
    const struct record record = { .type = RECORD_SETTING, .body = { "", (size_t)RECORD_BODY_MAX + 1 } };
    assert_int_equal(record_append(&out, &record), -EFBIG);
    strbuf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_round_trip_keeps_everything),
        cmocka_unit_test(test_record_cut_anywhere_asks_for_more),
        cmocka_unit_test(test_record_flipped_bit_is_seen),
        cmocka_unit_test(test_record_body_too_short_is_bad),
        cmocka_unit_test(test_record_longer_than_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
