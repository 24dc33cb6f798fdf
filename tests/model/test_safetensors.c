// safetensors: what is accepted is read back byte for byte in whole rows; what is wrong is refused by file and tensor.
//
// loop_read is wrapped, so that a test can make reads short, late or fail.
#include "engine/base/loop.h"
#include "engine/model/safetensors.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

// ---- a wrapped loop_read -------------------------------------------------------------------------------------------

enum fault { FAULT_NONE, FAULT_SHORT, FAULT_EIO, FAULT_DIRECT_REFUSED };

static struct {
    enum fault fault;
    unsigned n_reads;
} edge; // cmocka tests share it with the wrapper; reset by each test

void __real_loop_read(struct loop *loop, struct loop_op *op, int fd, void *buf, size_t len, uint64_t offset);
void __wrap_loop_read(struct loop *loop, struct loop_op *op, int fd, void *buf, size_t len, uint64_t offset);

void __wrap_loop_read(struct loop *loop, struct loop_op *op, int fd, void *buf, size_t len, uint64_t offset)
{
    unsigned n = edge.n_reads++;
    bool is_direct = fcntl(fd, F_GETFL) & O_DIRECT;
    if (is_direct) { // what the kernel asks of a direct read
        assert_int_equal(offset % 4096, 0);
        assert_int_equal(len % 4096, 0);
        assert_int_equal((uintptr_t)buf % 4096, 0);
    }
    if (edge.fault == FAULT_SHORT && n % 3 != 2) {
        len = is_direct ? (len / 3 + 4095) / 4096 * 4096 : len / 3 + 1;
    }
    if ((edge.fault == FAULT_EIO && n == 2) || (edge.fault == FAULT_DIRECT_REFUSED && n < 3)) {
        // A descriptor that cannot be read (EISDIR), or an offset that cannot be (EINVAL), come from the kernel itself.
        __real_loop_read(loop, op, edge.fault == FAULT_EIO ? AT_FDCWD : fd, buf, len,
                         edge.fault == FAULT_EIO ? offset : UINT64_MAX - 1);
        return;
    }
    __real_loop_read(loop, op, fd, buf, len, offset);
}

// ---- files ---------------------------------------------------------------------------------------------------------

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    memset(&edge, 0, sizeof(edge));
    strcpy(dir, "/tmp/tokfs-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static unsigned char pattern(uint32_t file, uint64_t offset)
{
    return (unsigned char)((offset * 2654435761u + file * 40503u) >> 13);
}

static void write_all(const char *name, const void *data, size_t len, size_t repeat_pattern, uint32_t file)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    for (size_t i = 0; i < repeat_pattern; i++) {
        putc(pattern(file, len + i), f);
    }
    assert_int_equal(fclose(f), 0);
}

// A file of this header (its length prefixed) and data_bytes of pattern.
static void write_safetensors(const char *name, uint32_t file, const char *header, size_t data_bytes)
{
    size_t len = strlen(header);
    char *text = malloc(8 + len);
    assert_non_null(text);
    for (unsigned i = 0; i < 8; i++) {
        text[i] = (char)(len >> (8 * i));
    }
    memcpy(text + 8, header, len);
    write_all(name, text, 8 + len, data_bytes, file);
    free(text);
}

// ---- opening -------------------------------------------------------------------------------------------------------

static void test_safetensors_open_gives_tensors_in_file_order(void **state)
{
    (void)state;
    write_safetensors("model.safetensors", 0,
                      "{\"__metadata__\":{\"format\":\"pt\"},"
                      "\"b\":{\"dtype\":\"BF16\",\"shape\":[3,5],\"data_offsets\":[16,46]},"
                      "\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
                      "\"none\":{\"dtype\":\"F16\",\"shape\":[0,7],\"data_offsets\":[16,16]},"
                      "\"n\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[46,54]}}   ",
                      54);
    struct checkpoint *st;
    struct err err;
    assert_int_equal(safetensors_open(dir, &st, &err), 0);
    assert_int_equal(checkpoint_n_tensors(st), 4);
    const struct tensor_info *a = checkpoint_tensor(st, 0), *b = checkpoint_find(st, STR("b"));
    assert_true(str_eq(a->name, STR("a")));
    assert_int_equal(a->dtype, DTYPE_F32);
    assert_int_equal(tensor_n_rows(a), 1);
    assert_ptr_equal(b, checkpoint_tensor(st, 2));
    assert_int_equal(b->offset - a->offset, 16);
    assert_int_equal(b->shape[0] * 10 + b->shape[1], 35);
    assert_false(checkpoint_find(st, STR("n"))->is_loadable);
    assert_true(str_eq(checkpoint_find(st, STR("n"))->dtype_name, STR("I64")));
    assert_null(checkpoint_find(st, STR("c")));
    checkpoint_close(st);
}

