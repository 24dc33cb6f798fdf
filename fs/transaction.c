// Transaction files: one request after another on an open file. What is asked and how it is answered is in the turn's
// kind, one for each of the files.
//
//   GATHERING --body complete--> WAITING --accepted--> ANSWERING --all read--> (an end of file) --write--> GATHERING
//        |                          `------refused------.
//        `--ill formed, or read before it was complete---`--> REFUSED: reading gives the error object
//
// A response with stream:true is made of chunks while it is read; one without, and an error, is held in `response`.
#include "fs/transaction.h"
#include "fs/body.h"
#include "fs/chunks.h"
#include "fs/mount.h"
#include "fs/node.h"
#include "fs/turn.h"
#include <errno.h>
#include <stdlib.h>
#include <tokfs/openai.h>

struct exchange {
    struct mount *mount;
    struct channel channel;
    struct body body;
    struct turn *turn;      // shared; NULL while GATHERING and REFUSED
    bool is_waiting;        // its writer waits for the engine's word
    bool is_refused;        // response is an error object
    bool is_made;           // response is complete
    struct strbuf response; // bytes that have been made
    size_t n_read;          // of them
    struct chunk_cursor cursor;
};

int transaction_open(struct file *file)
{
    struct exchange *ex = calloc(1, sizeof(*ex));
    if (!ex) {
        return -ENOMEM;
    }
    ex->mount = file->mount;
    ex->mount->counts.n_exchanges++;
    channel_init(&ex->channel, file->mount);
    body_init(&ex->body, file->user, file->mount->limits.body_bytes, 0);
    strbuf_init(&ex->response, 0);
    chunk_cursor_init(&ex->cursor, CHUNKS_SSE);
    file->channel = &ex->channel;
    file->state = ex;
    return 0;
}

static void drop_turn(struct exchange *ex)
{
    if (ex->turn) {
        turn_disown(ex->turn);
        turn_unref(ex->turn);
        ex->turn = NULL;
    }
}

void transaction_close(struct file *file)
{
    struct exchange *ex = file->state;
    if (!ex) {
        return;
    }
    drop_turn(ex);
    channel_deinit(&ex->channel);
    body_deinit(&ex->body);
    strbuf_deinit(&ex->response);
    ex->mount->counts.n_exchanges--;
    free(ex);
}

static void start_over(struct exchange *ex)
{
    drop_turn(ex);
    strbuf_reset(&ex->response);
    ex->n_read = 0;
    ex->is_refused = ex->is_made = ex->is_waiting = false;
    chunk_cursor_init(&ex->cursor, CHUNKS_SSE);
}

static int set_error_object(struct exchange *ex, const struct tokfs_error *error)
{
    struct tokfs_buffer json = { 0 };
    int r = tokfs_write_error(error, &json);
    if (r == 0) {
        strbuf_append(&ex->response, (struct str){ json.ptr, json.len });
        r = strbuf_append_byte(&ex->response, '\n');
        free(json.ptr);
    }
    ex->is_made = true;
    return r;
}

static int refuse(struct exchange *ex, const struct tokfs_error *error)
{
    struct tokfs_error copy = *error; // may belong to the turn
    start_over(ex);
    ex->is_refused = true;
    set_error_object(ex, &copy);
    return copy.code;
}

// Whether the answer to the latest request is still to come, in whole or in part.
static bool is_answering(const struct exchange *ex)
{
    if (!ex->turn) {
        return false;
    }
    bool is_all_made = ex->turn->stream ? !chunk_has_next(&ex->cursor, ex->turn) : ex->is_made;
    return !turn_is_ended(ex->turn) || !is_all_made || ex->n_read < ex->response.len;
}

int transaction_write(struct file *file, struct str bytes)
{
    struct exchange *ex = file->state;
    struct turn_owner owner = { .channel = &ex->channel, .uid = file->uid };
    struct tokfs_error reason = { 0 };
    int r = body_feed(&ex->body, bytes, &reason);
    if (r == BODY_MORE && ex->body.kind == BODY_EMPTY) {
        return 0; // the line end after a body
    }
    if (is_answering(ex)) {
        body_refuse(&ex->body, -EBUSY);
        return -EBUSY;
    }
    if (r < 0 && !reason.code) {
        return r; // told before: the error object of the piece that was refused stands
    }
    if (r < 0) {
        return refuse(ex, &reason);
    }
    start_over(ex);
    if (r == BODY_MORE) {
        return 0;
    }
    r = turn_submit(ex->mount, file->type->turn_kind, strbuf_str(&ex->body.bytes), &owner, &ex->turn, &reason);
    if (r < 0) {
        body_settle(&ex->body, r);
        return refuse(ex, &reason);
    }
    ex->is_waiting = true;
    return FILE_WAIT;
}

