// tokfs-model logits: runs prompts through the model and prints the logits of every position, to be compared with
// another engine's.
//
// One prompt at a time, in chunks of a step; each prompt's pages are taken before and given back after it. A bad line
// ends the run: what was printed before it is complete.
#include "engine/base/json.h"
#include "engine/cache/page_pool.h"
#include "engine/model/model.h"
#include "tools/model/command.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_TOKENS 16
#define CTX_DEFAULT 4096

struct runner {
    const struct command *command;
    const char *dir, *backend_name;
    struct backend_options backend_options;
    int64_t chunk; // tokens of one step
    int64_t n_ctx; // 0: the smaller of CTX_DEFAULT and the model's
    struct backend *backend;
    struct model *model;
    struct page_pool pool;
    uint32_t *pages;      // [pool.n_pages], of the running prompt
    int32_t *tokens;      // [n_ctx]
    uint32_t *logit_rows; // [chunk], 0, 1, 2, ...
};

// ---- life ----------------------------------------------------------------------------------------------------------

static int open_memory(struct runner *r, struct err *err)
{
    const struct model_config *c = model_get_config(r->model);
    if (r->n_ctx == 0) {
        r->n_ctx = c->n_ctx_max < CTX_DEFAULT ? c->n_ctx_max : CTX_DEFAULT;
    }
    if (r->n_ctx > c->n_ctx_max) {
        return err_set(err, -EINVAL, "--ctx %" PRId64 " is above the model's %" PRIu32, r->n_ctx, c->n_ctx_max);
    }
    uint32_t n_pages = (uint32_t)((r->n_ctx + PAGE_TOKENS - 1) / PAGE_TOKENS);
    int rc = page_pool_init(&r->pool, r->backend, model_get_kv_layout(r->model)->page_bytes, n_pages, err);
    if (rc < 0) {
        return rc;
    }
    r->pages = malloc(n_pages * sizeof(*r->pages));
    r->tokens = malloc((size_t)r->n_ctx * sizeof(*r->tokens));
    r->logit_rows = malloc((size_t)r->chunk * sizeof(*r->logit_rows));
    if (!r->pages || !r->tokens || !r->logit_rows) {
        return err_set(err, -ENOMEM, "no memory for prompts of %" PRId64 " tokens", r->n_ctx);
    }
    for (uint32_t i = 0; i < r->chunk; i++) {
        r->logit_rows[i] = i;
    }
    return 0;
}

static int runner_open(struct runner *r, struct err *err)
{
    int rc = backend_open(r->backend_name, &r->backend_options, &r->backend, err);
    if (rc < 0) {
        return rc;
    }
    const struct model_options options = { .dir = r->dir,
                                           .backend = r->backend,
                                           .batch_rows_max = (size_t)r->chunk,
                                           .logit_rows_max = (size_t)r->chunk,
                                           .page_tokens = PAGE_TOKENS };
    rc = model_open(&options, &r->model, err);
    return rc < 0 ? rc : open_memory(r, err);
}

static void runner_close(struct runner *r)
{
    free(r->pages);
    free(r->tokens);
    free(r->logit_rows);
    page_pool_deinit(&r->pool);
    model_free(r->model);
    if (r->backend) {
        r->backend->ops->close(r->backend);
    }
}

// ---- one prompt ----------------------------------------------------------------------------------------------------

static int parse_tokens(struct runner *r, const struct json *list, struct err *err)
{
    if (list->type != JSON_ARRAY) {
        return err_set(err, -EINVAL, "not an array of token ids but %s", json_type_name(list->type));
    }
    if (list->n_children > r->n_ctx) {
        return err_set(err, -E2BIG, "%" PRIu32 " tokens are more than the context of %" PRId64, list->n_children,
                       r->n_ctx);
    }
    uint32_t n_vocab = model_get_config(r->model)->n_vocab;
    const struct json *v = json_first(list);
    for (uint32_t i = 0; i < list->n_children; i++, v = json_next(v)) {
        int64_t id;
        if (v->type != JSON_NUMBER || json_get_i64(v, &id) < 0 || id < 0 || id >= n_vocab) {
            return err_set(err, -EINVAL, "element %" PRIu32 " (%.*s) is not a token id from 0 to %" PRIu32, i,
                           STR_ARG(str_take(v->text, 40)), n_vocab - 1);
        }
        r->tokens[i] = (int32_t)id;
    }
    return 0;
}

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

