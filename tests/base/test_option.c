// Values of options: what is taken, and that what is not is named.
#include "engine/base/option.h"

#include "tests/unit.h"
#include <errno.h>
#include <getopt.h>

static void test_option_good_values_are_taken(void **state)
{
    static const char *const names[] = { "a", "bc", NULL };
    struct err err = { 0 };
    int64_t n = 0;
    uint64_t bytes = 0;
    double x = -1;
    unsigned idx = 9;
    (void)state;
    assert_int_equal(option_whole("n", "-3", -3, 5, &n, &err), 0);
    assert_int_equal(n, -3);
    assert_int_equal(option_real("x", "0", true, 1, &x, &err), 0);
    assert_true(x == 0);
    assert_int_equal(option_bytes("m", "2K", &bytes, &err), 0);
    assert_int_equal(bytes, 2048);
    assert_int_equal(option_choice("c", "bc", names, &idx, &err), 0);
    assert_int_equal(idx, 1);
    assert_int_equal(option_choice("c", "a", names, NULL, &err), 0);
    assert_int_equal(err.code, 0);
}

static void test_option_bad_values_are_named_and_change_nothing(void **state)
{
    static const char *const one[] = { "a", NULL }, *const three[] = { "a", "b", "c", NULL };
    struct err err;
    int64_t n = 7;
    uint64_t bytes = 7;
    double x = 7;
    unsigned idx = 7;
    (void)state;
    assert_int_equal(option_whole("n", "6", 1, 5, &n, &err), -EINVAL);
    assert_string_equal(err.msg, "--n 6: a whole number from 1 to 5 is needed");
    assert_int_equal(option_real("x", "0", false, 2.5, &x, &err), -EINVAL);
    assert_string_equal(err.msg, "--x 0: a number above 0, up to 2.5, is needed");
    assert_int_equal(option_bytes("m", "", &bytes, &err), -EINVAL);
    assert_string_equal(err.msg, "--m '': a size like 512M or 4G is needed");
    assert_int_equal(option_choice("c", "d", three, &idx, &err), -EINVAL);
    assert_string_equal(err.msg, "--c d: a, b or c is needed");
    assert_int_equal(option_choice("c", "A", one, &idx, &err), -EINVAL);
    assert_string_equal(err.msg, "--c A: a is needed");
    assert_true(n == 7 && bytes == 7 && x == 7 && idx == 7);
}

static int next_refused(int argc, char **argv, struct err *err)
{
    static const struct option longs[] = { { "long", required_argument, NULL, 256 }, { 0 } };
    opterr = 0;
    optind = 0;
    return option_refused("prog", getopt_long(argc, argv, ":ho:", longs, NULL), argv, err);
}

static void test_option_refused_is_named(void **state)
{
    struct err err = { 0 };
    (void)state;
    assert_int_equal(next_refused(2, (char *[]){ "p", "-h", NULL }, &err), 0);
    assert_int_equal(next_refused(3, (char *[]){ "p", "--long", "x", NULL }, &err), 0);
    assert_int_equal(next_refused(1, (char *[]){ "p", NULL }, &err), 0);
    assert_int_equal(err.code, 0);
    assert_int_equal(next_refused(2, (char *[]){ "p", "-x", NULL }, &err), -EINVAL);
    assert_string_equal(err.msg, "unknown option -x; prog --help lists them");
    assert_int_equal(next_refused(2, (char *[]){ "p", "--other", NULL }, &err), -EINVAL);
    assert_string_equal(err.msg, "unknown option --other; prog --help lists them");
    assert_int_equal(next_refused(2, (char *[]){ "p", "--long", NULL }, &err), -EINVAL);
    assert_string_equal(err.msg, "option --long needs a value");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_option_good_values_are_taken),
        cmocka_unit_test(test_option_bad_values_are_named_and_change_nothing),
        cmocka_unit_test(test_option_refused_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
