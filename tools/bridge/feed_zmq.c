// A descriptor of ZeroMQ tells of changes, once: after each look at it the socket is read until it has nothing, or
// looked at again with the next turn.
#include "tools/bridge/feed_zmq.h"
#include "engine/base/log.h"
#include "tools/bridge/address.h"
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define BATCHES_PER_TURN 256
#define NAME_MAX_        255
#define TICK_NS          250000000u
#define REPLAY_TICKS     20 // without an answer
#define PROBE_WAIT_TICKS 2
#define PROBE_TICKS      4 // after which it is asked whether the last batches were missed
#define END_SEQ          UINT64_MAX
#define PUBLISHERS_MAX   1024
#define HELD_MAX         100000 // batches that wait in the socket; more are a gap

struct port {
    struct loop_op op;
    struct feed_zmq *feed;
    void *socket; // NULL: none
    int fd;
};

struct publisher { // a topic: numbers are of the socket behind it
    struct publisher *next;
    struct score_source *source;
    char topic[2 * NAME_MAX_ + 8];
};

struct feed_zmq {
    struct loop_op tick, again;
    struct port sub, dealer;
    struct loop *loop;
    struct scorer *scorer;
    struct feed_zmq_spec spec;
    struct publisher *publishers;
    unsigned n_publishers;
    uint64_t expected; // number of the next batch
    bool is_begun;     // `expected` is of what was heard
    bool is_replaying, is_stopped;
    unsigned n_silent; // ticks of a replay
    unsigned n_idle;   // ticks since a batch was heard
    zmq_msg_t held[3]; // the batch that showed the gap; taken after the replay
    bool has_held;
    struct arena scratch;
    struct feed_zmq_counts counts;
};

static uint64_t get_be(const void *bytes)
{
    const unsigned char *b = bytes;
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++) {
        value = value << 8 | b[i];
    }
    return value;
}

static struct str msg_str(zmq_msg_t *msg)
{
    return (struct str){ zmq_msg_data(msg), zmq_msg_size(msg) };
}

// ---- sources -------------------------------------------------------------------------------------------------------

static int name_source(struct feed_zmq *feed, struct str topic, struct str *ret_peer, struct str *ret_model,
                       struct err *err)
{
    struct str address = STR(""), model = STR("");
    int r = feed->spec.peer[0] && feed->spec.model[0] ? 0 : kv_topic_parse(topic, &address, &model, err);
    *ret_peer = feed->spec.peer[0] ? str_from(feed->spec.peer) : address;
    *ret_model = feed->spec.model[0] ? str_from(feed->spec.model) : model;
    return r;
}

// NULL: it cannot be told whose it is.
static struct score_source *find_source(struct feed_zmq *feed, struct str topic)
{
    struct publisher *p = feed->publishers;
    struct str peer, model;
    struct err err = { 0 };
    while (p && !str_eq(str_from(p->topic), topic)) {
        p = p->next;
    }
    if (p) {
        return p->source;
    }
    if (topic.len >= sizeof(p->topic) || feed->n_publishers == PUBLISHERS_MAX ||
        name_source(feed, topic, &peer, &model, &err) < 0 || !(p = calloc(1, sizeof(*p)))) {
        feed->counts.n_bad++;
        return NULL;
    }
    int idx = scorer_add_peer(feed->scorer, peer);
    if (idx < 0 || scorer_add_source(feed->scorer, (unsigned)idx, model, &p->source) < 0) {
        free(p);
        return NULL;
    }
    memcpy(p->topic, topic.ptr, topic.len);
    p->next = feed->publishers;
    feed->publishers = p;
    feed->n_publishers++;
    return p->source;
}

static void clear_all(struct feed_zmq *feed)
{
    for (struct publisher *p = feed->publishers; p; p = p->next) {
        score_source_clear(p->source);
    }
}

