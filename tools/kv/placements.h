// Where prompts were sent a moment ago: blocks that a peer will hold soon, and of which nobody has told yet. So a burst
// of requests with a new prefix goes where the first of them went, instead of having the prefix computed everywhere.
//
// It is a guess, forgotten after PLACEMENT_NS, or sooner where many prompts are sent: a fixed table of sets of four.
#ifndef TOKFS_KV_PLACEMENTS_H
#define TOKFS_KV_PLACEMENTS_H

#include <stddef.h>
#include <stdint.h>

#define PLACEMENT_NS 10000000000u

struct placements;

// For about n_max blocks, of 16 bytes each. NULL when out of memory.
struct placements *placements_new(size_t n_max);
void placements_free(struct placements *placements); // NULL is accepted

// These blocks were sent to `peer`, any number, now.
void placements_add(struct placements *placements, uint64_t peer, const uint64_t *hashes, size_t n, uint64_t now_ns);
// How many of these blocks, from the first on, were sent to it.
size_t placements_match(const struct placements *placements, uint64_t peer, const uint64_t *hashes, size_t n,
                        uint64_t now_ns);

#endif
