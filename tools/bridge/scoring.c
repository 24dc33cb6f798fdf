// The files of a mount are read by the crew, as a mount answers when it pleases.
#include "tools/bridge/scoring.h"
#include "engine/base/log.h"
#include "tools/bridge/feed.h"
#include "tools/kv/share_writer.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOOK_EVERY_NS 500000000u
#define JOBS_MAX      4096
#define THREADS       2
#define TIDY_SEGMENTS 16 // of the index, with each look

struct open_job {
    struct crew_job job;
    struct scoring *scoring;
    char dir[PATH_MAX], name[256];
    int result;
    struct tokfs_text *text;
    struct tokfs_error error;
};

struct scoring {
    struct loop_op timer;
    struct loop *loop;
    struct scorer *scorer;
    struct feed *feed;
    struct crew *crew;
    struct share_writer *writer; // NULL: nothing is shared
    struct share_reader *reader; // NULL: there is no index but the scorer's
    struct mounts *mounts;       // NULL: none to look for
    struct open_job *opening;    // one at a time; NULL: none
    struct strbuf tried;         // names of models that could not be opened, each between line ends
    bool is_stopped;
};

struct scorer *scoring_scorer(const struct scoring *scoring)
{
    return scoring->scorer;
}

struct crew *scoring_crew(const struct scoring *scoring)
{
    return scoring->crew;
}

// The users of other machines are taken for those of the same numbers here.
void scoring_add_user(struct score_job *job, const struct access *access, const struct access_user *user)
{
    score_sizes_add_scope(&job->sizes, 1 + (uint64_t)geteuid());
    if (access) {
        score_sizes_add_scope(&job->sizes, 1 + (uint64_t)user->uid);
    }
}

// ---- models of mounts ----------------------------------------------------------------------------------------------

static void open_run(struct crew_job *job)
{
    struct open_job *open = (struct open_job *)job;
    open->result = tokfs_text_open(open->dir, open->name, &open->text, &open->error);
}

static void open_done(struct crew_job *job)
{
    struct open_job *open = (struct open_job *)job;
    struct scoring *scoring = open->scoring;
    scoring->opening = NULL;
    if (open->result == 0) {
        scorer_add_text(scoring->scorer, open->text);
    } else if (open->result != -ECANCELED) {
        log_warn("no scores for model %s: %s", open->name, open->error.msg);
        strbuf_printf(&scoring->tried, "\n%s\n", open->name);
    }
    free(open);
}

static bool was_tried(const struct scoring *scoring, const char *model)
{
    char line[300];
    snprintf(line, sizeof(line), "\n%s\n", model);
    return str_find(strbuf_str(&scoring->tried), str_from(line)) >= 0;
}

static void open_model(void *ctx, const char *mount, const char *model)
{
    struct scoring *scoring = ctx;
    const struct tokfs_text *text;
    struct err err;
    if (scoring->opening || scorer_find_text(scoring->scorer, str_from(model), &text, &err) == 0 ||
        was_tried(scoring, model)) {
        return;
    }
    struct open_job *open = calloc(1, sizeof(*open));
    if (!open) {
        return;
    }
    open->scoring = scoring;
    open->job = (struct crew_job){ .run = open_run, .done = open_done };
    open->result = -ECANCELED;
    snprintf(open->name, sizeof(open->name), "%s", model);
    int n = snprintf(open->dir, sizeof(open->dir), "%s/models/%s", mount, model);
    if (n < 0 || (size_t)n >= sizeof(open->dir) || crew_submit(scoring->crew, &open->job) < 0) {
        free(open);
        return;
    }
    scoring->opening = open;
}

static void timer_done(struct loop_op *op, int res)
{
    struct scoring *scoring = (struct scoring *)op;
    if (res < 0 || scoring->is_stopped) {
        return;
    }
    mounts_each_model(scoring->mounts, open_model, scoring);
    for (unsigned i = 0; i < TIDY_SEGMENTS && kv_index_tidy(scorer_index(scoring->scorer)); i++) {
    }
    loop_timer(scoring->loop, &scoring->timer, LOOK_EVERY_NS);
}

void scoring_follow_mounts(struct scoring *scoring, struct mounts *mounts)
{
    scoring->mounts = mounts;
    feed_follow_mounts(scoring->feed, mounts);
    loop_timer(scoring->loop, &scoring->timer, 0);
}

int scoring_own_peer(const struct scoring *scoring)
{
    return feed_own_peer(scoring->feed);
}

// ---- the shared index ----------------------------------------------------------------------------------------------

void scoring_job_init(const struct scoring *scoring, struct score_job *job, const struct tokfs_text *text,
                      enum tokfs_prompt_kind kind, struct str body, void (*done)(struct crew_job *job))
{
    struct score_sizes there;
    score_job_init(job, scoring->scorer, text, kind, body, done);
    if (!scoring->reader) {
        return;
    }
    share_reader_sizes(scoring->reader, str_from(tokfs_text_model(text)), &there);
    if (there.has_root) {
        job->sizes = there;
        return;
    }
    for (unsigned i = 0; i < there.n; i++) {
        score_sizes_add(&job->sizes, there.sizes[i]);
    }
    for (unsigned i = 0; i < there.n_scopes; i++) {
        score_sizes_add_scope(&job->sizes, there.scopes[i]);
    }
}

