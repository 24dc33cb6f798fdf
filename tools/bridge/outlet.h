// The socket of a stream's client, lent to the thread that reads the stream (`waiters_pass`): each piece goes to it as
// the chunk of HTTP/1.1 that the library would make of it, without waking the loop, which would wake the library's
// connection and put it to sleep again. While it is lent, nobody else writes to the socket or closes it.
#ifndef TOKFS_BRIDGE_OUTLET_H
#define TOKFS_BRIDGE_OUTLET_H

#include "engine/base/str.h"

struct outlet {
    int fd;
    bool is_unix;           // takes a piece whole or not at all
    uint64_t n_sent;        // bytes of pieces
    bool is_between_events; // the last piece ended with a whole event
};

void outlet_init(struct outlet *outlet, int fd);
// `ctx` is a struct outlet. False: the piece is the loop's, and nothing of it was sent: the client has not taken what
// came before, or the piece is long, or the stream's last one.
bool outlet_send(void *ctx, struct str bytes);

#endif
