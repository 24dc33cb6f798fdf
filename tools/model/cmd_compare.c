// tokfs-model compare: how far a model, quantized or from another file, is from a reference, on texts that it is given.
//
// For each position the two distributions of the next token are compared: their divergence
// KL(P || Q) = sum_i P_i log(P_i / Q_i), P of the reference (Kullback & Leibler 1951), whether the same token is the
// likeliest, and how likely either took the token that follows.
#include "engine/base/json.h"
#include "engine/text/tokenizer.h"
#include "tools/model/command.h"
#include "tools/model/prompt_runner.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct comparison {
    const struct command *command;
    struct prompt_runner reference, other;
    struct tokenizer *tok; // of the reference; NULL: it has none
    bool as_json;

    float *rows;     // [n_ctx][n_vocab], the reference's logits of a prompt
    size_t n_tokens; // of that prompt
    double *kl;      // [cap], of every position so far
    size_t n, cap;   // positions
    size_t n_agreed; // of them, with the same likeliest token
    size_t n_prompts, n_followed;
    double nll[2]; // of tokens that follow: the reference's, the other's
    bool is_out_of_memory;
};

// ---- one position --------------------------------------------------------------------------------------------------

static size_t likeliest(const float *logits, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return best;
}

// log of the sum of e^logits
static double log_sum(const float *logits, size_t n)
{
    double max = (double)logits[likeliest(logits, n)], sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += exp((double)logits[i] - max);
    }
    return max + log(sum);
}

static double divergence(const float *p, const float *q, size_t n, double p_sum, double q_sum)
{
    double kl = 0;
    for (size_t i = 0; i < n; i++) {
        double log_p = (double)p[i] - p_sum, log_q = (double)q[i] - q_sum;
        kl += exp(log_p) * (log_p - log_q);
    }
    return kl;
}

static void keep_row(void *ctx, size_t pos, const float *logits)
{
    struct comparison *c = ctx;
    memcpy(c->rows + pos * c->reference.n_vocab, logits, c->reference.n_vocab * sizeof(*logits));
}

static void compare_row(void *ctx, size_t pos, const float *q)
{
    struct comparison *c = ctx;
    size_t n = c->reference.n_vocab;
    const float *p = c->rows + pos * n;
    double p_sum = log_sum(p, n), q_sum = log_sum(q, n);
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 1024;
        double *grown = reallocarray(c->kl, cap, sizeof(*grown));
        c->is_out_of_memory = c->is_out_of_memory || !grown;
        if (!grown) {
            return;
        }
        c->kl = grown;
        c->cap = cap;
    }
    c->kl[c->n++] = divergence(p, q, n, p_sum, q_sum);
    c->n_agreed += likeliest(p, n) == likeliest(q, n);
    if (pos + 1 < c->n_tokens) {
        int32_t next = c->reference.tokens[pos + 1];
        c->nll[0] += p_sum - (double)p[next];
        c->nll[1] += q_sum - (double)q[next];
        c->n_followed++;
    }
}

// ---- one line ------------------------------------------------------------------------------------------------------

// Ids of a line of text, cut to the context.
static int read_text(struct comparison *c, struct str text, struct err *err)
{
    struct token_ids ids = { 0 };
    if (!c->tok) {
        return err_set(err, -EINVAL, "text needs a tokenizer, which %s has not: give arrays of token ids",
                       c->reference.path);
    }
    int rc = tokenizer_encode(c->tok, text, TOKENIZER_ADD_SPECIAL, &ids, err);
    c->n_tokens = ids.len < (size_t)c->reference.n_ctx ? ids.len : (size_t)c->reference.n_ctx;
    for (size_t i = 0; rc == 0 && i < c->n_tokens; i++) {
        c->reference.tokens[i] = ids.ids[i];
        if ((uint32_t)ids.ids[i] >= c->reference.n_vocab) {
            rc = err_set(err, -EINVAL, "the tokenizer has id %d, the model only %u", ids.ids[i], c->reference.n_vocab);
        }
    }
    token_ids_deinit(&ids);
    return rc;
}

static int read_line(struct comparison *c, struct arena *arena, struct str line, struct err *err)
{
    const struct json *list;
    if (line.ptr[0] != '[') {
        return read_text(c, line, err);
    }
    int rc = json_parse(arena, line, &list, err);
    if (rc == 0 && (rc = prompt_runner_read(&c->reference, list, err)) == 0) {
        c->n_tokens = list->n_children;
    }
    return rc;
}

static int compare_line(void *ctx, struct arena *arena, struct str line, struct err *err)
{
    struct comparison *c = ctx;
    int rc = read_line(c, arena, line, err);
    if (rc < 0) {
        return rc;
    }
    memcpy(c->other.tokens, c->reference.tokens, c->n_tokens * sizeof(*c->other.tokens));
    prompt_runner_run(&c->reference, c->n_tokens, keep_row, c);
    prompt_runner_run(&c->other, c->n_tokens, compare_row, c);
    c->n_prompts++;
    return c->is_out_of_memory ? err_set(err, -ENOMEM, "no memory for %zu positions", c->n) : 0;
}

