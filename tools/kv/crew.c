#include "tools/kv/crew.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define THREADS_MAX 64

struct job_list {
    struct crew_job *first, **end;
};

struct crew {
    struct loop_op poll;
    struct loop *loop;
    int fd; // eventfd: something is over
    pthread_t threads[THREADS_MAX];
    unsigned n_threads, n_jobs, n_jobs_max; // n_jobs: submitted and not done; loop thread
    bool is_told_to_stop;                   // loop thread
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job_list waiting, over; // under the lock
    bool is_stopped;               // likewise
};

static void list_init(struct job_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static void list_add(struct job_list *list, struct crew_job *job)
{
    job->next = NULL;
    *list->end = job;
    list->end = &job->next;
}

static struct crew_job *list_take(struct job_list *list)
{
    struct crew_job *job = list->first;
    if (job) {
        list->first = job->next;
        list->end = list->first ? list->end : &list->first;
    }
    return job;
}

static void tell(struct crew *crew)
{
    const uint64_t one = 1;
    ssize_t n = write(crew->fd, &one, sizeof(one));
    assert(n == (ssize_t)sizeof(one));
}

static void *work(void *arg)
{
    struct crew *crew = arg;
    pthread_mutex_lock(&crew->lock);
    while (!crew->is_stopped) {
        struct crew_job *job = list_take(&crew->waiting);
        if (!job) {
            pthread_cond_wait(&crew->wake, &crew->lock);
            continue;
        }
        pthread_mutex_unlock(&crew->lock);
        job->run(job);
        pthread_mutex_lock(&crew->lock);
        list_add(&crew->over, job);
        tell(crew);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

static void finish(struct crew *crew, struct job_list *jobs)
{
    struct crew_job *job;
    while ((job = list_take(jobs))) {
        crew->n_jobs--;
        job->done(job);
    }
}

static void take_over(struct crew *crew)
{
    struct job_list jobs;
    uint64_t n;
    if (read(crew->fd, &n, sizeof(n)) < 0 && errno != EAGAIN) {
        return;
    }
    list_init(&jobs);
    pthread_mutex_lock(&crew->lock);
    for (struct crew_job *job; (job = list_take(&crew->over));) {
        list_add(&jobs, job);
    }
    pthread_mutex_unlock(&crew->lock);
    finish(crew, &jobs);
}

static void poll_done(struct loop_op *op, int res)
{
    struct crew *crew = (struct crew *)op;
    if (res == -ECANCELED || crew->is_told_to_stop) {
        return;
    }
    take_over(crew);
    if (!crew->is_told_to_stop) {
        loop_poll(crew->loop, &crew->poll, crew->fd, POLLIN);
    }
}

static int start_threads(struct crew *crew, unsigned n)
{
    sigset_t all, before;
    int r = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // signals are the program's
    while (r == 0 && crew->n_threads < n && crew->n_threads < THREADS_MAX) {
        r = -pthread_create(&crew->threads[crew->n_threads], NULL, work, crew);
        crew->n_threads += r == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return crew->n_threads > 0 ? 0 : r;
}

int crew_new(struct loop *loop, unsigned n_threads, unsigned n_jobs_max, struct crew **ret, struct err *err)
{
    struct crew *crew = calloc(1, sizeof(*crew));
    if (!crew) {
        return err_set(err, -ENOMEM, "out of memory for threads");
    }
    crew->loop = loop;
    crew->n_jobs_max = n_jobs_max;
    crew->poll.done = poll_done;
    list_init(&crew->waiting);
    list_init(&crew->over);
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->wake, NULL);
    crew->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = crew->fd < 0 ? -errno : start_threads(crew, n_threads);
    if (r < 0) {
        crew->is_told_to_stop = true;
        crew_free(crew);
        return err_set(err, r, "threads: %s", strerror(-r));
    }
    loop_poll(loop, &crew->poll, crew->fd, POLLIN);
    *ret = crew;
    return 0;
}

int crew_submit(struct crew *crew, struct crew_job *job)
{
    if (crew->n_jobs >= crew->n_jobs_max || crew->is_told_to_stop) {
        return -EAGAIN;
    }
    crew->n_jobs++;
    pthread_mutex_lock(&crew->lock);
    list_add(&crew->waiting, job);
    pthread_cond_signal(&crew->wake);
    pthread_mutex_unlock(&crew->lock);
    return 0;
}

void crew_stop(struct crew *crew)
{
    if (!crew || crew->is_told_to_stop) {
        return;
    }
    crew->is_told_to_stop = true;
    pthread_mutex_lock(&crew->lock);
    crew->is_stopped = true;
    pthread_cond_broadcast(&crew->wake);
    pthread_mutex_unlock(&crew->lock);
    for (unsigned i = 0; i < crew->n_threads; i++) {
        pthread_join(crew->threads[i], NULL);
    }
    finish(crew, &crew->over);
    finish(crew, &crew->waiting);
    loop_cancel(crew->loop, &crew->poll);
}

void crew_free(struct crew *crew)
{
    if (!crew) {
        return;
    }
    assert(crew->is_told_to_stop && crew->n_jobs == 0);
    if (crew->fd >= 0) {
        close(crew->fd);
    }
    pthread_cond_destroy(&crew->wake);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}
