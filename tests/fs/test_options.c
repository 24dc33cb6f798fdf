// The command line.
#include "fs/options.h"

#include "tests/parse_options.h"
#include "tests/unit.h"
#include <errno.h>
#include <string.h>

static void test_options_all_given_are_taken(void **state)
{
    struct options o;
    struct err err;
    (void)state;
    assert_int_equal(parse("--ctx 100 --kv-mem 2M --host-kv-mem 3M model --threads 3 -o allow_other,fsname=a\\,b -f "
                           "--max-sequences 5 --timeout 2.5 "
                           "--served-name n --max-sessions 7 -o nonempty,rw dir",
                           &o, &err),
                     0);
    assert_string_equal(o.model, "model");
    assert_string_equal(o.mountpoint, "dir");
    assert_int_equal(o.engine.n_ctx, 100);
    assert_int_equal(o.engine.kv_bytes, 2 << 20);
    assert_int_equal(o.engine.host_kv_bytes, 3 << 20);
    assert_int_equal(o.engine.n_threads, 3);
    assert_int_equal(o.engine.max_sequences, 5);
    assert_int_equal(o.max_sessions, 7);
    assert_true(o.engine.timeout == 2.5);
    assert_string_equal(o.engine.served_name, "n");
    assert_true(o.foreground && o.nonempty);
    assert_string_equal(o.fuse.ptr, "allow_other,fsname=a\\,b");
    options_deinit(&o);
}

static void test_options_of_the_journal_are_taken(void **state)
{
    struct options o;
    struct err err;
    (void)state;
    assert_int_equal(parse("m d", &o, &err), 0);
    assert_null(o.state);
    assert_int_equal(o.journal.sync, JOURNAL_SYNC_BATCH);
    options_deinit(&o);
    assert_int_equal(parse("--state /s --sync always --on-journal-error continue --journal-slack 1M m d", &o, &err), 0);
    assert_string_equal(o.state, "/s");
    assert_int_equal(o.journal.sync, JOURNAL_SYNC_ALWAYS);
    assert_true(o.journal.continues);
    assert_int_equal(o.journal.slack, 1 << 20);
    options_deinit(&o);
    assert_int_equal(parse("-o sync m d", &o, &err), 0); // mount(8)'s, not ours
    assert_int_equal(o.journal.sync, JOURNAL_SYNC_BATCH);
    options_deinit(&o);
    assert_int_equal(parse("-o state=/s,sync=off m d", &o, &err), 0);
    assert_string_equal(o.state, "/s");
    assert_int_equal(o.journal.sync, JOURNAL_SYNC_OFF);
    options_deinit(&o);
}

