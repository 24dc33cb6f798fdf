// The loop runs until a condition holds, looked at every tenth of a millisecond.
#include "tests/fs/journal_world.h"
#include "engine/base/log.h"
#include "fs/view.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

// ---- life ----------------------------------------------------------------------------------------------------------

void world_init(struct world *w, const char *token_us)
{
    struct tokfs_engine_options options = { .model = "null" };
    struct tokfs_error error;
    struct err err = { 0 };
    *w = (struct world){ 0 };
    // In memory where that is: some tests open a journal, and so sync it, for each of its bytes.
    snprintf(w->dir, sizeof(w->dir), "%s/tokfs-journal-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    log_setup("test", LOG_LEVEL_ERROR, LOG_TARGET_STDERR);
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->state, sizeof(w->state), "%s/state", w->dir);
    snprintf(w->path, sizeof(w->path), "%s/journal", w->state);
    setenv("TOKFS_FAKE_TOKEN_US", token_us, 1);
    assert_int_equal(loop_new_watching(64, &w->loop, &err), 0);
    assert_int_equal(tokfs_engine_open(&options, &w->engine, &error), 0);
}

int world_deinit(struct world *w)
{
    char command[128];
    if (loop_n_pending(w->loop) > 0) {
        return -1;
    }
    tokfs_engine_close(w->engine);
    loop_free(w->loop);
    snprintf(command, sizeof(command), "rm -rf '%s'", w->dir);
    assert_int_equal(system(command), 0);
    return 0;
}

int world_try_open(struct world *w, const struct journal_options *options, struct err *err)
{
    assert_int_equal(fuse_opt_add_arg(&w->args, "test"), 0);
    const struct mount_options mount_options = { .args = &w->args, .limits = mount_limits_default, .signal_fd = -1 };
    assert_int_equal(mount_new(&mount_options, w->loop, w->engine, &w->mount, err), 0);
    int r = state_dir_open(w->state, &w->state_dir, err);
    return r < 0 ? r : journal_open(&w->state_dir, options, w->mount, &w->mount->journal, err);
}

static void close_mount(struct world *w)
{
    journal_close(w->mount->journal);
    w->mount->journal = NULL;
    mount_free(w->mount);
    w->mount = NULL;
    state_dir_close(&w->state_dir);
    fuse_opt_free_args(&w->args);
    w->args = (struct fuse_args)FUSE_ARGS_INIT(0, NULL);
}

void world_open(struct world *w, const struct journal_options *options)
{
    struct err err = { 0 };
    if (world_try_open(w, options, &err) < 0) {
        fail_msg("%s", err.msg);
    }
}

// ---- time ----------------------------------------------------------------------------------------------------------

static void turn_end(void *ctx)
{
    struct world *w = ctx;
    mount_flush(w->mount);
    journal_flush(w->mount->journal);
}

static void on_tick(struct loop_op *op, int res)
{
    struct world *w = list_entry(op, struct world, tick);
    assert_int_equal(res, 0);
    w->was_done = w->is_done(w); // a moment later it may no longer be so
    if (w->was_done || clock_monotonic_ns() > w->deadline_ns) {
        loop_stop(w->loop);
    } else {
        loop_timer(w->loop, op, 100000);
    }
}

// Runs the loop until the condition holds (ten minutes at most).
void world_run(struct world *w, bool (*is_done)(struct world *w))
{
    w->is_done = is_done;
    w->deadline_ns = clock_monotonic_ns() + 600000000000u;
    w->tick.done = on_tick;
    loop_set_turn_end(w->loop, turn_end, w);
    mount_watch_engine(w->mount, true);
    loop_timer(w->loop, &w->tick, 0);
    assert_int_equal(loop_run(w->loop), 0);
    loop_set_turn_end(w->loop, NULL, NULL);
    if (!w->was_done) {
        fail_msg("%u turns running, journal in stage %d, compaction in %d", w->mount->counts.n_running,
                 w->mount->journal->stage, w->mount->journal->compaction.stage);
    }
}

