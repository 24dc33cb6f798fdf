// A medium that fails or hangs under the journal: who waits is told, nothing that was committed is lost, and when it
// answers again all goes on.
#include "tests/fs/journal_medium.h"
#include "tests/fs/journal_world.h"
#include <errno.h>
#include <string.h>

static struct world world;
static const struct journal_options options = { .sync = JOURNAL_SYNC_BATCH, .settle_ms = 1, .retry_ms = 20 };

static int set_up(void **state)
{
    (void)state;
    medium = (struct medium){ 0 };
    world_init(&world, "0");
    return 0;
}

static int set_up_slow(void **state) // so that turns can be caught while they run
{
    (void)state;
    medium = (struct medium){ 0 };
    world_init(&world, "100");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return world_deinit(&world);
}

static bool has_failed(struct world *w)
{
    return w->mount->journal->error != 0;
}

static bool is_mended(struct world *w)
{
    return w->mount->journal->error == 0 && world_is_quiet(w);
}

static int answered_code;
static unsigned n_answered;

static void take_answer(const struct journal_held *held, int code)
{
    (void)held;
    answered_code = code;
    n_answered++;
}

static void test_journal_full_disk_fails_turns_and_requests(void **state)
{
    (void)state;
    world_open(&world, &options);
    struct session *bob = world_make(&world, "bob"), *ann = world_make(&world, "ann"), *refused;
    world_echo(ann, "input", "kept\n");
    world_settle(&world);
    world_echo(bob, "input", "count 100000\n");
    world_run(&world, world_has_tokens);
    medium.write_error = -ENOSPC;
    medium.n_torn = 30;
    n_answered = 0;
    world_echo(ann, "system", "not kept");
    journal_answer(world.mount, &(struct journal_held){ .answer = take_answer });
    world_run(&world, has_failed);
    assert_int_equal(world.mount->journal->error, -ENOSPC);
    assert_true(n_answered == 1 && answered_code == -ENOSPC);
    assert_int_equal(bob->last->state, TURN_FAILED);
    assert_int_equal(bob->last->error.code, -ENOSPC);
    assert_non_null(strstr(bob->error.msg, "the journal failed"));
    assert_int_equal(journal_check(world.mount), -ENOSPC);
    assert_int_equal(session_table_create(world.mount->sessions, STR("new"), 1000, 100, getpid(), &refused), -ENOSPC);
    assert_int_equal(session_submit_text(ann, STR("no")), -ENOSPC);
    assert_true(ann->last->state == TURN_FAILED && ann->last->text.len == 0); // its reader is told
    assert_int_equal(world.mount->journal->compaction.stage == COMPACTION_READY, 0);
    medium.write_error = 0;
    world_run(&world, is_mended);
    assert_int_equal(journal_check(world.mount), 0);
    assert_true(world.mount->journal->stats.n_compactions == 1 && world.mount->journal->stats.n_errors >= 1);
    world_echo(ann, "input", "again\n");
    world_settle(&world);
    assert_string_equal(ann->last->text.ptr, "again");
    world_expect_same_after_kill(&world, &options);
}

static void test_journal_full_disk_goes_on_without_it_if_told_so(void **state)
{
    (void)state;
    struct journal_options goes_on = options;
    goes_on.continues = true;
    world_open(&world, &goes_on);
    struct session *bob = world_make(&world, "bob");
    world_echo(bob, "input", "count 300\n");
    world_run(&world, world_has_tokens);
    medium.write_error = -ENOSPC;
    world_make(&world, "eve"); // there is something to write, though he may have said all by now
    world_run(&world, has_failed);
    assert_int_equal(journal_check(world.mount), 0);
    world_make(&world, "ann");
    world_echo(world_find(&world, "ann"), "input", "hi\n");
    n_answered = 0;
    journal_answer(world.mount, &(struct journal_held){ .answer = take_answer });
    assert_true(n_answered == 1 && answered_code == 0);
    while (world.mount->counts.n_running > 0) { // the ring is busy with tries
        world_run(&world, has_failed);
    }
    assert_true(str_ends_with(strbuf_str(&bob->last->text), STR(" 299 300")));
    world_echo(bob, "input", "count 5000\n");
    medium.write_error = 0;
    world_run(&world, is_mended);
    assert_string_equal(world_find(&world, "ann")->last->text.ptr, "hi");
    world_expect_same_after_kill(&world, &goes_on);
}

// Only what hangs takes longer than the one; what is slow because the machine is busy takes less than the other.
#define HANG_MS 300
#define SLOW_MS 5000

static const struct journal_options impatient = {
    .sync = JOURNAL_SYNC_BATCH, .settle_ms = 1, .retry_ms = 20, .timeout_ms = SLOW_MS
};

static void begin_to_hang(void)
{
    world.mount->journal->options.timeout_ms = HANG_MS;
    medium_begin_to_hang();
}

static void end_to_hang(void)
{
    world.mount->journal->options.timeout_ms = SLOW_MS;
    medium_end_to_hang();
}

