// Text written is submitted by the first read after it; a JSON object by the write that completes it. A read gives the
// answer to its end, then an end of file; what is written then is the next turn, and what had not been read of the
// answer before is gone.
#include "fs/ask.h"
#include "fs/body.h"
#include "fs/mount.h"
#include "fs/session.h"
#include <errno.h>
#include <stdlib.h>

struct ask {
    struct session *session; // private; removed with the file
    struct body body;
    size_t n_read; // of the latest turn's text
};

int ask_open(struct file *file)
{
    struct ask *ask = calloc(1, sizeof(*ask));
    if (!ask) {
        return -ENOMEM;
    }
    file->state = ask;
    body_init(&ask->body, file->user, file->mount->limits.body_bytes, BODY_TAKES_TEXT);
    int r = session_new(file->mount, (struct str){ 0 }, file->uid, file->gid, &ask->session);
    if (r == 0) {
        file->channel = &ask->session->channel;
    }
    return r;
}

void ask_close(struct file *file)
{
    struct ask *ask = file->state;
    if (!ask) {
        return;
    }
    if (ask->session) {
        session_remove(ask->session);
        session_unref(ask->session);
    }
    body_deinit(&ask->body);
    free(ask);
}

// A refusal has no file of its own here: sessions/error has the reason.
static int refuse(struct file *file, int code, const struct tokfs_error *reason)
{
    if (reason->code) {
        user_errors_set(&file->mount->errors, file->uid, reason);
    }
    return code;
}

int ask_write(struct file *file, struct str bytes)
{
    struct ask *ask = file->state;
    struct tokfs_error reason = { 0 };
    int r = body_feed(&ask->body, bytes, &reason);
    if (r == BODY_MORE && ask->body.kind == BODY_EMPTY) {
        return 0;
    }
    if (session_is_busy(ask->session)) {
        body_refuse(&ask->body, -EBUSY);
        reason_set(&reason, -EBUSY, NULL, "ask: the answer is still being written: read it to its end");
        return refuse(file, -EBUSY, &reason);
    }
    if (r != BODY_COMPLETE) {
        return refuse(file, r, &reason);
    }
    r = session_submit_json(ask->session, strbuf_str(&ask->body.bytes), true);
    if (r < 0) {
        body_settle(&ask->body, r);
    }
    return r < 0 ? refuse(file, r, &ask->session->error) : FILE_WAIT;
}

int ask_write_done(struct file *file)
{
    struct ask *ask = file->state;
    int r = session_submit_result(ask->session);
    if (r != FILE_WAIT) {
        body_settle(&ask->body, r);
    }
    if (r == 0) {
        ask->n_read = 0;
    }
    return r < 0 ? refuse(file, r, &ask->session->error) : r;
}

void ask_write_abort(struct file *file)
{
    struct ask *ask = file->state;
    session_abandon_candidate(ask->session);
    body_settle(&ask->body, -EINTR);
}

void ask_give_up(struct file *file)
{
    struct ask *ask = file->state;
    struct tokfs_error reason = { 0 };
    refuse(file, body_give_up(&ask->body, &reason), &reason);
}

int ask_flush(struct file *file)
{
    struct ask *ask = file->state;
    struct tokfs_error reason = { 0 };
    if (ask->body.failed || ask->body.kind != BODY_JSON) {
        return 0;
    }
    return refuse(file, body_check_end(&ask->body, &reason), &reason);
}

static int submit_text(struct file *file)
{
    struct ask *ask = file->state;
    struct tokfs_error reason = { 0 };
    int r = body_check_end(&ask->body, &reason);
    if (r == 0) {
        r = session_submit_text(ask->session, body_text(&ask->body));
        reason = ask->session->error;
    }
    body_reset(&ask->body);
    ask->n_read = 0;
    return r < 0 ? refuse(file, r, &reason) : 0;
}

int ask_read(struct file *file, size_t size, uint64_t offset, struct str *ret_bytes)
{
    struct ask *ask = file->state;
    struct session *session = ask->session;
    (void)offset; // a stream
    if (ask->body.failed || ask->body.kind == BODY_JSON) {
        body_reset(&ask->body); // what was refused in part, or has no end, is dropped
    }
    if (ask->body.kind == BODY_TEXT && !session_is_busy(session)) {
        int r = submit_text(file);
        if (r < 0) {
            return r;
        }
    }
    struct str rest = str_skip(strbuf_str(&session->last->text), ask->n_read);
    if (session->candidate) {
        return FILE_WAIT;
    }
    if (rest.len > 0) {
        *ret_bytes = str_take(rest, turn_is_ended(session->last) ? size : file_stream_size(size));
        ask->n_read += ret_bytes->len;
        return (int)ret_bytes->len;
    }
    if (!turn_is_ended(session->last)) {
        return FILE_WAIT;
    }
    int code = turn_end_code(session->last);
    if (code < 0) {
        refuse(file, code, &session->error);
    }
    return code;
}

bool ask_is_readable(struct file *file)
{
    const struct ask *ask = file->state;
    const struct session *session = ask->session;
    return ask->body.kind == BODY_TEXT || session->last->text.len > ask->n_read || !session_is_busy(session);
}
