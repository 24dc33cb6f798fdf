// A session: one conversation, the chain of its turns, and the nodes of its directory if it has one.
//
// Shared: the table (while it is listed), every open file in it and every node that the kernel has looked up hold a
// reference. A removed session stays until they are gone; its files answer ESTALE.
//
// Invariants: at most one turn runs. `last` is never NULL (an idle turn at first) and is the end of the chain. A turn
// whose writer still waits for its acceptance is `candidate`, not yet in the chain: refused, it leaves no trace.
#ifndef TOKFS_FS_SESSION_H
#define TOKFS_FS_SESSION_H

#include "fs/ancestry.h"
#include "fs/channel.h"
#include "fs/composition.h"
#include "fs/conversation.h"
#include "fs/node.h"
#include "fs/turn.h"
#include <time.h>

#define SESSION_NAME_MAX 255
#define SESSION_N_FILES  15

struct session {
    unsigned refs;
    struct mount *mount;
    char *name; // NULL: private (of an open `ask`)
    uid_t uid;
    gid_t gid;
    struct timespec changed;
    struct ancestry creator;
    uint64_t serial; // order of creation

    struct list all_link;   // in mount->all_sessions
    struct user *user;      // shared: the creator
    struct holding holding; // the conversation and the running turn's part of it
    struct list ended_link; // in mount->pruner, once it is removed
    struct list used_link;  // in the table, most recently used last
    struct list user_link;  // in user->sessions, likewise
    struct session *hash_next;
    bool is_removed;

    struct channel channel;
    struct conversation conversation;
    struct composition *composition; // of the running turn; NULL: none
    struct turn *last;               // shared
    struct turn *candidate;          // shared; NULL: none
    bool adopts_settings;            // the running turn's fields become the session's
    struct file *writer;             // holds plain text for `input` that is not submitted yet; NULL: none
    bool has_priority;               // set by ctl, for this turn and those to come
    int64_t priority;
    uint64_t n_turns;
    uint32_t n_files;            // open
    uint32_t n_drafts;           // of them, those whose text the journal has
    uint32_t journal_generation; // see struct journal
    struct tokfs_error error;    // of the latest failure; code 0: none

    struct node dir;
    struct node files[SESSION_N_FILES];
};

int session_new(struct mount *mount, struct str name, uid_t uid, gid_t gid,
                struct session **ret); // name.ptr NULL: private
// One that the journal tells of, under its old number.
int session_restore(struct mount *mount, struct str name, uid_t uid, gid_t gid, uint64_t serial, struct session **ret);
struct session *session_ref(struct session *session);
void session_unref(struct session *session); // NULL is accepted
void session_touch(struct session *session); // it is in use now
void session_weigh(struct session *session); // its conversation has become longer or shorter: charges its user
struct node *session_find_file(struct session *session, struct str name);

bool session_is_busy(const struct session *session);
// Starts a turn. waits: the writer waits for the engine's word: session_submit_result tells it; otherwise the turn is
// in the chain at once and a refusal ends it like any failure. -EBUSY and what turn_submit and the checks of JSON give;
// the reason stays in session->error.
int session_submit_text(struct session *session, struct str text);
int session_submit_json(struct session *session, struct str json, bool adopts_settings);
int session_submit_result(struct session *session); // FILE_WAIT, 0 accepted, -errno refused (told once)
// For a writer that has gone and cannot be told: the readers are, by a turn that failed. Nothing while a turn runs,
// except in session->error.
void session_refuse(struct session *session, const struct tokfs_error *reason);
void session_abandon_candidate(struct session *session); // its writer was interrupted
void session_cancel(struct session *session);
int session_set_priority(struct session *session, int64_t priority); // -EPERM below 0, but for the mount's owner
int session_reset(struct session *session);                          // forgets the messages; cancels what runs
void session_remove(struct session *session); // by the table, or by the owner of a private one: ends everything

// A turn that the journal tells of: what the user gave for it or, where that is known already, what came of it.
struct session_recovered_turn {
    struct str id;
    int64_t created;
    bool is_text, adopts_settings;
    struct tokfs_origin origin;
    struct str given;
    struct composition_made *made; // taken; NULL: given counts
};
int session_recover_turn(struct session *session, const struct session_recovered_turn *recovered); // 0 or -ENOMEM
// An ended answer as a whole, which `get` fills in from the reader. 0, -ENOMEM, or what `get` gives.
struct record_reader;
int session_recover_answer(struct session *session, enum turn_state state, struct record_reader *reader,
                           int (*get)(struct record_reader *reader, struct turn *turn));
// After recovery: a request that was not accepted is dropped, a turn that had not ended goes on. The session may be
// gone after it.
void session_resume(struct session *session);
int session_fail(struct session *session, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
