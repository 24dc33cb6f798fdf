// Turns. The engine's completion belongs to the turn and is freed with its last event; so a turn that has ended costs
// its text only. turn_submit's caller and the engine (until the last event) hold a reference each.
#include "fs/turn.h"
#include "engine/base/loop.h"
#include "fs/mount.h"
#include "fs/random_id.h"
#include "fs/user_errors.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static struct turn *turn_new(struct mount *mount, enum turn_state state)
{
    struct turn *turn = calloc(1, sizeof(*turn));
    if (!turn) {
        return NULL;
    }
    turn->refs = 1;
    turn->mount = mount;
    turn->state = state;
    turn->kind = &turn_kind_chat;
    turn->created = time(NULL);
    strbuf_init(&turn->text, 0);
    strbuf_init(&turn->hidden, 0);
    list_init(&turn->link);
    mount->counts.n_turns++;
    return turn;
}

int turn_new_idle(struct mount *mount, struct turn **ret)
{
    *ret = turn_new(mount, TURN_IDLE);
    return *ret ? 0 : -ENOMEM;
}

int turn_new_failed(struct mount *mount, const struct tokfs_error *error, struct turn **ret)
{
    *ret = turn_new(mount, TURN_FAILED);
    if (!*ret) {
        return -ENOMEM;
    }
    (*ret)->error = *error;
    return 0;
}

// ---- trails --------------------------------------------------------------------------------------------------------

static void trail_free(struct turn_trail *trail)
{
    if (trail) {
        free(trail->ids);
        free(trail);
    }
}

static struct turn_trail *trail_new(struct session *session, const struct tokfs_origin *origin)
{
    struct turn_trail *trail = calloc(1, sizeof(*trail));
    if (trail) {
        trail->session = session;
        trail->origin = *origin;
    }
    return trail;
}

int turn_trail_add(struct turn_trail *trail, const struct tokfs_event *event)
{
    if (event->token_id >= 0 && trail->n_ids == trail->ids_cap) {
        size_t cap = trail->ids_cap ? trail->ids_cap * 2 : 64;
        int32_t *ids = reallocarray(trail->ids, cap, sizeof(*ids));
        if (!ids) {
            return -ENOMEM;
        }
        trail->ids = ids;
        trail->ids_cap = cap;
    }
    if (event->token_id >= 0) {
        trail->ids[trail->n_ids++] = event->token_id;
    }
    trail->n_told++;
    return 0;
}

// ---- beginning -----------------------------------------------------------------------------------------------------

static void tell_tenant(struct mount *mount, const struct turn_owner *owner)
{
    const struct tokfs_tenant tenant = { .id = owner->uid,
                                         .may_hurry = owner->uid == mount->uid,
                                         .cache_scope = mount->has_private_caches ? 1 + (uint64_t)owner->uid : 0 };
    tokfs_set_tenant(mount->engine, &tenant);
}

// A turn that is ready to be submitted for its owner; NULL with the reason.
static struct turn *prepare(struct mount *mount, const struct turn_kind *kind, const struct turn_owner *owner,
                            struct tokfs_error *reason)
{
    if (mount_is_draining(mount)) {
        reason_set(reason, -ESHUTDOWN, NULL, "the mount is shutting down");
        return NULL;
    }
    struct turn *turn = turn_new(mount, TURN_SUBMITTED);
    if (!turn) {
        reason_set(reason, -ENOMEM, NULL, "out of memory");
        return NULL;
    }
    turn->kind = kind;
    turn->user = user_get(mount->users, owner->uid);
    holding_init(&turn->holding, turn->user);
    int r = turn->user ? 0 : reason_set(reason, -ENOMEM, NULL, "out of memory");
    r = r == 0 ? user_check_tokens(turn->user, clock_monotonic_ns(), reason) : r;
    if (r == 0 && random_id_write(kind->id_prefix, turn->id, sizeof(turn->id)) < 0) {
        r = reason_set(reason, -EIO, NULL, "no random numbers");
    }
    r = r == 0 ? user_charge(turn->user, USER_TURNS, reason) : r;
    if (r < 0) {
        turn_unref(turn);
        return NULL;
    }
    tell_tenant(mount, owner);
    return turn;
}

