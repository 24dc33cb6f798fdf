// Threads for work that takes too long for a loop: a job runs on one of them, and its end is told on the loop.
//
//   crew_submit --> waiting (a list) --> run, on a thread --> over (a list), eventfd --> done, on the loop
#ifndef TOKFS_KV_CREW_H
#define TOKFS_KV_CREW_H

#include "engine/base/err.h"
#include "engine/base/loop.h"

struct crew;

// Inside of its caller's object, which stays until `done` has run.
struct crew_job {
    void (*run)(struct crew_job *job);  // on a thread
    void (*done)(struct crew_job *job); // on the loop; the job is its caller's again
    struct crew_job *next;              // the crew's
};

int crew_new(struct loop *loop, unsigned n_threads, unsigned n_jobs_max, struct crew **ret, struct err *err);
// -EAGAIN: n_jobs_max are under way.
int crew_submit(struct crew *crew, struct crew_job *job);
// No job begins any more: the waiting ones are done without having run. Free it when the loop has nothing pending.
void crew_stop(struct crew *crew);
void crew_free(struct crew *crew); // NULL is accepted

#endif
