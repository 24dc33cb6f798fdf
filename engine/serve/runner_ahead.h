// The step after the one that runs, issued before its tokens are known. Part of the runner.
#ifndef TOKFS_SERVE_RUNNER_AHEAD_H
#define TOKFS_SERVE_RUNNER_AHEAD_H

#include "engine/serve/runner.h"

// Issues the step after that of runner->plan, which was issued, is drawn by the device alone, and whose tokens have not
// been taken: if all that it depends on is known.
void runner_ahead_issue(struct runner *runner);
// The step that was issued becomes that of runner->plan: of its rows those that are still wanted.
void runner_ahead_adopt(struct runner *runner);
// It is lost with its device.
void runner_ahead_drop(struct runner *runner);

#endif
