// The journal on the null engine: what is written comes back, wherever the file is cut and however often it is written
// anew; running turns go on and end with the same words.
#include "fs/journal_record.h"
#include "tests/fs/journal_world.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

static struct world world;
static const struct journal_options options = { .sync = JOURNAL_SYNC_BATCH, .settle_ms = 1, .retry_ms = 20 };

static int set_up(void **state)
{
    (void)state;
    world_init(&world, "0");
    return 0;
}

static int set_up_slow(void **state) // so that turns can be caught while they run
{
    (void)state;
    world_init(&world, "100");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return world_deinit(&world);
}

static void test_journal_brings_back_what_was_there(void **state)
{
    (void)state;
    world_open(&world, &options);
    world_live(&world);
    world_expect_same_after_kill(&world, &options);
}

// Every prefix of the file is the state at one moment: the same for all cuts within a record, and each session's text
// only grows. Nothing is refused, nothing is made up.
static void test_journal_cut_at_every_byte_loads(void **state)
{
    (void)state;
    size_t len;
    world_open(&world, &options);
    world_live(&world);
    char *whole = world_tell(&world);
    world_stop(&world);
    char *bytes = world_read_file(world.path, &len);
    char *last = NULL;
    size_t at = 0, n_states = 0;
    for (size_t n = 0; n <= len; n++) {
        struct record record;
        bool is_border = false;
        while (at < n && record_parse((struct str){ bytes + at, n - at }, &record) > 0) {
            at += (size_t)record_length((struct str){ bytes + at, n - at });
            is_border = true;
        }
        world_write_journal(&world, bytes, n);
        world_open(&world, &options);
        char *now = world_tell(&world);
        if (last && !is_border) {
            world_compare(last, now);
        }
        n_states += !last || strcmp(last, now) != 0;
        free(last);
        last = now;
        world_stop(&world);
    }
    world_compare(last, whole);
    assert_true(n_states > 30);
    free(last), free(whole), free(bytes);
}

// From every moment of a running turn: it goes on and ends as it would have.
static void test_journal_cut_in_a_turn_ends_the_same(void **state)
{
    (void)state;
    size_t len;
    world_open(&world, &options);
    struct session *bob = world_make(&world, "bob");
    world_echo(bob, "input", "first\n");
    world_settle(&world);
    world_echo(bob, "input", "count 40\n");
    world_settle(&world);
    char *whole = strdup(bob->last->text.ptr), *messages = strdup(bob->conversation.messages.ptr);
    char id[48];
    strcpy(id, bob->last->id);
    world_stop(&world);
    char *bytes = world_read_file(world.path, &len);
    size_t at = 0, n_resumed = 0;
    for (int64_t n; (n = record_length((struct str){ bytes + at, len - at })) > 0; at += (size_t)n) {
        world_write_journal(&world, bytes, at);
        world_open(&world, &options);
        bob = world_find(&world, "bob");
        bool is_of_turn = bob && strcmp(bob->last->id, id) == 0;
        size_t n_tokens = is_of_turn ? bob->last->n_tokens : 0;
        journal_start(world.mount->journal);
        world_settle(&world);
        if (is_of_turn) {
            assert_string_equal(bob->last->text.ptr, whole);
            assert_string_equal(bob->conversation.messages.ptr, messages);
            assert_true(bob->last->state == TURN_DONE && bob->last->n_tokens == 40);
            n_resumed += n_tokens > 0 && n_tokens < 40;
        }
        world_stop(&world);
    }
    assert_true(n_resumed >= 39);
    free(whole), free(messages), free(bytes);
}

static void test_journal_killed_again_and_again_ends_the_same(void **state)
{
    (void)state;
    world_open(&world, &options);
    world_echo(world_make(&world, "bob"), "input", "count 60\n");
    for (int i = 0; i < 5; i++) {
        world_run(&world, world_has_tokens);
        world_kill(&world);
        world_open(&world, &options);
        journal_start(world.mount->journal);
    }
    world_settle(&world);
    struct session *bob = world_find(&world, "bob");
    assert_int_equal(bob->last->state, TURN_DONE);
    assert_true(str_ends_with(strbuf_str(&bob->last->text), STR(" 58 59 60")));
    assert_int_equal(bob->last->usage.completion_tokens, 60);
    world_stop(&world);
}

static bool has_end_in_hand(const struct journal *j)
{
    const struct journal_batch *batch = &j->gather;
    return batch->n > 0 &&
           journal_event_is_end(str_skip(strbuf_str(&batch->bodies), batch->events[batch->n - 1].begin));
}

