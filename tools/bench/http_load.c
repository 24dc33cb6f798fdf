// libcurl's sockets are waited for by epoll; one timer is its own, the other the next arrival.
#include "tools/bench/http_load.h"
#include "engine/base/loop.h"
#include <curl/curl.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX 256

struct series {
    double *values;
    size_t n, size;
};

struct client {
    struct run *run;
    CURL *easy;
    uint64_t due_ns, first_ns, last_ns; // of the request in hand
    bool is_busy;
};

struct run {
    const struct http_load *load;
    struct http_times *times;
    CURLM *multi;
    struct curl_slist *headers;
    struct client *clients;
    int epoll_fd;
    uint64_t begin_ns, end_ns, next_due_ns, curl_due_ns;
    uint64_t random;
    size_t n_busy;
    struct series first, total, between, delay;
};

static void series_add(struct series *series, double value)
{
    if (series->n == series->size) {
        series->size = series->size ? 2 * series->size : 1024;
        series->values = realloc(series->values, series->size * sizeof(*series->values));
        if (!series->values) {
            abort();
        }
    }
    series->values[series->n++] = value;
}

// ---- answers -------------------------------------------------------------------------------------------------------

// Takes the events of a piece of a stream. Where "data: " is cut between two pieces it is counted with the second.
static void take_events(struct client *client, const char *bytes, size_t len, uint64_t now)
{
    static const char mark[] = "data: {", key[] = "\"sampled_ns\":";
    struct run *run = client->run;
    const char *end = bytes + len;
    for (const char *p = bytes; (p = memmem(p, (size_t)(end - p), mark, sizeof(mark) - 1)); p += sizeof(mark) - 1) {
        run->times->n_events++;
        if (client->last_ns) {
            series_add(&run->between, (double)(now - client->last_ns) * 1e-6);
        }
        client->last_ns = now;
    }
    for (const char *p = bytes; (p = memmem(p, (size_t)(end - p), key, sizeof(key) - 1));) {
        p += sizeof(key) - 1;
        uint64_t sampled_ns = end - p > 20 ? strtoull(p, NULL, 10) : 0;
        if (sampled_ns > 0 && sampled_ns < now) {
            series_add(&run->delay, (double)(now - sampled_ns) * 1e-3);
        }
    }
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *ctx)
{
    struct client *client = ctx;
    uint64_t now = clock_monotonic_ns();
    if (client->first_ns == 0) {
        client->first_ns = now;
    }
    if (client->run->load->is_stream) {
        take_events(client, bytes, size * n, now);
    }
    return size * n;
}

static void note_failure(struct run *run, CURLcode code, long status)
{
    if (run->times->n_failed++ == 0) {
        snprintf(run->times->failure, sizeof(run->times->failure), "%s (status %ld)", curl_easy_strerror(code), status);
    }
}

// ---- requests ------------------------------------------------------------------------------------------------------

static void start(struct run *run, struct client *client, uint64_t due_ns)
{
    client->is_busy = true;
    client->due_ns = due_ns;
    client->first_ns = client->last_ns = 0;
    run->n_busy++;
    curl_multi_add_handle(run->multi, client->easy);
}

// Exponential gaps, from a generator of 64 bits (Knuth's constants).
static uint64_t gap_ns(struct run *run)
{
    run->random = run->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    double u = ((double)(run->random >> 11) + 0.5) / 9007199254740992.0;
    return (uint64_t)(-log(u) / run->load->rate * 1e9);
}

static struct client *find_free(struct run *run)
{
    for (unsigned i = 0; i < run->load->n_clients; i++) {
        if (!run->clients[i].is_busy) {
            return &run->clients[i];
        }
    }
    return NULL;
}

// Those that are due, and as many as there are connections for.
static void start_due(struct run *run, uint64_t now)
{
    struct client *client;
    while (run->load->rate > 0 && run->next_due_ns <= now && run->next_due_ns < run->end_ns &&
           (client = find_free(run))) {
        start(run, client, run->next_due_ns);
        run->next_due_ns += gap_ns(run);
    }
}

static void take_ended(struct run *run)
{
    CURLMsg *msg;
    int n_left;
    while ((msg = curl_multi_info_read(run->multi, &n_left))) {
        struct client *client = NULL;
        long status = 0;
        CURLcode code = msg->data.result;
        CURL *easy = msg->easy_handle;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&client);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        curl_multi_remove_handle(run->multi, easy);
        uint64_t now = clock_monotonic_ns();
        client->is_busy = false;
        run->n_busy--;
        if (code == CURLE_OK && status == 200) {
            series_add(&run->first, (double)(client->first_ns - client->due_ns) * 1e-6);
            series_add(&run->total, (double)(now - client->due_ns) * 1e-6);
        } else {
            note_failure(run, code, status);
        }
        if (run->load->rate <= 0 && now < run->end_ns) {
            start(run, client, now);
        }
    }
}