static void test_safetensors_open_bad_header_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        int rc;
        const char *msg;
    } cases[] = {
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 0, "" }, // the negative control
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}", -EINVAL, "header" },
        { "[]", -EINVAL, "not a JSON object" },
        { "{\"a\":5}", -EINVAL, "\"a\": its description is not an object" },
        { "{\"a\":{\"shape\":[4],\"data_offsets\":[0,16]}}", -EINVAL, "\"a\": dtype is missing" },
        { "{\"a\":{\"dtype\":\"F33\",\"shape\":[4],\"data_offsets\":[0,16]}}", -EOPNOTSUPP, "unknown dtype \"F33\"" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,16]}}", -EINVAL, "shape is not a list" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,16]}}", -EINVAL, "shape has an element" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,16]}}", -EINVAL,
          "too large" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,4],\"data_offsets\":[0,16]}}", -EOPNOTSUPP,
          "9 dimensions" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0]}}", -EINVAL, "data_offsets is not a pair" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}}", -EINVAL, "data_offsets is not a pair" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,16]}}", -EINVAL,
          "\"a\": shape and dtype make 12 bytes, data_offsets 16" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[0,32]}}", -EINVAL,
          "\"a\" ends at byte 32 of the data, but the file has 16" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},"
          "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}",
          -EINVAL, "\"b\" begins at byte 8 of the data and overlaps tensor \"a\"" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
          "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}",
          -EINVAL, "bytes 4 to 8 of the data, before tensor \"b\", belong to no tensor" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}", -EINVAL,
          "4 bytes at the end belong to no tensor" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
          "\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}",
          -EINVAL, "\"a\" is there twice" },
        { "{\"a\":{\"dtype\":\"F4\",\"shape\":[31],\"data_offsets\":[0,16]}}", -EINVAL, "whole bytes" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        write_safetensors("model.safetensors", 0, cases[i].header, 16);
        struct checkpoint *st = NULL;
        struct err err = { 0 };
        int rc = safetensors_open(dir, &st, &err);
        if (rc != cases[i].rc || !strstr(err.msg, cases[i].msg) || (rc && !strstr(err.msg, "model.safetensors"))) {
            fail_msg("%s: %d, \"%s\"", cases[i].header, rc, err.msg);
        }
        checkpoint_close(st);
    }
}

static void test_safetensors_open_bad_length_is_refused(void **state)
{
    (void)state;
    struct checkpoint *st;
    struct err err;
    assert_int_equal(safetensors_open(dir, &st, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "neither model.safetensors nor model.safetensors.index.json"));
    write_all("model.safetensors", "1234567", 7, 0, 0);
    assert_int_equal(safetensors_open(dir, &st, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "7 bytes are too few"));
    write_all("model.safetensors", "\x10\0\0\0\0\0\0\0{}", 10, 0, 0); // says 16, has 2
    assert_int_equal(safetensors_open(dir, &st, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "header length 16 does not fit"));
    write_all("model.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, 0, 0);
    assert_int_equal(safetensors_open(dir, &st, &err), -EINVAL);
    char path[128];
    snprintf(path, sizeof(path), "%s/model.safetensors", dir);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(safetensors_open(dir, &st, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "not a regular file"));
}

#define ONE(name) "{\"" name "\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}"

static void write_index(const char *text)
{
    write_all("model.safetensors.index.json", text, strlen(text), 0, 0);
}

static void test_safetensors_open_index_is_checked_against_its_shards(void **state)
{
    (void)state;
    static const struct {
        const char *index;
        int rc;
        const char *msg;
    } cases[] = {
        { "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}", 0, "" },
        { "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"3.safetensors\"}}", -ENOENT, "3.safetensors" },
        { "{\"weight_map\":{\"a\":\"1.safetensors\",\"c\":\"2.safetensors\"}}", -EINVAL,
          "tensor \"c\", which 2.safetensors does not have" },
        { "{\"weight_map\":{\"a\":\"2.safetensors\",\"b\":\"1.safetensors\"}}", -EINVAL,
          "tensor \"a\" in 2.safetensors, but 1.safetensors has it" },
        { "{\"weight_map\":{\"a\":\"1.safetensors\",\"x\":\"again.safetensors\"}}", -EINVAL, "\"a\" is there twice" },
        { "{\"weight_map\":{\"a\":\"../1.safetensors\"}}", -EINVAL, "no plain file name" },
        { "{\"weight_map\":{\"a\":1}}", -EINVAL, "no plain file name" },
        { "{\"weight_map\":{}}", -EINVAL, "weight_map is missing" },
        { "{\"metadata\":{}}", -EINVAL, "weight_map is missing" },
        { "[1]", -EINVAL, "weight_map is missing" },
        { "{", -EINVAL, "model.safetensors.index.json" },
    };
    write_safetensors("1.safetensors", 0, ONE("a"), 16);
    write_safetensors("2.safetensors", 1, ONE("b"), 16);
    write_safetensors("again.safetensors", 2, ONE("a"), 16);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        write_index(cases[i].index);
        struct checkpoint *st = NULL;
        struct err err = { 0 };
        int rc = safetensors_open(dir, &st, &err);
        if (rc != cases[i].rc || !strstr(err.msg, cases[i].msg)) {
            fail_msg("%s: %d, \"%s\"", cases[i].index, rc, err.msg);
        }
        if (rc == 0) {
            assert_int_equal(checkpoint_n_tensors(st), 2);
            assert_string_equal(checkpoint_file_name(st, checkpoint_find(st, STR("b"))->file_idx), "2.safetensors");
        }
        checkpoint_close(st);
    }
}

