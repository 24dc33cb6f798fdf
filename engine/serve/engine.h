// The engine as its own files see it: what each thread owns, and where threads meet.
//
//     caller thread --work--> text threads --admission--> engine thread
//        ^   ^                     |                          |
//        |   +------ verdicts -----+                          |
//        +------------------ events (ring) -------------------+
#ifndef TOKFS_SERVE_ENGINE_H
#define TOKFS_SERVE_ENGINE_H

#include "engine/cache/kv_log.h"
#include "engine/serve/handoff.h"
#include "engine/serve/intake.h"
#include "engine/serve/model_files.h"
#include "engine/serve/runner.h"
#include "engine/serve/sizes.h"
#include "engine/serve/wake.h"

#define TEXT_THREADS_MAX 2
#define END_IDS_MAX      (MODEL_EOS_MAX + 1)

struct tokfs_engine {
    // Constant after open.
    char *served_name;
    char fingerprint[16];
    struct sizes sizes;
    struct backend *backend; // see below
    char device_note[256];   // struct tokfs_engine_info
    uint64_t tokenizer_hash;
    struct model *model;
    struct tokenizer *tok;
    struct chat_format format;
    struct model_files files;
    struct grammar_store grammars; // text threads; what answers are guided by
    struct intake intake;
    int32_t end_ids[END_IDS_MAX];
    size_t n_end_ids;
    struct tokfs_engine_info info;
    char backend_description[192], architecture[64], pack_note[256]; // what `info` tells
    int event_fd;                                                    // readable while events or verdicts may be there
    atomic_bool is_signalled; // event_fd is readable, or about to be, or tokfs_poll has yet to look: see engine_signal
    int64_t created;

    // Where threads meet.
    struct completion_queue work;      // caller -> text threads
    struct completion_queue admission; // text threads -> engine thread
    struct completion_queue verdicts;  // text threads -> caller: accepted or refused
    struct event_ring ring;            // engine thread -> caller
    struct kv_log kv_log;              // engine thread -> caller
    struct wake wake;                  // wakes the engine thread
    struct handoff handoff;            // the engine thread lets the caller pass events on first
    atomic_bool cancel_pending;        // some completion's cancel flag was set
    atomic_bool wants_room;            // the engine thread sleeps until the ring has room
    atomic_bool is_closing;

    // Engine thread; the model and the backend are its own, too, once it runs: it may have to open them again.
    struct runner runner;
    struct tokfs_engine_options reopening; // what is needed for that, strings its own
    struct err reopen_error;
    uint64_t retry_ns;

    pthread_mutex_t stats_lock; // of the three below
    struct tokfs_engine_stats stats;
    uint64_t n_refused;
    uint64_t n_texts; // done: work on text alone

    // Caller thread.
    struct tokfs_tenant tenant;      // of the submissions to come
    size_t n_live;                   // completions whose memory is not free yet
    size_t waiting_bytes;            // charged by those that wait
    size_t n_waiting;                // of them, those neither started nor over, as far as events told
    struct tokfs_error polled_error; // of the FAILED event polled last
    struct tokfs_logprob polled_probs[1 + TOP_LOGPROBS_MAX]; // of the TOKEN event polled last, or that comes next
    size_t n_polled_probs;
    char polled_call_id[ANSWER_CALL_ID_MAX + 1]; // of the TOKEN event polled last, or that comes next
    uint64_t n_submitted;
    bool has_kv_record; // polled last, not taken yet

    pthread_t engine_thread, text_threads[TEXT_THREADS_MAX];
    unsigned n_text_threads;
    bool has_engine_thread, has_runner;
    atomic_size_t score_bytes; // see scores.h
};

// The backend and the model, as the options say. `note`: why device "auto" took the CPU; or NULL.
int engine_open_model(struct tokfs_engine *engine, const struct tokfs_engine_options *options, char note[256],
                      struct err *err);
void engine_signal(struct tokfs_engine *engine); // makes event_fd readable; any thread
int engine_start_threads(struct tokfs_engine *engine, struct err *err);
void engine_stop_text_threads(struct tokfs_engine *engine);
void engine_stop_engine_thread(struct tokfs_engine *engine);

#endif
