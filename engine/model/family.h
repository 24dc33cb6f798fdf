// The families of decoders that the engine runs, a row each: in which features they differ, and what their
// configuration means where it says nothing.
#ifndef TOKFS_MODEL_FAMILY_H
#define TOKFS_MODEL_FAMILY_H

#include "engine/model/config.h"
#include "engine/model/config_reader.h"

// When the field sliding_window counts: never; whenever it is a number; only with use_sliding_window.
enum window_rule { WINDOW_NEVER, WINDOW_BY_VALUE, WINDOW_BY_SWITCH };

// Which layers the window limits where layer_types does not say: all; those from max_window_layers on; all but the last
// of every `window_period` (sliding_window_pattern, where the file has it); those without rope.
enum window_layers { WINDOWED_ALL, WINDOWED_LATE, WINDOWED_PERIOD, WINDOWED_NOPE };

struct family {
    const char *architecture, *model_type;
    uint32_t features;                  // FEATURE_*: what all its models have
    uint32_t attention_bias, mlp_bias;  // FEATURE_*: what these fields switch on
    enum glu activation;                // where its field is absent
    const char *activation_key;         // NULL: hidden_act
    const char *gelu_name;              // one more name of the gelu by tanh, or NULL
    double attn_softcap, logit_softcap; // where the fields are absent; 0: none
    bool has_attention_bias;            // where attention_bias is absent
    const char *quantization;           // the quant_method that the files have; NULL: none is taken
    bool is_tied;                       // where tie_word_embeddings is absent
    enum window_rule window;
    enum window_layers windowed;
    uint32_t window_default; // where sliding_window is absent; 0: no window
    uint32_t window_first;   // where max_window_layers is absent
    uint32_t window_period;
    uint32_t kv_heads_default;        // where num_key_value_heads is absent; 0: as many as attention heads
    uint32_t head_dim_default;        // where head_dim is absent; 0: hidden_size / num_attention_heads
    double eps_default;               // where rms_norm_eps is absent
    bool needs_rope_scaling;          // a file without it is not taken
    double theta_default;             // where rope_theta is absent
    uint32_t n_experts_default;       // where num_experts (num_local_experts) is absent
    uint32_t n_experts_used_default;  // where num_experts_per_tok is absent
    uint32_t n_ff_expert_default;     // where moe_intermediate_size is absent; 0: intermediate_size, always
    int32_t bos_default, eos_default; // where the fields are absent; -1: none
};

// The row of `architectures` and `model_type` (either may be absent). -EINVAL, -EOPNOTSUPP: err names it.
int family_find(const struct config_reader *r, const struct family **ret);
// Refuses by name what changes the computation and is not among the family's features.
int family_check_fields(const struct config_reader *r, const struct family *family);

#endif
