// tokfs-bench: one program, one workload per run, figures as a table or as one JSON object.
#include "engine/base/option.h"
#include "tools/bench/bench.h"
#include "tools/model/random_shapes.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct workload {
    const char *name, *help;
    struct bench_options defaults;
    int (*run)(const struct bench_options *options, struct bench_report *report, struct err *err);
};

static const struct workload workloads[] = {
    { "decode",
      "tokens/s while sequences decode together, and the share of the memory read bandwidth",
      { .shape = "llama-15m", .dtype = "bf16", .n_sequences = 1, .prompt_tokens = 16, .max_tokens = 64, .n_rounds = 5 },
      bench_decode },
    { "prefill",
      "tokens/s of one prompt",
      { .shape = "llama-15m", .dtype = "bf16", .n_sequences = 1, .prompt_tokens = 512, .max_tokens = 1, .n_rounds = 5 },
      bench_prefill },
    { "tokenize",
      "time to load a tokenizer, bytes/s of encoding and tokens/s of decoding, on one thread",
      { .shape = "llama-15m", .dtype = "bf16", .n_rounds = 5 },
      bench_tokenize },
    { "render",
      "time to compile a chat template and to render ten messages with it, on one thread",
      { .n_rounds = 20 },
      bench_render },
    { "mount",
      "through a real mount: delay from sampling to a blocked reader's return, requests/s",
      { .shape = "llama-15m",
        .dtype = "bf16",
        .n_sequences = 64,
        .prompt_tokens = 16,
        .max_tokens = 64,
        .n_rounds = 1,
        .seconds = 3,
        .n_clients = 8 },
      bench_mount },
    { "scale",
      "the mount by itself, on a null model: READs, many sessions, requests/s, many readers",
      { .n_sequences = 256,
        .max_tokens = 100,
        .seconds = 3,
        .n_clients = 8,
        .n_readers = 1000,
        .n_requests = 10000,
        .step_us = 20000 },
      bench_scale },
    { "chat",
      "chats of ten turns with a shared system prompt: hit rate, time to first token with the prefix cache and without",
      { .shape = "llama-15m",
        .dtype = "bf16",
        .n_sequences = 8,
        .prompt_tokens = 256,
        .max_tokens = 32,
        .n_rounds = 2 },
      bench_chat },
    { "mixed",
      "time between tokens of running answers while long prompts arrive",
      { .shape = "llama-15m", .dtype = "bf16", .n_sequences = 8, .prompt_tokens = 1536, .max_tokens = 256 },
      bench_mixed },
    { "steady",
      "many requests one after the other: requests/s, processor time and memory of each tenth of them",
      { .shape = "llama-15m",
        .dtype = "bf16",
        .n_clients = 64,
        .n_requests = 100000,
        .prompt_tokens = 32,
        .max_tokens = 8 },
      bench_steady },
    { "step",
      "what the host does for a step of a device that draws its tokens: until the next launch, and altogether",
      { .shape = "llama-15m", .dtype = "bf16", .n_sequences = 256, .prompt_tokens = 32, .max_tokens = 256, .seed = 1 },
      bench_step },
    { "grammar",
      "compiling schemas, masks of their states, tokens/s of answers with a grammar and without",
      { .shape = "llama-15m", .dtype = "bf16", .n_sequences = 8, .max_tokens = 256 },
      bench_grammar },
    { "cache",
      "what the prefix cache costs: a match, an insertion, an eviction; steps where nothing is ever shared",
      { .shape = "llama-15m",
        .dtype = "bf16",
        .n_sequences = 10000,
        .n_ctx = 4000,
        .prompt_tokens = 128,
        .max_tokens = 32,
        .n_rounds = 8,
        .n_clients = 16 },
      bench_cache },
    { "schedule",
      "a trace of requests through the engine's policy, with a cost model of steps in place of a model",
      { .n_sequences = 64,
        .prompt_tokens = 256,
        .max_tokens = 64,
        .n_requests = 1000,
        .n_tenants = 4,
        .rate = 15,
        .seed = 1,
        .n_ctx = 4096,
        .n_pages = 8192,
        .step_us = 300,
        .row_us = 150,
        .context_us = 0.05 },
      bench_schedule },
    { "http",
      "an OpenAI server as its clients see it: requests/s, times from when a request was due, streams",
      { .shape = "llama-15m",
        .dtype = "bf16",
        .n_sequences = 64,
        .max_tokens = 16,
        .seconds = 3,
        .n_clients = 16,
        .n_rounds = 1,
        .ask = "Say one two three four five six seven eight nine ten.",
        .seed = 1 },
      bench_http },
    { "peer",
      "the same GGUF file under llama.cpp, in turn: prefill, decode, sequences together, ratios",
      { .n_sequences = 8, .prompt_tokens = 128, .max_tokens = 64, .n_rounds = 3 },
      bench_peer },
    { "index",
      "the index of who holds which block: storing, matching, clearing, memory",
      { .n_nodes = 1000, .n_blocks = 10000000 },
      bench_index },
    { "score",
      "from a chat request to the scores of many peers: template, tokens, hashes, match",
      { .shape = "llama-15m", .dtype = "bf16", .n_nodes = 1000, .prompt_tokens = 10000 },
      bench_score },
    { "cluster",
      "many nodes behind a router, simulated: hit rates and times to first token by policy",
      { .n_nodes = 100,
        .n_requests = 20000,
        .n_tenants = 400,
        .rate = 100,
        .seed = 1,
        .n_pages = 10000,
        .prompt_tokens = 4000,
        .max_tokens = 200,
        .step_us = 20000,
        .row_us = 250 },
      bench_cluster },
};
#define N_WORKLOADS (sizeof(workloads) / sizeof(workloads[0]))

