// What the next step does: whose turn it is, and how many tokens of each. Part of the runner.
#ifndef TOKFS_SERVE_RUNNER_PLAN_H
#define TOKFS_SERVE_RUNNER_PLAN_H

#include "engine/serve/runner.h"

// Fills runner->plan. is_ahead: for the step after the one that runs, as runner_ahead.c has marked its sequences.
void runner_plan(struct runner *runner, uint64_t now_ns, bool is_ahead);
// Preempts, admits, and gives the items what they need of the cache and of pages.
void runner_apply_plan(struct runner *runner, uint64_t now_ns);
// Lays the plan's items out as rows of a step. Logits are wanted of the rows that complete a sequence's known tokens,
// and of those of the guesses after them. In runner.c.
struct step runner_build_step(struct runner *runner, struct issued_step *issued);
// A waiting choice begins in an idle slot; in runner.c.
void runner_admit(struct runner *runner, struct choice *choice, uint64_t now_ns);
// Gives what sequences owe to the ring; those that have ended leave, the others keep their order; also in runner.c.
void runner_flush(struct runner *runner);
// A waiting choice ends; also in runner.c. `reason` NULL: it failed. False: there is no room to say so.
bool runner_end_waiting(struct runner *runner, struct choice *choice, const char *reason);

#endif
