// Whose turn it is among those who wait: priority with aging, a fair share per tenant, the longest cached prefix first.
//
// Pure functions on plain numbers: no clock, no engine.
#ifndef TOKFS_SERVE_ADMISSION_H
#define TOKFS_SERVE_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADMISSION_WINDOW     64          // candidates per step
#define ADMISSION_AGING_NS   10000000000 // waiting so long is worth one priority
#define ADMISSION_HALVING_NS 10000000000 // what a tenant was given counts half after this time
#define ADMISSION_TENANTS    64          // counted apart in one step; any more count as new ones

struct admission_candidate {
    void *ref;         // the caller's
    int64_t rank;      // admission_rank: the lowest goes first
    uint32_t tenant;   // user whom it is for
    uint32_t share;    // how many the tenant would have running with it, counted by admission_add
    uint64_t served;   // admission_served_tokens of the tenant
    uint32_t n_cached; // prompt tokens that the prefix cache has; set by the caller between add and order
    uint64_t arrival;  // lower came earlier
};

// Tokens computed for each tenant of late: between two with as many running, the one who was given less goes first.
struct admission_served {
    struct {
        uint32_t tenant;
        uint64_t n_tokens;
    } tenants[ADMISSION_TENANTS];
    size_t n;
    uint64_t halved_ns;
};

void admission_charge(struct admission_served *served, uint32_t tenant, uint32_t n_tokens, uint64_t now_ns);
uint64_t admission_served_tokens(const struct admission_served *served, uint32_t tenant);

struct admission {
    struct admission_candidate candidates[ADMISSION_WINDOW]; // the first n, in order
    size_t n;
    const uint32_t *running; // [n_running] tenant of each running sequence; the caller's
    size_t n_running;
    struct {
        uint32_t tenant, n;
    } tenants[ADMISSION_TENANTS]; // running, or before in the window
    size_t n_tenants;
};

// priority: lower runs earlier, as in vLLM. Those that gave way (above 0) come nearer to 0 while they wait, and never
// before it: else a long queue would age past everybody who comes later.
int64_t admission_rank(int64_t priority, uint64_t waited_ns);

void admission_begin(struct admission *admission, const uint32_t *running, size_t n_running);
// Offers one that waits, in order of arrival; the window keeps the best by rank, share, arrival.
void admission_add(struct admission *admission, const struct admission_candidate *candidate);
void admission_remove(struct admission *admission, const void *ref); // one that does not wait any more
// Puts the window into its final order, now that n_cached is known: by rank; within one, tenants take turns, those with
// the fewest running (then, the least served) first, and each tenant's longest cached prefix comes first.
void admission_order(struct admission *admission);

#endif
