// What happens to conversations, as records: the bodies are written here and read in recovery.c.
//
// All records but HEAD and MARK begin with the serial number of their session.
#include "fs/event_record.h"
#include "fs/journal.h"
#include "fs/journal_record.h"
#include "fs/mount.h"
#include "fs/session.h"
#include "fs/session_files.h"
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

// ---- the head ------------------------------------------------------------------------------------------------------

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// What the text of a prompt is made into tokens with.
static uint64_t hash_model_files(const struct tokfs_engine *engine)
{
    static const char *const names[] = { "config.json", "tokenizer.json" };
    size_t n;
    const struct tokfs_model_file *files = tokfs_engine_model_files(engine, &n);
    uint64_t hash = 0;
    for (size_t i = 0; i < n * 2; i++) {
        const struct tokfs_model_file *file = &files[i / 2];
        if (str_eq(str_from(file->name), str_from(names[i % 2]))) {
            hash = XXH3_64bits_withSeed(file->bytes, file->len, hash);
        }
    }
    return hash;
}

void journal_put_head(const struct mount *mount, struct strbuf *out)
{
    const struct tokfs_engine_info *info = &mount->info;
    strbuf_reset(out);
    record_put_u32(out, JOURNAL_FORMAT);
    record_put_str(out, STR(TOKFS_VERSION));
    record_put_str(out, str_from(info->model));
    record_put_str(out, str_from(info->architecture));
    record_put_u64(out, info->n_vocab);
    record_put_u64(out, info->n_params);
    record_put_u64(out, hash_model_files(mount->engine));
    record_put_str(out, str_from(info->fingerprint));
    record_put_u64(out, info->weights_hash);
    record_put_u64(out, info->tokenizer_hash);
}

// ---- appending -----------------------------------------------------------------------------------------------------

bool journal_keeps(const struct session *session)
{
    return session->mount->journal && session->name && !session->is_removed;
}

static struct strbuf *begin(const struct session *session)
{
    struct strbuf *body = &session->mount->journal->body;
    strbuf_clear(body, JOURNAL_KEEP_BYTES);
    record_put_u64(body, session->serial);
    return body;
}

static void add(struct journal_file *file, enum record_type type, const struct strbuf *body)
{
    if (body->error && !file->gather.error) {
        file->gather.error = body->error;
    }
    journal_file_append(file, type, strbuf_str(body));
}

static void append(const struct session *session, enum record_type type)
{
    struct journal *j = session->mount->journal;
    if (!j->error) {
        add(&j->file, type, &j->body);
        j->n_appended++;
        j->stats.n_records++;
    }
    bool is_compacting = j->compaction.stage >= COMPACTION_WRITING && j->compaction.stage < COMPACTION_CLEANING;
    if (is_compacting && session->journal_generation == j->generation) {
        add(&j->compaction.file, type, &j->body);
    }
}

// The draft that this is the effect of is ended by it.
static void put_draft(struct journal *j)
{
    record_put_u64(&j->body, j->draft_in_hand);
    j->draft_in_hand = 0;
}

static void put_session(struct strbuf *body, const struct session *session)
{
    record_put_str(body, str_from(session->name));
    record_put_u32(body, session->uid);
    record_put_u32(body, session->gid);
    record_put_u64(body, (uint64_t)session->changed.tv_sec * 1000000000u + (uint64_t)session->changed.tv_nsec);
    record_put_u64(body, session->n_turns);
    record_put_u32(body, session->creator.n);
    for (unsigned i = 0; i < session->creator.n; i++) {
        record_put_u32(body, (uint32_t)session->creator.link[i].pid);
        record_put_u64(body, session->creator.link[i].start);
    }
}

void journal_session_made(struct session *session)
{
    if (journal_keeps(session)) {
        session->journal_generation = session->mount->journal->generation; // no need to look at it again
        put_session(begin(session), session);
        append(session, RECORD_SESSION);
    }
}

