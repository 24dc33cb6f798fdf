// The text of a turn: what came, piece by piece, and what of it a reader of `output` sees.
//
//   text     content as it came; each tool call, once it is complete, as a line of JSON of its own
//   hidden   reasoning, names and ids of calls (NUL-terminated both), arguments; all of the choices after the first
//   pieces   where each piece lies: content in text, everything else in hidden
//   probs    how probable tokens were, if asked for; a piece without text then stands for a token without any
//
// Of several choices (which conversations do not have) each ends with a piece that holds its finish reason.
//
// Both only grow, so that readers may hold offsets.
#include "engine/base/json.h"
#include "fs/mount.h"
#include "fs/turn.h"
#include <errno.h>
#include <stdlib.h>

struct tokfs_answer_head turn_head(const struct turn *turn)
{
    return (struct tokfs_answer_head){ turn->id, turn->created, turn->mount->info.model,
                                       turn->mount->info.fingerprint };
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
static int place_token(struct turn *turn, const struct tokfs_event *event, size_t *ret_offset)
{
    if (!turn->n_chars) {
        turn->n_chars = calloc(turn->n > 0 ? turn->n : 1, sizeof(*turn->n_chars));
    }
    if (!turn->n_chars || event->index >= turn->n) {
        return turn->n_chars ? 0 : -ENOMEM;
    }
    const struct tokfs_logprob *token = &event->probs[0];
    *ret_offset = turn->n_chars[event->index];
    for (size_t i = 0; i < token->n_bytes; i++) {
        turn->n_chars[event->index] += ((unsigned char)token->bytes[i] & 0xc0) != 0x80;
    }
    return 0;
}

int turn_add_echo(struct turn *turn)
{
    int r = 0;
    for (unsigned i = 0; i < turn->n && r == 0; i++) {
        struct tokfs_event event = { .kind = TOKFS_EVENT_STARTED, .index = i };
        event.text = tokfs_completion_echo(turn->completion, i, &event.text_len);
        r = turn_add_text(turn, &event);
    }
    return r;
}

int turn_add_text(struct turn *turn, const struct tokfs_event *event)
{
    struct str text = { event->text, event->text_len };
    size_t n_probs = event->kind == TOKFS_EVENT_TOKEN ? event->n_probs : 0;
    if (text.len == 0 && n_probs == 0) {
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
    };
    r = n_probs > 0 ? add_probs(turn, event) : 0;
    r = r == 0 && n_probs > 0 ? place_token(turn, event, &piece.text_offset) : r;
    r = r == 0 ? strbuf_append(to, text) : r;
    if (r == 0 && event->part == TOKFS_PART_CALL && text.len > 0) {
        strbuf_append_byte(to, '\0');
        strbuf_append(to, str_from(event->call_id));
        r = strbuf_append_byte(to, '\0');
        turn->open_call = turn->n <= 1 ? turn->n_pieces + 1 : 0;
    }
    if (r == 0) {
        turn->pieces[turn->n_pieces++] = piece;
    }
    return r;
}

int turn_end_choice(struct turn *turn, const struct tokfs_event *event)
{
    int r = grow_pieces(turn);
    if (r == 0) {
        turn->pieces[turn->n_pieces] =
            (struct turn_piece){ .offset = turn->hidden.len, .index = event->index, .is_end = true };
        strbuf_append(&turn->hidden, str_from(event->finish_reason));
        r = strbuf_append_byte(&turn->hidden, '\0');
        turn->n_pieces += r == 0;
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
