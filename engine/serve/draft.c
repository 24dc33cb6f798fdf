// Pure functions. The search looks for the latest earlier place of the last three tokens, else of the last two:
// repeated code, quoted text and lists are found by three, names by two.
#include "engine/serve/draft.h"

#include <stdbool.h>
#include <string.h>

#define KEY_MAX 3
#define KEY_MIN 2
#define LENGTH  4 // at first
#define REST_MIN                                                                                                       \
    8 // steps without guesses after they were wrong down to a length of one; doubles from failure to failure
#define REST_MAX 128

void draft_init(struct draft_state *state)
{
    *state = (struct draft_state){ .n_next = LENGTH, .n_rest_next = REST_MIN };
}

// Where what followed the last n_key tokens begins; 0: nowhere.
static uint32_t find_key(const int32_t *tokens, uint32_t n_tokens, uint32_t n_key)
{
    const int32_t *key = tokens + n_tokens - n_key;
    for (uint32_t end = n_tokens - 1; end >= n_key; end--) {
        if (tokens[end - 1] == key[n_key - 1] && memcmp(tokens + end - n_key, key, n_key * sizeof(*key)) == 0) {
            return end;
        }
    }
    return 0;
}

uint32_t draft_find(const int32_t *tokens, uint32_t n_tokens, uint32_t n_max, int32_t *ret)
{
    uint32_t at = 0;
    for (uint32_t n_key = KEY_MAX; n_key >= KEY_MIN && at == 0 && n_max > 0; n_key--) {
        at = n_tokens > n_key ? find_key(tokens, n_tokens, n_key) : 0;
    }
    if (at == 0) {
        return 0;
    }
    uint32_t n = 0;
    for (; n < n_max; n++) { // past the end the guess repeats itself: a loop goes on
        ret[n] = at + n < n_tokens ? tokens[at + n] : ret[at + n - n_tokens];
    }
    return n;
}

uint32_t draft_length(struct draft_state *state)
{
    if (state->n_rest > 0) {
        state->n_rest--;
        return 0;
    }
    return state->n_next;
}

void draft_adapt(struct draft_state *state, uint32_t n_guessed, uint32_t n_right)
{
    if (n_right > 0) {
        state->n_rest_next = REST_MIN;
    }
    if (n_right == n_guessed) {
        uint32_t n = 2 * n_guessed > state->n_next ? 2 * n_guessed : state->n_next;
        state->n_next = (uint8_t)(n < DRAFT_MAX ? n : DRAFT_MAX);
    } else if (n_right > 0) {
        state->n_next = (uint8_t)(n_right + 1);
    } else if (n_guessed > 1) {
        state->n_next = (uint8_t)(n_guessed / 2);
    } else {
        state->n_next = 1;
        state->n_rest = state->n_rest_next;
        state->n_rest_next = (uint8_t)(2 * state->n_rest < REST_MAX ? 2 * state->n_rest : REST_MAX);
    }
}
