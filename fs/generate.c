// Writes answers from a turn's pieces: those of a choice lie among those of the others.
//
// Members and their order: SGLang's TokenizerManager. A log probability is [logprob, id, text or null], as exact as it
// was computed.
#include "fs/generate.h"

#include "engine/base/json.h"
#include "fs/mount.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// The pieces of one choice that are told, but for its end.
struct told {
    const struct turn *turn;
    unsigned index;
    size_t *pieces; // [n_pieces] indices
    size_t n_pieces, n_tokens;
    const char *finish_reason; // NULL: it goes on
};

// Up to the piece `last`. 0 or -ENOMEM; to be deinited.
static int told_init(struct told *told, const struct turn *turn, size_t last)
{
    const struct turn_piece *piece = &turn->pieces[last];
    *told = (struct told){ .turn = turn, .index = piece->index };
    told->pieces = calloc(piece->nth, sizeof(*told->pieces));
    if (!told->pieces) {
        return -ENOMEM;
    }
    told->finish_reason = piece->is_end ? turn_piece_at(turn, last).finish_reason : NULL;
    told->n_pieces = piece->nth - piece->is_end;
    size_t at = piece->is_end ? piece->before : last + 1;
    for (size_t i = told->n_pieces; i > 0; i--) {
        told->pieces[i - 1] = at - 1;
        told->n_tokens += turn->pieces[at - 1].token_id >= 0;
        at = turn->pieces[at - 1].before;
    }
    return 0;
}

// ---- text and ids --------------------------------------------------------------------------------------------------

static void write_text(struct json_writer *w, const struct told *told)
{
    struct strbuf text;
    strbuf_init(&text, 0);
    for (size_t i = 0; i < told->n_pieces; i++) {
        struct tokfs_piece piece = turn_piece_at(told->turn, told->pieces[i]);
        strbuf_append(&text, (struct str){ piece.text, piece.text_len });
    }
    json_write_key(w, "text");
    json_write_str(w, strbuf_str(&text));
    w->out->error = w->out->error ? w->out->error : text.error;
    strbuf_deinit(&text);
}

static void write_ids(struct json_writer *w, const struct told *told)
{
    json_write_key(w, "output_ids");
    json_write_array_begin(w);
    for (size_t i = 0; i < told->n_pieces; i++) {
        const struct turn_piece *piece = &told->turn->pieces[told->pieces[i]];
        if (piece->token_id >= 0) {
            json_write_i64(w, piece->token_id);
        }
    }
    json_write_array_end(w);
}

// ---- log probabilities ---------------------------------------------------------------------------------------------

static void write_prob(struct json_writer *w, const struct turn *turn, const struct tokfs_logprob *prob)
{
    json_write_array_begin(w);
    json_write_double(w, (double)prob->logprob); // null for what is not a number
    json_write_i64(w, prob->id);
    if (turn->texts_in_logprobs) {
        json_write_str(w, (struct str){ prob->bytes, prob->n_bytes });
    } else {
        json_write_null(w);
    }
    json_write_array_end(w);
}

static void write_top(struct json_writer *w, const struct turn *turn, const struct tokfs_logprob *probs, size_t n_probs)
{
    json_write_array_begin(w);
    for (size_t i = 1; i < n_probs; i++) {
        write_prob(w, turn, &probs[i]);
    }
    json_write_array_end(w);
}

static void write_output_probs(struct json_writer *w, const struct told *told, bool is_top)
{
    const struct turn *turn = told->turn;
    json_write_key(w, is_top ? "output_top_logprobs" : "output_token_logprobs");
    json_write_array_begin(w);
    for (size_t i = 0; i < told->n_pieces; i++) {
        const struct turn_piece *piece = &turn->pieces[told->pieces[i]];
        if (piece->n_probs == 0) {
            continue;
        }
        const struct tokfs_logprob *probs = &turn->probs[piece->first_prob];
        if (!is_top) {
            write_prob(w, turn, &probs[0]);
            continue;
        }
        write_top(w, turn, probs, piece->n_probs);
    }
    json_write_array_end(w);
}

// The prompt's, from the token on that was asked for; of that one nothing is told.
static void write_input_probs(struct json_writer *w, const struct told *told, bool is_top)
{
    const struct turn *turn = told->turn;
    const struct tokfs_completion *prompts = turn_prompts(turn);
    struct tokfs_logprob probs[TOKFS_PROBS_MAX];
    uint32_t rank;
    size_t n_tokens = 0;
    const int32_t *ids = prompts ? tokfs_completion_prompt(prompts, told->index, &n_tokens) : NULL;
    size_t first = turn->probs_from >= 0 ? (size_t)turn->probs_from : n_tokens > 0 ? n_tokens - 1 : 0;
    json_write_key(w, is_top ? "input_top_logprobs" : "input_token_logprobs");
    json_write_array_begin(w);
    for (size_t pos = first; pos < n_tokens; pos++) {
        size_t n = pos > first ? tokfs_completion_prompt_probs(prompts, told->index, pos, probs, &rank) : 0;
        if (n == 0 && !is_top) {
            probs[0] = (struct tokfs_logprob){ .id = ids[pos], .logprob = NAN };
            probs[0].bytes = tokfs_token_bytes(turn->mount->engine, ids[pos], &probs[0].n_bytes);
        }
        if (!is_top) {
            write_prob(w, turn, &probs[0]);
        } else if (n == 0) {
            json_write_null(w);
        } else {
            write_top(w, turn, probs, n);
        }
    }
    json_write_array_end(w);
}

