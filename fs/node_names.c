// What makes, renames and removes names: of sessions only.
#include "fs/mount.h"
#include "fs/node_internal.h"
#include "fs/session.h"
#include "fs/session_table.h"
#include <errno.h>

// A session that is not in the journal is not there.
static void answer_mkdir(const struct journal_held *held, int code)
{
    struct mount *mount = fuse_req_userdata(held->req);
    if (code < 0 && !held->session->is_removed) {
        session_table_remove(mount->sessions, held->session);
    }
    if (code < 0 || held->session->is_removed) {
        fuse_reply_err(held->req, code < 0 ? -code : ENOENT);
    } else {
        node_reply_entry(held->req, mount, held->node);
    }
}

void node_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct mount *mount = fuse_req_userdata(req);
    struct node *dir = node_from_ino(mount, parent);
    const struct fuse_ctx *caller = fuse_req_ctx(req);
    (void)mode; // always 0700
    if (!(dir->type->flags & NODE_SESSIONS)) {
        fuse_reply_err(req, EPERM);
        return;
    }
    if (node_find_child(mount, dir, name)) {
        fuse_reply_err(req, EEXIST);
        return;
    }
    struct session *session;
    int r = session_table_create(mount->sessions, str_from(name), caller->uid, caller->gid, caller->pid, &session);
    if (r < 0) {
        fuse_reply_err(req, -r);
        return;
    }
    node_answer_later(req, &session->dir, session, answer_mkdir);
}

void node_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct mount *mount = fuse_req_userdata(req);
    struct node *dir = node_from_ino(mount, parent);
    struct node *node = node_find_child(mount, dir, name);
    int code = ENOENT;
    if (node && node->type->flags & NODE_SESSION && dir->type->flags & NODE_SESSIONS) {
        code = -journal_check(mount);
        if (code == 0) {
            session_table_remove(mount->sessions, node->session);
            node_answer_later(req, NULL, NULL, node_answer_code);
            return;
        }
    } else if (node) {
        code = S_ISDIR(node->type->mode) ? EPERM : ENOTDIR;
    }
    fuse_reply_err(req, code);
}

// Only sessions are made here, by mkdir. Without these the kernel would say that the function is not implemented, which
// is no answer to a misspelt name.
void node_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    (void)parent, (void)name, (void)mode, (void)rdev;
    fuse_reply_err(req, EPERM);
}

void node_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target, (void)parent, (void)name;
    fuse_reply_err(req, EPERM);
}

void node_op_link(fuse_req_t req, fuse_ino_t node, fuse_ino_t new_parent, const char *new_name)
{
    (void)node, (void)new_parent, (void)new_name;
    fuse_reply_err(req, EPERM);
}

// A session's files belong to its directory and are not removed alone. But `rm -r` unlinks them before it removes the
// directory, and is to be told apart: it holds the directory open, to list it, while it does so. It is answered with
// success, and the directory's removal follows.
void node_op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct mount *mount = fuse_req_userdata(req);
    struct node *dir = node_from_ino(mount, parent);
    struct node *node = node_find_child(mount, dir, name);
    bool is_allowed = dir->session && node_is_listed_by(mount, dir->session, fuse_req_ctx(req)->uid);
    fuse_reply_err(req, !node ? ENOENT : is_allowed ? 0 : EPERM);
}

void node_op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
                    unsigned flags)
{
    struct mount *mount = fuse_req_userdata(req);
    struct node *dir = node_from_ino(mount, parent);
    struct node *node = node_find_child(mount, dir, name);
    int code;
    if (!node) {
        code = ENOENT;
    } else if (!(node->type->flags & NODE_SESSION) || parent != new_parent || flags & ~1u) {
        code = EPERM; // 1: RENAME_NOREPLACE, which is how it works here anyway
    } else if (node_find_child(mount, dir, new_name)) {
        code = EEXIST;
    } else {
        code = -session_table_rename(mount->sessions, node->session, str_from(new_name));
        if (code == 0) {
            node_answer_later(req, NULL, NULL, node_answer_code);
            return;
        }
    }
    fuse_reply_err(req, code);
}
