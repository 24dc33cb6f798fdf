// The journal of --state: what happens to conversations is written before it is told. See docs/journal.md.
//
//   IDLE --something gathered--> WRITING --(always) SYNCING--> committed: events are applied, replies are sent --> IDLE
//   IDLE --the new file is ready--> SWITCHING --> committed --> IDLE                     see journal_compact.c
//   any --an error--> out of order (error < 0): nothing is written until a compaction has succeeded
//
// Owner: the loop thread. A mount without one (mount->journal NULL) is what all functions here accept; sessions without
// a name (of `ask`) are never in it.
#ifndef TOKFS_FS_JOURNAL_H
#define TOKFS_FS_JOURNAL_H

#include "fs/file.h"
#include "fs/journal_file.h"
#include "fs/state_dir.h"
#include "fs/turn.h"

struct mount;
struct node;
struct session;

enum journal_sync { JOURNAL_SYNC_BATCH, JOURNAL_SYNC_ALWAYS, JOURNAL_SYNC_OFF };

struct journal_options {
    enum journal_sync sync;
    bool continues;      // without the journal, when it fails; otherwise requests and turns fail
    uint64_t slack;      // bytes that it may grow to beyond twice its live size; 0: 64 MiB
    unsigned retry_ms;   // between tries while it is out of order; 0: 5000
    unsigned settle_ms;  // until what was written is synced (batch) and marked; 0: 100
    unsigned timeout_ms; // a write or sync that takes longer is an error; 0: 10000
};

// An event that waits for its commit, in the order of their records.
struct journal_event {
    struct turn *turn; // shared
    size_t begin, len; // of its body in the batch's `bodies`
};

struct journal_batch {
    struct journal_event *events; // [n]
    size_t n, cap;
    struct strbuf bodies;
    uint64_t last; // n_appended when it was closed
};

// A reply that waits for the commit of what was appended before it.
struct journal_held {
    struct list link;
    uint64_t at;                                               // n_appended then
    fuse_req_t req;                                            // NULL: nobody who could be interrupted
    void (*answer)(const struct journal_held *held, int code); // 0 or -errno of the journal
    struct session *session;                                   // shared; NULL: none
    struct node *node;
    size_t size;
    struct journal *journal; // set by journal_answer, as is:
    bool is_interrupted;
};

struct journal_stats {
    uint64_t n_records, n_commits, n_syncs, n_errors, n_compactions;
};

enum journal_stage { JOURNAL_IDLE, JOURNAL_WRITING, JOURNAL_SYNCING, JOURNAL_SWITCHING };

// A new file that is being written beside the one in force.
enum compaction_stage {
    COMPACTION_NONE,
    COMPACTION_OPENING,
    COMPACTION_WRITING,
    COMPACTION_SYNCING,
    COMPACTION_READY, // all but what is still to come; the switch is next
    COMPACTION_LAST_WRITE,
    COMPACTION_LAST_SYNC,
    COMPACTION_RENAMING,
    COMPACTION_DIR_SYNC,
    COMPACTION_CLEANING, // after an error
};

struct compaction {
    enum compaction_stage stage;
    bool is_void; // the journal failed meanwhile: what the new file says is no longer so, and it mends nothing
    struct journal_file file;
    struct session **sessions; // [n_sessions] shared: those that are to be written, from `next` on
    size_t n_sessions, next;
    struct loop_op op;
    struct loop_op close_op; // of the file that was replaced
};

// What may take long. It is looked at so many times in timeout_ms: what is still the same operation has waited. Not by
// the clock, so that a process that was stopped does not take its own absence for the medium's.
enum journal_work { JOURNAL_WORK_WRITE, JOURNAL_WORK_SYNC, JOURNAL_WORK_SWITCH, JOURNAL_N_WORKS };
struct journal_wait {
    uint64_t n_done, n_seen; // operations, and as many at the latest look
    unsigned n_looks;        // at the same one
};

struct journal {
    struct mount *mount;
    struct loop *loop;
    const struct state_dir *dir;
    struct journal_options options;
    struct journal_file file;
    enum journal_stage stage;
    int error;       // 0: in order
    bool is_closing; // flush what there is and stop
    struct journal_batch gather, flight;
    uint64_t n_appended, n_committed; // records
    struct list held;
    struct strbuf body;      // scratch of one record
    struct loop_op sync_op;  // of the file
    uint64_t sync_end;       // what the sync under way covers
    struct loop_op timer_op; // settle, or retry
    struct loop_op watch_op; // looks at what is in flight
    struct journal_wait waits[JOURNAL_N_WORKS];
    bool makes_engine_wait; // its events are not polled until there is room
    uint64_t draft_in_hand; // that is being closed: its effect's record ends it
    uint64_t n_drafts_made;
    uint32_t generation; // sessions that carry this number are in the compaction's file
    struct compaction compaction;
    uint64_t compact_at;       // bytes
    struct recovery *recovery; // until journal_start
    struct journal_stats stats;
};