static void write_logprobs(struct json_writer *w, const struct told *told)
{
    if (!told->turn->has_logprobs) {
        return;
    }
    write_input_probs(w, told, false);
    if (told->turn->n_top_logprobs > 0) {
        write_input_probs(w, told, true);
    }
    write_output_probs(w, told, false);
    if (told->turn->n_top_logprobs > 0) {
        write_output_probs(w, told, true);
    }
}

// ---- meta_info -----------------------------------------------------------------------------------------------------

static void write_finish(struct json_writer *w, const struct told *told)
{
    const struct turn_choice *choice = &told->turn->choices[told->index];
    json_write_key(w, "finish_reason");
    if (!told->finish_reason) {
        json_write_null(w);
        return;
    }
    bool is_length = str_eq(str_from(told->finish_reason), STR("length"));
    json_write_object_begin(w);
    json_write_key(w, "type");
    json_write_cstr(w, told->finish_reason);
    if (is_length) {
        json_write_key(w, "length");
        json_write_u64(w, told->n_tokens);
    } else if (choice->matched.ptr) {
        json_write_key(w, "matched");
        json_write_str(w, choice->matched);
    } else if (choice->matched_id >= 0) {
        json_write_key(w, "matched");
        json_write_i64(w, choice->matched_id);
    }
    json_write_object_end(w);
}

static void write_id(struct json_writer *w, const struct told *told)
{
    const struct turn *turn = told->turn;
    char id[sizeof(turn->id) + 16];
    json_write_key(w, "id");
    if (turn->choices[told->index].name) {
        json_write_cstr(w, turn->choices[told->index].name);
        return;
    }
    snprintf(id, sizeof(id), turn->is_list ? "%s_%u" : "%s", turn->id, told->index);
    json_write_cstr(w, id);
}

// When each token was sampled, and at the end what the answer took.
static void write_timings(struct json_writer *w, const struct told *told)
{
    const struct turn *turn = told->turn;
    const struct tokfs_usage *usage = &turn->choices[told->index].usage;
    if (!turn->timings_per_token) {
        return;
    }
    json_write_key(w, "timings");
    json_write_object_begin(w);
    json_write_key(w, "sampled_ns");
    json_write_array_begin(w);
    for (size_t i = 0; i < told->n_pieces; i++) {
        if (turn->pieces[told->pieces[i]].token_id >= 0) {
            json_write_u64(w, turn->pieces[told->pieces[i]].sampled_ns);
        }
    }
    json_write_array_end(w);
    const struct {
        const char *name;
        uint64_t ns;
    } times[] = { { "queue_ns", usage->queue_ns },
                  { "prefill_ns", usage->prefill_ns },
                  { "ttft_ns", usage->ttft_ns },
                  { "decode_ns", usage->decode_ns },
                  { "total_ns", usage->total_ns } };
    for (size_t i = 0; told->finish_reason && i < sizeof(times) / sizeof(times[0]); i++) {
        json_write_key(w, times[i].name);
        json_write_u64(w, times[i].ns);
    }
    json_write_object_end(w);
}

static void write_meta(struct json_writer *w, const struct told *told)
{
    const struct turn_choice *choice = &told->turn->choices[told->index];
    json_write_key(w, "meta_info");
    json_write_object_begin(w);
    write_id(w, told);
    write_finish(w, told);
    json_write_key(w, "prompt_tokens");
    json_write_u64(w, choice->n_prompt);
    json_write_key(w, "completion_tokens");
    json_write_u64(w, told->n_tokens);
    json_write_key(w, "cached_tokens");
    json_write_u64(w, choice->usage.cached_tokens);
    write_logprobs(w, told);
    write_timings(w, told);
    if (told->finish_reason) {
        json_write_key(w, "e2e_latency");
        json_write_double(w, (double)choice->usage.total_ns / 1e9);
    }
    json_write_object_end(w);
}

// Up to the piece `last`.
static int write_answer(struct json_writer *w, const struct turn *turn, size_t last, bool has_index)
{
    struct told told;
    int r = told_init(&told, turn, last);
    if (r < 0) {
        return r;
    }
    json_write_object_begin(w);
    write_text(w, &told);
    write_ids(w, &told);
    write_meta(w, &told);
    if (has_index) {
        json_write_key(w, "index");
        json_write_u64(w, told.index);
    }
    json_write_object_end(w);
    free(told.pieces);
    return w->out->error;
}

// ---- answers -------------------------------------------------------------------------------------------------------

int generate_write_run(const struct turn *turn, size_t first, size_t n, struct strbuf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    return write_answer(&w, turn, first + n - 1, turn->is_list);
}

int generate_write_response(struct turn *turn, struct strbuf *out)
{
    struct json_writer w;
    int r = 0;
    json_writer_init(&w, out);
    if (turn->is_list) {
        json_write_array_begin(&w);
    }
    for (unsigned i = 0; i < turn->n && r == 0; i++) {
        r = write_answer(&w, turn, turn->choices[i].last - 1, false); // every choice has an end
    }
    if (turn->is_list) {
        json_write_array_end(&w);
    }
    return r < 0 ? r : strbuf_append_byte(out, '\n');
}
