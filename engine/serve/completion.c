// Completions' memory, what is kept of their parameters, and the mutex-protected lists that hand them from thread to
// thread.
//
// A lock is held for a few loads and stores; the count is readable without it, for looks that need not be exact.
#include "engine/serve/completion.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void completion_drop_body(struct tokfs_completion *completion)
{
    free(completion->body);
    completion->body = NULL;
    if (completion->source.make) {
        completion->source.make = NULL;
        completion->source.release(completion->source.ctx);
    }
}

static uint32_t n_prompts_of(const struct tokfs_completion *completion)
{
    return completion->prompts ? completion->n_prompts : 1;
}

static void free_scores(struct tokfs_completion *completion)
{
    for (uint32_t i = 0; completion->scores && i < n_prompts_of(completion); i++) {
        scores_deinit(&completion->scores[i]);
    }
    free(completion->scores);
    if (completion->score_bytes > 0) {
        atomic_fetch_sub(completion->score_budget, completion->score_bytes);
    }
}

void completion_free(struct tokfs_completion *completion)
{
    if (completion) {
        completion_drop_body(completion);
        free((void *)(uintptr_t)completion->origin.ids);
        strbuf_deinit(&completion->result);
        strbuf_deinit(&completion->texts);
        free(completion->prompt);
        free(completion->prompts);
        free(completion->kept);
        free(completion->choices);
        answer_setup_free(completion->answer);
        if (completion->guide.grammar) {
            grammar_store_give(completion->grammars, completion->guide.grammar);
        }
        free_scores(completion);
        retrieval_free(completion->retrieval);
        free(completion);
    }
}

// What is kept in one block: the biases, the stop ids, then texts.
static size_t kept_bytes(const struct sampling_params *params, struct str cache_salt)
{
    size_t n = params->n_bias * sizeof(*params->bias) + params->n_stop_ids * sizeof(*params->stop_ids) +
               sizeof(uint64_t) + cache_salt.len;
    for (size_t i = 0; i < params->n_stop; i++) {
        n += params->stop[i].len;
    }
    return n;
}

static const void *keep(char **at, const void *bytes, size_t n)
{
    char *place = *at;
    if (n > 0) {
        memcpy(place, bytes, n);
    }
    *at += n;
    return place;
}

int completion_keep_sampling(struct tokfs_completion *completion, const struct sampling_params *params,
                             struct str cache_salt)
{
    char *at = malloc(kept_bytes(params, cache_salt) + 1);
    if (!at) {
        return -ENOMEM;
    }
    struct sampling_params *own = &completion->sampling;
    completion->kept = at;
    *own = *params;
    own->bias = keep(&at, params->bias, params->n_bias * sizeof(*params->bias));
    own->stop_ids = keep(&at, params->stop_ids, params->n_stop_ids * sizeof(*params->stop_ids));
    for (size_t i = 0; i < params->n_stop; i++) {
        own->stop[i].ptr = keep(&at, params->stop[i].ptr, params->stop[i].len);
    }
    size_t scope_len = completion->cache_scope ? sizeof(completion->cache_scope) : 0;
    completion->cache_salt = (struct str){ keep(&at, &completion->cache_scope, scope_len), scope_len + cache_salt.len };
    keep(&at, cache_salt.ptr, cache_salt.len);
    return 0;
}

static uint32_t limit_tokens(const struct tokfs_completion *completion, uint32_t n_prompt, uint32_t n_ctx)
{
    int64_t max_tokens = completion->sampling.max_tokens;
    return max_tokens >= 0 && max_tokens < n_ctx - n_prompt ? n_prompt + (uint32_t)max_tokens : n_ctx;
}

// The most probable tokens that anybody wants to know beside one of the prompt; -1: nobody asks.
static int64_t n_top_of_prompt(const struct tokfs_completion *c)
{
    int64_t n_top = c->n_prompt_logprobs;
    if ((c->echoes_probs || c->probs_from >= 0) && (int64_t)c->n_top_logprobs > n_top) {
        n_top = c->n_top_logprobs;
    }
    return n_top;
}

