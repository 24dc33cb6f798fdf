// sessions/new: a chat-completions body in, the name of the session that it began out. The session is made when the
// body is complete and removed again when the engine refuses it, while its writer waits; so a refusal leaves only
// sessions/error.
#include "fs/sessions_dir.h"
#include "fs/body.h"
#include "fs/mount.h"
#include "fs/session.h"
#include "fs/session_table.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define REPLY_BYTES_MAX (64u << 10)

struct creation {
    struct body body;
    struct session *session; // shared: the latest one made; NULL: none
    bool is_waiting;         // for the engine's word
    bool is_blank;           // only white space was written as yet
    struct strbuf reply;     // lines: its name, and those before it that were not read
    size_t n_read;
};

static int new_open(struct file *file)
{
    struct creation *creation = calloc(1, sizeof(*creation));
    if (!creation) {
        return -ENOMEM;
    }
    body_init(&creation->body, file->user, file->mount->limits.body_bytes, 0);
    strbuf_init(&creation->reply, 0);
    file->state = creation;
    return 0;
}

static void forget_session(struct file *file)
{
    struct creation *creation = file->state;
    channel_unwatch(file);
    file->channel = NULL;
    session_unref(creation->session);
    creation->session = NULL;
    creation->is_waiting = false;
}

static int reject(struct file *file, int code, const struct tokfs_error *reason)
{
    struct creation *creation = file->state;
    if (reason->code) {
        user_errors_set(&file->mount->errors, file->uid, reason);
    }
    if (creation->session) {
        if (!creation->session->is_removed) {
            session_table_remove(file->mount->sessions, creation->session);
        }
        creation->is_waiting = false; // the channel stays until the waiting requests are answered
    }
    return code;
}

static int reject_uncreated(struct file *file, int code)
{
    struct tokfs_error reason = { 0 };
    if (code == -EDQUOT && user_is_at_limit(file->user, USER_SESSIONS)) {
        user_charge(file->user, USER_SESSIONS, &reason); // for its words
    } else {
        reason_set(&reason, code, NULL, "%s",
                   code == -ESHUTDOWN ? "the mount is shutting down"
                   : code == -EDQUOT  ? "too many sessions are in use"
                                      : "out of memory");
    }
    return reject(file, code, &reason);
}

static int create(struct file *file)
{
    struct creation *creation = file->state;
    struct tokfs_error reason = { 0 };
    forget_session(file);
    if (creation->n_read == creation->reply.len) {
        strbuf_reset(&creation->reply);
        creation->n_read = 0;
    } else if (creation->reply.len > REPLY_BYTES_MAX) {
        reason_set(&reason, -EBUSY, NULL, "read the names of the sessions that were made before");
        return reject(file, -EBUSY, &reason);
    }
    int r = session_table_create(file->mount->sessions, (struct str){ 0 }, file->uid, file->gid, file->pid,
                                 &creation->session);
    if (r < 0) {
        return reject_uncreated(file, r);
    }
    session_ref(creation->session);
    file->channel = &creation->session->channel;
    r = session_submit_json(creation->session, strbuf_str(&creation->body.bytes), true);
    if (r < 0) {
        return reject(file, r, &creation->session->error);
    }
    creation->is_waiting = true;
    return FILE_WAIT;
}

static int new_write(struct file *file, struct str bytes)
{
    struct creation *creation = file->state;
    struct tokfs_error reason = { 0 };
    if (creation->is_waiting) {
        return -EBUSY;
    }
    int r = body_feed(&creation->body, bytes, &reason);
    if (r == BODY_COMPLETE) {
        r = create(file);
        if (r != FILE_WAIT) {
            body_settle(&creation->body, r);
        }
        return r;
    }
    if (reason.code) {
        user_errors_set(&file->mount->errors, file->uid, &reason);
    }
    creation->is_blank = r == BODY_MORE && creation->body.kind == BODY_EMPTY && !creation->session;
    return r;
}

static int new_write_done(struct file *file)
{
    struct creation *creation = file->state;
    int r = creation->session->is_removed ? -ESTALE : session_submit_result(creation->session);
    if (r == FILE_WAIT) {
        return r;
    }
    body_settle(&creation->body, r);
    if (r == -ESTALE) {
        creation->is_waiting = false;
        return r;
    }
    if (r < 0) {
        return reject(file, r, &creation->session->error);
    }
    creation->is_waiting = false;
    strbuf_printf(&creation->reply, "%s\n", creation->session->name);
    return creation->reply.error;
}

static void new_write_abort(struct file *file)
{
    struct creation *creation = file->state;
    struct tokfs_error none = { 0 };
    reject(file, -EINTR, &none);
    body_settle(&creation->body, -EINTR);
}

static void new_give_up(struct file *file)
{
    struct creation *creation = file->state;
    struct tokfs_error reason = { 0 };
    if (body_give_up(&creation->body, &reason) < 0) {
        user_errors_set(&file->mount->errors, file->uid, &reason);
    }
}

static int new_flush(struct file *file)
{
    struct creation *creation = file->state;
    struct tokfs_error reason = { 0 };
    if (creation->body.failed || (creation->body.kind == BODY_EMPTY && !creation->is_blank)) {
        return 0;
    }
    int r = creation->is_blank ? reason_set(&reason, -EINVAL, NULL, "nothing but white space was written")
                               : body_check_end(&creation->body, &reason);
    if (r < 0) {
        user_errors_set(&file->mount->errors, file->uid, &reason);
    }
    return r;
}

static int new_read(struct file *file, size_t size, uint64_t offset, struct str *ret_bytes)
{
    struct creation *creation = file->state;
    (void)offset; // a stream
    if (creation->is_waiting) {
        return FILE_WAIT;
    }
    body_reset(&creation->body);
    int n = file_slice(strbuf_str(&creation->reply), size, creation->n_read, ret_bytes);
    creation->n_read += (size_t)n;
    return n;
}

static bool new_is_readable(struct file *file)
{
    const struct creation *creation = file->state;
    return !creation->is_waiting;
}

static void new_close(struct file *file)
{
    struct creation *creation = file->state;
    if (!creation) {
        return;
    }
    forget_session(file);
    body_deinit(&creation->body);
    strbuf_deinit(&creation->reply);
    free(creation);
}

static int error_render(struct file *file, struct strbuf *out)
{
    const struct tokfs_error *error = user_errors_get(&file->mount->errors, file->uid);
    if (error) {
        reason_write(out, error);
    }
    return out->error;
}

static int last_readlink(struct mount *mount, const struct fuse_ctx *caller, char *buf, size_t size)
{
    const struct session *session = session_table_last(mount->sessions, caller->uid, caller->pid);
    if (!session) {
        return -ENOENT;
    }
    snprintf(buf, size, "%s", session->name);
    return 0;
}

const struct node_type sessions_nodes[] = {
    { .name = "new",
      .mode = S_IFREG | 0666,
      .flags = NODE_FRESH | NODE_STREAM,
      .open = new_open,
      .close = new_close,
      .read = new_read,
      .write = new_write,
      .write_done = new_write_done,
      .write_abort = new_write_abort,
      .give_up = new_give_up,
      .flush = new_flush,
      .is_readable = new_is_readable },
    { .name = "error", .mode = S_IFREG | 0444, .render = error_render },
    { .name = "last", .mode = S_IFLNK | 0777, .readlink = last_readlink },
    { 0 },
};
