// The operations on names between their files: nodes and attributes (node.c), open directories (node_listing.c), names
// that come and go (node_names.c). Nobody else includes this.
#ifndef TOKFS_FS_NODE_INTERNAL_H
#define TOKFS_FS_NODE_INTERNAL_H

#include "fs/journal.h"
#include "fs/node.h"

struct node *node_find_child(struct mount *mount, struct node *dir, const char *name); // NULL: there is none
// A link that leads nowhere for its caller.
bool node_is_dangling(struct mount *mount, const struct node *node, const struct fuse_ctx *caller);
void node_reply_entry(fuse_req_t req, struct mount *mount, struct node *node);
// What was done is in the journal before its caller hears so.
void node_answer_later(fuse_req_t req, struct node *node, struct session *session,
                       void (*answer)(const struct journal_held *held, int code));
void node_answer_code(const struct journal_held *held, int code);
// Whether the user holds the session's directory open.
bool node_is_listed_by(struct mount *mount, const struct session *session, uid_t uid);

void node_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void node_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void node_op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void node_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void node_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void node_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void node_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void node_op_link(fuse_req_t req, fuse_ino_t node, fuse_ino_t new_parent, const char *new_name);
void node_op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void node_op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
                    unsigned flags);

#endif
