// The text of a turn: what came, piece by piece, and what of it a reader of `output` sees.
//
//   text     content as it came; each tool call, once it is complete, as a line of JSON of its own
//   hidden   reasoning, names and ids of calls (NUL-terminated both), arguments; all of the choices after the first
//   pieces   where each piece lies: content in text, everything else in hidden
//   probs    how probable tokens were, if asked for; a piece without text then stands for a token without any
//
// Of several choices (which conversations do not have) each ends with a piece that holds its finish reason, as do those
// of kinds that are told by tokens.
//
// Both only grow, so that readers may hold offsets.
#include "engine/base/json.h"
#include "fs/mount.h"
#include "fs/turn.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct tokfs_answer_head turn_head(const struct turn *turn)
{
    return (struct tokfs_answer_head){ .id = turn->id,
                                       .created = turn->created,
                                       .model = turn->mount->info.model,
                                       .system_fingerprint = turn->mount->info.fingerprint,
                                       .prompts = turn->prompt_logprobs >= 0 ? turn_prompts(turn) : NULL,
                                       .prompt_logprobs = turn->prompt_logprobs };
}

// Content of the first choice; everything else is told in JSON only.
static bool is_shown(enum tokfs_part part, unsigned index)
{
    return part == TOKFS_PART_CONTENT && index == 0;
}

struct tokfs_piece turn_piece_at(const struct turn *turn, size_t idx)
{
    const struct turn_piece *piece = &turn->pieces[idx];
    const struct strbuf *from = is_shown(piece->part, piece->index) ? &turn->text : &turn->hidden;
    const char *text = from->ptr ? from->ptr + piece->offset : "";
    if (piece->is_end) {
        return (struct tokfs_piece){ .index = piece->index, .finish_reason = turn->hidden.ptr + piece->offset };
    }
    return (struct tokfs_piece){ .part = piece->part,
                                 .call_idx = piece->call_idx,
                                 .call_id = piece->part == TOKFS_PART_CALL ? text + piece->len + 1 : NULL,
                                 .text = text,
                                 .text_len = piece->len,
                                 .index = piece->index,
                                 .probs = piece->n_probs > 0 ? &turn->probs[piece->first_prob] : NULL,
                                 .n_probs = piece->n_probs,
                                 .text_offset = piece->text_offset };
}

uint64_t turn_reasoning_len(const struct turn *turn)
{
    uint64_t len = 0;
    for (size_t i = 0; i < turn->n_pieces; i++) {
        len += turn->pieces[i].part == TOKFS_PART_REASONING ? turn->pieces[i].len : 0;
    }
    return len;
}

bool turn_has_ends(const struct turn *turn)
{
    return turn->n > 1 || turn->kind->write_run;
}

// Pieces from `first` on as the API takes them; NULL when out of memory.
static struct tokfs_piece *gather(const struct turn *turn, size_t first)
{
    struct tokfs_piece *pieces = calloc(turn->n_pieces - first + 1, sizeof(*pieces));
    for (size_t i = first; pieces && i < turn->n_pieces; i++) {
        pieces[i - first] = turn_piece_at(turn, i);
    }
    return pieces;
}

// ---- growing -------------------------------------------------------------------------------------------------------

static int grow_pieces(struct turn *turn)
{
    if (turn->n_pieces < turn->pieces_cap) {
        return 0;
    }
    size_t cap = turn->pieces_cap ? turn->pieces_cap * 2 : 32;
    struct turn_piece *pieces = reallocarray(turn->pieces, cap, sizeof(*pieces));
    if (!pieces) {
        return -ENOMEM;
    }
    turn->pieces = pieces;
    turn->pieces_cap = cap;
    return 0;
}

// Room was made for it.
static void append_piece(struct turn *turn, struct turn_piece piece)
{
    struct turn_choice *choice = turn->choices ? &turn->choices[piece.index] : NULL; // work on text has none
    if (choice) {
        piece.before = choice->last;
        piece.nth = choice->last > 0 ? turn->pieces[choice->last - 1].nth + 1 : 1;
        choice->last = turn->n_pieces + 1;
    }
    turn->pieces[turn->n_pieces++] = piece;
}

// The call that was in hand is complete: its line.
static int show_call(struct turn *turn)
{
    size_t first = turn->open_call - 1, n = turn->n_pieces - first;
    struct tokfs_buffer line = { 0 };
    if (turn->open_call == 0) {
        return 0;
    }
    struct tokfs_piece *pieces = gather(turn, first);
    int r = pieces ? tokfs_write_call(pieces, n, pieces[0].call_idx, &line) : -ENOMEM;
    if (r == 0) {
        bool at_line_begin = turn->text.len == 0 || turn->text.ptr[turn->text.len - 1] == '\n';
        strbuf_append(&turn->text, at_line_begin ? STR("") : STR("\n"));
        strbuf_append(&turn->text, (struct str){ line.ptr, line.len });
        r = strbuf_append_byte(&turn->text, '\n');
        turn->open_call = 0;
    }
    free(line.ptr);
    free(pieces);
    return r;
}

