#include "engine/base/err.h"
#include "tests/unit.h"
#include <errno.h>
#include <string.h>

static void test_err_set_fills_and_returns_code(void **state)
{
    (void)state;
    struct err err = { 0 };
    assert_int_equal(err_set_param(&err, -EINVAL, "messages[1].role", "unknown role '%s'", "robot"), -EINVAL);
    assert_int_equal(err.code, -EINVAL);
    assert_string_equal(err.param, "messages[1].role");
    assert_string_equal(err.msg, "unknown role 'robot'");
    assert_int_equal(err_set(&err, -ENOENT, "no such thing"), -ENOENT);
    assert_string_equal(err.param, "");
    assert_int_equal(err_set(NULL, -EIO, "%d", 1), -EIO);
    assert_int_equal(err_set_param(NULL, -EIO, "x", "%d", 1), -EIO);
}

static void test_err_set_cuts_at_character_border(void **state)
{
    (void)state;
    struct err err;
    char euros[3 * 100 + 1];
    for (size_t i = 0; i < 100; i++) {
        memcpy(euros + 3 * i, "\xe2\x82\xac", 3);
    }
    euros[300] = '\0';
    err_set(&err, -EINVAL, "x%s", euros);
    assert_int_equal(strlen(err.msg), 1 + 3 * 84); // 253: one more would make 256, no room for the NUL
    assert_memory_equal(err.msg + 250, "\xe2\x82\xac", 4);
    err_set_param(&err, -EINVAL, euros, "y");
    assert_int_equal(strlen(err.param), 63);
}

static void test_err_set_shows_controls_as_question_marks(void **state)
{
    (void)state;
    struct err err;
    err_set(&err, -EINVAL, "role '%s'", "a\nb\x1b[0m\xff");
    assert_string_equal(err.msg, "role 'a?b?[0m?'");
}

static void test_err_prefix_wraps_and_keeps_the_rest(void **state)
{
    (void)state;
    struct err err = { 0 };
    assert_int_equal(err_prefix(&err, "nothing yet"), 0);
    assert_string_equal(err.msg, "");
    err_set_param(&err, -EINVAL, "hidden_size", "expected a number");
    assert_int_equal(err_prefix(&err, "%s", "config.json"), -EINVAL);
    assert_string_equal(err.msg, "config.json: expected a number");
    assert_string_equal(err.param, "hidden_size");
    assert_int_equal(err_prefix(NULL, "x"), 0);
}

static void test_err_set_may_quote_itself(void **state)
{
    (void)state;
    struct err err;
    err_set(&err, -EINVAL, "inner");
    err_set_param(&err, -EIO, err.msg, "outer (%s)", err.msg);
    assert_string_equal(err.msg, "outer (inner)");
    assert_string_equal(err.param, "inner");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err_set_fills_and_returns_code),
        cmocka_unit_test(test_err_set_cuts_at_character_border),
        cmocka_unit_test(test_err_set_shows_controls_as_question_marks),
        cmocka_unit_test(test_err_prefix_wraps_and_keeps_the_rest),
        cmocka_unit_test(test_err_set_may_quote_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
