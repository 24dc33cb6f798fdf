// The families of decoders that the engine runs, a row each: in which features they differ, and what their
// configuration means where it says nothing.
#ifndef TOKFS_MODEL_FAMILY_H
#define TOKFS_MODEL_FAMILY_H

#include "engine/model/config.h"
#include "engine/model/config_reader.h"

// When the field sliding_window counts: never; whenever it is a number; only with use_sliding_window.
enum window_rule { WINDOW_NEVER, WINDOW_BY_VALUE, WINDOW_BY_SWITCH };

struct family {
    const char *architecture, *model_type;
    uint32_t features;                 // FEATURE_*: what all its models have
    uint32_t attention_bias, mlp_bias; // FEATURE_*: what these fields switch on
    enum window_rule window;
    uint32_t window_default;          // where sliding_window is absent; 0: no window
    uint32_t kv_heads_default;        // where num_key_value_heads is absent; 0: as many as attention heads
    int32_t bos_default, eos_default; // where the fields are absent; -1: none
};

// The row of `architectures` and `model_type` (either may be absent). -EINVAL, -EOPNOTSUPP: err names it.
int family_find(const struct config_reader *r, const struct family **ret);
// Refuses by name what changes the computation and is not among the family's features.
int family_check_fields(const struct config_reader *r, const struct family *family);

#endif
