// The reader of what journal_write.c writes. Nothing is recorded while this runs (mount->journal is not set yet).
//
// Bodies have been checked by their sums; what is still wrong with one was not written by this program.
#include "fs/recovery_apply.h"
#include "fs/event_record.h"
#include "fs/journal.h"
#include "fs/journal_record.h"
#include "fs/mount.h"
#include "fs/recovery.h"
#include "fs/session_table.h"
#include <errno.h>
#include <stdlib.h>

int recovery_new(struct mount *mount, struct recovery **ret)
{
    struct recovery *recovery = calloc(1, sizeof(*recovery));
    struct found_session **buckets = calloc(RECOVERY_BUCKETS, sizeof(*buckets));
    if (!recovery || !buckets) {
        free(recovery);
        free(buckets);
        return -ENOMEM;
    }
    recovery->mount = mount;
    recovery->buckets = buckets;
    list_init(&recovery->drafts);
    *ret = recovery;
    return 0;
}

void recovery_drop_draft(struct found_draft *draft)
{
    list_remove(&draft->link);
    strbuf_deinit(&draft->bytes);
    free(draft);
}

void recovery_free(struct recovery *recovery)
{
    if (!recovery) {
        return;
    }
    while (!list_is_empty(&recovery->drafts)) {
        recovery_drop_draft(list_entry(recovery->drafts.next, struct found_draft, link));
    }
    for (size_t i = 0; i < RECOVERY_BUCKETS; i++) {
        for (struct found_session *found = recovery->buckets[i], *next; found; found = next) {
            next = found->next;
            free(found);
        }
    }
    free(recovery->buckets);
    free(recovery);
}

// ---- finding -------------------------------------------------------------------------------------------------------

// What points to the one of this number, or to the end of its bucket.
static struct found_session **find(struct recovery *r, uint64_t serial)
{
    struct found_session **at = &r->buckets[serial % RECOVERY_BUCKETS];
    while (*at && (*at)->session->serial != serial) {
        at = &(*at)->next;
    }
    return at;
}

static struct found_draft *find_draft(struct recovery *r, uint64_t id)
{
    list_for_each(link, next, &r->drafts)
    {
        struct found_draft *draft = list_entry(link, struct found_draft, link);
        if (draft->id == id) {
            return draft;
        }
    }
    return NULL;
}

static void end_draft(struct recovery *r, uint64_t id)
{
    struct found_draft *draft = id != 0 ? find_draft(r, id) : NULL;
    if (draft) {
        recovery_drop_draft(draft);
    }
}

static struct timespec time_of(uint64_t ns)
{
    return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };
}

// The turn that runs, or waits for its acceptance; NULL: none.
static struct turn *running_turn(const struct session *session)
{
    struct turn *turn = session->candidate ? session->candidate : session->last;
    return turn->trail ? turn : NULL;
}

static int set_text(struct strbuf *to, struct str text)
{
    strbuf_reset(to);
    return strbuf_append(to, text) == 0 ? 0 : to->error == -EFBIG ? -EBADMSG : -ENOMEM;
}

// ---- sessions ------------------------------------------------------------------------------------------------------

static void get_creator(struct record_reader *reader, struct ancestry *ret)
{
    uint32_t n = record_get_count(reader, 12);
    if (n > ANCESTRY_MAX) {
        reader->is_bad = true;
        return;
    }
    for (ret->n = 0; ret->n < n; ret->n++) {
        ret->link[ret->n].pid = (pid_t)record_get_u32(reader);
        ret->link[ret->n].start = record_get_u64(reader);
    }
}

static int apply_session(struct recovery *r, uint64_t serial, struct record_reader *reader)
{
    struct found_session **at = find(r, serial);
    struct str name = record_get_str(reader);
    uid_t uid = record_get_u32(reader);
    gid_t gid = record_get_u32(reader);
    struct timespec changed = time_of(record_get_u64(reader));
    uint64_t n_turns = record_get_u64(reader);
    struct ancestry creator = { 0 };
    struct session *session;
    get_creator(reader, &creator);
    if (reader->is_bad || *at || serial == 0) {
        return -EBADMSG;
    }
    struct found_session *found = calloc(1, sizeof(*found));
    int rc = found ? session_table_restore(r->mount->sessions, name, uid, gid, serial, &session) : -ENOMEM;
    if (rc < 0) {
        free(found);
        return rc == -ENOMEM ? rc : -EBADMSG;
    }
    session->changed = changed;
    session->n_turns = n_turns;
    session->creator = creator;
    found->session = session;
    *at = found;
    return 0;
}

