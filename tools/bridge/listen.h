// The listening socket.
#ifndef TOKFS_BRIDGE_LISTEN_H
#define TOKFS_BRIDGE_LISTEN_H

#include "engine/base/err.h"

int listen_check(const char *address, struct err *err); // how it is written: 0 or -EINVAL
// HOST:PORT, [IPV6]:PORT, :PORT (every address) or unix:PATH (mode 0660; a socket that nobody serves is replaced). The
// descriptor, or -errno with the address named.
int listen_open(const char *address, struct err *err);
// The unlinking of unix:PATH; nothing for others.
void listen_remove(const char *address);

#endif
