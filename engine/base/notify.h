// What a service manager is told: see sd_notify(3).
#ifndef TOKFS_BASE_NOTIFY_H
#define TOKFS_BASE_NOTIFY_H

// "READY=1", "STOPPING=1", "STATUS=..." lines. Without a manager ($NOTIFY_SOCKET) nothing happens; nor does anybody
// care when it does not listen.
void notify_manager(const char *state);

#endif
