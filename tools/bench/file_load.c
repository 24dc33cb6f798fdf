#include "tools/bench/file_load.h"
#include "engine/base/loop.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES (256u << 10) // there may be a thousand
#define READ_BYTES  32768

struct run {
    const struct load *load;
    pthread_mutex_t lock;
    struct arrivals arrivals; // under the lock
};

struct client {
    pthread_t thread;
    struct run *run;
    struct answer answer;
    struct load_times times;
};

// False: there is none any more.
static bool next_due(struct run *run, uint64_t *ret_ns)
{
    uint64_t now = clock_monotonic_ns();
    pthread_mutex_lock(&run->lock);
    bool is_open = run->load->rate > 0;
    bool is_over = is_open ? arrivals_is_over(&run->arrivals) : now >= run->arrivals.end_ns;
    *ret_ns = is_over ? 0 : is_open ? arrivals_take(&run->arrivals) : now;
    pthread_mutex_unlock(&run->lock);
    if (!is_over && *ret_ns > now) {
        struct timespec until = { (time_t)(*ret_ns / 1000000000u), (long)(*ret_ns % 1000000000u) };
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
    return !is_over;
}

static int transact(struct client *client)
{
    const struct load *load = client->run->load;
    char bytes[READ_BYTES];
    ssize_t n = -1;
    int fd = open(load->file, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && write(fd, load->body, strlen(load->body)) == (ssize_t)strlen(load->body)) {
        while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
            answer_take(&client->answer, (struct str){ bytes, (size_t)n }, clock_monotonic_ns());
        }
    }
    int rc = n < 0 ? -errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

static void *client_main(void *ctx)
{
    struct client *client = ctx;
    for (uint64_t due_ns; next_due(client->run, &due_ns);) {
        answer_begin(&client->answer, &client->times, client->run->load->is_stream, due_ns);
        int rc = transact(client);
        answer_end(&client->answer, rc < 0 ? strerror(-rc) : NULL, clock_monotonic_ns());
    }
    return NULL;
}

int file_load_run(const struct load *load, struct load_times *ret, struct err *err)
{
    struct run run = { .load = load, .lock = PTHREAD_MUTEX_INITIALIZER };
    struct client *clients = calloc(load->n_clients, sizeof(*clients));
    uint64_t begin_ns = clock_monotonic_ns();
    double begin_cpu = load_cpu_seconds();
    unsigned n = 0;
    int rc = clients ? 0 : -ENOMEM;
    pthread_attr_t attr;
    *ret = (struct load_times){ 0 };
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    arrivals_init(&run.arrivals, load, begin_ns);
    for (; rc == 0 && n < load->n_clients; n += rc == 0) {
        clients[n].run = &run;
        rc = -pthread_create(&clients[n].thread, &attr, client_main, &clients[n]);
    }
    pthread_attr_destroy(&attr);
    for (unsigned i = 0; i < n; i++) {
        pthread_join(clients[i].thread, NULL);
        load_times_add(ret, &clients[i].times);
        load_times_deinit(&clients[i].times);
    }
    free(clients);
    ret->seconds = (double)(clock_monotonic_ns() - begin_ns) * 1e-9;
    ret->cpu_seconds = load_cpu_seconds() - begin_cpu;
    return rc < 0 ? err_set(err, rc, "cannot start client thread %u: %s", n, strerror(-rc)) : 0;
}
