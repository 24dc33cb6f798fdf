#include "engine/base/json.h"
#include "tests/unit.h"
#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

#define assert_str(s, literal) assert_true(str_eq(s, STR(literal)))

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static const struct json *parse(struct str text)
{
    const struct json *value = NULL;
    struct err err = { 0 };
    if (json_parse(&arena, text, &value, &err) < 0) {
        fail_msg("%.*s: %s", STR_ARG(text), err.msg);
    }
    return value;
}

static void test_json_parse_object_gives_members_in_order(void **state)
{
    (void)state;
    const struct json *v = parse(STR(" {\"a\": [1, {\"x\": null}, []], \"b\" : true, \"c\":\"s\", \"d\":{}} "));
    assert_int_equal(v->type, JSON_OBJECT);
    assert_int_equal(v->n_children, 4);
    assert_int_equal(v->next, 14);
    const struct json *a = json_get(v, STR("a"));
    assert_int_equal(a->type, JSON_ARRAY);
    assert_int_equal(a->n_children, 3);
    assert_str(a->text, "[1, {\"x\": null}, []]");
    assert_str(json_at(a, 0)->text, "1");
    assert_int_equal(json_get(json_at(a, 1), STR("x"))->type, JSON_NULL);
    assert_int_equal(json_at(a, 2)->type, JSON_ARRAY);
    assert_true(json_get(v, STR("b"))->boolean);
    assert_str(json_get(v, STR("c"))->text, "s");
    assert_int_equal(json_get(v, STR("d"))->type, JSON_OBJECT);

    const char *keys = "abcd";
    const struct json *key = json_first(v);
    for (size_t i = 0; i < v->n_children; i++, key = json_next(json_next(key))) {
        assert_int_equal(key->text.ptr[0], keys[i]);
    }
    assert_ptr_equal(key, v + v->next);
}

static void test_json_get_absent_or_wrong_type_is_null(void **state)
{
    (void)state;
    const struct json *v = parse(STR("{\"a\":[1],\"e\":{}}"));
    assert_null(json_get(v, STR("b")));
    assert_null(json_get(v, STR("")));
    assert_null(json_get(json_get(v, STR("a")), STR("a")));
    assert_null(json_get(NULL, STR("a")));
    assert_null(json_at(v, 0));
    assert_null(json_at(json_get(v, STR("a")), 1));
    assert_null(json_at(NULL, 0));
    assert_null(json_first(json_get(v, STR("e"))));
}

static void test_json_get_duplicate_key_last_wins(void **state)
{
    (void)state;
    const struct json *v = parse(STR("{\"a\":1,\"b\":2,\"\\u0061\":[3]}"));
    assert_int_equal(v->n_children, 3);
    assert_str(json_get(v, STR("a"))->text, "[3]");
}