bool scoring_match(struct scoring *scoring, const struct score_job *job, struct share_match *match,
                   void (*done)(struct share_match *match))
{
    if (scoring->reader) {
        *match =
            (struct share_match){ .keys = &job->keys, .model = str_from(tokfs_text_model(job->text)), .done = done };
        share_reader_match(scoring->reader, match);
    }
    return scoring->reader != NULL;
}

static int open_shared(struct scoring *scoring, const struct options *o, struct err *err)
{
    struct share_writer_options writer = { .kind = o->share_schema, .waiting_max = o->redis_bytes };
    struct share_reader_options reader = { .kind = o->share_schema, .timeout_ms = o->index_timeout_ms };
    int r = o->share_index ? redis_url_parse(o->share_index, &writer.url, err) : 0;
    r = r < 0 || !o->share_index ? r : share_writer_new(scoring->loop, &writer, scoring->scorer, &scoring->writer);
    r = r < 0 || !o->use_index ? r : redis_url_parse(o->use_index, &reader.url, err);
    r = r < 0 || !o->use_index ? r : share_reader_new(scoring->loop, &reader, scoring->scorer, &scoring->reader);
    return r < 0 && !err->msg[0] ? err_set(err, r, "out of memory") : r;
}

static void write_figure(struct strbuf *out, const char *name, const char *type, const char *help, uint64_t value)
{
    strbuf_printf(out, "# HELP tokfs_bridge_%s %s\n# TYPE tokfs_bridge_%s %s\ntokfs_bridge_%s %" PRIu64 "\n", name,
                  help, name, type, name, value);
}

void scoring_write_metrics(const struct scoring *scoring, struct strbuf *out)
{
    feed_write_metrics(scoring->feed, out);
    if (scoring->writer) {
        const struct share_writer_counts *c = share_writer_counts(scoring->writer);
        write_figure(out, "share_up", "gauge", "Whether the Redis of --share-index answers.", c->is_up);
        write_figure(out, "share_stored_total", "counter", "Blocks told to the shared index.", c->n_stored);
        write_figure(out, "share_removed_total", "counter", "Blocks taken out of it.", c->n_removed);
        write_figure(out, "share_refills_total", "counter", "Times that a node was told from its beginning.",
                     c->n_refills);
        write_figure(out, "share_unnamed_total", "counter", "Blocks that the schema has no name for.", c->n_unnamed);
        write_figure(out, "share_failed_total", "counter", "Commands that Redis refused.", c->n_failed);
    }
    if (scoring->reader) {
        const struct share_reader_counts *c = share_reader_counts(scoring->reader);
        write_figure(out, "use_up", "gauge", "Whether the Redis of --use-index answers.", c->is_up);
        write_figure(out, "use_matches_total", "counter", "Requests looked up in the shared index.", c->n_matches);
        write_figure(out, "use_failed_total", "counter", "Of them, those that had to do without its answer.",
                     c->n_failed);
        write_figure(out, "use_blocks_total", "counter", "Blocks asked for.", c->n_blocks);
    }
}

// ---- its life ------------------------------------------------------------------------------------------------------

// DIR or NAME=DIR.
static int add_model(struct scoring *scoring, const char *option, struct err *err)
{
    struct str name, dir = str_cut(str_from(option), '=', &name);
    struct tokfs_text *text;
    struct tokfs_error error;
    char *own = dir.len > 0 ? str_dup(name) : NULL;
    int r = tokfs_text_open(dir.len > 0 ? dir.ptr : option, own, &text, &error);
    free(own);
    if (r < 0) {
        return err_set(err, r, "--model %s: %s", option, error.msg);
    }
    r = scorer_add_text(scoring->scorer, text);
    return r < 0 ? err_set(err, r, "--model %s: %s", option, r == -EEXIST ? "given twice" : "out of memory") : 0;
}

int scoring_new(struct loop *loop, struct exchange_pool *files, const struct options *options, struct scoring **ret,
                struct err *err)
{
    struct scoring *scoring = calloc(1, sizeof(*scoring));
    int r = scoring ? scorer_new(options->index_bytes, &scoring->scorer) : -ENOMEM;
    if (r < 0) {
        free(scoring);
        return err_set(err, r, "out of memory for an index");
    }
    *ret = scoring; // also on an error: it is to be stopped and freed
    scoring->loop = loop;
    scoring->timer.done = timer_done;
    strbuf_init(&scoring->tried, 1u << 16);
    for (unsigned i = 0; i < options->n_models && r == 0; i++) {
        r = add_model(scoring, options->models[i], err);
    }
    r = r < 0 ? r : crew_new(loop, THREADS, JOBS_MAX, &scoring->crew, err);
    r = r < 0 ? r : open_shared(scoring, options, err);
    return r < 0 ? r : feed_new(loop, files, options, scoring->scorer, &scoring->feed, err);
}

void scoring_stop(struct scoring *scoring)
{
    if (scoring) {
        scoring->is_stopped = true;
        loop_cancel(scoring->loop, &scoring->timer);
        crew_stop(scoring->crew);
        share_writer_stop(scoring->writer);
        share_reader_stop(scoring->reader);
        feed_stop(scoring->feed);
    }
}

void scoring_free(struct scoring *scoring)
{
    if (scoring) {
        crew_free(scoring->crew);
        share_writer_free(scoring->writer);
        share_reader_free(scoring->reader);
        feed_free(scoring->feed);
        scorer_free(scoring->scorer);
        strbuf_deinit(&scoring->tried);
        free(scoring);
    }
}
