// The HTTP daemon on the ring: libmicrohttpd's epoll descriptor is polled, and connections that receive too slowly are
// closed.
#ifndef TOKFS_BRIDGE_HTTP_H
#define TOKFS_BRIDGE_HTTP_H

#include "tools/bridge/bridge.h"

struct connection; // of a client, as long as its socket is open

// Takes over the listening socket. `cert` and `key`: PEM texts, or NULL.
int http_start(struct bridge *bridge, int listen_fd, const char *cert, const char *key, struct http **ret,
               struct err *err);
void http_stop_listening(struct http *http); // running requests go on
// Ends every connection; requests are told so. Free it when the loop has nothing pending.
void http_stop(struct http *http);
void http_free(struct http *http);
// The answer to a request, as MHD_queue_response, whose name is taken (refusal.c).
enum MHD_Result http_queue(struct http *http, struct MHD_Connection *connection, unsigned status,
                           struct MHD_Response *response);
struct bridge *http_bridge_of(struct MHD_Connection *connection); // NULL: out of memory
// Whether the library looks at this connection at the beginning of each of its turns, until the request is answered.
void http_look_first(struct MHD_Connection *connection, bool is_first);
void http_give_up(struct MHD_Connection *connection); // the library closes it
// A suspended connection goes on after this turn of the loop.
void http_resume(struct http *http, struct MHD_Connection *connection);
// What a request tells of its connection, so that slow senders are found.
void http_receiving(struct MHD_Connection *connection, size_t n_bytes);
void http_received(struct MHD_Connection *connection);
void http_answered(struct MHD_Connection *connection);

#endif
