// Typed fields of a JSON object; errors name the file, the field and its value.
#ifndef TOKFS_MODEL_CONFIG_READER_H
#define TOKFS_MODEL_CONFIG_READER_H

#include "engine/base/err.h"
#include "engine/base/json.h"
#include <stdbool.h>
#include <stdint.h>

#define CONFIG_DIM_MAX (1u << 24) // largest width, vocabulary or context that is believed

struct config_reader {
    const char *file; // and, of an object inside, its key: "config.json: rope_scaling"
    const struct json *object;
    struct err *err;
};

// NULL when the field is absent or null.
const struct json *config_get(const struct json *object, const char *key);
// A scalar's text, at most 80 bytes of it, for messages.
struct str config_clip(const struct json *v);
int config_wrong_value(const struct config_reader *r, const char *key, const struct json *v, const char *expected);
int config_unsupported(const struct config_reader *r, const char *key, const struct json *v);

// A whole number in [1, max]; `fallback` where the field is absent or null, 0 meaning that it must be there.
int config_get_u32(const struct config_reader *r, const char *key, uint32_t max, uint32_t fallback, uint32_t *ret);
// A number in [1e-15, 1e15], so that quotients of two stay finite in f32. `fallback` as above.
int config_get_positive(const struct config_reader *r, const char *key, double fallback, double *ret);
// A list of n such numbers, which must be there.
int config_get_positives(const struct config_reader *r, const char *key, uint32_t n, float *ret);
int config_get_bool(const struct config_reader *r, const char *key, bool fallback, bool *ret);
// false, or a number equal to `neutral`: the field changes nothing.
bool config_is_neutral(const struct json *v, double neutral);

#endif