// Reads the journal of `dir` into the mount, which has no sessions yet, or begins one. -EINVAL (another format or
// model), -EBADMSG (damaged), -ENOMEM, what the system says; err names the file.
int journal_open(const struct state_dir *dir, const struct journal_options *options, struct mount *mount,
                 struct journal **ret, struct err *err);
// What recovery leaves for when the mount is there: running turns go on, texts whose writers have gone are submitted.
void journal_start(struct journal *journal);
// The mount ends: what is under way comes to its end, and nothing is begun that takes time.
void journal_settle_down(struct journal *journal);
// Writes and syncs what there is (waiting for it) and frees it. The loop must not be running.
void journal_close(struct journal *journal);

void journal_flush(struct journal *journal);         // at the end of a turn of the loop
bool journal_is_idle(const struct journal *journal); // nothing waits for a commit
// False: no events are to be polled until it asks for them (mount_watch_engine).
bool journal_has_room(struct journal *journal);
int journal_check(const struct mount *mount); // -errno while it is out of order and requests are to fail of it
const char *journal_path(const struct journal *journal, char *buf, size_t size);

// Takes a journaled turn's event, to apply it when it is committed. False: it is not journaled.
bool journal_take_event(struct turn *turn, const struct tokfs_event *event);

// ---- who waits (journal_wait.c) ------------------------------------------------------------------------------------

// Sends the reply (a copy of `held`) once all that was appended is committed, at once where there is nothing to wait
// for. Takes a reference of the session. Interrupted, its client hears EINTR if the medium takes long.
void journal_answer(struct mount *mount, const struct journal_held *held);
void journal_answer_held(struct journal *journal, int code); // 0: those that are committed; an error: all
void journal_watch_init(struct journal *journal);
void journal_watch(struct journal *journal); // something was begun that may take long

// ---- what happens (journal_write.c) --------------------------------------------------------------------------------

bool journal_keeps(const struct session *session);
void journal_session_made(struct session *session);
void journal_session_renamed(struct session *session);
void journal_session_removed(struct session *session);
enum journal_setting { JOURNAL_SYSTEM, JOURNAL_PARAMS, JOURNAL_TOOLS };
void journal_setting_set(struct session *session, enum journal_setting which);
void journal_priority_set(struct session *session);
void journal_session_reset(struct session *session, const struct turn *cut); // the turn that it ended; NULL: none
void journal_turn_begun(struct session *session, const struct turn *turn, struct str given, bool is_text);
void journal_turn_refused(struct session *session);
void journal_turn_failed(struct session *session, const struct turn *turn); // before the engine saw it
void journal_cancelled(struct session *session);
// The event's own part of the record's body, in the journal's scratch.
struct str journal_event_came(const struct turn *turn, const struct tokfs_event *event);
// Something was written, with this result: of what takes effect at the close it is a further piece, or its end. Then
// the file is being closed.
void journal_draft_changed(struct file *file, struct str bytes, int result);
void journal_draft_closing(struct file *file);
void journal_draft_closed(struct file *file);

// For journal_compact.c: all that is known of a session, to the compaction's file. Not while a request of it waits for
// its verdict: a text thread has it in hand.
bool journal_can_put(const struct session *session);
void journal_put_session(struct journal *journal, struct session *session);
void journal_put_head(const struct mount *mount, struct strbuf *out);
void journal_apply(struct turn *turn, const struct tokfs_event *event);
void journal_fail(struct journal *journal, int code, const char *what);
void journal_committed(struct journal *journal);

// ---- journal_compact.c ---------------------------------------------------------------------------------------------

void compaction_init(struct journal *journal);
void compaction_deinit(struct journal *journal);
void compaction_start(struct journal *journal); // unless one is under way
void compaction_pump(struct journal *journal);  // at the end of a turn of the loop
void compaction_switch(struct journal *journal);
void compaction_void(struct journal *journal);    // if one is under way: the journal has failed
void compaction_abandon(struct journal *journal); // at the end

#endif
