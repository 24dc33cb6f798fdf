// The journal on the null engine: what is written comes back, wherever the file is cut; damage is told; running turns
// go on and end with the same words.
#include "fs/journal_record.h"
#include "tests/fs/journal_world.h"
#include <signal.h>

static struct world world;
static const struct journal_options options = { .sync = JOURNAL_SYNC_BATCH, .settle_ms = 1, .retry_ms = 20 };

// ---- a medium that fails
// ---------------------------------------------------------------------------------------------

static int write_error, sync_error; // of all writes and syncs while set
static int hang[2] = { -1, -1 };    // a pipe that is full, where all writes go while it is open
static bool hangs_in_switch_only;   // or only those with which a compaction ends
static size_t n_torn;               // bytes of a write that come through before it fails

void __real_loop_write(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len, uint64_t offset);
void __wrap_loop_write(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len, uint64_t offset);
void __real_loop_fdatasync(struct loop *loop, struct loop_op *op, int fd);
void __wrap_loop_fdatasync(struct loop *loop, struct loop_op *op, int fd);

static int no_space_fd = -1; // full(4) gives ENOSPC, a closed number EBADF

static int fd_that_fails(int error)
{
    if (error == -ENOSPC && no_space_fd < 0) {
        no_space_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    }
    return error == -ENOSPC ? no_space_fd : 999999;
}

void __wrap_loop_write(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len, uint64_t offset)
{
    if (write_error && n_torn > 0) {
        assert_int_equal(pwrite(fd, buf, n_torn < len ? n_torn : len, (off_t)offset), n_torn < len ? n_torn : len);
    }
    fd = write_error ? fd_that_fails(write_error) : fd;
    if (hang[1] >= 0 && (!hangs_in_switch_only || world.mount->journal->stage == JOURNAL_SWITCHING)) {
        fd = hang[1];
    }
    __real_loop_write(loop, op, fd, buf, len, offset);
}

void __wrap_loop_fdatasync(struct loop *loop, struct loop_op *op, int fd)
{
    __real_loop_fdatasync(loop, op, sync_error ? 999999 : fd);
}

static void begin_to_hang(void)
{
    char bytes[4096] = { 0 };
    assert_int_equal(pipe2(hang, O_CLOEXEC | O_NONBLOCK), 0);
    while (write(hang[1], bytes, sizeof(bytes)) > 0) {
    }
    assert_int_equal(fcntl(hang[1], F_SETFL, 0), 0);
    signal(SIGPIPE, SIG_IGN);
}

// What hung comes to its end, with an error.
static void end_to_hang(void)
{
    close(hang[0]);
    close(hang[1]);
    hang[0] = hang[1] = -1;
    hangs_in_switch_only = false;
}

static int set_up(void **state)
{
    (void)state;
    write_error = sync_error = 0;
    n_torn = 0;
    world_init(&world, "0");
    return 0;
}

static int set_up_slow(void **state) // so that turns can be caught while they run
{
    (void)state;
    write_error = sync_error = 0;
    n_torn = 0;
    world_init(&world, "100");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (loop_n_pending(world.loop) > 0) {
        return -1; // the test has failed in the middle, and is to say where
    }
    world_deinit(&world);
    return 0;
}

static void run(void)
{
    world_run(&world, world_is_quiet);
}