void journal_session_renamed(struct session *session)
{
    if (journal_keeps(session)) {
        record_put_str(begin(session), str_from(session->name));
        append(session, RECORD_RENAME);
    }
}

void journal_session_removed(struct session *session)
{
    if (journal_keeps(session)) {
        begin(session);
        append(session, RECORD_REMOVE);
    }
}

static const struct strbuf *setting_of(const struct session *session, enum journal_setting which)
{
    const struct conversation *c = &session->conversation;
    return which == JOURNAL_SYSTEM ? &c->system : which == JOURNAL_PARAMS ? &c->params : &c->tools;
}

void journal_setting_set(struct session *session, enum journal_setting which)
{
    if (journal_keeps(session)) {
        struct strbuf *body = begin(session);
        put_draft(session->mount->journal);
        record_put_u8(body, (uint8_t)which);
        record_put_str(body, strbuf_str(setting_of(session, which)));
        append(session, RECORD_SETTING);
    }
}

void journal_priority_set(struct session *session)
{
    if (journal_keeps(session)) {
        record_put_u64(begin(session), (uint64_t)session->priority);
        append(session, RECORD_PRIORITY);
    }
}

void journal_session_reset(struct session *session, const struct turn *cut)
{
    if (journal_keeps(session)) {
        struct strbuf *body = begin(session);
        record_put_u64(body, now_ns());
        if (cut) { // events of it were recorded that nobody has seen
            const struct turn_extent extent = turn_extent(cut);
            record_put_u64(body, extent.text_len);
            record_put_u64(body, extent.hidden_len);
            record_put_u64(body, extent.n_pieces);
            record_put_u64(body, extent.n_probs);
            record_put_u64(body, extent.n_tokens);
        }
        append(session, RECORD_RESET);
    }
}

void journal_cancelled(struct session *session)
{
    if (journal_keeps(session)) {
        begin(session);
        append(session, RECORD_CANCEL);
    }
}

// ---- turns ---------------------------------------------------------------------------------------------------------

static void put_turn(struct strbuf *body, const struct session *session, const struct turn *turn, unsigned flags)
{
    const struct tokfs_origin *origin = &turn->trail->origin;
    record_put_str(body, str_from(turn->id));
    record_put_u64(body, (uint64_t)turn->created);
    record_put_u8(body, (uint8_t)(flags | (session->adopts_settings ? JOURNAL_TURN_ADOPTS : 0)));
    record_put_u64(body, origin->seed);
    record_put_u64(body, origin->call_seed);
    record_put_u64(body, (uint64_t)origin->now);
}

void journal_turn_begun(struct session *session, const struct turn *turn, struct str given, bool is_text)
{
    if (journal_keeps(session) && turn->trail) {
        struct strbuf *body = begin(session);
        put_draft(session->mount->journal);
        put_turn(body, session, turn, is_text ? JOURNAL_TURN_IS_TEXT : 0);
        record_put_str(body, given);
        append(session, RECORD_TURN);
    }
}

void journal_turn_refused(struct session *session)
{
    if (journal_keeps(session)) {
        begin(session);
        append(session, RECORD_REFUSED);
    }
}

void journal_turn_failed(struct session *session, const struct turn *turn)
{
    if (journal_keeps(session)) {
        struct strbuf *body = begin(session);
        put_draft(session->mount->journal);
        record_put_u64(body, (uint64_t)turn->created);
        record_put_error(body, &turn->error);
        append(session, RECORD_FAILED);
    }
}

struct str journal_event_came(const struct turn *turn, const struct tokfs_event *event)
{
    const struct session *session = turn->trail->session;
    struct strbuf *body = begin(session);
    size_t first = body->len;
    event_record_put(body, event);
    size_t len = body->len - first;
    if (event->kind == TOKFS_EVENT_FINISHED || event->kind == TOKFS_EVENT_FAILED) {
        record_put_u64(body, now_ns());
    }
    append(session, RECORD_EVENT);
    return str_take(str_skip(strbuf_str(body), first), len);
}

// ---- drafts --------------------------------------------------------------------------------------------------------

