// The sessions that have a name: found by it, listed, and given up in the order of their last use.
#ifndef TOKFS_FS_SESSION_TABLE_H
#define TOKFS_FS_SESSION_TABLE_H

#include "engine/base/str.h"
#include "fs/session.h"

struct session_table;

int session_table_new(struct mount *mount, struct session_table **ret);
void session_table_free(struct session_table *table); // removes all; NULL is accepted
size_t session_table_count(const struct session_table *table);

// Names a new session (name.ptr NULL: by an id that cannot be guessed) and charges it to its creator. When he has as
// many as he may, his least recently used idle one gives way; when the table is full, that of the user who has most. So
// nobody loses one to a user who has more than himself. -EDQUOT when nothing that might is idle, -EINVAL (name),
// -ENAMETOOLONG, -ENOMEM. The name must be free.
int session_table_create(struct session_table *table, struct str name, uid_t uid, gid_t gid, pid_t pid,
                         struct session **ret);
// One that the journal tells of. -EEXIST: the name is not free.
int session_table_restore(struct session_table *table, struct str name, uid_t uid, gid_t gid, uint64_t serial,
                          struct session **ret);
struct session *session_table_find(struct session_table *table, struct str name); // NULL: none
int session_table_rename(struct session_table *table, struct session *session, struct str name);
void session_table_remove(struct session_table *table, struct session *session);
void session_table_touch(struct session_table *table, struct session *session);
// Those of a user, or of all (NULL); least recently used first.
void session_table_each(struct session_table *table, const struct user *user,
                        void (*fn)(void *ctx, struct session *session), void *ctx);
// The session of this user that is nearest to the process: see ancestry.h; the newest among equals. NULL: none.
struct session *session_table_last(struct session_table *table, uid_t uid, pid_t pid);

#endif
