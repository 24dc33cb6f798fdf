// Group commit: what is appended in a turn of the loop is one write; what comes while it is in flight is the next.
//
// Invariants:
//   1. Events of journaled turns are applied in the order in which they came, each after the commit of its record.
//   While
//      the journal is out of order they are applied at once.
//   2. n_committed <= n_appended; a held reply is sent when n_committed has reached what n_appended was.
//   3. Nothing here waits: every operation is the ring's, but in journal_open and journal_close.
#include "fs/journal.h"
#include "engine/base/log.h"
#include "fs/event_record.h"
#include "fs/mount.h"
#include "fs/recovery.h"
#include "fs/session.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLACK_BYTES   (64u << 20)
#define RETRY_MS      5000
#define SETTLE_MS     100
#define BACKLOG_BYTES (4u << 20)

// ---- batches -------------------------------------------------------------------------------------------------------

static int batch_add(struct journal_batch *batch, struct turn *turn, struct str body)
{
    if (batch->n == batch->cap) {
        size_t cap = batch->cap ? batch->cap * 2 : 64;
        struct journal_event *events = reallocarray(batch->events, cap, sizeof(*events));
        if (!events) {
            return -ENOMEM;
        }
        batch->events = events;
        batch->cap = cap;
    }
    size_t begin = batch->bodies.len;
    if (strbuf_append(&batch->bodies, body) < 0) {
        return -ENOMEM;
    }
    batch->events[batch->n++] = (struct journal_event){ turn_ref(turn), begin, body.len };
    return 0;
}

static void batch_deinit(struct journal_batch *batch)
{
    assert(batch->n == 0);
    free(batch->events);
    strbuf_deinit(&batch->bodies);
}

// A turn that ended meanwhile (its conversation was removed) hears no more.
static void apply_event(struct journal *j, const struct journal_batch *batch, const struct journal_event *at)
{
    struct record_reader reader = { .rest = str_take(str_skip(strbuf_str(&batch->bodies), at->begin), at->len) };
    struct event_record record;
    event_record_get(&reader, j->mount->engine, &record);
    assert(!reader.is_bad && reader.rest.len == 0);
    if (!turn_is_ended(at->turn)) {
        journal_apply(at->turn, &record.event);
    }
}

static void batch_end(struct journal *j, struct journal_batch *batch, bool is_applied)
{
    for (size_t i = 0; i < batch->n; i++) {
        if (is_applied) {
            apply_event(j, batch, &batch->events[i]);
        }
        turn_unref(batch->events[i].turn);
    }
    batch->n = 0;
    strbuf_clear(&batch->bodies, JOURNAL_KEEP_BYTES);
    if (batch->cap * sizeof(*batch->events) > JOURNAL_KEEP_BYTES) {
        free(batch->events);
        batch->events = NULL;
        batch->cap = 0;
    }
}

static void swap_batches(struct journal *j)
{
    struct journal_batch empty = j->flight;
    assert(empty.n == 0);
    j->flight = j->gather;
    j->flight.last = j->n_appended;
    j->gather = empty;
}

// ---- out of order --------------------------------------------------------------------------------------------------

int journal_check(const struct mount *mount)
{
    const struct journal *j = mount->journal;
    return j && j->error && !j->options.continues ? j->error : 0;
}

const char *journal_path(const struct journal *journal, char *buf, size_t size)
{
    snprintf(buf, size, "%s/" JOURNAL_NAME, journal->dir->path);
    return buf;
}

static void arm_timer(struct journal *j)
{
    unsigned ms = j->error ? j->options.retry_ms : j->options.settle_ms;
    if (!j->timer_op.is_pending && !j->is_closing) {
        loop_timer(j->loop, &j->timer_op, (uint64_t)ms * 1000000u);
    }
}

// Running turns of sessions end here: what they would say could not be kept.
static void fail_turns(struct journal *j)
{
    struct tokfs_error error = { 0 };
    reason_set(&error, j->error, NULL, "the journal failed: %s", strerror(-j->error));
    list_for_each(link, next, &j->mount->running)
    {
        struct turn *turn = list_entry(link, struct turn, link);
        if (turn->trail) {
            turn_fail(turn, &error);
        }
    }
}

