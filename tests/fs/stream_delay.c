// How long a token takes from the engine to a blocked reader's return from read(2): one reader thread per session on a
// mount of the null model, which answers with the times at which it sampled.
//
//     tokfs-fake x MOUNT && stream-delay MOUNT [READERS [TOKENS]]
//
// Prints a line: readers, tokens, p50, p99 and maximum in microseconds. Exit status 1 when p99 is above LIMIT_US
// (environment).
#include "engine/base/loop.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct reader {
    pthread_t thread;
    const char *mount;
    int idx, n_tokens;
    uint64_t *delays; // [n_tokens] ns
    int n;
};

static int write_input(const struct reader *r)
{
    char path[4200], text[64];
    snprintf(path, sizeof(path), "%s/sessions/delay%d", r->mount, r->idx);
    rmdir(path);
    if (mkdir(path, 0700) < 0) {
        return -errno;
    }
    snprintf(path, sizeof(path), "%s/sessions/delay%d/input", r->mount, r->idx);
    int fd = open(path, O_WRONLY);
    int len = snprintf(text, sizeof(text), "stamp %d\n", r->n_tokens);
    if (fd < 0 || write(fd, text, (size_t)len) != len) {
        return -errno;
    }
    return close(fd) < 0 ? -errno : 0;
}

static void *read_stream(void *ctx)
{
    struct reader *r = ctx;
    char path[4200], text[65536];
    snprintf(path, sizeof(path), "%s/sessions/delay%d/output", r->mount, r->idx);
    int fd = open(path, O_RDONLY);
    ssize_t n;
    while (fd >= 0 && (n = read(fd, text, sizeof(text) - 1)) > 0) {
        uint64_t now = clock_monotonic_ns();
        text[n] = 0;
        for (char *at = text, *end; r->n < r->n_tokens; at = end + 1) {
            uint64_t sampled = strtoull(at, &end, 10);
            if (end == at) {
                break;
            }
            r->delays[r->n++] = now - sampled;
        }
    }
    close(fd);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int start(struct reader *r)
{
    r->delays = calloc((size_t)r->n_tokens, sizeof(uint64_t));
    int code = r->delays ? write_input(r) : -ENOMEM;
    return code < 0 ? code : -pthread_create(&r->thread, NULL, read_stream, r);
}

int main(int argc, char **argv)
{
    int n_readers = argc > 2 ? atoi(argv[2]) : 64, n_tokens = argc > 3 ? atoi(argv[3]) : 200;
    const char *limit = getenv("LIMIT_US");
    if (argc < 2 || n_readers < 1 || n_tokens < 1) {
        fprintf(stderr, "usage: stream-delay MOUNT [READERS [TOKENS]]\n");
        return 2;
    }
    struct reader *readers = calloc((size_t)n_readers, sizeof(*readers));
    uint64_t *delays = calloc((size_t)n_readers * (size_t)n_tokens, sizeof(*delays));
    size_t n = 0;
    for (int i = 0; i < n_readers; i++) {
        readers[i] = (struct reader){ .mount = argv[1], .idx = i, .n_tokens = n_tokens };
        int r = start(&readers[i]);
        if (r < 0) {
            fprintf(stderr, "stream-delay: reader %d: %s\n", i, strerror(-r));
            return 2;
        }
    }
    for (int i = 0; i < n_readers; i++) {
        pthread_join(readers[i].thread, NULL);
        memcpy(delays + n, readers[i].delays, (size_t)readers[i].n * sizeof(*delays));
        n += (size_t)readers[i].n;
        free(readers[i].delays);
    }
    if (n == 0) {
        fprintf(stderr, "stream-delay: no token came\n");
        return 2;
    }
    qsort(delays, n, sizeof(*delays), compare);
    uint64_t p99 = delays[n * 99 / 100] / 1000;
    printf("readers %d tokens %zu p50_us %" PRIu64 " p99_us %" PRIu64 " max_us %" PRIu64 "\n", n_readers, n,
           delays[n / 2] / 1000, p99, delays[n - 1] / 1000);
    free(delays);
    free(readers);
    return limit && p99 > strtoull(limit, NULL, 10);
}
