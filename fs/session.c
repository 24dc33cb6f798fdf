// Sessions: the state machine of a conversation.
//
//   idle --submit_text--> running --ended--> idle           the turn is in the chain from the start
//   idle --submit_json--> candidate --accepted--> running   refused: idle again, the chain as it was
//
// What a turn leaves in the conversation: an answer that is complete, or was cut short by a cancel after its reader saw
// some of it, is kept with its question. A turn that failed, or was cancelled before it said anything, leaves nothing.
#include "fs/session.h"
#include "fs/journal.h"
#include "fs/mount.h"
#include "fs/session_files.h"
#include "fs/session_table.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void stamp(struct session *session)
{
    clock_gettime(CLOCK_REALTIME, &session->changed);
}

static void set_up_nodes(struct session *session)
{
    uint64_t ino = MOUNT_SESSION_INO(session->serial);
    session->dir = (struct node){ .type = &session_dir_type, .session = session, .ino = ino };
    for (size_t i = 0; i < SESSION_N_FILES; i++) {
        session->files[i] = (struct node){ .type = &session_nodes[i], .session = session, .ino = ino + 1 + i };
    }
}

int session_restore(struct mount *mount, struct str name, uid_t uid, gid_t gid, uint64_t serial, struct session **ret)
{
    struct session *session = calloc(1, sizeof(*session));
    struct user *user = session ? user_get(mount->users, uid) : NULL;
    if (!user) {
        free(session);
        return -ENOMEM;
    }
    session->user = user;
    holding_init(&session->holding, user);
    session->refs = 1;
    session->mount = mount;
    session->uid = uid;
    session->gid = gid;
    session->serial = serial;
    mount->n_sessions_made = serial > mount->n_sessions_made ? serial : mount->n_sessions_made;
    session->name = name.ptr ? str_dup(name) : NULL;
    list_init(&session->used_link);
    list_init(&session->user_link);
    list_init(&session->ended_link);
    list_init(&session->all_link);
    list_append(&mount->all_sessions, &session->all_link);
    channel_init(&session->channel, mount);
    conversation_init(&session->conversation, mount->limits.setting_bytes);
    set_up_nodes(session);
    stamp(session);
    mount->counts.n_sessions++;
    if ((name.ptr && !session->name) || turn_new_idle(mount, &session->last) < 0) {
        session_unref(session);
        return -ENOMEM;
    }
    *ret = session;
    return 0;
}

int session_new(struct mount *mount, struct str name, uid_t uid, gid_t gid, struct session **ret)
{
    return session_restore(mount, name, uid, gid, mount->n_sessions_made + 1, ret);
}

struct session *session_ref(struct session *session)
{
    session->refs++;
    return session;
}

void session_unref(struct session *session)
{
    if (!session || --session->refs > 0) {
        return;
    }
    assert(!session->candidate && !session->writer);
    list_remove(&session->all_link);
    list_remove(&session->ended_link);
    channel_deinit(&session->channel);
    conversation_deinit(&session->conversation);
    composition_unref(session->composition);
    turn_unref(session->last);
    session->mount->counts.n_sessions--;
    holding_deinit(&session->holding);
    user_put(session->user);
    free(session->name);
    free(session);
}

void session_touch(struct session *session)
{
    if (session->name && !session->is_removed) {
        session_table_touch(session->mount->sessions, session);
    }
}

void session_weigh(struct session *session)
{
    const struct conversation *c = &session->conversation;
    const struct composition *composition = session->composition;
    uint64_t n_bytes = sizeof(*session) + c->messages.cap + c->system.cap + c->params.cap + c->tools.cap;
    holding_set(&session->holding, n_bytes + (composition ? composition_bytes(composition) : 0));
}

struct node *session_find_file(struct session *session, struct str name)
{
    for (size_t i = 0; i < SESSION_N_FILES; i++) {
        if (str_eq(name, str_from(session->files[i].type->name))) {
            return &session->files[i];
        }
    }
    return NULL;
}

bool session_is_busy(const struct session *session)
{
    return session->candidate || !turn_is_ended(session->last);
}

int session_fail(struct session *session, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    session->error = (struct tokfs_error){ .code = code };
    vsnprintf(session->error.msg, sizeof(session->error.msg), fmt, args);
    va_end(args);
    return code;
}

// ---- turns ---------------------------------------------------------------------------------------------------------

static void append_turn(struct session *session, struct turn *turn)
{
    turn_follow(session->last, turn);
    turn_unref(session->last);
    session->last = turn;
    session->n_turns++;
    stamp(session);
}

static void drop_composition(struct session *session)
{
    composition_unref(session->composition);
    session->composition = NULL;
    session_weigh(session);
}