static void print_help(FILE *out)
{
    fprintf(out, "usage: tokfs-bench WORKLOAD [options]\n\nWorkloads:\n");
    for (size_t i = 0; i < N_WORKLOADS; i++) {
        fprintf(out, "  %-9s %s\n", workloads[i].name, workloads[i].help);
    }
    fprintf(
        out,
        "\nOptions:\n"
        "  --model DIR       Hugging Face directory, or GGUF file, to run on\n"
        "  --text FILE       tokenize: the text (default: a made-up one of 1 MB); render: the template\n"
        "  --shape NAME      or a random model of this shape: llama-15m (default) ...\n"
        "  --dtype TYPE      of the random model: bf16 (default), f16, f32\n"
        "  --weights FORM    stored (default), q8 or q4: quantized while they load\n"
        "  --kv-dtype TYPE   of K and V: auto (default), f32, f16, bf16, q8\n"
        "  --device NAME     decode, prefill: auto, cpu or cuda (default auto)\n"
        "  --deterministic   decode, prefill: on a GPU, kernels whose results do not depend on the batch\n"
        "  --no-graphs       decode, prefill: on a GPU, kernels are launched one by one\n"
        "  --no-ahead        decode: on a GPU, a step waits for the tokens of the one before\n"
        "  --isa NAME        CPU path: scalar, avx2, avx2vnni, avx512, avx512vnni, avx512bf16, amx (default: the\n"
        "                    best there is)\n"
        "  --threads N       compute threads (default: one per processor)\n"
        "  --sequences N     sequences together; mount: streaming sessions; chat: users\n"
        "  --batch N         most tokens of one step (default: the engine's)\n"
        "  --prompt N        prompt tokens\n"
        "  --tokens N        tokens per answer\n"
        "  --rounds N        measured rounds; figures are medians\n"
        "  --clients N       mount: concurrent clients of the requests/s part; cache, steady: requests together; http: "
        "connections\n"
        "  --seconds S       mount: duration of the requests/s part; http: of arrivals\n"
        "  --readers N       scale: blocked readers; --sequences of --requests sessions run\n"
        "  --trace FILE      schedule: requests as JSON lines, or else a made-up trace of\n"
        "  --requests N      schedule, steady: so many requests\n"
        "  --tenants N       schedule: from so many users\n"
        "  --rate R          schedule, http: so many arriving per second (http default: the next after each answer)\n"
        "  --seed N          schedule: another made-up trace\n"
        "  --ctx N           schedule: longest sequence; cache: tokens of a cached one\n"
        "  --pages N         schedule: pages of 16 tokens for K and V\n"
        "  --step-us T, --row-us T, --context-us T\n"
        "                    schedule: time of a step, of each row, of each position that a row attends to\n"
        "  --no-prefix-cache schedule: compute every prompt anew\n"
        "  --url URL         http: whom to ask (default: a bridge and a mount of its own)\n"
        "  --unix PATH       http: the socket on which it listens\n"
        "  --mount DIR       http: the mount behind it, whose file is asked in turn\n"
        "  --peer URL        http: another server, asked in turn\n"
        "  --peer-command C  peer: a program that measures another engine, as llama_peer.py\n"
        "  --llama-bench P   peer: llama.cpp's llama-bench in its place\n"
        "  --ask TEXT        http: what is asked\n"
        "  --stream          http: streamed answers\n"
        "  --nodes N         index, score, cluster: machines\n"
        "  --blocks N        index: blocks that they hold together\n"
        "  --json            one JSON object on standard output\n"
        "  --help, --version\n");
}

