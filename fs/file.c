// Open files. A struct file lives from its open to its RELEASE (or to the end of the mount, which frees those that the
// kernel did not release); it holds a reference to its session, so that what it reads stays when the session is
// removed.
//
// An open is parked like a read: the file exists already, is_opened tells whether the kernel knows it.
#include "fs/file.h"
#include "engine/base/loop.h"
#include "fs/journal.h"
#include "fs/mount.h"
#include "fs/node.h"
#include "fs/session.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdlib.h>

struct file *file_from_info(const struct fuse_file_info *fi)
{
    return (struct file *)(uintptr_t)fi->fh;
}

int file_new(struct mount *mount, struct node *node, int flags, const struct fuse_ctx *caller, struct file **ret)
{
    struct user *user = user_get(mount->users, caller->uid);
    struct file *file = calloc(1, sizeof(*file));
    int r = file && user ? user_charge(user, USER_FILES, NULL) : -ENOMEM;
    if (r < 0) {
        user_put(user);
        free(file);
        return r;
    }
    file->user = user;
    holding_init(&file->holding, user);
    file->type = node->type;
    file->mount = mount;
    file->node = node;
    file->flags = flags;
    file->uid = caller->uid;
    file->gid = caller->gid;
    file->pid = caller->pid;
    strbuf_init(&file->snapshot, 0);
    list_init(&file->watch_link);
    list_init(&file->begun_link);
    list_init(&file->link);
    list_append(&mount->files, &file->link);
    mount->counts.n_files++;
    node_add_file(node);
    if (node->session) {
        file->session = session_ref(node->session);
        node->session->n_files++;
        file->channel = &node->session->channel;
        session_touch(node->session);
    }
    *ret = file;
    return 0;
}

void file_set_reader_away(struct file *file, bool is_away)
{
    file->mount->counts.n_away += (uint32_t)is_away - (uint32_t)file->is_reader_away;
    file->is_reader_away = is_away;
}

void file_free(struct file *file)
{
    file_set_reader_away(file, false);
    channel_unwatch(file);
    journal_draft_closing(file);
    if (file->type->close) {
        file->type->close(file);
    }
    journal_draft_closed(file);
    strbuf_deinit(&file->snapshot);
    node_remove_file(file->mount, file->node, file);
    list_remove(&file->link);
    list_remove(&file->begun_link);
    file->mount->counts.n_files--;
    if (file->session) {
        file->session->n_files--;
    }
    session_unref(file->session);
    holding_deinit(&file->holding);
    user_uncharge(file->user, USER_FILES);
    user_put(file->user);
    free(file);
}

size_t file_stream_size(size_t size)
{
    return size < MOUNT_READ_BYTES_MAX ? size : MOUNT_READ_BYTES_MAX - 1;
}

int file_slice(struct str content, size_t size, uint64_t offset, struct str *ret_bytes)
{
    struct str rest = str_skip(content, offset > content.len ? content.len : (size_t)offset);
    *ret_bytes = str_take(rest, size);
    return (int)ret_bytes->len;
}

static bool is_stale(const struct file *file)
{
    return file->session && file->session->is_removed;
}

static int file_open(struct file *file)
{
    struct tokfs_error unwanted;
    if (is_stale(file)) {
        return -ESTALE;
    }
    int r = file->type->open ? file->type->open(file) : 0;
    if (r == 0 && file->type->render) {
        r = file->type->render(file, &file->snapshot);
        r = r == 0 ? file->snapshot.error : r;
        r = r == 0 ? holding_grow(&file->holding, file->snapshot.cap, &unwanted) : r;
    }
    return r;
}

static int file_read(struct file *file, size_t size, uint64_t offset, struct str *ret_bytes)
{
    if (is_stale(file)) {
        return -ESTALE;
    }
    if (file->type->flags & NODE_CONSTANT) {
        return file_slice(file->type->content, size, offset, ret_bytes);
    }
    if (!file->type->read) {
        return file_slice(strbuf_str(&file->snapshot), size, offset, ret_bytes);
    }
    return file->type->read(file, size, offset, ret_bytes);
}

