// Which peer a request goes to. A pure function of what is known of the peers: the router's and the simulator's.
//
//   prefix        the best score minus what the peer's load costs, among the peers whose load is within a bound of the
//                 mean: a peer that has everybody's prefix does not get everybody
//   round-robin   in turns
//   random
#ifndef TOKFS_KV_ROUTE_POLICY_H
#define TOKFS_KV_ROUTE_POLICY_H

#include <stddef.h>
#include <stdint.h>

enum route_policy { ROUTE_POLICY_PREFIX, ROUTE_POLICY_ROUND_ROBIN, ROUTE_POLICY_RANDOM };
extern const char *const route_policies[]; // their names, NULL at the end

#define ROUTE_LOAD_SHARE 1.25 // of the mean, this request included: the bound,
#define ROUTE_LOAD_SLACK 4.0  // but never below so many requests
#define ROUTE_LOAD_COST  2.0  // blocks of 16 tokens that a request at a peer counts for

struct route_candidate {
    double score; // cached blocks, weighted
    double load;  // requests that run and wait
};

struct route_state { // of one router; all zeroes but for the seed
    uint64_t turn, seed;
};

// The index of one of n > 0 candidates.
size_t route_choose(enum route_policy policy, struct route_state *state, const struct route_candidate *candidates,
                    size_t n);

#endif
