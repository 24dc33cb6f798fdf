// A single-producer ring over free-running 32-bit counters (they wrap; only differences are used).
//
// Owns its slots. The engine thread adds and publishes, the caller's thread takes. Head and tail are sequentially
// consistent because the engine's sleep protocol (wake.h) orders them against its "asleep" flag.
#include "engine/serve/event_ring.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

_Static_assert(sizeof(struct event_slot) == 128, "an event is two cache lines");

int event_ring_init(struct event_ring *ring, uint32_t n_slots_min)
{
    uint32_t n = 2;
    while (n < n_slots_min) {
        n *= 2;
    }
    *ring = (struct event_ring){ .n_slots = n };
    ring->slots = calloc(n, sizeof(*ring->slots));
    return ring->slots ? 0 : -ENOMEM;
}

void event_ring_deinit(struct event_ring *ring)
{
    free(ring->slots);
    ring->slots = NULL;
}

uint32_t event_ring_room(const struct event_ring *ring)
{
    return ring->n_slots - (ring->filled - atomic_load(&ring->head));
}

struct event_slot *event_ring_add(struct event_ring *ring)
{
    if (event_ring_room(ring) == 0) {
        return NULL;
    }
    return &ring->slots[ring->filled++ & (ring->n_slots - 1)];
}

bool event_ring_publish(struct event_ring *ring)
{
    if (ring->filled == atomic_load_explicit(&ring->tail, memory_order_relaxed)) {
        return false;
    }
    atomic_store(&ring->tail, ring->filled);
    return true;
}

bool event_ring_is_roomy(const struct event_ring *ring)
{
    return atomic_load(&ring->tail) - atomic_load(&ring->head) <= ring->n_slots / 2;
}

uint32_t event_ring_published(const struct event_ring *ring)
{
    return atomic_load(&ring->tail);
}

uint32_t event_ring_taken(const struct event_ring *ring)
{
    return atomic_load_explicit(&ring->head, memory_order_relaxed) + ring->is_taken;
}

const struct event_slot *event_ring_take(struct event_ring *ring, uint32_t limit)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (ring->is_taken) {
        atomic_store(&ring->head, ++head);
        ring->is_taken = false;
    }
    if (head == limit) {
        return NULL;
    }
    assert(event_ring_published(ring) - head <= ring->n_slots);
    ring->is_taken = true;
    return &ring->slots[head & (ring->n_slots - 1)];
}