int file_resume(struct file *file, enum parked_kind kind, size_t size, uint64_t offset, struct str *ret_bytes)
{
    switch (kind) {
    case PARKED_OPEN: return file_open(file);
    case PARKED_READ: return file_read(file, size, offset, ret_bytes);
    case PARKED_WRITE: {
        int r = is_stale(file) ? -ESTALE : file->type->write_done(file);
        return r == 0 ? (int)size : r;
    }
    }
    return -EIO;
}

void file_interrupted(struct file *file, enum parked_kind kind)
{
    if (kind == PARKED_WRITE && file->type->write_abort) {
        file->type->write_abort(file);
    }
}

bool file_is_readable(struct file *file)
{
    return is_stale(file) || !file->type->is_readable || file->type->is_readable(file);
}

// The kernel learns the size of a file that is read through its page cache from the LOOKUP before the open, which may
// have been made while the answer was still growing. Storing the last byte tells it the size now. Only for the first
// open of a NODE_FRESH node: nobody can hold a page of it locked, so the store cannot wait for a request that waits for
// us.
static void announce_size(struct file *file)
{
    struct str content = strbuf_str(&file->snapshot);
    if (file->node->is_sized || content.len == 0) {
        return;
    }
    file->node->is_sized = true;
    struct fuse_bufvec buf = FUSE_BUFVEC_INIT(1);
    buf.buf[0].mem = (char *)(uintptr_t)(content.ptr + content.len - 1);
    fuse_lowlevel_notify_store(file->mount->fuse, node_number(file->mount, file->node), (off_t)content.len - 1, &buf,
                               0);
}

static void answer_open(fuse_req_t req, struct file *file, int result)
{
    const struct node_type *type = file->type;
    if (result != 0) {
        fuse_reply_err(req, -result);
        file_free(file);
        return;
    }
    // libfuse 3.14 has no field for FOPEN_STREAM, hence the reply in the kernel's own form.
    struct fuse_open_out out = { .fh = (uintptr_t)file };
    out.open_flags = type->flags & NODE_CONSTANT ? FOPEN_KEEP_CACHE : type->flags & NODE_CACHED ? 0 : FOPEN_DIRECT_IO;
    if (type->flags & NODE_STREAM) {
        out.open_flags |= FOPEN_STREAM;
    }
    if (!type->flush || (file->flags & O_ACCMODE) == O_RDONLY) {
        out.open_flags |= FOPEN_NOFLUSH; // its close has nothing to tell
    }
    if (type->flags & NODE_CACHED) {
        announce_size(file);
    }
    file->is_opened = true;
    if (type->flags & NODE_FRESH) {
        file->node->file = file;
    }
    if (fuse_reply_buf(req, (const char *)&out, sizeof(out)) != 0) {
        file->is_opened = false; // the opener is gone: no RELEASE will come
        file_free(file);
    }
}

void file_answer(fuse_req_t req, struct file *file, enum parked_kind kind, int result, struct str bytes)
{
    if (kind == PARKED_OPEN) {
        answer_open(req, file, result);
    } else if (result < 0) {
        fuse_reply_err(req, -result);
    } else if (kind == PARKED_WRITE) {
        fuse_reply_write(req, (size_t)result);
    } else {
        fuse_reply_buf(req, bytes.ptr, bytes.len);
    }
}

static void answer_write(const struct journal_held *held, int code)
{
    if (code < 0) {
        fuse_reply_err(held->req, -code);
    } else {
        fuse_reply_write(held->req, held->size);
    }
}

// Sends the result of a handler, or parks the request. What was written for a conversation is in the journal before its
// writer hears so.
static void finish(fuse_req_t req, struct file *file, enum parked_kind kind, int result, struct str bytes, size_t size,
                   uint64_t offset)
{
    // An open waits in any case, as regular files do not care for O_NONBLOCK: tar(1) opens what it copies with it.
    if (result == FILE_WAIT && kind == PARKED_READ && file->flags & O_NONBLOCK) {
        result = -EAGAIN;
    }
    if (result >= 0 && result != FILE_WAIT && kind == PARKED_WRITE && file->session) {
        journal_answer(file->mount,
                       &(struct journal_held){ .req = req, .answer = answer_write, .size = (size_t)result });
    } else if (result == FILE_WAIT) {
        channel_park(file->channel, req, file, kind, size, offset);
    } else {
        file_answer(req, file, kind, result, bytes);
    }
}

