// Nodes, their lookup and their attributes (node_listing.c has directories, node_names.c what makes, renames and
// removes names). What differs between names is in the tables (root_nodes, session_nodes); this file knows only the
// flags of struct node_type.
//
// Most time-outs are 0: the kernel asks again each time, so sizes, links and sessions are always as they are now.
#include "fs/node.h"
#include "fs/mount.h"
#include "fs/node_internal.h"
#include "fs/root_files.h"
#include "fs/session.h"
#include "fs/session_files.h"
#include "fs/session_table.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/fuse.h>
#include <stdlib.h>

#define FOREVER_S 3600.0
#define SOON_S    0.02

struct node *node_from_ino(struct mount *mount, fuse_ino_t ino)
{
    return ino == FUSE_ROOT_ID ? &mount->nodes[0] : (struct node *)(uintptr_t)ino;
}

fuse_ino_t node_number(const struct mount *mount, const struct node *node)
{
    return node == &mount->nodes[0] ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)node;
}

const struct node_type *node_type_children(const struct mount *mount, const struct node_type *dir)
{
    return dir->flags & NODE_MODELS ? mount->models.dirs : dir->children;
}

size_t node_type_count(const struct mount *mount, const struct node_type *dir)
{
    size_t n = 0;
    for (const struct node_type *child = node_type_children(mount, dir); child && child->name; child++) {
        n += 1 + node_type_count(mount, child);
    }
    return n;
}

// What a node of this type renders now, for its size.
static uint64_t rendered_size(struct mount *mount, struct node *node)
{
    struct file probe = { .type = node->type, .mount = mount, .node = node, .session = node->session };
    struct strbuf text;
    strbuf_init(&text, 0);
    int r = node->type->render(&probe, &text);
    uint64_t len = r == 0 ? text.len : 0;
    strbuf_deinit(&text);
    return len;
}

void node_stat(struct mount *mount, struct node *node, struct stat *ret)
{
    const struct session *session = node->session;
    *ret = (struct stat){ .st_ino = node->ino, .st_mode = node->type->mode, .st_blksize = 4096 };
    ret->st_nlink = S_ISDIR(node->type->mode) ? 2 : 1;
    ret->st_uid = session ? session->uid : mount->uid;
    ret->st_gid = session ? session->gid : mount->gid;
    ret->st_mtim = ret->st_ctim = ret->st_atim = session ? session->changed : mount->started;
    if (node->type->flags & NODE_CONSTANT) {
        ret->st_size = (off_t)node->type->content.len;
    } else if (node->type->size) {
        ret->st_size = (off_t)node->type->size(node->session, node->file);
    } else if (node->type->flags & NODE_SIZED) {
        ret->st_size = (off_t)rendered_size(mount, node);
    }
    ret->st_blocks = (ret->st_size + 511) / 512;
}

// ---- lookup --------------------------------------------------------------------------------------------------------

static void node_get(struct node *node)
{
    if (node->n_lookups++ == 0 && node->session) {
        session_ref(node->session);
    }
}

static void free_if_unused(struct mount *mount, struct node *node)
{
    if (node->type->flags & NODE_FRESH && node->n_lookups == 0 && node->n_files == 0) {
        list_remove(&node->link);
        if (node->of->latest == node) {
            node->of->latest = NULL;
        }
        free(node);
        mount->counts.n_fresh_nodes--;
    }
}

static void node_put(struct mount *mount, struct node *node, uint64_t n)
{
    assert(node->n_lookups >= n);
    node->n_lookups -= n;
    if (node->n_lookups > 0 || n == 0) {
        return;
    }
    struct session *session = node->session;
    free_if_unused(mount, node);
    session_unref(session);
}

void node_add_file(struct node *node)
{
    node->n_files++;
}

void node_remove_file(struct mount *mount, struct node *node, struct file *file)
{
    node->n_files--;
    node->file = node->file == file ? NULL : node->file;
    free_if_unused(mount, node);
}

