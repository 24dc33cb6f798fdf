// The queue of events from the engine thread to the caller: a bounded single-producer, single-consumer ring.
//
// Entries have a fixed size with the text inside, so that a decode step neither allocates nor frees. The producer fills
// entries at will and publishes them all at once, at the end of a step; the consumer reads text in place: an entry is
// given back when the next one is asked for.
#ifndef TOKFS_SERVE_EVENT_RING_H
#define TOKFS_SERVE_EVENT_RING_H

#include "engine/base/str.h"
#include "engine/serve/sampler.h"
#include <stdatomic.h>

struct choice;

#define EVENT_TEXT_MAX 104 // makes an entry 128 bytes: two cache lines

#define EVENT_PROBS_MAX (EVENT_TEXT_MAX / sizeof(struct token_prob))

enum event_slot_kind {
    EVENT_SLOT_STARTED,
    EVENT_SLOT_PROBS, // text holds struct token_prob; of the TOKEN that follows in the ring, published together with it
    EVENT_SLOT_CALL_ID, // text: the id of the call that begins with the TOKEN that follows, likewise
    EVENT_SLOT_TOKEN,
    EVENT_SLOT_FINISHED,
    EVENT_SLOT_FAILED,
};

struct event_slot {
    struct choice *choice;
    uint64_t sampled_ns;
    int32_t token_id;
    uint8_t kind;     // enum event_slot_kind
    uint8_t part;     // enum tokfs_part of the text
    uint8_t call_idx; // of a part that belongs to a tool call
    uint8_t text_len;
    char text[EVENT_TEXT_MAX];
};

// Invariants: head <= tail <= filled <= head + n_slots, as free-running counters; slot i is slots[i % n_slots]. Slots
// [head, tail) are the consumer's, all others the producer's.
struct event_ring {
    struct event_slot *slots;
    uint32_t n_slots; // a power of two
    // Producer.
    _Alignas(64) uint32_t filled;
    _Atomic uint32_t tail; // published
    // Consumer.
    _Alignas(64) _Atomic uint32_t head;
    bool is_taken; // slot `head` was handed out and is given back by the next take
};

int event_ring_init(struct event_ring *ring, uint32_t n_slots_min); // 0 or -ENOMEM
void event_ring_deinit(struct event_ring *ring);

// Producer. A slot to fill, or NULL while the ring is full; counted at once, seen by the consumer after publish.
struct event_slot *event_ring_add(struct event_ring *ring);
uint32_t event_ring_room(const struct event_ring *ring);
bool event_ring_publish(struct event_ring *ring); // false: there was nothing new

// Either. At least half of the published entries' places are free.
bool event_ring_is_roomy(const struct event_ring *ring);

// Consumer. `limit` is a value of event_ring_published: events behind it are left for later, so that a caller can look
// at other queues in between (see tokfs_poll). NULL: none. The slot is valid until the next take.
uint32_t
event_ring_taken(const struct event_ring *ring); // consumer: how far it has taken, as event_ring_published counts
uint32_t event_ring_published(const struct event_ring *ring);
const struct event_slot *event_ring_take(struct event_ring *ring, uint32_t limit);

#endif