void journal_fail(struct journal *j, int code, const char *what)
{
    bool continues = j->options.continues;
    char path[256];
    j->stats.n_errors++;
    if (j->error) {
        return;
    }
    log_error("%s: %s: %s; %s, and tries again every %u s", journal_path(j, path, sizeof(path)), what, strerror(-code),
              continues ? "goes on without it" : "turns of conversations fail", j->options.retry_ms / 1000);
    j->error = code;
    j->stage = JOURNAL_IDLE;
    compaction_void(j);
    strbuf_reset(&j->file.gather);
    batch_end(j, &j->flight, continues);
    batch_end(j, &j->gather, continues);
    j->n_committed = j->n_appended;
    if (!continues) {
        fail_turns(j);
    }
    journal_answer_held(j, continues ? 0 : code);
    loop_cancel(j->loop, &j->timer_op); // it ends, and is armed anew for the next try
    arm_timer(j);
    if (j->makes_engine_wait) {
        j->makes_engine_wait = false;
        mount_watch_engine(j->mount, true);
    }
}

// ---- commit --------------------------------------------------------------------------------------------------------

bool journal_is_idle(const struct journal *journal)
{
    return !journal || journal->n_committed == journal->n_appended;
}

bool journal_has_room(struct journal *journal)
{
    if (!journal || journal->error || journal->gather.bodies.len < BACKLOG_BYTES) {
        return true;
    }
    journal->makes_engine_wait = true;
    return false;
}

void journal_committed(struct journal *j)
{
    j->stage = JOURNAL_IDLE;
    j->stats.n_commits++;
    j->n_committed = j->flight.last;
    batch_end(j, &j->flight, true);
    journal_answer_held(j, 0);
    arm_timer(j);
    if (j->makes_engine_wait) {
        j->makes_engine_wait = false;
        mount_watch_engine(j->mount, true);
    }
}

static void start_sync(struct journal *j)
{
    j->sync_end = j->file.end;
    loop_fdatasync(j->loop, &j->sync_op, j->file.fd);
    journal_watch(j);
}

static void on_written(struct journal_file *file, int res)
{
    struct journal *j = list_entry(file, struct journal, file);
    j->waits[JOURNAL_WORK_WRITE].n_done++;
    if (j->error) { // while it was in flight
        return;
    }
    if (res < 0) {
        journal_fail(j, res, "write");
    } else if (j->options.sync == JOURNAL_SYNC_ALWAYS && !j->sync_op.is_pending) {
        j->stage = JOURNAL_SYNCING;
        start_sync(j);
    } else {
        journal_committed(j);
    }
}

static void on_synced(struct loop_op *op, int res)
{
    struct journal *j = list_entry(op, struct journal, sync_op);
    j->waits[JOURNAL_WORK_SYNC].n_done++;
    if (j->error || res == -ECANCELED) {
        return;
    }
    if (res < 0) {
        journal_fail(j, res, "sync");
        return;
    }
    j->stats.n_syncs++;
    j->file.synced = j->sync_end;
    if (j->stage == JOURNAL_SYNCING) {
        journal_committed(j);
    } else {
        arm_timer(j);
    }
}

void journal_flush(struct journal *j)
{
    if (j) {
        compaction_pump(j);
    }
    if (!j || j->stage != JOURNAL_IDLE || j->error || j->file.op.is_pending) {
        return;
    }
    if (j->compaction.stage == COMPACTION_READY && !j->sync_op.is_pending && !j->is_closing) {
        j->stage = JOURNAL_SWITCHING;
        swap_batches(j);
        compaction_switch(j);
        journal_watch(j);
    } else if (j->file.gather.error) {
        journal_fail(j, j->file.gather.error, "write");
    } else if (j->file.gather.len > 0) {
        j->stage = JOURNAL_WRITING;
        swap_batches(j);
        journal_file_write(&j->file);
        journal_watch(j);
    }
    if (j->file.end >= j->compact_at && !j->is_closing) {
        compaction_start(j);
    }
}

// Some time after a commit: what was written is synced, and what is synced is marked.
static void settle(struct journal *j)
{
    struct journal_file *file = &j->file;
    bool is_due = file->data_end > file->synced && file->end > file->synced && j->options.sync == JOURNAL_SYNC_BATCH;
    if (is_due && !j->sync_op.is_pending && j->stage != JOURNAL_SWITCHING) {
        start_sync(j);
    } else if (!is_due && file->gather.len == 0 && j->stage == JOURNAL_IDLE) {
        journal_file_mark(file);
    }
}

static void on_timer(struct loop_op *op, int res)
{
    struct journal *j = list_entry(op, struct journal, timer_op);
    if (j->is_closing) {
        return;
    }
    if (res < 0) { // cancelled, to be armed with another delay
        arm_timer(j);
    } else if (j->error) {
        compaction_start(j);
        arm_timer(j);
    } else {
        settle(j);
    }
}

// ---- events --------------------------------------------------------------------------------------------------------

