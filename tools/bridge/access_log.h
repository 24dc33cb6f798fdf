// A line for each request, in the combined format of web servers, and then how long it took and its id:
//
//   127.0.0.1 - ada [21/Nov/2026:14:00:00 +0000] "POST /v1/chat/completions HTTP/1.1" 200 512 "-" "curl/7.88" 0.042
//   req-...
#ifndef TOKFS_BRIDGE_ACCESS_LOG_H
#define TOKFS_BRIDGE_ACCESS_LOG_H

#include "tools/bridge/bridge.h"

struct access_log;

// `path` "-": standard output. The file is appended to.
int access_log_open(struct loop *loop, const char *path, struct access_log **ret, struct err *err);
// Begins the file anew (after its rotation).
int access_log_reopen(struct access_log *log, struct err *err);
void access_log_request(struct access_log *log, const struct request *request, struct MHD_Connection *connection);
void access_log_stop(struct access_log *log); // writes what is left; free it when the loop has nothing pending
void access_log_free(struct access_log *log);

#endif
