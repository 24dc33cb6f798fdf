// The model is opened as at the start, from what the caller said then. Files that have changed since would give other
// answers under the same name: they are refused.
#include "engine/serve/recover.h"

#include "engine/base/log.h"
#include "engine/base/loop.h"
#include "engine/serve/runner_plan.h"
#include "engine/serve/runner_recover.h"
#include <errno.h>

#define RETRY_NS 1000000000

bool engine_is_down(const struct tokfs_engine *engine)
{
    return engine->runner.failure.code != 0;
}

static void close_device(struct tokfs_engine *e)
{
    model_free(e->model);
    e->model = NULL;
    if (e->backend) {
        e->backend->ops->close(e->backend);
        e->backend = NULL;
    }
}

static int check_weights(const struct tokfs_engine *e, struct err *err)
{
    if (model_weights_hash(e->model) == e->info.weights_hash) {
        return 0;
    }
    return err_set(err, -EIO, "%s: the files are not those that were loaded at the start", e->reopening.model);
}

static int open_device(struct tokfs_engine *e, struct err *err)
{
    int rc = engine_open_model(e, &e->reopening, NULL, err);
    rc = rc == 0 ? check_weights(e, err) : rc;
    rc = rc == 0 ? runner_renew_device(&e->runner, e->backend, e->model, err) : rc;
    if (rc < 0) {
        close_device(e);
    }
    return rc;
}

// The device that failed, once.
static void give_up_device(struct tokfs_engine *e)
{
    log_error("the device failed: %s; it is taken anew", e->runner.failure.msg);
    runner_drop_device(&e->runner);
    close_device(e);
    e->retry_ns = 0;
}

static bool fail_all(struct tokfs_engine *e)
{
    struct err why;
    err_set(&why, -EIO, "the device failed and could not be taken anew: %s", e->reopen_error.msg);
    return runner_fail_all(&e->runner, &why);
}

bool engine_recover(struct tokfs_engine *e)
{
    if (e->backend) {
        give_up_device(e);
    }
    runner_flush(&e->runner);
    if (runner_is_idle(&e->runner)) {
        return false;
    }
    uint64_t now_ns = clock_monotonic_ns();
    if (now_ns >= e->retry_ns && !atomic_load(&e->is_closing)) {
        if (open_device(e, &e->reopen_error) == 0) {
            log_warn("the device is there again");
            return true;
        }
        log_error("the device cannot be taken anew: %s", e->reopen_error.msg);
        e->retry_ns = now_ns + RETRY_NS;
    }
    return fail_all(e);
}