static void run_prompt(struct runner *r, size_t n_tokens)
{
    uint32_t n_vocab = model_get_config(r->model)->n_vocab;
    size_t n_pages = (n_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS;
    for (size_t i = 0; i < n_pages; i++) {
        bool is_taken = page_pool_take(&r->pool, &r->pages[i]);
        assert(is_taken); // the pool holds n_ctx tokens
    }
    fputs("{\"logits\":[", stdout);
    for (size_t pos = 0; pos < n_tokens;) {
        size_t n = n_tokens - pos < (size_t)r->chunk ? n_tokens - pos : (size_t)r->chunk;
        const struct batch_seq seq = { .row = 0, .n_rows = n, .pos = pos, .pages = r->pages };
        const struct step step = { .token_ids = r->tokens + pos,
                                   .map = { .seqs = &seq, .n_seqs = 1, .n_rows = n },
                                   .kv_pool = r->pool.mem,
                                   .logit_rows = r->logit_rows,
                                   .n_logit_rows = n };
        const float *logits = model_step(r->model, &step).rows;
        for (size_t row = 0; row < n; row++) {
            print_row(logits + row * n_vocab, n_vocab, pos + row == 0);
        }
        pos += n;
    }
    puts("]}");
    fflush(stdout); // a program may converse with us line by line
    for (size_t i = 0; i < n_pages; i++) {
        page_pool_give(&r->pool, r->pages[i]);
    }
}

static int run_line(struct runner *r, struct arena *arena, struct str line, struct err *err)
{
    const struct json *list;
    int rc = json_parse(arena, line, &list, err);
    if (rc == 0) {
        rc = parse_tokens(r, list, err);
    }
    if (rc == 0) {
        run_prompt(r, list->n_children);
    }
    return rc;
}

static int run_lines(struct runner *r)
{
    char *line = NULL;
    size_t cap = 0, number = 0;
    int status = 0;
    struct arena arena;
    arena_init(&arena, 0);
    for (ssize_t len; status == 0 && (len = getline(&line, &cap, stdin)) >= 0;) {
        struct str text = str_trim((struct str){ line, (size_t)len });
        struct err err = { 0 };
        number++;
        if (text.len > 0 && run_line(r, &arena, text, &err) < 0) {
            fflush(stdout);
            status = command_fail(r->command, "line %zu: %s", number, err.msg);
        }
        arena_reset(&arena);
    }
    if (status == 0 && ferror(stdin)) {
        status = command_fail(r->command, "standard input: %s", strerror(errno));
    }
    free(line);
    arena_deinit(&arena);
    return status;
}

// ---- command -------------------------------------------------------------------------------------------------------

static int run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = { { "backend", required_argument, NULL, 'b' },
                                             { "isa", required_argument, NULL, 'i' },
                                             { "threads", required_argument, NULL, 't' },
                                             { "chunk", required_argument, NULL, 'c' },
                                             { "ctx", required_argument, NULL, 'x' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    struct runner r = { .command = command, .backend_name = "auto", .chunk = 64 };
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
    r.dir = argv[optind];
    r.backend_options.n_threads = (unsigned)n_threads;
    int status = runner_open(&r, &err) < 0 ? command_fail(command, "%s", err.msg) : run_lines(&r);
    runner_close(&r);
    return status ? status : command_finish(command);
}

const struct command command_logits = {
    .name = "logits",
    .synopsis = "[--threads N] [--backend NAME] [--isa NAME] [--chunk N] [--ctx N] MODEL",
    .summary = "reads JSON arrays of token ids, one a line; prints the logits of every position",
    .options = "  --threads N     of the CPU backend (default: one per processor)\n"
               "  --backend NAME  auto (default), cpu or cuda\n"
               "  --isa NAME      of the CPU backend: scalar, avx2, avx512, avx512bf16 (default: the best there is)\n"
               "  --chunk N       tokens computed in one step (default 64); changes no bit of the result\n"
               "  --ctx N         longest prompt (default: the model's context, at most 4096)\n",
    .run = run,
};