// Nobody waits for ever for a medium that does not answer.
static void test_journal_medium_that_hangs_fails_what_waits(void **state)
{
    (void)state;
    world_open(&world, &impatient);
    struct session *bob = world_make(&world, "bob");
    world_echo(bob, "input", "count 100000\n");
    world_run(&world, world_has_tokens);
    begin_to_hang();
    n_answered = 0;
    world_make(&world, "ann");
    journal_answer(world.mount, &(struct journal_held){ .answer = take_answer });
    world_run(&world, has_failed);
    assert_int_equal(world.mount->journal->error, -ETIMEDOUT);
    assert_int_equal(n_answered, 1);
    assert_int_equal(answered_code, -ETIMEDOUT);
    assert_int_equal(bob->last->state, TURN_FAILED);
    assert_int_equal(session_submit_text(bob, STR("no")), -ETIMEDOUT);
    end_to_hang();
    world_run(&world, is_mended);
    world_echo(bob, "input", "count 4\n");
    world_settle(&world);
    world_expect_same_after_kill(&world, &impatient);
}

static void test_journal_medium_that_hangs_is_done_without_if_told_so(void **state)
{
    struct journal_options more = impatient;
    (void)state;
    more.continues = true;
    world_open(&world, &more);
    struct session *bob = world_make(&world, "bob");
    world_echo(bob, "input", "count 300\n");
    world_run(&world, world_has_tokens);
    begin_to_hang();
    while (world.mount->counts.n_running > 0) { // the ring is busy with tries
        world_run(&world, has_failed);
    }
    assert_int_equal(bob->last->state, TURN_DONE);
    assert_true(str_ends_with(strbuf_str(&bob->last->text), STR(" 299 300")));
    end_to_hang();
    world_run(&world, is_mended);
    world_settle(&world);
    world_expect_same_after_kill(&world, &impatient);
}

// Again and again: a compaction may have nothing to write at its end.
static bool has_failed_while_it_compacts(struct world *w)
{
    w->mount->journal->compact_at = 0;
    return has_failed(w);
}

// While the new file takes the place of the old one: what it says is then not how things went on.
static void test_journal_medium_that_hangs_in_a_compaction_keeps_what_was_told(void **state)
{
    (void)state;
    world_open(&world, &impatient);
    struct session *bob = world_make(&world, "bob");
    world_echo(bob, "input", "count 100000\n");
    world_run(&world, world_has_tokens);
    begin_to_hang();
    medium.only_in_switch = &world.mount->journal;
    world_run(&world, has_failed_while_it_compacts);
    assert_int_equal(world.mount->journal->compaction.stage, COMPACTION_LAST_WRITE);
    assert_int_equal(bob->last->state, TURN_FAILED);
    end_to_hang();
    world_run(&world, is_mended);
    world_expect_same_after_kill(&world, &impatient);
}

static void test_journal_sync_that_fails_is_an_error(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct journal_options of = options;
        of.sync = i == 0 ? JOURNAL_SYNC_ALWAYS : JOURNAL_SYNC_BATCH;
        world_open(&world, &of);
        char name[8];
        snprintf(name, sizeof(name), "s%d", i);
        struct session *session = world_make(&world, name);
        world_settle(&world);
        medium.sync_error = -EIO;
        world_echo(session, "system", "Be terse");
        world_run(&world, has_failed);
        medium.sync_error = 0;
        world_run(&world, is_mended);
        world_expect_same_after_kill(&world, &of);
    }
}

// Whatever the instant at which writes begin to fail, and how much of the first comes through: what was committed is
// there after a kill, and what follows makes sense.
static void test_journal_write_that_fails_at_any_instant_loses_nothing_committed(void **state)
{
    (void)state;
    for (size_t n = 0; n < 120; n += 7) {
        char name[8];
        snprintf(name, sizeof(name), "s%zu", n);
        world_open(&world, &options);
        journal_start(world.mount->journal);
        world_settle(&world);
        struct session *session = world_make(&world, name);
        world_echo(session, "system", "kept\n");
        world_settle(&world);
        medium.write_error = -EIO;
        medium.n_torn = n;
        world_echo(session, "params", "temperature 0.5\n");
        world_run(&world, has_failed);
        world_kill(&world);
        medium.write_error = 0;
        world_open(&world, &options);
        session = world_find(&world, name);
        assert_non_null(session);
        assert_string_equal(session->conversation.system.ptr, "kept\n");
        world_stop(&world);
    }
}

static void test_journal_always_syncs_before_it_tells(void **state)
{
    (void)state;
    struct journal_options always = options;
    always.sync = JOURNAL_SYNC_ALWAYS;
    world_open(&world, &always);
    struct session *bob = world_make(&world, "bob");
    world_echo(bob, "input", "count 10\n");
    world_settle(&world);
    const struct journal *j = world.mount->journal;
    assert_true(j->file.synced >= j->file.data_end && j->stats.n_syncs >= j->stats.n_commits);
    world_expect_same_after_kill(&world, &always);
}

#define JOURNAL_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
#define SLOW_TEST(fn)    cmocka_unit_test_setup_teardown(fn, set_up_slow, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SLOW_TEST(test_journal_full_disk_fails_turns_and_requests),
        SLOW_TEST(test_journal_full_disk_goes_on_without_it_if_told_so),
        SLOW_TEST(test_journal_medium_that_hangs_fails_what_waits),
        SLOW_TEST(test_journal_medium_that_hangs_is_done_without_if_told_so),
        SLOW_TEST(test_journal_medium_that_hangs_in_a_compaction_keeps_what_was_told),
        JOURNAL_TEST(test_journal_sync_that_fails_is_an_error),
        JOURNAL_TEST(test_journal_write_that_fails_at_any_instant_loses_nothing_committed),
        JOURNAL_TEST(test_journal_always_syncs_before_it_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
