// What model_open refuses, by file, tensor and value; and that a step does not allocate.
//
// The allocator's entry points are wrapped to count calls; the tests change copies of the recorded models.
#include "engine/model/model.h"
#include "tests/model/model_run.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

// ---- counted allocations -------------------------------------------------------------------------------------------

static atomic_uint n_allocations; // of every thread

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    n_allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    n_allocations++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
    n_allocations++;
    return __real_realloc(ptr, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    n_allocations++;
    return __real_aligned_alloc(alignment, size);
}

// ---- a changed copy of a recorded model ----------------------------------------------------------------------------

static char dir[64];
static struct backend *backend;

static int open_backend(void **state)
{
    (void)state;
    const struct backend_options options = { .n_threads = 2 };
    strcpy(dir, "/tmp/tokfs-test-XXXXXX");
    return mkdtemp(dir) ? backend_open("cpu", &options, &backend, NULL) : -1;
}

static int close_backend(void **state)
{
    (void)state;
    char command[128];
    backend->ops->close(backend);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static void copy_fixture(const char *name)
{
    char root[4096], command[8500];
    source_path(root, sizeof(root), "tests/fixtures/models");
    snprintf(command, sizeof(command), "rm -rf %s && cp -r %s/%s %s", dir, root, name, dir);
    assert_int_equal(system(command), 0);
}

// Replaces the first `from` of a file by `to`; lengths may differ.
static void edit(const char *name, const char *from, const char *to)
{
    char path[128];
    static char text[1 << 18], out[1 << 18];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t len = fread(text, 1, sizeof(text), f);
    fclose(f);
    assert_true(len < sizeof(text));
    char *at = memmem(text, len, from, strlen(from));
    assert_non_null(at);
    size_t before = (size_t)(at - text), after = len - before - strlen(from);
    memcpy(out, text, before);
    memcpy(out + before, to, strlen(to));
    memcpy(out + before + strlen(to), at + strlen(from), after);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(out, 1, before + strlen(to) + after, f), before + strlen(to) + after);
    assert_int_equal(fclose(f), 0);
}

static int open_with(uint64_t memory_max, struct model **ret, struct err *err)
{
    const struct model_options options = { .dir = dir,
                                           .backend = backend,
                                           .batch_rows_max = 32,
                                           .logit_rows_max = 32,
                                           .page_tokens = 16,
                                           .memory_max = memory_max };
    memset(err, 0, sizeof(*err));
    return model_open(&options, ret, err);
}

static void expect_refusal(int rc, const char *msg)
{
    struct model *model = NULL;
    struct err err;
    int got = open_with(0, &model, &err);
    if (got != rc || !strstr(err.msg, msg) || strncmp(err.msg, dir, strlen(dir)) != 0) {
        fail_msg("%d \"%s\"; expected %d \"%s\"", got, err.msg, rc, msg);
    }
    assert_null(model);
}

// ---- tests ---------------------------------------------------------------------------------------------------------

static void test_model_open_gives_config_layout_and_bytes(void **state)
{
    (void)state;
    struct model *model;
    struct err err;
    copy_fixture("gqa-bf16");
    assert_int_equal(open_with(0, &model, &err), 0);
    assert_string_equal(model_get_config(model)->architecture, "LlamaForCausalLM");
    const struct kv_layout *kv = model_get_kv_layout(model);
    assert_int_equal(kv->dtype, DTYPE_BF16);
    assert_int_equal(kv->page_bytes, 2 * 2 * 2 * 16 * 8 * 2); // layers, K and V, heads, tokens, head_dim, bytes
    assert_true(model_weight_bytes(model) >= 2 * (model_config_n_params(model_get_config(model)) - 61 * 40));
    model_free(model);
    model_free(NULL);
}

static void test_model_open_missing_files_are_named(void **state)
{
    (void)state;
    char path[128];
    copy_fixture("gqa-f32");
    snprintf(path, sizeof(path), "%s/generation_config.json", dir);
    unlink(path); // may be absent
    struct model *model;
    struct err err;
    assert_int_equal(open_with(0, &model, &err), 0);
    model_free(model);
    snprintf(path, sizeof(path), "%s/model.safetensors", dir);
    assert_int_equal(truncate(path, 50000), 0);
    expect_refusal(-EINVAL, "of the data, but the file has");
    unlink(path);
    expect_refusal(-ENOENT, "neither model.safetensors nor");
    snprintf(path, sizeof(path), "%s/config.json", dir);
    unlink(path);
    expect_refusal(-ENOENT, "config.json: No such file");
}