int turn_add_piece(struct turn *turn, const struct turn_piece *piece)
{
    int r = grow_pieces(turn);
    if (r == 0) {
        append_piece(turn, *piece);
    }
    return r;
}

static int add_probs(struct turn *turn, const struct tokfs_event *event)
{
    if (turn->n_probs + event->n_probs > turn->probs_cap) {
        size_t cap = turn->probs_cap ? turn->probs_cap * 2 : 64;
        struct tokfs_logprob *probs = reallocarray(turn->probs, cap, sizeof(*probs));
        if (!probs) {
            return -ENOMEM;
        }
        turn->probs = probs;
        turn->probs_cap = cap;
    }
    for (size_t i = 0; i < event->n_probs; i++) {
        turn->probs[turn->n_probs++] = event->probs[i];
    }
    return 0;
}

// Where the token's text begins among those of its choice.
static size_t place_token(struct turn *turn, const struct tokfs_event *event)
{
    const struct tokfs_logprob *token = &event->probs[0];
    size_t *n_chars = &turn->choices[event->index].n_chars, offset = *n_chars;
    for (size_t i = 0; i < token->n_bytes; i++) {
        *n_chars += ((unsigned char)token->bytes[i] & 0xc0) != 0x80;
    }
    return offset;
}

static int add_echo(struct turn *turn, unsigned index)
{
    struct tokfs_event event = { .kind = TOKFS_EVENT_STARTED, .index = index, .token_id = -1 };
    event.text = tokfs_completion_echo(turn->completion, index, &event.text_len);
    return turn_add_text(turn, &event);
}

// A copy, NULL-terminated; NULL for an empty text. 0 or -ENOMEM.
static int copy_name(const struct turn *turn, unsigned index, char **ret)
{
    struct str name;
    name.ptr = tokfs_completion_name(turn->completion, index, &name.len);
    *ret = name.len > 0 ? str_dup(name) : NULL;
    return name.len > 0 && !*ret ? -ENOMEM : 0;
}

void turn_free_choices(struct turn *turn)
{
    for (unsigned i = 0; turn->choices && i < turn->n; i++) {
        free(turn->choices[i].name);
        free((char *)turn->choices[i].matched.ptr);
    }
    free(turn->choices);
}

int turn_begin_choices(struct turn *turn)
{
    int r = 0;
    turn->choices = calloc(turn->n > 0 ? turn->n : 1, sizeof(*turn->choices));
    for (unsigned i = 0; i < turn->n && turn->choices && r == 0; i++) {
        turn->choices[i].matched_id = -1;
        if (!turn->completion) { // recovered: a chat, without any of these
            continue;
        }
        tokfs_completion_prompt(turn->completion, i, &turn->choices[i].n_prompt);
        r = copy_name(turn, i, &turn->choices[i].name);
        r = r == 0 ? add_echo(turn, i) : r;
    }
    return turn->choices ? r : -ENOMEM;
}

const struct tokfs_completion *turn_prompts(const struct turn *turn)
{
    bool is_told = turn->echoes_probs || turn->prompt_logprobs >= 0 || (turn->kind->write_run && turn->has_logprobs);
    return !turn->is_accepted || !is_told ? NULL : turn->completion ? turn->completion : turn->scored;
}

// One token of the prompt, without text: that was told in one piece.
static int add_prompt_token(struct turn *turn, unsigned index, int32_t id, size_t pos)
{
    struct tokfs_logprob probs[TOKFS_PROBS_MAX];
    struct tokfs_event event = { .kind = TOKFS_EVENT_TOKEN, .index = index, .token_id = id, .text = "" };
    uint32_t rank;
    event.n_probs = tokfs_completion_prompt_probs(turn->completion, index, pos, probs, &rank);
    event.n_probs = event.n_probs < 1 + turn->n_top_logprobs ? event.n_probs : 1 + turn->n_top_logprobs;
    if (event.n_probs == 0) { // of the first one nothing is known
        probs[0] = (struct tokfs_logprob){ .id = id, .logprob = NAN };
        probs[0].bytes = tokfs_token_bytes(turn->mount->engine, id, &probs[0].n_bytes);
        event.n_probs = 1;
    }
    event.probs = probs;
    return turn_add_text(turn, &event);
}

int turn_add_prompt(struct turn *turn, unsigned index)
{
    size_t n = 0;
    int r = 0;
    if (!turn->echoes_probs || turn->choices[index].has_prompt || !turn->completion) {
        return 0;
    }
    turn->choices[index].has_prompt = true;
    const int32_t *ids = tokfs_completion_prompt(turn->completion, index, &n);
    for (size_t pos = 0; pos < n && r == 0; pos++) {
        r = add_prompt_token(turn, index, ids[pos], pos);
    }
    return r;
}