static void join_running(struct turn *turn, const struct turn_owner *owner)
{
    turn->owner = *owner;
    list_append(&turn->mount->running, &turn->link);
    turn->mount->counts.n_running++;
}

// r: of its submission to the engine.
static int begin(struct turn *turn, int r, const struct turn_owner *owner, struct turn **ret)
{
    if (r < 0) {
        user_uncharge(turn->user, USER_TURNS);
        turn_unref(turn);
        return r;
    }
    join_running(turn, owner);
    *ret = turn_ref(turn);
    return 0;
}

int turn_submit(struct mount *mount, const struct turn_kind *kind, struct str body, const struct turn_owner *owner,
                struct turn **ret, struct tokfs_error *reason)
{
    struct turn *turn = prepare(mount, kind, owner, reason);
    if (!turn) {
        return reason->code;
    }
    int r = kind->submit(mount->engine, body.ptr, body.len, turn, &turn->completion, reason);
    return begin(turn, r, owner, ret);
}

static int leave_trail(struct turn *turn, struct session *keeper, struct tokfs_error *reason)
{
    struct tokfs_origin origin = { .now = turn->created };
    uint64_t seeds[2];
    if (getrandom(seeds, sizeof(seeds), 0) != sizeof(seeds)) {
        return reason_set(reason, -EIO, NULL, "no random numbers");
    }
    origin.seed = seeds[0];
    origin.call_seed = seeds[1];
    turn->trail = trail_new(keeper, &origin);
    return turn->trail ? 0 : reason_set(reason, -ENOMEM, NULL, "out of memory");
}

int turn_submit_chat_from(struct mount *mount, const struct tokfs_chat_source *source, const struct turn_owner *owner,
                          struct turn **ret, struct tokfs_error *reason)
{
    struct turn *turn = prepare(mount, &turn_kind_chat, owner, reason);
    if (!turn) {
        return reason->code;
    }
    int r = owner->keeper ? leave_trail(turn, owner->keeper, reason) : 0;
    if (r == 0) {
        const struct tokfs_origin *origin = turn->trail ? &turn->trail->origin : NULL;
        r = tokfs_submit_chat_source(mount->engine, source, origin, turn, &turn->completion, reason);
    }
    return begin(turn, r, owner, ret);
}

int turn_new_recovered(struct mount *mount, struct str id, int64_t created, const struct turn_owner *owner,
                       const struct tokfs_origin *origin, struct turn **ret)
{
    struct turn *turn = turn_new(mount, TURN_SUBMITTED);
    struct turn_trail *trail = trail_new(owner->keeper, origin);
    struct user *user = user_get(mount->users, owner->uid);
    if (!turn || !trail || !user) {
        user_put(user);
        turn_unref(turn);
        trail_free(trail);
        return -ENOMEM;
    }
    snprintf(turn->id, sizeof(turn->id), "%.*s", STR_ARG(id));
    turn->created = created;
    turn->trail = trail;
    turn->user = user;
    holding_init(&turn->holding, user);
    user_take(user, USER_TURNS);
    join_running(turn, owner);
    *ret = turn_ref(turn);
    return 0;
}

void turn_resume(struct turn *turn, struct str body)
{
    struct turn_trail *trail = turn->trail;
    struct tokfs_error error = { 0 };
    struct tokfs_origin origin = trail->origin;
    origin.ids = trail->ids;
    origin.n_ids = trail->n_ids;
    trail->n_told_again = trail->n_told;
    tell_tenant(turn->mount, &turn->owner);
    int r = tokfs_submit_chat_from(turn->mount->engine, body.ptr, body.len, &origin, turn, &turn->completion, &error);
    if (r < 0) {
        turn_fail(turn, &error);
    } else if (trail->is_cancelled) {
        tokfs_cancel(turn->completion);
    }
}

