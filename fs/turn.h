// A turn: one request to the engine and its answer as it grows.
//
//   SUBMITTED --ACCEPTED--> QUEUED --STARTED--> PREFILL --TOKEN--> DECODE --FINISHED--> DONE, or CANCELLED (reason
//   "cancel")
//        |                    `------------ FAILED ------------`--> FAILED
//        `--FAILED--> FAILED, is_accepted false: it was refused
//
// Shared: by the conversation, by open files that read it, and by the engine's events until it ends. Its text only
// grows. A turn refers to the one that followed it in its conversation, so that a reader can go on from one to the
// next.
#ifndef TOKFS_FS_TURN_H
#define TOKFS_FS_TURN_H

#include "engine/base/str.h"
#include "fs/channel.h"
#include "fs/list.h"
#include "fs/user.h"
#include <tokfs/engine.h>
#include <tokfs/openai.h>

enum turn_state {
    TURN_IDLE, // before the first turn of a conversation: empty and ended
    TURN_SUBMITTED,
    TURN_QUEUED,
    TURN_PREFILL,
    TURN_DECODE,
    TURN_DONE,
    TURN_CANCELLED,
    TURN_FAILED,
};

struct turn;

// Who submitted it. `channel` is marked at every change; `accepted` and `ended` come before the flush that follows.
struct turn_owner {
    struct channel *channel;
    void (*accepted)(struct turn *turn, void *ctx);
    void (*ended)(struct turn *turn, void *ctx);
    void *ctx;
    uid_t uid;              // users take turns, and have so many at once
    struct session *keeper; // whose journaled conversation it belongs to; NULL: the turn is not in the journal
};

// What is needed to go on with a journaled turn after a restart, as long as it runs.
struct turn_trail {
    struct session *session;    // that disowns its turns before it goes
    struct tokfs_origin origin; // without ids
    int32_t *ids;               // [n_ids] sampled so far
    size_t n_ids, ids_cap;
    uint64_t n_told;       // TOKEN events so far
    uint64_t n_told_again; // of them, those that the engine will tell again
    bool is_cancelled;     // asked for before the restart
};

// A piece of the answer, as it came.
struct turn_piece {
    size_t offset, len;  // of its text: see turn_text.c
    uint64_t sampled_ns; // CLOCK_MONOTONIC of its token
    enum tokfs_part part;
    unsigned call_idx;
    unsigned index;     // of its choice
    bool is_end;        // of the choice: its text is the finish reason
    uint32_t n_probs;   // of its token
    size_t first_prob;  // in turn->probs
    size_t text_offset; // of its token, where that has probs: characters of the choice's tokens before it
    int32_t token_id;   // -1: a further piece of the token before it
    size_t nth, before; // among those of its choice, from 1; one more than the index of the one before it there
};

// One answer of a turn, beside its pieces.
struct turn_choice {
    size_t last;    // one more than the index of its last piece; 0: none
    size_t n_chars; // of its tokens so far, where they have probs
    size_t n_prompt;
    bool has_prompt;          // the pieces of its prompt are among its pieces, where they come with log probabilities
    struct tokfs_usage usage; // complete at its end
    int32_t matched_id;       // what ended it, as in struct tokfs_event
    struct str matched;       // a copy; ptr NULL: none
    char *name;               // that the request gave to its prompt; NULL: none
};

// What is asked of the engine, and how it is answered.
struct turn_kind {
    const char *id_prefix;
    int (*submit)(struct tokfs_engine *engine, const char *json, size_t len, void *user, struct tokfs_completion **ret,
                  struct tokfs_error *reason);
    int (*write_response)(struct turn *turn, struct strbuf *out); // of a turn that is done: the whole, and a line end
    // One chunk of it, where it can be streamed; the form of the whole, where it has choices.
    int (*write_chunk)(const struct tokfs_answer_head *head, const struct tokfs_chunk *chunk, struct tokfs_buffer *ret);
    int (*write_answer)(const struct tokfs_answer_head *head, const struct tokfs_piece *pieces, size_t n_pieces,
                        const char *finish_reason, const struct tokfs_usage *usage, struct tokfs_buffer *ret);
    // In place of the two before, for answers that are told by tokens, each choice ending in a piece: appends what the
    // n pieces from `first` on, all of one choice, add.
    int (*write_run)(const struct turn *turn, size_t first, size_t n, struct strbuf *out);
    bool has_roles; // its chunks begin with one for each choice that tells the role
};
extern const struct turn_kind turn_kind_chat, turn_kind_completion, turn_kind_generate;
// Work on text: without tokens, accepted only once it is done. Its text is its response.
extern const struct turn_kind turn_kind_tokenize, turn_kind_detokenize, turn_kind_apply_template, turn_kind_retrieve;
extern const struct turn_kind turn_kind_embeddings; // always refused