int turn_add_text(struct turn *turn, const struct tokfs_event *event)
{
    struct str text = { event->text, event->text_len };
    bool is_token = event->kind == TOKFS_EVENT_TOKEN && event->token_id >= 0;
    size_t n_probs = is_token ? event->n_probs : 0;
    if (text.len == 0 && n_probs == 0 && !(is_token && turn->kind->write_run)) {
        return 0;
    }
    int r = event->part == TOKFS_PART_ARGUMENTS || text.len == 0 ? 0 : show_call(turn);
    r = r == 0 ? grow_pieces(turn) : r;
    if (r < 0) {
        return r;
    }
    struct strbuf *to = is_shown(event->part, event->index) ? &turn->text : &turn->hidden;
    struct turn_piece piece = {
        .offset = to->len,
        .len = text.len,
        .sampled_ns = event->sampled_ns,
        .part = event->part,
        .call_idx = event->call_idx,
        .index = event->index,
        .n_probs = (uint32_t)n_probs,
        .first_prob = turn->n_probs,
        .token_id = is_token ? event->token_id : -1,
    };
    r = n_probs > 0 ? add_probs(turn, event) : 0;
    piece.text_offset = r == 0 && n_probs > 0 ? place_token(turn, event) : 0;
    r = r == 0 ? strbuf_append(to, text) : r;
    if (r == 0 && event->part == TOKFS_PART_CALL && text.len > 0) {
        strbuf_append_byte(to, '\0');
        strbuf_append(to, str_from(event->call_id));
        r = strbuf_append_byte(to, '\0');
        turn->open_call = turn->n <= 1 ? turn->n_pieces + 1 : 0;
    }
    if (r == 0) {
        append_piece(turn, piece);
    }
    return r;
}

int turn_end_choice(struct turn *turn, const struct tokfs_event *event)
{
    struct turn_choice *choice = &turn->choices[event->index];
    int r = grow_pieces(turn);
    choice->usage = event->choice_usage;
    choice->matched_id = event->matched_id;
    if (event->matched) {
        char *copy = str_dup((struct str){ event->matched, event->matched_len });
        choice->matched = (struct str){ copy, event->matched_len };
        r = copy ? r : -ENOMEM;
    }
    if (r == 0) {
        struct turn_piece end = { .offset = turn->hidden.len, .index = event->index, .is_end = true, .token_id = -1 };
        strbuf_append(&turn->hidden, str_from(event->finish_reason));
        r = strbuf_append_byte(&turn->hidden, '\0');
        if (r == 0) {
            append_piece(turn, end);
        }
    }
    return r;
}

int turn_end_text(struct turn *turn)
{
    return show_call(turn);
}

// ---- as JSON -------------------------------------------------------------------------------------------------------

static int append_buffer(struct strbuf *out, int r, struct tokfs_buffer *json)
{
    if (r == 0) {
        r = strbuf_append(out, (struct str){ json->ptr, json->len });
        free(json->ptr);
    }
    return r;
}

int turn_write_response(struct turn *turn, struct strbuf *out)
{
    struct tokfs_answer_head head = turn_head(turn);
    head.timings = turn->timings_per_token ? &turn->usage : NULL;
    struct tokfs_buffer json = { 0 };
    struct tokfs_piece *pieces = gather(turn, 0);
    int r = pieces ? turn->kind->write_answer(&head, pieces, turn->n_pieces, turn->finish_reason, &turn->usage, &json)
                   : -ENOMEM;
    free(pieces);
    r = append_buffer(out, r, &json);
    return r == 0 ? strbuf_append_byte(out, '\n') : r;
}

// Whether the arguments of the call whose piece is `first` are a JSON object.
static bool call_is_whole(const struct turn *turn, size_t first)
{
    struct json_scan scan;
    int r = JSON_SCAN_MORE;
    json_scan_init(&scan);
    for (size_t i = first + 1; i < turn->n_pieces && r >= 0; i++) {
        struct tokfs_piece piece = turn_piece_at(turn, i);
        if (piece.part == TOKFS_PART_ARGUMENTS && piece.call_idx == turn->pieces[first].call_idx) {
            r = json_scan_feed(&scan, (struct str){ piece.text, piece.text_len }, NULL);
        }
    }
    return r >= 0 && json_scan_end(&scan, NULL) == 0;
}

int turn_write_message(const struct turn *turn, struct strbuf *out)
{
    struct tokfs_buffer json = { 0 };
    struct tokfs_piece *pieces = gather(turn, 0);
    size_t n = 0;
    bool is_whole = false;
    for (size_t i = 0; pieces && i < turn->n_pieces; i++) {
        bool is_of_call = pieces[i].part == TOKFS_PART_CALL || pieces[i].part == TOKFS_PART_ARGUMENTS;
        if (pieces[i].part == TOKFS_PART_CALL) {
            is_whole = turn->state == TURN_DONE && call_is_whole(turn, i);
        }
        if (is_whole || !is_of_call) {
            pieces[n++] = pieces[i];
        }
    }
    int r = pieces ? tokfs_write_message(pieces, n, &json) : -ENOMEM;
    free(pieces);
    return append_buffer(out, r, &json);
}
