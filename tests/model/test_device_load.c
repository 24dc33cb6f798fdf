// Weights on their way to a device, over a model of a GPU: read into pinned buffers, from where the device takes them
// by itself. The model ends the program when a buffer is read into again too early.
#include "engine/model/model.h"
#include "engine/model/safetensors.h"
#include "kernels/backend.h"
#include "kernels/cuda/shim/faults.h"
#include "tests/unit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define N_IN   1000u // rows that chunks of 4 MiB cut
#define N_ROWS 24000u
#define BYTES  ((uint64_t)N_ROWS * N_IN * 2)

static uint16_t value_at(size_t row, size_t i)
{
    return (uint16_t)(0x3f80 + (row * 31 + i * 7) % 500); // bf16 of 1 and somewhat more
}

// Two tensors, that begin at an odd byte where is_odd.
static void write_file(const char *path, bool is_odd)
{
    char header[512];
    uint16_t *row = malloc(N_IN * sizeof(*row));
    int n = snprintf(header, sizeof(header),
                     "{\"a\":{\"dtype\":\"BF16\",\"shape\":[%u,%u],\"data_offsets\":[0,%llu]},"
                     "\"b\":{\"dtype\":\"BF16\",\"shape\":[3,%u],\"data_offsets\":[%llu,%llu]}}",
                     N_ROWS, N_IN, (unsigned long long)BYTES, N_IN, (unsigned long long)BYTES,
                     (unsigned long long)(BYTES + 6 * N_IN));
    n += snprintf(header + n, sizeof(header) - (size_t)n, n % 2 == is_odd ? "" : " ");
    uint64_t len = (uint64_t)n;
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(&len, sizeof(len), 1, file), 1);
    assert_int_equal(fwrite(header, 1, len, file), len);
    for (size_t r = 0; r < N_ROWS + 3; r++) {
        for (size_t i = 0; i < N_IN; i++) {
            row[i] = value_at(r, i);
        }
        assert_int_equal(fwrite(row, sizeof(*row), N_IN, file), N_IN);
    }
    assert_int_equal(fclose(file), 0);
    free(row);
}

struct load {
    struct backend *b;
    struct matrix *matrices[2];
};

static int fill(void *ctx, const struct tensor_run *run, struct err *err)
{
    struct load *load = ctx;
    (void)err;
    struct matrix *m = load->matrices[run->tensor->name.ptr[0] - 'a'];
    load->b->ops->matrix_fill(load->b, m, run->row, run->n_rows, run->data);
    return 0;
}

// Every 97th row, and those at the end.
static void check_rows(struct load *load, size_t which, size_t n_rows, size_t first)
{
    const struct backend_ops *ops = load->b->ops;
    float *y = ops->alloc(load->b, N_IN * sizeof(*y)), *got = malloc(N_IN * sizeof(*got));
    for (size_t row = 0; row < n_rows; row += row + 97 < n_rows || row + 1 == n_rows ? 97 : n_rows - 1 - row) {
        int32_t id = (int32_t)row;
        const struct op_embed op = {
            .table = load->matrices[which], .token_ids = &id, .y = y, .n_rows = 1, .scale = 1
        };
        ops->embed(load->b, &op);
        ops->download(load->b, got, y, N_IN * sizeof(*got));
        for (size_t i = 0; i < N_IN; i++) {
            uint32_t bits = (uint32_t)value_at(first + row, i) << 16;
            assert_memory_equal(&got[i], &bits, sizeof(bits));
        }
    }
    ops->free(load->b, y);
    free(got);
}

static int read_all(struct load *load, struct checkpoint *st, struct err *err)
{
    for (size_t i = 0; i < checkpoint_n_tensors(st); i++) {
        checkpoint_tensor(st, i)->is_used = true;
    }
    const struct tensor_read read = { .sink = fill, .ctx = load, .backend = load->b };
    return checkpoint_read(st, &read, err);
}

static void open_load(struct load *load, const char *path, struct checkpoint **ret_st)
{
    const struct backend_options options = { .n_threads = 1 };
    struct err err;
    assert_int_equal(backend_open("cuda", &options, &load->b, &err), 0);
    load->matrices[0] = load->b->ops->matrix_new(load->b, DTYPE_BF16, N_ROWS, N_IN);
    load->matrices[1] = load->b->ops->matrix_new(load->b, DTYPE_BF16, 3, N_IN);
    if (safetensors_open(path, ret_st, &err) < 0) {
        fail_msg("%s", err.msg);
    }
}

static void close_load(struct load *load, struct checkpoint *st)
{
    checkpoint_close(st);
    load->b->ops->matrix_free(load->b, load->matrices[0]);
    load->b->ops->matrix_free(load->b, load->matrices[1]);
    load->b->ops->close(load->b);
    assert_int_equal(shim_bytes_pinned(), 0);
}

static char dir[64], path[128];

