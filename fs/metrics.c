// The mount's figures: /metrics as Prometheus text (exposition format 0.0.4) and /kv/stats as JSON.
//
// Besides its own names the page carries those that dashboards for vLLM and the Gateway API inference extension read.
#include "fs/metrics.h"

#include "engine/base/json.h"
#include "fs/journal.h"
#include "fs/mount.h"
#include "fs/session_table.h"
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

struct figures {
    struct tokfs_engine_stats engine;
    struct tokfs_engine_info info;
    uint64_t n_sessions, n_files, n_parked, n_held_bytes;
    double kv_used; // share of the pages that sequences hold
};

enum figure_type { COUNTER, GAUGE };

struct metric {
    const char *name, *help;
    enum figure_type type;
    uint64_t (*value)(const struct figures *f);
    const char *vllm_name; // NULL: none
};

#define VALUE(name, expression)                                                                                        \
    static uint64_t name(const struct figures *f)                                                                      \
    {                                                                                                                  \
        return (expression);                                                                                           \
    }

VALUE(requests, f->engine.n_requests)
VALUE(finished, f->engine.n_finished)
VALUE(cancelled, f->engine.n_cancelled)
VALUE(failed, f->engine.n_failed)
VALUE(running, f->engine.n_running)
VALUE(queued, f->engine.n_queued)
VALUE(prompt_tokens, f->engine.prompt_tokens)
VALUE(cached_tokens, f->engine.cached_tokens)
VALUE(completion_tokens, f->engine.completion_tokens)
VALUE(preempted, f->engine.n_preempted)
VALUE(steps, f->engine.n_steps)
VALUE(ahead, f->engine.n_ahead)
VALUE(pages, f->engine.n_pages)
VALUE(pages_free, f->engine.n_pages_free)
VALUE(pages_cached, f->engine.n_pages_cached)
VALUE(evicted, f->engine.n_evicted)
VALUE(to_host, f->engine.n_to_host)
VALUE(from_host, f->engine.n_from_host)
VALUE(host_evicted, f->engine.n_host_evicted)
VALUE(host_pages, f->engine.n_host_pages)
VALUE(host_pages_cached, f->engine.n_host_pages_cached)
VALUE(device_restarts, f->engine.n_device_restarts)
VALUE(guessed, f->engine.n_guessed)
VALUE(guessed_right, f->engine.n_guessed_right)
VALUE(forced, f->engine.n_forced)
VALUE(sessions, f->n_sessions)
VALUE(open_files, f->n_files)
VALUE(parked, f->n_parked)
VALUE(held_bytes, f->n_held_bytes)

static const struct metric metrics[] = {
    { "requests_total", "Requests accepted.", COUNTER, requests, NULL },
    { "requests_finished_total", "Requests answered to the end.", COUNTER, finished, NULL },
    { "requests_cancelled_total", "Requests cancelled.", COUNTER, cancelled, NULL },
    { "requests_failed_total", "Requests refused or failed.", COUNTER, failed, NULL },
    { "requests_running", "Sequences running.", GAUGE, running, "num_requests_running" },
    { "requests_queued", "Requests waiting for a place in the batch.", GAUGE, queued, "num_requests_waiting" },
    { "prompt_tokens_total", "Prompt tokens of the requests that began.", COUNTER, prompt_tokens,
      "prefix_cache_queries_total" },
    { "cached_tokens_total", "Of them, taken from the prefix cache.", COUNTER, cached_tokens,
      "prefix_cache_hits_total" },
    { "completion_tokens_total", "Tokens sampled.", COUNTER, completion_tokens, "generation_tokens_total" },
    { "preemptions_total", "Running sequences that gave their pages up.", COUNTER, preempted, "num_preemptions_total" },
    { "guessed_tokens_total", "Tokens guessed from what was said before.", COUNTER, guessed,
      "spec_decode_num_draft_tokens_total" },
    { "guessed_right_tokens_total", "Of them, those that were right.", COUNTER, guessed_right,
      "spec_decode_num_accepted_tokens_total" },
    { "forced_tokens_total", "Tokens that the form of an answer left no choice for, not sampled.", COUNTER, forced,
      NULL },
    { "steps_total", "Forward passes.", COUNTER, steps, NULL },
    { "steps_ahead_total", "Of them, issued before the tokens of the one before were known.", COUNTER, ahead, NULL },
    { "kv_pages", "Pages of K and V memory.", GAUGE, pages, NULL },
    { "kv_pages_free", "Of them, those that no sequence holds.", GAUGE, pages_free, NULL },
    { "kv_pages_cached", "Of the free ones, those with cached prefixes.", GAUGE, pages_cached, NULL },
    { "device_restarts_total", "Times that the device failed and was taken anew.", COUNTER, device_restarts, NULL },
    { "kv_pages_evicted_total", "Cached pages given up for others.", COUNTER, evicted, NULL },
    { "kv_host_pages", "Pages of K and V memory on the host, for what leaves the device.", GAUGE, host_pages, NULL },
    { "kv_host_pages_cached", "Of them, those with cached prefixes.", GAUGE, host_pages_cached, NULL },
    { "kv_pages_to_host_total", "Of the cached pages given up, those that went to the host.", COUNTER, to_host, NULL },
    { "kv_pages_from_host_total", "Pages brought back from the host.", COUNTER, from_host, NULL },
    { "kv_host_pages_evicted_total", "Cached pages of the host given up for others.", COUNTER, host_evicted, NULL },
    { "sessions", "Conversations in sessions/.", GAUGE, sessions, NULL },
    { "open_files", "Files of the mount that are open.", GAUGE, open_files, NULL },
    { "parked_requests", "Readers and writers that wait.", GAUGE, parked, NULL },
    { "held_bytes", "Memory of conversations, answers and begun requests.", GAUGE, held_bytes, NULL },
};

