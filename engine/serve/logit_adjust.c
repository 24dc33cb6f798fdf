// The grammar, then bans, then biases, then penalties, on a copy of the row. Owns the copy and a table of marks, one
// per id, which are taken back by a second walk over the tokens that made them.
//
// repetition_penalty (CTRL, Keskar et al. 2019): positive logits of tokens in the prompt or the answer are divided by
// it, negative ones multiplied. frequency_penalty is taken once for each time a token was sampled, presence_penalty
// once (OpenAI's formula: mu[j] - c[j] * frequency - (c[j] > 0) * presence).
#include "engine/serve/logit_adjust.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// repetition_penalty applies; below it: how often it was sampled
#define SEEN_IN_WINDOW SAMPLE_IN_WINDOW

int logit_adjust_init(struct logit_adjust *adjust, size_t n_vocab)
{
    *adjust = (struct logit_adjust){ .n_vocab = n_vocab };
    adjust->row = calloc(n_vocab, sizeof(*adjust->row));
    adjust->seen = calloc(n_vocab, sizeof(*adjust->seen));
    if (!adjust->row || !adjust->seen) {
        logit_adjust_deinit(adjust);
        return -ENOMEM;
    }
    return 0;
}

void logit_adjust_deinit(struct logit_adjust *adjust)
{
    free(adjust->row);
    free(adjust->seen);
    *adjust = (struct logit_adjust){ 0 };
}

static bool has_repetition(const struct sampling_params *params)
{
    return params->repetition_penalty > 0 && params->repetition_penalty != 1;
}

static bool has_penalties(const struct sampling_params *params)
{
    return has_repetition(params) || params->frequency_penalty != 0 || params->presence_penalty != 0;
}

static void forbid(struct logit_adjust *adjust, struct token_set ban)
{
    for (size_t i = 0; i < ban.n; i++) {
        if (ban.ids[i] >= 0 && (size_t)ban.ids[i] < adjust->n_vocab) {
            adjust->row[ban.ids[i]] = -INFINITY;
        }
    }
}

static void add_biases(struct logit_adjust *adjust, const struct sampling_params *params)
{
    for (size_t i = 0; i < params->n_bias; i++) {
        if ((size_t)params->bias[i].id < adjust->n_vocab) {
            adjust->row[params->bias[i].id] += params->bias[i].bias;
        }
    }
}

static void mark_tokens(struct logit_adjust *adjust, const struct sampler_input *input, uint32_t first)
{
    uint32_t window_first = input->n_tokens;
    if (has_repetition(input->params)) {
        uint64_t window = (uint64_t)input->params->repetition_window;
        window_first = window == 0 || window > input->n_tokens ? 0 : input->n_tokens - (uint32_t)window;
    }
    for (uint32_t i = first; i < input->n_tokens; i++) {
        uint32_t *seen = &adjust->seen[input->tokens[i]];
        *seen += i >= input->n_prompt;
        *seen |= i >= window_first ? SEEN_IN_WINDOW : 0;
    }
}

static float penalized(float logit, uint32_t seen, const struct sampling_params *params)
{
    double x = (double)logit;
    uint32_t n_sampled = seen & ~SEEN_IN_WINDOW;
    if (seen & SEEN_IN_WINDOW) {
        x = x > 0 ? x / params->repetition_penalty : x * params->repetition_penalty;
    }
    if (n_sampled > 0) {
        x -= params->frequency_penalty * n_sampled + params->presence_penalty;
    }
    return (float)x;
}

static void penalize(struct logit_adjust *adjust, const struct sampler_input *input)
{
    uint32_t first = has_repetition(input->params) ? 0 : input->n_prompt; // the others do not see the prompt
    mark_tokens(adjust, input, first);
    for (uint32_t i = first; i < input->n_tokens; i++) {
        int32_t id = input->tokens[i];
        if (adjust->seen[id] != 0) {
            adjust->row[id] = penalized(adjust->row[id], adjust->seen[id], input->params);
            adjust->seen[id] = 0;
        }
    }
}

