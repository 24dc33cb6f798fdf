#include "engine/serve/device_draws.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define WORD_BITS 64

static size_t n_words(const struct device_draws *draws)
{
    return (draws->n_vocab + WORD_BITS - 1) / WORD_BITS;
}

int device_draws_init(struct device_draws *draws, size_t n_vocab, size_t n_rows_max)
{
    *draws = (struct device_draws){ .n_vocab = n_vocab, .n_rows_max = n_rows_max };
    draws->n_masks_max = n_rows_max < DEVICE_MASKS_MAX ? n_rows_max : DEVICE_MASKS_MAX;
    draws->rows = calloc(n_rows_max, sizeof(*draws->rows));
    draws->edits = calloc(DEVICE_EDITS_MAX, sizeof(*draws->edits));
    draws->masks = calloc(draws->n_masks_max * n_words(draws), sizeof(*draws->masks));
    if (!draws->rows || !draws->edits || !draws->masks || logit_adjust_init(&draws->adjust, n_vocab) < 0) {
        device_draws_deinit(draws);
        return -ENOMEM;
    }
    return 0;
}

void device_draws_deinit(struct device_draws *draws)
{
    free(draws->rows);
    free(draws->edits);
    free(draws->masks);
    logit_adjust_deinit(&draws->adjust);
    *draws = (struct device_draws){ 0 };
}

void device_draws_reset(struct device_draws *draws)
{
    draws->n_rows = draws->n_edits = draws->n_masks = 0;
}

// What the row is changed by. False: there is no room.
static bool add_changes(struct device_draws *draws, const struct sampler_input *input, struct sample_row *row)
{
    struct sample_edit *edits = draws->edits + draws->n_edits;
    size_t n = logit_adjust_list(&draws->adjust, input, edits, DEVICE_EDITS_MAX - draws->n_edits);
    bool is_restricted = guide_restricts(input->guide);
    if (n == SIZE_MAX || (is_restricted && draws->n_masks == draws->n_masks_max)) {
        return false;
    }
    row->edits = edits;
    row->n_edits = (uint32_t)n;
    draws->n_edits += n;
    if (is_restricted) {
        uint64_t *mask = draws->masks + draws->n_masks++ * n_words(draws);
        guide_mask(input->guide, input->ends, BANS_MAX, draws->n_vocab, mask);
        row->mask = mask;
    }
    return true;
}

bool device_draws_add(struct device_draws *draws, const struct sampler_input *input, uint32_t ahead, bool wants_probs,
                      uint32_t n_top)
{
    const struct sampling_params *params = input->params;
    bool has_typical = params->typical_p > 0 && params->typical_p < 1;
    bool is_changed = logit_adjust_is_needed(input);
    assert(draws->n_rows < draws->n_rows_max);
    // A guess that is right may change what comes after it.
    if (has_typical || (ahead > 0 && (is_changed || (input->guide && input->guide->plan)))) {
        return false;
    }
    bool is_greedy = params->temperature < SAMPLER_TEMPERATURE_MIN;
    struct sample_row row = { .seed = input->seed,
                              .pos = input->pos + ahead,
                              .top_p = params->top_p,
                              .repetition_penalty = params->repetition_penalty,
                              .frequency_penalty = params->frequency_penalty,
                              .presence_penalty = params->presence_penalty,
                              .scale = is_greedy ? 0 : (float)(1.0 / params->temperature),
                              .log_min_p = params->min_p > 0 ? (float)log(params->min_p) : -INFINITY,
                              .wants_probs = wants_probs,
                              .n_top = n_top };
    if (params->top_k > 0 && (uint64_t)params->top_k < draws->n_vocab) {
        row.top_k = (uint32_t)params->top_k;
    }
    if (is_changed && !add_changes(draws, input, &row)) {
        return false;
    }
    draws->rows[draws->n_rows++] = row;
    return true;
}

void device_draws_add_nothing(struct device_draws *draws)
{
    assert(draws->n_rows < draws->n_rows_max);
    draws->rows[draws->n_rows++] = (struct sample_row){ .top_p = 1, .repetition_penalty = 1, .log_min_p = -INFINITY };
}