// ---- reading -------------------------------------------------------------------------------------------------------

struct check {
    uint64_t next_row[16]; // by user_idx
    uint64_t bytes;
    uint64_t progress_done, progress_total;
    int stop_after; // runs until the sink gives up; 0: never
    int n_runs;
};

static int check_run(void *ctx, const struct tensor_run *run, struct err *err)
{
    struct check *check = ctx;
    const struct tensor_info *t = run->tensor;
    if (check->stop_after && ++check->n_runs >= check->stop_after) {
        return err_set(err, -EDOM, "enough");
    }
    uint64_t n_rows = tensor_n_rows(t), row_bytes = t->bytes / n_rows;
    assert_true(t->is_used);
    assert_true(run->n_rows > 0);
    assert_int_equal(run->row, check->next_row[t->user_idx]);
    assert_int_equal((uintptr_t)run->data % dtype_bytes(t->dtype), 0);
    check->next_row[t->user_idx] += run->n_rows;
    const unsigned char *data = run->data;
    uint64_t at = t->offset + run->row * row_bytes;
    for (uint64_t i = 0; i < run->n_rows * row_bytes; i++) {
        if (data[i] != pattern(t->file_idx, at + i)) {
            fail_msg("%.*s: byte %ju is wrong", STR_ARG(t->name), (uintmax_t)i);
        }
    }
    check->bytes += run->n_rows * row_bytes;
    return 0;
}

static void check_progress(void *ctx, uint64_t bytes_done, uint64_t bytes_total)
{
    struct check *check = ctx;
    assert_true(bytes_done >= check->progress_done && bytes_done <= bytes_total);
    check->progress_done = bytes_done;
    check->progress_total = bytes_total;
}

// Two shards of about 24 MiB: rows of 6 bytes to 5 MiB (longer than a read), tensors at odd addresses, some not wanted.
static struct checkpoint *open_large(void)
{
    static const struct {
        const char *name, *dtype;
        size_t n_rows, n_cols, width;
    } list[2][5] = {
        { { "a0", "BF16", 1000, 3, 2 },
          { "a1", "F32", 3, 1310720, 4 },
          { "a2", "BF16", 2, 2000000, 2 }, // not wanted
          { "a3", "F16", 4099, 257, 2 },
          { "a4", "F32", 1, 5, 4 } },
        { { "b0", "F32", 700, 1000, 4 },
          { "b1", "U8", 1, 300001, 1 }, // not wanted; what follows lies at odd addresses
          { "b2", "BF16", 3001, 1024, 2 },
          { "b3", "U8", 1, 3, 1 }, // a small gap
          { "b4", "F32", 2048, 999, 4 } },
    };
    for (uint32_t file = 0; file < 2; file++) {
        struct strbuf header;
        strbuf_init(&header, 0);
        size_t at = 0;
        for (size_t i = 0; i < 5; i++) {
            size_t bytes = list[file][i].n_rows * list[file][i].n_cols * list[file][i].width;
            strbuf_printf(&header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%zu,%zu],\"data_offsets\":[%zu,%zu]}",
                          i ? "," : "{", list[file][i].name, list[file][i].dtype, list[file][i].n_rows,
                          list[file][i].n_cols, at, at + bytes);
            at += bytes;
        }
        strbuf_printf(&header, "}%s", file == 0 ? " " : "");
        write_safetensors(file ? "2.safetensors" : "1.safetensors", file, header.ptr, at);
        strbuf_deinit(&header);
    }
    write_index("{\"weight_map\":{\"a0\":\"1.safetensors\",\"b0\":\"2.safetensors\"}}");
    struct checkpoint *st;
    struct err err;
    assert_int_equal(safetensors_open(dir, &st, &err), 0);
    static const char *const wanted[] = { "a0", "a1", "a3", "a4", "b0", "b2", "b4" };
    for (uint32_t i = 0; i < 7; i++) {
        struct tensor_info *t = checkpoint_find(st, str_from(wanted[i]));
        t->is_used = true;
        t->user_idx = i;
    }
    return st;
}

