// libcurl's sockets are waited for by epoll; one timer is its own, the other the next arrival.
#include "tools/bench/http_load.h"
#include "engine/base/loop.h"
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX 256

struct client {
    struct run *run;
    CURL *easy;
    struct client *next_free;
    struct answer answer; // to the request in hand
    bool is_busy;
};

struct run {
    const struct load *load;
    struct load_times *times;
    CURLM *multi;
    struct curl_slist *headers;
    struct client *clients, *first_free;
    int epoll_fd;
    struct arrivals arrivals;
    uint64_t curl_due_ns;
    size_t n_busy;
};

// ---- answers -------------------------------------------------------------------------------------------------------

static size_t on_bytes(char *bytes, size_t size, size_t n, void *ctx)
{
    struct client *client = ctx;
    answer_take(&client->answer, (struct str){ bytes, size * n }, clock_monotonic_ns());
    return size * n;
}

// ---- requests ------------------------------------------------------------------------------------------------------

static void start(struct run *run, struct client *client, uint64_t due_ns)
{
    client->is_busy = true;
    answer_begin(&client->answer, run->times, run->load->is_stream, due_ns);
    run->n_busy++;
    curl_multi_add_handle(run->multi, client->easy);
}

static void set_free(struct run *run, struct client *client)
{
    client->is_busy = false;
    client->next_free = run->first_free;
    run->first_free = client;
}

// Those that are due, and as many as there are connections for.
static void start_due(struct run *run, uint64_t now)
{
    struct client *client;
    while (run->arrivals.next_ns <= now && !arrivals_is_over(&run->arrivals) && (client = run->first_free)) {
        run->first_free = client->next_free;
        start(run, client, arrivals_take(&run->arrivals));
    }
}

static void take_end(struct run *run, struct client *client, CURLcode code)
{
    char failure[128];
    long status = 0;
    uint64_t now = clock_monotonic_ns();
    curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(run->multi, client->easy);
    snprintf(failure, sizeof(failure), "%s (status %ld)", curl_easy_strerror(code), status);
    answer_end(&client->answer, code == CURLE_OK && status == 200 ? NULL : failure, now);
    run->n_busy--;
    if (run->load->rate <= 0 && now < run->arrivals.end_ns) {
        start(run, client, now);
    } else {
        set_free(run, client);
    }
}

static void take_ended(struct run *run)
{
    CURLMsg *msg;
    int n_left;
    while ((msg = curl_multi_info_read(run->multi, &n_left))) {
        struct client *client = NULL;
        CURLcode code = msg->data.result;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&client);
        take_end(run, client, code);
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

// Until what comes first; a millisecond's rounding would be seen in every figure of an open loop.
static struct timespec wait_time(const struct run *run, uint64_t now)
{
    uint64_t due = run->curl_due_ns;
    if (!arrivals_is_over(&run->arrivals) && run->first_free) {
        due = run->arrivals.next_ns < due ? run->arrivals.next_ns : due;
    }
    uint64_t ns = due <= now ? 0 : due - now > 1000000000u ? 1000000000u : due - now;
    return (struct timespec){ (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
}

static void turn(struct run *run)
{
    struct epoll_event events[EVENTS_MAX];
    struct timespec wait = wait_time(run, clock_monotonic_ns());
    int n_running, n = epoll_pwait2(run->epoll_fd, events, EVENTS_MAX, &wait, NULL);
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
    const struct load *load = run->load;
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

int http_load_run(const struct load *load, struct load_times *ret, struct err *err)
{
    struct run run = { .load = load, .times = ret, .curl_due_ns = UINT64_MAX };
    *ret = (struct load_times){ 0 };
    int rc = make(&run);
    if (rc < 0) {
        unmake(&run);
        return err_set(err, rc, "out of memory for %u connections", load->n_clients);
    }
    uint64_t begin_ns = clock_monotonic_ns();
    double begin_cpu = load_cpu_seconds();
    arrivals_init(&run.arrivals, load, begin_ns);
    for (unsigned i = 0; i < load->n_clients; i++) {
        if (load->rate > 0) {
            set_free(&run, &run.clients[i]);
        } else {
            start(&run, &run.clients[i], begin_ns);
        }
    }
    while (run.n_busy > 0 || !arrivals_is_over(&run.arrivals)) {
        turn(&run);
    }
    ret->seconds = (double)(clock_monotonic_ns() - begin_ns) * 1e-9;
    ret->cpu_seconds = load_cpu_seconds() - begin_cpu;
    unmake(&run);
    return 0;
}