static void apply(struct feed_zmq *feed, struct str topic, struct str payload)
{
    struct score_source *source = find_source(feed, topic);
    struct kv_batch batch;
    struct err err = { 0 };
    arena_reset(&feed->scratch);
    if (!source) {
        return;
    }
    int r = kv_batch_decode(&feed->scratch, payload, &batch, &err);
    for (size_t i = 0; r == 0 && i < batch.n_messages; i++) {
        r = score_source_apply(source, &batch.messages[i], &err);
    }
    if (r < 0) {
        feed->counts.n_bad++;
        score_source_clear(source);
        log_warn("%s: %s", feed->spec.endpoint, err.msg[0] ? err.msg : strerror(-r));
    }
    feed->counts.n_batches++;
}

// ---- messages ------------------------------------------------------------------------------------------------------

static void close_all(zmq_msg_t *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        zmq_msg_close(&parts[i]);
    }
}

// The parts of one message: how many, those past `max` dropped; 0: there is none.
static size_t receive(void *socket, zmq_msg_t *parts, size_t max)
{
    size_t n = 0;
    bool is_more = true;
    while (is_more) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&part);
            break;
        }
        is_more = zmq_msg_more(&part);
        if (n < max) {
            zmq_msg_init(&parts[n]);
            zmq_msg_move(&parts[n++], &part);
        }
        zmq_msg_close(&part);
    }
    return n;
}

