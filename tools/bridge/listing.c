#include "tools/bridge/listing.h"
#include "tools/bridge/scoring.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct listing {
    struct scorer *scorer;
    uint64_t at; // of the walk
    bool is_over;
    struct strbuf lines; // of a piece of the index
    size_t n_sent;
};

void listing_free(struct listing *listing)
{
    if (listing) {
        strbuf_deinit(&listing->lines);
        free(listing);
    }
}

static void add_line(void *ctx, uint64_t hash, uint32_t node, unsigned tiers)
{
    struct listing *listing = ctx;
    const struct score_source *source = scorer_source_of(listing->scorer, node);
    struct score_source_stats stats;
    struct json_writer w;
    if (!source) {
        return;
    }
    score_source_get_stats(source, &stats);
    strbuf_printf(&listing->lines, "{\"hash\":\"%016" PRIx64 "\",\"peer\":", hash);
    json_writer_init(&w, &listing->lines);
    json_write_cstr(&w, scorer_peer_name(listing->scorer, score_source_peer(source)));
    strbuf_append(&listing->lines, STR(",\"model\":"));
    json_writer_init(&w, &listing->lines);
    json_write_cstr(&w, score_source_model(source));
    strbuf_printf(&listing->lines, ",\"block_size\":%" PRIu32 ",\"tiers\":[", stats.block_size);
    bool is_first = true;
    for (unsigned t = 0; t < KV_N_TIERS; t++) {
        if (tiers >> t & 1) {
            strbuf_printf(&listing->lines, "%s\"%s\"", is_first ? "" : ",", kv_tier_names[t]);
            is_first = false;
        }
    }
    strbuf_append(&listing->lines, STR("]}\n"));
}

static ssize_t read_listing(void *cls, uint64_t at, char *out, size_t size)
{
    struct request *request = cls;
    struct listing *listing = request->listing;
    (void)at;
    while (listing->n_sent == listing->lines.len && !listing->is_over) {
        strbuf_reset(&listing->lines);
        listing->n_sent = 0;
        kv_index_walk(scorer_index(listing->scorer), &listing->at, add_line, listing);
        listing->is_over = listing->at == 0;
    }
    if (listing->lines.error) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    struct str rest = str_take(str_skip(strbuf_str(&listing->lines), listing->n_sent), size);
    if (rest.len == 0) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    memcpy(out, rest.ptr, rest.len);
    listing->n_sent += rest.len;
    request->n_response_bytes += rest.len;
    return (ssize_t)rest.len;
}

enum MHD_Result listing_start(struct request *request)
{
    struct bridge *bridge = request->bridge;
    if (!bridge->scoring) {
        return respond_error(request, 501, "no_scores", "this bridge was not started with --score");
    }
    if (strcmp(request->method, "HEAD") == 0) { // after a head alone the library would send the last chunk all the same
        return respond_static(request, 200, "application/x-ndjson", STR(""));
    }
    request->listing = calloc(1, sizeof(*request->listing));
    if (!request->listing) {
        return respond_error(request, 503, "out_of_memory", "out of memory");
    }
    request->listing->scorer = scoring_scorer(bridge->scoring);
    strbuf_init(&request->listing->lines, 0);
    return respond_reader(request, 200, "application/x-ndjson", read_listing);
}
