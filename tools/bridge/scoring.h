// What the bridge knows of who holds which prefix: the scorer, the threads that turn requests into keys, and the texts
// of the models, those of its own mounts among them. Loop thread only.
#ifndef TOKFS_BRIDGE_SCORING_H
#define TOKFS_BRIDGE_SCORING_H

#include "tools/bridge/access.h"
#include "tools/bridge/mounts.h"
#include "tools/bridge/options.h"
#include "tools/kv/score_job.h"
#include "tools/kv/share_reader.h"

struct scoring;

// Opens the models of the options; those of the mounts are opened as they are found.
int scoring_new(struct loop *loop, struct exchange_pool *files, const struct options *options, struct scoring **ret,
                struct err *err);
void scoring_follow_mounts(struct scoring *scoring, struct mounts *mounts);
void scoring_stop(
    struct scoring *scoring); // NULL is accepted, likewise below; free it when the loop has nothing pending
void scoring_free(struct scoring *scoring);

int scoring_own_peer(const struct scoring *scoring); // of the mounts; -1: none
void scoring_write_metrics(const struct scoring *scoring, struct strbuf *out);
// Who asks is one of the ways in which prompts are known (score.h).
void scoring_add_user(struct score_job *job, const struct access *access, const struct access_user *user);
struct scorer *scoring_scorer(const struct scoring *scoring);
struct crew *scoring_crew(const struct scoring *scoring);

// A job for requests of the text's model, keyed for whatever index they will be looked up in.
void scoring_job_init(const struct scoring *scoring, struct score_job *job, const struct tokfs_text *text,
                      enum tokfs_prompt_kind kind, struct str body, void (*done)(struct crew_job *job));
// Looks the keys of a job up in the shared index of --use-index, as share_reader_match. False: there is none, and
// `done` will not be called.
bool scoring_match(struct scoring *scoring, const struct score_job *job, struct share_match *match,
                   void (*done)(struct share_match *match));

#endif