static struct figures take_figures(const struct mount *mount)
{
    struct figures f = {
        .n_sessions = session_table_count(mount->sessions),
        .n_files = mount->counts.n_files,
        .n_parked = mount->counts.n_parked,
        .n_held_bytes = users_bytes(mount->users),
    };
    tokfs_engine_get_stats(mount->engine, &f.engine);
    tokfs_engine_get_info(mount->engine, &f.info);
    f.kv_used = f.engine.n_pages > 0 ? 1 - (double)f.engine.n_pages_free / f.engine.n_pages : 0;
    return f;
}

static const struct {
    const char *name, *help; // vLLM's name
    enum tokfs_histogram_id id;
    bool is_time;
} histograms[] = {
    { "time_to_first_token_seconds", "Time to the first token.", TOKFS_HISTOGRAM_FIRST_TOKEN_NS, true },
    { "inter_token_latency_seconds", "Time between tokens.", TOKFS_HISTOGRAM_BETWEEN_TOKENS_NS, true },
    { "time_per_output_token_seconds", "Time between tokens, by its older name.", TOKFS_HISTOGRAM_BETWEEN_TOKENS_NS,
      true },
    { "request_time_per_output_token_seconds", "Mean time between the tokens of an answer.",
      TOKFS_HISTOGRAM_PER_TOKEN_NS, true },
    { "e2e_request_latency_seconds", "Time from a request to the end of its answer.", TOKFS_HISTOGRAM_TOTAL_NS, true },
    { "request_queue_time_seconds", "Time in the queue.", TOKFS_HISTOGRAM_QUEUE_NS, true },
    { "request_inference_time_seconds", "Time running.", TOKFS_HISTOGRAM_INFERENCE_NS, true },
    { "request_prefill_time_seconds", "Time in prefill.", TOKFS_HISTOGRAM_PREFILL_NS, true },
    { "request_decode_time_seconds", "Time from the first token to the last.", TOKFS_HISTOGRAM_DECODE_NS, true },
    { "request_prompt_tokens", "Tokens of a prompt.", TOKFS_HISTOGRAM_PROMPT_TOKENS, false },
    { "request_generation_tokens", "Tokens of an answer.", TOKFS_HISTOGRAM_COMPLETION_TOKENS, false },
    { "iteration_tokens_total", "Tokens of a forward pass.", TOKFS_HISTOGRAM_STEP_TOKENS, false },
};

static const char *const ends[TOKFS_N_ENDS] = {
    [TOKFS_END_STOP] = "stop", [TOKFS_END_LENGTH] = "length", [TOKFS_END_ABORT] = "abort", [TOKFS_END_ERROR] = "error"
};

// ---- /metrics ------------------------------------------------------------------------------------------------------