int transaction_write_done(struct file *file)
{
    struct exchange *ex = file->state;
    if (!ex->turn) {
        return -EINTR;
    }
    if (!turn_is_taken(ex->turn) && !turn_is_ended(ex->turn)) {
        return FILE_WAIT;
    }
    body_settle(&ex->body, turn_is_taken(ex->turn) ? 0 : ex->turn->error.code);
    if (turn_is_taken(ex->turn)) {
        ex->is_waiting = false;
        return 0;
    }
    return refuse(ex, &ex->turn->error);
}

void transaction_write_abort(struct file *file)
{
    struct exchange *ex = file->state;
    start_over(ex);
    body_settle(&ex->body, -EINTR);
    channel_mark(&ex->channel);
}

void transaction_give_up(struct file *file)
{
    struct exchange *ex = file->state;
    struct tokfs_error reason = { 0 };
    if (body_give_up(&ex->body, &reason) < 0) {
        refuse(ex, &reason);
        channel_mark(&ex->channel);
    }
}

int transaction_flush(struct file *file)
{
    struct exchange *ex = file->state;
    struct tokfs_error reason = { 0 };
    return ex->body.failed || ex->body.kind == BODY_EMPTY ? 0 : body_check_end(&ex->body, &reason);
}

// Reading what was never completed: the client believes that it was.
static void refuse_unfinished(struct exchange *ex)
{
    struct tokfs_error reason = { 0 };
    if (!ex->body.failed && ex->body.kind != BODY_EMPTY && body_check_end(&ex->body, &reason) < 0) {
        refuse(ex, &reason);
    }
    body_reset(&ex->body);
}

static int make_whole(struct exchange *ex)
{
    if (ex->turn->state != TURN_DONE) {
        return set_error_object(ex, &ex->turn->error);
    }
    ex->is_made = true;
    return ex->turn->kind->write_response(ex->turn, &ex->response);
}

static int make_chunks(struct exchange *ex, size_t size)
{
    int r = 1;
    if (ex->n_read == ex->response.len) {
        strbuf_reset(&ex->response);
        ex->n_read = 0;
    }
    while (r > 0 && ex->response.len - ex->n_read < size) {
        r = chunk_next(&ex->cursor, ex->turn, &ex->response);
    }
    return r < 0 ? r : 0;
}

static int make_response(struct exchange *ex, size_t size)
{
    if (!ex->turn || ex->is_made) {
        return 0;
    }
    if (ex->turn->stream) {
        return make_chunks(ex, size);
    }
    return turn_is_ended(ex->turn) ? make_whole(ex) : 0;
}

int transaction_read(struct file *file, size_t size, uint64_t offset, struct str *ret_bytes)
{
    struct exchange *ex = file->state;
    (void)offset; // a stream
    if (ex->is_waiting) {
        return FILE_WAIT;
    }
    refuse_unfinished(ex);
    size = ex->turn && !turn_is_ended(ex->turn) ? file_stream_size(size) : size;
    int r = make_response(ex, size);
    holding_set(&file->holding, ex->response.cap);
    if (r < 0) {
        return r;
    }
    int n = file_slice(strbuf_str(&ex->response), size, ex->n_read, ret_bytes);
    ex->n_read += (size_t)n;
    if (n > 0 || !ex->turn) {
        return n;
    }
    return turn_is_ended(ex->turn) ? turn_end_code(ex->turn) : FILE_WAIT;
}

bool transaction_is_readable(struct file *file)
{
    const struct exchange *ex = file->state;
    if (!ex->turn || ex->response.len > ex->n_read) {
        return !ex->is_waiting;
    }
    return turn_is_ended(ex->turn) || (ex->turn->stream && chunk_has_next(&ex->cursor, ex->turn));
}