static int apply_remove(struct recovery *r, struct session *session)
{
    struct found_session **at = find(r, session->serial), *found = *at;
    *at = found->next;
    free(found);
    list_for_each(link, next, &r->drafts)
    {
        struct found_draft *draft = list_entry(link, struct found_draft, link);
        if (draft->session == session) {
            recovery_drop_draft(draft);
        }
    }
    session_table_remove(r->mount->sessions, session);
    return 0;
}

static int apply_rename(struct recovery *r, struct session *session, struct record_reader *reader)
{
    struct str name = record_get_str(reader);
    if (reader->is_bad || session_table_find(r->mount->sessions, name)) {
        return -EBADMSG;
    }
    int rc = session_table_rename(r->mount->sessions, session, name);
    return rc == 0 || rc == -ENOMEM ? rc : -EBADMSG;
}

static int apply_setting(struct recovery *r, struct session *session, struct record_reader *reader)
{
    struct conversation *c = &session->conversation;
    uint64_t draft_id = record_get_u64(reader);
    uint8_t which = record_get_u8(reader);
    struct str text = record_get_str(reader);
    if (reader->is_bad || which > JOURNAL_TOOLS) {
        return -EBADMSG;
    }
    end_draft(r, draft_id);
    return set_text(which == JOURNAL_SYSTEM ? &c->system : which == JOURNAL_PARAMS ? &c->params : &c->tools, text);
}

static int apply_messages(struct session *session, struct record_reader *reader)
{
    uint64_t n = record_get_u64(reader);
    struct str messages = record_get_str(reader);
    session->conversation.n_messages = n;
    return reader->is_bad ? -EBADMSG : set_text(&session->conversation.messages, messages);
}

static int apply_reset(struct session *session, struct record_reader *reader)
{
    struct timespec changed = time_of(record_get_u64(reader));
    bool is_cut = reader->rest.len > 0;
    session_reset(session);
    session->changed = changed;
    if (!is_cut) {
        return reader->is_bad ? -EBADMSG : 0;
    }
    struct turn_extent extent;
    extent.text_len = record_get_u64(reader);
    extent.hidden_len = record_get_u64(reader);
    extent.n_pieces = record_get_u64(reader);
    extent.n_probs = record_get_u64(reader);
    extent.n_tokens = record_get_u64(reader);
    return reader->is_bad || !turn_cut(session->last, &extent) ? -EBADMSG : 0;
}

// ---- drafts --------------------------------------------------------------------------------------------------------

static int apply_draft(struct recovery *r, struct session *session, struct record_reader *reader)
{
    uint64_t id = record_get_u64(reader);
    uint8_t file_idx = record_get_u8(reader);
    int flags = (int)record_get_u32(reader);
    uid_t uid = record_get_u32(reader);
    gid_t gid = record_get_u32(reader);
    struct str bytes = record_get_str(reader);
    struct found_draft *draft = find_draft(r, id);
    if (reader->is_bad || file_idx >= SESSION_N_FILES || (draft && draft->session != session)) {
        return -EBADMSG;
    }
    if (!draft) {
        draft = calloc(1, sizeof(*draft));
        if (!draft) {
            return -ENOMEM;
        }
        *draft = (struct found_draft){
            .session = session, .id = id, .file_idx = file_idx, .flags = flags, .uid = uid, .gid = gid
        };
        strbuf_init(&draft->bytes, 0);
        list_init(&draft->link);
        list_append(&r->drafts, &draft->link);
        r->n_drafts_made = id > r->n_drafts_made ? id : r->n_drafts_made;
    }
    return strbuf_append(&draft->bytes, bytes);
}

// ---- turns ---------------------------------------------------------------------------------------------------------

static int get_made(struct record_reader *reader, struct composition_made *made)
{
    conversation_input_init(&made->input);
    strbuf_init(&made->body, 0);
    made->input.n_messages = record_get_u64(reader);
    int rc = set_text(&made->input.messages, record_get_str(reader));
    rc = rc == 0 ? set_text(&made->input.fields, record_get_str(reader)) : rc;
    rc = rc == 0 ? set_text(&made->input.tools, record_get_str(reader)) : rc;
    rc = rc == 0 ? set_text(&made->body, record_get_str(reader)) : rc;
    return rc == 0 && reader->is_bad ? -EBADMSG : rc;
}