bool world_is_quiet(struct world *w)
{
    struct journal *j = w->mount->journal;
    return w->mount->counts.n_running == 0 && journal_is_idle(j) && (!j || j->compaction.stage == COMPACTION_NONE);
}

static void on_flush_turn(void *ctx)
{
    struct world *w = ctx;
    journal_flush(w->mount->journal);
}

// Writes what there is, without a word of the engine.
void world_flush(struct world *w)
{
    mount_watch_engine(w->mount, false);
    loop_set_turn_end(w->loop, on_flush_turn, w);
    journal_flush(w->mount->journal);
    loop_cancel(w->loop, &w->mount->journal->timer_op);
    loop_run_until_idle(w->loop);
    loop_set_turn_end(w->loop, NULL, NULL);
}

// As kill -9: what is not written is gone.
void world_kill(struct world *w)
{
    w->mount->phase = MOUNT_STOPPED;
    mount_watch_engine(w->mount, false);
    struct journal *j = w->mount->journal;
    if (j) {
        j->error = -EIO; // it writes nothing more
        j->options.continues = true;
    }
    close_mount(w);
}

void world_stop(struct world *w)
{
    w->mount->phase = MOUNT_STOPPED;
    mount_watch_engine(w->mount, false);
    close_mount(w);
}

void world_settle(struct world *w)
{
    world_run(w, world_is_quiet);
}

// ---- what clients do -----------------------------------------------------------------------------------------------

struct session *world_make(struct world *w, const char *name)
{
    struct session *session;
    struct str given = name ? str_from(name) : (struct str){ 0 };
    assert_int_equal(session_table_create(w->mount->sessions, given, 1000, 100, getpid(), &session), 0);
    return session;
}

struct session *world_find(struct world *w, const char *name)
{
    return session_table_find(w->mount->sessions, str_from(name));
}

struct file *world_open_file(struct session *session, const char *name, int flags)
{
    struct node *node = session_find_file(session, str_from(name));
    const struct fuse_ctx writer = { .uid = session->uid, .gid = session->gid, .pid = getpid() };
    struct file *file;
    assert_int_equal(file_new(session->mount, node, flags, &writer, &file), 0);
    assert_int_equal(node->type->open(file), 0);
    file->is_opened = true;
    return file;
}

int world_write_file(struct file *file, const char *text)
{
    int r = file->type->write(file, str_from(text));
    journal_draft_changed(file, str_from(text), r);
    return r;
}

// echo TEXT > session/NAME
void world_echo(struct session *session, const char *name, const char *text)
{
    struct file *file = world_open_file(session, name, O_WRONLY | O_TRUNC);
    int r = world_write_file(file, text);
    assert_true(r == 0 || r == FILE_WAIT);
    file_free(file);
}

// A bit of everything that is recorded.
void world_live(struct world *w)
{
    struct session *bob = world_make(w, "bob"), *ann = world_make(w, "ann"), *gone = world_make(w, "gone");
    world_echo(bob, "system", "Be terse\n");
    world_echo(bob, "params", "temperature 0.5\n");
    world_echo(bob, "tools",
               "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}");
    world_echo(bob, "input", "count 4\n");
    world_echo(gone, "input", "bye\n");
    world_settle(w);
    world_echo(bob, "params", "top_p 0.9\n");
    world_echo(bob, "input", "{\"role\":\"user\",\"content\":\"<think>hm</think>yes\"}");
    world_settle(w);
    session_table_remove(w->mount->sessions, gone);
    assert_int_equal(session_table_rename(w->mount->sessions, ann, STR("anna")), 0);
    assert_int_equal(session_set_priority(ann, 7), 0);
    world_echo(ann, "input", "{\"messages\":[{\"role\":\"user\",\"content\":\"count 3\"}],\"logprobs\":true}");
    world_settle(w);
    session_reset(ann);
    world_echo(ann, "input", "fail now\n");
    world_settle(w);
    world_echo(ann, "input", "{\"messages\":[{\"role\":\"king\",\"content\":\"no\"}]}");
    world_settle(w);
    assert_int_equal(session_submit_result(ann), -EINVAL); // as its writer is told
    struct session *made = world_make(w, NULL);
    assert_int_equal(session_submit_json(made,
                                         STR("{\"messages\":[{\"role\":\"user\",\"content\":\"count 5\"}],"
                                             "\"temperature\":0.25}"),
                                         true),
                     0);
    world_settle(w);
}