static void test_model_open_tensors_are_checked_against_the_config(void **state)
{
    (void)state;
    copy_fixture("gqa-f32");
    edit("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
    expect_refusal(-EINVAL, "tensor \"model.layers.2.input_layernorm.weight\" is missing");
    copy_fixture("gqa-f32");
    edit("config.json", "\"vocab_size\": 61", "\"vocab_size\": 62");
    expect_refusal(-EINVAL, "\"model.embed_tokens.weight\" has 2 dimensions [61, 40], config.json asks for [62, 40]");
    copy_fixture("gqa-f32");
    edit("config.json", "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 1");
    expect_refusal(-EINVAL, "k_proj.weight\" has 2 dimensions [16, 40], config.json asks for [8, 40]");
    copy_fixture("gqa-f32");
    edit("config.json", "\"attention_bias\": false", "\"attention_bias\": true");
    expect_refusal(-EINVAL, "q_proj.bias\" is missing");
    copy_fixture("gqa-f32");
    edit("config.json", "\"hidden_act\": \"silu\"", "\"hidden_act\": \"relu\"");
    expect_refusal(-EOPNOTSUPP, "hidden_act \"relu\"");
}

static void test_model_open_types_are_checked(void **state)
{
    (void)state;
    copy_fixture("gqa-f32");
    edit("model.safetensors", "\"model.norm.weight\":{\"dtype\":\"F32\"", "\"model.norm.weight\":{\"dtype\":\"I32\"");
    expect_refusal(-EOPNOTSUPP, "tensor \"model.norm.weight\" has dtype I32");
    copy_fixture("gqa-bf16");
    edit("model.safetensors", "k_proj.weight\":{\"dtype\":\"BF16\"", "k_proj.weight\":{\"dtype\":\"I16\" ");
    expect_refusal(-EOPNOTSUPP, "k_proj.weight\" has dtype I16");
}

static void test_model_open_head_dim_that_the_backend_lacks_is_refused(void **state)
{
    (void)state;
    copy_fixture("gqa-f32");
    edit("config.json", "\"head_dim\": 8", "\"head_dim\": 10");
    expect_refusal(-EOPNOTSUPP, "head_dim 10 is not supported: the cpu backend takes multiples of 8 up to 256");
}

static void test_model_open_without_memory_tells_the_arithmetic(void **state)
{
    (void)state;
    struct model *model = NULL;
    struct err err;
    copy_fixture("gqa-f32");
    assert_int_equal(open_with(1000, &model, &err), -ENOMEM);
    assert_non_null(strstr(err.msg, "weights 0.1 MiB + activations 0.0 MiB (32 rows) > 0.0 MiB of memory allowed"));
    assert_int_equal(open_with(1 << 20, &model, &err), 0);
    model_free(model);
}

static void test_model_open_tensors_that_nothing_asks_for_are_refused(void **state)
{
    (void)state;
    copy_fixture("gqa-f32");
    edit("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
    expect_refusal(-EOPNOTSUPP, "is not a tensor of LlamaForCausalLM as config.json describes it (9 such tensors)");
}

static void count_progress(void *ctx, uint64_t bytes_done, uint64_t bytes_total)
{
    uint64_t *last = ctx;
    assert_true(bytes_done > *last && bytes_done <= bytes_total);
    *last = bytes_done;
}

static void test_model_open_reports_progress_to_the_end(void **state)
{
    (void)state;
    uint64_t last = 0;
    struct model *model;
    copy_fixture("sharded");
    const struct model_options options = { .dir = dir,
                                           .backend = backend,
                                           .batch_rows_max = 1,
                                           .page_tokens = 16,
                                           .progress = count_progress,
                                           .progress_ctx = &last };
    assert_int_equal(model_open(&options, &model, NULL), 0);
    assert_int_equal(last, 4 * model_config_n_params(model_get_config(model)));
    model_free(model);
}

static void test_model_step_does_not_allocate(void **state)
{
    (void)state;
    static float logits[40 * 61];
    int32_t tokens[40];
    struct model_run run;
    copy_fixture("gqa-bf16");
    run_open(&run, dir, NULL);
    for (int i = 0; i < 40; i++) {
        tokens[i] = i;
    }
    unsigned before = n_allocations;
    run_prompt(&run, tokens, 40, 7, logits);
    run_prompt(&run, tokens, 40, 40, logits);
    assert_int_equal(n_allocations, before);
    void *volatile one = malloc(1);
    free(one);
    assert_int_equal(n_allocations, before + 1); // the counter does count
    run_close(&run);
}

static void test_model_step_without_logits_gives_none(void **state)
{
    (void)state;
    static float logits[8 * 61], whole[8 * 61];
    const int32_t tokens[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    struct model_run run;
    copy_fixture("gqa-f32");
    run_open(&run, dir, NULL);
    run_prompt(&run, tokens, 8, 8, whole);
    struct run_seq seq = { .tokens = tokens, .logits = logits };
    for (size_t i = 0; i < 2; i++) {
        assert_true(page_pool_take(&run.pool, &seq.pages[seq.n_pages++]));
    }
    const struct batch_seq map = { .n_rows = 7, .pages = seq.pages };
    const struct step step = { .token_ids = tokens,
                               .map = { .seqs = &map, .n_seqs = 1, .n_rows = 7 },
                               .kv_pool = run.pool.mem };
    assert_null(model_step(run.model, &step).rows);
    seq.n_done = 7;
    struct run_seq *const seqs[] = { &seq };
    const size_t one = 1;
    run_step(&run, seqs, &one, 1);
    assert_memory_equal(logits + 7 * 61, whole + 7 * 61, 61 * sizeof(float));
    run_seq_end(&run, &seq);
    run_close(&run);
}

#define WITH_BACKEND(test) cmocka_unit_test_setup_teardown(test, open_backend, close_backend)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BACKEND(test_model_open_gives_config_layout_and_bytes),
        WITH_BACKEND(test_model_open_missing_files_are_named),
        WITH_BACKEND(test_model_open_tensors_are_checked_against_the_config),
        WITH_BACKEND(test_model_open_types_are_checked),
        WITH_BACKEND(test_model_open_head_dim_that_the_backend_lacks_is_refused),
        WITH_BACKEND(test_model_open_without_memory_tells_the_arithmetic),
        WITH_BACKEND(test_model_open_tensors_that_nothing_asks_for_are_refused),
        WITH_BACKEND(test_model_open_reports_progress_to_the_end),
        WITH_BACKEND(test_model_step_does_not_allocate),
        WITH_BACKEND(test_model_step_without_logits_gives_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