static int apply_turn(struct recovery *r, struct session *session, struct record_reader *reader)
{
    struct session_recovered_turn turn = { 0 };
    struct composition_made made;
    uint64_t draft_id = record_get_u64(reader);
    turn.id = record_get_str(reader);
    turn.created = (int64_t)record_get_u64(reader);
    uint8_t flags = record_get_u8(reader);
    turn.is_text = flags & JOURNAL_TURN_IS_TEXT;
    turn.adopts_settings = flags & JOURNAL_TURN_ADOPTS;
    turn.origin.seed = record_get_u64(reader);
    turn.origin.call_seed = record_get_u64(reader);
    turn.origin.now = (int64_t)record_get_u64(reader);
    if (reader->is_bad || session_is_busy(session)) {
        return -EBADMSG;
    }
    int rc = 0;
    if (flags & JOURNAL_TURN_IS_MADE) {
        turn.made = &made;
        rc = get_made(reader, &made);
    } else {
        turn.given = record_get_str(reader);
        rc = reader->is_bad ? -EBADMSG : 0;
    }
    if (rc < 0) {
        if (turn.made) {
            conversation_input_deinit(&made.input);
            strbuf_deinit(&made.body);
        }
        return rc;
    }
    end_draft(r, draft_id);
    rc = session_recover_turn(session, &turn);
    session_touch(session);
    session->changed = (struct timespec){ .tv_sec = (time_t)turn.created };
    return rc;
}

static int apply_event(struct recovery *r, struct session *session, struct record_reader *reader)
{
    struct event_record record;
    struct turn *turn = running_turn(session);
    bool is_end = journal_event_is_end(reader->rest);
    event_record_get(reader, r->mount->engine, &record);
    struct timespec now = time_of(is_end ? record_get_u64(reader) : 0);
    if (reader->is_bad) {
        return -EBADMSG;
    }
    if (turn) { // none: it ended here, by itself, before the engine heard of it
        journal_apply(turn, &record.event);
    }
    if (is_end) {
        session->changed = now;
    }
    if (session->candidate && turn_is_ended(session->candidate)) {
        session_submit_result(session); // it was refused
    }
    return 0;
}

static int apply_refused(struct session *session)
{
    if (session->candidate) {
        session_abandon_candidate(session);
    } else {
        turn_disown(session->last); // it was accepted in the same moment
    }
    return 0;
}

static int apply_failed(struct recovery *r, struct session *session, struct record_reader *reader)
{
    uint64_t draft_id = record_get_u64(reader);
    int64_t created = (int64_t)record_get_u64(reader);
    struct tokfs_error error = record_get_error(reader);
    if (reader->is_bad) {
        return -EBADMSG;
    }
    end_draft(r, draft_id);
    session_refuse(session, &error);
    if (!session_is_busy(session)) {
        session->last->created = created;
    }
    return 0;
}

static int apply_cancel(struct session *session)
{
    struct turn *turn = running_turn(session);
    if (turn) {
        turn->trail->is_cancelled = true;
    }
    return 0;
}

// ---- answers -------------------------------------------------------------------------------------------------------

static bool is_inside(const struct turn *turn, const struct turn_piece *piece)
{
    const struct strbuf *in = piece->part == TOKFS_PART_CONTENT ? &turn->text : &turn->hidden;
    size_t n_after = 0; // a name is followed by the id of its call, both with their NUL
    if (piece->part == TOKFS_PART_CALL && piece->offset <= in->len && piece->len < in->len - piece->offset) {
        struct str rest = str_skip(strbuf_str(in), piece->offset + piece->len + 1), id;
        n_after = str_cut(rest, '\0', &id).ptr ? id.len + 2 : SIZE_MAX / 2;
    }
    return piece->offset <= in->len && piece->len <= in->len - piece->offset &&
           n_after <= in->len - piece->offset - piece->len && piece->first_prob <= turn->n_probs &&
           piece->n_probs <= turn->n_probs - piece->first_prob;
}

static int get_pieces(struct record_reader *reader, struct turn *turn)
{
    size_t n = record_get_count(reader, 38);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct turn_piece piece = { .offset = record_get_u64(reader) };
        piece.len = record_get_u32(reader);
        piece.part = (enum tokfs_part)record_get_u8(reader);
        piece.call_idx = record_get_u8(reader);
        piece.sampled_ns = record_get_u64(reader);
        piece.token_id = (int32_t)record_get_u32(reader);
        piece.n_probs = record_get_u32(reader);
        piece.first_prob = record_get_u64(reader);
        bool is_good = piece.part <= TOKFS_PART_ARGUMENTS && is_inside(turn, &piece);
        rc = is_good ? turn_add_piece(turn, &piece) : -EBADMSG;
    }
    return rc;
}

static int get_answer_probs(struct record_reader *reader, struct turn *turn)
{
    struct record_reader ahead = *reader;
    size_t n = record_get_count(&ahead, 8);
    turn->probs = n > 0 ? calloc(n, sizeof(*turn->probs)) : NULL;
    if (n > 0 && !turn->probs) {
        return -ENOMEM;
    }
    turn->probs_cap = n;
    turn->n_probs = record_get_probs(reader, turn->mount->engine, turn->probs, n);
    return 0;
}