bool world_has_tokens(struct world *w)
{
    return world_find(w, "bob")->last->n_tokens >= 20;
}

// ---- what there is -------------------------------------------------------------------------------------------------

static void tell_session(struct strbuf *out, struct session *session)
{
    const struct conversation *c = &session->conversation;
    const struct turn *turn = session->candidate ? session->candidate : session->last;
    strbuf_printf(out, "%s %llu uid %u gid %u turns %llu priority %lld\n", session->name,
                  (unsigned long long)session->serial, session->uid, session->gid, (unsigned long long)session->n_turns,
                  session->has_priority ? (long long)session->priority : 0);
    strbuf_printf(out, " system %.*s params %.*s tools %.*s\n messages %.*s\n", STR_ARG(strbuf_str(&c->system)),
                  STR_ARG(strbuf_str(&c->params)), STR_ARG(strbuf_str(&c->tools)), STR_ARG(strbuf_str(&c->messages)));
    strbuf_printf(out, " %s %s %s %d %s%s", turn_state_name(turn), turn->id, turn->finish_reason, turn->error.code,
                  turn->error.msg, session->candidate ? " candidate\n" : "\n");
    if (turn->state == TURN_DONE) {
        turn_write_response((struct turn *)turn, out);
        struct view view;
        struct str bytes;
        uint64_t offset = 0;
        view_init(&view, session->last, VIEW_CHUNKS);
        for (int n; (n = view_read(&view, 65536, offset, &bytes)) > 0; offset += (uint64_t)n) {
            strbuf_append(out, bytes);
        }
        view_deinit(&view);
    }
}

// All of it as a text. The caller frees.
char *world_tell(struct world *w)
{
    struct strbuf out;
    strbuf_init(&out, 0);
    strbuf_printf(&out, "%zu sessions\n", session_table_count(w->mount->sessions));
    for (uint64_t serial = 1; serial <= w->mount->n_sessions_made; serial++) {
        list_for_each(link, next, &w->mount->all_sessions)
        {
            struct session *session = list_entry(link, struct session, all_link);
            if (session->serial == serial && !session->is_removed) {
                tell_session(&out, session);
            }
        }
    }
    assert_int_equal(out.error, 0);
    return strbuf_steal(&out);
}

// cmocka shows the beginnings of long texts only.
void world_compare(const char *a, const char *b)
{
    size_t n = 0, line = 0;
    for (; a[n] && a[n] == b[n]; n++) {
        line = a[n] == '\n' ? n + 1 : line;
    }
    if (a[n] != b[n]) {
        fail_msg("they differ after %zu bytes: \"%.900s\"\n\"%.900s\"", n, a + line, b + line);
    }
}

void world_expect_same_after_kill(struct world *w, const struct journal_options *options)
{
    char *before = world_tell(w);
    world_kill(w);
    world_open(w, options);
    journal_start(w->mount->journal);
    world_settle(w);
    char *after = world_tell(w);
    world_compare(before, after);
    free(before), free(after);
    world_stop(w);
}

// ---- files ---------------------------------------------------------------------------------------------------------

char *world_read_file(const char *path, size_t *ret_len)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    char *bytes = malloc((size_t)st.st_size + 1);
    assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
    close(fd);
    *ret_len = (size_t)st.st_size;
    return bytes;
}

void world_write_journal(struct world *w, const char *bytes, size_t len)
{
    int fd = open(w->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}
