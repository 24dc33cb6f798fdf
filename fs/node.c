// The operations on names: lookup, attributes, directories, links. What differs between names is in the tables
// (root_nodes, session_nodes); this file knows only the flags of struct node_type.
//
// Most time-outs are 0: the kernel asks again each time, so sizes, links and sessions are always as they are now.
#include "fs/node.h"
#include "fs/journal.h"
#include "fs/mount.h"
#include "fs/root_files.h"
#include "fs/session.h"
#include "fs/session_files.h"
#include "fs/session_table.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

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
static bool is_dangling(struct mount *mount, const struct node *node, const struct fuse_ctx *caller)
{
    char target[NAME_MAX + 1];
    return node->type->readlink && node->type->readlink(mount, caller, target, sizeof(target)) < 0;
}

static struct node *find_child(struct mount *mount, struct node *dir, const char *name)
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

static void reply_entry(fuse_req_t req, struct mount *mount, struct node *node)
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
    struct node *node = find_child(mount, node_from_ino(mount, parent), name);
    if (node && !is_dangling(mount, node, fuse_req_ctx(req))) {
        reply_entry(req, mount, node);
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
static void answer_later(fuse_req_t req, struct node *node, struct session *session,
                         void (*answer)(const struct journal_held *held, int code))
{
    struct mount *mount = fuse_req_userdata(req);
    journal_answer(mount, &(struct journal_held){ .req = req, .answer = answer, .node = node, .session = session });
}

static void answer_code(const struct journal_held *held, int code)
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
        answer_later(req, node, node->session, answer_attr);
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

// ---- directories ---------------------------------------------------------------------------------------------------

static void add_entry(fuse_req_t req, struct strbuf *out, const char *name, uint64_t ino, mode_t mode)
{
    size_t size = fuse_add_direntry(req, NULL, 0, name, NULL, 0);
    if (strbuf_reserve(out, size) == 0) {
        struct stat st = { .st_ino = ino, .st_mode = mode };
        fuse_add_direntry(req, out->ptr + out->len, size, name, &st, (off_t)(out->len + size));
        out->len += size;
    }
}

struct listing {
    struct strbuf entries;
    struct list link;        // in mount->listings
    struct session *session; // shared; NULL: not a session's directory
    struct user *user;       // shared: who opened it
    struct holding holding;
    fuse_req_t req; // while it is made
};

static void add_session(void *ctx, struct session *session)
{
    struct listing *listing = ctx;
    add_entry(listing->req, &listing->entries, session->name, session->dir.ino, session->dir.type->mode);
}

static void add_children(struct mount *mount, struct listing *listing, struct node *dir)
{
    for (const struct node_type *child = node_type_children(mount, dir->type); child && child->name; child++) {
        const struct node *node = find_child(mount, dir, child->name);
        bool is_listed = !(child->flags & NODE_UNLISTED) && !is_dangling(mount, node, fuse_req_ctx(listing->req));
        if (is_listed) {
            add_entry(listing->req, &listing->entries, child->name, node->ino, child->mode);
        }
    }
    if (dir->type->flags & NODE_SESSIONS) {
        // Each user sees his own, root all.
        session_table_each(mount->sessions, listing->user->uid == 0 ? NULL : listing->user, add_session, listing);
    }
}

static void listing_free(struct mount *mount, struct listing *listing)
{
    mount->counts.n_dirs--;
    list_remove(&listing->link);
    session_unref(listing->session);
    strbuf_deinit(&listing->entries);
    holding_deinit(&listing->holding);
    user_uncharge(listing->user, USER_FILES);
    user_put(listing->user);
    free(listing);
}

void node_close_dirs(struct mount *mount)
{
    while (!list_is_empty(&mount->listings)) {
        listing_free(mount, list_entry(mount->listings.next, struct listing, link));
    }
}

static int listing_new(struct mount *mount, fuse_req_t req, struct node *dir, struct listing **ret)
{
    struct user *user = user_get(mount->users, fuse_req_ctx(req)->uid);
    struct listing *listing = calloc(1, sizeof(*listing));
    int r = mount->counts.n_dirs >= mount->limits.n_files ? -ENFILE : 0;
    r = r == 0 ? (user && listing ? user_charge(user, USER_FILES, NULL) : -ENOMEM) : r;
    if (r < 0) {
        user_put(user);
        free(listing);
        return r;
    }
    mount->counts.n_dirs++;
    listing->req = req;
    listing->user = user;
    holding_init(&listing->holding, user);
    strbuf_init(&listing->entries, 0);
    list_init(&listing->link);
    list_append(&mount->listings, &listing->link);
    if (dir->session) {
        listing->session = session_ref(dir->session);
    }
    *ret = listing;
    return 0;
}

// A directory's listing is taken once, at opendir, in the form in which the kernel wants it: an entry's offset is the
// offset of its bytes, and a long listing stays the same while it is read in pieces.
static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct mount *mount = fuse_req_userdata(req);
    struct node *dir = node_from_ino(mount, ino);
    struct tokfs_error unwanted;
    struct listing *listing;
    int r = listing_new(mount, req, dir, &listing);
    if (r < 0) {
        fuse_reply_err(req, -r);
        return;
    }
    add_entry(req, &listing->entries, ".", dir->ino, S_IFDIR);
    add_entry(req, &listing->entries, "..", mount->nodes[0].ino, S_IFDIR);
    if (!dir->session || !dir->session->is_removed) {
        add_children(mount, listing, dir);
    }
    r = listing->entries.error ? -ENOMEM : holding_grow(&listing->holding, listing->entries.cap, &unwanted);
    fi->fh = (uintptr_t)listing;
    if (r < 0) {
        fuse_reply_err(req, -r);
        listing_free(mount, listing);
    } else if (fuse_reply_open(req, fi) != 0) {
        listing_free(mount, listing);
    }
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
    const struct listing *listing = (const struct listing *)(uintptr_t)fi->fh;
    (void)ino;
    struct str rest = str_skip(strbuf_str(&listing->entries), offset < 0 ? SIZE_MAX : (size_t)offset);
    size_t len = 0;
    while (rest.len - len >= sizeof(struct fuse_dirent)) {
        struct fuse_dirent head;
        memcpy(&head, rest.ptr + len, sizeof(head));
        size_t entry = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + head.namelen);
        if (entry > size - len || entry > rest.len - len) { // the latter: lseek(2) to where no entry begins
            break;
        }
        len += entry;
    }
    fuse_reply_buf(req, rest.ptr, len);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    listing_free(fuse_req_userdata(req), (struct listing *)(uintptr_t)fi->fh);
    fuse_reply_err(req, 0);
}

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
        reply_entry(held->req, mount, held->node);
    }
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct mount *mount = fuse_req_userdata(req);
    struct node *dir = node_from_ino(mount, parent);
    const struct fuse_ctx *caller = fuse_req_ctx(req);
    (void)mode; // always 0700
    if (!(dir->type->flags & NODE_SESSIONS)) {
        fuse_reply_err(req, EPERM);
        return;
    }
    if (find_child(mount, dir, name)) {
        fuse_reply_err(req, EEXIST);
        return;
    }
    struct session *session;
    int r = session_table_create(mount->sessions, str_from(name), caller->uid, caller->gid, caller->pid, &session);
    if (r < 0) {
        fuse_reply_err(req, -r);
        return;
    }
    answer_later(req, &session->dir, session, answer_mkdir);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct mount *mount = fuse_req_userdata(req);
    struct node *dir = node_from_ino(mount, parent);
    struct node *node = find_child(mount, dir, name);
    int code = ENOENT;
    if (node && node->type->flags & NODE_SESSION && dir->type->flags & NODE_SESSIONS) {
        code = -journal_check(mount);
        if (code == 0) {
            session_table_remove(mount->sessions, node->session);
            answer_later(req, NULL, NULL, answer_code);
            return;
        }
    } else if (node) {
        code = S_ISDIR(node->type->mode) ? EPERM : ENOTDIR;
    }
    fuse_reply_err(req, code);
}

