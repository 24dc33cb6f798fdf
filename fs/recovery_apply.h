// One record after the other, applied to the mount's sessions.
#ifndef TOKFS_FS_RECOVERY_APPLY_H
#define TOKFS_FS_RECOVERY_APPLY_H

#include "fs/record.h"
#include "fs/session.h"

#define RECOVERY_BUCKETS 65536

struct found_session {
    struct found_session *next; // in its bucket
    struct session *session;
};

// Text whose writer had not closed the file.
struct found_draft {
    struct list link; // in recovery->drafts
    struct session *session;
    uint64_t id;
    uint8_t file_idx;
    int flags;
    uid_t uid;
    gid_t gid;
    struct strbuf bytes;
};

struct recovery {
    struct mount *mount;
    struct found_session **buckets; // [RECOVERY_BUCKETS] by serial number
    struct list drafts;             // struct found_draft
    uint64_t n_drafts_made;         // the highest number of one
};

int recovery_new(struct mount *mount, struct recovery **ret);
// 0, -ENOMEM, or -EBADMSG: a record that its writer cannot have written.
int recovery_apply(struct recovery *recovery, const struct record *record);
void recovery_drop_draft(struct found_draft *draft);

#endif
