// The peers of a router: what it knows of each beside the scorer, and those that options name, which are asked for the
// models of their own mounts every two seconds. Loop thread only.
#ifndef TOKFS_BRIDGE_PEERS_H
#define TOKFS_BRIDGE_PEERS_H

#include "tools/bridge/client.h"
#include "tools/bridge/options.h"
#include "tools/kv/score.h"

#define PEER_URL_MAX 512

struct peers;

struct peer {       // by its number in the scorer
    char name[256]; // whose figures these are: numbers are given again
    unsigned n_requests;
    uint64_t down_until_ns; // it failed, and is not asked until then
    uint64_t life;          // another one once it has failed: what it was sent before says nothing of its cache
};

// `via` is the router's name for the mark of its requests (via.h). What is borrowed outlives it.
int peers_new(struct loop *loop, struct client *client, struct scorer *scorer, const struct options *options,
              const char *via, struct peers **ret, struct err *err);
void peers_stop(struct peers *peers); // NULL is accepted, likewise below; free it when the loop has nothing pending
void peers_free(struct peers *peers);

// Its figures, begun anew when the number is another's now; valid until the next call. NULL: out of memory.
struct peer *peers_at(struct peers *peers, unsigned idx);
void peers_url(const struct peers *peers, unsigned idx, const char *path, char ret[PEER_URL_MAX]);
void peers_failed(struct peers *peers, unsigned idx); // it is not asked for a while
// The models of all but peer `but` (-1: none), and but for named peers that do not answer, in the form of /v1/models;
// one that several have is there several times.
void peers_write_models(const struct peers *peers, int but, struct strbuf *ret);
// How many peers, but for `but`, have a model and may be asked now; the names of the others are appended, each in a
// line of its own.
unsigned peers_write_health(struct peers *peers, int but, struct strbuf *ret);
void peers_write_metrics(const struct peers *peers, struct strbuf *out);

#endif
