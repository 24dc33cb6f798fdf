#include "engine/base/gguf.h"
#include "tests/gguf_build.h"
#include "tests/unit.h"

#include <errno.h>
#include <string.h>

static struct gguf *parse(struct str file)
{
    struct gguf *g = NULL;
    struct err err = { 0 };
    if (gguf_parse(file, file.len, "f.gguf", &g, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    return g;
}

static void check_refused(struct str file, int code, const char *part)
{
    struct gguf *g = NULL;
    struct err err = { 0 };
    assert_int_equal(gguf_parse(file, file.len, "f.gguf", &g, &err), code);
    assert_null(g);
    assert_int_equal(err.code, code);
    if (!strstr(err.msg, part) || strncmp(err.msg, "f.gguf: ", 8) != 0) {
        fail_msg("\"%s\" has no \"%s\"", err.msg, part);
    }
}

static void build_sample(struct gguf_build *b)
{
    build_begin(b);
    build_number(b, "n.u8", GGUF_U8, 200);
    build_number(b, "n.i8", GGUF_I8, 0xfe);
    build_number(b, "n.i32", GGUF_I32, 0xfffffff0);
    build_number(b, "n.u64", GGUF_U64, UINT64_MAX);
    build_number(b, "n.bool", GGUF_BOOL, 1);
    build_key(b, "n.f32", GGUF_F32);
    build_f32(b, 0.5f);
    build_text(b, "general.name", "a name");
    build_strs(b, "strings", (const char *const[]){ "one", "", "three", NULL });
    build_array(b, "numbers", GGUF_I16, 2);
    build_le(b, 7, 2);
    build_le(b, 0xffff, 2);
    build_array(b, "nested", GGUF_ARRAY, 1);
    build_le(b, GGUF_STRING, 4);
    build_le(b, 1, 8);
    build_str(b, "deep");
    build_tensor(b, "w.q", 8, 2, 32, 32); // Q8_0: 2 blocks of 34
    build_tensor(b, "w.f", 0, 1, 4, 0);
}

static void test_gguf_values_of_all_kinds_found(void **state)
{
    (void)state;
    struct gguf_build b;
    struct err err = { 0 };
    build_sample(&b);
    struct gguf *g = parse(build_end(&b, 32 + 68));
    uint64_t n = 0;
    double f = 0;
    bool flag = false;
    struct str s = { 0 };
    assert_int_equal(gguf_get_u64(g, "n.u8", &n, &err), 0);
    assert_int_equal(n, 200);
    assert_int_equal(gguf_get_u64(g, "n.u64", &n, &err), 0);
    assert_true(n == UINT64_MAX);
    assert_int_equal(gguf_get_f64(g, "n.i32", &f, &err), 0);
    assert_true(f == -16);
    assert_int_equal(gguf_get_f64(g, "n.f32", &f, &err), 0);
    assert_true(f == 0.5);
    assert_int_equal(gguf_get_bool(g, "n.bool", &flag, &err), 0);
    assert_true(flag);
    assert_int_equal(gguf_get_str(g, "general.name", &s, &err), 0);
    assert_true(str_eq(s, STR("a name")));
    const struct gguf_entry *array = NULL;
    assert_int_equal(gguf_get_array(g, "numbers", GGUF_I16, &array, &err), 0);
    assert_int_equal(gguf_item_i64(array, 1), -1);
    assert_int_equal(gguf_get_array(g, "strings", GGUF_STRING, &array, &err), 0);
    struct str items = array->bytes;
    assert_true(str_eq(gguf_next_str(&items), STR("one")) && str_eq(gguf_next_str(&items), STR("")) &&
                str_eq(gguf_next_str(&items), STR("three")));
    assert_int_equal(items.len, 0);
    assert_int_equal(gguf_find(g, "nested")->n_items, 1);
    assert_null(gguf_find(g, "none"));
    gguf_free(g);
    strbuf_deinit(&b.out);
}

static void test_gguf_values_of_another_type_refused(void **state)
{
    (void)state;
    struct gguf_build b;
    struct err err = { 0 };
    build_sample(&b);
    struct gguf *g = parse(build_end(&b, 32 + 68));
    uint64_t n = 5;
    struct str s = STR("as it was");
    const struct gguf_entry *array = NULL;
    assert_int_equal(gguf_get_u64(g, "n.i8", &n, &err), -EINVAL);
    assert_string_equal(err.msg, "f.gguf: n.i8: -2 is negative");
    assert_int_equal(gguf_get_u64(g, "n.f32", &n, &err), -EINVAL);
    assert_string_equal(err.msg, "f.gguf: n.f32: whole number expected, float32 found");
    assert_int_equal(gguf_get_str(g, "numbers", &s, &err), -EINVAL);
    assert_string_equal(err.msg, "f.gguf: numbers: string expected, array of int16 found");
    assert_int_equal(gguf_get_array(g, "strings", GGUF_F32, &array, &err), -EINVAL);
    assert_string_equal(err.msg, "f.gguf: strings: array of float32 expected, array of string found");
    assert_int_equal(gguf_get_str(g, "absent", &s, &err), 0);
    assert_int_equal(n, 5);
    assert_true(str_eq(s, STR("as it was")) && !array);
    gguf_free(g);
    strbuf_deinit(&b.out);
}

static void test_gguf_tensors_placed_in_the_file(void **state)
{
    (void)state;
    struct gguf_build b;
    build_sample(&b);
    struct str file = build_end(&b, 32 + 68);
    struct gguf *g = parse(file);
    const struct gguf_tensor *t = gguf_find_tensor(g, STR("w.q"));
    assert_non_null(t);
    assert_string_equal(t->storage->name, "Q8_0");
    assert_int_equal(t->n_dims, 2);
    assert_int_equal(t->shape[0], 32);
    assert_int_equal(t->shape[1], 2);
    assert_int_equal(t->bytes, 68);
    assert_int_equal(t->offset + t->bytes, file.len);
    assert_true(str_eq(g->tensors[0].name, STR("w.f")) && g->tensors[0].offset == t->offset - 32);
    assert_null(gguf_find_tensor(g, STR("w")));
    gguf_free(g);
    strbuf_deinit(&b.out);
}

static void test_gguf_every_truncation_refused(void **state)
{
    (void)state;
    struct gguf_build b;
    build_sample(&b);
    struct str file = build_end(&b, 32 + 68);
    for (size_t len = 0; len < file.len; len++) {
        struct gguf *g = NULL;
        struct err err = { 0 };
        char *copy = str_dup(str_take(file, len)); // so that a sanitizer sees a read past the end
        assert_int_equal(gguf_parse((struct str){ copy, len }, len, "f.gguf", &g, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "f.gguf: "));
        free(copy);
    }
    strbuf_deinit(&b.out);
}

static void test_gguf_other_formats_refused_by_name(void **state)
{
    (void)state;
    check_refused(STR("GGUF\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), -EOPNOTSUPP, "big-endian");
    check_refused(STR("GGUF\1\0\0\0\0\0\0\0\0\0\0\0"), -EOPNOTSUPP, "version 1 ");
    check_refused(STR("GGUF\4\0\0\0\0\0\0\0\0\0\0\0"), -EOPNOTSUPP, "version 4 ");
    check_refused(STR("tjgg\1\0\0\0\0\0\0\0\0\0\0\0"), -EOPNOTSUPP, "before GGUF");
    check_refused(STR("{}"), -EINVAL, "not a GGUF file");
    check_refused(STR("{\"version\": \"1.0\"}        "), -EINVAL, "not a GGUF file");
}

// A key, or a count, that the builder cannot make by itself.
static void check_bad_entry(void (*build)(struct gguf_build *b), int code, const char *part)
{
    struct gguf_build b;
    build_begin(&b);
    build(&b);
    check_refused(build_end(&b, 64), code, part);
    strbuf_deinit(&b.out);
}

static void twice(struct gguf_build *b)
{
    build_number(b, "k", GGUF_U8, 1);
    build_text(b, "k", "x");
}

static void no_such_type(struct gguf_build *b)
{
    build_key(b, "k", (enum gguf_type)77);
}

static void huge_array(struct gguf_build *b)
{
    build_array(b, "k", GGUF_U64, UINT64_MAX / 8 + 2);
}

static void huge_strings(struct gguf_build *b)
{
    build_array(b, "k", GGUF_STRING, UINT64_MAX);
}

static void huge_string(struct gguf_build *b)
{
    build_key(b, "k", GGUF_STRING);
    build_le(b, UINT64_MAX - 8, 8);
}

static void nested_too_deep(struct gguf_build *b)
{
    build_array(b, "k", GGUF_ARRAY, 1);
    for (int i = 0; i < 20; i++) {
        build_le(b, GGUF_ARRAY, 4);
        build_le(b, 1, 8);
    }
}

static void odd_bool(struct gguf_build *b)
{
    build_number(b, "k", GGUF_BOOL, 2);
}

static void empty_key(struct gguf_build *b)
{
    build_number(b, "", GGUF_U8, 1);
}

static void odd_alignment(struct gguf_build *b)
{
    build_number(b, "general.alignment", GGUF_U32, 48);
}

static void many_keys(struct gguf_build *b)
{
    b->n_entries = UINT64_MAX;
}

static void test_gguf_bad_metadata_refused(void **state)
{
    (void)state;
    check_bad_entry(twice, -EINVAL, "k: this key occurs twice");
    check_bad_entry(no_such_type, -EINVAL, "k: there is no type of value 77");
    check_bad_entry(huge_array, -EINVAL, "k: the array is longer than the file");
    check_bad_entry(huge_strings, -EINVAL, "k: the file ends within it");
    check_bad_entry(huge_string, -EINVAL, "k: the file ends within it");
    check_bad_entry(nested_too_deep, -EOPNOTSUPP, "k: arrays in arrays, more than 8 deep");
    check_bad_entry(odd_bool, -EINVAL, "k: a bool that is neither 0 nor 1");
    check_bad_entry(empty_key, -EINVAL, "empty name");
    check_bad_entry(odd_alignment, -EINVAL, "general.alignment: 48 ");
    check_bad_entry(many_keys, -EINVAL, "");
}

static void unknown_storage(struct gguf_build *b)
{
    build_tensor(b, "t", 4, 1, 32, 0);
}

static void half_block(struct gguf_build *b)
{
    build_tensor(b, "t", 2, 1, 16, 0);
}

static void too_large(struct gguf_build *b)
{
    build_tensor(b, "t", 0, UINT64_MAX / 2, 3, 0);
}

static void behind_the_end(struct gguf_build *b)
{
    build_tensor(b, "t", 0, 1, 17, 0);
}

static void far_behind_the_end(struct gguf_build *b)
{
    build_tensor(b, "t", 0, 1, 1, UINT64_MAX - 31);
}

static void unaligned(struct gguf_build *b)
{
    build_tensor(b, "t", 0, 1, 1, 16);
}

static void overlapping(struct gguf_build *b)
{
    build_tensor(b, "a", 0, 1, 9, 0);
    build_tensor(b, "b", 0, 1, 1, 32);
}

static void same_name(struct gguf_build *b)
{
    build_tensor(b, "a", 0, 1, 1, 0);
    build_tensor(b, "a", 0, 1, 1, 32);
}

static void test_gguf_bad_tensors_refused(void **state)
{
    (void)state;
    check_bad_entry(unknown_storage, -EOPNOTSUPP, "tensor \"t\" has the unknown type 4");
    check_bad_entry(half_block, -EINVAL, "tensor \"t\": rows of 16 do not fill blocks of 32 (Q4_0)");
    check_bad_entry(too_large, -EINVAL, "tensor \"t\": its shape is too large");
    check_bad_entry(behind_the_end, -EINVAL, "tensor \"t\" ends behind the end of the file");
    check_bad_entry(far_behind_the_end, -EINVAL, "tensor \"t\" ends behind the end of the file");
    check_bad_entry(unaligned, -EINVAL, "tensor \"t\": its offset is not a multiple");
    check_bad_entry(overlapping, -EINVAL, "tensors \"a\" and \"b\" overlap");
    check_bad_entry(same_name, -EINVAL, "tensor \"a\": there are two of this name");
}

// Longer than what is read at first.
static void test_gguf_open_long_metadata_read(void **state)
{
    (void)state;
    enum { N = 3 << 20 };
    char path[] = "/tmp/tokfs-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct gguf_build b;
    build_begin(&b);
    build_array(&b, "long", GGUF_U16, N);
    for (uint32_t i = 0; i < N; i++) {
        build_le(&b, i, 2);
    }
    build_text(&b, "name", "behind it");
    build_tensor(&b, "t", 0, 1, 16, 0);
    struct str file = build_end(&b, 64);
    assert_int_equal(write(fd, file.ptr, file.len), file.len);
    struct gguf *g = NULL;
    struct err err = { 0 };
    struct str name = { 0 };
    assert_int_equal(gguf_open(path, &g, &err), 0);
    assert_int_equal(gguf_item_i64(gguf_find(g, "long"), 70000), 70000 - 65536);
    assert_int_equal(gguf_get_str(g, "name", &name, &err), 0);
    assert_true(str_eq(name, STR("behind it")));
    assert_int_equal(gguf_find_tensor(g, STR("t"))->offset + 64, file.len);
    gguf_free(g);
    assert_int_equal(ftruncate(fd, (off_t)file.len - 1), 0);
    assert_int_equal(gguf_open(path, &g, &err), -EINVAL);
    assert_non_null(strstr(err.msg, path));
    close(fd);
    unlink(path);
    strbuf_deinit(&b.out);
}

static void test_gguf_open_what_is_no_file_refused(void **state)
{
    (void)state;
    struct gguf *g = NULL;
    struct err err = { 0 };
    assert_int_equal(gguf_open("/nonexistent/x.gguf", &g, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "/nonexistent/x.gguf: No such file"));
    assert_int_equal(gguf_open("/dev/zero", &g, &err), -EINVAL);
    assert_null(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gguf_values_of_all_kinds_found),
        cmocka_unit_test(test_gguf_values_of_another_type_refused),
        cmocka_unit_test(test_gguf_tensors_placed_in_the_file),
        cmocka_unit_test(test_gguf_every_truncation_refused),
        cmocka_unit_test(test_gguf_other_formats_refused_by_name),
        cmocka_unit_test(test_gguf_bad_metadata_refused),
        cmocka_unit_test(test_gguf_bad_tensors_refused),
        cmocka_unit_test(test_gguf_open_long_metadata_read),
        cmocka_unit_test(test_gguf_open_what_is_no_file_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
