// The life of a sequence. Owned by the engine thread; the scheduler decides when it runs, the runner runs it.
//
//     EMPTY --begin--> PREFILL --prompt computed--> DECODE
//       ^               |   ^                        |  |
//       |               |   +------- preempted ------+  |
//       |               |                               | end token, stop string, max_tokens,
//       |               +-- cancel, failure --+         | cancel, failure
//       |                                     v         v
//       +------ last event in the ring ------ ENDING <--+
//
// Invariants:
//   1. n_computed <= n_tokens <= n_tokens_max <= n_ctx; n_computed == n_tokens only between a step and its sample. A
//      sequence that decodes has one token to compute, or those that its grammar forced as well.
//   2. n_computed positions fit in n_pages pages; EMPTY and ENDING hold no pages.
//   3. Events go to the ring in order: STARTED, then each token's, then one last; a sequence that owes any is not run,
//   so at
//      most one token's text waits here.
//   4. Text before a stop string is released as soon as it can no longer be part of one; the stop string never is. An
//   end
//      token's own text is not part of the answer.
//   5. completion_tokens counts all sampled tokens, the end token included, as vLLM does.
//   6. Tokens sampled before it began (n_untold) are told before anything is sampled; it may be computed meanwhile.
#include "engine/serve/sequence.h"

#include "engine/serve/stop.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// More than is ever held, but for long runs of byte-fallback tokens.
#define TEXT_RESERVE        4096
#define DETOKENIZER_RESERVE 512
#define PARTS_RESERVE       16

int sequence_init(struct sequence *seq, const struct sequence_env *env)
{
    *seq = (struct sequence){ .env = env, .copied_page = UINT32_MAX };
    seq->tokens = calloc(env->n_ctx, sizeof(*seq->tokens));
    seq->logprobs = calloc(env->n_ctx, sizeof(*seq->logprobs));
    seq->pages = calloc((env->n_ctx + env->page_tokens - 1) / env->page_tokens, sizeof(*seq->pages));
    strbuf_init(&seq->text, 0);
    answer_parts_init(&seq->parts);
    detokenizer_init_continued(&seq->detok, env->tok, true);
    int rc = strbuf_reserve(&seq->text, TEXT_RESERVE);
    rc = rc == 0 ? answer_parts_reserve(&seq->parts, TEXT_RESERVE, PARTS_RESERVE) : rc;
    rc = rc == 0 ? answer_parser_init(&seq->parser, TEXT_RESERVE) : rc;
    for (size_t i = 0; i < DETOKENIZER_STEPS_MAX && rc == 0; i++) {
        rc = strbuf_reserve(&seq->detok.steps[i].held, DETOKENIZER_RESERVE);
        rc = rc == 0 ? strbuf_reserve(&seq->detok.steps[i].text, DETOKENIZER_RESERVE) : rc;
    }
    if (!seq->tokens || !seq->logprobs || !seq->pages || rc < 0) {
        sequence_deinit(seq);
        return -ENOMEM;
    }
    return 0;
}

void sequence_deinit(struct sequence *seq)
{
    assert(seq->state == SEQUENCE_EMPTY && seq->n_pages == 0);
    free(seq->tokens);
    free(seq->logprobs);
    free(seq->pages);
    strbuf_deinit(&seq->text);
    answer_parser_deinit(&seq->parser);
    answer_parts_deinit(&seq->parts);
    detokenizer_deinit(&seq->detok);
}

// A fresh detokenizer with the memory of the slot's last one.
static void restart_detokenizer(struct sequence *seq, bool skip_special)
{
    struct detokenizer old = seq->detok;
    detokenizer_init_continued(&seq->detok, seq->env->tok, skip_special);
    for (size_t i = 0; i < DETOKENIZER_STEPS_MAX; i++) {
        strbuf_reset(&old.steps[i].held);
        strbuf_reset(&old.steps[i].text);
        seq->detok.steps[i].held = old.steps[i].held;
        seq->detok.steps[i].text = old.steps[i].text;
    }
    const struct answer_setup *answer = seq->completion->answer;
    seq->detok.kept = answer ? answer->marks : NULL;
    seq->detok.n_kept = answer ? answer->n_marks : 0;
}