static char *tell_with_text(const struct session *session)
{
    struct strbuf out;
    strbuf_init(&out, 0);
    strbuf_append(&out, strbuf_str(&session->last->text));
    strbuf_append_byte(&out, '\n');
    turn_write_status(session->last, &out);
    char *all = world_tell(&world);
    strbuf_append(&out, str_from(all));
    free(all);
    return strbuf_steal(&out);
}

// Whether it is in the act, and what the engine says of it next is in hand: the end, or some of it. Nothing takes
// effect meanwhile.
static bool take_in_hand(const struct session *bob, bool is_ended)
{
    const struct journal *j = world.mount->journal;
    // What is on its way to the file already does not come into the hand any more: then not for ever.
    for (int i = 0; i < 2000 && !turn_is_ended(bob->last); i++) {
        usleep(1000);
        mount_take_events(world.mount);
        assert_int_equal(bob->last->state, TURN_DECODE);
        if (has_end_in_hand(j) || (!is_ended && j->gather.n >= 5)) {
            return true;
        }
    }
    return false;
}

// What the engine had said but no reader had seen when it was reset does not come up later.
static void reset_with_events_in_hand(const char *question, bool is_ended)
{
    world_open(&world, &options);
    struct session *bob = world_make(&world, "bob");
    do {
        world_settle(&world);
        world_echo(bob, "input", question);
        world_run(&world, world_has_tokens);
    } while (!take_in_hand(bob, is_ended));
    session_reset(bob);
    char *before = tell_with_text(bob);
    world_flush(&world);
    world_kill(&world);
    world_open(&world, &options);
    journal_start(world.mount->journal);
    bob = world_find(&world, "bob");
    char *after = tell_with_text(bob);
    assert_int_equal(bob->last->state, TURN_CANCELLED);
    world_compare(before, after);
    free(before), free(after);
    world_stop(&world);
}

static void test_journal_reset_cuts_what_nobody_has_seen(void **state)
{
    (void)state;
    reset_with_events_in_hand("count 400\n", false);
}

static void test_journal_reset_before_an_end_that_nobody_has_seen_cancels(void **state)
{
    (void)state;
    reset_with_events_in_hand("count 100\n", true);
}

// A text whose write had returned is a turn after the restart, one that was not whole JSON is not.
static void test_journal_closes_what_writers_had_open(void **state)
{
    (void)state;
    world_open(&world, &options);
    struct session *bob = world_make(&world, "bob"), *ann = world_make(&world, "ann"), *eve = world_make(&world, "eve");
    struct file *input = world_open_file(bob, "input", O_WRONLY), *system = world_open_file(bob, "system", O_WRONLY);
    struct file *json = world_open_file(ann, "input", O_WRONLY), *params = world_open_file(ann, "params", O_WRONLY);
    struct file *bad = world_open_file(eve, "params", O_WRONLY);
    assert_int_equal(world_write_file(input, "  two "), 0);
    assert_int_equal(world_write_file(input, "words\n"), 0);
    assert_int_equal(world_write_file(system, "Be brief"), 0);
    assert_int_equal(world_write_file(json, "{\"messages\":"), 0);
    assert_int_equal(world_write_file(params, "temperature 0.5\n"), 0);
    assert_int_equal(world_write_file(params, "top_p 0.9\n"), 0);
    assert_int_equal(world_write_file(bad, "temperature 0.5\n"), 0);
    assert_int_equal(world_write_file(bad, "temperature hot\n"), -EINVAL);
    world.mount->journal->compact_at = 0; // and through a compaction
    world_settle(&world);
    world_kill(&world);
    world_open(&world, &options);
    journal_start(world.mount->journal);
    world_settle(&world);
    bob = world_find(&world, "bob");
    ann = world_find(&world, "ann");
    assert_string_equal(bob->last->text.ptr, "  two words");
    assert_string_equal(bob->conversation.system.ptr, "Be brief");
    assert_string_equal(ann->conversation.params.ptr, "{\"temperature\":0.5,\"top_p\":0.9}");
    assert_int_equal(ann->last->state, TURN_IDLE);
    assert_int_equal(world_find(&world, "eve")->conversation.params.len, 0);
    world_expect_same_after_kill(&world, &options); // once is enough
}

