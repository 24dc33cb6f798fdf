// What engines publish by ZeroMQ, vLLM's or tokfs', into the scorer.
//
//   ENDPOINT[,replay=ENDPOINT][,peer=ADDRESS][,model=NAME]
//
// The topic tells whose events they are, kv@ADDRESS@MODEL; where it does not, `peer` and `model` have to. A batch that
// was missed is asked for at the replay endpoint, and what comes meanwhile waits in the socket. Without such an
// endpoint, or where it has forgotten, the peer holds nothing from then on but what is told. Loop thread only.
//
//   LISTENING --a gap, or not from the first--> REPLAYING --the end, or 5 s without a word--> LISTENING
#ifndef TOKFS_BRIDGE_FEED_ZMQ_H
#define TOKFS_BRIDGE_FEED_ZMQ_H

#include "engine/base/loop.h"
#include "tools/kv/score.h"

struct feed_zmq;

struct feed_zmq_counts {
    uint64_t n_batches, n_gaps, n_replayed, n_bad;
};

struct feed_zmq_spec { // as above; what is not told is empty
    char endpoint[256], replay[256], peer[256], model[256];
};
int feed_zmq_parse(const char *text, struct feed_zmq_spec *ret, struct err *err); // -EINVAL names what is wrong with it

// -EINVAL, -ENOMEM ... *ret is set unless memory is out, to be stopped and freed.
int feed_zmq_new(struct loop *loop, void *zmq_context, const struct feed_zmq_spec *spec, struct scorer *scorer,
                 struct feed_zmq **ret, struct err *err);
void feed_zmq_stop(struct feed_zmq *feed); // free it when the loop has nothing pending
void feed_zmq_free(struct feed_zmq *feed); // NULL is accepted, likewise above
const struct feed_zmq_counts *feed_zmq_counts(const struct feed_zmq *feed);

#endif