void sequence_begin(struct sequence *seq, struct choice *choice, uint64_t now_ns)
{
    struct tokfs_completion *completion = choice->completion;
    assert(seq->state == SEQUENCE_EMPTY && seq->n_pages == 0);
    assert(choice->n_prompt > 0 && choice->n_prompt + choice->n_known <= choice->n_tokens_max);
    assert(choice->n_tokens_max <= seq->env->n_ctx);
    seq->state = SEQUENCE_PREFILL;
    seq->choice = choice;
    seq->completion = completion;
    seq->n_tokens = choice->n_prompt + choice->n_known;
    seq->n_untold = choice->n_known;
    memcpy(seq->tokens, choice->prompt, seq->n_tokens * sizeof(*seq->tokens));
    guide_begin(&seq->guide, &completion->guide);
    seq->is_remembered = completion->has_logprobs || choice->is_scorer;
    if (seq->is_remembered) {
        memset(seq->logprobs, 0, choice->n_tokens_max * sizeof(*seq->logprobs));
    }
    draft_init(&seq->draft_state);
    seq->n_draft = seq->n_faults = 0;
    seq->n_issued = 0;
    seq->is_drawing = seq->is_ahead = false;
    seq->n_computed = seq->n_inserted = seq->cache_cursor = 0;
    restart_detokenizer(seq, !completion->sampling.shows_special);
    strbuf_reset(&seq->text);
    answer_parts_reset(&seq->parts);
    answer_parser_begin(&seq->parser, completion->answer ? &completion->answer->request : NULL, &seq->parts);
    seq->parser.id_salt = choice->index;
    seq->owes_started = true;
    seq->owes_token = false;
    seq->n_probs = 0;
    seq->started_ns = now_ns;
    seq->first_token_ns = seq->last_token_ns = 0;
    choice->usage.prompt_tokens = choice->n_prompt;
}

// ---- tokens -------------------------------------------------------------------------------------------------------

// Once, before the first token is told: from then on the caller's thread reads this.
static void note_first(struct sequence *seq, uint64_t now_ns)
{
    struct tokfs_usage *usage = &seq->choice->usage;
    usage->queue_ns = seq->started_ns - seq->completion->accepted_ns;
    if (now_ns > 0) {
        usage->prefill_ns = now_ns - seq->started_ns;
        usage->ttft_ns = now_ns - seq->completion->submitted_ns;
    }
}

static void end(struct sequence *seq, const char *reason)
{
    struct choice *c = seq->choice;
    sequence_give_pages(seq);
    guide_end(&seq->guide);
    seq->state = SEQUENCE_ENDING;
    c->finish_reason = reason;
    if (seq->first_token_ns == 0) {
        note_first(seq, 0);
    } else {
        c->usage.decode_ns = seq->last_token_ns - seq->first_token_ns;
    }
}

void sequence_fail(struct sequence *seq, const struct err *err)
{
    if (seq->completion->failure.code == 0) {
        seq->completion->failure = *err;
    }
    end(seq, NULL);
}

static void fail_text(struct sequence *seq, int code)
{
    struct err err;
    err_set(&err, code, "out of memory for the text of an answer");
    sequence_fail(seq, &err);
}

// The first n bytes of the text cannot become a stop string any more. 0 or -ENOMEM.
static int release_text(struct sequence *seq, size_t n)
{
    int rc = answer_parser_feed(&seq->parser, str_take(strbuf_str(&seq->text), n));
    if (n > 0) {
        memmove(seq->text.ptr, seq->text.ptr + n, seq->text.len - n + 1);
        seq->text.len -= n;
    }
    return rc;
}

// The text is complete: what might have become a call is none. An answer that ends by itself with calls in it ends
// because of them.
static void end_parts(struct sequence *seq, const char *reason)
{
    int rc = release_text(seq, seq->text.len);
    rc = rc == 0 ? answer_parser_finish(&seq->parser) : rc;
    if (rc < 0) {
        fail_text(seq, rc);
        return;
    }
    bool is_call = seq->parser.n_calls > 0 && strcmp(reason, "stop") == 0;
    end(seq, is_call ? "tool_calls" : reason);
}

