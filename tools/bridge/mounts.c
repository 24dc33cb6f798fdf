#include "tools/bridge/mounts.h"
#include "engine/base/log.h"
#include "tools/bridge/exchange.h"
#include "tools/bridge/merge.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_EVERY_NS 2000000000u
#define LIST_MAX     1048576

struct one {
    struct mounts *mounts;
    const char *path;
    char file[PATH_MAX];
    struct exchange *exchange; // being asked; NULL: not now
    struct strbuf answer;
    struct strbuf models; // their ids, each between line ends
    bool is_up;
    bool is_silent; // since the last round
};

struct mounts {
    struct loop_op timer;
    struct loop *loop;
    struct exchange_pool *files;
    void (*ready)(void *ctx);
    void *ctx;
    unsigned n;
    bool is_stopped;
    struct one each[];
};

static void remember(void *ctx, struct str id, struct str element)
{
    (void)element;
    strbuf_printf(ctx, "\n%.*s\n", STR_ARG(id));
}

static void told(void *ctx, struct str bytes)
{
    struct one *one = ctx;
    strbuf_append(&one->answer, bytes);
    exchange_go_on(one->exchange);
}

static void tell_ready(struct mounts *mounts)
{
    void (*ready)(void *) = mounts->ready;
    mounts->ready = NULL;
    if (ready) {
        ready(mounts->ctx);
    }
}

static bool owes_any(const struct mounts *mounts)
{
    bool owes = false;
    for (unsigned i = 0; i < mounts->n; i++) {
        owes |= mounts->each[i].exchange != NULL;
    }
    return owes;
}

// What is so from the beginning, whom `ready` tells says.
static void set_up(struct one *one, bool is_up)
{
    if (one->is_up != is_up && !one->mounts->ready) {
        log_info("mount %s %s", one->path, is_up ? "answers" : "does not answer");
    }
    one->is_up = is_up;
}

static void answered(void *ctx, const struct exchange_ends *ends)
{
    struct one *one = ctx;
    struct strbuf models;
    strbuf_init(&models, 0);
    one->exchange = NULL;
    one->is_silent = false;
    set_up(one, ends->open == 0 && ends->read == 0 && !one->answer.error &&
                    models_each(strbuf_str(&one->answer), remember, &models) == 0);
    if (one->is_up) {
        strbuf_deinit(&one->models);
        one->models = models;
    } else {
        strbuf_deinit(&models);
        exchange_pool_flush(one->mounts->files, one->path);
    }
    if (!owes_any(one->mounts)) {
        tell_ready(one->mounts);
    }
}

static void ask(struct one *one)
{
    struct exchange_sink sink = { .data = told, .ended = answered, .ctx = one };
    strbuf_reset(&one->answer);
    one->exchange = exchange_start(one->mounts->files, one->file, NULL, 0, 0, &sink);
    if (!one->exchange) {
        set_up(one, false);
    }
}

static void begin_round(struct mounts *mounts)
{
    for (unsigned i = 0; i < mounts->n; i++) {
        struct one *one = &mounts->each[i];
        one->is_silent = one->exchange != NULL;
        if (one->is_silent) {
            set_up(one, false);
        } else {
            ask(one);
        }
    }
    loop_timer(mounts->loop, &mounts->timer, mounts->n > 0 ? ASK_EVERY_NS : 0);
}

static void timer_done(struct loop_op *op, int res)
{
    struct mounts *mounts = (struct mounts *)op;
    if (res < 0 || mounts->is_stopped) {
        return;
    }
    tell_ready(mounts);
    if (!mounts->is_stopped && mounts->n > 0) {
        begin_round(mounts);
    }
}