struct turn *turn_ref(struct turn *turn)
{
    turn->refs++;
    return turn;
}

void turn_unref(struct turn *turn)
{
    while (turn && --turn->refs == 0) { // a chain is freed from its head, however long it is
        struct turn *next = turn->next;
        assert(!turn->completion);
        trail_free(turn->trail);
        turn->mount->counts.n_turns--;
        strbuf_deinit(&turn->text);
        strbuf_deinit(&turn->hidden);
        holding_deinit(&turn->holding);
        user_put(turn->user);
        free(turn->pieces);
        turn_free_choices(turn);
        tokfs_completion_free(turn->scored);
        free(turn->probs);
        free(turn);
        turn = next;
    }
}

void turn_follow(struct turn *turn, struct turn *next)
{
    assert(!turn->next);
    turn->next = turn_ref(next);
    next->serial = turn->serial + 1;
}

void turn_set_priority(struct turn *turn, int64_t priority)
{
    if (turn->completion) {
        tokfs_set_priority(turn->completion, priority);
    }
}

void turn_cancel(struct turn *turn)
{
    if (turn->completion) {
        tokfs_cancel(turn->completion);
    }
}

bool turn_is_ended(const struct turn *turn)
{
    return turn->state == TURN_IDLE || turn->state >= TURN_DONE;
}

bool turn_is_taken(const struct turn *turn)
{
    return turn->is_accepted || turn->state == TURN_DONE;
}

int turn_end_code(const struct turn *turn)
{
    return turn->state == TURN_CANCELLED    ? -ECANCELED
           : turn->state != TURN_FAILED     ? 0
           : turn->error.code == -ETIMEDOUT ? -ETIMEDOUT
                                            : -EIO;
}

// It is no longer one of its user's, and takes what was computed for it from his minute.
static void uncharge(struct turn *turn)
{
    if (!turn->user) {
        return;
    }
    const struct tokfs_usage *usage = &turn->usage;
    uint64_t n = usage->completion_tokens > turn->n_tokens ? usage->completion_tokens : turn->n_tokens;
    if (turn->state >= TURN_PREFILL) {
        n += usage->prompt_tokens - usage->cached_tokens;
    }
    user_take_tokens(turn->user, n, clock_monotonic_ns());
    user_uncharge(turn->user, USER_TURNS);
}

static void end(struct turn *turn, enum turn_state state)
{
    struct mount *mount = turn->mount;
    struct turn_owner owner = turn->owner;
    uncharge(turn);
    turn->state = state;
    if (state == TURN_DONE && turn_prompts(turn)) {
        turn->scored = turn->completion;
    } else {
        tokfs_completion_free(turn->completion);
    }
    turn->completion = NULL;
    trail_free(turn->trail);
    turn->trail = NULL;
    turn->owner = (struct turn_owner){ 0 };
    list_remove(&turn->link);
    mount->counts.n_running--;
    if (owner.channel) {
        channel_mark(owner.channel);
    }
    if (owner.ended) {
        owner.ended(turn, owner.ctx);
    }
    turn_unref(turn);
}

static void blame_owner(struct turn *turn)
{
    reason_set(&turn->error, -ECANCELED, NULL, "cancelled: the client went away");
}

void turn_disown(struct turn *turn)
{
    turn->owner.accepted = NULL;
    turn->owner.ended = NULL;
    if (turn->completion || turn->trail) {
        blame_owner(turn);
        end(turn, TURN_CANCELLED);
    }
    turn->owner.channel = NULL;
}

struct turn_extent turn_extent(const struct turn *turn)
{
    return (struct turn_extent){ turn->text.len, turn->hidden.len, turn->n_pieces, turn->n_probs, turn->n_tokens };
}