static void test_options_bad_ones_are_named(void **state)
{
    static const char *const cases[][2] = {
        { "--ctx many m d", "--ctx many" },
        { "--ctx 0 m d", "--ctx 0" },
        { "--timeout 0 m d", "--timeout 0" },
        { "--timeout soon m d", "--timeout soon" },
        { "--threads -1 m d", "--threads" },
        { "--kv-mem 3X m d", "--kv-mem 3X" },
        { "--host-kv-mem lots m d", "--host-kv-mem lots" },
        { "--device tpu m d", "--device tpu" },
        { "--sync never m d", "--sync never" },
        { "--on-journal-error panic m d", "--on-journal-error panic" },
        { "--journal-slack 0 m d", "--journal-slack 0" },
        { "-o ro m d", "-o ro" },
        { "--frobnicate m d", "--frobnicate" },
        { "m", "MOUNTPOINT" },
        { "m d e", "MOUNTPOINT: e is too much" },
        { "m d --max-sequences 4097", "1 to 4096" },
        { "m d --threads 257", "1 to 256" },
        { "m d --ctx 64x", "--ctx 64x" },
        { "m d --ctx -64", "--ctx -64" },
        { "m d --ctx=", "--ctx ''" },
        { "m d --ctx 99999999999999999999", "--ctx 99999999999999999999" },
        { "m d --kv-mem=", "--kv-mem ''" },
        { "m d --kv-mem 18446744073709551616", "--kv-mem 18446744073709551616" },
        { "m d --device=", "--device ''" },
        { "m d --weights q3", "--weights q3" },
        { "m d --pack-cache=", "--pack-cache: the name of the file is empty" },
        { "m d --kv-dtype f8", "--kv-dtype f8" },
        { "m d --served-name=", "the name is empty" },
        { "m d --served-name a\tb", "byte 1" },
        { "m d --served-name \xff", "UTF-8" },
        { "m d --user-turns 0", "--user-turns 0" },
        { "m d --user-tokens x", "--user-tokens x" },
        { "m d --user-bytes 0", "--user-bytes 0" },
        { "m d --user-bytes 63K", "--user-bytes 63K: at least 64 KiB" },
        { "m d --max-bytes 1000K", "--max-bytes 1000K: at least 1024 KiB" },
        { "m d --sync always", "--sync: there is no journal without --state" },
        { "m d --on-journal-error fail", "--on-journal-error: there is no journal without --state" },
        { "m d --state s --journal-timeout 0", "--journal-timeout 0" },
        { "m d --journal-timeout 5", "--journal-timeout: there is no journal without --state" },
        { "m d -o journal-slack=1M", "--journal-slack: there is no journal without --state" },
        { "m d --max-bytes much", "--max-bytes much" },
        { "m d --write-timeout -1", "--write-timeout -1" },
        { "m d -o fsname=", "-o fsname=" },
        { "m d --ctx", "--ctx" },
        { "-fx m d", "-x" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct options o;
        struct err err;
        assert_int_equal(parse(cases[i][0], &o, &err), -EINVAL);
        assert_non_null(strstr(err.msg, cases[i][1]));
    }
}

static void test_options_what_users_may_have(void **state)
{
    struct options o;
    struct err err;
    (void)state;
    assert_int_equal(
        parse("m d --user-sessions 1 --user-turns 2 --user-files 3 --user-bytes 64K --user-tokens 5 --max-bytes 1M "
              "--write-timeout 7",
              &o, &err),
        0);
    assert_int_equal(o.user_sessions, 1);
    assert_int_equal(o.user_turns, 2);
    assert_int_equal(o.user_files, 3);
    assert_int_equal(o.user_bytes, 65536);
    assert_int_equal(o.user_tokens, 5);
    assert_int_equal(o.max_bytes, 1048576);
    assert_int_equal(o.write_timeout_s, 7);
    assert_false(o.lets_others_in || o.shares_prefix_cache);
    options_deinit(&o);
    assert_int_equal(parse("m d -o noatime,allow_other --share-prefix-cache", &o, &err), 0);
    assert_true(o.lets_others_in && o.shares_prefix_cache);
    options_deinit(&o);
}

static void test_options_of_fstab(void **state)
{
    struct options o;
    struct err err;
    (void)state;
    assert_int_equal(parse("m d -o "
                           "rw,noauto,x-y=z,ctx=99,served-name=a\\,b,nosuid,no-speculation,deterministic,no-graphs,no-"
                           "ahead,max-sessions=3",
                           &o, &err),
                     0);
    assert_int_equal(o.engine.n_ctx, 99);
    assert_string_equal(o.engine.served_name, "a,b");
    assert_true(o.engine.no_speculation && o.engine.deterministic && o.engine.no_graphs && o.engine.no_ahead);
    assert_int_equal(o.max_sessions, 3);
    assert_string_equal(o.fuse.ptr, "nosuid");
    options_deinit(&o);
    assert_int_equal(parse("m d -o ctx", &o, &err), -EINVAL);
    assert_int_equal(parse("m d -o no-speculation=1", &o, &err), -EINVAL);
    assert_int_equal(parse("m d -o ctx=much", &o, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "--ctx much"));
    char *argv[] = { "/sbin/mount.fuse.tokfs", "m", "d", "-sfnv", "-t", "fuse.tokfs", "-o", "ctx=99", NULL };
    assert_int_equal(options_parse(8, argv, &o, &err), 0);
    assert_true(o.is_helper && o.is_fake && !o.foreground);
    assert_int_equal(o.engine.n_ctx, 99);
    options_deinit(&o);
}

static void test_options_help_needs_nothing_else(void **state)
{
    struct options o;
    struct err err;
    (void)state;
    assert_int_equal(parse("--help", &o, &err), 0);
    assert_true(o.show_help);
    options_deinit(&o);
    assert_int_equal(parse("-V", &o, &err), 0);
    assert_true(o.show_version);
    options_deinit(&o);
}

static void test_options_the_engines_words_get_the_options_name(void **state)
{
    struct options o;
    struct err err;
    (void)state;
    assert_int_equal(parse("m d --ctx 64 --kv-mem 2M", &o, &err), 0);
    assert_string_equal(options_blame(&o, "n_ctx"), "--ctx: ");
    assert_string_equal(options_blame(&o, "kv_bytes"), "--kv-mem with --ctx: ");
    assert_string_equal(options_blame(&o, "device"), "--device: ");
    assert_string_equal(options_blame(&o, "head_dim"), "");
    options_deinit(&o);
    assert_int_equal(parse("m d --ctx 64", &o, &err), 0);
    assert_string_equal(options_blame(&o, "kv_bytes"), "--ctx without --kv-mem: ");
    options_deinit(&o);
    assert_int_equal(parse("m d --kv-mem 2M", &o, &err), 0);
    assert_string_equal(options_blame(&o, "kv_bytes"), "--kv-mem: ");
    assert_string_equal(options_blame(&o, "host_kv_bytes"), "--host-kv-mem: ");
    options_deinit(&o);
    assert_int_equal(parse("m d", &o, &err), 0);
    assert_string_equal(options_blame(&o, "kv_bytes"), "");
    options_deinit(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_all_given_are_taken),
        cmocka_unit_test(test_options_of_the_journal_are_taken),
        cmocka_unit_test(test_options_bad_ones_are_named),
        cmocka_unit_test(test_options_the_engines_words_get_the_options_name),
        cmocka_unit_test(test_options_what_users_may_have),
        cmocka_unit_test(test_options_of_fstab),
        cmocka_unit_test(test_options_help_needs_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
