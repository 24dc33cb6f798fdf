// The thread and the loop share `struct question`; who leaves last frees it. The loop hears of the answer by an
// eventfd.
#include "tools/kv/lookup.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define HOST_MAX 256

struct question {
    atomic_uint n_users;
    int fd;
    char host[HOST_MAX];
    // The thread's until is_answered:
    char address[HOST_MAX];
    int error; // of getaddrinfo
    atomic_bool is_answered;
};

struct lookup {
    struct loop_op op;
    struct loop *loop;
    struct question *question;
    void (*done)(void *ctx, const char *address, const char *why); // NULL: nobody waits any more
    void *ctx;
};

static void question_unref(struct question *question)
{
    if (atomic_fetch_sub(&question->n_users, 1) == 1) {
        close(question->fd);
        free(question);
    }
}

static void *ask(void *arg)
{
    struct question *question = arg;
    struct addrinfo *list = NULL, hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    question->error = getaddrinfo(question->host, NULL, &hints, &list);
    if (question->error == 0) {
        question->error = getnameinfo(list->ai_addr, list->ai_addrlen, question->address, sizeof(question->address),
                                      NULL, 0, NI_NUMERICHOST);
        freeaddrinfo(list);
    }
    atomic_store(&question->is_answered, true);
    eventfd_write(question->fd, 1); // which cannot fail: the counter is far from full
    question_unref(question);
    return NULL;
}

static void answered(struct loop_op *op, int res)
{
    struct lookup *lookup = (struct lookup *)op;
    struct question *question = lookup->question;
    if (lookup->done) {
        bool is_answered = atomic_load(&question->is_answered);
        bool is_good = is_answered && question->error == 0;
        lookup->done(lookup->ctx, is_good ? question->address : NULL,
                     is_answered ? gai_strerror(question->error) : strerror(-res));
    }
    question_unref(question);
    free(lookup);
}

static int begin(struct question *question)
{
    pthread_attr_t attr;
    pthread_t thread;
    struct in6_addr bytes;
    if (inet_pton(AF_INET, question->host, &bytes) == 1 || inet_pton(AF_INET6, question->host, &bytes) == 1) {
        snprintf(question->address, sizeof(question->address), "%s", question->host);
        atomic_store(&question->is_answered, true);
        return eventfd_write(question->fd, 1) < 0 ? -errno : 0;
    }
    int r = pthread_attr_init(&attr);
    if (r == 0) {
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        atomic_fetch_add(&question->n_users, 1);
        r = pthread_create(&thread, &attr, ask, question);
        if (r != 0) {
            atomic_fetch_sub(&question->n_users, 1);
        }
        pthread_attr_destroy(&attr);
    }
    return -r;
}

static struct question *question_new(const char *host)
{
    struct question *question = calloc(1, sizeof(*question));
    if (question) {
        atomic_init(&question->n_users, 1);
        snprintf(question->host, sizeof(question->host), "%s", host);
        question->fd = eventfd(0, EFD_CLOEXEC);
    }
    return question;
}

int lookup_start(struct loop *loop, const char *host, void (*done)(void *ctx, const char *address, const char *why),
                 void *ctx, struct lookup **ret)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    struct question *question = question_new(host);
    int r = !lookup || !question ? -ENOMEM : question->fd < 0 ? -errno : begin(question);
    if (r < 0) {
        if (question) {
            question_unref(question);
        }
        free(lookup);
        return r;
    }
    *lookup = (struct lookup){ .loop = loop, .question = question, .done = done, .ctx = ctx };
    lookup->op.done = answered;
    loop_poll(loop, &lookup->op, question->fd, POLLIN);
    *ret = lookup;
    return 0;
}

void lookup_cancel(struct lookup *lookup)
{
    lookup->done = NULL;
    loop_cancel(lookup->loop, &lookup->op);
}
