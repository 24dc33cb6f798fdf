// Spelling of numbers: tests/oracle/doubles.txt, written by Python's repr (tests/oracle/doubles.py).
#include "engine/base/json.h"
#include "tests/unit.h"
#include <errno.h>
#include <math.h>
#include <string.h>

static void test_json_write_nested_places_commas(void **state)
{
    (void)state;
    struct strbuf out;
    struct json_writer w;
    strbuf_init(&out, 0);
    json_writer_init(&w, &out);
    json_write_object_begin(&w);
    json_write_key(&w, "a");
    json_write_array_begin(&w);
    json_write_i64(&w, INT64_MIN);
    json_write_u64(&w, UINT64_MAX);
    json_write_array_begin(&w);
    json_write_array_end(&w);
    json_write_object_begin(&w);
    json_write_object_end(&w);
    json_write_bool(&w, true);
    json_write_bool(&w, false);
    json_write_null(&w);
    json_write_array_end(&w);
    json_write_key_str(&w, STR("b\"\0"));
    json_write_cstr(&w, "x");
    json_write_key(&w, "c");
    json_write_raw(&w, STR("[1, 2]"));
    json_write_object_end(&w);
    assert_string_equal(out.ptr, "{\"a\":[-9223372036854775808,18446744073709551615,[],{},true,false,null],"
                                 "\"b\\\"\\u0000\":\"x\",\"c\":[1, 2]}");
    strbuf_deinit(&out);
}

static void test_json_write_str_escapes_and_repairs(void **state)
{
    (void)state;
    struct strbuf out;
    struct json_writer w;
    strbuf_init(&out, 0);
    json_writer_init(&w, &out);
    json_write_str(&w, STR("\"\\/\b\f\n\r\t\x01\x1f\x7f\xe2\x82\xac\xff\xe2\x82\x00 end"));
    assert_string_equal(
        out.ptr, "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd\\u0000 end\"");
    strbuf_deinit(&out);
}

static const char *write_double(struct strbuf *out, double v)
{
    struct json_writer w;
    strbuf_reset(out);
    json_writer_init(&w, out);
    json_write_double(&w, v);
    return out->ptr;
}

static void test_json_write_double_not_finite_is_null(void **state)
{
    (void)state;
    struct strbuf out;
    strbuf_init(&out, 0);
    assert_string_equal(write_double(&out, INFINITY), "null");
    assert_string_equal(write_double(&out, -INFINITY), "null");
    assert_string_equal(write_double(&out, NAN), "null");
    strbuf_deinit(&out);
}

// Each line: 16 hexadecimal digits of the bits, a space, Python's repr.
static void test_json_write_double_spells_as_python(void **state)
{
    (void)state;
    char path[4096], line[128];
    snprintf(path, sizeof(path), "%s/tests/oracle/doubles.txt", test_source_root());
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    struct strbuf out;
    strbuf_init(&out, 0);
    size_t n_lines = 0;
    for (; fgets(line, sizeof(line), f); n_lines++) {
        uint64_t bits = strtoull(line, NULL, 16);
        double v, back = 0;
        memcpy(&v, &bits, sizeof(v));
        line[strcspn(line, "\n")] = '\0';
        const char *text = write_double(&out, v);
        if (strcmp(text, line + 17) != 0) {
            fail_msg("bits %016llx: %s, Python %s", (unsigned long long)bits, text, line + 17);
        }
        assert_int_equal(str_parse_double(strbuf_str(&out), &back), 0);
        assert_memory_equal(&back, &v, sizeof(v));
    }
    assert_in_range(n_lines, 1000, 100000);
    strbuf_deinit(&out);
    fclose(f);
}

static void test_json_write_value_keeps_order_and_numbers(void **state)
{
    (void)state;
    struct arena arena;
    struct strbuf out;
    struct json_writer w;
    const struct json *v = NULL;
    arena_init(&arena, 0);
    strbuf_init(&out, 0);
    json_writer_init(&w, &out);
    assert_int_equal(
        json_parse(&arena,
                   STR("{ \"b\" : [ 1.50e+3, -0, {} , [] ], \"a\\u0000\":null,\n \"a\":true,\"a\":\"\\u00e9\\n\"} "),
                   &v, NULL),
        0);
    json_write_value(&w, v);
    assert_string_equal(out.ptr, "{\"b\":[1.50e+3,-0,{},[]],\"a\\u0000\":null,\"a\":true,\"a\":\"\xc3\xa9\\n\"}");
    strbuf_deinit(&out);
    arena_deinit(&arena);
}

static void test_json_write_past_limit_is_sticky(void **state)
{
    (void)state;
    struct strbuf out;
    struct json_writer w;
    strbuf_init(&out, 10);
    json_writer_init(&w, &out);
    json_write_array_begin(&w);
    json_write_cstr(&w, "0123456789");
    json_write_array_end(&w);
    assert_int_equal(out.error, -EFBIG);
    strbuf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_write_nested_places_commas),
        cmocka_unit_test(test_json_write_str_escapes_and_repairs),
        cmocka_unit_test(test_json_write_double_not_finite_is_null),
        cmocka_unit_test(test_json_write_double_spells_as_python),
        cmocka_unit_test(test_json_write_value_keeps_order_and_numbers),
        cmocka_unit_test(test_json_write_past_limit_is_sticky),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