// The rest of the text becomes certain: what the detokenizer holds, what might have become a stop string.
static void end_text(struct sequence *seq, const char *reason)
{
    int rc = detokenizer_finish(&seq->detok, &seq->text);
    if (rc < 0) {
        fail_text(seq, rc);
    } else {
        end_parts(seq, reason);
    }
}

void sequence_cancel(struct sequence *seq)
{
    if (seq->state == SEQUENCE_PREFILL || seq->state == SEQUENCE_DECODE) {
        end_text(seq, "cancel");
    }
}

void sequence_expire(struct sequence *seq, const struct err *err)
{
    struct choice *choice = seq->choice;
    if (seq->state == SEQUENCE_PREFILL || seq->state == SEQUENCE_DECODE) {
        end_text(seq, "cancel");
        choice->finish_reason = NULL;
        choice->completion->failure = choice->completion->failure.code == 0 ? *err : choice->completion->failure;
    }
}

bool sequence_advance(struct sequence *seq, uint32_t n_rows)
{
    seq->n_computed += n_rows;
    assert(seq->n_computed <= seq->n_tokens);
    if (seq->n_computed < seq->n_tokens) {
        return false;
    }
    if (seq->n_untold > 0) { // too early to sample: the last row is computed again
        seq->n_computed--;
        return false;
    }
    if (seq->n_tokens == seq->choice->n_tokens_max) { // max_tokens 0: the prompt was all there was to do
        end_text(seq, "length");
        return false;
    }
    seq->state = SEQUENCE_DECODE;
    return true;
}

void sequence_remember(struct sequence *seq, uint32_t pos, float logprob, bool is_sampled)
{
    if (seq->is_remembered) {
        seq->logprobs[pos] = radix_held(logprob, is_sampled);
    }
}

static bool has_id(const int32_t *ids, size_t n, int32_t id)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static bool is_end_token(const struct sequence *seq, int32_t token_id)
{
    const struct sampling_params *params = &seq->completion->sampling;
    return (!params->ignore_eos && has_id(seq->env->end_ids, seq->env->n_end_ids, token_id)) ||
           has_id(params->stop_ids, params->n_stop_ids, token_id);
}

static bool wants_more(const struct sequence *seq, uint64_t n_sampled)
{
    int64_t min = seq->completion->sampling.min_tokens;
    return min > 0 && n_sampled < (uint64_t)min;
}

struct sampler_input sequence_sampler_input(const struct sequence *seq, struct logits logits)
{
    const struct sampling_params *params = &seq->completion->sampling;
    struct sampler_input input = {
        .logits = logits.rows,
        .maxima = logits.maxima,
        .params = params,
        .seed = seq->choice->seed,
        .pos = seq->n_tokens,
        .tokens = seq->tokens,
        .n_prompt = seq->choice->n_prompt,
        .n_tokens = seq->n_tokens,
    };
    if (wants_more(seq, seq->choice->usage.completion_tokens)) {
        input.bans[0] = (struct token_set){ seq->env->end_ids, params->ignore_eos ? 0 : seq->env->n_end_ids };
        input.bans[1] = (struct token_set){ params->stop_ids, params->n_stop_ids };
    }
    input.guide = &seq->guide;
    input.ends[0] = (struct token_set){ seq->env->end_ids, params->ignore_eos ? 0 : seq->env->n_end_ids };
    input.ends[1] = (struct token_set){ params->stop_ids, params->n_stop_ids };
    return input;
}

// Log probabilities are of the model's logits: who wants them has it asked for every token.
int32_t sequence_forced_token(const struct sequence *seq)
{
    int32_t id = seq->completion->has_logprobs ? -1 : guide_forced(&seq->guide);
    const struct sampling_params *params = &seq->completion->sampling;
    return id >= 0 && !has_id(seq->env->end_ids, seq->env->n_end_ids, id) &&
                   !has_id(params->stop_ids, params->n_stop_ids, id)
               ? id
               : -1;
}

static void fail_guide(struct sequence *seq)
{
    struct err err;
    err_set(&err, -EIO, "the grammar of the answer grew out of bounds at position %u", seq->n_tokens - 1);
    sequence_fail(seq, &err);
}

