// Compaction: the live state is written to a new file while the one in force goes on; then they are switched.
//
//   OPENING -> WRITING: the head, then session after session, a slice per write -> SYNCING -> READY
//   READY -> (journal_flush) LAST_WRITE -> LAST_SYNC -> RENAMING -> DIR_SYNC -> the new file is in force
//   an error before RENAMING: CLEANING -> NONE, and the file in force goes on; later: the journal is out of order
//
// Invariant: for each session that carries the journal's generation the new file says, in order, what it was when it
// was put there and all that was recorded since. So records of others need not go there.
//
// While the journal is out of order this is how it is mended: nothing goes on in the old file, the rest is the same.
#include "engine/base/log.h"
#include "fs/journal.h"
#include "fs/mount.h"
#include "fs/session.h"
#include "fs/session_table.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_BYTES (256u << 10)

static void pump(struct journal *j);

static struct journal *journal_of(struct loop_op *op)
{
    return list_entry(list_entry(op, struct compaction, op), struct journal, compaction);
}

// ---- the end of one ------------------------------------------------------------------------------------------------

static void drop_sessions(struct compaction *c)
{
    for (size_t i = c->next; i < c->n_sessions; i++) {
        session_unref(c->sessions[i]);
    }
    free(c->sessions);
    c->sessions = NULL;
    c->n_sessions = c->next = 0;
}

static void reset_file(struct journal *j)
{
    struct compaction *c = &j->compaction;
    void (*done)(struct journal_file * file, int res) = c->file.done;
    journal_file_init(&c->file, j->loop);
    c->file.done = done;
}

static void on_cleaned(struct loop_op *op, int res)
{
    struct journal *j = journal_of(op);
    (void)res; // it is made anew by the next try
    j->compaction.stage = COMPACTION_NONE;
}

static void abandon(struct journal *j, int code, const char *what)
{
    struct compaction *c = &j->compaction;
    enum compaction_stage stage = c->stage;
    char path[256];
    drop_sessions(c);
    journal_file_deinit(&c->file);
    reset_file(j);
    j->compact_at = j->file.end + j->options.slack; // not at once again
    if (code < 0) {
        j->stats.n_errors++;
        log_warn("%s: compaction: %s: %s", journal_path(j, path, sizeof(path)), what, strerror(-code));
    }
    c->stage = COMPACTION_CLEANING;
    if (code < 0 && stage > COMPACTION_READY) {
        journal_fail(j, code, what);
    }
    if (stage >= COMPACTION_RENAMING || j->is_closing) {
        c->stage = COMPACTION_NONE; // journal.new may have its name already
    } else {
        loop_unlinkat(j->loop, &c->op, j->dir->fd, JOURNAL_NEW_NAME);
    }
}

static void on_closed(struct loop_op *op, int res)
{
    (void)op, (void)res;
}

static void take_over(struct journal *j)
{
    struct compaction *c = &j->compaction;
    bool is_void = c->is_void;
    void (*done)(struct journal_file * file, int res) = j->file.done;
    char path[256];
    assert(!j->file.op.is_pending && !j->sync_op.is_pending);
    if (!c->close_op.is_pending) {
        loop_close(j->loop, &c->close_op, j->file.fd);
        j->file.fd = -1;
    }
    journal_file_deinit(&j->file);
    j->file = c->file;
    j->file.done = done;
    reset_file(j);
    drop_sessions(c);
    c->stage = COMPACTION_NONE;
    if (is_void) {
        return; // it has the name by now; the next try replaces it
    }
    j->compact_at = 2 * j->file.end + j->options.slack;
    j->stats.n_compactions++;
    if (j->error) {
        j->error = 0;
        j->flight.last = j->n_appended;
        log_info("%s: in order again", journal_path(j, path, sizeof(path)));
    }
    journal_committed(j);
}

// ---- its steps -----------------------------------------------------------------------------------------------------

static void after_sync(struct journal *j)
{
    struct compaction *c = &j->compaction;
    c->file.synced = c->file.end;
    if (c->stage == COMPACTION_LAST_SYNC) {
        c->stage = COMPACTION_RENAMING;
        loop_renameat(j->loop, &c->op, j->dir->fd, JOURNAL_NEW_NAME, JOURNAL_NAME);
        return;
    }
    c->stage = COMPACTION_READY; // journal_flush goes on
    if (j->error && !j->file.op.is_pending && !j->sync_op.is_pending) {
        compaction_switch(j);
    }
}

struct gathering {
    struct session **sessions;
    size_t n;
};

static void gather(void *ctx, struct session *session)
{
    struct gathering *all = ctx;
    all->sessions[all->n++] = session_ref(session);
}

// From here on sessions that are made are in the new file from their beginning.
static void begin_new(struct journal *j)
{
    struct compaction *c = &j->compaction;
    size_t n = session_table_count(j->mount->sessions);
    struct strbuf head;
    struct gathering all = { .sessions = calloc(n > 0 ? n : 1, sizeof(*all.sessions)) };
    if (!all.sessions) {
        abandon(j, -ENOMEM, "open");
        return;
    }
    session_table_each(j->mount->sessions, NULL, gather, &all);
    c->sessions = all.sessions;
    c->n_sessions = all.n;
    c->next = 0;
    j->generation++;
    c->stage = COMPACTION_WRITING;
    strbuf_init(&head, 0);
    journal_put_head(j->mount, &head);
    journal_file_append(&c->file, RECORD_HEAD, strbuf_str(&head));
    strbuf_deinit(&head);
    pump(j);
}