enum {
    OPT_HELP = 256,
    OPT_VERSION,
    OPT_MODEL,
    OPT_SHAPE,
    OPT_DTYPE,
    OPT_DEVICE,
    OPT_DETERMINISTIC,
    OPT_NO_GRAPHS,
    OPT_NO_AHEAD,
    OPT_ISA,
    OPT_WEIGHTS,
    OPT_PEER_COMMAND,
    OPT_LLAMA_BENCH,
    OPT_KV_DTYPE,
    OPT_JSON,
    OPT_TEXT,
    OPT_TRACE,
    OPT_NO_PREFIX_CACHE,
    OPT_URL,
    OPT_UNIX,
    OPT_MOUNT,
    OPT_PEER,
    OPT_ASK,
    OPT_STREAM,
    OPT_NUMBER,
    OPT_COUNT = OPT_NUMBER + 64
};

// Options whose value is a count: --name N into a member of struct bench_options.
static const struct count_option {
    const char *name;
    size_t member;
    unsigned max;
} counts[] = {
    { "threads", offsetof(struct bench_options, n_threads), 1024 },
    { "sequences", offsetof(struct bench_options, n_sequences), 100000 },
    { "prompt", offsetof(struct bench_options, prompt_tokens), 10000000 },
    { "tokens", offsetof(struct bench_options, max_tokens), 10000000 },
    { "rounds", offsetof(struct bench_options, n_rounds), 64 },
    { "batch", offsetof(struct bench_options, batch_tokens), 65536 },
    { "clients", offsetof(struct bench_options, n_clients), 10000 },
    { "readers", offsetof(struct bench_options, n_readers), 10000 },
    { "requests", offsetof(struct bench_options, n_requests), 10000000 },
    { "tenants", offsetof(struct bench_options, n_tenants), 10000 },
    { "seed", offsetof(struct bench_options, seed), 1000000000 },
    { "ctx", offsetof(struct bench_options, n_ctx), 1000000 },
    { "pages", offsetof(struct bench_options, n_pages), 100000000 },
    { "nodes", offsetof(struct bench_options, n_nodes), 16000 },
    { "blocks", offsetof(struct bench_options, n_blocks), 100000000 },
};
#define N_COUNTS (sizeof(counts) / sizeof(counts[0]))

// Options whose value is a number above 0 (or from it, where `or_zero`).
static const struct number_option {
    const char *name;
    size_t member;
    double max;
    bool or_zero;
} numbers[] = {
    { "seconds", offsetof(struct bench_options, seconds), 3600, false },
    { "rate", offsetof(struct bench_options, rate), 1e6, false },
    { "step-us", offsetof(struct bench_options, step_us), 1e9, false },
    { "row-us", offsetof(struct bench_options, row_us), 1e9, true },
    { "context-us", offsetof(struct bench_options, context_us), 1e9, true },
};
#define N_NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static int set_count(struct bench_options *options, const struct count_option *count, const char *text, struct err *err)
{
    int64_t value;
    int rc = option_whole(count->name, text, 1, count->max, &value, err);
    if (rc == 0) {
        *(unsigned *)(void *)((char *)options + count->member) = (unsigned)value;
    }
    return rc;
}

static int set_option(struct bench_options *options, int opt, const char *text, struct err *err)
{
    if (opt >= OPT_COUNT) {
        return set_count(options, &counts[opt - OPT_COUNT], text, err);
    }
    if (opt >= OPT_NUMBER) {
        const struct number_option *number = &numbers[opt - OPT_NUMBER];
        double *member = (double *)(void *)((char *)options + number->member);
        return option_real(number->name, text, number->or_zero, number->max, member, err);
    }
    const struct random_shape *shape;
    switch (opt) {
    case OPT_MODEL: options->model = text; return 0;
    case OPT_TEXT: options->text = text; return 0;
    case OPT_SHAPE: options->shape = text; return random_shape_find(text, &shape, err);
    case OPT_DTYPE: options->dtype = text; return option_choice("dtype", text, random_dtype_names, NULL, err);
    case OPT_DEVICE: options->device = text; return option_choice("device", text, option_devices, NULL, err);
    case OPT_DETERMINISTIC: options->is_deterministic = true; return 0;
    case OPT_NO_GRAPHS: options->no_graphs = true; return 0;
    case OPT_NO_AHEAD: options->no_ahead = true; return 0;
    case OPT_ISA: options->isa = text; return option_choice("isa", text, option_isas, NULL, err);
    case OPT_WEIGHTS: options->weights = text; return option_choice("weights", text, option_weights, NULL, err);
    case OPT_KV_DTYPE: options->kv_dtype = text; return option_choice("kv-dtype", text, option_kv_dtypes, NULL, err);
    case OPT_JSON: options->json = true; return 0;
    case OPT_TRACE: options->trace = text; return 0;
    case OPT_NO_PREFIX_CACHE: options->no_prefix_cache = true; return 0;
    case OPT_URL: options->url = text; return 0;
    case OPT_UNIX: options->unix_path = text; return 0;
    case OPT_MOUNT: options->mount = text; return 0;
    case OPT_PEER: options->peer = text; return 0;
    case OPT_ASK: options->ask = text; return 0;
    case OPT_PEER_COMMAND: options->peer_command = text; return 0;
    case OPT_LLAMA_BENCH: options->llama_bench = text; return 0;
    case OPT_STREAM: options->stream = true; return 0;
    default: return -EINVAL; // getopt has said why
    }
}