// Decodes the token and passes on what is certain of the text. True: a stop string was found, and the text ends there.
static bool append_text(struct sequence *seq, int32_t token_id, int *ret_rc)
{
    const struct sampling_params *params = &seq->completion->sampling;
    *ret_rc = detokenizer_push(&seq->detok, token_id, &seq->text);
    struct str text = strbuf_str(&seq->text), stop = { 0 };
    size_t n_ready = text.len; // out before stop strings count: none can begin in it
    if (*ret_rc == 0 && !wants_more(seq, seq->choice->usage.completion_tokens)) {
        ptrdiff_t at = stop_find(params->stop, params->n_stop, text, &stop);
        if (at >= 0) {
            seq->text.len = (size_t)at + (params->include_stop ? stop.len : 0);
            seq->text.ptr[seq->text.len] = '\0';
            seq->choice->matched = stop;
            return true;
        }
        n_ready -= stop_held_len(params->stop, params->n_stop, text);
    }
    *ret_rc = *ret_rc == 0 ? release_text(seq, n_ready) : *ret_rc;
    return false;
}

// A token of the answer, the next one: its text, and whether it is the last.
static void take_token(struct sequence *seq, int32_t token_id, uint64_t now_ns)
{
    struct tokfs_completion *c = seq->completion;
    assert(!seq->owes_token);
    seq->token_id = token_id;
    seq->owes_token = true;
    if (seq->first_token_ns == 0) {
        seq->first_token_ns = now_ns;
        note_first(seq, now_ns);
    }
    seq->last_token_ns = now_ns;
    seq->choice->usage.completion_tokens++;
    int rc = 0;
    if (is_end_token(seq, token_id)) {
        seq->choice->matched_id = token_id;
        if (c->sampling.include_stop) {
            rc = detokenizer_push(&seq->detok, token_id, &seq->text);
        }
        if (rc == 0) {
            end_text(seq, "stop");
            return;
        }
        fail_text(seq, rc);
        return;
    }
    if (!guide_take(&seq->guide, token_id)) {
        fail_guide(seq);
    } else if (append_text(seq, token_id, &rc)) {
        end_parts(seq, "stop");
    } else if (rc < 0) {
        fail_text(seq, rc);
    } else if (guide_is_over(&seq->guide)) {
        end_text(seq, "stop");
    } else if (seq->parser.is_done) {
        end_parts(seq, "stop"); // no more calls were allowed
    } else if (seq->choice->n_prompt + seq->choice->usage.completion_tokens == seq->choice->n_tokens_max) {
        end_text(seq, "length");
    }
}

void sequence_append(struct sequence *seq, int32_t token_id, uint64_t now_ns)
{
    assert(seq->state == SEQUENCE_DECODE && seq->n_computed <= seq->n_tokens);
    assert(seq->n_tokens < seq->choice->n_tokens_max && seq->n_untold == 0);
    seq->tokens[seq->n_tokens++] = token_id;
    take_token(seq, token_id, now_ns);
}

// ---- output -------------------------------------------------------------------------------------------------------

// The longest beginning of `text` that fits in an event and ends with a whole character.
static size_t piece_len(struct str text)
{
    if (text.len <= EVENT_TEXT_MAX) {
        return text.len;
    }
    size_t len = EVENT_TEXT_MAX;
    while (len > 1 && ((unsigned char)text.ptr[len] & 0xC0) == 0x80) {
        len--;
    }
    return len;
}

static struct event_slot *add_event(struct sequence *seq, struct event_ring *ring, enum event_slot_kind kind)
{
    struct event_slot *slot = event_ring_add(ring);
    if (slot) {
        slot->choice = seq->choice;
        slot->kind = (uint8_t)kind;
        slot->token_id = -1;
        slot->part = slot->call_idx = 0;
        slot->text_len = 0;
        slot->sampled_ns = seq->last_token_ns;
    }
    return slot;
}

// Puts the first part, or as much of it as goes in, into the slot.
static void take_part(struct sequence *seq, struct event_slot *slot)
{
    struct answer_part part;
    if (!answer_parts_first(&seq->parts, &part)) {
        return;
    }
    size_t len = piece_len(part.text);
    memcpy(slot->text, part.text.ptr, len);
    slot->text_len = (uint8_t)len;
    slot->part = (uint8_t)part.kind;
    slot->call_idx = (uint8_t)part.call_idx;
    answer_parts_take(&seq->parts, len);
}

