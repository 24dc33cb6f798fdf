// Workload `peer`: the same GGUF file under tokfs and under llama.cpp, in turn, so that both see the same machine.
//
// The peer is a program that keeps the model loaded and answers lines with tokens per second (llama_peer.py), or
// llama.cpp's llama-bench, which loads it anew each time and knows no sequences that decode together. The peer's tokens
// are random and nothing is sampled; tokfs samples. A ratio is the median over rounds of tokfs' rate over the peer's.
#include "engine/base/json.h"
#include "tools/bench/engine_run.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS_MAX   64
#define LINE_BYTES   256
#define ANSWER_MAX   (1u << 20)
#define SPARE_TOKENS 64

extern char **environ;

struct peer {
    const struct bench_options *options;
    unsigned n_threads;
    pid_t pid; // 0: no program runs
    FILE *in, *out;
    char name[LINE_BYTES];
};

// ---- the program ---------------------------------------------------------------------------------------------------

// Its standard input (unless NULL) and output become ours. The words are added to the command, which a shell reads.
static int spawn_shell(const char *command, char *const words[], size_t n_words, FILE **ret_in, FILE **ret_out,
                       pid_t *ret_pid)
{
    char script[4200], *argv[20] = { (char *)"sh", (char *)"-c", script, (char *)"sh" };
    int to[2] = { -1, -1 }, from[2];
    snprintf(script, sizeof(script), "exec %s \"$@\"", command);
    for (size_t i = 0; i < n_words; i++) {
        argv[4 + i] = words[i];
    }
    if ((ret_in && pipe2(to, O_CLOEXEC) < 0) || pipe2(from, O_CLOEXEC) < 0) {
        return -errno;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (ret_in) {
        posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    }
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    int rc = -posix_spawnp(ret_pid, "sh", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(from[1]);
    if (ret_in) {
        close(to[0]);
        *ret_in = fdopen(to[1], "w");
    }
    *ret_out = fdopen(from[0], "r");
    return rc == 0 && (!*ret_out || (ret_in && !*ret_in)) ? -ENOMEM : rc;
}

static int take_line(struct peer *peer, char line[LINE_BYTES], struct err *err)
{
    if (!fgets(line, LINE_BYTES, peer->out)) {
        return err_set(err, -EIO, "%s: ended without an answer", peer->options->peer_command);
    }
    line[strcspn(line, "\n")] = 0;
    return 0;
}

static int peer_open(struct peer *peer, struct err *err)
{
    const struct bench_options *o = peer->options;
    if (!o->peer_command) {
        snprintf(peer->name, sizeof(peer->name), "%.200s", o->llama_bench);
        return 0;
    }
    char threads[16], context[16], sequences[16];
    snprintf(threads, sizeof(threads), "%u", peer->n_threads);
    snprintf(context, sizeof(context), "%u", o->prompt_tokens + o->max_tokens + SPARE_TOKENS);
    snprintf(sequences, sizeof(sequences), "%u", o->n_sequences);
    char *const words[] = { (char *)o->model, threads, context, sequences };
    int rc = spawn_shell(o->peer_command, words, 4, &peer->in, &peer->out, &peer->pid);
    return rc < 0 ? err_set(err, rc, "%s: %s", o->peer_command, strerror(-rc)) : take_line(peer, peer->name, err);
}

static void peer_close(struct peer *peer)
{
    if (peer->in) {
        fclose(peer->in); // the end of its input ends it
    }
    if (peer->out) {
        fclose(peer->out);
    }
    while (peer->pid > 0 && waitpid(peer->pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

// ---- rates ---------------------------------------------------------------------------------------------------------

// [{"avg_ts": tokens per second, ...}]
static int parse_llama_bench(struct str text, double *ret, struct err *err)
{
    struct arena arena;
    const struct json *root = NULL, *rate = NULL;
    arena_init(&arena, 0);
    int rc = json_parse(&arena, text, &root, err);
    if (rc == 0 && root->type == JSON_ARRAY && root->n_children > 0) {
        rate = json_get(json_at(root, 0), STR("avg_ts"));
    }
    if (rc == 0 && (!rate || rate->type != JSON_NUMBER)) {
        rc = err_set(err, -EINVAL, "its output has no avg_ts");
    }
    if (rc == 0) {
        *ret = json_get_double(rate);
    }
    arena_deinit(&arena);
    return rc;
}

static int ask_llama_bench(const struct peer *peer, unsigned n_prompt, unsigned n_tokens, double *ret, struct err *err)
{
    char prompt[16], tokens[16], threads[16];
    snprintf(prompt, sizeof(prompt), "%u", n_prompt);
    snprintf(tokens, sizeof(tokens), "%u", n_tokens);
    snprintf(threads, sizeof(threads), "%u", peer->n_threads);
    char *const words[] = { (char *)"-m", (char *)peer->options->model,
                            (char *)"-p", prompt,
                            (char *)"-n", tokens,
                            (char *)"-t", threads,
                            (char *)"-r", (char *)"1",
                            (char *)"-o", (char *)"json" };
    FILE *out = NULL;
    pid_t pid = 0;
    struct strbuf text;
    strbuf_init(&text, ANSWER_MAX);
    int rc = spawn_shell(peer->options->llama_bench, words, 12, NULL, &out, &pid), status = 0;
    char piece[4096];
    for (size_t n; rc == 0 && (n = fread(piece, 1, sizeof(piece), out)) > 0;) {
        rc = strbuf_append(&text, (struct str){ piece, n });
    }
    if (out) {
        fclose(out);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    rc = rc < 0 ? err_set(err, rc, "%s", strerror(-rc)) : parse_llama_bench(strbuf_str(&text), ret, err);
    if (rc < 0) {
        err_prefix(err, "%s (wait status %d)", peer->options->llama_bench, status);
    }
    strbuf_deinit(&text);
    return rc;
}

// Of one prompt where n_sequences is 0. *ret 0: the peer does not know how.
static int peer_rate(struct peer *peer, unsigned n_sequences, double *ret, struct err *err)
{
    const struct bench_options *o = peer->options;
    char line[LINE_BYTES], *end;
    if (!o->peer_command) {
        *ret = 0;
        return n_sequences > 1 ? 0
               : n_sequences   ? ask_llama_bench(peer, 0, o->max_tokens, ret, err)
                               : ask_llama_bench(peer, o->prompt_tokens, 0, ret, err);
    }
    if (n_sequences > 0) {
        fprintf(peer->in, "decode %u %u %u\n", o->prompt_tokens, o->max_tokens, n_sequences);
    } else {
        fprintf(peer->in, "prefill %u\n", o->prompt_tokens);
    }
    fflush(peer->in);
    int rc = take_line(peer, line, err);
    if (rc == 0 && ((*ret = strtod(line, &end)) < 0 || end == line || *end)) {
        rc = err_set(err, -EINVAL, "%s: \"%.80s\" is not a rate", o->peer_command, line);
    }
    return rc;
}

// ---- rounds --------------------------------------------------------------------------------------------------------

struct measure {
    const char *name;
    double ours[ROUNDS_MAX], theirs[ROUNDS_MAX], ratio[ROUNDS_MAX];
    size_t n;
};

static int measure_theirs(struct peer *peer, unsigned n_sequences, double ours, struct measure *m, struct err *err)
{
    double theirs = 0;
    int rc = peer_rate(peer, n_sequences, &theirs, err);
    if (rc == 0 && theirs > 0) {
        m->ours[m->n] = ours;
        m->theirs[m->n] = theirs;
        m->ratio[m->n++] = ours / theirs;
    }
    return rc;
}

static void add_measure(struct bench_report *report, struct measure *m)
{
    char key[40];
    if (m->n == 0) {
        return;
    }
    snprintf(key, sizeof(key), "%s_tokens_per_s", m->name);
    bench_report_add(report, key, bench_quantile(m->ours, m->n, 0.5), "tokens/s");
    snprintf(key, sizeof(key), "peer_%s_tokens_per_s", m->name);
    bench_report_add(report, key, bench_quantile(m->theirs, m->n, 0.5), "tokens/s");
    snprintf(key, sizeof(key), "%s_ratio", m->name);
    bench_report_add(report, key, bench_quantile(m->ratio, m->n, 0.5), "of the peer's");
}

// Sequences that decode together, and of one also its prompt.
static int measure_sequences(struct peer *peer, unsigned n_sequences, struct bench_report *report, struct err *err)
{
    const struct bench_options *o = peer->options;
    struct measure prefill = { .name = "prefill" }, decode = { .name = n_sequences > 1 ? "batched" : "decode" };
    struct engine_run run;
    int rc = engine_run_open(o, n_sequences, o->max_tokens, false, &run, err);
    if (rc < 0) {
        return rc;
    }
    rc = engine_run_once(&run, err); // warms up
    for (unsigned i = 0; rc == 0 && i < o->n_rounds && i < ROUNDS_MAX; i++) {
        rc = engine_run_once(&run, err);
        double prefill_rate = engine_run_prefill_rate(&run), decode_rate = engine_run_decode_rate(&run);
        if (rc == 0 && n_sequences == 1) {
            rc = measure_theirs(peer, 0, prefill_rate, &prefill, err);
        }
        rc = rc < 0 ? rc : measure_theirs(peer, n_sequences, decode_rate, &decode, err);
    }
    if (n_sequences == 1) {
        engine_run_describe(&run, report);
        bench_report_add(report, "weight_bytes", (double)run.info.weight_bytes, "bytes per step");
    }
    engine_run_close(&run);
    add_measure(report, &prefill);
    add_measure(report, &decode);
    return rc;
}

int bench_peer(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    if (!options->model || (!options->peer_command && !options->llama_bench)) {
        return err_set(err, -EINVAL, "peer: --model FILE.gguf is needed, and --peer-command or --llama-bench");
    }
    if (options->max_tokens < 2) {
        return err_set(err, -EINVAL, "--tokens %u: decode needs at least 2", options->max_tokens);
    }
    long n_online = sysconf(_SC_NPROCESSORS_ONLN);
    struct peer peer = { .options = options, .n_threads = options->n_threads };
    peer.n_threads = peer.n_threads ? peer.n_threads : n_online > 0 ? (unsigned)n_online : 1;
    signal(SIGPIPE, SIG_IGN); // a peer that ended is told by its silence
    int rc = peer_open(&peer, err);
    rc = rc < 0 ? rc : measure_sequences(&peer, 1, report, err);
    if (rc == 0 && options->n_sequences > 1) {
        bench_report_add(report, "sequences", options->n_sequences, "together, batched");
        rc = measure_sequences(&peer, options->n_sequences, report, err);
    }
    size_t len = strlen(report->backend);
    snprintf(report->backend + len, sizeof(report->backend) - len, " against %.80s", peer.name);
    peer_close(&peer);
    return rc;
}