// 0 go on, 1 done (help, version), -EINVAL said on stderr.
static int parse_options(int argc, char **argv, struct bench_options *options)
{
    static const struct option others[] = {
        { "help", no_argument, NULL, OPT_HELP },
        { "version", no_argument, NULL, OPT_VERSION },
        { "model", required_argument, NULL, OPT_MODEL },
        { "shape", required_argument, NULL, OPT_SHAPE },
        { "dtype", required_argument, NULL, OPT_DTYPE },
        { "device", required_argument, NULL, OPT_DEVICE },
        { "deterministic", no_argument, NULL, OPT_DETERMINISTIC },
        { "no-graphs", no_argument, NULL, OPT_NO_GRAPHS },
        { "no-ahead", no_argument, NULL, OPT_NO_AHEAD },
        { "isa", required_argument, NULL, OPT_ISA },
        { "weights", required_argument, NULL, OPT_WEIGHTS },
        { "kv-dtype", required_argument, NULL, OPT_KV_DTYPE },
        { "json", no_argument, NULL, OPT_JSON },
        { "no-prefix-cache", no_argument, NULL, OPT_NO_PREFIX_CACHE },
        { "text", required_argument, NULL, OPT_TEXT },
        { "trace", required_argument, NULL, OPT_TRACE },
        { "url", required_argument, NULL, OPT_URL },
        { "stream", no_argument, NULL, OPT_STREAM },
        { "unix", required_argument, NULL, OPT_UNIX },
        { "mount", required_argument, NULL, OPT_MOUNT },
        { "peer", required_argument, NULL, OPT_PEER },
        { "ask", required_argument, NULL, OPT_ASK },
        { "peer-command", required_argument, NULL, OPT_PEER_COMMAND },
        { "llama-bench", required_argument, NULL, OPT_LLAMA_BENCH },
    };
    enum { N_OTHERS = sizeof(others) / sizeof(others[0]) }; // besides the counts and numbers
    struct option longopts[N_OTHERS + N_COUNTS + N_NUMBERS + 1] = { 0 };
    int opt;

    memcpy(longopts, others, sizeof(others));
    for (size_t i = 0; i < N_COUNTS; i++) {
        longopts[N_OTHERS + i] = (struct option){ counts[i].name, required_argument, NULL, OPT_COUNT + (int)i };
    }
    for (size_t i = 0; i < N_NUMBERS; i++) {
        longopts[N_OTHERS + N_COUNTS + i] =
            (struct option){ numbers[i].name, required_argument, NULL, OPT_NUMBER + (int)i };
    }
    argv[0] = (char *)"tokfs-bench"; // getopt begins its messages with it
    while ((opt = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
        if (opt == OPT_HELP) {
            print_help(stdout);
            return 1;
        }
        if (opt == OPT_VERSION) {
            puts("tokfs-bench " TOKFS_VERSION);
            return 1;
        }
        struct err err = { 0 };
        if (set_option(options, opt, optarg, &err) < 0) {
            if (err.msg[0]) {
                fprintf(stderr, "tokfs-bench: %s\n", err.msg);
            }
            return -EINVAL;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "tokfs-bench: %s: unexpected argument\n", argv[optind]);
        return -EINVAL;
    }
    return 0;
}

static const struct workload *find_workload(const char *name)
{
    for (size_t i = 0; i < N_WORKLOADS; i++) {
        if (strcmp(workloads[i].name, name) == 0) {
            return &workloads[i];
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const struct workload *workload = argc > 1 ? find_workload(argv[1]) : NULL;
    struct err err = { 0 };

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "--version") == 0)) {
        struct bench_options unused = { 0 };
        return parse_options(argc, argv, &unused) < 0 ? 2 : 0;
    }
    if (!workload) {
        fprintf(stderr, "tokfs-bench: %s: %s\n", argc > 1 ? argv[1] : "no workload", "see tokfs-bench --help");
        return 2;
    }
    struct bench_options options = workload->defaults;
    struct bench_report report = { .workload = workload->name };
    int rc = parse_options(argc - 1, argv + 1, &options);
    if (rc != 0) {
        return rc < 0 ? 2 : 0;
    }
    if (workload->run(&options, &report, &err) < 0 || bench_report_print(&report, options.json) < 0) {
        fprintf(stderr, "tokfs-bench: %s: %s\n", workload->name, err.msg[0] ? err.msg : "cannot write the figures");
        return 1;
    }
    return 0;
}
