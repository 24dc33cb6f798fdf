// Figures: collected by name, printed as a table for people or as one JSON object for programs.
#include "engine/base/json.h"
#include "tools/bench/bench.h"
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bench_report_add(struct bench_report *report, const char *key, double value, const char *unit)
{
    assert(report->n_figures < BENCH_FIGURES_MAX);
    struct bench_figure *figure = &report->figures[report->n_figures++];
    assert(strlen(key) < sizeof(figure->key));
    snprintf(figure->key, sizeof(figure->key), "%s", key);
    figure->unit = unit;
    figure->value = value;
}

static int print_json(const struct bench_report *report)
{
    struct strbuf out;
    struct json_writer w;

    strbuf_init(&out, 0);
    json_writer_init(&w, &out);
    json_write_object_begin(&w);
    json_write_key(&w, "workload");
    json_write_cstr(&w, report->workload);
    json_write_key(&w, "model");
    json_write_cstr(&w, report->model);
    json_write_key(&w, "backend");
    json_write_cstr(&w, report->backend);
    for (size_t i = 0; i < report->n_figures; i++) {
        json_write_key(&w, report->figures[i].key);
        json_write_double(&w, report->figures[i].value);
    }
    json_write_object_end(&w);
    bool is_written = !out.error && printf("%s\n", out.ptr) > 0 && fflush(stdout) == 0;
    strbuf_deinit(&out);
    return is_written ? 0 : -EIO;
}

int bench_report_print(const struct bench_report *report, bool json)
{
    if (json) {
        return print_json(report);
    }
    printf("%s: %s on %s\n", report->workload, report->model, report->backend);
    for (size_t i = 0; i < report->n_figures; i++) {
        const struct bench_figure *f = &report->figures[i];

        printf("  %-30s %14.6g %s\n", f->key, f->value, f->unit);
    }
    return fflush(stdout) == 0 ? 0 : -EIO;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_quantile(double *values, size_t n, double q)
{
    if (n == 0) {
        return 0;
    }
    qsort(values, n, sizeof(values[0]), compare_doubles);
    size_t rank = (size_t)ceil(q * (double)n);

    return values[rank == 0 ? 0 : rank - 1];
}
