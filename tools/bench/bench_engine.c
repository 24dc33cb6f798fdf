// Workloads `decode` and `prefill`: the engine alone, through the C API.
//
// Each measured round has a measurement of the memory read bandwidth before and after it, because on a shared machine
// both drift together; the figures are medians over the rounds. The first round only warms up. On a GPU the host's
// bandwidth says nothing: bytes and operations are told, and tools/gpu-check has what they are a share of.
#include "tools/bench/engine_run.h"
#include <errno.h>

#define ROUNDS_MAX 64

struct rounds {
    double rate[ROUNDS_MAX], bandwidth[ROUNDS_MAX], share[ROUNDS_MAX];
    size_t n;
};

static int measure_bandwidth(const struct bench_options *options, const struct engine_run *run, double *ret,
                             struct err *err)
{
    *ret = 0;
    return engine_run_is_on_gpu(run) ? 0 : engine_run_bandwidth(options, ret, err);
}

// `bytes_per_token`: memory read for one unit of `rate`, for the bandwidth share (0: not wanted).
static int measure_rounds(const struct bench_options *options, struct engine_run *run,
                          double (*rate)(const struct engine_run *), double bytes_per_token, struct rounds *ret,
                          struct err *err)
{
    double before = 0, after = 0;
    int rc = engine_run_once(run, err);
    rc = rc == 0 ? measure_bandwidth(options, run, &before, err) : rc;
    ret->n = options->n_rounds < ROUNDS_MAX ? options->n_rounds : ROUNDS_MAX;
    for (size_t i = 0; rc == 0 && i < ret->n; i++) {
        rc = engine_run_once(run, err);
        rc = rc == 0 ? measure_bandwidth(options, run, &after, err) : rc;
        if (rc == 0) {
            ret->bandwidth[i] = (before + after) / 2;
            ret->rate[i] = rate(run);
            ret->share[i] = ret->bandwidth[i] > 0 ? ret->rate[i] * bytes_per_token / ret->bandwidth[i] : 0;
            before = after;
        }
    }
    return rc;
}

int bench_decode(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct engine_run run;
    struct rounds rounds;
    struct tokfs_engine_stats stats;

    if (options->max_tokens < 2) {
        return err_set(err, -EINVAL, "--tokens %u: decode needs at least 2", options->max_tokens);
    }
    int rc = engine_run_open(options, options->n_sequences, options->max_tokens, true, &run, err);
    if (rc < 0) {
        return rc;
    }
    engine_run_describe(&run, report);
    // One step reads every weight once, makes one token per sequence, and reads K and V of all before it.
    double kv_bytes = (double)run.info.kv_bytes / (double)run.info.n_pages / (double)run.info.page_tokens;
    double weight_share = (double)run.info.weight_bytes / (double)options->n_sequences;
    double context = (double)options->prompt_tokens + (double)options->max_tokens / 2;
    double bytes_per_token = weight_share + context * kv_bytes;
    rc = measure_rounds(options, &run, engine_run_decode_rate, bytes_per_token, &rounds, err);
    if (rc == 0 && bench_quantile(rounds.rate, rounds.n, 0) == 0) {
        rc = err_set(err, -EINVAL, "--tokens %u: the first of %u sequences ended before the last began to decode",
                     options->max_tokens, options->n_sequences);
    }
    if (rc == 0) {
        bench_report_add(report, "decode_tokens_per_s", bench_quantile(rounds.rate, rounds.n, 0.5), "tokens/s");
        if (!engine_run_is_on_gpu(&run)) {
            double share = bench_quantile(rounds.share, rounds.n, 0.5);
            bench_report_add(report, "read_bandwidth_bytes_per_s", bench_quantile(rounds.bandwidth, rounds.n, 0.5),
                             "bytes/s");
            bench_report_add(report, "bandwidth_share", share * weight_share / bytes_per_token,
                             "of the read bandwidth, by the weights");
            bench_report_add(report, "bandwidth_share_kv", share, "... with K and V");
        }
        bench_report_add(report, "weight_bytes", (double)run.info.weight_bytes, "bytes per step");
        bench_report_add(report, "kv_bytes", context * kv_bytes * options->n_sequences, "bytes per step");
        bench_report_add(report, "sequences", options->n_sequences, "together");
        tokfs_engine_get_stats(run.engine, &stats);
        bench_report_add(report, "outside_share", 1 - (double)stats.model_ns / (double)stats.step_ns,
                         "of the steps' time outside the model");
        bench_report_add(report, "outside_us", (double)(stats.step_ns - stats.model_ns) / (double)stats.n_steps * 1e-3,
                         "us of a step outside the model");
        bench_report_add(report, "ahead_share", (double)stats.n_ahead / (double)stats.n_steps,
                         "of the steps issued before the last one's tokens were known");
    }
    engine_run_close(&run);
    return rc;
}

int bench_prefill(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct engine_run run;
    struct rounds rounds;
    int rc = engine_run_open(options, 1, 1, false, &run, err);

    if (rc < 0) {
        return rc;
    }
    engine_run_describe(&run, report);
    rc = measure_rounds(options, &run, engine_run_prefill_rate, 0, &rounds, err);
    if (rc == 0) {
        double rate = bench_quantile(rounds.rate, rounds.n, 0.5);

        bench_report_add(report, "prefill_tokens_per_s", rate, "tokens/s");
        bench_report_add(report, "prefill_flops", rate * 2 * (double)run.info.n_params,
                         "FLOP/s (2 per parameter and token)");
        if (!engine_run_is_on_gpu(&run)) {
            bench_report_add(report, "read_bandwidth_bytes_per_s", bench_quantile(rounds.bandwidth, rounds.n, 0.5),
                             "bytes/s");
        }
        bench_report_add(report, "prompt_tokens", options->prompt_tokens, "tokens");
    }
    engine_run_close(&run);
    return rc;
}