static void read_large_with(enum fault fault)
{
    struct checkpoint *st = open_large();
    struct check check = { 0 };
    struct err err = { 0 };
    edge.fault = fault;
    const struct tensor_read read = { check_run, check_progress, &check };
    int rc = checkpoint_read(st, &read, &err);
    if (rc) {
        fail_msg("%d %s", rc, err.msg);
    }
    uint64_t bytes = 0;
    for (size_t i = 0; i < checkpoint_n_tensors(st); i++) {
        const struct tensor_info *t = checkpoint_tensor(st, i);
        if (t->is_used) {
            assert_int_equal(check.next_row[t->user_idx], t->shape[0]);
            bytes += t->bytes;
        }
    }
    assert_int_equal(check.bytes, bytes);
    assert_int_equal(check.progress_done, bytes);
    assert_int_equal(check.progress_total, bytes);
    checkpoint_close(st);
}

static void test_safetensors_read_gives_every_row_once_in_order(void **state)
{
    (void)state;
    read_large_with(FAULT_NONE);
    assert_in_range(edge.n_reads, 9, 16); // large reads; what is not wanted is skipped
}

static void test_safetensors_read_goes_on_after_short_reads(void **state)
{
    (void)state;
    read_large_with(FAULT_SHORT);
}

static void test_safetensors_read_falls_back_when_direct_reads_are_refused(void **state)
{
    (void)state;
    read_large_with(FAULT_DIRECT_REFUSED);
}

static void test_safetensors_read_error_is_named(void **state)
{
    (void)state;
    struct checkpoint *st = open_large();
    struct check check = { 0 };
    struct err err = { 0 };
    edge.fault = FAULT_EIO;
    const struct tensor_read read = { check_run, NULL, &check };
    assert_true(checkpoint_read(st, &read, &err) < 0);
    assert_non_null(strstr(err.msg, "1.safetensors: reading at byte"));
    assert_non_null(strstr(err.msg, "loading tensor \"a"));
    checkpoint_close(st);
}

static void test_safetensors_read_of_file_that_became_shorter_fails(void **state)
{
    (void)state;
    struct checkpoint *st = open_large();
    struct check check = { 0 };
    struct err err = { 0 };
    char path[128];
    snprintf(path, sizeof(path), "%s/2.safetensors", dir);
    assert_int_equal(truncate(path, 6000001), 0);
    const struct tensor_read read = { check_run, NULL, &check };
    assert_int_equal(checkpoint_read(st, &read, &err), -EIO);
    assert_non_null(strstr(err.msg, "2.safetensors: the file ends at byte 6000001"));
    checkpoint_close(st);
}

static void test_safetensors_read_stops_with_the_value_of_the_sink(void **state)
{
    (void)state;
    struct checkpoint *st = open_large();
    struct check check = { .stop_after = 3 };
    struct err err = { 0 };
    const struct tensor_read read = { check_run, NULL, &check };
    assert_int_equal(checkpoint_read(st, &read, &err), -EDOM);
    assert_string_equal(err.msg, "enough");
    assert_int_equal(check.n_runs, 3);
    checkpoint_close(st);
}

static void test_safetensors_read_of_nothing_wanted_is_done(void **state)
{
    (void)state;
    write_safetensors("model.safetensors", 0, ONE("a"), 16);
    struct checkpoint *st;
    struct err err;
    struct check check = { 0 };
    assert_int_equal(safetensors_open(dir, &st, &err), 0);
    const struct tensor_read read = { check_run, NULL, &check };
    assert_int_equal(checkpoint_read(st, &read, &err), 0);
    assert_int_equal(check.bytes, 0);
    checkpoint_close(st);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(test_safetensors_open_gives_tensors_in_file_order),
        IN_DIR(test_safetensors_open_bad_header_is_named),
        IN_DIR(test_safetensors_open_bad_length_is_refused),
        IN_DIR(test_safetensors_open_index_is_checked_against_its_shards),
        IN_DIR(test_safetensors_read_gives_every_row_once_in_order),
        IN_DIR(test_safetensors_read_goes_on_after_short_reads),
        IN_DIR(test_safetensors_read_falls_back_when_direct_reads_are_refused),
        IN_DIR(test_safetensors_read_error_is_named),
        IN_DIR(test_safetensors_read_of_file_that_became_shorter_fails),
        IN_DIR(test_safetensors_read_stops_with_the_value_of_the_sink),
        IN_DIR(test_safetensors_read_of_nothing_wanted_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