static void test_journal_request_that_was_not_accepted_leaves_nothing(void **state)
{
    (void)state;
    world_open(&world, &options);
    struct session *bob = world_make(&world, "bob");
    world_make(&world, "ann");
    struct session *made = world_make(&world, NULL);
    assert_int_equal(session_submit_json(bob, STR("{\"role\":\"user\",\"content\":\"hi\"}"), false), 0);
    assert_int_equal(session_submit_json(made, STR("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"), true),
                     0);
    world_flush(&world); // and the engine's word is not heard
    world_kill(&world);
    world_open(&world, &options);
    assert_int_equal(session_table_count(world.mount->sessions), 3);
    journal_start(world.mount->journal);
    assert_int_equal(session_table_count(world.mount->sessions), 2);
    bob = world_find(&world, "bob");
    assert_true(!session_is_busy(bob) && bob->last->state == TURN_IDLE);
    world_settle(&world);
    world_stop(&world);
}

// ---- compaction ----------------------------------------------------------------------------------------------------

static void test_journal_compacted_says_the_same(void **state)
{
    (void)state;
    size_t before_len, after_len;
    world_open(&world, &options);
    world_live(&world);
    for (int i = 0; i < 20; i++) {
        world_echo(world_find(&world, "bob"), "system", "Be very terse\n");
    }
    world_settle(&world);
    free(world_read_file(world.path, &before_len));
    world.mount->journal->compact_at = 0;
    journal_flush(world.mount->journal);
    world_settle(&world);
    assert_int_equal(world.mount->journal->stats.n_compactions, 1);
    free(world_read_file(world.path, &after_len));
    assert_true(after_len < before_len);
    world_echo(world_find(&world, "bob"), "input", "after it\n");
    world_settle(&world);
    world_expect_same_after_kill(&world, &options);
}

static bool is_flushed(struct world *w)
{
    return journal_is_idle(w->mount->journal);
}

static uint64_t n_wanted_committed;

static bool has_committed(struct world *w)
{
    return w->mount->journal->n_committed >= n_wanted_committed;
}

static size_t n_wanted;

static bool first_has_wanted(struct world *w)
{
    const struct turn *turn = world_find(w, "s0")->last;
    return turn->n_tokens >= n_wanted || turn_is_ended(turn);
}

// Compactions without a pause while turns run; then a kill.
static void test_journal_compacted_under_load_loses_nothing(void **state)
{
    (void)state;
    enum { N = 12 };
    struct journal_options often = options;
    often.slack = 1;
    uint64_t n_compactions = 0;
    world_open(&world, &often);
    for (int i = 0; i < N; i++) {
        char name[8];
        snprintf(name, sizeof(name), "s%d", i);
        world_echo(world_make(&world, name), i % 2 ? "system" : "input", "count 50\n");
        if (i == N / 2) {
            world_run(&world, is_flushed);
        }
    }
    n_wanted_committed = world.mount->journal->n_appended; // until then nobody was told of them
    world_run(&world, has_committed);
    for (int round = 0; round < 4; round++) {
        n_wanted = (size_t)(round + 1) * 11;
        world_run(&world, first_has_wanted);
        n_compactions += world.mount->journal->stats.n_compactions;
        world_kill(&world);
        world_open(&world, &often);
        journal_start(world.mount->journal);
    }
    world_settle(&world);
    for (int i = 0; i < N; i++) {
        char name[8];
        snprintf(name, sizeof(name), "s%d", i);
        struct session *session = world_find(&world, name);
        assert_non_null(session);
        if (i % 2) {
            assert_string_equal(session->conversation.system.ptr, "count 50\n");
        } else {
            assert_int_equal(session->last->state, TURN_DONE);
            assert_true(str_ends_with(strbuf_str(&session->last->text), STR(" 48 49 50")));
            assert_int_equal(session->last->text.len, 140);
        }
    }
    world.mount->journal->compact_at = 0; // on a busy machine none may have come to its end before
    journal_flush(world.mount->journal);
    world_settle(&world);
    assert_true(n_compactions + world.mount->journal->stats.n_compactions > 0);
    world_stop(&world);
}

#define JOURNAL_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
#define SLOW_TEST(fn)    cmocka_unit_test_setup_teardown(fn, set_up_slow, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_journal_brings_back_what_was_there),
        JOURNAL_TEST(test_journal_cut_at_every_byte_loads),
        JOURNAL_TEST(test_journal_cut_in_a_turn_ends_the_same),
        SLOW_TEST(test_journal_killed_again_and_again_ends_the_same),
        SLOW_TEST(test_journal_reset_cuts_what_nobody_has_seen),
        SLOW_TEST(test_journal_reset_before_an_end_that_nobody_has_seen_cancels),
        JOURNAL_TEST(test_journal_closes_what_writers_had_open),
        JOURNAL_TEST(test_journal_request_that_was_not_accepted_leaves_nothing),
        JOURNAL_TEST(test_journal_compacted_says_the_same),
        SLOW_TEST(test_journal_compacted_under_load_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
