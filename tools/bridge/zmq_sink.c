// ZeroMQ's descriptors tell of changes, once: so after each call of a socket its events are looked at until there are
// none. Published payloads are kept in a ring of messages, whose bytes the library shares with the senders' queues.
#include "tools/bridge/zmq_sink.h"
#include "engine/base/log.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define REPLAY_STEPS      10000u
#define REPLAY_BYTES      (64u << 20)
#define REPLAYS_MAX       64u // at the same time
#define IDENTITY_MAX      255
#define PART_BLOCKS       256u // of a snapshot's batch
#define ANNOUNCE_EVERY_NS 1000000000u
#define REPLAY_ON_NS      5000000u
#define END_SEQ           UINT64_MAX
#define TOPIC_MAX         600

struct port {
    struct loop_op op;
    struct zmq_sink *sink;
    void *socket; // NULL: none
    int fd;
};

// What somebody has asked for and has not been sent yet.
struct replay {
    uint64_t next;
    size_t n_identity; // 0: free
    char identity[IDENTITY_MAX];
};

struct zmq_sink {
    struct loop_op replay_on;
    struct port pub, router;
    struct zmq_sink_options options;
    struct kv_source *source;
    bool is_stopped;
    bool is_wanted; // a snapshot
    bool is_told;   // that the model's name cannot be told
    uint64_t announced_ns;
    char topic[TOPIC_MAX]; // empty: not known yet
    char next_topic[TOPIC_MAX];

    uint64_t seq;     // of the next batch
    zmq_msg_t *kept;  // [REPLAY_STEPS]: of batch i at i % REPLAY_STEPS
    uint64_t n_first; // the oldest one that is kept
    size_t kept_bytes;
    struct replay replays[REPLAYS_MAX];

    struct arena scratch;
    struct strbuf payload;
    struct zmq_sink_counts counts;
};

static void put_be(uint64_t value, unsigned char ret[8])
{
    for (unsigned i = 0; i < 8; i++) {
        ret[i] = (unsigned char)(value >> (56 - 8 * i));
    }
}

// ---- what was published --------------------------------------------------------------------------------------------

static zmq_msg_t *kept_at(const struct zmq_sink *sink, uint64_t seq)
{
    return &sink->kept[seq % REPLAY_STEPS];
}

static void forget_oldest(struct zmq_sink *sink)
{
    zmq_msg_t *msg = kept_at(sink, sink->n_first++);
    sink->kept_bytes -= zmq_msg_size(msg);
    zmq_msg_close(msg);
}

// The batch sink->seq, whose bytes are the payload's.
static int keep(struct zmq_sink *sink)
{
    while (sink->n_first < sink->seq &&
           (sink->seq - sink->n_first == REPLAY_STEPS || sink->kept_bytes + sink->payload.len > REPLAY_BYTES)) {
        forget_oldest(sink);
    }
    zmq_msg_t *msg = kept_at(sink, sink->seq);
    if (zmq_msg_init_size(msg, sink->payload.len) < 0) {
        return -ENOMEM;
    }
    memcpy(zmq_msg_data(msg), sink->payload.ptr, sink->payload.len);
    sink->kept_bytes += sink->payload.len;
    return 0;
}

// A batch's bytes as the last frame.
static int send_kept(struct zmq_sink *sink, void *socket, uint64_t seq)
{
    zmq_msg_t copy;
    zmq_msg_init(&copy);
    int r = zmq_msg_copy(&copy, kept_at(sink, seq));
    r = r < 0 ? r : zmq_msg_send(&copy, socket, ZMQ_DONTWAIT);
    if (r < 0) {
        zmq_msg_close(&copy);
    }
    return r < 0 ? -errno : 0;
}

