// Threads that help the loop thread to hand replies to the kernel.
//
// Most of what a reply to /dev/fuse costs is waking who waits for it, and the tokens of one step are for many readers.
// So what libfuse would write (the header and what follows it, copied: nothing of the mount is seen by anybody else)
// goes into a bounded ring, from which the crew and the loop thread itself take it, whoever comes first. The crew
// sleeps unless several replies wait: a single one is sent by the loop thread, as if there was no crew.
//
//   loop thread: give, give, give ... help -- until nothing waits
//   crew:                  `-> wake, send, send, sleep
//
// What is given is sent exactly once: a taker owns the place in the ring that it took. What is too long, or finds the
// ring full, is not taken, and the loop thread sends it at once; so are notifications, which replies may rely on.
// Nobody is told that a reply could not be sent: the kernel takes every answer to a request that was read, until the
// mount's end.
#ifndef TOKFS_FS_REPLY_CREW_H
#define TOKFS_FS_REPLY_CREW_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

struct reply_crew;

// Messages are written to fd, which stays the caller's. As many threads as processors and limits allow, which may be
// none. 0 or -ENOMEM.
int reply_crew_new(int fd, struct reply_crew **ret);
void reply_crew_free(struct reply_crew *crew); // what waits is sent; NULL is accepted

// The rest is the loop thread's.
// As writev(2) on fd, now or until the next reply_crew_help(crew, 0): with what it returns and sets.
ssize_t reply_crew_writev(struct reply_crew *crew, const struct iovec *iov, int n_iov);
// Sends until `n_left` or fewer wait that nobody has begun with.
void reply_crew_help(struct reply_crew *crew, unsigned n_left);

#endif
