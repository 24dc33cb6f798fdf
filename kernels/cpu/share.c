// The rule is pure; only share_read_clock looks at the machine.
#include "kernels/cpu/share.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MILLISECOND     UINT64_C(1000000)
#define PATIENCE_MIN_NS (500 * MILLISECOND)
#define PATIENCE_MAX_NS (4000 * MILLISECOND) // one of forty windows is lost to trying

// Waiting that makes a worker stay away, and that lets another one try, in percent of one processor.
#define CROWDED 60
#define QUIET   25

void share_init(struct share *s, size_t n_max)
{
    *s = (struct share){ .n_max = n_max, .n = n_max, .patience_ns = PATIENCE_MIN_NS };
}

static void shrink(struct share *s, uint64_t percent)
{
    size_t n_less = (size_t)(percent + 100 - CROWDED) / 100;
    s->n = s->n > n_less ? s->n - n_less : 1;
    // What was tried in vain is tried again later and later.
    s->patience_ns = !s->is_trying                          ? PATIENCE_MIN_NS
                     : 2 * s->patience_ns < PATIENCE_MAX_NS ? 2 * s->patience_ns
                                                            : PATIENCE_MAX_NS;
    s->is_trying = false;
    s->quiet_ns = 0;
}

size_t share_next(struct share *s, uint64_t window_ns, uint64_t waited_ns)
{
    uint64_t percent = window_ns > 0 ? waited_ns * 100 / window_ns : 0;
    if (percent >= CROWDED && s->n > 1) {
        shrink(s, percent);
        return s->n;
    }
    s->quiet_ns = percent < QUIET ? s->quiet_ns + window_ns : 0;
    if (s->quiet_ns > 0 && s->is_trying) { // there was room
        s->is_trying = false;
        s->patience_ns = PATIENCE_MIN_NS;
    }
    if (s->n < s->n_max && s->quiet_ns >= s->patience_ns) {
        s->n++;
        s->is_trying = true;
        s->quiet_ns = 0;
    }
    return s->n;
}

bool share_read_clock(int tid, struct share_clock *ret)
{
    char path[64], text[96], *end;
    snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0) {
        close(fd);
    }
    if (n <= 0) {
        return false;
    }
    text[n] = 0;
    ret->run_ns = strtoull(text, &end, 10);
    ret->wait_ns = strtoull(end, NULL, 10);
    return ret->run_ns > 0;
}