void file_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct mount *mount = fuse_req_userdata(req);
    struct node *node = node_from_ino(mount, ino);
    if ((fi->flags & O_ACCMODE) != O_RDONLY && !node->type->write) { // root's, whom the mode does not stop
        fuse_reply_err(req, EACCES);
        return;
    }
    if (mount->counts.n_files >= mount->limits.n_files) {
        fuse_reply_err(req, ENFILE);
        return;
    }
    struct file *file;
    int r = file_new(mount, node, fi->flags, fuse_req_ctx(req), &file);
    if (r < 0) {
        fuse_reply_err(req, -r);
        return;
    }
    finish(req, file, PARKED_OPEN, file_open(file), (struct str){ 0 }, 0, 0);
}

void file_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
    struct file *file = file_from_info(fi);
    struct str bytes = { 0 };
    (void)ino;
    file->flags = fi->flags; // fcntl may have changed O_NONBLOCK
    file_set_reader_away(file, false);
    int result = offset < 0 ? -EINVAL : file_read(file, size, (uint64_t)offset, &bytes);
    finish(req, file, PARKED_READ, result, bytes, size, (uint64_t)offset);
}

// Writers in the order of their latest write, so that those who stall come first.
static void note_write(struct file *file)
{
    if (file->type->give_up) {
        file->written_ns = clock_monotonic_ns();
        list_remove(&file->begun_link);
        list_append(&file->mount->begun, &file->begun_link);
        mount_watch_writers(file->mount);
    }
}

uint64_t file_give_up_stalled(struct mount *mount, uint64_t now_ns)
{
    uint64_t timeout_ns = mount->limits.write_timeout_ms * 1000000u;
    while (!list_is_empty(&mount->begun)) {
        struct file *file = list_entry(mount->begun.next, struct file, begun_link);
        if (file->written_ns + timeout_ns > now_ns) {
            return file->written_ns + timeout_ns;
        }
        list_remove(&file->begun_link);
        if (!is_stale(file)) {
            file->type->give_up(file);
            journal_draft_changed(file, STR(""), -ETIMEDOUT);
        }
    }
    return 0;
}

void file_op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset,
                   struct fuse_file_info *fi)
{
    struct file *file = file_from_info(fi);
    (void)ino;
    (void)offset; // pieces are taken in the order in which they come
    file->pid = fuse_req_ctx(req)->pid;
    int result = -EBADF;
    if (is_stale(file)) {
        result = -ESTALE;
    } else if (file->type->write) {
        int code = file->session ? journal_check(file->mount) : 0;
        result = code < 0 ? code : file->type->write(file, (struct str){ buf, size });
        journal_draft_changed(file, (struct str){ buf, size }, result);
        result = result == 0 ? (int)size : result;
    }
    note_write(file);
    finish(req, file, PARKED_WRITE, result, (struct str){ 0 }, size, 0);
}

void file_op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct file *file = file_from_info(fi);
    (void)ino;
    fuse_reply_err(req, file->type->flush && !is_stale(file) ? -file->type->flush(file) : 0);
}

void file_op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    file_free(file_from_info(fi));
    fuse_reply_err(req, 0);
}

void file_op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)ino;
    (void)datasync;
    (void)fi;
    fuse_reply_err(req, 0); // nothing is held back
}

void file_op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *handle)
{
    struct file *file = file_from_info(fi);
    (void)ino;
    bool is_readable = file_is_readable(file);
    unsigned events = (is_readable ? POLLIN | POLLRDNORM : 0u) | (file->type->write ? POLLOUT | POLLWRNORM : 0u);
    if (handle && file->channel) {
        channel_watch(file->channel, file, handle);
    } else if (handle) {
        fuse_pollhandle_destroy(handle);
    }
    fuse_reply_poll(req, events);
}