static int get_trail(struct record_reader *reader, struct turn *turn)
{
    struct turn_trail *trail = turn->trail;
    uint64_t n_told = record_get_u64(reader);
    bool is_cancelled = record_get_u8(reader);
    uint32_t n_ids = record_get_count(reader, 4);
    if (!trail || reader->is_bad) {
        return reader->is_bad || n_ids > 0 ? -EBADMSG : 0;
    }
    int rc = 0;
    for (uint32_t i = 0; i < n_ids && rc == 0; i++) {
        const struct tokfs_event event = { .token_id = (int32_t)record_get_u32(reader) };
        rc = turn_trail_add(trail, &event);
    }
    trail->n_told = n_told;
    trail->is_cancelled = is_cancelled;
    return rc;
}

static int get_answer(struct record_reader *reader, struct turn *turn)
{
    uint8_t flags = record_get_u8(reader);
    turn->is_accepted = flags & JOURNAL_ANSWER_ACCEPTED;
    turn->stream = flags & JOURNAL_ANSWER_STREAM;
    turn->include_usage = flags & JOURNAL_ANSWER_USAGE;
    turn->timings_per_token = flags & JOURNAL_ANSWER_TIMINGS;
    turn->has_logprobs = flags & JOURNAL_ANSWER_LOGPROBS;
    turn->n_top_logprobs = record_get_u32(reader);
    turn->prompt_logprobs = (int)record_get_u32(reader);
    record_get_cstr(reader, turn->id, sizeof(turn->id));
    turn->created = (int64_t)record_get_u64(reader);
    turn->n_tokens = record_get_u64(reader);
    turn->open_call = record_get_u64(reader);
    turn->usage = record_get_usage(reader);
    turn->error = record_get_error(reader);
    record_get_cstr(reader, turn->finish_reason, sizeof(turn->finish_reason));
    turn->n = 1;
    int rc = turn_begin_choices(turn);
    rc = rc == 0 ? set_text(&turn->text, record_get_str(reader)) : rc;
    rc = rc == 0 ? set_text(&turn->hidden, record_get_str(reader)) : rc;
    rc = rc == 0 ? get_answer_probs(reader, turn) : rc;
    rc = rc == 0 ? get_pieces(reader, turn) : rc;
    rc = rc == 0 ? get_trail(reader, turn) : rc;
    if (rc == 0 && (reader->is_bad || turn->open_call > turn->n_pieces)) {
        rc = -EBADMSG;
    }
    return rc;
}

static int apply_answer(struct session *session, struct record_reader *reader)
{
    enum turn_state state = (enum turn_state)record_get_u8(reader);
    bool is_ended = state >= TURN_DONE && state <= TURN_FAILED;
    if ((!is_ended && (state < TURN_QUEUED || state > TURN_DECODE)) || is_ended == (running_turn(session) != NULL)) {
        return -EBADMSG;
    }
    if (is_ended) {
        return session_recover_answer(session, state, reader, get_answer);
    }
    struct turn *turn = running_turn(session);
    if (turn->state != TURN_SUBMITTED) {
        return -EBADMSG;
    }
    turn->state = state;
    return get_answer(reader, turn);
}

// ---- any -----------------------------------------------------------------------------------------------------------

int recovery_apply(struct recovery *r, const struct record *record)
{
    struct record_reader reader = { .rest = record->body };
    uint64_t serial = record_get_u64(&reader);
    if (record->type == RECORD_SESSION) {
        return apply_session(r, serial, &reader);
    }
    struct found_session *found = *find(r, serial);
    if (!found) {
        return -EBADMSG;
    }
    struct session *session = found->session;
    switch (record->type) {
    case RECORD_RENAME: return apply_rename(r, session, &reader);
    case RECORD_REMOVE: return apply_remove(r, session);
    case RECORD_SETTING: return apply_setting(r, session, &reader);
    case RECORD_MESSAGES: return apply_messages(session, &reader);
    case RECORD_PRIORITY:
        session->priority = (int64_t)record_get_u64(&reader);
        session->has_priority = true;
        return 0;
    case RECORD_RESET: return apply_reset(session, &reader);
    case RECORD_DRAFT: return apply_draft(r, session, &reader);
    case RECORD_DRAFT_END: end_draft(r, record_get_u64(&reader)); return 0;
    case RECORD_TURN: return apply_turn(r, session, &reader);
    case RECORD_EVENT: return apply_event(r, session, &reader);
    case RECORD_REFUSED: return apply_refused(session);
    case RECORD_FAILED: return apply_failed(r, session, &reader);
    case RECORD_CANCEL: return apply_cancel(session);
    case RECORD_ANSWER: return apply_answer(session, &reader);
    case RECORD_HEAD:
    case RECORD_MARK:
    case RECORD_SESSION:
    case RECORD_TYPES_END: break;
    }
    return -EBADMSG;
}