static void on_accepted(struct turn *turn, void *ctx)
{
    struct session *session = ctx;
    if (session->candidate == turn) {
        session->candidate = NULL;
        append_turn(session, turn);
    }
    session->error = (struct tokfs_error){ 0 };
    composition_settle(session->composition);
    const struct conversation_input *input = composition_input(session->composition);
    if (session->adopts_settings && conversation_adopt_settings(&session->conversation, input) < 0) {
        session_fail(session, -EFBIG, "the parameters and tools are too long to be kept for the next turns");
    }
    session_weigh(session);
}

static int keep_turn(struct session *session, const struct turn *turn)
{
    struct strbuf message;
    strbuf_init(&message, 0);
    int r = turn_write_message(turn, &message);
    if (r == 0) {
        const struct conversation_input *input = composition_input(session->composition);
        r = conversation_extend(&session->conversation, input, strbuf_str(&message));
    }
    strbuf_deinit(&message);
    return r;
}

static void on_ended(struct turn *turn, void *ctx)
{
    struct session *session = ctx;
    bool is_kept = turn->state == TURN_DONE || (turn->state == TURN_CANCELLED && turn->text.len > 0);
    if (turn->error.code) {
        session->error = turn->error;
    } else if (session->error.code == -EBUSY) {
        session->error = (struct tokfs_error){ 0 }; // no longer so
    }
    if (is_kept && keep_turn(session, turn) < 0) {
        session_fail(session, -ENOMEM, "out of memory: the conversation lost its last turn");
    }
    drop_composition(session);
    stamp(session);
}

static struct turn_owner owner_of(struct session *session)
{
    return (struct turn_owner){ .channel = &session->channel,
                                .accepted = on_accepted,
                                .ended = on_ended,
                                .ctx = session,
                                .uid = session->uid,
                                .keeper = journal_keeps(session) ? session : NULL };
}

static int submit(struct session *session, struct str given, bool is_json, struct turn **ret)
{
    struct turn_owner owner = owner_of(session);
    size_t bytes_max = session->mount->limits.body_bytes;
    struct composition *composition;
    // As much as is there already goes to the engine too.
    int r = holding_grow(&session->holding, 2 * session->holding.n_bytes + given.len, &session->error);
    if (r < 0) {
        return r;
    }
    if (composition_new(&session->conversation, given, is_json, bytes_max, owner.keeper != NULL, &composition) < 0) {
        session_weigh(session);
        return session_fail(session, -ENOMEM, "out of memory");
    }
    struct tokfs_chat_source source = composition_source(composition);
    r = turn_submit_chat_from(session->mount, &source, &owner, ret, &session->error);
    if (r < 0) {
        source.release(source.ctx);
        composition_unref(composition);
        session_weigh(session);
        return r;
    }
    session->composition = composition;
    session_weigh(session);
    journal_turn_begun(session, *ret, given, !is_json);
    if (session->has_priority) {
        turn_set_priority(*ret, session->priority);
    }
    return 0;
}

static int check_idle(struct session *session)
{
    int r = session->name ? journal_check(session->mount) : 0;
    if (session_is_busy(session)) {
        return session_fail(session, -EBUSY, "a turn is running: read its answer, or cancel it");
    }
    if (r < 0) {
        return session_fail(session, r, "the journal failed: %s", strerror(-r));
    }
    return mount_is_draining(session->mount) ? session_fail(session, -ESHUTDOWN, "the mount is shutting down") : 0;
}

void session_refuse(struct session *session, const struct tokfs_error *reason)
{
    struct turn *turn;
    session->error = *reason;
    if (!session_is_busy(session) && turn_new_failed(session->mount, &session->error, &turn) == 0) {
        journal_turn_failed(session, turn);
        append_turn(session, turn);
        channel_mark(&session->channel);
    }
}

int session_submit_text(struct session *session, struct str text)
{
    struct turn *turn;
    int r = check_idle(session);
    if (r < 0 && r == journal_check(session->mount)) {
        struct tokfs_error reason = session->error;
        session_refuse(session, &reason); // its writer may have gone
    }
    if (r < 0) {
        return r;
    }
    session->error = (struct tokfs_error){ 0 };
    session->adopts_settings = false;
    r = submit(session, text, false, &turn);
    if (r < 0) {
        struct tokfs_error reason = session->error;
        session_refuse(session, &reason);
        return r;
    }
    append_turn(session, turn);
    channel_mark(&session->channel);
    return 0;
}

int session_submit_json(struct session *session, struct str json, bool adopts_settings)
{
    int r = check_idle(session);
    if (r < 0) {
        return r;
    }
    session->error = (struct tokfs_error){ 0 };
    session->adopts_settings = adopts_settings;
    return submit(session, json, true, &session->candidate);
}

int session_submit_result(struct session *session)
{
    struct turn *turn = session->candidate;
    if (!turn) {
        return 0;
    }
    if (!turn_is_ended(turn)) {
        return FILE_WAIT;
    }
    session->candidate = NULL;
    session->error = turn->error;
    turn_unref(turn);
    return session->error.code;
}