static void write_head(struct strbuf *out, const char *prefix, const char *name, const char *help, const char *type)
{
    strbuf_printf(out, "# HELP %s%s %s\n# TYPE %s%s %s\n", prefix, name, help, prefix, name, type);
}

// Prometheus wants seconds.
static void write_seconds(struct strbuf *out, const char *name, const char *help, uint64_t ns)
{
    write_head(out, "tokfs_", name, help, "counter");
    strbuf_printf(out, "tokfs_%s %" PRIu64 ".%09" PRIu64 "\n", name, ns / 1000000000u, ns % 1000000000u);
}

static void write_label(struct strbuf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n') {
            strbuf_append(out, STR("\\n"));
            continue;
        }
        if (*text == '"' || *text == '\\') {
            strbuf_append_byte(out, '\\');
        }
        strbuf_append_byte(out, *text);
    }
}

// A sample of a family whose head was written; `labels` may be empty, or end with a comma.
static void write_sample(struct strbuf *out, const struct figures *f, const char *name, const char *suffix,
                         const char *labels)
{
    strbuf_printf(out, "vllm:%s%s{%smodel_name=\"", name, suffix, labels);
    write_label(out, f->info.model);
    strbuf_append(out, STR("\"} "));
}

static void write_vllm(struct strbuf *out, const struct figures *f, const char *name, const char *help,
                       const char *type)
{
    write_head(out, "vllm:", name, help, type);
    write_sample(out, f, name, "", "");
}

// Seconds, or a count.
static void write_number(struct strbuf *out, uint64_t value, bool is_time)
{
    if (is_time) {
        strbuf_printf(out, "%" PRIu64 ".%09" PRIu64 "\n", value / 1000000000u, value % 1000000000u);
    } else {
        strbuf_printf(out, "%" PRIu64 "\n", value);
    }
}

static void write_histogram(struct strbuf *out, const struct figures *f, size_t i)
{
    const struct tokfs_histogram *h = &f->engine.histograms[histograms[i].id];
    const char *name = histograms[i].name;
    size_t n_bounds;
    const uint64_t *bounds = tokfs_histogram_bounds(histograms[i].id, &n_bounds);
    uint64_t n = 0;
    write_head(out, "vllm:", name, histograms[i].help, "histogram");
    for (size_t b = 0; b <= n_bounds; b++) {
        char labels[48];
        n += h->counts[b];
        if (b == n_bounds) {
            snprintf(labels, sizeof(labels), "le=\"+Inf\",");
        } else if (histograms[i].is_time) {
            snprintf(labels, sizeof(labels), "le=\"%.10g\",", (double)bounds[b] / 1e9);
        } else {
            snprintf(labels, sizeof(labels), "le=\"%" PRIu64 "\",", bounds[b]);
        }
        write_sample(out, f, name, "_bucket", labels);
        write_number(out, n, false);
    }
    write_sample(out, f, name, "_sum", "");
    write_number(out, h->sum, histograms[i].is_time);
    write_sample(out, f, name, "_count", "");
    write_number(out, n, false);
}

static void write_ends(struct strbuf *out, const struct figures *f)
{
    write_head(out, "vllm:", "request_success_total", "Answers that have ended, by how.", "counter");
    for (size_t i = 0; i < TOKFS_N_ENDS; i++) {
        char labels[48];
        snprintf(labels, sizeof(labels), "finished_reason=\"%s\",", ends[i]);
        write_sample(out, f, "request_success_total", "", labels);
        write_number(out, f->engine.n_ends[i], false);
    }
}

// What the Gateway API inference extension reads beside the gauges: there are no adapters.
static void write_infos(struct strbuf *out, const struct figures *f)
{
    write_head(out, "vllm:", "lora_requests_info", "Adapters in use: none, ever. The value is the time.", "gauge");
    strbuf_printf(out,
                  "vllm:lora_requests_info{max_lora=\"0\",running_lora_adapters=\"\",waiting_lora_adapters=\"\"} "
                  "%lld\n",
                  (long long)time(NULL));
    write_head(out, "vllm:", "cache_config_info", "Sizes of the K and V memory.", "gauge");
    strbuf_append(out, STR("vllm:cache_config_info{model_name=\""));
    write_label(out, f->info.model);
    strbuf_printf(out, "\",block_size=\"%zu\",num_gpu_blocks=\"%" PRIu32 "\"} 1\n", f->info.page_tokens,
                  f->info.n_pages);
}