// Only sessions are made here, by mkdir. Without these the kernel would say that the function is not implemented, which
// is no answer to a misspelt name.
static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    (void)parent, (void)name, (void)mode, (void)rdev;
    fuse_reply_err(req, EPERM);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target, (void)parent, (void)name;
    fuse_reply_err(req, EPERM);
}

static void op_link(fuse_req_t req, fuse_ino_t node, fuse_ino_t new_parent, const char *new_name)
{
    (void)node, (void)new_parent, (void)new_name;
    fuse_reply_err(req, EPERM);
}

// A session's files belong to its directory and are not removed alone. But `rm -r` unlinks them before it removes the
// directory, and is to be told apart: it holds the directory open, to list it, while it does so. It is answered with
// success, and the directory's removal follows.
static bool is_emptying(struct mount *mount, const struct session *session, uid_t uid)
{
    list_for_each(link, next, &mount->listings)
    {
        const struct listing *listing = list_entry(link, struct listing, link);
        if (listing->session == session && listing->user->uid == uid) {
            return true;
        }
    }
    return false;
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct mount *mount = fuse_req_userdata(req);
    struct node *dir = node_from_ino(mount, parent);
    struct node *node = find_child(mount, dir, name);
    bool is_allowed = dir->session && is_emptying(mount, dir->session, fuse_req_ctx(req)->uid);
    fuse_reply_err(req, !node ? ENOENT : is_allowed ? 0 : EPERM);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
                      unsigned flags)
{
    struct mount *mount = fuse_req_userdata(req);
    struct node *dir = node_from_ino(mount, parent);
    struct node *node = find_child(mount, dir, name);
    int code;
    if (!node) {
        code = ENOENT;
    } else if (!(node->type->flags & NODE_SESSION) || parent != new_parent || flags & ~1u) {
        code = EPERM; // 1: RENAME_NOREPLACE, which is how it works here anyway
    } else if (find_child(mount, dir, new_name)) {
        code = EEXIST;
    } else {
        code = -session_table_rename(mount->sessions, node->session, str_from(new_name));
        if (code == 0) {
            answer_later(req, NULL, NULL, answer_code);
            return;
        }
    }
    fuse_reply_err(req, code);
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
    .mknod = op_mknod,
    .symlink = op_symlink,
    .link = op_link,
    .mkdir = op_mkdir,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .rename = op_rename,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .releasedir = op_releasedir,
    .statfs = op_statfs,
    .open = file_op_open,
    .read = file_op_read,
    .write = file_op_write,
    .flush = file_op_flush,
    .release = file_op_release,
    .fsync = file_op_fsync,
    .poll = file_op_poll,
};