struct turn {
    unsigned refs;
    struct mount *mount;
    const struct turn_kind *kind;
    struct list link;  // in mount->running until it ends
    struct turn *next; // shared; NULL: none yet
    uint64_t serial;   // grows along `next`
    enum turn_state state;
    bool is_accepted, stream, include_usage, timings_per_token, is_list, texts_in_logprobs, has_logprobs;
    unsigned n_top_logprobs;
    struct tokfs_completion *completion; // NULL once ended
    struct tokfs_completion *scored;     // the same, kept after the end where its prompt is told of; NULL: not
    bool echoes_probs;
    int prompt_logprobs; // as in struct tokfs_event, as is probs_from
    int64_t probs_from;
    struct turn_owner owner;     // cleared by turn_disown
    struct turn_trail *trail;    // NULL: not journaled, or ended
    struct user *user;           // shared: who submitted it; NULL: nobody
    struct holding holding;      // of the answer
    struct strbuf text;          // the answer so far, as readers of text see it
    struct strbuf hidden;        // what they do not see
    struct tokfs_logprob *probs; // [n_probs] of all pieces
    size_t n_probs, probs_cap;
    struct turn_choice *choices; // [n], from ACCEPTED on
    struct turn_piece *pieces;   // [n_pieces]
    size_t n_pieces, pieces_cap;
    unsigned n;       // choices; those after the first are in hidden
    size_t open_call; // one more than the index of the piece with which a call in hand began; 0: none
    uint64_t n_tokens;
    uint64_t first_ns;        // CLOCK_MONOTONIC of its first token; 0: none came from the engine
    struct tokfs_usage usage; // as far as it is known
    struct tokfs_error error; // FAILED, CANCELLED
    char finish_reason[16];
    char id[48]; // "chatcmpl-..."
    int64_t created;
};

int turn_new_idle(struct mount *mount, struct turn **ret); // the end of the chain that a new conversation starts with
int turn_new_failed(struct mount *mount, const struct tokfs_error *error,
                    struct turn **ret); // ended before the engine saw it
// -EAGAIN, -ENOMEM, -ESHUTDOWN at once; anything else comes as an event.
int turn_submit(struct mount *mount, const struct turn_kind *kind, struct str body, const struct turn_owner *owner,
                struct turn **ret, struct tokfs_error *reason);
// The same for a chat whose body a text thread makes.
int turn_submit_chat_from(struct mount *mount, const struct tokfs_chat_source *source, const struct turn_owner *owner,
                          struct turn **ret, struct tokfs_error *reason);
// A turn that the journal tells of: submitted, without a completion until turn_resume. -ENOMEM.
int turn_new_recovered(struct mount *mount, struct str id, int64_t created, const struct turn_owner *owner,
                       const struct tokfs_origin *origin, struct turn **ret);
void turn_resume(struct turn *turn, struct str body); // submits it again; it fails where that is refused at once
struct turn *turn_ref(struct turn *turn);
void turn_unref(struct turn *turn);                     // NULL is accepted
void turn_follow(struct turn *turn, struct turn *next); // takes a reference of next
void turn_set_priority(struct turn *turn, int64_t priority);
void turn_cancel(struct turn *turn); // asks the engine; the turn ends within a step
void turn_disown(struct turn *turn); // its owner goes: cancelled at once, no callback comes any more
// How far an answer had come. Cut off there, one whose end is known already was cancelled; false: it is not that long.
struct turn_extent {
    uint64_t text_len, hidden_len, n_pieces, n_probs, n_tokens;
};
struct turn_extent turn_extent(const struct turn *turn);
bool turn_cut(struct turn *turn, const struct turn_extent *extent);
void turn_take_event(struct turn *turn, const struct tokfs_event *event);
void turn_note_usage(struct turn *turn, const struct tokfs_event *event);      // what the engine says of it by the way
void turn_fail(struct turn *turn, const struct tokfs_error *error);            // ends it, whatever the engine would say
int turn_trail_add(struct turn_trail *trail, const struct tokfs_event *event); // a TOKEN event. 0 or -ENOMEM

bool turn_is_ended(const struct turn *turn);
bool turn_is_taken(const struct turn *turn); // its request was not refused: accepted, or done
int turn_end_code(const struct turn *turn);  // what a read at the end gives: 0, -ECANCELED, -EIO
const char *turn_state_name(const struct turn *turn);
void turn_write_status(const struct turn *turn, struct strbuf *out); // one line
void turn_write_usage(const struct turn *turn, struct strbuf *out);  // "name value" lines

// turn_text.c
void turn_free_choices(struct turn *turn);
const struct tokfs_completion *turn_prompts(const struct turn *turn); // NULL: nothing is told of them
int turn_begin_choices(struct turn *turn); // with the echo of their prompts, if asked for. 0 or -ENOMEM
int turn_add_text(struct turn *turn, const struct tokfs_event *event); // 0 or -ENOMEM
int turn_add_prompt(struct turn *turn, unsigned index); // with its log probabilities, if its echo has them
int turn_add_piece(struct turn *turn, const struct turn_piece *piece);   // whose text is there already. 0 or -ENOMEM
int turn_end_choice(struct turn *turn, const struct tokfs_event *event); // of several. 0 or -ENOMEM
int turn_end_text(struct turn *turn);                                    // no more comes. 0 or -ENOMEM
struct tokfs_answer_head turn_head(const struct turn *turn);
bool turn_has_ends(const struct turn *turn); // its choices end with a piece that holds their finish reason
struct tokfs_piece turn_piece_at(const struct turn *turn, size_t idx);
uint64_t turn_reasoning_len(const struct turn *turn);           // bytes of what was thought, of all choices
int turn_write_response(struct turn *turn, struct strbuf *out); // all choices in the form of its kind, and a line end
// The message that it leaves in the conversation. Without calls whose arguments are no JSON object, which templates
// cannot show, and without any when it was cancelled.
int turn_write_message(const struct turn *turn, struct strbuf *out);

#endif
