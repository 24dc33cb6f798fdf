// When the device has failed: it is closed and opened again, the weights are loaded from their files, and what ran goes
// on (runner_recover.h). Engine thread.
#ifndef TOKFS_SERVE_RECOVER_H
#define TOKFS_SERVE_RECOVER_H

#include "engine/serve/engine.h"

bool engine_is_down(const struct tokfs_engine *engine);
// In place of a step while it is down: takes the device anew, or, where it is not to be had, ends what runs and waits
// with EIO; each second, when there is something to run, it is tried again. False: there was nothing to do.
bool engine_recover(struct tokfs_engine *engine);

#endif
