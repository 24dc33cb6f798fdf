// The mark of requests that a router has sent on: Via (RFC 9110, 7.6.3) with the router's name, tokfs-ID. Who gets such
// a one answers it from its own mounts, so that routers may name each other as peers.
#ifndef TOKFS_BRIDGE_VIA_H
#define TOKFS_BRIDGE_VIA_H

#include "engine/base/str.h"
#include <microhttpd.h>
#include <stdbool.h>

#define VIA_NAME_MAX 32

void via_make_name(char ret[VIA_NAME_MAX]); // another one each time
// Whether a router of tokfs has sent it on.
bool via_has_router(struct MHD_Connection *connection);
// The header line of what `name` sends on: those who have passed it on before, and itself. `version` is that of the
// request that it got ("HTTP/1.1"). out->error tells of failure.
void via_write(struct MHD_Connection *connection, const char *version, const char *name, struct strbuf *out);

#endif
