// Workload `schedule`: a trace through the engine's policy, without a model. Figures are of simulated time, and the
// same in every run, but for those that say what the policy itself costs.
#include "tools/bench/simulate.h"

#include <stdio.h>

static void report_times(struct bench_report *report, const char *name, double *ms, size_t n)
{
    static const struct {
        const char *name;
        double q;
    } quantiles[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 } };
    char key[40];

    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        snprintf(key, sizeof(key), "%s_ms_%s", name, quantiles[i].name);
        bench_report_add(report, key, bench_quantile(ms, n, quantiles[i].q), "ms, simulated");
    }
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static void report_simulation(struct bench_report *report, struct simulation *s, const struct trace *trace)
{
    double end_s = (double)s->end_ns / 1e9, policy_s = s->wall_s - s->model_s;

    report_times(report, "ttft", s->ttft_ms, s->n_ttft);
    report_times(report, "itl", s->itl_ms, s->n_itl);
    bench_report_add(report, "requests_per_s", ratio((double)trace->n, end_s), "requests/s, simulated");
    bench_report_add(report, "answer_tokens_per_s", ratio((double)s->completion_tokens, end_s), "tokens/s, simulated");
    bench_report_add(report, "prompt_tokens_per_s", ratio((double)s->prompt_tokens, end_s), "tokens/s, simulated");
    bench_report_add(report, "hit_rate", ratio((double)s->cached_tokens, (double)s->prompt_tokens),
                     "of the prompt tokens");
    bench_report_add(report, "fairness", s->fairness, "Jain's index over tenants");
    bench_report_add(report, "timed_out", (double)s->n_failed, "requests over their timeout");
    bench_report_add(report, "preemptions", (double)s->n_preempted, "sequences that gave way");
    bench_report_add(report, "evicted_pages", (double)s->n_evicted, "pages of the cache given up");
    bench_report_add(report, "queued_max", s->n_queued_max, "requests waiting at once");
    bench_report_add(report, "requests", (double)trace->n, "in the trace");
    bench_report_add(report, "tenants", (double)trace->n_tenants, "");
    bench_report_add(report, "steps", (double)s->n_steps, "");
    bench_report_add(report, "simulated_s", end_s, "s from the first arrival to the last token");
    bench_report_add(report, "policy_us_per_step", ratio(policy_s * 1e6, (double)s->n_steps),
                     "us of real time, sampling included");
}

int bench_schedule(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct trace trace = { 0 };
    struct simulation simulation = { 0 };
    int rc = options->trace ? trace_load(options->trace, options->n_ctx, &trace, err)
                            : trace_make(options, options->n_ctx, &trace, err);

    rc = rc == 0 ? simulate(options, options->n_ctx, &trace, &simulation, err) : rc;
    if (rc == 0) {
        snprintf(report->model, sizeof(report->model), "cost model");
        snprintf(report->backend, sizeof(report->backend), "simulated");
        report_simulation(report, &simulation, &trace);
    }
    simulation_free(&simulation);
    trace_free(&trace);
    return rc;
}