// ---- report --------------------------------------------------------------------------------------------------------

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(struct comparison *c)
{
    double sum = 0, n = (double)(c->n > 0 ? c->n : 1), n_followed = (double)(c->n_followed > 0 ? c->n_followed : 1);
    for (size_t i = 0; i < c->n; i++) {
        sum += c->kl[i];
    }
    qsort(c->kl, c->n, sizeof(*c->kl), compare_doubles);
    const struct {
        const char *key, *words;
        double value;
    } figures[] = {
        { "positions", "positions", (double)c->n },
        { "kl_mean", "mean divergence (KL, nats)", sum / n },
        { "kl_median", "median", c->n ? c->kl[c->n / 2] : 0 },
        { "kl_p99", "99th percentile", c->n ? c->kl[c->n * 99 / 100] : 0 },
        { "kl_max", "largest", c->n ? c->kl[c->n - 1] : 0 },
        { "same_top", "same likeliest token (share)", (double)c->n_agreed / n },
        { "perplexity_reference", "perplexity of the reference", exp(c->nll[0] / n_followed) },
        { "perplexity", "perplexity of the other", exp(c->nll[1] / n_followed) },
    };
    for (size_t i = 0; i < sizeof(figures) / sizeof(*figures); i++) {
        if (c->as_json) {
            printf("%s\"%s\":%.9g", i ? "," : "{", figures[i].key, figures[i].value);
        } else {
            printf("%-30s%.6g\n", figures[i].words, figures[i].value);
        }
    }
    fputs(c->as_json ? "}\n" : "", stdout);
}

static int run_lines(struct comparison *c)
{
    size_t n_lines;
    int status = command_each_line(c->command, compare_line, c, &n_lines);
    if (status == 0 && c->n == 0) {
        status = command_fail(c->command, "standard input: nothing to compare in %zu lines", n_lines);
    }
    if (status == 0) {
        report(c);
    }
    return status;
}

// ---- command -------------------------------------------------------------------------------------------------------

static int open_both(struct comparison *c, struct err *err)
{
    int rc = prompt_runner_open(&c->reference, err);
    c->other.n_ctx = c->reference.n_ctx;
    if (rc < 0 || (rc = prompt_runner_open(&c->other, err)) < 0) {
        return rc;
    }
    if (c->other.n_vocab != c->reference.n_vocab) {
        return err_set(err, -EINVAL, "%s has a vocabulary of %u, %s of %u", c->reference.path, c->reference.n_vocab,
                       c->other.path, c->other.n_vocab);
    }
    c->rows = malloc((size_t)c->reference.n_ctx * c->reference.n_vocab * sizeof(*c->rows));
    if (!c->rows) {
        return err_set(err, -ENOMEM, "no memory for %" PRId64 " rows of %u logits", c->reference.n_ctx,
                       c->reference.n_vocab);
    }
    if (tokenizer_open(c->reference.path, &c->tok, NULL) < 0) {
        c->tok = NULL;
    }
    return 0;
}

static int run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = { { "threads", required_argument, NULL, 't' },
                                             { "weights", required_argument, NULL, 'w' },
                                             { "kv-dtype", required_argument, NULL, 'y' },
                                             { "ctx", required_argument, NULL, 'x' },
                                             { "json", no_argument, NULL, 'j' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    struct comparison c = { .command = command, .reference = { .backend_name = "auto" } };
    int64_t n_threads = 0;
    unsigned weights = WEIGHTS_AS_STORED;
    struct err err = { 0 };
    int rc = 0;
    for (int opt; rc == 0 && (opt = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (opt) {
        case 't': rc = option_whole("threads", optarg, 1, 4096, &n_threads, &err); break;
        case 'w': rc = option_choice("weights", optarg, option_weights, &weights, &err); break;
        case 'y':
            rc = option_choice("kv-dtype", optarg, option_kv_dtypes, NULL, &err);
            c.other.kv_dtype = optarg;
            break;
        case 'x': rc = option_whole("ctx", optarg, 1, 65536, &c.reference.n_ctx, &err); break;
        case 'j': c.as_json = true; break;
        case 'h': return command_help(command);
        default: return 2;
        }
    }
    if (rc < 0) {
        return command_misuse(command, &err);
    }
    if (argc - optind != 1 && argc - optind != 2) {
        return command_usage(command);
    }
    c.reference.path = argv[optind];
    c.reference.backend_options.n_threads = (unsigned)n_threads;
    c.other.path = argv[argc - 1];
    c.other.backend_name = "auto";
    c.other.backend_options = c.reference.backend_options;
    c.other.weights = (enum weight_form)weights;
    int status = open_both(&c, &err) < 0 ? command_fail(command, "%s", err.msg) : run_lines(&c);
    prompt_runner_close(&c.reference);
    prompt_runner_close(&c.other);
    tokenizer_free(c.tok);
    free(c.rows);
    free(c.kl);
    return status ? status : command_finish(command);
}

const struct command command_compare = {
    .name = "compare",
    .synopsis = "[--weights FORM] [--kv-dtype TYPE] [--threads N] [--ctx N] [--json] REFERENCE [OTHER]",
    .summary = "reads texts or JSON arrays of token ids, one a line; prints how far OTHER is from REFERENCE",
    .options = "  --weights FORM   of the other: stored (default), q8 or q4: quantized while they load\n"
               "  --kv-dtype TYPE  of the other's K and V: auto (default), f32, f16, bf16, q8\n"
               "  --threads N      of the CPU backend (default: one per processor)\n"
               "  --ctx N          longest line, in tokens; texts are cut to it (default: the model's, at most 4096)\n"
               "  --json           one JSON object\n\n"
               "OTHER is REFERENCE where it is not given.\n",
    .run = run,
};
