// The order of admission.
//
// Two passes, because looking up a prefix costs more than looking at a queue of thousands: the first keeps a window of
// candidates without knowing what is cached, the second orders the window. A tenant's share counts what it has running
// and what stands before in its own queue: so tenants take turns however many requests one of them has sent.
#include "engine/serve/admission.h"

#include <string.h>

int64_t admission_rank(int64_t priority, uint64_t waited_ns)
{
    int64_t aged = priority - (int64_t)(waited_ns / ADMISSION_AGING_NS);
    return priority <= 0 ? priority : aged > 0 ? aged : 0;
}

// ---- what was given -----------------------------------------------------------------------------------------------

static void halve(struct admission_served *served, uint64_t now_ns)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < served->n; i++) {
        served->tenants[i].n_tokens /= 2;
        if (served->tenants[i].n_tokens > 0) {
            served->tenants[n_kept++] = served->tenants[i];
        }
    }
    served->n = n_kept;
    served->halved_ns = now_ns;
}

void admission_charge(struct admission_served *served, uint32_t tenant, uint32_t n_tokens, uint64_t now_ns)
{
    if (now_ns - served->halved_ns > ADMISSION_HALVING_NS) {
        halve(served, now_ns);
    }
    size_t i = 0;
    while (i < served->n && served->tenants[i].tenant != tenant) {
        i++;
    }
    if (i == ADMISSION_TENANTS) {
        return;
    }
    if (i == served->n) {
        served->tenants[served->n++].tenant = tenant;
        served->tenants[i].n_tokens = 0;
    }
    served->tenants[i].n_tokens += n_tokens;
}

uint64_t admission_served_tokens(const struct admission_served *served, uint32_t tenant)
{
    for (size_t i = 0; i < served->n; i++) {
        if (served->tenants[i].tenant == tenant) {
            return served->tenants[i].n_tokens;
        }
    }
    return 0;
}

// ---- the window ---------------------------------------------------------------------------------------------------

// One more of the tenant; returns how many there are.
static uint32_t count(struct admission *a, uint32_t tenant)
{
    for (size_t i = 0; i < a->n_tenants; i++) {
        if (a->tenants[i].tenant == tenant) {
            return ++a->tenants[i].n;
        }
    }
    if (a->n_tenants < ADMISSION_TENANTS) {
        a->tenants[a->n_tenants].tenant = tenant;
        a->tenants[a->n_tenants++].n = 1;
    }
    return 1;
}

static void count_running(struct admission *a)
{
    a->n_tenants = 0;
    for (size_t i = 0; i < a->n_running; i++) {
        count(a, a->running[i]);
    }
}

void admission_begin(struct admission *admission, const uint32_t *running, size_t n_running)
{
    admission->n = 0;
    admission->running = running;
    admission->n_running = n_running;
    count_running(admission);
}

static bool is_before(const struct admission_candidate *x, const struct admission_candidate *y)
{
    return x->rank != y->rank       ? x->rank < y->rank
           : x->share != y->share   ? x->share < y->share
           : x->served != y->served ? x->served < y->served
                                    : x->arrival < y->arrival;
}

static bool has_more_cached(const struct admission_candidate *x, const struct admission_candidate *y)
{
    return x->rank != y->rank           ? x->rank < y->rank
           : x->n_cached != y->n_cached ? x->n_cached > y->n_cached
                                        : x->arrival < y->arrival;
}

void admission_add(struct admission *admission, const struct admission_candidate *candidate)
{
    struct admission_candidate new = *candidate;
    new.share = count(admission, new.tenant);
    size_t at = admission->n;
    while (at > 0 && is_before(&new, &admission->candidates[at - 1])) {
        at--;
    }
    if (at == ADMISSION_WINDOW) {
        return;
    }
    admission->n -= admission->n == ADMISSION_WINDOW;
    memmove(&admission->candidates[at + 1], &admission->candidates[at],
            (admission->n - at) * sizeof(admission->candidates[0]));
    admission->candidates[at] = new;
    admission->n++;
}

void admission_remove(struct admission *admission, const void *ref)
{
    size_t at = 0;
    while (at < admission->n && admission->candidates[at].ref != ref) {
        at++;
    }
    if (at < admission->n) {
        admission->n--;
        memmove(&admission->candidates[at], &admission->candidates[at + 1],
                (admission->n - at) * sizeof(admission->candidates[0]));
    }
}

static void sort(struct admission *a,
                 bool (*before)(const struct admission_candidate *, const struct admission_candidate *))
{
    for (size_t i = 1; i < a->n; i++) {
        struct admission_candidate moved = a->candidates[i];
        size_t at = i;
        for (; at > 0 && before(&moved, &a->candidates[at - 1]); at--) {
            a->candidates[at] = a->candidates[at - 1];
        }
        a->candidates[at] = moved;
    }
}

void admission_order(struct admission *admission)
{
    sort(admission, has_more_cached);
    count_running(admission);
    for (size_t i = 0; i < admission->n; i++) {
        admission->candidates[i].share = count(admission, admission->candidates[i].tenant);
        admission->candidates[i].arrival = i; // keeps the order within a share
    }
    sort(admission, is_before);
}