static void put_probs(struct sequence *seq, struct event_ring *ring)
{
    for (size_t i = 0; i < seq->n_probs; i += EVENT_PROBS_MAX) {
        struct event_slot *slot = add_event(seq, ring, EVENT_SLOT_PROBS);
        size_t n = seq->n_probs - i < EVENT_PROBS_MAX ? seq->n_probs - i : EVENT_PROBS_MAX;
        slot->text_len = (uint8_t)(n * sizeof(*seq->probs));
        memcpy(slot->text, &seq->probs[i], slot->text_len);
    }
    seq->n_probs = 0;
}

// A TOKEN event, before it how likely its token was and the id of the call that it begins: all of it or nothing, so
// that it is published together. NULL: the ring is full.
static struct event_slot *add_token(struct sequence *seq, struct event_ring *ring)
{
    struct answer_part part = { 0 };
    size_t n_probs = seq->owes_token ? (seq->n_probs + EVENT_PROBS_MAX - 1) / EVENT_PROBS_MAX : 0;
    bool is_call = answer_parts_first(&seq->parts, &part) && part.kind == ANSWER_CALL;
    if (event_ring_room(ring) < n_probs + is_call + 1) {
        return NULL;
    }
    if (seq->owes_token) {
        put_probs(seq, ring);
    }
    if (is_call) {
        struct event_slot *slot = add_event(seq, ring, EVENT_SLOT_CALL_ID);
        memcpy(slot->text, part.id.ptr, part.id.len);
        slot->text_len = (uint8_t)part.id.len;
    }
    return add_event(seq, ring, EVENT_SLOT_TOKEN);
}

// TOKEN events for all parts (at least one event for a new token).
static bool flush_parts(struct sequence *seq, struct event_ring *ring)
{
    while (seq->owes_token || !answer_parts_is_empty(&seq->parts)) {
        struct event_slot *slot = add_token(seq, ring);
        if (!slot) {
            return false;
        }
        slot->token_id = seq->owes_token ? seq->token_id : -1;
        seq->owes_token = false;
        take_part(seq, slot);
    }
    return true;
}

static bool flush_end(struct sequence *seq, struct event_ring *ring)
{
    bool is_failed = seq->choice->finish_reason == NULL;
    if (!add_event(seq, ring, is_failed ? EVENT_SLOT_FAILED : EVENT_SLOT_FINISHED)) {
        return false;
    }
    seq->completion = NULL; // the caller's once the ring is published, as is the choice
    seq->choice = NULL;
    seq->state = SEQUENCE_EMPTY;
    return true;
}

bool sequence_flush(struct sequence *seq, struct event_ring *ring)
{
    if (seq->owes_started) {
        if (!add_event(seq, ring, EVENT_SLOT_STARTED)) {
            return false;
        }
        seq->owes_started = false;
    }
    return flush_parts(seq, ring) && (seq->state != SEQUENCE_ENDING || flush_end(seq, ring));
}

bool sequence_tell_known(struct sequence *seq, struct event_ring *ring)
{
    while (seq->n_untold > 0 && seq->state != SEQUENCE_ENDING) {
        if (!sequence_flush(seq, ring)) {
            return false;
        }
        take_token(seq, seq->tokens[seq->n_tokens - seq->n_untold--], seq->started_ns);
    }
    return true;
}

bool sequence_is_scored(const struct sequence *seq)
{
    return seq->choice->is_scorer && !scores_are_complete(seq->choice->scores);
}

bool sequence_is_blocked(const struct sequence *seq)
{
    return seq->n_untold > 0 || seq->owes_started || seq->owes_token || !answer_parts_is_empty(&seq->parts) ||
           seq->state == SEQUENCE_ENDING;
}

bool sequence_is_ending(const struct sequence *seq)
{
    uint32_t n_tokens = seq->n_tokens + seq->is_drawing;
    return seq->n_computed + seq->n_issued >= seq->n_tokens && n_tokens >= seq->choice->n_tokens_max;
}
