// Bodies in pieces: complete at the same byte however they are cut, refused at the same place.
#include "fs/body.h"
#include "tests/unit.h"
#include <errno.h>
#include <string.h>

static int feed(struct body *body, const char *text, struct tokfs_error *reason)
{
    return body_feed(body, str_from(text), reason);
}

static void test_body_json_in_any_pieces_completes_with_its_last_byte(void **state)
{
    const char *json = "  {\"messages\": [{\"content\": \"a}\\\"{\"}]}";
    struct tokfs_error reason = { 0 };
    (void)state;
    for (size_t step = 1; step <= strlen(json); step++) {
        struct body body;
        body_init(&body, NULL, 1000, 0);
        for (size_t at = 0; at < strlen(json); at += step) {
            struct str piece = str_take(str_from(json + at), step);
            int r = body_feed(&body, piece, &reason);
            assert_int_equal(r, at + piece.len == strlen(json) ? BODY_COMPLETE : BODY_MORE);
        }
        assert_int_equal(body.bytes.len, strlen(json) - 2); // without the space before it
        body_deinit(&body);
    }
}

static void test_body_after_reset_ignores_a_line_end_and_takes_the_next(void **state)
{
    struct tokfs_error reason = { 0 };
    struct body body;
    (void)state;
    body_init(&body, NULL, 1000, 0);
    assert_int_equal(feed(&body, "{}", &reason), BODY_COMPLETE);
    body_reset(&body);
    assert_int_equal(feed(&body, "\n", &reason), BODY_MORE);
    assert_int_equal(body.kind, BODY_EMPTY);
    assert_int_equal(feed(&body, "{\"a\":1}", &reason), BODY_COMPLETE);
    body_deinit(&body);
}

static void test_body_refused_stays_refused_until_reset(void **state)
{
    struct tokfs_error reason = { 0 };
    struct body body;
    (void)state;
    body_init(&body, NULL, 1000, 0);
    assert_int_equal(feed(&body, "{\"a\":]", &reason), -EINVAL);
    assert_int_equal(reason.code, -EINVAL);
    reason.code = 0;
    assert_int_equal(feed(&body, "{}", &reason), -EINVAL);
    assert_int_equal(reason.code, 0); // the first reason stands
    body_reset(&body);
    assert_int_equal(feed(&body, "{}", &reason), BODY_COMPLETE);
    body_deinit(&body);
}

static void test_body_of_another_kind_is_refused(void **state)
{
    struct tokfs_error reason = { 0 };
    struct body body;
    (void)state;
    body_init(&body, NULL, 1000, 0);
    assert_int_equal(feed(&body, "hello", &reason), -EINVAL);
    assert_non_null(strstr(reason.msg, "'h'"));
    body_reset(&body);
    assert_int_equal(feed(&body, "[1]", &reason), -EINVAL);
    body_deinit(&body);
    body_init(&body, NULL, 1000, BODY_TAKES_ARRAY);
    assert_int_equal(feed(&body, "[1]", &reason), BODY_COMPLETE);
    body_deinit(&body);
    body_init(&body, NULL, 1000, BODY_TAKES_TEXT);
    assert_int_equal(feed(&body, "[1]", &reason), BODY_MORE);
    assert_int_equal(body.kind, BODY_TEXT);
    body_deinit(&body);
}

static void test_body_text_may_be_cut_inside_a_character(void **state)
{
    struct tokfs_error reason = { 0 };
    struct body body;
    (void)state;
    body_init(&body, NULL, 1000, BODY_TAKES_TEXT);
    assert_int_equal(feed(&body, "caf\xc3", &reason), BODY_MORE);
    assert_int_equal(body_check_end(&body, &reason), -EINVAL);
    assert_int_equal(feed(&body, "\xa9\n", &reason), BODY_MORE);
    assert_int_equal(body_check_end(&body, &reason), 0);
    assert_true(str_eq(body_text(&body), STR("caf\xc3\xa9")));
    assert_int_equal(feed(&body, "x\xff", &reason), -EINVAL);
    assert_non_null(strstr(reason.msg, "0xff"));
    body_deinit(&body);
}

static void test_body_keeps_the_indentation_before_a_text_only(void **state)
{
    struct tokfs_error reason = { 0 };
    struct body body;
    (void)state;
    body_init(&body, NULL, 1000, BODY_TAKES_TEXT);
    assert_int_equal(feed(&body, " \n\t", &reason), BODY_MORE);
    assert_int_equal(feed(&body, "\r\n  ", &reason), BODY_MORE);
    assert_int_equal(body.kind, BODY_EMPTY);
    assert_true(body.is_blank);
    assert_int_equal(feed(&body, "  x\n y", &reason), BODY_MORE);
    assert_false(body.is_blank);
    assert_true(str_eq(body_text(&body), STR("    x\n y")));
    body_reset(&body);
    assert_int_equal(feed(&body, "  ", &reason), BODY_MORE);
    assert_int_equal(feed(&body, "\t {}", &reason), BODY_COMPLETE);
    assert_true(str_eq(strbuf_str(&body.bytes), STR("{}")));
    body_deinit(&body);
    body_init(&body, NULL, 4, 0);
    assert_int_equal(feed(&body, "     ", &reason), -EFBIG);
    body_deinit(&body);
}

