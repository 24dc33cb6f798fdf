// Who waits for the journal: replies that are held until what they tell is committed; and the watch over what is in
// flight, so that a medium that has gone away (a network file system, say) holds nobody up for ever.
//
//   begun --> looked at LOOKS times in timeout_ms --> nothing has come to its end: the journal has failed (ETIMEDOUT)
//                 after the first look clients who were interrupted hear so; what they asked for may happen yet
#include "fs/journal.h"
#include "fs/mount.h"
#include "fs/session.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 10000
#define LOOKS      10

// ---- held replies --------------------------------------------------------------------------------------------------

static void let_go(const struct journal_held *held)
{
    if (held->req) {
        fuse_req_interrupt_func(held->req, NULL, NULL);
    }
}

static void answer(struct journal *j, struct journal_held *held, int code)
{
    list_remove(&held->link);
    held->answer(held, code);
    session_unref(held->session);
    j->mount->counts.n_parked--;
    free(held);
}

static unsigned longest_wait(const struct journal *j);

// See channel.c: libfuse holds the request's lock here.
static void on_interrupt(fuse_req_t req, void *data)
{
    struct journal_held *held = data;
    (void)req;
    if (longest_wait(held->journal) > 0) {
        answer(held->journal, held, -EINTR);
    } else {
        held->is_interrupted = true; // its reply is a matter of milliseconds
    }
}

static void answer_interrupted(struct journal *j)
{
    list_for_each(link, next, &j->held)
    {
        struct journal_held *held = list_entry(link, struct journal_held, link);
        if (held->is_interrupted) {
            let_go(held);
            answer(j, held, -EINTR);
        }
    }
}

void journal_answer_held(struct journal *j, int code)
{
    list_for_each(link, next, &j->held)
    {
        struct journal_held *held = list_entry(link, struct journal_held, link);
        if (code == 0 && held->at > j->n_committed) {
            break;
        }
        let_go(held);
        answer(j, held, code);
    }
}

void journal_answer(struct mount *mount, const struct journal_held *held)
{
    struct journal *j = mount->journal;
    if (!j || j->error || j->n_committed == j->n_appended) {
        held->answer(held, journal_check(mount));
        return;
    }
    struct journal_held *copy = mount->counts.n_parked < mount->limits.n_parked ? malloc(sizeof(*copy)) : NULL;
    if (!copy) {
        held->answer(held, -EAGAIN);
        return;
    }
    *copy = *held;
    copy->at = j->n_appended;
    copy->journal = j;
    if (copy->session) {
        session_ref(copy->session);
    }
    list_init(&copy->link);
    list_append(&j->held, &copy->link);
    mount->counts.n_parked++;
    copy->is_interrupted = copy->req && fuse_req_interrupted(copy->req);
    if (copy->req && !copy->is_interrupted) { // none comes in between: interrupts come through the loop thread
        fuse_req_interrupt_func(copy->req, on_interrupt, copy);
    }
}

// ---- the watch -----------------------------------------------------------------------------------------------------

static bool is_in_flight(const struct journal *j, enum journal_work work)
{
    switch (work) {
    case JOURNAL_WORK_WRITE: return j->file.op.is_pending;
    case JOURNAL_WORK_SYNC: return j->sync_op.is_pending;
    case JOURNAL_WORK_SWITCH: return j->stage == JOURNAL_SWITCHING;
    case JOURNAL_N_WORKS: break;
    }
    return false;
}

static unsigned longest_wait(const struct journal *j)
{
    unsigned n = 0;
    for (int work = 0; work < JOURNAL_N_WORKS; work++) {
        n = j->waits[work].n_looks > n ? j->waits[work].n_looks : n;
    }
    return n;
}

// Whether anything is in flight.
static bool look(struct journal *j)
{
    bool is_any = false;
    for (int work = 0; work < JOURNAL_N_WORKS; work++) {
        struct journal_wait *wait = &j->waits[work];
        bool is_the_same = wait->n_seen == wait->n_done && is_in_flight(j, (enum journal_work)work);
        wait->n_looks = is_the_same ? wait->n_looks + 1 : 0;
        wait->n_seen = wait->n_done;
        is_any = is_any || is_in_flight(j, (enum journal_work)work);
    }
    return is_any;
}

static void on_look(struct loop_op *op, int res)
{
    struct journal *j = list_entry(op, struct journal, watch_op);
    if (res < 0 || j->is_closing || j->error || !look(j)) {
        memset(j->waits, 0, sizeof(j->waits));
        return;
    }
    if (longest_wait(j) > 0) {
        answer_interrupted(j);
    }
    if (longest_wait(j) >= LOOKS) {
        memset(j->waits, 0, sizeof(j->waits));
        journal_fail(j, -ETIMEDOUT, "its medium does not answer");
    } else {
        journal_watch(j);
    }
}

void journal_watch_init(struct journal *j)
{
    j->options.timeout_ms = j->options.timeout_ms ? j->options.timeout_ms : TIMEOUT_MS;
    j->watch_op.done = on_look;
}

void journal_watch(struct journal *j)
{
    if (!j->watch_op.is_pending && !j->is_closing) {
        loop_timer(j->loop, &j->watch_op, (uint64_t)j->options.timeout_ms * 1000000u / LOOKS);
    }
}