bool logit_adjust_is_needed(const struct sampler_input *input)
{
    size_t n_bans = 0;
    for (size_t i = 0; i < BANS_MAX; i++) {
        n_bans += input->bans[i].n;
    }
    return guide_restricts(input->guide) || n_bans > 0 || input->params->n_bias > 0 || has_penalties(input->params);
}

const float *logit_adjust_apply(struct logit_adjust *adjust, const struct sampler_input *input)
{
    if (!logit_adjust_is_needed(input)) {
        return input->logits;
    }
    if (guide_restricts(input->guide)) {
        guide_restrict(input->guide, input->ends, BANS_MAX, input->logits, adjust->n_vocab, adjust->row);
    } else {
        memcpy(adjust->row, input->logits, adjust->n_vocab * sizeof(*adjust->row));
    }
    for (size_t i = 0; i < BANS_MAX; i++) {
        forbid(adjust, input->bans[i]);
    }
    add_biases(adjust, input->params);
    if (has_penalties(input->params)) {
        penalize(adjust, input);
    }
    return adjust->row;
}

// ---- as a list -----------------------------------------------------------------------------------------------------

struct edit_list {
    struct sample_edit *edits; // [n_max]
    size_t n, n_max;           // n > n_max: there was no room
};

// The edit of a token, for which `seen` has its place in the list and one. NULL: no room.
static struct sample_edit *edit_of(struct logit_adjust *adjust, struct edit_list *list, int32_t id)
{
    if (id < 0 || (size_t)id >= adjust->n_vocab || list->n > list->n_max) {
        return NULL;
    }
    if (adjust->seen[id] == 0) {
        if (list->n == list->n_max) {
            list->n++;
            return NULL;
        }
        list->edits[list->n++] = (struct sample_edit){ .id = id };
        adjust->seen[id] = (uint32_t)list->n;
    }
    return &list->edits[adjust->seen[id] - 1];
}

// Marks become edits: from here on `seen` has places.
static void list_seen(struct logit_adjust *adjust, const struct sampler_input *input, struct edit_list *list)
{
    uint32_t first = has_repetition(input->params) ? 0 : input->n_prompt;
    size_t n_marked = 0;
    mark_tokens(adjust, input, first);
    for (uint32_t i = first; i < input->n_tokens; i++) {
        uint32_t seen = adjust->seen[input->tokens[i]];
        adjust->seen[input->tokens[i]] = 0;
        if (seen != 0 && n_marked++ < list->n_max) {
            list->edits[list->n++] = (struct sample_edit){ .id = input->tokens[i], .seen = seen };
        }
    }
    list->n = n_marked;
    for (size_t i = 0; i < list->n && list->n <= list->n_max; i++) {
        adjust->seen[list->edits[i].id] = (uint32_t)i + 1;
    }
}

size_t logit_adjust_list(struct logit_adjust *adjust, const struct sampler_input *input, struct sample_edit *ret,
                         size_t n_max)
{
    struct edit_list list = { .edits = ret, .n_max = n_max };
    if (has_penalties(input->params)) {
        list_seen(adjust, input, &list);
    }
    for (size_t i = 0; i < input->params->n_bias; i++) {
        struct sample_edit *edit = edit_of(adjust, &list, input->params->bias[i].id);
        if (edit) {
            edit->bias = input->params->bias[i].bias;
        }
    }
    for (size_t set = 0; set < BANS_MAX; set++) {
        for (size_t i = 0; i < input->bans[set].n; i++) {
            struct sample_edit *edit = edit_of(adjust, &list, input->bans[set].ids[i]);
            if (edit) {
                edit->bias = -INFINITY;
            }
        }
    }
    for (size_t i = 0; i < list.n && i < n_max; i++) {
        adjust->seen[ret[i].id] = 0;
    }
    return list.n <= n_max ? list.n : SIZE_MAX;
}