int mounts_new(struct loop *loop, struct exchange_pool *files, const char *const *paths, unsigned n,
               void (*ready)(void *ctx), void *ctx, struct mounts **ret)
{
    struct mounts *mounts = calloc(1, sizeof(*mounts) + n * sizeof(mounts->each[0]));
    if (!mounts) {
        return -ENOMEM;
    }
    mounts->loop = loop;
    mounts->files = files;
    mounts->timer.done = timer_done;
    mounts->ready = ready;
    mounts->ctx = ctx;
    mounts->n = n;
    for (unsigned i = 0; i < n; i++) {
        struct one *one = &mounts->each[i];
        one->mounts = mounts;
        one->path = paths[i];
        snprintf(one->file, sizeof(one->file), "%s/v1/models", paths[i]);
        strbuf_init(&one->answer, LIST_MAX);
        strbuf_init(&one->models, 0);
    }
    *ret = mounts;
    begin_round(mounts); // `ready` is not called from here
    return 0;
}

void mounts_stop(struct mounts *mounts)
{
    mounts->is_stopped = true;
    loop_cancel(mounts->loop, &mounts->timer);
    for (unsigned i = 0; i < mounts->n; i++) {
        if (mounts->each[i].exchange) {
            exchange_cancel(mounts->each[i].exchange);
            mounts->each[i].exchange = NULL;
        }
    }
}

void mounts_free(struct mounts *mounts)
{
    for (unsigned i = 0; mounts && i < mounts->n; i++) {
        strbuf_deinit(&mounts->each[i].answer);
        strbuf_deinit(&mounts->each[i].models);
    }
    free(mounts);
}

unsigned mounts_count(const struct mounts *mounts)
{
    return mounts->n;
}

const char *mounts_path(const struct mounts *mounts, unsigned idx)
{
    return mounts->each[idx].path;
}

void mounts_model(const struct mounts *mounts, unsigned idx, char *ret, size_t size)
{
    struct str line, rest = str_skip(strbuf_str(&mounts->each[idx].models), 1);
    str_cut(rest, '\n', &line);
    snprintf(ret, size, "%.*s", STR_ARG(line));
}

bool mounts_is_up(const struct mounts *mounts, unsigned idx)
{
    return mounts->each[idx].is_up;
}

bool mounts_is_silent(const struct mounts *mounts, unsigned idx)
{
    return mounts->each[idx].is_silent;
}

// Of mounts that are up.
void mounts_each_model(const struct mounts *mounts, void (*fn)(void *ctx, const char *path, const char *model),
                       void *ctx)
{
    for (unsigned i = 0; i < mounts->n; i++) {
        struct str rest = mounts->each[i].is_up ? strbuf_str(&mounts->each[i].models) : (struct str){ 0 };
        while (rest.len > 0) {
            struct str line;
            char model[256];
            rest = str_cut(rest, '\n', &line);
            int n = snprintf(model, sizeof(model), "%.*s", STR_ARG(line));
            if (n > 0 && (size_t)n < sizeof(model)) {
                fn(ctx, mounts->each[i].path, model);
            }
        }
    }
}

static bool has_model(const struct one *one, const char *model)
{
    char line[512];
    int n = snprintf(line, sizeof(line), "\n%s\n", model);
    return n > 0 && (size_t)n < sizeof(line) && str_find(strbuf_str(&one->models), str_from(line)) >= 0;
}

int mounts_find(const struct mounts *mounts, const char *model)
{
    int some = mounts->n == 1 ? 0 : -1; // a single one is always tried: it may be back this moment
    for (unsigned i = 0; i < mounts->n; i++) {
        const struct one *one = &mounts->each[i];
        if (one->is_up && model && has_model(one, model)) {
            return (int)i;
        }
        some = some < 0 && one->is_up ? (int)i : some;
    }
    if (some < 0 || mounts->n == 1) {
        return some;
    }
    for (unsigned i = 0; model && i < mounts->n; i++) {
        if (!mounts->each[i].is_up && has_model(&mounts->each[i], model)) {
            return (int)i; // gone, but it was there that the model was: its error is the right one
        }
    }
    return some;
}

int mounts_find_next(const struct mounts *mounts, unsigned idx, const char *model)
{
    for (unsigned i = idx + 1; i < mounts->n; i++) {
        if (mounts->each[i].is_up && (!model || has_model(&mounts->each[i], model))) {
            return (int)i;
        }
    }
    return -1;
}
