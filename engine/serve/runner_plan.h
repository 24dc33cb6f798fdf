// What the next step does: whose turn it is, and how many tokens of each. Part of the runner.
#ifndef TOKFS_SERVE_RUNNER_PLAN_H
#define TOKFS_SERVE_RUNNER_PLAN_H

#include "engine/serve/runner.h"

void runner_plan(struct runner *runner, uint64_t now_ns); // fills runner->plan
// Preempts, admits, and gives the items what they need of the cache and of pages.
void runner_apply_plan(struct runner *runner, uint64_t now_ns);
// A waiting choice begins in an idle slot; in runner.c.
void runner_admit(struct runner *runner, struct choice *choice, uint64_t now_ns);

#endif