// A bit of everything that is recorded.
static void live(void)
{
    struct world *w = &world;
    struct session *bob = world_make(w, "bob"), *ann = world_make(w, "ann"), *gone = world_make(w, "gone");
    world_echo(bob, "system", "Be terse\n");
    world_echo(bob, "params", "temperature 0.5\n");
    world_echo(bob, "tools",
               "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}");
    world_echo(bob, "input", "count 4\n");
    world_echo(gone, "input", "bye\n");
    run();
    world_echo(bob, "params", "top_p 0.9\n");
    world_echo(bob, "input", "{\"role\":\"user\",\"content\":\"<think>hm</think>yes\"}");
    run();
    session_table_remove(w->mount->sessions, gone);
    assert_int_equal(session_table_rename(w->mount->sessions, ann, STR("anna")), 0);
    assert_int_equal(session_set_priority(ann, 7), 0);
    world_echo(ann, "input", "{\"messages\":[{\"role\":\"user\",\"content\":\"count 3\"}],\"logprobs\":true}");
    run();
    session_reset(ann);
    world_echo(ann, "input", "fail now\n");
    run();
    world_echo(ann, "input", "{\"messages\":[{\"role\":\"king\",\"content\":\"no\"}]}");
    run();
    assert_int_equal(session_submit_result(ann), -EINVAL); // as its writer is told
    struct session *made = world_make(w, NULL);
    assert_int_equal(session_submit_json(made,
                                         STR("{\"messages\":[{\"role\":\"user\",\"content\":\"count 5\"}],"
                                             "\"temperature\":0.25}"),
                                         true),
                     0);
    run();
}

static void test_journal_brings_back_what_was_there(void **state)
{
    (void)state;
    world_open(&world, &options);
    live();
    char *before = world_tell(&world);
    world_kill(&world);
    world_open(&world, &options);
    journal_start(world.mount->journal);
    char *after = world_tell(&world);
    world_compare(before, after);
    free(before), free(after);
    world_stop(&world);
}

// Every prefix of the file is the state at one moment: the same for all cuts within a record, and each session's text
// only grows. Nothing is refused, nothing is made up.
static void test_journal_cut_at_every_byte_loads(void **state)
{
    (void)state;
    size_t len;
    world_open(&world, &options);
    live();
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

static bool has_tokens(struct world *w)
{
    struct session *bob = world_find(w, "bob");
    return bob->last->n_tokens >= 20;
}

// From every moment of a running turn: it goes on and ends as it would have.
static void test_journal_cut_in_a_turn_ends_the_same(void **state)
{
    (void)state;
    size_t len;
    world_open(&world, &options);
    struct session *bob = world_make(&world, "bob");
    world_echo(bob, "input", "first\n");
    run();
    world_echo(bob, "input", "count 40\n");
    run();
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
        run();
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
        world_run(&world, has_tokens);
        world_kill(&world);
        world_open(&world, &options);
        journal_start(world.mount->journal);
    }
    run();
    struct session *bob = world_find(&world, "bob");
    assert_int_equal(bob->last->state, TURN_DONE);
    assert_true(str_ends_with(strbuf_str(&bob->last->text), STR(" 58 59 60")));
    assert_int_equal(bob->last->usage.completion_tokens, 60);
    world_stop(&world);
}