bool turn_cut(struct turn *turn, const struct turn_extent *extent)
{
    const struct turn_extent all = turn_extent(turn);
    if (extent->text_len > all.text_len || extent->hidden_len > all.hidden_len || extent->n_pieces > all.n_pieces ||
        extent->n_probs > all.n_probs || extent->n_tokens > all.n_tokens) {
        return false;
    }
    strbuf_cut(&turn->text, extent->text_len);
    strbuf_cut(&turn->hidden, extent->hidden_len);
    turn->n_pieces = extent->n_pieces;
    turn->n_probs = extent->n_probs;
    turn->n_tokens = extent->n_tokens;
    turn->open_call = 0; // what it would show at its end is not shown
    if (turn->choices) {
        turn->choices[0].last = turn->n_pieces;
    }
    if (turn->state >= TURN_DONE) {
        turn->state = TURN_CANCELLED;
        turn->finish_reason[0] = '\0';
        turn->usage = (struct tokfs_usage){ .prompt_tokens = turn->usage.prompt_tokens };
        blame_owner(turn);
    }
    return true;
}

// ---- events --------------------------------------------------------------------------------------------------------

void turn_fail(struct turn *turn, const struct tokfs_error *error)
{
    turn->error = *error;
    end(turn, turn->is_accepted && error->code == -ECANCELED ? TURN_CANCELLED : TURN_FAILED);
}

static void fail_for_memory(struct turn *turn)
{
    struct tokfs_error error = { 0 };
    reason_set(&error, -ENOMEM, NULL, "out of memory for the answer");
    turn_fail(turn, &error);
}

static void on_accepted(struct turn *turn, const struct tokfs_event *event)
{
    turn->n = event->n;
    if (turn_begin_choices(turn) < 0) {
        fail_for_memory(turn);
        return;
    }
    turn->state = TURN_QUEUED;
    turn->is_accepted = true;
    turn->stream = event->stream;
    turn->include_usage = event->include_usage;
    turn->timings_per_token = event->timings_per_token;
    turn->is_list = event->is_list;
    turn->texts_in_logprobs = event->texts_in_logprobs;
    turn->has_logprobs = event->logprobs;
    turn->echoes_probs = event->echoes_probs;
    turn->prompt_logprobs = event->prompt_logprobs;
    turn->probs_from = event->probs_from;
    turn->n_top_logprobs = event->top_logprobs;
    turn->usage.prompt_tokens = event->usage.prompt_tokens;
    if (turn->owner.accepted) {
        turn->owner.accepted(turn, turn->owner.ctx);
    }
}

static void on_finished(struct turn *turn, const struct tokfs_event *event)
{
    bool is_cancelled = strcmp(event->finish_reason, "cancel") == 0;
    turn->usage = event->usage;
    snprintf(turn->finish_reason, sizeof(turn->finish_reason), "%s", event->finish_reason);
    if (is_cancelled && !turn->error.code) {
        reason_set(&turn->error, -ECANCELED, NULL, "cancelled");
    }
    end(turn, is_cancelled ? TURN_CANCELLED : TURN_DONE);
}

// Conversations show it while the answer is written. It is no part of the answer: nothing depends on it, and an event
// from the journal, which has no completion, does not tell it.
void turn_note_usage(struct turn *turn, const struct tokfs_event *event)
{
    struct tokfs_usage *usage = &turn->usage;
    if (event->kind != TOKFS_EVENT_TOKEN || !event->completion || turn->n > 1) {
        return;
    }
    turn->first_ns = turn->first_ns > 0 ? turn->first_ns : event->sampled_ns;
    usage->cached_tokens = event->choice_usage.cached_tokens;
    usage->queue_ns = event->choice_usage.queue_ns;
    usage->prefill_ns = event->choice_usage.prefill_ns;
    usage->ttft_ns = event->choice_usage.ttft_ns;
    usage->decode_ns = event->sampled_ns > turn->first_ns ? event->sampled_ns - turn->first_ns : 0;
    usage->total_ns = usage->ttft_ns + usage->decode_ns;
}

static void weigh(struct turn *turn)
{
    holding_set(&turn->holding, turn->text.cap + turn->hidden.cap + turn->pieces_cap * sizeof(*turn->pieces) +
                                    turn->probs_cap * sizeof(*turn->probs));
}

