// Open files: what an open of a node returns, and the FUSE operations on it.
//
// Handlers (struct node_type) never reply and never block: they return a result, and one function sends it. FILE_WAIT
// means "not yet": the request is parked at the file's channel and the same handler is asked again when the channel is
// flushed.
#ifndef TOKFS_FS_FILE_H
#define TOKFS_FS_FILE_H

#include "engine/base/str.h"
#include "fs/channel.h"
#include "fs/fuse.h"
#include "fs/list.h"
#include "fs/user.h"
#include <sys/types.h>

#define FILE_WAIT (1 << 30) // above every byte count that a request can have

struct node;
struct node_type;
struct session;

struct file {
    const struct node_type *type;
    struct mount *mount;
    struct node *node;
    struct session *session; // shared; NULL outside of a session's directory
    struct channel *channel; // where its requests wait; NULL: they never do
    struct list link;        // in mount->files
    int flags;               // of open(2)
    struct user *user;       // shared: the opener
    struct holding holding;  // snapshot, and what the type's own part says
    uid_t uid;               // the opener's fsuid
    gid_t gid;
    pid_t pid;              // of the latest writer
    uint64_t written_ns;    // CLOCK_MONOTONIC of the latest write
    struct list begun_link; // in mount->begun: types that can be given up, once written to
    struct strbuf snapshot; // nodes that render: their text as it was at open
    void *state;            // the type's own
    bool is_opened;         // the open was answered with success
    bool is_reader_away;    // a READ that had waited was answered, and no other has come since
    uint64_t draft_id;      // of its text in the journal; 0: none
    struct fuse_pollhandle *poll;
    struct list watch_link; // in channel->watchers while poll is set
};

struct file *file_from_info(const struct fuse_file_info *fi);
// Made by an open or, for a text whose writer had not closed the file before a restart, by recovery. -EDQUOT, -ENOMEM.
int file_new(struct mount *mount, struct node *node, int flags, const struct fuse_ctx *caller, struct file **ret);
void file_free(struct file *file); // closes the type's part too
// Asks the file's handler for a parked request: result as the handler's.
int file_resume(struct file *file, enum parked_kind kind, size_t size, uint64_t offset, struct str *ret_bytes);
void file_set_reader_away(struct file *file, bool is_away);
void file_interrupted(struct file *file, enum parked_kind kind);
// The only place where the result of an open, a read or a write is sent.
void file_answer(fuse_req_t req, struct file *file, enum parked_kind kind, int result, struct str bytes);
bool file_is_readable(struct file *file);

// Gives those up whose writers stalled; when to look again, 0: nobody has begun anything.
uint64_t file_give_up_stalled(struct mount *mount, uint64_t now_ns);

void file_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void file_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void file_op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset,
                   struct fuse_file_info *fi);
void file_op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void file_op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void file_op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void file_op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *handle);

// What to give at most where more may come later, or an end is told once. A read(2) of more than MOUNT_READ_BYTES_MAX
// is several READs: after one that is answered in full the kernel sends the next, and the reader would wait with what
// there is in hand, or never see the end.
size_t file_stream_size(size_t size);

// For types whose bytes lie in memory: the part of `content` that a read at offset of size asks for.
int file_slice(struct str content, size_t size, uint64_t offset, struct str *ret_bytes);

#endif