int completion_make_scores(struct tokfs_completion *completion, atomic_size_t *budget, struct err *err)
{
    int64_t n_top = n_top_of_prompt(completion);
    bool is_whole = completion->n_prompt_logprobs >= 0 || completion->echoes_probs;
    int rc = 0;
    if (n_top < 0) {
        return 0;
    }
    completion->scores = calloc(n_prompts_of(completion), sizeof(*completion->scores));
    completion->score_budget = budget;
    if (!completion->scores) {
        return err_set(err, -ENOMEM, "out of memory for a request");
    }
    for (uint32_t i = 0; i < n_prompts_of(completion) && rc == 0; i++) {
        uint32_t n = completion->prompts ? completion->prompts[i].n : completion->n_prompt;
        if (completion->probs_from > n) {
            return err_set_param(err, -EINVAL, "logprob_start_len",
                                 "logprob_start_len is %lld; the prompt has %u tokens",
                                 (long long)completion->probs_from, n);
        }
        // SGLang tells nothing of the first token that it tells of.
        int64_t first = is_whole ? 1 : completion->probs_from + 1;
        rc = scores_init(&completion->scores[i], n, first < n ? (uint32_t)first : n, (uint32_t)n_top, budget,
                         &completion->score_bytes, err);
    }
    return rc;
}

int completion_make_choices(struct tokfs_completion *completion, uint32_t n, uint32_t n_ctx)
{
    const struct prompt_place whole = { .n = completion->n_prompt };
    uint32_t n_all = n * n_prompts_of(completion);
    completion->choices = calloc(n_all, sizeof(*completion->choices));
    if (!completion->choices) {
        return -ENOMEM;
    }
    completion->n_choices = completion->n_unended = completion->n_untold = n_all;
    for (uint32_t i = 0; i < n_all; i++) {
        const struct prompt_place *place = completion->prompts ? &completion->prompts[i / n] : &whole;
        completion->choices[i] = (struct choice){
            .completion = completion,
            .index = i,
            .seed = completion->sampling.seed + i % n,
            .prompt = completion->prompt + place->first,
            .n_prompt = place->n,
            .n_known = (uint32_t)completion->origin.n_ids,
            .n_tokens_max = limit_tokens(completion, place->n, n_ctx),
            .matched_id = -1,
            .scores = completion->scores ? &completion->scores[i / n] : NULL,
            .is_scorer = completion->scores && i % n == 0,
        };
    }
    return 0;
}

const struct prompt_place *completion_prompt(const struct tokfs_completion *completion, uint32_t choice_idx)
{
    uint32_t n_each = completion->n_choices / completion->n_prompts;
    return &completion->prompts[choice_idx / n_each];
}

int64_t completion_priority(const struct tokfs_completion *completion)
{
    int64_t priority =
        atomic_load(&completion->has_priority_set) ? atomic_load(&completion->priority_set) : completion->priority;
    return priority < 0 && completion->is_modest ? 0 : priority;
}

struct tokfs_usage completion_usage(const struct tokfs_completion *completion)
{
    struct tokfs_usage all = completion->choices[0].usage;
    uint64_t last_ns = all.ttft_ns + all.decode_ns;
    uint32_t n_each = completion->n_choices / n_prompts_of(completion);
    for (uint32_t i = 1; i < completion->n_choices; i++) {
        const struct tokfs_usage *one = &completion->choices[i].usage;
        all.cached_tokens += i % n_each == 0 ? one->cached_tokens : 0; // a prompt counts once
        all.completion_tokens += one->completion_tokens;
        all.total_ns = one->total_ns > all.total_ns ? one->total_ns : all.total_ns;
        last_ns = one->ttft_ns + one->decode_ns > last_ns ? one->ttft_ns + one->decode_ns : last_ns;
        if (one->ttft_ns > 0 && (all.ttft_ns == 0 || one->ttft_ns < all.ttft_ns)) {
            all.queue_ns = one->queue_ns;
            all.prefill_ns = one->prefill_ns;
            all.ttft_ns = one->ttft_ns;
        }
    }
    all.prompt_tokens = completion->n_prompt;
    all.decode_ns = last_ns - all.ttft_ns;
    return all;
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

static void push_locked(struct completion_queue *queue, struct tokfs_completion *completion)
{
    completion->next[queue->link] = NULL;
    *queue->last = completion;
    queue->last = &completion->next[queue->link];
    atomic_fetch_add(&queue->n, 1);
    pthread_cond_signal(&queue->filled);
}

void completion_queue_push(struct completion_queue *queue, struct tokfs_completion *completion)
{
    pthread_mutex_lock(&queue->lock);
    push_locked(queue, completion);
    pthread_mutex_unlock(&queue->lock);
}

bool completion_queue_push_open(struct completion_queue *queue, struct tokfs_completion *completion)
{
    pthread_mutex_lock(&queue->lock);
    bool is_open = !queue->is_closed;
    if (is_open) {
        push_locked(queue, completion);
    }
    pthread_mutex_unlock(&queue->lock);
    return is_open;
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
