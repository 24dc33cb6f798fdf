// What is lost with a device is what can be computed again: K and V. Tokens, and where each sequence stands, are the
// host's. So the sequences that run are computed anew, and their readers see a pause.
//
// One of them may be the reason of the failure, and would bring the next device down as well. Which one cannot be told,
// since a device says late, and for all its work, that it has failed: so whoever was in a second step that failed is
// ended with EIO.
#include "engine/serve/runner_recover.h"

#include "engine/serve/runner_ahead.h"
#include "engine/serve/runner_plan.h"
#include <errno.h>

#define FAULTS_MAX 1 // steps that failed with a sequence in them, and after which it is tried again

void runner_drop_device(struct runner *r)
{
    struct err err;
    runner_ahead_drop(r);
    err_set(&err, -EIO, "the device failed twice while this was computed: %s", r->failure.msg);
    for (uint32_t i = 0; i < r->n_active; i++) {
        struct sequence *seq = r->active[i];
        bool is_running = seq->state == SEQUENCE_PREFILL || seq->state == SEQUENCE_DECODE;
        sequence_drop_pages(seq);
        if (is_running && seq->n_faults > FAULTS_MAX) {
            sequence_fail(seq, &err);
        }
    }
    radix_clear(&r->radix);
    page_pool_drop_memory(&r->host_pool); // copies that were on their way have failed, too
    page_pool_drop_memory(&r->pool);
    r->backend = NULL;
    r->drive.ctx = NULL;
}

int runner_renew_device(struct runner *r, struct backend *backend, void *drive_ctx, struct err *err)
{
    int rc = page_pool_renew_memory(&r->pool, backend, err);
    if (rc == 0 && r->radix.host && (rc = page_pool_renew_memory(&r->host_pool, backend, err)) < 0) {
        page_pool_drop_memory(&r->pool);
    }
    if (rc == 0) {
        r->backend = backend;
        r->drive.ctx = drive_ctx;
        r->failure = (struct err){ 0 };
        r->stats.n_device_restarts++;
    }
    return rc;
}

bool runner_fail_all(struct runner *r, const struct err *why)
{
    for (uint32_t i = 0; i < r->n_active; i++) {
        struct sequence *seq = r->active[i];
        if (seq->state == SEQUENCE_PREFILL || seq->state == SEQUENCE_DECODE) {
            sequence_fail(seq, why);
        }
    }
    runner_flush(r);
    for (struct choice *choice = r->waiting_first, *next; choice; choice = next) {
        next = choice->next;
        struct err *failure = &choice->completion->failure;
        *failure = failure->code == 0 ? *why : *failure;
        if (!runner_end_waiting(r, choice, NULL)) {
            return false;
        }
    }
    return r->n_active == 0;
}