void turn_take_event(struct turn *turn, const struct tokfs_event *event)
{
    if (turn->owner.channel) {
        channel_mark(turn->owner.channel);
    }
    turn_note_usage(turn, event);
    bool is_last = event->kind == TOKFS_EVENT_FINISHED && strcmp(event->finish_reason, "cancel") != 0;
    bool is_end = turn_has_ends(turn) && turn->choices &&
                  (event->kind == TOKFS_EVENT_CHOICE_FINISHED || event->kind == TOKFS_EVENT_FINISHED);
    if (event->kind == TOKFS_EVENT_TOKEN && turn->choices) {
        turn->choices[event->index].usage.cached_tokens = event->choice_usage.cached_tokens;
    }
    bool is_of_choice = event->kind == TOKFS_EVENT_TOKEN || event->kind == TOKFS_EVENT_CHOICE_FINISHED ||
                        event->kind == TOKFS_EVENT_FINISHED;
    if (is_of_choice && turn_add_prompt(turn, event->index) < 0) {
        fail_for_memory(turn);
        return;
    }
    if (turn_add_text(turn, event) < 0 || (is_end && turn_end_choice(turn, event) < 0) ||
        (is_last && turn_end_text(turn) < 0)) {
        fail_for_memory(turn);
        return;
    }
    weigh(turn);
    switch (event->kind) {
    case TOKFS_EVENT_ACCEPTED: on_accepted(turn, event); break;
    case TOKFS_EVENT_STARTED: turn->state = TURN_PREFILL; break;
    case TOKFS_EVENT_CHOICE_FINISHED: break;
    case TOKFS_EVENT_TOKEN:
        turn->state = TURN_DECODE;
        turn->n_tokens += event->token_id >= 0;
        break;
    case TOKFS_EVENT_FINISHED: on_finished(turn, event); break;
    case TOKFS_EVENT_FAILED: turn_fail(turn, event->error); break;
    }
}

// ---- texts ---------------------------------------------------------------------------------------------------------

const char *turn_state_name(const struct turn *turn)
{
    static const char *const names[] = {
        [TURN_IDLE] = "idle",           [TURN_SUBMITTED] = "queued", [TURN_QUEUED] = "queued",
        [TURN_PREFILL] = "prefill",     [TURN_DECODE] = "decode",    [TURN_DONE] = "done",
        [TURN_CANCELLED] = "cancelled", [TURN_FAILED] = "error",
    };
    return names[turn->state];
}

void turn_write_status(const struct turn *turn, struct strbuf *out)
{
    uint64_t n_completion = turn->state == TURN_DONE ? turn->usage.completion_tokens : turn->n_tokens;
    strbuf_printf(out, "%s prompt_tokens=%" PRIu64 " cached_tokens=%" PRIu64 " completion_tokens=%" PRIu64,
                  turn_state_name(turn), turn->usage.prompt_tokens, turn->usage.cached_tokens, n_completion);
    if (turn->finish_reason[0]) {
        strbuf_printf(out, " finish_reason=%s", turn->finish_reason);
    }
    strbuf_append_byte(out, '\n');
}

void turn_write_usage(const struct turn *turn, struct strbuf *out)
{
    const struct tokfs_usage *usage = &turn->usage;
    uint64_t n_completion = turn_is_ended(turn) && usage->completion_tokens ? usage->completion_tokens : turn->n_tokens;
    strbuf_printf(out, "prompt_tokens %" PRIu64 "\ncached_tokens %" PRIu64 "\ncompletion_tokens %" PRIu64 "\n",
                  usage->prompt_tokens, usage->cached_tokens, n_completion);
    strbuf_printf(out,
                  "queue_ns %" PRIu64 "\nprefill_ns %" PRIu64 "\nttft_ns %" PRIu64 "\ndecode_ns %" PRIu64
                  "\ntotal_ns %" PRIu64 "\n",
                  usage->queue_ns, usage->prefill_ns, usage->ttft_ns, usage->decode_ns, usage->total_ns);
}
