// Runs a fuzz target without libFuzzer:  fuzz-X [-n ITERATIONS] [-s SEED] [-i ONLY_THIS_ITERATION] [FILE...]
// or writes what libFuzzer begins with:  fuzz-X -w DIR   (DIR/seed-N for its corpus, DIR/words.dict for its -dict)
//
// Every FILE, then every built-in seed, is run as it is; then each iteration mutates one seed. An input depends on SEED
// and its iteration's number only, and a failure names both, so that `-s S -i N` shows it again. Inputs lie in heap
// blocks of exactly their size: under AddressSanitizer a read past the end is seen.
#include "tests/fuzz/fuzz.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_BYTES_MAX 65536

// Weak: there only under a sanitizer, which ends the process without a signal.
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static unsigned long long current_seed, current_iteration; // for the report of a failure

static void report(void)
{
    char line[128];
    int len = snprintf(line, sizeof(line), "fuzz: failed at -s %llu -i %llu\n", current_seed, current_iteration);
    ssize_t n = write(STDERR_FILENO, line, (size_t)len);
    (void)n;
}

static void on_signal(int signal_number)
{
    report();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void run_one(struct str input)
{
    uint8_t *copy = malloc(input.len > 0 ? input.len : 1);
    if (!copy) {
        abort();
    }
    memcpy(copy, input.ptr, input.len);
    LLVMFuzzerTestOneInput(copy, input.len);
    free(copy);
}

// ---- mutation ------------------------------------------------------------------------------------------------------

struct mutation {
    uint64_t random; // state of splitmix64
    char *text;      // [INPUT_BYTES_MAX]
    size_t len;
};

static size_t draw(struct mutation *m, size_t n)
{
    uint64_t z = m->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return n > 0 ? (size_t)((z ^ z >> 31) % n) : 0;
}

static struct str draw_from(struct mutation *m, const struct str *table)
{
    size_t n = 0;
    while (table[n].ptr) {
        n++;
    }
    return n > 0 ? table[draw(m, n)] : STR("");
}

// Replaces n_old bytes at `at` by s; does nothing when that would be too long. s may lie in the text.
static void splice(struct mutation *m, size_t at, size_t n_old, struct str s)
{
    if (m->len - n_old + s.len > INPUT_BYTES_MAX) {
        return;
    }
    char *copy = str_dup(s);
    if (!copy) {
        abort();
    }
    memmove(m->text + at + s.len, m->text + at + n_old, m->len - at - n_old);
    memcpy(m->text + at, copy, s.len);
    m->len = m->len - n_old + s.len;
    free(copy);
}

// Another byte of the same kind: most texts stay well formed.
static char similar_byte(struct mutation *m, char c)
{
    if (c >= '0' && c <= '9') {
        return (char)('0' + draw(m, 10));
    }
    bool is_upper = c >= 'A' && c <= 'Z';
    return is_upper || (c >= 'a' && c <= 'z') ? (char)((is_upper ? 'A' : 'a') + draw(m, 26)) : c;
}

// A place between two words, where one more is likely to fit: behind a byte that is neither letter nor digit.
static size_t draw_border(struct mutation *m)
{
    size_t at = draw(m, m->len + 1);
    while (at > 0 && similar_byte(m, m->text[at - 1]) != m->text[at - 1]) {
        at--;
    }
    return at;
}

static void mutate(struct mutation *m, const struct str *seeds)
{
    static const char bytes[] = "\0\n\"\\{}[]:,-+.eE019 \x7f\x80\xbf\xc0\xc3\xe2\xed\xf0\xf4\xff";
    size_t at = draw(m, m->len + 1), n = draw(m, m->len - at + 1);
    struct str part = { m->text + at, n > 64 ? draw(m, 64) : n };
    struct str other = draw_from(m, seeds);
    char byte = bytes[draw(m, sizeof(bytes) - 1)];
    switch (draw(m, 14)) {
    case 0: splice(m, at, 0, (struct str){ &byte, 1 }); break;
    case 1: splice(m, at, at < m->len, (struct str){ &byte, 1 }); break;
    case 2: splice(m, at, part.len, STR("")); break;
    case 3: splice(m, draw(m, m->len + 1), 0, part); break;
    case 4: splice(m, at, part.len, draw_from(m, fuzz_words)); break;
    case 5: splice(m, at, n, str_skip(other, draw(m, other.len + 1))); break;
    case 6: splice(m, draw_border(m), 0, other); break;
    case 7:
    case 8:
    case 9: splice(m, draw_border(m), 0, draw_from(m, fuzz_words)); break;
    case 10:
        if (at < m->len) {
            m->text[at] ^= (char)(1 << draw(m, 8));
        }
        break;
    default:
        if (at < m->len) {
            m->text[at] = similar_byte(m, m->text[at]);
        }
    }
}

static void run_iteration(char *text)
{
    struct mutation m = { .random = current_seed * 0x9e3779b97f4a7c15u + current_iteration, .text = text };
    splice(&m, 0, 0, str_take(draw_from(&m, fuzz_seeds), INPUT_BYTES_MAX));
    for (size_t n = 1 + draw(&m, draw(&m, 10)); n > 0; n--) {
        mutate(&m, fuzz_seeds);
    }
    run_one((struct str){ m.text, m.len });
}

// ---- command line --------------------------------------------------------------------------------------------------

static int run_file(const char *path, char *text)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    size_t len = fread(text, 1, INPUT_BYTES_MAX, f);
    fclose(f);
    run_one((struct str){ text, len });
    return 0;
}

static int write_seeds(const char *dir)
{
    char path[4096];
    int rc = 0;
    for (size_t i = 0; fuzz_seeds[i].ptr && rc == 0; i++) {
        snprintf(path, sizeof path, "%s/seed-%zu", dir, i);
        FILE *f = fopen(path, "wb");
        rc = !f || fwrite(fuzz_seeds[i].ptr, 1, fuzz_seeds[i].len, f) != fuzz_seeds[i].len;
        rc |= f && fclose(f) != 0;
    }
    snprintf(path, sizeof path, "%s/words.dict", dir);
    FILE *f = rc == 0 ? fopen(path, "w") : NULL;
    for (size_t i = 0; f && fuzz_words[i].ptr; i++) {
        fputc('"', f);
        for (size_t j = 0; j < fuzz_words[i].len; j++) {
            fprintf(f, "\\x%02x", (unsigned)(uint8_t)fuzz_words[i].ptr[j]);
        }
        fputs("\"\n", f);
    }
    if (!f || fclose(f) != 0) {
        perror(path);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long long n_iterations = 0, first = 0;
    current_seed = 1;
    for (int opt; (opt = getopt(argc, argv, "n:s:i:w:")) != -1;) {
        switch (opt) {
        case 'n': n_iterations = strtoull(optarg, NULL, 10); break;
        case 's': current_seed = strtoull(optarg, NULL, 10); break;
        case 'i':
            first = strtoull(optarg, NULL, 10);
            n_iterations = first + 1;
            break;
        case 'w': return write_seeds(optarg);
        default: return 2;
        }
    }
    char *text = malloc(INPUT_BYTES_MAX);
    if (!text) {
        return 1;
    }
    signal(SIGABRT, on_signal);
    signal(SIGSEGV, on_signal);
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(report);
    }
    int rc = 0;
    for (int i = optind; i < argc; i++) {
        rc |= run_file(argv[i], text);
    }
    for (const struct str *seed = fuzz_seeds; seed->ptr; seed++) {
        run_one(*seed);
    }
    for (current_iteration = first; current_iteration < n_iterations; current_iteration++) {
        run_iteration(text);
    }
    free(text);
    return rc;
}