static bool has_end_in_hand(const struct journal *j)
{
    const struct journal_batch *batch = &j->gather;
    return journal_event_is_end(str_skip(strbuf_str(&batch->bodies), batch->events[batch->n - 1].begin));
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

// What the engine had said but no reader had seen when it was reset does not come up later.
static void reset_with_events_in_hand(const char *question, bool is_ended)
{
    world_open(&world, &options);
    struct session *bob = world_make(&world, "bob");
    do { // until it is caught in the act
        world_echo(bob, "input", question);
        world_run(&world, has_tokens);
    } while (turn_is_ended(bob->last));
    struct journal *j = world.mount->journal;
    do {
        usleep(1000);
        mount_take_events(world.mount);
        assert_int_equal(bob->last->state, TURN_DECODE);
    } while (j->gather.n < 5 || (is_ended && !has_end_in_hand(j)));
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
    run();
    world_kill(&world);
    world_open(&world, &options);
    journal_start(world.mount->journal);
    run();
    bob = world_find(&world, "bob");
    ann = world_find(&world, "ann");
    assert_string_equal(bob->last->text.ptr, "  two words");
    assert_string_equal(bob->conversation.system.ptr, "Be brief");
    assert_string_equal(ann->conversation.params.ptr, "{\"temperature\":0.5,\"top_p\":0.9}");
    assert_int_equal(ann->last->state, TURN_IDLE);
    assert_int_equal(world_find(&world, "eve")->conversation.params.len, 0);
    char *before = world_tell(&world);
    world_kill(&world); // once is enough
    world_open(&world, &options);
    journal_start(world.mount->journal);
    run();
    char *after = world_tell(&world);
    world_compare(before, after);
    free(before), free(after);
    world_stop(&world);
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
    run();
    world_stop(&world);
}

// ---- damage --------------------------------------------------------------------------------------------------------

// One flipped bit anywhere: an earlier state, or a refusal that names the file; never another state, never a crash.
static void test_journal_flipped_bit_is_cut_off_or_refused(void **state)
{
    (void)state;
    size_t len, n_refused = 0, n_cut = 0;
    world_open(&world, &options);
    world_echo(world_make(&world, "bob"), "input", "count 9\n");
    run();
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
    live();
    world_echo(world_find(&world, "bob"), "input", "count 5\n");
    world.mount->journal->compact_at = 0; // so that there are answers as a whole, too
    run();
    world_echo(world_find(&world, "bob"), "input", "count 6\n");
    run();
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
            run();
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

// ---- compaction ----------------------------------------------------------------------------------------------------

static void test_journal_compacted_says_the_same(void **state)
{
    (void)state;
    size_t before_len, after_len;
    world_open(&world, &options);
    live();
    for (int i = 0; i < 20; i++) {
        world_echo(world_find(&world, "bob"), "system", "Be very terse\n");
    }
    run();
    char *before = world_tell(&world);
    free(world_read_file(world.path, &before_len));
    world.mount->journal->compact_at = 0;
    journal_flush(world.mount->journal);
    run();
    assert_int_equal(world.mount->journal->stats.n_compactions, 1);
    free(world_read_file(world.path, &after_len));
    assert_true(after_len < before_len);
    world_echo(world_find(&world, "bob"), "input", "after it\n");
    run();
    free(before);
    before = world_tell(&world);
    world_kill(&world);
    world_open(&world, &options);
    journal_start(world.mount->journal);
    char *after = world_tell(&world);
    world_compare(before, after);
    free(before), free(after);
    world_stop(&world);
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
    run();
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
    run();
    assert_true(n_compactions + world.mount->journal->stats.n_compactions > 0);
    world_stop(&world);
}

// ---- errors --------------------------------------------------------------------------------------------------------

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

static void expect_same_after_restart(const struct journal_options *of)
{
    char *before = world_tell(&world);
    world_kill(&world);
    world_open(&world, of);
    journal_start(world.mount->journal);
    run();
    char *after = world_tell(&world);
    world_compare(before, after);
    free(before), free(after);
    world_stop(&world);
}

static void test_journal_full_disk_fails_turns_and_requests(void **state)
{
    (void)state;
    world_open(&world, &options);
    struct session *bob = world_make(&world, "bob"), *ann = world_make(&world, "ann"), *refused;
    world_echo(ann, "input", "kept\n");
    run();
    world_echo(bob, "input", "count 100000\n");
    world_run(&world, has_tokens);
    write_error = -ENOSPC;
    n_torn = 30;
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
    write_error = 0;
    world_run(&world, is_mended);
    assert_int_equal(journal_check(world.mount), 0);
    assert_true(world.mount->journal->stats.n_compactions == 1 && world.mount->journal->stats.n_errors >= 1);
    world_echo(ann, "input", "again\n");
    run();
    assert_string_equal(ann->last->text.ptr, "again");
    expect_same_after_restart(&options);
}

static void test_journal_full_disk_goes_on_without_it_if_told_so(void **state)
{
    (void)state;
    struct journal_options goes_on = options;
    goes_on.continues = true;
    world_open(&world, &goes_on);
    struct session *bob = world_make(&world, "bob");
    world_echo(bob, "input", "count 300\n");
    world_run(&world, has_tokens);
    write_error = -ENOSPC;
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
    write_error = 0;
    world_run(&world, is_mended);
    assert_string_equal(world_find(&world, "ann")->last->text.ptr, "hi");
    expect_same_after_restart(&goes_on);
}

static const struct journal_options impatient = {
    .sync = JOURNAL_SYNC_BATCH, .settle_ms = 1, .retry_ms = 20, .timeout_ms = 50
};

// Nobody waits for ever for a medium that does not answer.
static void test_journal_medium_that_hangs_fails_what_waits(void **state)
{
    (void)state;
    world_open(&world, &impatient);
    struct session *bob = world_make(&world, "bob");
    world_echo(bob, "input", "count 100000\n");
    world_run(&world, has_tokens);
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
    run();
    expect_same_after_restart(&impatient);
}

static void test_journal_medium_that_hangs_is_done_without_if_told_so(void **state)
{
    struct journal_options more = impatient;
    (void)state;
    more.continues = true;
    world_open(&world, &more);
    struct session *bob = world_make(&world, "bob");
    world_echo(bob, "input", "count 300\n");
    world_run(&world, has_tokens);
    begin_to_hang();
    while (world.mount->counts.n_running > 0) { // the ring is busy with tries
        world_run(&world, has_failed);
    }
    assert_int_equal(bob->last->state, TURN_DONE);
    assert_true(str_ends_with(strbuf_str(&bob->last->text), STR(" 299 300")));
    end_to_hang();
    world_run(&world, is_mended);
    run();
    expect_same_after_restart(&impatient);
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
    world_run(&world, has_tokens);
    begin_to_hang();
    hangs_in_switch_only = true;
    world_run(&world, has_failed_while_it_compacts);
    assert_int_equal(world.mount->journal->compaction.stage, COMPACTION_LAST_WRITE);
    assert_int_equal(bob->last->state, TURN_FAILED);
    end_to_hang();
    world_run(&world, is_mended);
    expect_same_after_restart(&impatient);
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
        run();
        sync_error = -EIO;
        world_echo(session, "system", "Be terse");
        world_run(&world, has_failed);
        sync_error = 0;
        world_run(&world, is_mended);
        expect_same_after_restart(&of);
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
        run();
        struct session *session = world_make(&world, name);
        world_echo(session, "system", "kept\n");
        run();
        write_error = -EIO;
        n_torn = n;
        world_echo(session, "params", "temperature 0.5\n");
        world_run(&world, has_failed);
        world_kill(&world);
        write_error = 0;
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
    run();
    const struct journal *j = world.mount->journal;
    assert_true(j->file.synced >= j->file.data_end && j->stats.n_syncs >= j->stats.n_commits);
    expect_same_after_restart(&always);
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
        JOURNAL_TEST(test_journal_flipped_bit_is_cut_off_or_refused),
        JOURNAL_TEST(test_journal_of_nonsense_does_no_harm),
        JOURNAL_TEST(test_journal_of_others_is_refused_by_name),
        JOURNAL_TEST(test_journal_of_other_weights_or_tokenizer_is_refused),
        JOURNAL_TEST(test_journal_that_others_may_read_is_refused),
        JOURNAL_TEST(test_journal_compacted_says_the_same),
        SLOW_TEST(test_journal_full_disk_fails_turns_and_requests),
        SLOW_TEST(test_journal_full_disk_goes_on_without_it_if_told_so),
        SLOW_TEST(test_journal_medium_that_hangs_fails_what_waits),
        SLOW_TEST(test_journal_medium_that_hangs_is_done_without_if_told_so),
        SLOW_TEST(test_journal_medium_that_hangs_in_a_compaction_keeps_what_was_told),
        JOURNAL_TEST(test_journal_sync_that_fails_is_an_error),
        JOURNAL_TEST(test_journal_write_that_fails_at_any_instant_loses_nothing_committed),
        JOURNAL_TEST(test_journal_always_syncs_before_it_tells),
        SLOW_TEST(test_journal_compacted_under_load_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