static struct node *fresh_node(struct mount *mount, struct node *fixed, uid_t uid)
{
    struct node *node = fixed->latest;
    if (node && node->uid == uid && node->n_writes == 0) {
        return node;
    }
    node = malloc(sizeof(*node));
    if (node) {
        *node =
            (struct node){ .type = fixed->type, .session = fixed->session, .ino = fixed->ino, .uid = uid, .of = fixed };
        fixed->latest = fixed->type->flags & NODE_SHARED ? node : NULL;
        list_append(&mount->fresh_nodes, &node->link);
        mount->counts.n_fresh_nodes++;
    }
    return node;
}

static void forget_session_nodes(struct mount *mount, struct session *session)
{
    session_ref(session);
    node_put(mount, &session->dir, session->dir.n_lookups);
    for (size_t i = 0; i < SESSION_N_FILES; i++) {
        node_put(mount, &session->files[i], session->files[i].n_lookups);
    }
    session_unref(session);
}

void node_forget_all(struct mount *mount)
{
    while (!list_is_empty(&mount->fresh_nodes)) {
        struct node *node = list_entry(mount->fresh_nodes.next, struct node, link);
        node_put(mount, node, node->n_lookups);
    }
    list_for_each(link, next, &mount->all_sessions)
    {
        forget_session_nodes(mount, list_entry(link, struct session, all_link));
    }
}

static struct node *child_of_fixed(struct mount *mount, const struct node *dir, struct str name)
{
    const struct node_type *child = node_type_children(mount, dir->type);
    for (; child && child->name; child++) {
        if (str_eq(str_from(child->name), name)) {
            break;
        }
    }
    for (size_t i = 0; child && child->name && i < mount->n_nodes; i++) {
        if (mount->nodes[i].type == child) {
            return &mount->nodes[i];
        }
    }
    return NULL;
}

// A link that leads nowhere for its caller (sessions/last before there is a session) is not there for him.
bool node_is_dangling(struct mount *mount, const struct node *node, const struct fuse_ctx *caller)
{
    char target[NAME_MAX + 1];
    return node->type->readlink && node->type->readlink(mount, caller, target, sizeof(target)) < 0;
}

struct node *node_find_child(struct mount *mount, struct node *dir, const char *name)
{
    struct str key = str_from(name);
    if (dir->type->flags & NODE_SESSION) {
        return dir->session->is_removed ? NULL : session_find_file(dir->session, key);
    }
    struct node *node = child_of_fixed(mount, dir, key);
    if (!node && dir->type->flags & NODE_SESSIONS) {
        struct session *session = session_table_find(mount->sessions, key);
        node = session ? &session->dir : NULL;
    }
    return node;
}

// For how many seconds the kernel may take an answer as still true. The tree's own directories never change, nor does
// what a stat of a transaction file says; sessions come and go, and their files grow. The root, which every path begins
// with, is asked again soon, so that a mount whose daemon was killed shows itself.
static double name_lasts(const struct node *node)
{
    bool is_fixed = !node->session && S_ISDIR(node->type->mode);
    return is_fixed ? FOREVER_S : 0;
}

static double attr_lasts(const struct node *node)
{
    if (node->type == &root_type) {
        return SOON_S;
    }
    bool changes = node->type->flags & (NODE_SESSIONS | NODE_MODELS);
    bool is_stream = node->type->flags & NODE_STREAM && node->type->write && !node->type->size;
    return !node->session && (is_stream || (S_ISDIR(node->type->mode) && !changes)) ? FOREVER_S : 0;
}

void node_reply_entry(fuse_req_t req, struct mount *mount, struct node *node)
{
    struct fuse_entry_param entry = { 0 };
    if (node->type->flags & NODE_FRESH) {
        node = fresh_node(mount, node, fuse_req_ctx(req)->uid);
        if (!node) {
            fuse_reply_err(req, ENOMEM);
            return;
        }
    }
    entry.ino = node_number(mount, node);
    node_stat(mount, node, &entry.attr);
    entry.entry_timeout = name_lasts(node);
    entry.attr_timeout = attr_lasts(node);
    node_get(node);
    if (fuse_reply_entry(req, &entry) != 0) {
        node_put(mount, node, 1); // the caller was interrupted: no FORGET will come
    }
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct mount *mount = fuse_req_userdata(req);
    struct node *node = node_find_child(mount, node_from_ino(mount, parent), name);
    if (node && !node_is_dangling(mount, node, fuse_req_ctx(req))) {
        node_reply_entry(req, mount, node);
    } else {
        fuse_reply_err(req, ENOENT);
    }
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
    struct mount *mount = fuse_req_userdata(req);
    if (ino != FUSE_ROOT_ID) {
        node_put(mount, node_from_ino(mount, ino), n);
    }
    fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    struct mount *mount = fuse_req_userdata(req);
    for (size_t i = 0; i < count; i++) {
        if (forgets[i].ino != FUSE_ROOT_ID) {
            node_put(mount, node_from_ino(mount, forgets[i].ino), forgets[i].nlookup);
        }
    }
    fuse_reply_none(req);
}

