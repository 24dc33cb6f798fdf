// Journals that are damaged, make no sense, or are somebody else's: refused by name, or cut to an earlier state.
#include "fs/journal_record.h"
#include "tests/fs/journal_world.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static struct world world;
static const struct journal_options options = { .sync = JOURNAL_SYNC_BATCH, .settle_ms = 1, .retry_ms = 20 };

static int set_up(void **state)
{
    (void)state;
    world_init(&world, "0");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return world_deinit(&world);
}

// One flipped bit anywhere: an earlier state, or a refusal that names the file; never another state, never a crash.
static void test_journal_flipped_bit_is_cut_off_or_refused(void **state)
{
    (void)state;
    size_t len, n_refused = 0, n_cut = 0;
    world_open(&world, &options);
    world_echo(world_make(&world, "bob"), "input", "count 9\n");
    world_settle(&world);
    char *whole = world_tell(&world);
    world_stop(&world);
    char *bytes = world_read_file(world.path, &len);
    for (size_t bit = 0; bit < len * 8; bit += 7) {
        struct err err = { 0 };
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        world_write_journal(&world, bytes, len);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        int r = world_try_open(&world, &options, &err);
        if (r < 0) {
            assert_non_null(strstr(err.msg, world.path));
            n_refused++;
        } else {
            char *now = world_tell(&world);
            n_cut += strcmp(now, whole) != 0;
            free(now);
        }
        world_stop(&world);
    }
    assert_true(n_refused >
                len * 8 / 7 - 40); // it was closed in order: all of it was synced and marked, but for the last mark
    assert_int_equal(n_cut, 0);
    free(whole), free(bytes);
}

// Whoever can write to the file can also make its sums right: what then makes no sense is refused, or harmless.
static void test_journal_of_nonsense_does_no_harm(void **state)
{
    (void)state;
    size_t len, n_refused = 0;
    unsigned seed = 1;
    world_open(&world, &options);
    world_live(&world);
    world_echo(world_find(&world, "bob"), "input", "count 5\n");
    world.mount->journal->compact_at = 0; // so that there are answers as a whole, too
    world_settle(&world);
    world_echo(world_find(&world, "bob"), "input", "count 6\n");
    world_settle(&world);
    world_stop(&world);
    char *bytes = world_read_file(world.path, &len);
    for (int round = 0; round < 600; round++) {
        struct strbuf file;
        struct record record;
        strbuf_init(&file, 0);
        int victim = rand_r(&seed) % 60;
        size_t at = 0;
        for (int i = 0; record_parse((struct str){ bytes + at, len - at }, &record) > 0; i++) {
            at += (size_t)record_length((struct str){ bytes + at, len - at });
            char *body = malloc(record.body.len + 1);
            memcpy(body, record.body.ptr, record.body.len);
            if (i % 60 == victim && i > 0 && record.body.len > 0) {
                size_t offset = (size_t)rand_r(&seed) % record.body.len;
                body[offset] = (char)(rand_r(&seed) % 4 == 0 ? 0xff : body[offset] ^ (1 << rand_r(&seed) % 8));
            }
            bool is_other_type = i % 60 == victim && i > 0 && round % 16 == 0;
            record.type = is_other_type ? 1 + (enum record_type)rand_r(&seed) % (RECORD_TYPES_END - 1) : record.type;
            record.body.ptr = body;
            assert_int_equal(record_append(&file, &record), 0);
            free(body);
        }
        world_write_journal(&world, file.ptr, file.len);
        strbuf_deinit(&file);
        struct err err = { 0 };
        if (world_try_open(&world, &options, &err) < 0) {
            n_refused++;
        } else {
            journal_start(world.mount->journal);
            world_settle(&world);
            free(world_tell(&world));
        }
        world_stop(&world);
    }
    assert_true(n_refused > 20);
    free(bytes);
}

static void expect_refusal(int code, const char *words)
{
    struct err err = { 0 };
    assert_int_equal(world_try_open(&world, &options, &err), code);
    assert_non_null(strstr(err.msg, words));
    world_stop(&world);
}

static void write_head(uint32_t format, const char *architecture, uint64_t n_vocab)
{
    struct strbuf body, file;
    strbuf_init(&body, 0);
    strbuf_init(&file, 0);
    record_put_u32(&body, format);
    record_put_str(&body, STR("9.9"));
    record_put_str(&body, STR("their model"));
    record_put_str(&body, str_from(architecture));
    record_put_u64(&body, n_vocab);
    record_put_u64(&body, 0);
    record_put_u64(&body, 0);
    record_put_str(&body, STR("fp_1"));
    const struct record record = { .type = RECORD_HEAD, .body = strbuf_str(&body) };
    assert_int_equal(record_append(&file, &record), 0);
    world_write_journal(&world, file.ptr, file.len);
    strbuf_deinit(&body);
    strbuf_deinit(&file);
}

static void test_journal_of_others_is_refused_by_name(void **state)
{
    (void)state;
    world_open(&world, &options);
    world_stop(&world);
    write_head(99, "Fake", 1);
    expect_refusal(-EINVAL, "it has format 99 (of tokfs 9.9)");
    write_head(1, "Other", 1);
    expect_refusal(-EINVAL, "architecture \"Other\", and this is \"Fake\"");
    write_head(1, "Fake", 17);
    expect_refusal(-EINVAL, "another model (served as \"their model\")");
    world_write_journal(&world, "something else that is long enough", 34);
    expect_refusal(-EINVAL, "it is not a journal of tokfs");
}

static void test_journal_of_other_weights_or_tokenizer_is_refused(void **state)
{
    (void)state;
    world_open(&world, &options);
    world_make(&world, "bob");
    world_stop(&world);
    setenv("TOKFS_FAKE_WEIGHTS", "1", 1);
    expect_refusal(-EINVAL, "with other weights");
    unsetenv("TOKFS_FAKE_WEIGHTS");
    setenv("TOKFS_FAKE_TOKENIZER", "1", 1);
    expect_refusal(-EINVAL, "with another tokenizer");
    unsetenv("TOKFS_FAKE_TOKENIZER");
    world_open(&world, &options);
    world_find(&world, "bob");
    world_stop(&world);
}

static void test_journal_that_others_may_read_is_refused(void **state)
{
    (void)state;
    world_open(&world, &options);
    world_stop(&world);
    assert_int_equal(chmod(world.path, 0640), 0);
    expect_refusal(-EACCES, "not a file of mode 0600");
    assert_int_equal(chmod(world.path, 0600), 0);
    assert_int_equal(chmod(world.state, 0750), 0);
    expect_refusal(-EACCES, "its mode is 0750");
    assert_int_equal(chmod(world.state, 0700), 0);
    world_open(&world, &options);
    struct state_dir other;
    struct err err = { 0 };
    assert_int_equal(state_dir_open(world.state, &other, &err), -EBUSY);
    assert_non_null(strstr(err.msg, "another tokfs uses it"));
    world_stop(&world);
}

#define JOURNAL_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_journal_flipped_bit_is_cut_off_or_refused),
        JOURNAL_TEST(test_journal_of_nonsense_does_no_harm),
        JOURNAL_TEST(test_journal_of_others_is_refused_by_name),
        JOURNAL_TEST(test_journal_of_other_weights_or_tokenizer_is_refused),
        JOURNAL_TEST(test_journal_that_others_may_read_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