static void write_journal(struct strbuf *out, const struct journal *j)
{
    const struct journal_stats *stats = &j->stats;
    const struct {
        const char *name, *help, *type;
        uint64_t value;
    } rows[] = {
        { "journal_ok", "Whether the journal is written.", "gauge", j->error == 0 },
        { "journal_bytes", "Length of the journal.", "gauge", j->file.end },
        { "journal_records_total", "Records written.", "counter", stats->n_records },
        { "journal_commits_total", "Groups of records written.", "counter", stats->n_commits },
        { "journal_syncs_total", "Syncs of the journal.", "counter", stats->n_syncs },
        { "journal_errors_total", "Writes and syncs of it that failed.", "counter", stats->n_errors },
        { "journal_compactions_total", "Times that it was rewritten.", "counter", stats->n_compactions },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        write_head(out, "tokfs_", rows[i].name, rows[i].help, rows[i].type);
        strbuf_printf(out, "tokfs_%s %" PRIu64 "\n", rows[i].name, rows[i].value);
    }
}

int metrics_render(struct file *file, struct strbuf *out)
{
    const struct figures f = take_figures(file->mount);
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        const struct metric *m = &metrics[i];
        const char *type = m->type == COUNTER ? "counter" : "gauge";
        write_head(out, "tokfs_", m->name, m->help, type);
        strbuf_printf(out, "tokfs_%s %" PRIu64 "\n", m->name, m->value(&f));
        if (m->vllm_name) {
            write_vllm(out, &f, m->vllm_name, m->help, type);
            strbuf_printf(out, "%" PRIu64 "\n", m->value(&f));
        }
    }
    if (file->mount->journal) {
        write_journal(out, file->mount->journal);
    }
    write_seconds(out, "step_seconds_total", "Time in steps.", f.engine.step_ns);
    write_seconds(out, "model_seconds_total", "Time in forward passes.", f.engine.model_ns);
    write_vllm(out, &f, "prompt_tokens_total", "Prompt tokens of the requests that began.", "counter");
    strbuf_printf(out, "%" PRIu64 "\n", f.engine.prompt_tokens);
    write_vllm(out, &f, "kv_cache_usage_perc", "Share of the K and V pages in use, 0 to 1.", "gauge");
    strbuf_printf(out, "%.6f\n", f.kv_used);
    write_vllm(out, &f, "gpu_cache_usage_perc", "The same, by its older name.", "gauge");
    strbuf_printf(out, "%.6f\n", f.kv_used);
    write_ends(out, &f);
    for (size_t i = 0; i < sizeof(histograms) / sizeof(histograms[0]); i++) {
        write_histogram(out, &f, i);
    }
    write_infos(out, &f);
    return out->error;
}

// ---- /kv/stats -----------------------------------------------------------------------------------------------------

int kv_stats_render(struct file *file, struct strbuf *out)
{
    const struct figures f = take_figures(file->mount);
    const struct {
        const char *name;
        uint64_t value;
    } members[] = {
        { "page_tokens", f.info.page_tokens },
        { "pages", f.engine.n_pages },
        { "pages_free", f.engine.n_pages_free },
        { "pages_cached", f.engine.n_pages_cached },
        { "pages_evicted", f.engine.n_evicted },
        { "prompt_tokens", f.engine.prompt_tokens },
        { "cached_tokens", f.engine.cached_tokens },
        { "preemptions", f.engine.n_preempted },
        { "host_pages", f.engine.n_host_pages },
        { "host_pages_cached", f.engine.n_host_pages_cached },
        { "pages_to_host", f.engine.n_to_host },
        { "pages_from_host", f.engine.n_from_host },
        { "host_pages_evicted", f.engine.n_host_evicted },
    };
    struct json_writer w;
    json_writer_init(&w, out);
    json_write_object_begin(&w);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        json_write_key(&w, members[i].name);
        json_write_u64(&w, members[i].value);
    }
    json_write_key(&w, "hit_rate");
    json_write_double(&w,
                      f.engine.prompt_tokens > 0 ? (double)f.engine.cached_tokens / (double)f.engine.prompt_tokens : 0);
    json_write_object_end(&w);
    return strbuf_append_byte(out, '\n');
}