void journal_apply(struct turn *turn, const struct tokfs_event *event)
{
    struct turn_trail *trail = turn->trail;
    if (event->kind == TOKFS_EVENT_TOKEN && turn_trail_add(trail, event) < 0) {
        struct tokfs_error error = { 0 };
        reason_set(&error, -ENOMEM, NULL, "out of memory for the answer");
        turn_fail(turn, &error);
        return;
    }
    turn_take_event(turn, event);
}

// What the engine tells again of a turn that goes on after a restart is known. True: it is one of these.
static bool is_known(struct turn *turn, const struct tokfs_event *event)
{
    struct turn_trail *trail = turn->trail;
    if (event->kind == TOKFS_EVENT_ACCEPTED && turn->is_accepted) {
        if (event->usage.prompt_tokens != turn->usage.prompt_tokens) {
            struct tokfs_error error = { 0 };
            reason_set(&error, -EIO, NULL,
                       "the prompt had %llu tokens before the restart and has %llu now: the model's template or "
                       "tokenizer has changed",
                       (unsigned long long)turn->usage.prompt_tokens, (unsigned long long)event->usage.prompt_tokens);
            turn_fail(turn, &error);
        }
        return true;
    }
    if (event->kind == TOKFS_EVENT_TOKEN && trail->n_told_again > 0) {
        trail->n_told_again--;
        return true;
    }
    return false;
}

bool journal_take_event(struct turn *turn, const struct tokfs_event *event)
{
    struct journal *j = turn->mount->journal;
    if (!j || !turn->trail) {
        return false;
    }
    turn_note_usage(turn, event);
    if (is_known(turn, event)) {
        return true;
    }
    struct str body = journal_event_came(turn, event);
    bool is_out = j->error != 0;
    if (!is_out && batch_add(&j->gather, turn, body) < 0) {
        journal_fail(j, -ENOMEM, "write");
        is_out = true;
    }
    if (is_out && !turn_is_ended(turn)) {
        journal_apply(turn, event);
    }
    return true;
}

// ---- life ----------------------------------------------------------------------------------------------------------

static struct journal *journal_new(const struct state_dir *dir, const struct journal_options *options,
                                   struct mount *mount)
{
    struct journal *j = calloc(1, sizeof(*j));
    if (!j) {
        return NULL;
    }
    j->mount = mount;
    j->loop = mount->loop;
    j->dir = dir;
    j->options = *options;
    j->options.slack = options->slack ? options->slack : SLACK_BYTES;
    j->options.retry_ms = options->retry_ms ? options->retry_ms : RETRY_MS;
    j->options.settle_ms = options->settle_ms ? options->settle_ms : SETTLE_MS;
    j->sync_op.done = on_synced;
    j->timer_op.done = on_timer;
    j->compact_at = j->options.slack;
    list_init(&j->held);
    strbuf_init(&j->body, 0);
    strbuf_init(&j->gather.bodies, 0);
    strbuf_init(&j->flight.bodies, 0);
    journal_file_init(&j->file, mount->loop);
    j->file.done = on_written;
    compaction_init(j);
    journal_watch_init(j);
    return j;
}

static void journal_free(struct journal *j)
{
    assert(list_is_empty(&j->held));
    recovery_free(j->recovery);
    journal_file_deinit(&j->file);
    compaction_deinit(j);
    batch_deinit(&j->gather);
    batch_deinit(&j->flight);
    strbuf_deinit(&j->body);
    free(j);
}

int journal_open(const struct state_dir *dir, const struct journal_options *options, struct mount *mount,
                 struct journal **ret, struct err *err)
{
    struct journal *j = journal_new(dir, options, mount);
    if (!j) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    int r = recovery_read(j, err);
    if (r < 0) {
        journal_free(j);
        return r;
    }
    *ret = j;
    return 0;
}

void journal_start(struct journal *journal)
{
    if (journal) {
        recovery_finish(journal);
        journal_flush(journal);
    }
}

void journal_settle_down(struct journal *journal)
{
    if (journal) {
        journal->is_closing = true;
        loop_cancel(journal->loop, &journal->timer_op);
        loop_cancel(journal->loop, &journal->watch_op);
        compaction_abandon(journal);
    }
}

void journal_close(struct journal *j)
{
    if (!j) {
        return;
    }
    journal_settle_down(j);
    loop_run_until_idle(j->loop);
    while (!j->error && j->file.gather.len > 0) {
        journal_flush(j);
        loop_run_until_idle(j->loop);
    }
    if (!j->error && j->file.data_end > j->file.synced) {
        start_sync(j);
        loop_run_until_idle(j->loop);
    }
    journal_file_mark(&j->file);
    if (!j->error && j->file.gather.len > 0) {
        journal_flush(j);
        loop_run_until_idle(j->loop);
    }
    batch_end(j, &j->gather, false);
    batch_end(j, &j->flight, false);
    journal_free(j);
}
