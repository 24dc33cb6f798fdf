// Nodes: the names of the mount. One table row (struct node_type) per name holds what differs between files; the
// operations are written once.
//
// A node's number is its address (the kernel is the only client of the device, and it names only nodes that it looked
// up and has not forgotten); the root's is FUSE_ROOT_ID. Nodes live in three places: the fixed tree in the mount, a
// session's directory and files in the session, and nodes of their own for NODE_FRESH types, made by each lookup and
// freed when forgotten, so that the kernel's per-inode write lock never makes one client wait for another.
//
// A lookup of a name that others have open costs the kernel more than one request, if each is to find another node: it
// holds one node for each name, asks whether that is still the right one, forgets it, asks for the right one, and finds
// that of whoever came first meanwhile. With 8 clients that was 4.8 LOOKUPs for each open, with 16 more. So where what
// is written is only checked before its writer goes on (NODE_SHARED), a user's lookups get the latest of his nodes as
// long as no write waits there: at worst a write waits until those before it were checked.
#ifndef TOKFS_FS_NODE_H
#define TOKFS_FS_NODE_H

#include "engine/base/str.h"
#include "fs/file.h"
#include "fs/fuse.h"
#include <stdint.h>
#include <sys/stat.h>

enum {
    NODE_FRESH = 1 << 0,  // a new node for each lookup
    NODE_STREAM = 1 << 1, // no file position: read and write of one descriptor do not exclude each other
    NODE_CACHED =
        1 << 2,          // complete and constant once open: read through the page cache, so that sendfile and mmap work
    NODE_SIZED = 1 << 3, // st_size is the length of what it renders now
    NODE_SESSIONS = 1 << 4, // directory whose further entries are sessions
    NODE_SESSION = 1 << 5,  // a session's directory
    NODE_CONSTANT = 1 << 6, // is `content`, always
    NODE_MODELS = 1 << 7,   // directory whose entries are those of the mount's own table: see model_dir.h
    NODE_SHARED = 1 << 9,   // with NODE_FRESH: or the latest one of the same user, while no write waits there
    NODE_UNLISTED = 1 << 8, // found by its name only: whoever walks the tree would wait in it for ever
};

struct turn_kind;

struct node_type {
    const char *name;
    mode_t mode; // with its S_IFMT
    unsigned flags;
    const struct node_type *children;                     // directories; ended by a row without a name
    struct str content;                                   // NODE_CONSTANT
    const struct turn_kind *turn_kind;                    // of transaction files
    int (*open)(struct file *file);                       // 0, -errno, FILE_WAIT
    void (*close)(struct file *file);                     // frees file->state; also after an open that failed
    int (*render)(struct file *file, struct strbuf *out); // the whole text, at open; replaces `read`
    int (*read)(struct file *file, size_t size, uint64_t offset, struct str *ret_bytes);
    int (*write)(struct file *file, struct str bytes); // 0: all taken; -errno, FILE_WAIT
    int (*write_done)(struct file *file);              // after FILE_WAIT: 0, -errno, FILE_WAIT
    void (*write_abort)(struct file *file);            // the waiting writer was interrupted: as if it had not written
    void (*give_up)(struct file *file);                // the writer has stalled: what was begun is dropped
    int (*flush)(struct file *file);
    // Whether what was written takes effect when the file is closed; appends it, as it may be written again.
    bool (*put_draft)(const struct file *file, struct strbuf *out); // out NULL: only whether
    bool (*is_readable)(struct file *file);                         // NULL: always
    uint64_t (*size)(struct session *session, struct file *file);   // st_size; file NULL: not open
    // To st_size `size`; file NULL: by name, not on an open file.
    int (*truncate)(struct session *session, struct file *file, uint64_t size);
    int (*readlink)(struct mount *mount, const struct fuse_ctx *caller, char *buf, size_t size);
};

struct node {
    const struct node_type *type;
    struct session *session;
    uint64_t n_lookups;
    uint64_t ino;        // st_ino
    bool is_sized;       // NODE_CACHED: the kernel was told its size at an earlier open
    struct node *latest; // NODE_SHARED, in the fixed tree: made for it; NULL: none
    // NODE_FRESH ones:
    struct list link;  // in mount->fresh_nodes
    uint32_t n_files;  // open on it: FORGET may overtake RELEASE
    uint32_t n_writes; // parked
    uid_t uid;         // who looked it up first
    struct node *of;   // the fixed tree's
    struct file *file; // latest one opened, for its st_size: fstat(2) names the node only; NULL: none
};

struct node *node_from_ino(struct mount *mount, fuse_ino_t ino);
fuse_ino_t node_number(const struct mount *mount, const struct node *node);
void node_stat(struct mount *mount, struct node *node, struct stat *ret);
// A file was opened on the node, or is closed; the node may be gone after the latter.
void node_add_file(struct node *node);
void node_remove_file(struct mount *mount, struct node *node, struct file *file);
const struct node_type *node_type_children(const struct mount *mount, const struct node_type *dir);
// Total count of the rows of a directory and of those below it.
size_t node_type_count(const struct mount *mount, const struct node_type *dir);
void node_close_dirs(struct mount *mount); // at the end: those that the kernel did not close
void node_forget_all(struct mount *mount); // at the end, when no FORGET will come any more

extern const struct fuse_lowlevel_ops node_operations;

#endif
