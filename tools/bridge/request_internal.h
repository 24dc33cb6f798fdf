// What request.c (reading it), relay.c (asking mounts) and respond.c (answering) share.
#ifndef TOKFS_BRIDGE_REQUEST_INTERNAL_H
#define TOKFS_BRIDGE_REQUEST_INTERNAL_H

#include "engine/base/json.h"
#include "engine/base/str.h"
#include "tools/bridge/exchange.h"
#include "tools/bridge/outlet.h"
#include "tools/bridge/request.h"
#include "tools/bridge/route.h"

#define REQUEST_ID_LEN 36
#define MODEL_NAME_MAX 256

// What one mount says to a request.
struct part {
    struct request *request;
    struct exchange *exchange; // NULL: it has ended, or was not asked
    struct exchange_ends ends;
    struct strbuf bytes;   // read; of a streamed answer, what has not been sent
    size_t n_sent;         // of them
    struct json_scan scan; // of an answer that is not streamed
    unsigned mount_idx;
    bool is_paused; // the exchange waits for exchange_go_on
};

struct request {
    struct loop_op watch; // the client's end of the connection, while a mount is asked
    struct bridge *bridge;
    struct request *next, *prev;
    struct MHD_Connection *connection; // NULL: it is over
    const struct route *route;         // NULL: there is no such path
    struct access_user user;           // its name is borrowed until the next load of keys: copied below
    char user_name[64];
    char id[REQUEST_ID_LEN + 1];
    char *uri, *method, *version; // for the log
    char *path;                   // decoded, without the query
    struct strbuf body;
    size_t n_skipped;           // bytes of a body that is too long
    bool is_crowded_out;        // by the bodies of others
    struct score_asked *scored; // by the crew, now; NULL: not
    struct routed *routed;      // by the router; NULL: not
    struct part *parts;
    unsigned n_parts, n_running;
    struct listing *listing; // of the index, being sent; NULL: not
    uint64_t begin_ns;
    uint64_t n_response_bytes;
    unsigned status;
    bool is_begun, is_asked, is_suspended, is_streaming, is_aborted;
    bool is_sent_on; // by a router: the own mounts are to answer it
    bool is_resumed; // once
    uint64_t look_after_ns;
    bool is_half_closed;    // the client sends no more, but listens
    bool is_chunked;        // the answer, and the socket takes what is written to it as it is
    bool is_without_index;  // scores that were to come from a shared index could not
    bool is_between_events; // what was sent of a stream ends with a whole event
    struct outlet outlet;   // of who reads the stream, between relay_lend and relay_take_back
};

// ---- request.c -----------------------------------------------------------------------------------------------------
void request_suspend(struct request *request);
void request_resume(struct request *request);
int request_socket(const struct request *request);

// ---- relay.c -------------------------------------------------------------------------------------------------------
// Asks the mounts what the route needs; answers itself when all have answered. MHD_NO: out of memory.
enum MHD_Result relay_start(struct request *request);
// A transaction for the bridge's own mounts.
enum MHD_Result relay_ask_own(struct request *request);
// The socket of a suspended connection, to the thread that reads what it is sent, if all of that has been sent; and
// back before anybody else does something with it.
void relay_lend(struct request *request);
void relay_take_back(struct request *request);
void relay_forget_parts(struct request *request); // none runs; others may be asked
void relay_cancel(struct request *request);
void relay_deinit(struct request *request); // nothing runs any more

// ---- respond.c -----------------------------------------------------------------------------------------------------
// Each queues the one answer of a request.
// `bytes` is malloc'ed and taken over.
enum MHD_Result respond(struct request *request, unsigned status, const char *type, char *bytes, size_t len);
enum MHD_Result respond_static(struct request *request, unsigned status, const char *type, struct str bytes);
void respond_write_error(struct strbuf *out, unsigned status, const char *code, const char *param, const char *message);
// An error object in OpenAI's form.
enum MHD_Result respond_error(struct request *request, unsigned status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
// Likewise, with the parameter that it is about.
enum MHD_Result respond_error_of(struct request *request, unsigned status, const char *code, const char *param,
                                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
enum MHD_Result respond_page(struct request *request);
enum MHD_Result respond_preflight(struct request *request);
// What `reader` gives, whose first argument is the request.
enum MHD_Result respond_reader(struct request *request, unsigned status, const char *type,
                               MHD_ContentReaderCallback reader);
// Server-sent events from parts[0].
enum MHD_Result respond_stream(struct request *request);

#endif
