// The ring has one giver and several takers. tail is the giver's; head is moved by whoever takes; a place is free again
// when its taker has sent what was in it, which may be later than that of a place behind it.
//
//   free --give (tail moves)--> waiting --take (head moves)--> being sent --> free
//
// 1. is_full is set by the giver before tail moves, and cleared by the taker after the reply was sent.
// 2. n_idle counts the threads that sleep or are about to; whoever wakes one lowers it and posts once, so that there
// are
//    as many posts as threads that were counted.
#include "fs/reply_crew.h"
#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 3
#define N_REPLIES   256  // a power of two
#define REPLY_BYTES 1008 // with its header
#define CALL_AT     3    // so many replies wait: somebody is woken

struct reply {
    atomic_bool is_full;
    uint32_t len;
    char bytes[REPLY_BYTES];
};

struct reply_crew {
    int fd;
    unsigned n_threads;
    pthread_t threads[THREADS_MAX];
    sem_t calls;
    atomic_uint n_idle;
    atomic_bool is_ending;
    _Alignas(64) atomic_uint head;
    _Alignas(64) atomic_uint tail;
    _Alignas(64) struct reply replies[N_REPLIES];
};

static unsigned n_waiting(const struct reply_crew *crew)
{
    return atomic_load(&crew->tail) - atomic_load(&crew->head);
}

static void call_one(struct reply_crew *crew)
{
    unsigned n = atomic_load(&crew->n_idle);
    while (n > 0 && !atomic_compare_exchange_weak(&crew->n_idle, &n, n - 1)) {
    }
    if (n > 0) {
        sem_post(&crew->calls);
    }
}

static bool send_one(struct reply_crew *crew)
{
    unsigned head = atomic_load(&crew->head);
    do {
        if (head == atomic_load(&crew->tail)) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&crew->head, &head, head + 1));
    struct reply *reply = &crew->replies[head % N_REPLIES];
    ssize_t n = write(crew->fd, reply->bytes, reply->len);
    (void)n;
    atomic_store(&reply->is_full, false);
    return true;
}

static void *run(void *arg)
{
    struct reply_crew *crew = arg;
    pthread_setname_np(pthread_self(), "tokfs-reply");
    while (!atomic_load(&crew->is_ending)) {
        if (n_waiting(crew) >= CALL_AT) {
            call_one(crew);
        }
        while (send_one(crew)) {
        }
        atomic_fetch_add(&crew->n_idle, 1);
        while (sem_wait(&crew->calls) < 0) {
        }
    }
    return NULL;
}

static unsigned n_useful(void)
{
    cpu_set_t allowed;
    int n = sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? CPU_COUNT(&allowed) - 1 : 0;
    return n < THREADS_MAX ? (unsigned)n : THREADS_MAX;
}

int reply_crew_new(int fd, struct reply_crew **ret)
{
    struct reply_crew *crew = aligned_alloc(64, sizeof(*crew));
    if (!crew) {
        return -ENOMEM;
    }
    memset(crew, 0, sizeof(*crew));
    crew->fd = fd;
    sem_init(&crew->calls, 0, 0);
    unsigned n_wanted = n_useful();
    while (crew->n_threads < n_wanted && pthread_create(&crew->threads[crew->n_threads], NULL, run, crew) == 0) {
        crew->n_threads++;
    }
    *ret = crew;
    return 0;
}

void reply_crew_free(struct reply_crew *crew)
{
    if (!crew) {
        return;
    }
    reply_crew_help(crew, 0);
    atomic_store(&crew->is_ending, true);
    for (unsigned i = 0; i < crew->n_threads; i++) {
        sem_post(&crew->calls);
    }
    for (unsigned i = 0; i < crew->n_threads; i++) {
        pthread_join(crew->threads[i], NULL);
    }
    sem_destroy(&crew->calls);
    free(crew);
}

// Takes the message if it is a reply and there is room for it.
static bool give(struct reply_crew *crew, const struct iovec *iov, int n_iov)
{
    const struct fuse_out_header *head = iov[0].iov_base;
    unsigned tail = atomic_load(&crew->tail);
    struct reply *reply = &crew->replies[tail % N_REPLIES];
    if (crew->n_threads == 0 || head->unique == 0 || head->len > REPLY_BYTES || atomic_load(&reply->is_full)) {
        return false;
    }
    reply->len = 0;
    for (int i = 0; i < n_iov; i++) {
        memcpy(reply->bytes + reply->len, iov[i].iov_base, iov[i].iov_len);
        reply->len += (uint32_t)iov[i].iov_len;
    }
    atomic_store(&reply->is_full, true);
    atomic_store(&crew->tail, tail + 1);
    if (n_waiting(crew) >= CALL_AT) {
        call_one(crew);
    }
    return true;
}

ssize_t reply_crew_writev(struct reply_crew *crew, const struct iovec *iov, int n_iov)
{
    return give(crew, iov, n_iov) ? (ssize_t)((const struct fuse_out_header *)iov[0].iov_base)->len
                                  : writev(crew->fd, iov, n_iov);
}

void reply_crew_help(struct reply_crew *crew, unsigned n_left)
{
    while (n_waiting(crew) > n_left && send_one(crew)) {
    }
}