static int publish(struct zmq_sink *sink, const struct kv_batch *batch)
{
    struct kv_encoding encoding = { .as_maps = sink->options.as_maps, .has_tokens = sink->options.has_tokens };
    unsigned char seq[8];
    strbuf_reset(&sink->payload);
    kv_batch_encode(batch, &encoding, &sink->payload);
    int r = sink->payload.error ? sink->payload.error : keep(sink);
    if (r < 0) {
        return r;
    }
    put_be(sink->seq, seq);
    if (zmq_send(sink->pub.socket, sink->topic, strlen(sink->topic), ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0 &&
        zmq_send(sink->pub.socket, seq, sizeof(seq), ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0) {
        send_kept(sink, sink->pub.socket, sink->seq); // who does not get it sees that its number is missing
    }
    sink->seq++;
    sink->counts.n_batches++;
    return 0;
}

// ---- replays -------------------------------------------------------------------------------------------------------

// One frame after the other; the first tells whether there is room for all.
static int send_replayed(struct zmq_sink *sink, const struct replay *replay, uint64_t seq)
{
    void *socket = sink->router.socket;
    unsigned char number[8];
    put_be(seq, number);
    if (zmq_send(socket, replay->identity, replay->n_identity, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0) {
        return -errno;
    }
    zmq_send(socket, "", 0, ZMQ_DONTWAIT | ZMQ_SNDMORE);
    zmq_send(socket, sink->topic, strlen(sink->topic), ZMQ_DONTWAIT | ZMQ_SNDMORE);
    zmq_send(socket, number, sizeof(number), ZMQ_DONTWAIT | ZMQ_SNDMORE);
    if (seq == END_SEQ) {
        zmq_send(socket, "", 0, ZMQ_DONTWAIT);
        return 0;
    }
    sink->counts.n_replayed++;
    return send_kept(sink, socket, seq);
}

// As much as there is room for. A peer that has gone has no more to ask.
static void go_on_with(struct zmq_sink *sink, struct replay *replay)
{
    while (replay->n_identity > 0) {
        replay->next = replay->next < sink->n_first ? sink->n_first : replay->next;
        bool is_over = replay->next >= sink->seq;
        int r = send_replayed(sink, replay, is_over ? END_SEQ : replay->next);
        if (r == -EAGAIN) {
            return;
        }
        replay->next++;
        if (r < 0 || is_over) {
            replay->n_identity = 0;
        }
    }
}

static void begin_replay(struct zmq_sink *sink, struct str identity, uint64_t from)
{
    struct replay *place = NULL;
    for (size_t i = 0; i < REPLAYS_MAX; i++) {
        struct replay *replay = &sink->replays[i];
        if (replay->n_identity == identity.len && memcmp(replay->identity, identity.ptr, identity.len) == 0) {
            place = replay;
            break;
        }
        place = !place && replay->n_identity == 0 ? replay : place;
    }
    if (place && identity.len > 0 && identity.len <= IDENTITY_MAX) {
        place->next = from;
        place->n_identity = identity.len;
        memcpy(place->identity, identity.ptr, identity.len);
    }
}

// Reads a message of any number of frames; the first `max` are kept. The number of all, or -errno.
static int receive(void *socket, zmq_msg_t *frames, int max)
{
    int n = 0, more = 1;
    for (; more; n++) {
        zmq_msg_t rest, *to = n < max ? &frames[n] : &rest;
        zmq_msg_init(to);
        if (zmq_msg_recv(to, socket, ZMQ_DONTWAIT) < 0) {
            int error = errno;
            zmq_msg_close(to);
            for (int i = 0; i < n && i < max; i++) {
                zmq_msg_close(&frames[i]);
            }
            return -error;
        }
        more = zmq_msg_more(to);
        if (n >= max) {
            zmq_msg_close(to);
        }
    }
    return n;
}

static struct str frame_str(zmq_msg_t *frame)
{
    return (struct str){ zmq_msg_data(frame), zmq_msg_size(frame) };
}

static bool router_read(struct zmq_sink *sink)
{
    zmq_msg_t frames[3];
    int n = receive(sink->router.socket, frames, 3);
    if (n < 0) {
        return false;
    }
    struct str start = n == 3 ? frame_str(&frames[2]) : STR("");
    if (start.len == 8 && zmq_msg_size(&frames[1]) == 0) {
        uint64_t from = 0;
        for (size_t i = 0; i < 8; i++) {
            from = from << 8 | (unsigned char)start.ptr[i];
        }
        begin_replay(sink, frame_str(&frames[0]), from);
    }
    for (int i = 0; i < n && i < 3; i++) {
        zmq_msg_close(&frames[i]);
    }
    return true;
}

// ---- sockets -------------------------------------------------------------------------------------------------------

static void want(struct zmq_sink *sink)
{
    sink->is_wanted = true;
    if (sink->topic[0] || sink->next_topic[0]) {
        sink->announced_ns = clock_monotonic_ns();
        kv_source_want_snapshot(sink->source);
    }
}

// 1 and a topic: somebody subscribes.
static bool pub_read(struct zmq_sink *sink)
{
    zmq_msg_t frame;
    int n = receive(sink->pub.socket, &frame, 1);
    if (n < 0) {
        return false;
    }
    struct str bytes = frame_str(&frame);
    if (bytes.len > 0 && bytes.ptr[0] == 1) {
        sink->counts.n_subscriptions++;
        sink->is_wanted = true;
    }
    zmq_msg_close(&frame);
    return true;
}

static int events_of(void *socket)
{
    int events = 0;
    size_t size = sizeof(events);
    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 ? events : 0;
}

static bool has_replays(const struct zmq_sink *sink)
{
    for (size_t i = 0; i < REPLAYS_MAX; i++) {
        if (sink->replays[i].n_identity > 0) {
            return true;
        }
    }
    return false;
}

static void read_all(struct port *port)
{
    bool is_pub = port == &port->sink->pub;
    while ((events_of(port->socket) & ZMQ_POLLIN) && (is_pub ? pub_read(port->sink) : router_read(port->sink))) {
    }
}

// Until nothing has happened that was not seen: what a call of the socket has seen, its descriptor tells no more.
static void port_settle(struct port *port)
{
    struct zmq_sink *sink = port->sink;
    do {
        read_all(port);
        for (size_t i = 0; port == &sink->router && i < REPLAYS_MAX; i++) {
            go_on_with(sink, &sink->replays[i]);
        }
    } while (events_of(port->socket) & ZMQ_POLLIN);
    // That one peer has room again may have been seen by a call for another: the descriptor does not tell of it.
    if (port == &sink->router && has_replays(sink) && !sink->replay_on.is_pending) {
        loop_timer(sink->options.loop, &sink->replay_on, REPLAY_ON_NS);
    }
    if (sink->is_wanted && clock_monotonic_ns() - sink->announced_ns > ANNOUNCE_EVERY_NS) {
        want(sink); // otherwise with the next beat
    }
}

static void replay_on_done(struct loop_op *op, int res)
{
    struct zmq_sink *sink = (struct zmq_sink *)op;
    if (res == 0 && !sink->is_stopped) {
        port_settle(&sink->router);
    }
}

static void port_ready(struct loop_op *op, int res)
{
    struct port *port = (struct port *)op;
    if (res >= 0 && !port->sink->is_stopped) {
        port_settle(port);
        loop_poll(port->sink->options.loop, op, port->fd, POLLIN);
    }
}

// ---- what the source calls -----------------------------------------------------------------------------------------

static void lost(void *ctx)
{
    struct zmq_sink *sink = ctx;
    sink->counts.is_true = false;
    want(sink);
}

static void untrue(struct zmq_sink *sink)
{
    log_warn("%s: out of memory; a snapshot will follow", sink->options.endpoint);
    sink->counts.is_true = false;
    sink->is_wanted = true; // by the next beat
}

static void step(void *ctx, const struct kv_batch *batch)
{
    struct zmq_sink *sink = ctx;
    if (sink->counts.is_true && publish(sink, batch) < 0) {
        untrue(sink);
    }
    port_settle(&sink->pub);
}

static int publish_part(struct zmq_sink *sink, const struct kv_snapshot *snapshot, size_t from, double time_s)
{
    size_t left = kv_snapshot_count(snapshot) - from;
    struct kv_batch batch;
    arena_reset(&sink->scratch);
    int r = kv_snapshot_take(snapshot, from, left < PART_BLOCKS ? left : PART_BLOCKS, &sink->scratch, &batch);
    batch.time_s = time_s;
    return r < 0 ? r : publish(sink, &batch);
}

static void snapshot_came(void *ctx, struct kv_snapshot *snapshot)
{
    struct zmq_sink *sink = ctx;
    struct kv_message cleared = { .kind = KV_MESSAGE_CLEARED };
    struct kv_batch batch = { .time_s = kv_source_time_s(), .rank = -1, .n_messages = 1, .messages = &cleared };
    if (!sink->is_wanted || !sink->next_topic[0]) {
        return; // it is somebody else's, or the model is not known yet
    }
    sink->is_wanted = false;
    int r = sink->topic[0] ? publish(sink, &batch) : 0; // for those who know it by its old name
    if (strcmp(sink->topic, sink->next_topic) != 0) {
        memcpy(sink->topic, sink->next_topic, sizeof(sink->topic));
        r = r < 0 ? r : publish(sink, &batch);
    }
    for (size_t i = 0; i < kv_snapshot_count(snapshot) && r == 0; i += PART_BLOCKS) {
        r = publish_part(sink, snapshot, i, batch.time_s);
    }
    sink->counts.is_true = r == 0;
    if (r < 0) {
        untrue(sink);
    }
    port_settle(&sink->pub);
}

struct kv_sink zmq_sink_calls(struct zmq_sink *sink)
{
    return (struct kv_sink){ .lost = lost, .snapshot = snapshot_came, .step = step, .ctx = sink };
}

void zmq_sink_beat(struct zmq_sink *sink, const char *address, const char *model)
{
    if (model[0] && strchr(model, '@')) {
        if (!sink->is_told) {
            log_error("%s: the model's name %s has an @, which a topic cannot tell: nothing is published",
                      sink->options.endpoint, model);
        }
        sink->is_told = true;
        return;
    }
    if (model[0] && address[0]) {
        snprintf(sink->next_topic, sizeof(sink->next_topic), "kv@%s@%s", address, model);
    }
    if (strcmp(sink->topic, sink->next_topic) != 0 || sink->is_wanted) {
        want(sink);
    }
}

// ---- life ----------------------------------------------------------------------------------------------------------

// The address of a node: its port counts on, or its name gets a number.
static int endpoint_of(const char *endpoint, unsigned idx, char *ret, size_t size)
{
    const char *colon = strrchr(endpoint, ':');
    bool is_tcp = strncmp(endpoint, "tcp://", 6) == 0;
    int64_t port = 0;
    int n;
    if (is_tcp && (str_parse_i64(str_from(colon + 1), &port) < 0 || port < 1 || port + idx > 65535)) {
        return -EINVAL;
    }
    if (is_tcp) {
        n = snprintf(ret, size, "%.*s:%u", (int)(colon - endpoint), endpoint, (unsigned)port + idx);
    } else {
        n = idx == 0 ? snprintf(ret, size, "%s", endpoint) : snprintf(ret, size, "%s_dp%u", endpoint, idx);
    }
    return n > 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

static bool is_bound(const char *endpoint)
{
    return strchr(endpoint, '*') || strstr(endpoint, "::") || strncmp(endpoint, "ipc://", 6) == 0 ||
           strncmp(endpoint, "inproc://", 9) == 0;
}

static int open_port(struct zmq_sink *sink, struct port *port, int type, const char *option, const char *endpoint,
                     struct err *err)
{
    char place[300];
    int on = 1, linger = 0, hwm = (int)sink->options.hwm;
    size_t size = sizeof(port->fd);
    bool is_pub = port == &sink->pub;
    port->sink = sink;
    port->op.done = port_ready;
    int r = endpoint_of(endpoint, sink->options.node_idx, place, sizeof(place));
    if (r < 0) {
        return err_set(err, r, "--%s %s: tcp://ADDRESS:PORT, ipc://PATH or inproc://NAME is needed", option, endpoint);
    }
    port->socket = zmq_socket(sink->options.context, type);
    if (!port->socket || zmq_setsockopt(port->socket, ZMQ_LINGER, &linger, sizeof(linger)) < 0 ||
        zmq_setsockopt(port->socket, ZMQ_SNDHWM, &hwm, sizeof(hwm)) < 0 ||
        zmq_setsockopt(port->socket, is_pub ? ZMQ_XPUB_VERBOSE : ZMQ_ROUTER_MANDATORY, &on, sizeof(on)) < 0 ||
        zmq_setsockopt(port->socket, ZMQ_IPV6, &on, sizeof(on)) < 0 ||
        (!is_pub || is_bound(place) ? zmq_bind(port->socket, place) : zmq_connect(port->socket, place)) < 0 ||
        zmq_getsockopt(port->socket, ZMQ_FD, &port->fd, &size) < 0) {
        return err_set(err, -errno, "--%s %s: %s", option, place, zmq_strerror(errno));
    }
    return 0;
}

int zmq_sink_new(const struct zmq_sink_options *options, struct zmq_sink **ret, struct err *err)
{
    static_assert(offsetof(struct port, op) == 0 && offsetof(struct zmq_sink, replay_on) == 0, "callbacks");
    struct zmq_sink *sink = calloc(1, sizeof(*sink));
    zmq_msg_t *kept = calloc(REPLAY_STEPS, sizeof(*kept));
    if (!sink || !kept) {
        free(sink);
        free(kept);
        return err_set(err, -ENOMEM, "out of memory");
    }
    sink->options = *options;
    sink->kept = kept;
    sink->replay_on.done = replay_on_done;
    strbuf_init(&sink->payload, 0);
    arena_init(&sink->scratch, 0);
    int r = open_port(sink, &sink->pub, ZMQ_XPUB, "zmq", options->endpoint, err);
    if (r == 0 && options->replay) {
        r = open_port(sink, &sink->router, ZMQ_ROUTER, "zmq-replay", options->replay, err);
    }
    if (r < 0) {
        zmq_sink_free(sink);
        return r;
    }
    loop_poll(options->loop, &sink->pub.op, sink->pub.fd, POLLIN);
    if (options->replay) {
        loop_poll(options->loop, &sink->router.op, sink->router.fd, POLLIN);
    }
    *ret = sink;
    return 0;
}

void zmq_sink_stop(struct zmq_sink *sink)
{
    if (sink) {
        sink->is_stopped = true;
        loop_cancel(sink->options.loop, &sink->replay_on);
        loop_cancel(sink->options.loop, &sink->pub.op);
        loop_cancel(sink->options.loop, &sink->router.op);
    }
}

void zmq_sink_free(struct zmq_sink *sink)
{
    if (!sink) {
        return;
    }
    while (sink->n_first < sink->seq) {
        forget_oldest(sink);
    }
    if (sink->pub.socket) {
        zmq_close(sink->pub.socket);
    }
    if (sink->router.socket) {
        zmq_close(sink->router.socket);
    }
    free(sink->kept);
    strbuf_deinit(&sink->payload);
    arena_deinit(&sink->scratch);
    free(sink);
}

void zmq_sink_attach(struct zmq_sink *sink, struct kv_source *source)
{
    sink->source = source;
}

const struct zmq_sink_counts *zmq_sink_counts(const struct zmq_sink *sink)
{
    return &sink->counts;
}
