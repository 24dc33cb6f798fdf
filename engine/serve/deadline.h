// When a request has to be over: pure functions of times.
#ifndef TOKFS_SERVE_DEADLINE_H
#define TOKFS_SERVE_DEADLINE_H

#include "engine/base/err.h"
#include <stdbool.h>
#include <stdint.h>

#define DEADLINE_NEVER UINT64_MAX

// Seconds, 0: none. The engine's timeout is the most that a request may ask for. DEADLINE_NEVER: neither has one.
uint64_t deadline_from(uint64_t submitted_ns, double timeout_s, double timeout_s_most);
bool deadline_is_over(uint64_t deadline_ns, uint64_t now_ns);
// The words for the user; `where` it was then: "in the queue". Returns -ETIMEDOUT.
int deadline_error(struct err *err, uint64_t submitted_ns, uint64_t deadline_ns, const char *where);

#endif
