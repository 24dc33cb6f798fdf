// tokfs-bench: what the workloads share: options, figures, percentiles, a model to run on.
#ifndef TOKFS_BENCH_BENCH_H
#define TOKFS_BENCH_BENCH_H

#include "engine/base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_options {
    const char *model;  // Hugging Face directory; NULL: a random model of `shape` is made and removed again
    const char *text;   // tokenize: a file; render: a template; NULL: a made-up one
    const char *shape;  // as for tokfs-model random
    const char *dtype;  // f32, f16, bf16
    const char *isa;    // NULL: the best there is
    const char *device; // NULL: auto
    bool is_deterministic, no_graphs, no_ahead;
    const char *weights;  // NULL: as stored
    const char *kv_dtype; // NULL: auto
    unsigned n_threads;   // 0: one per processor
    unsigned n_sequences; // decode: together; mount: streaming sessions
    unsigned prompt_tokens;
    unsigned max_tokens;                // per sequence
    unsigned n_rounds;                  // measured rounds, the bandwidth measured between them; figures are medians
    double seconds;                     // mount: duration of the requests/s part
    unsigned n_readers;                 // scale
    unsigned n_clients;                 // mount: concurrent clients of the requests/s part
    unsigned batch_tokens;              // most rows of a step; 0: the engine's default
    const char *trace;                  // schedule: a file of JSON lines; NULL: a made-up one, of
    unsigned n_requests;                // so many,
    unsigned n_tenants;                 // from so many users,
    double rate;                        // so many per second,
    unsigned seed;                      // and this one seed
    unsigned n_ctx;                     // schedule: longest sequence
    unsigned n_pages;                   // schedule: pages of 16 tokens
    double step_us, row_us, context_us; // schedule: what a step takes, each of its rows, each position a row sees
    const char *url;                    // http: whom to ask; NULL: a bridge of its own
    const char *unix_path;              // http: the socket behind the URL; NULL: TCP
    const char *peer;                   // http: another one, in turn
    const char *peer_command;           // peer: a program that measures another engine
    const char *llama_bench;            // peer: llama.cpp's own, in its place
    const char *mount;                  // http: whose file is asked, in turn
    const char *ask;                    // http: what the message says
    bool stream;                        // http
    unsigned n_nodes, n_blocks;         // index, score: machines; blocks that they hold together
    bool no_prefix_cache;               // schedule
    bool json;
};

// Named figures in the order in which they were added.
#define BENCH_FIGURES_MAX 80
struct bench_figure {
    char key[40];
    const char *unit; // static
    double value;
};
struct bench_report {
    const char *workload;
    char model[128], backend[128];
    struct bench_figure figures[BENCH_FIGURES_MAX];
    size_t n_figures;
};
// `key` is copied, `unit` is not.
void bench_report_add(struct bench_report *report, const char *key, double value, const char *unit);
// A table, or with `json` one object on one line, to standard output. 0 or -EIO.
int bench_report_print(const struct bench_report *report, bool json);

// Values in any order; sorts them. q in [0, 1]; nearest rank. 0 for an empty list.
double bench_quantile(double *values, size_t n, double q);

// The directory of the model to use: options->model, or a random one made by the tokfs-model beside this program.
struct bench_model {
    char dir[256];
    bool is_temporary;
};
int bench_model_prepare(const struct bench_options *options, struct bench_model *ret, struct err *err);
void bench_model_remove(struct bench_model *model);
// Path of a program of this project: beside this one, in ../fs or ../model of a build tree, or just its name for PATH.
void bench_program_path(const char *name, char *ret, size_t size);

// Workloads: 0 or -errno with err.
int bench_decode(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_prefill(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_tokenize(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_render(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_mount(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_scale(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_chat(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_cache(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_schedule(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_grammar(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_http(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_index(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_peer(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_cluster(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_score(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_step(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_steady(const struct bench_options *options, struct bench_report *report, struct err *err);
int bench_mixed(const struct bench_options *options, struct bench_report *report, struct err *err);

#endif