static bool has_draft(const struct file *file)
{
    return file->draft_id != 0 && file->session && journal_keeps(file->session);
}

static void put_draft_bytes(struct strbuf *body, const struct file *file, struct str bytes)
{
    record_put_u64(body, file->draft_id);
    record_put_u8(body, (uint8_t)(file->node - file->session->files)); // which file
    record_put_u32(body, (uint32_t)file->flags);
    record_put_u32(body, file->uid);
    record_put_u32(body, file->gid);
    record_put_str(body, bytes);
}

static void drop_draft(struct file *file)
{
    record_put_u64(begin(file->session), file->draft_id);
    append(file->session, RECORD_DRAFT_END);
    file->draft_id = 0;
    file->session->n_drafts--;
}

void journal_draft_changed(struct file *file, struct str bytes, int result)
{
    struct session *session = file->session;
    if (result < 0 || !file->type->put_draft || !file->type->put_draft(file, NULL)) {
        if (has_draft(file)) {
            drop_draft(file);
        }
    } else if (session && journal_keeps(session)) {
        if (file->draft_id == 0) {
            file->draft_id = ++session->mount->journal->n_drafts_made;
            session->n_drafts++;
        }
        put_draft_bytes(begin(session), file, bytes);
        append(session, RECORD_DRAFT);
    }
}

void journal_draft_closing(struct file *file)
{
    if (has_draft(file)) {
        file->session->mount->journal->draft_in_hand = file->draft_id;
    }
}

void journal_draft_closed(struct file *file)
{
    if (!has_draft(file)) {
        return;
    }
    struct journal *j = file->session->mount->journal;
    if (j->draft_in_hand != 0 && !mount_is_draining(j->mount)) { // else it takes effect at the next start
        drop_draft(file);
    } else {
        file->draft_id = 0;
        file->session->n_drafts--;
    }
    j->draft_in_hand = 0;
}

// ---- a session as a whole ------------------------------------------------------------------------------------------

static void put(struct journal *j, enum record_type type)
{
    add(&j->compaction.file, type, &j->body);
}

static void put_pieces(struct strbuf *body, const struct turn *turn)
{
    record_put_u32(body, (uint32_t)turn->n_pieces);
    for (size_t i = 0; i < turn->n_pieces; i++) {
        const struct turn_piece *piece = &turn->pieces[i];
        record_put_u64(body, piece->offset);
        record_put_u32(body, (uint32_t)piece->len);
        record_put_u8(body, (uint8_t)piece->part);
        record_put_u8(body, (uint8_t)piece->call_idx);
        record_put_u64(body, piece->sampled_ns);
        record_put_u32(body, (uint32_t)piece->token_id);
        record_put_u32(body, piece->n_probs);
        record_put_u64(body, piece->first_prob);
    }
}

static void put_answer(struct strbuf *body, const struct turn *turn)
{
    const struct turn_trail *trail = turn->trail;
    record_put_u8(body, (uint8_t)turn->state);
    record_put_u8(body, (uint8_t)((turn->is_accepted ? JOURNAL_ANSWER_ACCEPTED : 0) |
                                  (turn->stream ? JOURNAL_ANSWER_STREAM : 0) |
                                  (turn->include_usage ? JOURNAL_ANSWER_USAGE : 0) |
                                  (turn->timings_per_token ? JOURNAL_ANSWER_TIMINGS : 0) |
                                  (turn->has_logprobs ? JOURNAL_ANSWER_LOGPROBS : 0)));
    record_put_u32(body, turn->n_top_logprobs);
    record_put_u32(body, (uint32_t)turn->prompt_logprobs);
    record_put_str(body, str_from(turn->id));
    record_put_u64(body, (uint64_t)turn->created);
    record_put_u64(body, turn->n_tokens);
    record_put_u64(body, turn->open_call);
    record_put_usage(body, &turn->usage);
    record_put_error(body, &turn->error);
    record_put_str(body, str_from(turn->finish_reason));
    record_put_str(body, strbuf_str(&turn->text));
    record_put_str(body, strbuf_str(&turn->hidden));
    record_put_probs(body, turn->probs, turn->n_probs);
    put_pieces(body, turn);
    record_put_u64(body, trail ? trail->n_told : 0);
    record_put_u8(body, trail && trail->is_cancelled);
    record_put_u32(body, trail ? (uint32_t)trail->n_ids : 0);
    for (size_t i = 0; trail && i < trail->n_ids; i++) {
        record_put_u32(body, (uint32_t)trail->ids[i]);
    }
}

