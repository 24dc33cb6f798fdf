// Reading a journal back into the mount.
#ifndef TOKFS_FS_RECOVERY_H
#define TOKFS_FS_RECOVERY_H

#include "engine/base/err.h"

struct journal;
struct recovery; // what is kept between the two below

// Before the mount is served: applies what the file says, cuts off a torn tail, and leaves the file ready to be
// appended to. Begins one where there is none. Errors: see journal_open.
int recovery_read(struct journal *journal, struct err *err);
// When the mount is served: drops requests that were not accepted, goes on with turns, closes drafts.
void recovery_finish(struct journal *journal);
void recovery_free(struct recovery *recovery); // NULL is accepted

#endif