// ---- attributes ----------------------------------------------------------------------------------------------------

// What was done is in the journal before its caller hears so.
void node_answer_later(fuse_req_t req, struct node *node, struct session *session,
                       void (*answer)(const struct journal_held *held, int code))
{
    struct mount *mount = fuse_req_userdata(req);
    journal_answer(mount, &(struct journal_held){ .req = req, .answer = answer, .node = node, .session = session });
}

void node_answer_code(const struct journal_held *held, int code)
{
    fuse_reply_err(held->req, -code);
}

static void reply_attr(fuse_req_t req, struct node *node)
{
    struct mount *mount = fuse_req_userdata(req);
    struct stat st;
    node_stat(mount, node, &st);
    fuse_reply_attr(req, &st, attr_lasts(node));
}

static void answer_attr(const struct journal_held *held, int code)
{
    if (code < 0) {
        fuse_reply_err(held->req, -code);
    } else {
        reply_attr(held->req, held->node);
    }
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct mount *mount = fuse_req_userdata(req);
    (void)fi;
    reply_attr(req, node_from_ino(mount, ino));
}

static int truncate_node(struct node *node, const struct fuse_file_info *fi, uint64_t size)
{
    return node->type->truncate(node->session, fi ? file_from_info(fi) : NULL, size);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
    struct mount *mount = fuse_req_userdata(req);
    struct node *node = node_from_ino(mount, ino);
    if (to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) {
        fuse_reply_err(req, EPERM);
        return;
    }
    if (to_set & FUSE_SET_ATTR_SIZE) {
        int r = node->type->truncate ? truncate_node(node, fi, (uint64_t)attr->st_size)
                : node->type->write  ? 0
                                     : -EPERM;
        if (r < 0) {
            fuse_reply_err(req, -r);
            return;
        }
    }
    // Times are the server's own: setting them is accepted and has no effect.
    if (to_set & FUSE_SET_ATTR_SIZE && node->session) {
        node_answer_later(req, node, node->session, answer_attr);
    } else {
        reply_attr(req, node);
    }
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
    struct mount *mount = fuse_req_userdata(req);
    struct node *node = node_from_ino(mount, ino);
    char target[NAME_MAX + 1];
    int r = node->type->readlink ? node->type->readlink(mount, fuse_req_ctx(req), target, sizeof(target)) : -EINVAL;
    if (r < 0) {
        fuse_reply_err(req, -r);
    } else {
        fuse_reply_readlink(req, target);
    }
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct mount *mount = fuse_req_userdata(req);
    (void)ino;
    struct statvfs st = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = SESSION_NAME_MAX };
    st.f_files = mount->limits.n_sessions;
    st.f_ffree = st.f_favail = mount->limits.n_sessions - session_table_count(mount->sessions);
    fuse_reply_statfs(req, &st);
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
    mount_on_init(userdata, conn);
}

const struct fuse_lowlevel_ops node_operations = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .readlink = op_readlink,
    .mknod = node_op_mknod,
    .symlink = node_op_symlink,
    .link = node_op_link,
    .mkdir = node_op_mkdir,
    .unlink = node_op_unlink,
    .rmdir = node_op_rmdir,
    .rename = node_op_rename,
    .opendir = node_op_opendir,
    .readdir = node_op_readdir,
    .releasedir = node_op_releasedir,
    .statfs = op_statfs,
    .open = file_op_open,
    .read = file_op_read,
    .write = file_op_write,
    .flush = file_op_flush,
    .release = file_op_release,
    .fsync = file_op_fsync,
    .poll = file_op_poll,
};