static void test_body_that_is_text_takes_everything(void **state)
{
    struct tokfs_error reason = { 0 };
    struct body body;
    (void)state;
    body_init(&body, NULL, 1000, BODY_IS_TEXT);
    assert_int_equal(feed(&body, "\n {", &reason), BODY_MORE);
    assert_int_equal(feed(&body, "\n", &reason), BODY_MORE);
    assert_true(str_eq(strbuf_str(&body.bytes), STR("\n {\n")));
    body_deinit(&body);
}

static void test_body_refused_from_outside_is_refused_to_its_end(void **state)
{
    struct tokfs_error reason = { 0 };
    struct body body;
    (void)state;
    body_init(&body, NULL, 1000, BODY_TAKES_TEXT);
    feed(&body, "{\"a\":", &reason);
    body_refuse(&body, -EBUSY);
    assert_int_equal(feed(&body, "1}", &reason), -EBUSY);
    body_reset(&body);
    feed(&body, "text", &reason);
    body_refuse(&body, -EBUSY);
    assert_int_equal(feed(&body, "more", &reason), -EBUSY);
    body_reset(&body);
    feed(&body, "{}", &reason);
    body_refuse(&body, -EBUSY); // it was whole: what follows is another
    assert_int_equal(feed(&body, "{}", &reason), BODY_COMPLETE);
    body_deinit(&body);
}

static void test_body_settled_tells_a_repeated_rest_from_another_body(void **state)
{
    static const char first[] = "{\"messages\":[", rest[] = "]}";
    struct tokfs_error reason = { 0 };
    struct body body;
    (void)state;
    body_init(&body, NULL, 1000, BODY_TAKES_TEXT);
    for (int i = 0; i < 2; i++) {
        feed(&body, first, &reason);
        assert_int_equal(feed(&body, rest, &reason), BODY_COMPLETE);
        body_settle(&body, -E2BIG);
        assert_int_equal(feed(&body, rest, &reason), -E2BIG); // the kernel's second try, once
        assert_int_equal(reason.code, 0);
    }
    feed(&body, first, &reason);
    assert_int_equal(feed(&body, rest, &reason), BODY_COMPLETE);
    body_settle(&body, -E2BIG);
    assert_int_equal(feed(&body, "{}", &reason), BODY_COMPLETE); // another
    body_settle(&body, -E2BIG);
    assert_int_equal(feed(&body, "{}", &reason), BODY_COMPLETE); // in one piece: its writer was told
    body_settle(&body, 0);
    feed(&body, first, &reason);
    assert_int_equal(feed(&body, rest, &reason), BODY_COMPLETE);
    body_settle(&body, -EINTR);
    assert_int_equal(feed(&body, rest, &reason), BODY_COMPLETE); // interrupted: this is the other try
    assert_int_equal(body.bytes.len, strlen(first) + strlen(rest));
    body_settle(&body, 0);
    assert_int_equal(body.kind, BODY_EMPTY);
    body_deinit(&body);
}

// A writer that was stopped (Ctrl-Z) repeats its latest write, which may be longer than the one before.
static void test_body_interrupted_takes_the_latest_write_again(void **state)
{
    struct tokfs_error reason = { 0 };
    struct body body;
    (void)state;
    body_init(&body, NULL, 100, 0);
    for (int code = 0; code < 3; code++) {
        assert_int_equal(feed(&body, "{\"a\":", &reason), BODY_MORE);
        assert_int_equal(feed(&body, "1, \"b\": 2}", &reason), BODY_COMPLETE);
        body_settle(&body, -EINTR);
        assert_int_equal(feed(&body, "1, \"b\": 2}", &reason), BODY_COMPLETE);
        assert_string_equal(body.bytes.ptr, "{\"a\":1, \"b\": 2}");
        body_settle(&body, code == 1 ? -EINTR : 0);
    }
    assert_int_equal(feed(&body, "\n{\"a\":1}", &reason), BODY_COMPLETE); // or writes all of it
    body_settle(&body, -EINTR);
    assert_int_equal(feed(&body, "\n{\"a\":1}", &reason), BODY_COMPLETE);
    assert_string_equal(body.bytes.ptr, "{\"a\":1}");
    body_settle(&body, -EINVAL);
    assert_int_equal(feed(&body, "1}", &reason), -EINVAL); // what was refused is not to be written again
    body_deinit(&body);
}

static void test_body_over_its_limit_is_efbig(void **state)
{
    struct tokfs_error reason = { 0 };
    struct body body;
    (void)state;
    body_init(&body, NULL, 10, BODY_TAKES_TEXT);
    assert_int_equal(feed(&body, "0123456789", &reason), BODY_MORE);
    assert_int_equal(feed(&body, "0", &reason), -EFBIG);
    assert_non_null(strstr(reason.msg, "10 bytes"));
    body_deinit(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_json_in_any_pieces_completes_with_its_last_byte),
        cmocka_unit_test(test_body_after_reset_ignores_a_line_end_and_takes_the_next),
        cmocka_unit_test(test_body_refused_stays_refused_until_reset),
        cmocka_unit_test(test_body_of_another_kind_is_refused),
        cmocka_unit_test(test_body_text_may_be_cut_inside_a_character),
        cmocka_unit_test(test_body_keeps_the_indentation_before_a_text_only),
        cmocka_unit_test(test_body_that_is_text_takes_everything),
        cmocka_unit_test(test_body_refused_from_outside_is_refused_to_its_end),
        cmocka_unit_test(test_body_settled_tells_a_repeated_rest_from_another_body),
        cmocka_unit_test(test_body_interrupted_takes_the_latest_write_again),
        cmocka_unit_test(test_body_over_its_limit_is_efbig),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
