// Completions' memory, and the mutex-protected lists that hand them from thread to thread.
//
// A lock is held for a few loads and stores; the count is readable without it, for looks that need not be exact.
#include "engine/serve/completion.h"

#include <assert.h>
#include <stdlib.h>

void completion_free(struct tokfs_completion *completion)
{
    if (completion) {
        free(completion->body);
        free(completion->prompt);
        free(completion->stop_bytes);
        free(completion);
    }
}

void completion_queue_init(struct completion_queue *queue, enum completion_link link)
{
    *queue = (struct completion_queue){ .link = link };
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->filled, NULL);
    queue->last = &queue->first;
}

void completion_queue_deinit(struct completion_queue *queue)
{
    assert(!queue->first && atomic_load(&queue->n) == 0);
    pthread_cond_destroy(&queue->filled);
    pthread_mutex_destroy(&queue->lock);
}

void completion_queue_push(struct completion_queue *queue, struct tokfs_completion *completion)
{
    completion->next[queue->link] = NULL;
    pthread_mutex_lock(&queue->lock);
    *queue->last = completion;
    queue->last = &completion->next[queue->link];
    atomic_fetch_add(&queue->n, 1);
    pthread_cond_signal(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}

static struct tokfs_completion *pop_locked(struct completion_queue *queue)
{
    struct tokfs_completion *completion = queue->first;
    if (completion) {
        queue->first = completion->next[queue->link];
        queue->last = queue->first ? queue->last : &queue->first;
        atomic_fetch_sub(&queue->n, 1);
    }
    return completion;
}

struct tokfs_completion *completion_queue_pop(struct completion_queue *queue)
{
    if (atomic_load(&queue->n) == 0) {
        return NULL;
    }
    pthread_mutex_lock(&queue->lock);
    struct tokfs_completion *completion = pop_locked(queue);
    pthread_mutex_unlock(&queue->lock);
    return completion;
}

struct tokfs_completion *completion_queue_wait(struct completion_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    while (!queue->first && !queue->is_closed) {
        pthread_cond_wait(&queue->filled, &queue->lock);
    }
    struct tokfs_completion *completion = pop_locked(queue);
    pthread_mutex_unlock(&queue->lock);
    return completion;
}

void completion_queue_close(struct completion_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->is_closed = true;
    pthread_cond_broadcast(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}
