// Properties of config.json's reader on any bytes: it refuses with a reason, or gives a config within the bounds that
// the loader and the step rely on.
#include "engine/model/config.h"
#include "tests/fuzz/fuzz.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHAPE                                                                                                          \
    "\"hidden_size\":64,\"intermediate_size\":172,\"num_hidden_layers\":5,\"num_attention_heads\":8,"                  \
    "\"num_key_value_heads\":4,\"vocab_size\":512,\"max_position_embeddings\":512,\"rms_norm_eps\":1e-05"

const struct str fuzz_seeds[] = {
    STR("{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\"," SHAPE
        ",\"head_dim\":8,\"eos_token_id\":[2,3],\"bos_token_id\":1,\"tie_word_embeddings\":true,\"torch_dtype\":"
        "\"bfloat16\","
        "\"rope_theta\":10000.0,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":32.0,\"low_freq_factor\":1.0,"
        "\"high_freq_factor\":4.0,\"original_max_position_embeddings\":8192}}"),
    STR("{\"architectures\":[\"Qwen2ForCausalLM\"],\"model_type\":\"qwen2\"," SHAPE
        ",\"use_sliding_window\":false,\"sliding_window\":4096,\"dtype\":\"float32\",\"layer_types\":[\"full_"
        "attention\"],"
        "\"rope_parameters\":{\"rope_type\":\"linear\",\"rope_theta\":1e6,\"factor\":2.5}}"),
    STR("{\"model_type\":\"qwen3\"," SHAPE
        ",\"use_sliding_window\":true,\"sliding_window\":9,\"max_window_layers\":2,\"attention_bias\":true}"),
    STR("{\"model_type\":\"smollm3\"," SHAPE ",\"no_rope_layers\":[1,1,0,1,1],\"no_rope_layer_interval\":2,"
        "\"layer_types\":[\"full_attention\",\"full_attention\",\"full_attention\",\"full_attention\","
        "\"full_attention\"]}"),
    STR("{\"model_type\":\"gemma3_text\"," SHAPE
        ",\"hidden_activation\":\"gelu_pytorch_tanh\",\"sliding_window_pattern\":2,\"query_pre_attn_scalar\":20,"
        "\"attn_logit_softcapping\":null,\"final_logit_softcapping\":30.0,\"rope_parameters\":{\"full_attention\":{"
        "\"rope_type\":\"linear\",\"factor\":8},\"sliding_attention\":{\"rope_theta\":5000.0}}}"),
    STR("{\"model_type\":\"qwen3_moe\"," SHAPE
        ",\"num_experts\":8,\"num_experts_per_tok\":2,\"moe_intermediate_size\":12,\"norm_topk_prob\":true,"
        "\"decoder_sparse_step\":2,\"mlp_only_layers\":[3]}"),
    STR("{\"model_type\":\"mixtral\"," SHAPE
        ",\"num_local_experts\":8,\"num_experts_per_tok\":2,\"sliding_window\":3}"),
    STR("{\"model_type\":\"gpt_oss\"," SHAPE
        ",\"head_dim\":8,\"num_local_experts\":8,\"num_experts_per_tok\":2,\"sliding_window\":3,\"swiglu_limit\":7.0,"
        "\"quantization_config\":{\"quant_method\":\"mxfp4\"},\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":32.0,"
        "\"truncate\":false,\"original_max_position_embeddings\":64}}"),
    STR("{\"model_type\":\"qwen3\"," SHAPE
        ",\"quantization_config\":{\"quant_method\":\"fp8\",\"fmt\":\"e4m3\",\"activation_scheme\":\"dynamic\","
        "\"weight_block_size\":[128,128],\"modules_to_not_convert\":[\"lm_head\"]}}"),
    STR("{\"model_type\":\"qwen3\"," SHAPE ",\"quantization_config\":{\"quant_method\":\"compressed-tensors\","
        "\"format\":\"float-quantized\",\"ignore\":[],"
        "\"config_groups\":{\"group_0\":{\"weights\":{\"type\":\"float\",\"num_bits\":8,\"strategy\":\"block\","
        "\"block_structure\":[128,128]}}}}}"),
    STR("{\"model_type\":\"phi3\"," SHAPE
        ",\"partial_rotary_factor\":0.5,\"original_max_position_embeddings\":32,\"rope_scaling\":{\"type\":\"su\","
        "\"short_factor\":[1,2],\"long_factor\":[1.5,9]}}"),
    STR("{\"model_type\":\"qwen2\"," SHAPE
        ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0,\"original_max_position_embeddings\":128,\"mscale\":1,"
        "\"beta_fast\":32,\"beta_slow\":1,\"truncate\":false,\"mscale_all_dim\":0.7,\"attention_factor\":1.2}}"),
    STR("{\"model_type\":\"mistral\"," SHAPE ",\"hidden_act\":\"silu\",\"attention_bias\":false,\"mlp_bias\":null}"),
    { NULL, 0 },
};

