// The phases of a cursor: ROLE (as soon as the turn is accepted, one for each choice), PIECES (one chunk per piece),
// FINISH (the finish reason, which several choices have among their pieces; or the error object of a turn that failed),
// USAGE and DONE (SSE only), END. A phase that has nothing to say is stepped over. Reasoning has pieces only.
#include "fs/chunks.h"
#include "fs/mount.h"
#include <errno.h>
#include <stdlib.h>

void chunk_cursor_init(struct chunk_cursor *cursor, enum chunk_form form)
{
    *cursor = (struct chunk_cursor){ .form = form };
}

static bool has_failed(const struct turn *turn)
{
    return turn->state == TURN_FAILED || turn->state == TURN_CANCELLED;
}

static int emit(enum chunk_form form, struct str json, struct strbuf *out)
{
    if (form == CHUNKS_SSE) {
        strbuf_append(out, STR("data: "));
    }
    strbuf_append(out, json);
    strbuf_append(out, form == CHUNKS_SSE ? STR("\n\n") : STR("\n"));
    return out->error ? out->error : 1;
}

static int emit_buffer(enum chunk_form form, int r, struct tokfs_buffer *json, struct strbuf *out)
{
    if (r == 0) {
        r = emit(form, (struct str){ json->ptr, json->len }, out);
        free(json->ptr);
    }
    return r;
}

// Timings are told with the last chunks only: those before are the same whenever they are made.
static int emit_chunk(enum chunk_form form, const struct turn *turn, const struct tokfs_chunk *chunk,
                      struct strbuf *out)
{
    struct tokfs_answer_head head = turn_head(turn);
    head.timings = turn->timings_per_token && (chunk->no_choices || chunk->finish_reason) ? &turn->usage : NULL;
    struct tokfs_buffer json = { 0 };
    return emit_buffer(form, turn->kind->write_chunk(&head, chunk, &json), &json, out);
}

static int emit_finish(enum chunk_form form, const struct turn *turn, struct strbuf *out)
{
    if (has_failed(turn)) {
        struct tokfs_buffer json = { 0 };
        return emit_buffer(form, tokfs_write_error(&turn->error, &json), &json, out);
    }
    struct tokfs_chunk chunk = { .finish_reason = turn->finish_reason };
    chunk.usage = form == CHUNKS_NDJSON ? &turn->usage : NULL;
    return emit_chunk(form, turn, &chunk, out);
}

// The phase that really comes next: steps over those that are through or do not apply. CHUNK_PIECES is held as long as
// the turn may still grow.
static enum chunk_phase settle(const struct chunk_cursor *cursor, const struct turn *turn)
{
    enum chunk_phase phase = cursor->phase;
    if (turn->state == TURN_IDLE) {
        return CHUNK_END;
    }
    if (phase == CHUNK_ROLE && !turn->is_accepted && turn_is_ended(turn)) {
        phase = CHUNK_FINISH; // refused: only the error
    }
    if (phase == CHUNK_ROLE && !turn->kind->has_roles && turn->is_accepted) {
        phase = CHUNK_PIECES;
    }
    if (phase == CHUNK_PIECES && cursor->piece_idx == turn->n_pieces && turn_is_ended(turn)) {
        phase = CHUNK_FINISH;
    }
    if (phase == CHUNK_FINISH && turn_has_ends(turn) && !has_failed(turn)) {
        phase = CHUNK_USAGE;
    }
    if (phase == CHUNK_USAGE && (cursor->form != CHUNKS_SSE || !turn->include_usage || has_failed(turn))) {
        phase = CHUNK_DONE;
    }
    if (phase == CHUNK_DONE && cursor->form != CHUNKS_SSE) {
        phase = CHUNK_END;
    }
    return phase;
}

// The next piece of reasoning, or where the pieces end for now.
static size_t next_reasoning(const struct chunk_cursor *cursor, const struct turn *turn)
{
    size_t idx = cursor->piece_idx;
    while (idx < turn->n_pieces && turn->pieces[idx].part != TOKFS_PART_REASONING) {
        idx++;
    }
    return idx;
}

