// Workload tokenize: loading a tokenizer.json, and encoding and decoding on one thread, in documents of 1 KB and of 1
// MB.
//
// The text is --text FILE, or one made of words, numbers and punctuation by a fixed generator. Figures are the best of
// the rounds: what the code needs when nothing else gets in its way.
#include "engine/model/file.h"
#include "engine/text/tokenizer.h"
#include "tools/bench/bench.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DOCUMENT_BYTES 1000
#define TEXT_BYTES     1000000
#define TEXT_BYTES_MAX (64u << 20)

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static uint32_t next_random(uint32_t *state, uint32_t n)
{
    *state = *state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(*state >> 8) * n >> 24);
}

// Syllables by a skewed draw, so that common words recur; some of the text is digits, punctuation, line breaks, other
// scripts.
static int make_text(struct strbuf *text)
{
    static const char *const syllables[] = { "the", "in", "er", "on", "and", "re",  "at",  "is",  "to",  "of",  "ing",
                                             "ta",  "lo", "me", "nu", "ver", "com", "pro", "ble", "str", "qui", "zo" };
    static const char *const others[] = {
        ".\n\n", ", ", "; ", " (x) ", " 12", " 2024", " = ", "é", " мир", "世界", "'s"
    };
    uint32_t state = 1, n_syllables = sizeof syllables / sizeof *syllables, n_others = sizeof others / sizeof *others;
    while (text->len < TEXT_BYTES && !text->error) {
        strbuf_append_byte(text, ' ');
        for (uint32_t n = 1 + next_random(&state, 3); n > 0; n--) {
            uint32_t a = next_random(&state, n_syllables), b = next_random(&state, n_syllables);
            strbuf_append(text, str_from(syllables[a < b ? a : b]));
        }
        if (next_random(&state, 6) == 0) {
            strbuf_append(text, str_from(others[next_random(&state, n_others)]));
        }
    }
    return text->error;
}

static int read_text(const char *path, struct strbuf *text, struct err *err)
{
    int rc = file_read_path(path, TEXT_BYTES_MAX, text, err);
    return rc == 0 && text->len < DOCUMENT_BYTES ? err_set(err, -EINVAL, "%s: shorter than 1 KB", path) : rc;
}

// Length of a document that begins at `at`: about n bytes, to the end of a character.
static size_t document_len(struct str text, size_t at, size_t n)
{
    size_t end = at + n < text.len ? at + n : text.len;
    while (end < text.len && ((uint8_t)text.ptr[end] & 0xc0) == 0x80) {
        end++;
    }
    return end - at;
}

static int encode_documents(const struct tokenizer *tok, struct str text, size_t n, struct token_ids *ids,
                            double *ret_seconds, size_t *ret_n, struct err *err)
{
    double start = now();
    *ret_n = 0;
    for (size_t at = 0, len; at < text.len; at += len, ++*ret_n) {
        len = document_len(text, at, n);
        ids->len = 0;
        int rc = tokenizer_encode(tok, (struct str){ text.ptr + at, len }, 0, ids, err);
        if (rc < 0) {
            return rc;
        }
    }
    *ret_seconds = now() - start;
    return 0;
}

struct best {
    double load, small, large, decode;
    size_t n_ids, n_documents;
};

static void keep_best(double *best, double seconds)
{
    *best = *best == 0 || seconds < *best ? seconds : *best;
}

static int run_round(const char *model, struct str text, struct best *best, struct err *err)
{
    struct tokenizer *tok = NULL;
    struct token_ids ids = { 0 };
    struct strbuf out = { 0 };
    double seconds = 0, start = now();
    size_t n = 0;
    int rc = tokenizer_open(model, &tok, err);
    keep_best(&best->load, now() - start);
    for (int pass = 0; pass < 2 && rc == 0; pass++) { // a server's tokenizer has seen other documents before
        rc = encode_documents(tok, text, DOCUMENT_BYTES, &ids, &seconds, &best->n_documents, err);
        keep_best(&best->small, seconds);
    }
    rc = rc < 0 ? rc : encode_documents(tok, text, text.len, &ids, &seconds, &n, err);
    keep_best(&best->large, seconds);
    start = now();
    if (rc == 0 && tokenizer_decode(tok, ids.ids, ids.len, false, &out) < 0) {
        rc = err_set(err, -ENOMEM, "no memory to decode %zu ids", ids.len);
    }
    keep_best(&best->decode, now() - start);
    best->n_ids = ids.len;
    token_ids_deinit(&ids);
    strbuf_deinit(&out);
    tokenizer_free(tok);
    return rc;
}

int bench_tokenize(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct bench_model model;
    struct best best = { 0 };
    struct strbuf text;
    strbuf_init(&text, TEXT_BYTES_MAX);
    int rc = options->text ? read_text(options->text, &text, err) : make_text(&text);
    rc = rc < 0 ? rc : bench_model_prepare(options, &model, err);
    if (rc < 0) {
        strbuf_deinit(&text);
        return rc;
    }
    for (unsigned i = 0; i < options->n_rounds && rc == 0; i++) {
        rc = run_round(model.dir, strbuf_str(&text), &best, err);
    }
    bench_model_remove(&model);
    if (rc == 0) {
        double bytes = (double)text.len;
        snprintf(report->model, sizeof(report->model), "%s", options->model ? options->model : options->shape);
        snprintf(report->backend, sizeof(report->backend), "one thread");
        bench_report_add(report, "load_ms", best.load * 1e3, "ms");
        bench_report_add(report, "tokenize_1kb_us", best.small * 1e6 / (double)best.n_documents, "us");
        bench_report_add(report, "tokenize_1kb_bytes_per_s", bytes / best.small, "bytes/s");
        bench_report_add(report, "tokenize_bytes_per_s", bytes / best.large, "bytes/s");
        bench_report_add(report, "detokenize_tokens_per_s", (double)best.n_ids / best.decode, "tokens/s");
        bench_report_add(report, "bytes_per_token", bytes / (double)best.n_ids, "bytes");
    }
    strbuf_deinit(&text);
    return rc;
}