// One that runs has been accepted, so that what came of the user's words is known: see journal_can_put.
static void put_last(struct journal *j, const struct session *session)
{
    const struct turn *turn = session->last;
    if (turn->trail) {
        const struct conversation_input *input = composition_input(session->composition);
        struct strbuf *body = begin(session);
        record_put_u64(body, 0); // no draft
        put_turn(body, session, turn, JOURNAL_TURN_IS_TEXT | JOURNAL_TURN_IS_MADE);
        record_put_u64(body, input->n_messages);
        record_put_str(body, strbuf_str(&input->messages));
        record_put_str(body, strbuf_str(&input->fields));
        record_put_str(body, strbuf_str(&input->tools));
        record_put_str(body, composition_body(session->composition));
        put(j, RECORD_TURN);
    }
    if (turn->state != TURN_IDLE) {
        put_answer(begin(session), turn);
        put(j, RECORD_ANSWER);
    }
}

static void put_drafts(struct journal *j, const struct session *session)
{
    list_for_each(link, next, &j->mount->files)
    {
        struct file *file = list_entry(link, struct file, link);
        if (file->session == session && file->draft_id != 0) {
            struct strbuf given;
            strbuf_init(&given, 0);
            file->type->put_draft(file, &given);
            struct strbuf *body = begin(session);
            put_draft_bytes(body, file, strbuf_str(&given));
            body->error = body->error ? body->error : given.error;
            put(j, RECORD_DRAFT);
            strbuf_deinit(&given);
        }
    }
}

// What was appended, to the old file only, and is not yet applied.
static void put_waiting(struct journal *j, const struct session *session, const struct journal_batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        const struct journal_event *event = &batch->events[i];
        if (event->turn->trail && event->turn->trail->session == session) {
            strbuf_append(begin(session), str_take(str_skip(strbuf_str(&batch->bodies), event->begin), event->len));
            if (journal_event_is_end(str_skip(strbuf_str(&j->body), 8))) {
                record_put_u64(&j->body, now_ns());
            }
            put(j, RECORD_EVENT);
        }
    }
}

bool journal_can_put(const struct session *session)
{
    return !session->candidate && session->last->state != TURN_SUBMITTED;
}

void journal_put_session(struct journal *j, struct session *session)
{
    const struct conversation *c = &session->conversation;
    put_session(begin(session), session);
    put(j, RECORD_SESSION);
    for (int which = JOURNAL_SYSTEM; which <= JOURNAL_TOOLS; which++) {
        const struct strbuf *setting = setting_of(session, (enum journal_setting)which);
        if (setting->len > 0) {
            struct strbuf *body = begin(session);
            record_put_u64(body, 0); // no draft
            record_put_u8(body, (uint8_t)which);
            record_put_str(body, strbuf_str(setting));
            put(j, RECORD_SETTING);
        }
    }
    if (c->n_messages > 0) {
        struct strbuf *body = begin(session);
        record_put_u64(body, c->n_messages);
        record_put_str(body, strbuf_str(&c->messages));
        put(j, RECORD_MESSAGES);
    }
    if (session->has_priority) {
        record_put_u64(begin(session), (uint64_t)session->priority);
        put(j, RECORD_PRIORITY);
    }
    put_last(j, session);
    if (session->n_drafts > 0) {
        put_drafts(j, session);
    }
    put_waiting(j, session, &j->flight);
    put_waiting(j, session, &j->gather);
    session->journal_generation = j->generation;
}