// ---- waiting -------------------------------------------------------------------------------------------------------

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
    struct run *run = ctx;
    struct epoll_event event = { .data.fd = fd };
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(run->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) | (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    epoll_ctl(run->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    curl_multi_assign(run->multi, fd, run);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    struct run *run = ctx;
    (void)multi;
    run->curl_due_ns = timeout_ms < 0 ? UINT64_MAX : clock_monotonic_ns() + (uint64_t)timeout_ms * 1000000u;
    return 0;
}

static int wait_ms(const struct run *run, uint64_t now)
{
    uint64_t due = run->curl_due_ns;
    if (run->load->rate > 0 && run->next_due_ns < run->end_ns && run->n_busy < run->load->n_clients) {
        due = run->next_due_ns < due ? run->next_due_ns : due;
    }
    return due <= now ? 0 : due - now > 1000000000u ? 1000 : (int)((due - now) / 1000000u) + 1;
}

static void turn(struct run *run)
{
    struct epoll_event events[EVENTS_MAX];
    int n_running, n = epoll_wait(run->epoll_fd, events, EVENTS_MAX, wait_ms(run, clock_monotonic_ns()));
    for (int i = 0; i < n; i++) {
        int flags = (events[i].events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
                    (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                    (events[i].events & EPOLLERR ? CURL_CSELECT_ERR : 0);
        curl_multi_socket_action(run->multi, events[i].data.fd, flags, &n_running);
    }
    if (run->curl_due_ns <= clock_monotonic_ns()) {
        run->curl_due_ns = UINT64_MAX;
        curl_multi_socket_action(run->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
    }
    take_ended(run);
    start_due(run, clock_monotonic_ns());
}

// ---- a run ---------------------------------------------------------------------------------------------------------

static int make_client(struct run *run, struct client *client)
{
    const struct http_load *load = run->load;
    client->run = run;
    client->easy = curl_easy_init();
    if (!client->easy) {
        return -ENOMEM;
    }
    curl_easy_setopt(client->easy, CURLOPT_URL, load->url);
    curl_easy_setopt(client->easy, CURLOPT_UNIX_SOCKET_PATH, load->unix_path);
    curl_easy_setopt(client->easy, CURLOPT_POSTFIELDS, load->body);
    curl_easy_setopt(client->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(load->body));
    curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER, run->headers);
    curl_easy_setopt(client->easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(client->easy, CURLOPT_WRITEDATA, client);
    curl_easy_setopt(client->easy, CURLOPT_PRIVATE, client);
    curl_easy_setopt(client->easy, CURLOPT_NOSIGNAL, 1L);
    return 0;
}

static int make(struct run *run)
{
    run->multi = curl_multi_init();
    run->headers = curl_slist_append(NULL, "Content-Type: application/json");
    run->clients = calloc(run->load->n_clients, sizeof(*run->clients));
    run->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!run->multi || !run->headers || !run->clients || run->epoll_fd < 0) {
        return -ENOMEM;
    }
    curl_multi_setopt(run->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(run->multi, CURLMOPT_SOCKETDATA, run);
    curl_multi_setopt(run->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(run->multi, CURLMOPT_TIMERDATA, run);
    curl_multi_setopt(run->multi, CURLMOPT_MAXCONNECTS, (long)run->load->n_clients);
    int rc = 0;
    for (unsigned i = 0; i < run->load->n_clients && rc == 0; i++) {
        rc = make_client(run, &run->clients[i]);
    }
    return rc;
}

static void unmake(struct run *run)
{
    for (unsigned i = 0; run->clients && i < run->load->n_clients; i++) {
        if (run->clients[i].is_busy) {
            curl_multi_remove_handle(run->multi, run->clients[i].easy);
        }
        curl_easy_cleanup(run->clients[i].easy);
    }
    curl_multi_cleanup(run->multi);
    curl_slist_free_all(run->headers);
    free(run->clients);
    if (run->epoll_fd >= 0) {
        close(run->epoll_fd);
    }
}

int http_load_run(const struct http_load *load, struct http_times *ret, struct err *err)
{
    struct run run = { .load = load, .times = ret, .curl_due_ns = UINT64_MAX, .random = load->seed };
    *ret = (struct http_times){ 0 };
    int rc = make(&run);
    if (rc < 0) {
        unmake(&run);
        return err_set(err, rc, "out of memory for %u connections", load->n_clients);
    }
    run.begin_ns = clock_monotonic_ns();
    run.end_ns = run.begin_ns + (uint64_t)(load->seconds * 1e9);
    run.next_due_ns = run.begin_ns + (load->rate > 0 ? gap_ns(&run) : 0);
    for (unsigned i = 0; load->rate <= 0 && i < load->n_clients; i++) {
        start(&run, &run.clients[i], run.begin_ns);
    }
    while (run.n_busy > 0 || (load->rate > 0 && run.next_due_ns < run.end_ns)) {
        turn(&run);
    }
    ret->seconds = (double)(clock_monotonic_ns() - run.begin_ns) * 1e-9;
    ret->first_ms = run.first.values;
    ret->total_ms = run.total.values;
    ret->between_ms = run.between.values;
    ret->delay_us = run.delay.values;
    ret->n = run.first.n;
    ret->n_between = run.between.n;
    ret->n_delay = run.delay.n;
    unmake(&run);
    return 0;
}

void http_times_free(struct http_times *times)
{
    free(times->first_ms);
    free(times->total_ms);
    free(times->between_ms);
    free(times->delay_us);
}
