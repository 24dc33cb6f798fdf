// The lines of a request's head, as the client wrote them.
#ifndef TOKFS_BRIDGE_HEAD_H
#define TOKFS_BRIDGE_HEAD_H

#include <microhttpd.h>
#include <stdbool.h>

// Whether each line ends with CR LF, none is folded, none has a NUL, and single spaces divide the first. `uri` as the
// library gave it before it took it apart; the others as its handler gets them. True where it cannot be known.
bool head_is_strict(struct MHD_Connection *connection, const char *uri, const char *url, const char *method,
                    const char *version);

#endif