// Whatever a file's size: no more of the host's memory than the buffers, and no byte is copied by the host but for rows
// that two of them share.
static void load_whole(bool is_odd)
{
    struct load load;
    struct checkpoint *st;
    struct err err;
    write_file(path, is_odd);
    open_load(&load, dir, &st);
    uint64_t n_uploaded = shim_bytes_uploaded(), n_copied_in = shim_bytes_copied_in();
    if (read_all(&load, st, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    n_uploaded = shim_bytes_uploaded() - n_uploaded;
    n_copied_in = shim_bytes_copied_in() - n_copied_in;
    assert_int_equal(n_uploaded + n_copied_in, BYTES + 6 * N_IN);
    assert_true(n_uploaded <= (BYTES / (4 << 20) + 2) * N_IN * 2);
    assert_true(shim_bytes_pinned_most() <= 32 << 20 && BYTES > 40 << 20);
    check_rows(&load, 0, N_ROWS, 0);
    check_rows(&load, 1, 3, N_ROWS);
    close_load(&load, st);
}

static void test_device_load_takes_no_copy_and_bounded_memory(void **state)
{
    (void)state;
    load_whole(false);
}

static void test_device_load_of_tensors_at_odd_bytes(void **state)
{
    (void)state;
    load_whole(true);
}

static void test_device_load_of_a_file_that_became_shorter_is_told(void **state)
{
    (void)state;
    struct load load;
    struct checkpoint *st;
    struct err err;
    write_file(path, false);
    open_load(&load, dir, &st);
    assert_int_equal(truncate(path, 30 << 20), 0);
    assert_int_equal(read_all(&load, st, &err), -EIO);
    assert_non_null(strstr(err.msg, "model.safetensors"));
    assert_non_null(strstr(err.msg, "shorter"));
    assert_non_null(strstr(err.msg, "\"a\""));
    close_load(&load, st);
}

// 0, or what model_open says, and then *err why.
static int open_model(struct backend *b, const char *name, uint64_t memory_max, uint64_t *ret_bytes, struct err *err)
{
    char model_dir[4096];
    struct model *m;
    snprintf(model_dir, sizeof(model_dir), "%s/tests/fixtures/models/%s", test_source_root(), name);
    const struct model_options options = { .dir = model_dir,
                                           .backend = b,
                                           .batch_rows_max = 4,
                                           .logit_rows_max = 1,
                                           .page_tokens = 16,
                                           .memory_max = memory_max };
    int rc = model_open(&options, &m, err);
    if (rc == 0) {
        *ret_bytes = model_weight_bytes(m);
        model_free(m);
    }
    return rc;
}

// On the device they take little more than a byte each, and are counted so beforehand; the CPU has them as bf16. Where
// rows are no whole blocks (f8-blocks) both do.
static void test_device_load_of_f8_takes_a_byte_per_weight(void **state)
{
    (void)state;
    const struct backend_options options = { .n_threads = 1 };
    struct backend *b, *cpu;
    struct err err;
    uint64_t on_device, on_cpu;
    const uint64_t n_f8 = 2 * (128 * 128 + 2 * 64 * 128 + 128 * 128 + 3 * 128 * 256) - 64 * 128;
    const uint64_t as_bf16 = n_f8 * 2 + (2u * 61 + 64) * 128 * 2;
    assert_int_equal(backend_open("cuda", &options, &b, &err), 0);
    assert_int_equal(backend_open("cpu", &options, &cpu, &err), 0);
    assert_int_equal(open_model(b, "f8-whole", 0, &on_device, &err), 0);
    assert_int_equal(open_model(cpu, "f8-whole", 0, &on_cpu, &err), 0);
    assert_true(on_cpu - on_device > n_f8 * 9 / 10);
    assert_int_equal(open_model(b, "f8-whole", as_bf16, &on_device, &err), 0);
    assert_int_equal(open_model(cpu, "f8-whole", as_bf16, &on_cpu, &err), -ENOMEM);
    assert_non_null(strstr(err.msg, "does not fit"));
    assert_int_equal(open_model(b, "f8-blocks", 0, &on_device, &err), 0);
    assert_int_equal(open_model(cpu, "f8-blocks", 0, &on_cpu, &err), 0);
    assert_true(on_cpu < on_device * 11 / 10);
    cpu->ops->close(cpu);
    b->ops->close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device_load_takes_no_copy_and_bounded_memory),
        cmocka_unit_test(test_device_load_of_tensors_at_odd_bytes),
        cmocka_unit_test(test_device_load_of_a_file_that_became_shorter_is_told),
        cmocka_unit_test(test_device_load_of_f8_takes_a_byte_per_weight),
    };
    strcpy(dir, "/tmp/tokfs-test-XXXXXX");
    if (!mkdtemp(dir)) {
        return 1;
    }
    snprintf(path, sizeof(path), "%s/model.safetensors", dir);
    int n_failed = cmocka_run_group_tests_name("device_load", tests, NULL, NULL);
    unlink(path);
    rmdir(dir);
    return n_failed;
}
