// A device that has failed is given up, with all that was computed on it, and another one is taken. Part of the runner.
#ifndef TOKFS_SERVE_RUNNER_RECOVER_H
#define TOKFS_SERVE_RUNNER_RECOVER_H

#include "engine/serve/runner.h"

// Forgets all K and V. Sequences go on later from what is known of their timelines, but for those that were in two
// steps that failed: they fail.
void runner_drop_device(struct runner *runner);
// 0, and it runs again; -ENOMEM.
int runner_renew_device(struct runner *runner, struct backend *backend, void *drive_ctx, struct err *err);
// Ends every running and waiting choice. False: not all of them, since the ring is full; call again.
bool runner_fail_all(struct runner *runner, const struct err *why);

#endif
