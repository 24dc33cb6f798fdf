// Directories while they are open: a listing each, charged to who opened it.
#include "fs/mount.h"
#include "fs/node_internal.h"
#include "fs/session.h"
#include "fs/session_table.h"
#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

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
        const struct node *node = node_find_child(mount, dir, child->name);
        bool is_listed = !(child->flags & NODE_UNLISTED) && !node_is_dangling(mount, node, fuse_req_ctx(listing->req));
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
void node_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
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

void node_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
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

void node_op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    listing_free(fuse_req_userdata(req), (struct listing *)(uintptr_t)fi->fh);
    fuse_reply_err(req, 0);
}

bool node_is_listed_by(struct mount *mount, const struct session *session, uid_t uid)
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
