// Values of options: what is taken, and that what is not is named.
#include "engine/base/option_table.h"

#include "tests/unit.h"
#include <errno.h>
#include <getopt.h>
#include <string.h>

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

// ---- tables --------------------------------------------------------------------------------------------------------

struct options {
    bool is_set;
    const char *text, *choice;
    uint32_t small;
    uint64_t large, bytes;
    double real;
    enum { RED, GREEN } index;
    int n_taken;
};

static int count_taken(const struct option_row *row, void *options, const char *value, struct err *err)
{
    *(int *)option_place(row, options) += 1;
    return strcmp(value, "bad") != 0 ? 0 : err_set(err, -EINVAL, "--%s bad", row->name);
}

static const char *const colours[] = { "red", "green", NULL };

#define AT(member) offsetof(struct options, member)

static const struct option_row rows[] = {
    { "set", OPTION_SET, AT(is_set), .letter = 's' },
    { "text", OPTION_TEXT, AT(text) },
    { "small", OPTION_U32, AT(small), 1, 10 },
    { "large", OPTION_U64, AT(large), 1, INT64_MAX },
    { "real", OPTION_REAL, AT(real), .max = 2 },
    { "bytes", OPTION_BYTES, AT(bytes) },
    { "choice", OPTION_CHOICE, AT(choice), .choices = colours, .needs = "text" },
    { "index", OPTION_INDEX, AT(index), .choices = colours, .needs = "set text small" },
    { "take", OPTION_TAKE, AT(n_taken), .take = count_taken, .may_repeat = true },
    { NULL, OPTION_SET, AT(is_set), .letter = 'x' },
};
static const struct option_table table = { rows, sizeof(rows) / sizeof(rows[0]), true };

static int parse_words(struct options *options, uint64_t *given, struct err *err, char **words)
{
    struct option longs[OPTION_ROWS_MAX + 1];
    int argc = 0, opt, r = 0;
    while (words[argc]) {
        argc++;
    }
    *options = (struct options){ 0 };
    *given = 0;
    option_longs(&table, longs);
    opterr = 0;
    optind = 0;
    while (r == 0 && (opt = getopt_long(argc, words, ":sx", longs, NULL)) != -1) {
        r = option_refused("prog", opt, words, err);
        r = r < 0 ? r : option_take(&table, option_row_of(&table, opt), optarg, options, given, err);
    }
    return r;
}

#define WORDS(...) ((char *[]){ "prog", __VA_ARGS__, NULL })

static void test_option_table_takes_each_kind(void **state)
{
    struct options o;
    struct err err = { 0 };
    uint64_t given;
    (void)state;
    assert_int_equal(
        parse_words(&o, &given, &err,
                    WORDS("--set", "--text", "t", "--small", "7", "--large", "9000000000", "--real", "1.5", "--bytes",
                          "2K", "--choice", "red", "--index=green", "--take", "1", "--take", "2")),
        0);
    assert_true(o.is_set && strcmp(o.text, "t") == 0 && o.small == 7 && o.large == 9000000000u && o.real == 1.5);
    assert_true(o.bytes == 2048 && strcmp(o.choice, "red") == 0 && o.index == GREEN && o.n_taken == 2);
    assert_int_equal(given, (1u << 9) - 1);
    assert_null(option_alone(&table, given));
    assert_int_equal(parse_words(&o, &given, &err, WORDS("-x")), 0);
    assert_true(o.is_set && given == 1u << 9 && !option_is_given(&table, given, "set text"));
}

static void test_option_table_refuses_by_name(void **state)
{
    static const struct {
        const char *words[5], *wanted;
    } cases[] = {
        { { "--text=" }, "--text: the value is empty" },
        { { "--small", "11" }, "--small 11: a whole number from 1 to 10 is needed" },
        { { "--real", "0" }, "--real 0: a number above 0, up to 2, is needed" },
        { { "--choice", "blue" }, "--choice blue: red or green is needed" },
        { { "--take", "bad" }, "--take bad" },
        { { "--small", "1", "--small", "1" }, "--small is given twice" },
        { { "--nope" }, "unknown option --nope; prog --help lists them" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct options o;
        struct err err = { 0 };
        uint64_t given;
        char *words[7] = { "prog" };
        memcpy(words + 1, cases[i].words, sizeof(cases[i].words));
        assert_int_equal(parse_words(&o, &given, &err, words), -EINVAL);
        assert_string_equal(err.msg, cases[i].wanted);
    }
}

static void test_option_table_knows_what_stands_alone(void **state)
{
    struct options o;
    struct err err = { 0 };
    uint64_t given;
    (void)state;
    assert_int_equal(parse_words(&o, &given, &err, WORDS("--index", "red", "--set")), 0);
    assert_null(option_alone(&table, given));
    assert_int_equal(parse_words(&o, &given, &err, WORDS("--index", "red")), 0);
    assert_int_equal(option_refuse_alone(option_alone(&table, given), &err), -EINVAL);
    assert_string_equal(err.msg, "--index needs --set, --text or --small");
    assert_int_equal(parse_words(&o, &given, &err, WORDS("--choice", "red")), 0);
    assert_int_equal(option_refuse_alone(option_alone(&table, given), &err), -EINVAL);
    assert_string_equal(err.msg, "--choice needs --text");
    assert_null(option_find(&table, STR("x")));
    assert_true(option_find(&table, STR("set")) == &rows[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_option_good_values_are_taken),
        cmocka_unit_test(test_option_bad_values_are_named_and_change_nothing),
        cmocka_unit_test(test_option_refused_is_named),
        cmocka_unit_test(test_option_table_takes_each_kind),
        cmocka_unit_test(test_option_table_refuses_by_name),
        cmocka_unit_test(test_option_table_knows_what_stands_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
