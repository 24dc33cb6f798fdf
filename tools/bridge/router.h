// Requests under /v1/ go to the peer that the policy chooses: one that is heard of (feed.h), one that an option names,
// or the bridge's own mounts.
//
//   SCORING (template, tokens, hashes, by the crew) --> CHOSEN: own mount --> relay.c
//                                                        |
//                                                        `--> ASKING --first byte--> ANSWERING
//                                                              ^  |
//                                                 another peer `--' it failed, or has no room
//
// Until the first byte of an answer has come nothing was said to the client, so that another peer may be asked; of
// answers that are not streamed, until the last. That holds for the own mount, too.
//
// What a router has sent on carries its mark (via.h) and is not sent on again. Loop thread only.
#ifndef TOKFS_BRIDGE_ROUTER_H
#define TOKFS_BRIDGE_ROUTER_H

#include "tools/bridge/request_internal.h"

struct router;
struct routed; // a request

int router_new(struct bridge *bridge, struct router **ret, struct err *err);
void router_stop(struct router *router); // NULL is accepted, likewise below; free it when the loop has nothing pending
void router_free(struct router *router);
bool router_takes(const struct router *router, const struct route *route);
void router_write_metrics(const struct router *router, struct strbuf *out);

enum MHD_Result router_start(struct request *request);
// The own mount could not answer it, and nothing was said to the client. True: another peer is asked. False: there is
// none, and what the mount said stands. `is_gone`: nor would it answer others.
bool router_own_failed(struct routed *routed, bool is_gone);
void router_cancel(struct routed *routed); // its client has gone, or the bridge ends; NULL is accepted
void router_forget(struct routed *routed); // its request goes; NULL is accepted
// As peers_write_health, of all but the own mounts.
unsigned router_write_health(struct router *router, struct strbuf *ret);
// The list of models of all peers but the own mounts, in the form of /v1/models; one that several have is there several
// times.
void router_write_models(const struct router *router, struct strbuf *ret);

#endif
