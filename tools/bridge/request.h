// One HTTP request, from its first line to the last byte of its answer.
#ifndef TOKFS_BRIDGE_REQUEST_H
#define TOKFS_BRIDGE_REQUEST_H

#include "tools/bridge/bridge.h"

// Called by the HTTP library; `cls` is the bridge.
void *request_begin(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result request_handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                               const char *version, const char *upload, size_t *upload_len, void **context);
void request_completed(void *cls, struct MHD_Connection *connection, void **context,
                       enum MHD_RequestTerminationCode code);

// Ends all that wait for a mount: what they ask is cancelled, their connections go on, to be closed.
void request_abort_all(struct bridge *bridge);

#endif
