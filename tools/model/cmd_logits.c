// tokfs-model logits: runs prompts through the model and prints the logits of every position, to be compared with
// another engine's.
//
// A bad line ends the run: what was printed before it is complete.
#include "engine/base/json.h"
#include "tools/model/command.h"
#include "tools/model/prompt_runner.h"
#include <math.h>
#include <stdio.h>

static void print_row(const float *logits, uint32_t n, bool is_first)
{
    fputs(is_first ? "[" : ",[", stdout);
    for (uint32_t i = 0; i < n; i++) {
        char text[32];
        int len = snprintf(text, sizeof(text), isfinite(logits[i]) ? "%.9g" : "null", (double)logits[i]);
        if (i > 0) {
            putchar(',');
        }
        fwrite(text, 1, (size_t)len, stdout);
    }
    putchar(']');
}

static void print_position(void *ctx, size_t pos, const float *logits)
{
    print_row(logits, *(uint32_t *)ctx, pos == 0);
}

static void run_prompt(struct prompt_runner *r, size_t n_tokens)
{
    fputs("{\"logits\":[", stdout);
    prompt_runner_run(r, n_tokens, print_position, &r->n_vocab);
    puts("]}");
    fflush(stdout); // a program may converse with us line by line
}

static int run_line(void *ctx, struct arena *arena, struct str line, struct err *err)
{
    struct prompt_runner *r = ctx;
    const struct json *list;
    int rc = json_parse(arena, line, &list, err);
    if (rc == 0) {
        rc = prompt_runner_read(r, list, err);
    }
    if (rc == 0) {
        run_prompt(r, list->n_children);
    }
    return rc;
}

// ---- command -------------------------------------------------------------------------------------------------------

static int run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = {
        { "backend", required_argument, NULL, 'b' }, { "isa", required_argument, NULL, 'i' },
        { "threads", required_argument, NULL, 't' }, { "chunk", required_argument, NULL, 'c' },
        { "ctx", required_argument, NULL, 'x' },     { "no-deterministic", no_argument, NULL, 'n' },
        { "help", no_argument, NULL, 'h' },          { 0 }
    };
    struct prompt_runner r = { .backend_name = "auto", .chunk = PROMPT_CHUNK };
    r.backend_options.deterministic = true;
    int64_t n_threads = 0;
    struct err err = { 0 };
    int rc = 0;
    for (int opt; rc == 0 && (opt = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (opt) {
        case 'b':
            rc = option_choice("backend", optarg, option_devices, NULL, &err);
            r.backend_name = optarg;
            break;
        case 'i':
            rc = option_choice("isa", optarg, option_isas, NULL, &err);
            r.backend_options.isa = optarg;
            break;
        case 't': rc = option_whole("threads", optarg, 1, 4096, &n_threads, &err); break;
        case 'c': rc = option_whole("chunk", optarg, 1, 65536, &r.chunk, &err); break;
        case 'x': rc = option_whole("ctx", optarg, 1, INT32_MAX, &r.n_ctx, &err); break;
        case 'n': r.backend_options.deterministic = false; break;
        case 'h': return command_help(command);
        default: return 2;
        }
    }
    if (rc < 0) {
        return command_misuse(command, &err);
    }
    if (argc - optind != 1) {
        return command_usage(command);
    }
    r.path = argv[optind];
    r.backend_options.n_threads = (unsigned)n_threads;
    int status = prompt_runner_open(&r, &err) < 0 ? command_fail(command, "%s", err.msg)
                                                  : command_each_line(command, run_line, &r, NULL);
    prompt_runner_close(&r);
    return status ? status : command_finish(command);
}

const struct command command_logits = {
    .name = "logits",
    .synopsis = "[--threads N] [--backend NAME] [--isa NAME] [--chunk N] [--ctx N] [--no-deterministic] MODEL",
    .summary = "reads JSON arrays of token ids, one a line; prints the logits of every position",
    .options =
        "  --threads N     of the CPU backend (default: one per processor)\n"
        "  --backend NAME  auto (default), cpu or cuda\n"
        "  --isa NAME      of the CPU backend: scalar, avx2, avx2vnni, avx512, avx512vnni, avx512bf16, amx (default:\n"
        "                  the best there is)\n"
        "  --chunk N       tokens computed in one step (default 64); changes no bit of the result\n"
        "  --ctx N         longest prompt (default: the model's context, at most 4096)\n"
        "  --no-deterministic  on a GPU, the kernels that are taken without --deterministic\n",
    .run = run,
};