static bool begin_replay(struct feed_zmq *feed)
{
    unsigned char from[8];
    if (!feed->dealer.socket) {
        return false;
    }
    for (unsigned i = 0; i < 8; i++) {
        from[i] = (unsigned char)(feed->expected >> (56 - 8 * i));
    }
    if (zmq_send(feed->dealer.socket, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(feed->dealer.socket, from, 8, ZMQ_DONTWAIT) < 0) {
        return false;
    }
    feed->is_replaying = true;
    feed->n_silent = 0;
    return true;
}

static void take_batch(struct feed_zmq *feed, zmq_msg_t parts[3])
{
    apply(feed, msg_str(&parts[0]), msg_str(&parts[2]));
    feed->expected = get_be(zmq_msg_data(&parts[1])) + 1;
    feed->is_begun = true;
    feed->n_idle = 0;
}

// A batch that does not follow what was heard. True: it waits for a replay.
static bool meet_gap(struct feed_zmq *feed, zmq_msg_t parts[3], uint64_t seq)
{
    feed->counts.n_gaps++;
    if (!feed->is_begun || seq < feed->expected) { // the publisher began anew, or was there before us
        feed->expected = 0;
        clear_all(feed);
    }
    if (!begin_replay(feed)) {
        clear_all(feed);
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        zmq_msg_init(&feed->held[i]);
        zmq_msg_move(&feed->held[i], &parts[i]);
    }
    feed->has_held = true;
    return true;
}

static void end_replay(struct feed_zmq *feed)
{
    feed->is_replaying = false;
    if (feed->has_held) {
        feed->has_held = false;
        uint64_t seq = get_be(zmq_msg_data(&feed->held[1]));
        if (seq >= feed->expected) {
            if (seq > feed->expected) { // it has forgotten some
                clear_all(feed);
            }
            take_batch(feed, feed->held);
        }
        close_all(feed->held, 3);
    }
}

// False: there is nothing more to read now.
static bool listen_once(struct feed_zmq *feed)
{
    zmq_msg_t parts[3];
    size_t n = feed->is_replaying ? 0 : receive(feed->sub.socket, parts, 3);
    if (n == 0) {
        return false;
    }
    if (n < 3 || zmq_msg_size(&parts[1]) != 8) {
        feed->counts.n_bad++;
        close_all(parts, n);
        return true;
    }
    uint64_t seq = get_be(zmq_msg_data(&parts[1]));
    bool follows = feed->is_begun ? seq == feed->expected : seq == 0;
    if (!follows && meet_gap(feed, parts, seq)) {
        return false;
    }
    take_batch(feed, parts);
    close_all(parts, 3);
    return true;
}

static bool replay_once(struct feed_zmq *feed)
{
    zmq_msg_t parts[4]; // empty, topic, number, payload
    size_t n = feed->dealer.socket ? receive(feed->dealer.socket, parts, 4) : 0;
    if (n == 0) {
        return false;
    }
    feed->n_silent = 0;
    if (n == 4 && zmq_msg_size(&parts[2]) == 8 && feed->is_replaying) {
        uint64_t seq = get_be(zmq_msg_data(&parts[2]));
        if (seq == END_SEQ) {
            end_replay(feed);
        } else if (seq >= feed->expected) {
            if (seq > feed->expected) { // the first ones are forgotten there
                clear_all(feed);
            }
            take_batch(feed, &parts[1]);
            feed->counts.n_replayed++;
        }
    }
    close_all(parts, n);
    return true;
}

// ---- sockets on the loop -------------------------------------------------------------------------------------------

static void watch(struct port *port)
{
    if (port->socket && !port->feed->is_stopped && !port->op.is_pending) {
        loop_poll(port->feed->loop, &port->op, port->fd, POLLIN);
    }
}

static void read_both(struct feed_zmq *feed)
{
    bool has_more = true;
    for (unsigned i = 0; i < BATCHES_PER_TURN && has_more; i++) {
        has_more = replay_once(feed);
        has_more = listen_once(feed) || has_more;
    }
    if (has_more && !feed->again.is_pending) { // others come first
        loop_timer(feed->loop, &feed->again, 0);
    }
}

static void port_ready(struct loop_op *op, int res)
{
    struct port *port = (struct port *)op;
    if (res < 0 || port->feed->is_stopped) {
        return;
    }
    read_both(port->feed);
    watch(port);
}

static void tick_done(struct loop_op *op, int res)
{
    struct feed_zmq *feed = (struct feed_zmq *)op;
    if (feed->is_stopped || res < 0) {
        return;
    }
    if (!feed->is_replaying && ++feed->n_idle % PROBE_TICKS == 0) {
        begin_replay(feed);
    } else if (feed->is_replaying && ++feed->n_silent > (feed->has_held ? REPLAY_TICKS : PROBE_WAIT_TICKS)) {
        if (feed->has_held) {
            log_warn("%s does not answer", feed->spec.replay);
            clear_all(feed);
        }
        end_replay(feed);
    }
    read_both(feed);
    loop_timer(feed->loop, &feed->tick, TICK_NS);
}

static void again_done(struct loop_op *op, int res)
{
    struct feed_zmq *feed = (struct feed_zmq *)((char *)op - offsetof(struct feed_zmq, again));
    if (res == 0 && !feed->is_stopped) {
        read_both(feed);
    }
}

static int open_port(struct feed_zmq *feed, void *context, int type, const char *endpoint, struct port *port,
                     struct err *err)
{
    int hwm = HELD_MAX, linger = 0;
    size_t size = sizeof(port->fd);
    port->feed = feed;
    port->op.done = port_ready;
    port->socket = zmq_socket(context, type);
    if (!port->socket || zmq_setsockopt(port->socket, ZMQ_RCVHWM, &hwm, sizeof(hwm)) < 0 ||
        zmq_setsockopt(port->socket, ZMQ_LINGER, &linger, sizeof(linger)) < 0 ||
        (type == ZMQ_SUB && zmq_setsockopt(port->socket, ZMQ_SUBSCRIBE, "", 0) < 0) ||
        zmq_connect(port->socket, endpoint) < 0 || zmq_getsockopt(port->socket, ZMQ_FD, &port->fd, &size) < 0) {
        return err_set(err, -errno, "%s: %s", endpoint, zmq_strerror(errno));
    }
    return 0;
}

// ---- its life ------------------------------------------------------------------------------------------------------

static int take_part(struct feed_zmq_spec *spec, struct str part, struct err *err)
{
    const struct {
        const char *name;
        char *place;
        size_t size;
    } rows[] = {
        { "replay", spec->replay, sizeof(spec->replay) },
        { "peer", spec->peer, sizeof(spec->peer) },
        { "model", spec->model, sizeof(spec->model) },
    };
    struct str name, value = str_cut(part, '=', &name);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (str_eq(name, str_from(rows[i].name)) && value.len > 0 && value.len < rows[i].size) {
            memcpy(rows[i].place, value.ptr, value.len);
            return 0;
        }
    }
    return err_set(err, -EINVAL, "\"%.*s\" is not replay=, peer= or model= with a value", STR_ARG(str_take(part, 80)));
}