const struct str fuzz_words[] = {
    STR("null"),  STR("true"),          STR("false"),           STR("-1"),       STR("0"),           STR("1e308"),
    STR("0.5"),   STR("16777216"),      STR("4294967297"),      STR("[]"),       STR("{}"),          STR("\"silu\""),
    STR("[2,2]"), STR("\"head_dim\":"), STR("\"rope_theta\":"), STR("\"yarn\""), STR("\"default\""), STR("1e-320"),
    { NULL, 0 },
};

static void check(const struct model_config *c)
{
    assert(c->n_vocab > 0 && c->n_embd > 0 && c->n_ff > 0 && c->n_layers > 0 && c->n_ctx_max > 0);
    assert(c->n_kv_heads > 0 && c->n_heads % c->n_kv_heads == 0);
    assert(c->head_dim > 0 && c->head_dim % 2 == 0 && c->head_dim <= 4096);
    assert(c->n_layers <= MODEL_LAYERS_MAX);
    for (uint32_t i = 0; i < c->n_layers; i++) {
        assert(!(c->layers[i] & LAYER_WINDOWED) || c->window > 0);
        assert(!(c->layers[i] & LAYER_EXPERTS) || (c->n_experts > 0 && c->n_ff_expert > 0));
    }
    assert(c->rope.n_dims % 2 == 0 && c->rope.n_dims <= c->head_dim && isfinite(c->attn_scale));
    assert(c->n_experts_used <= c->n_experts && c->n_experts <= MODEL_EXPERTS_MAX);
    assert(c->n_eos <= MODEL_EOS_MAX && c->bos_id < (int64_t)c->n_vocab);
    for (uint32_t i = 0; i < c->n_eos; i++) {
        assert(c->eos_ids[i] >= 0 && (uint32_t)c->eos_ids[i] < c->n_vocab);
    }
    assert(model_config_n_params(c) > 0);
    float inv_freq[2048], scale;
    rope_frequencies(&c->rope, c->n_ctx_max, inv_freq, &scale);
    assert(isfinite(scale));
    assert(isfinite(c->attn_softcap) && c->attn_softcap >= 0 && isfinite(c->logit_softcap) && c->logit_softcap >= 0);
    if (model_has(c, FEATURE_WINDOW_ROPE)) {
        rope_frequencies(&c->window_rope, c->n_ctx_max, inv_freq, &scale);
        assert(c->window_rope.n_dims <= c->head_dim && isfinite(scale) && isfinite(inv_freq[0]));
    }
    for (uint32_t i = 0; i < c->rope.n_dims / 2; i++) {
        assert(isfinite(inv_freq[i]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = { (const char *)data, size };
    struct model_config config;
    struct err err = { 0 };
    int rc = model_config_parse(text, STR(""), &config, &err);
    assert(rc == 0 ? err.code == 0 : rc == err.code && err.msg[0] != 0);
    if (rc == 0) {
        check(&config);
        struct model_config with_generation;
        rc = model_config_parse(text, text, &with_generation, &err); // adds no end token that is not there already
        assert(rc == 0 && with_generation.n_eos == config.n_eos);
    }
    return 0;
}