void session_abandon_candidate(struct session *session)
{
    struct turn *turn = session->candidate;
    if (turn) {
        journal_turn_refused(session);
        session->candidate = NULL;
        turn_disown(turn);
        turn_unref(turn);
        drop_composition(session);
        channel_mark(&session->channel);
    }
}

void session_cancel(struct session *session)
{
    if (session->candidate) {
        turn_cancel(session->candidate);
    }
    turn_cancel(session->last);
    if (session_is_busy(session)) {
        journal_cancelled(session);
    }
}

int session_set_priority(struct session *session, int64_t priority)
{
    if (priority < 0 && session->uid != session->mount->uid) {
        return session_fail(session, -EPERM, "ctl: priority %lld: only the owner of the mount goes below 0",
                            (long long)priority);
    }
    session->has_priority = true;
    session->priority = priority;
    journal_priority_set(session);
    turn_set_priority(session->last, priority);
    if (session->candidate) {
        turn_set_priority(session->candidate, priority);
    }
    return 0;
}

int session_reset(struct session *session)
{
    struct conversation *c = &session->conversation;
    const struct turn *cut = turn_is_ended(session->last) ? NULL : session->last;
    session_abandon_candidate(session);
    turn_disown(session->last);
    drop_composition(session);
    strbuf_reset(&c->messages);
    c->n_messages = 0;
    session->error = (struct tokfs_error){ 0 };
    stamp(session);
    journal_session_reset(session, cut);
    channel_mark(&session->channel);
    return 0;
}

// What a removed session said and was told goes at once; the rest of it when the kernel has forgotten its names.
static void forget_texts(struct session *session)
{
    struct turn *idle;
    conversation_deinit(&session->conversation);
    conversation_init(&session->conversation, session->mount->limits.setting_bytes);
    if (turn_new_idle(session->mount, &idle) == 0) {
        turn_unref(session->last);
        session->last = idle;
    }
    drop_composition(session);
}

void session_remove(struct session *session)
{
    session->is_removed = true;
    session_abandon_candidate(session);
    turn_disown(session->last);
    channel_mark(&session->channel);
    forget_texts(session);
    pruner_add(&session->mount->pruner, session);
}

// ---- recovery ------------------------------------------------------------------------------------------------------

static int recover_composition(struct session *session, const struct session_recovered_turn *recovered)
{
    size_t bytes_max = session->mount->limits.body_bytes;
    if (recovered->made) {
        return composition_restore(recovered->made, &session->composition);
    }
    int r = composition_new(&session->conversation, recovered->given, !recovered->is_text, bytes_max, true,
                            &session->composition);
    if (r == 0) {
        r = composition_make(session->composition, &session->error);
    }
    return r == -ENOMEM ? r : 0; // what was refused then is refused now: it has no body
}

int session_recover_turn(struct session *session, const struct session_recovered_turn *recovered)
{
    struct turn_owner owner = owner_of(session);
    struct turn *turn;
    owner.keeper = session;
    int r = turn_new_recovered(session->mount, recovered->id, recovered->created, &owner, &recovered->origin, &turn);
    if (r < 0) {
        return r;
    }
    session->error = (struct tokfs_error){ 0 };
    session->adopts_settings = recovered->adopts_settings;
    if (recovered->is_text) {
        append_turn(session, turn);
        session->n_turns -= recovered->made != NULL; // the session has told of it
    } else {
        session->candidate = turn;
    }
    return recover_composition(session, recovered);
}

int session_recover_answer(struct session *session, enum turn_state state, struct record_reader *reader,
                           int (*get)(struct record_reader *reader, struct turn *turn))
{
    const struct tokfs_error none = { 0 };
    struct turn *turn;
    if (turn_new_failed(session->mount, &none, &turn) < 0) {
        return -ENOMEM;
    }
    struct timespec changed = session->changed;
    turn->state = state;
    turn->user = user_get(session->mount->users, session->uid); // there, as the session has him
    holding_init(&turn->holding, turn->user);
    append_turn(session, turn);
    session->n_turns--; // the session has told of it
    session->changed = changed;
    int r = get(reader, turn);
    session->error = turn->error;
    return r;
}

void session_resume(struct session *session)
{
    struct turn *turn = session->last;
    if (session->candidate && session->adopts_settings) {
        session_table_remove(session->mount->sessions, session); // it was to create the session
    } else if (session->candidate) {
        session_abandon_candidate(session);
    } else if (turn->trail && composition_body(session->composition).len == 0) {
        struct tokfs_error reason = session->error; // it could not be put together
        turn_fail(turn, &reason);
    } else if (turn->trail) {
        turn_resume(turn, composition_body(session->composition));
        if (session->has_priority) {
            turn_set_priority(turn, session->priority);
        }
    }
}