static int refuse_endpoint(struct str endpoint, struct err *err)
{
    return err_set(err, -EINVAL, "\"%.*s\" is no endpoint like tcp://HOST:5557", STR_ARG(str_take(endpoint, 80)));
}

int feed_zmq_parse(const char *text, struct feed_zmq_spec *ret, struct err *err)
{
    struct str part, rest = str_cut(str_from(text), ',', &part);
    *ret = (struct feed_zmq_spec){ 0 };
    if (!address_is_zmq(part) || part.len >= sizeof(ret->endpoint)) {
        return refuse_endpoint(part, err);
    }
    memcpy(ret->endpoint, part.ptr, part.len);
    int r = 0;
    while (rest.len > 0 && r == 0) {
        rest = str_cut(rest, ',', &part);
        r = take_part(ret, part, err);
    }
    if (r == 0 && ret->replay[0] && !address_is_zmq(str_from(ret->replay))) {
        r = refuse_endpoint(str_from(ret->replay), err);
    }
    return r;
}

int feed_zmq_new(struct loop *loop, void *zmq_context, const struct feed_zmq_spec *spec, struct scorer *scorer,
                 struct feed_zmq **ret, struct err *err)
{
    struct feed_zmq *feed = calloc(1, sizeof(*feed));
    if (!feed) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    *ret = feed;
    feed->loop = loop;
    feed->scorer = scorer;
    feed->tick.done = tick_done;
    feed->again.done = again_done;
    arena_init(&feed->scratch, 0);
    feed->spec = *spec;
    int r = open_port(feed, zmq_context, ZMQ_SUB, feed->spec.endpoint, &feed->sub, err);
    r = r < 0 || !feed->spec.replay[0]
            ? r
            : open_port(feed, zmq_context, ZMQ_DEALER, feed->spec.replay, &feed->dealer, err);
    if (r == 0) {
        watch(&feed->sub);
        watch(&feed->dealer);
        loop_timer(loop, &feed->tick, 0);
    }
    return r;
}

void feed_zmq_stop(struct feed_zmq *feed)
{
    if (feed && !feed->is_stopped) {
        feed->is_stopped = true;
        loop_cancel(feed->loop, &feed->tick);
        loop_cancel(feed->loop, &feed->again);
        loop_cancel(feed->loop, &feed->sub.op);
        loop_cancel(feed->loop, &feed->dealer.op);
    }
}

void feed_zmq_free(struct feed_zmq *feed)
{
    if (!feed) {
        return;
    }
    if (feed->has_held) {
        close_all(feed->held, 3);
    }
    if (feed->sub.socket) {
        zmq_close(feed->sub.socket);
    }
    if (feed->dealer.socket) {
        zmq_close(feed->dealer.socket);
    }
    while (feed->publishers) {
        struct publisher *p = feed->publishers;
        feed->publishers = p->next;
        free(p);
    }
    arena_deinit(&feed->scratch);
    free(feed);
}

const struct feed_zmq_counts *feed_zmq_counts(const struct feed_zmq *feed)
{
    return &feed->counts;
}