static int emit_reasoning(struct chunk_cursor *cursor, const struct turn *turn, struct strbuf *out)
{
    cursor->piece_idx = next_reasoning(cursor, turn);
    if (cursor->piece_idx == turn->n_pieces) {
        return 0;
    }
    struct tokfs_piece piece = turn_piece_at(turn, cursor->piece_idx++);
    int r = strbuf_append(out, (struct str){ piece.text, piece.text_len });
    return r < 0 ? r : 1;
}

bool chunk_has_next(const struct chunk_cursor *cursor, const struct turn *turn)
{
    if (cursor->form == CHUNKS_REASONING) {
        return next_reasoning(cursor, turn) < turn->n_pieces;
    }
    switch (settle(cursor, turn)) {
    case CHUNK_ROLE: return turn->is_accepted;
    case CHUNK_PIECES: return cursor->piece_idx < turn->n_pieces;
    case CHUNK_END: return false;
    default: return true;
    }
}

// All pieces of one choice that are there, up to its end: what was told is told again with each chunk, so that a chunk
// for each piece would only be longer.
static size_t run_length(const struct chunk_cursor *cursor, const struct turn *turn)
{
    const struct turn_piece *first = &turn->pieces[cursor->piece_idx], *end = turn->pieces + turn->n_pieces;
    const struct turn_piece *at = first;
    while (at + 1 < end && !at->is_end && at[1].index == first->index) {
        at++;
    }
    return (size_t)(at - first) + 1;
}

static int emit_run(struct chunk_cursor *cursor, const struct turn *turn, struct strbuf *out)
{
    size_t n = run_length(cursor, turn);
    strbuf_append(out, cursor->form == CHUNKS_SSE ? STR("data: ") : STR(""));
    int r = turn->kind->write_run(turn, cursor->piece_idx, n, out);
    strbuf_append(out, cursor->form == CHUNKS_SSE ? STR("\n\n") : STR("\n"));
    cursor->piece_idx += n;
    return r < 0 ? r : out->error ? out->error : 1;
}

static int emit_piece(struct chunk_cursor *cursor, const struct turn *turn, struct strbuf *out)
{
    if (turn->kind->write_run) {
        return emit_run(cursor, turn, out);
    }
    const struct turn_piece *piece = &turn->pieces[cursor->piece_idx];
    struct tokfs_piece said = turn_piece_at(turn, cursor->piece_idx);
    struct tokfs_chunk chunk = { .piece = &said, .sampled_ns = turn->timings_per_token ? piece->sampled_ns : 0 };
    int r = emit_chunk(cursor->form, turn, &chunk, out);
    if (r > 0) {
        cursor->piece_idx++;
    }
    return r;
}

static int emit_role(struct chunk_cursor *cursor, const struct turn *turn, struct strbuf *out)
{
    struct tokfs_chunk chunk = { .index = cursor->role_idx, .role = true };
    int r = emit_chunk(cursor->form, turn, &chunk, out);
    if (r > 0 && ++cursor->role_idx >= turn->n) {
        cursor->phase++;
    }
    return r;
}

int chunk_next(struct chunk_cursor *cursor, const struct turn *turn, struct strbuf *out)
{
    if (cursor->form == CHUNKS_REASONING) {
        return emit_reasoning(cursor, turn, out);
    }
    if (!chunk_has_next(cursor, turn)) {
        return 0;
    }
    cursor->phase = settle(cursor, turn);
    int r = 0;
    switch (cursor->phase) {
    case CHUNK_ROLE: return emit_role(cursor, turn, out);
    case CHUNK_PIECES: return emit_piece(cursor, turn, out);
    case CHUNK_FINISH: r = emit_finish(cursor->form, turn, out); break;
    case CHUNK_USAGE: {
        struct tokfs_chunk chunk = { .usage = &turn->usage, .no_choices = true };
        r = emit_chunk(cursor->form, turn, &chunk, out);
        break;
    }
    case CHUNK_DONE: r = emit(cursor->form, STR("[DONE]"), out); break;
    case CHUNK_END: return 0;
    }
    if (r > 0) {
        cursor->phase++;
    }
    return r;
}