static void test_json_parse_strings_are_decoded(void **state)
{
    (void)state;
    const struct json *v =
        parse(STR("[\"plain \xc3\xa9\", \"\\\"\\\\\\/\\b\\f\\n\\r\\t|\", \"\\u00e9\\u20AC\\ud83d\\uDE00\","
                  "\"a\\u0000b\", \"\", \"\\n\", \"x\\\\\", \"\\uD800\\uDC00\\uDBFF\\uDFFF\"]"));
    assert_str(json_at(v, 0)->text, "plain \xc3\xa9");
    assert_str(json_at(v, 1)->text, "\"\\/\b\f\n\r\t|");
    assert_str(json_at(v, 2)->text, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    assert_str(json_at(v, 3)->text, "a\0b");
    assert_str(json_at(v, 4)->text, "");
    assert_str(json_at(v, 5)->text, "\n");
    assert_str(json_at(v, 6)->text, "x\\");
    assert_str(json_at(v, 7)->text, "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
}

static void test_json_parse_top_level_scalars(void **state)
{
    (void)state;
    assert_str(parse(STR(" -1.5e3\n"))->text, "-1.5e3");
    assert_true(parse(STR("true"))->boolean);
    assert_false(parse(STR("false"))->boolean);
    assert_int_equal(parse(STR("null "))->type, JSON_NULL);
    assert_str(parse(STR(" \"a\\tb\" "))->text, "a\tb");
    assert_str(parse(STR("\"\""))->text, "");
}

static void test_json_parse_error_names_line_and_column(void **state)
{
    (void)state;
    const struct json *v = NULL;
    struct err err = { 0 };
    assert_int_equal(json_parse(&arena, STR("{\n \"\xc3\xa9\": [1,\n  \"\xc3\xa9\" 2]}"), &v, &err), -EINVAL);
    assert_string_equal(err.msg, "line 3, column 7: expected ',' or ']', found '2'");
    assert_int_equal(json_parse(&arena, STR("{\"a\":\n"), &v, &err), -EINVAL);
    assert_string_equal(err.msg, "line 2, column 1: the text ends inside an object");
    assert_int_equal(json_parse(&arena, STR(""), &v, &err), -EINVAL);
    assert_int_equal(json_parse(&arena, (struct str){ NULL, 0 }, &v, NULL), -EINVAL);
    assert_int_equal(json_parse(&arena, STR("[\"\\ud800\"]"), &v, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "unpaired surrogate"));
    assert_null(v);
}

static void test_json_parse_text_past_int_range_is_refused(void **state)
{
    (void)state;
    const struct json *v = NULL;
    struct err err = { 0 };
    assert_int_equal(json_parse(&arena, (struct str){ "[]", (size_t)INT32_MAX + 1 }, &v, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "2147483648"));
}

static void test_json_parse_full_arena_is_enomem(void **state)
{
    (void)state;
    struct arena small;
    const struct json *v = NULL;
    struct err err = { 0 };
    arena_init(&small, 128);
    assert_int_equal(json_parse(&small, STR("[1,2,3]"), &v, &err), 0);
    arena_reset(&small);
    assert_int_equal(json_parse(&small, STR("[1,2,3,4]"), &v, &err), -ENOMEM);
    assert_non_null(strstr(err.msg, "9 bytes with 5 values"));
    arena_reset(&small);
    assert_int_equal(json_parse(&small, STR("[1,2,\"\\n\"]"), &v, &err), -ENOMEM);
    arena_deinit(&small);
}

static void check_i64(const char *text, int want_rc, int64_t want)
{
    int64_t got = 77;
    int rc = json_get_i64(parse(str_from(text)), &got);
    if (rc != want_rc || got != (rc == 0 ? want : 77)) {
        fail_msg("%s: %d, %lld", text, rc, (long long)got);
    }
}

static void test_json_get_i64_takes_every_spelling_of_whole_numbers(void **state)
{
    (void)state;
    check_i64("0", 0, 0);
    check_i64("-0.0e7", 0, 0);
    check_i64("0e99999999999999999999", 0, 0);
    check_i64("42", 0, 42);
    check_i64("1.0", 0, 1);
    check_i64("-1.50e1", 0, -15);
    check_i64("1e3", 0, 1000);
    check_i64("1200e-2", 0, 12);
    check_i64("0.00012e5", 0, 12);
    check_i64("100.00", 0, 100);
    check_i64("1.0000000000000000000000000000000", 0, 1);
    check_i64("9223372036854775807", 0, INT64_MAX);
    check_i64("-9223372036854775808.0", 0, INT64_MIN);
    check_i64("9.223372036854775807E18", 0, INT64_MAX);
    check_i64("1e18", 0, INT64_C(1000000000000000000));
}

static void test_json_get_i64_refuses_fractions_and_overflow(void **state)
{
    (void)state;
    check_i64("1.5", -EINVAL, 0);
    check_i64("1e-1", -EINVAL, 0);
    check_i64("1.0000000000000000000000000000001", -EINVAL, 0);
    check_i64("1e-99999999999999999999", -EINVAL, 0);
    check_i64("9223372036854775808", -ERANGE, 0);
    check_i64("-9223372036854775809.0", -ERANGE, 0);
    check_i64("1e19", -ERANGE, 0);
    check_i64("1e99999999999999999999", -ERANGE, 0);
    check_i64("100000000000000000000000000000.0", -ERANGE, 0);
    check_i64("123456789012345678901.0", -ERANGE, 0);
    check_i64("\"1\"", -EINVAL, 0);
    check_i64("true", -EINVAL, 0);
}

static void test_json_get_double_is_rounded_and_saturates(void **state)
{
    (void)state;
    assert_true(json_get_double(parse(STR("0.1"))) == 0.1);
    assert_true(json_get_double(parse(STR("-2.5E-3"))) == -2.5e-3);
    assert_true(json_get_double(parse(STR("9007199254740993"))) == 9007199254740992.0);
    assert_true(json_get_double(parse(STR("1e999"))) == INFINITY);
    assert_true(json_get_double(parse(STR("-1e999"))) == -INFINITY);
    assert_true(signbit(json_get_double(parse(STR("-0")))));
}

static double cpu_seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static void fill(char *text, size_t len, const char *unit)
{
    size_t unit_len = strlen(unit);
    for (size_t i = 0; i < len; i++) {
        text[i] = unit[i % unit_len];
    }
}

// Bounds are ten times and more what a slow machine under a sanitizer needs, and a small part of what a quadratic
// parser would.
static void test_json_parse_hostile_texts_take_linear_time(void **state)
{
    (void)state;
    const size_t len = 10u << 20;
    char *text = malloc(len);
    const struct json *v = NULL;
    double start = cpu_seconds();
    fill(text, len, "[");
    assert_int_equal(json_parse(&arena, (struct str){ text, len }, &v, NULL), -EINVAL);
    fill(text, len, "{\"a\":");
    assert_int_equal(json_parse(&arena, (struct str){ text, len }, &v, NULL), -EINVAL);
    assert_true(cpu_seconds() - start < 1);

    size_t n = 1000000;
    fill(text, 2 * n + 1, "1,");
    text[0] = '[', text[2 * n] = ']';
    for (size_t i = 1; i < 2 * n; i++) {
        text[i] = i % 2 ? '1' : ',';
    }
    start = cpu_seconds();
    assert_int_equal(json_parse(&arena, (struct str){ text, 2 * n + 1 }, &v, NULL), 0);
    assert_int_equal(v->n_children, n);
    assert_true(cpu_seconds() - start < 5);
    free(text);
}

// The worst that the depth limit leaves to jsmn: towers of 254 levels side by side.
static void test_json_parse_towers_take_linear_time(void **state)
{
    (void)state;
    enum { LEVELS = JSON_DEPTH_MAX - 1, TOWER = 2 * LEVELS + 1, N = 2000 };
    char *text = malloc(N * TOWER + 1);
    for (size_t i = 0; i < N; i++) {
        memset(text + i * TOWER, '[', LEVELS + 1);
        memset(text + i * TOWER + 1 + LEVELS, ']', LEVELS);
    }
    for (size_t i = 1; i < N; i++) {
        text[i * TOWER] = ',';
    }
    text[N * TOWER] = ']';
    const struct json *v = NULL;
    double start = cpu_seconds();
    assert_int_equal(json_parse(&arena, (struct str){ text, N * TOWER + 1 }, &v, NULL), 0);
    assert_int_equal(v->n_children, N);
    assert_int_equal(v->next, 1 + N * LEVELS);
    assert_true(cpu_seconds() - start < 10);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_json_parse_object_gives_members_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_get_absent_or_wrong_type_is_null, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_get_duplicate_key_last_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_parse_strings_are_decoded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_parse_top_level_scalars, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_parse_error_names_line_and_column, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_parse_text_past_int_range_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_parse_full_arena_is_enomem, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_get_i64_takes_every_spelling_of_whole_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_get_i64_refuses_fractions_and_overflow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_get_double_is_rounded_and_saturates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_parse_hostile_texts_take_linear_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_parse_towers_take_linear_time, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
