// The step after the one that runs, issued before its tokens are known. Part of the runner.
#ifndef TOKFS_SERVE_RUNNER_AHEAD_H
#define TOKFS_SERVE_RUNNER_AHEAD_H

#include "engine/serve/runner.h"

// Issues the step after runner->step, which was issued, is drawn by the device alone, and whose tokens have not been
// taken: if all that it depends on is known. `publish` is called when it has admitted somebody.
void runner_ahead_issue(struct runner *runner, void (*publish)(void *ctx), void *ctx);
// The step that was issued becomes runner->step: of its rows those that are still wanted. What is to be drawn from it
// is told to the device, if that had to wait. Returns how many rows the host has to draw.
size_t runner_ahead_adopt(struct runner *runner);
// It is lost with its device.
void runner_ahead_drop(struct runner *runner);

#endif