static void on_step(struct loop_op *op, int res)
{
    struct journal *j = journal_of(op);
    struct compaction *c = &j->compaction;
    static const char *const names[] = {
        [COMPACTION_OPENING] = "open",
        [COMPACTION_SYNCING] = "sync",
        [COMPACTION_LAST_SYNC] = "sync",
        [COMPACTION_RENAMING] = "rename",
        [COMPACTION_DIR_SYNC] = "sync of the directory",
    };
    j->waits[JOURNAL_WORK_SWITCH].n_done++;
    if (c->stage == COMPACTION_CLEANING) {
        on_cleaned(op, res);
        return;
    }
    if (res >= 0 && c->stage == COMPACTION_OPENING) {
        c->file.fd = res;
    }
    if (res < 0 || (j->is_closing && c->stage < COMPACTION_READY) || (c->is_void && c->stage < COMPACTION_RENAMING)) {
        abandon(j, res < 0 ? res : 0, names[c->stage]);
        return;
    }
    switch (c->stage) {
    case COMPACTION_OPENING: begin_new(j); break;
    case COMPACTION_SYNCING:
    case COMPACTION_LAST_SYNC: after_sync(j); break;
    case COMPACTION_RENAMING:
        c->stage = COMPACTION_DIR_SYNC;
        loop_fsync(j->loop, &c->op, j->dir->fd);
        break;
    case COMPACTION_DIR_SYNC: take_over(j); break;
    default: assert(0 && "a step of the ring");
    }
}

static void sync_new(struct journal *j, enum compaction_stage stage)
{
    j->compaction.stage = stage;
    loop_fdatasync(j->loop, &j->compaction.op, j->compaction.file.fd);
}

// Puts the next session that can be put; false: none can, now.
static bool put_next(struct journal *j)
{
    struct compaction *c = &j->compaction;
    for (size_t i = c->next; i < c->n_sessions; i++) {
        struct session *session = c->sessions[i];
        if (session->is_removed || session->journal_generation == j->generation || journal_can_put(session)) {
            c->sessions[i] = c->sessions[c->next];
            c->next++;
            if (!session->is_removed && session->journal_generation != j->generation) {
                journal_put_session(j, session);
            }
            session_unref(session);
            return true;
        }
    }
    return false;
}

// The next slice; when there is none, the sync.
static void pump(struct journal *j)
{
    struct compaction *c = &j->compaction;
    while (c->file.gather.len < SLICE_BYTES && !c->file.gather.error && put_next(j)) {
    }
    if (c->file.gather.error) {
        abandon(j, c->file.gather.error, "write");
    } else if (c->file.gather.len > 0) {
        journal_file_write(&c->file);
    } else if (c->next == c->n_sessions) {
        sync_new(j, COMPACTION_SYNCING);
    } // else: journal_flush pumps again
}

static void on_new_written(struct journal_file *file, int res)
{
    struct journal *j = list_entry(list_entry(file, struct compaction, file), struct journal, compaction);
    j->waits[JOURNAL_WORK_SWITCH].n_done++;
    if (res < 0 || j->compaction.is_void || (j->is_closing && j->compaction.stage == COMPACTION_WRITING)) {
        abandon(j, res, "write");
    } else if (j->compaction.stage == COMPACTION_LAST_WRITE) {
        sync_new(j, COMPACTION_LAST_SYNC);
    } else {
        pump(j);
    }
}

// ---- from outside --------------------------------------------------------------------------------------------------

void compaction_init(struct journal *journal)
{
    struct compaction *c = &journal->compaction;
    c->op.done = on_step;
    c->close_op.done = on_closed;
    journal_file_init(&c->file, journal->loop);
    c->file.done = on_new_written;
}

void compaction_deinit(struct journal *journal)
{
    drop_sessions(&journal->compaction);
    journal_file_deinit(&journal->compaction.file);
}

void compaction_start(struct journal *j)
{
    struct compaction *c = &j->compaction;
    if (c->stage != COMPACTION_NONE) {
        return;
    }
    c->stage = COMPACTION_OPENING;
    c->is_void = false;
    loop_openat(j->loop, &c->op, j->dir->fd, JOURNAL_NEW_NAME, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                0600);
}

void compaction_pump(struct journal *j)
{
    struct compaction *c = &j->compaction;
    bool is_idle = !c->file.op.is_pending && !c->op.is_pending;
    if (c->is_void && is_idle && (c->stage == COMPACTION_WRITING || c->stage == COMPACTION_READY)) {
        abandon(j, 0, NULL);
    } else if (c->stage == COMPACTION_WRITING && !c->file.op.is_pending) {
        pump(j);
    } else if (c->stage == COMPACTION_READY && j->error && !j->file.op.is_pending && !j->sync_op.is_pending) {
        compaction_switch(j);
    }
}

void compaction_switch(struct journal *j)
{
    struct compaction *c = &j->compaction;
    if (c->file.gather.error) {
        c->stage = COMPACTION_LAST_WRITE;
        abandon(j, c->file.gather.error, "write");
    } else if (c->file.gather.len > 0) {
        c->stage = COMPACTION_LAST_WRITE;
        journal_file_write(&c->file);
    } else {
        sync_new(j, COMPACTION_LAST_SYNC);
    }
}

void compaction_void(struct journal *j)
{
    j->compaction.is_void = j->compaction.stage != COMPACTION_NONE && j->compaction.stage != COMPACTION_CLEANING;
}

void compaction_abandon(struct journal *j)
{
    struct compaction *c = &j->compaction;
    bool is_busy = c->op.is_pending || c->file.op.is_pending; // then its next step, or switch, ends it
    if (!is_busy && c->stage != COMPACTION_NONE) {
        abandon(j, 0, NULL);
    }
}
