#include "tools/kv/route_policy.h"

const char *const route_policies[] = { "prefix", "round-robin", "random", NULL };

static uint64_t draw(struct route_state *state)
{
    uint64_t x = state->seed += UINT64_C(0x9e3779b97f4a7c15); // splitmix64
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static double load_bound(const struct route_candidate *candidates, size_t n)
{
    double total = 1, least = candidates[0].load;
    for (size_t i = 0; i < n; i++) {
        total += candidates[i].load;
        least = candidates[i].load < least ? candidates[i].load : least;
    }
    double share = ROUTE_LOAD_SHARE * total / (double)n, slack = least + ROUTE_LOAD_SLACK;
    return share > slack ? share : slack;
}

// Of equal ones the first in an order that begins elsewhere each time.
static size_t choose_by_prefix(struct route_state *state, const struct route_candidate *candidates, size_t n)
{
    double bound = load_bound(candidates, n), best_value = 0;
    size_t best = n, first = state->turn++ % n;
    for (size_t k = 0; k < n; k++) {
        size_t i = (first + k) % n;
        double value = candidates[i].score - ROUTE_LOAD_COST * candidates[i].load;
        if (candidates[i].load <= bound && (best == n || value > best_value)) {
            best = i;
            best_value = value;
        }
    }
    return best;
}

size_t route_choose(enum route_policy policy, struct route_state *state, const struct route_candidate *candidates,
                    size_t n)
{
    switch (policy) {
    case ROUTE_POLICY_ROUND_ROBIN: return state->turn++ % n;
    case ROUTE_POLICY_RANDOM: return draw(state) % n;
    case ROUTE_POLICY_PREFIX: break;
    }
    return choose_by_prefix(state, candidates, n);
}
