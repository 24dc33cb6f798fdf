// config.json: what transformers reads from it, and what must be refused by name.
#include "engine/base/json.h"
#include "engine/model/config.h"
#include "engine/model/file.h"
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// A later member of the same name replaces an earlier one, so tests append what they change.
#define BASE                                                                                                           \
    "\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 64,"                       \
    "\"intermediate_size\": 172, \"num_hidden_layers\": 5, \"num_attention_heads\": 8, \"num_key_value_heads\": 4,"    \
    "\"vocab_size\": 512, \"max_position_embeddings\": 512, \"rms_norm_eps\": 1e-05, \"hidden_act\": \"silu\","        \
    "\"torch_dtype\": \"bfloat16\", \"use_cache\": true, \"pretraining_tp\": 2, \"some_new_field\": {\"a\": [1]}"

#define FAMILY(type, name) "\"model_type\": \"" type "\", \"architectures\": [\"" name "ForCausalLM\"]"
#define GEMMA2             FAMILY("gemma2", "Gemma2")
#define GEMMA3             FAMILY("gemma3_text", "Gemma3")
#define MIXTRAL            FAMILY("mixtral", "Mixtral")
#define QWEN3_MOE          FAMILY("qwen3_moe", "Qwen3Moe")
#define F8(method)         "\"quantization_config\": {\"quant_method\": " method "}"
#define F8_WEIGHTS(fields) F8("\"compressed-tensors\", \"config_groups\": {\"group_0\": {\"weights\": {" fields "}}}")
#define GPT_OSS            FAMILY("gpt_oss", "GptOss") ", \"quantization_config\": {\"quant_method\": \"mxfp4\"}"
#define MISTRAL            FAMILY("mistral", "Mistral")
#define QWEN3              FAMILY("qwen3", "Qwen3")
#define PHI3               FAMILY("phi3", "Phi3")
#define SMOLLM3            FAMILY("smollm3", "SmolLM3")

static int parse_full(const char *changes, const char *generation, struct model_config *ret, struct err *err)
{
    struct strbuf text;
    strbuf_init(&text, 0);
    strbuf_printf(&text, "{%s%s%s}", BASE, *changes ? "," : "", changes);
    memset(err, 0, sizeof(*err));
    int rc = model_config_parse(strbuf_str(&text), str_from(generation), ret, err);
    strbuf_deinit(&text);
    return rc;
}

static int parse(const char *changes, struct model_config *ret)
{
    struct err err;
    return parse_full(changes, "", ret, &err);
}

static void test_config_llama_gives_fields_and_defaults(void **state)
{
    (void)state;
    struct model_config c;
    assert_int_equal(parse("", &c), 0);
    assert_string_equal(c.architecture, "LlamaForCausalLM");
    assert_string_equal(c.model_type, "llama");
    assert_int_equal(c.n_vocab, 512);
    assert_int_equal(c.n_embd, 64);
    assert_int_equal(c.n_ff, 172);
    assert_int_equal(c.n_layers, 5);
    assert_int_equal(c.n_heads, 8);
    assert_int_equal(c.n_kv_heads, 4);
    assert_int_equal(c.head_dim, 8);
    assert_int_equal(c.n_ctx_max, 512);
    assert_float_equal(c.rms_eps, 1e-5f, 0);
    assert_int_equal(c.features, 0);
    assert_int_equal(c.rope.scaling, ROPE_SCALING_NONE);
    assert_true(c.rope.theta == 10000);
    assert_int_equal(c.dtype, DTYPE_BF16);
    assert_int_equal(c.bos_id, 1);
    assert_int_equal(c.n_eos, 1);
    assert_int_equal(c.eos_ids[0], 2);
    // embeddings, 5 x (qkv, o, mlp, 2 norms), norm
    assert_int_equal(model_config_n_params(&c), 2 * 512 * 64 + 5 * (64 * 128 + 64 * 64 + 3 * 64 * 172 + 2 * 64) + 64);
}

static void test_config_derived_fields_follow_transformers(void **state)
{
    (void)state;
    struct model_config c;
    assert_int_equal(parse("\"num_key_value_heads\": null", &c), 0);
    assert_int_equal(c.n_kv_heads, 8);
    assert_int_equal(parse("\"head_dim\": 24", &c), 0);
    assert_int_equal(c.head_dim, 24);
    assert_int_equal(parse("\"attention_bias\": true, \"mlp_bias\": true, \"tie_word_embeddings\": true", &c), 0);
    assert_int_equal(c.features, FEATURE_TIED | FEATURE_QKV_BIAS | FEATURE_O_BIAS | FEATURE_MLP_BIAS);
    assert_int_equal(parse("\"dtype\": \"float16\"", &c), 0);
    assert_int_equal(c.dtype, DTYPE_F16);
    assert_int_equal(parse("\"model_type\": \"qwen2\", \"architectures\": [\"Qwen2ForCausalLM\"]", &c), 0);
    assert_int_equal(c.features, FEATURE_QKV_BIAS);
    assert_int_equal(c.bos_id, -1);
    assert_int_equal(c.n_eos, 0);
}

static void test_config_end_tokens_of_both_files_are_joined_without_repeats(void **state)
{
    (void)state;
    struct model_config c;
    struct err err;
    assert_int_equal(parse_full("\"eos_token_id\": [7, 9, 7]", "{\"eos_token_id\": [9, 11]}", &c, &err), 0);
    assert_int_equal(c.n_eos, 3);
    assert_int_equal(c.eos_ids[0], 7);
    assert_int_equal(c.eos_ids[1], 9);
    assert_int_equal(c.eos_ids[2], 11);
    assert_int_equal(parse("\"eos_token_id\": null, \"bos_token_id\": null", &c), 0);
    assert_int_equal(c.n_eos, 0);
    assert_int_equal(c.bos_id, -1);
    assert_int_equal(parse_full("", "{\"eos_token_id\": 512}", &c, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "generation_config.json: eos_token_id"));
}

static void test_config_rope_scaling_in_both_spellings(void **state)
{
    (void)state;
    struct model_config c;
    assert_int_equal(parse("\"rope_theta\": 500, \"rope_scaling\": {\"type\": \"linear\", \"factor\": 4}", &c), 0);
    assert_int_equal(c.rope.scaling, ROPE_SCALING_LINEAR);
    assert_true(c.rope.theta == 500 && c.rope.factor == 4);
    assert_int_equal(parse("\"rope_scaling\": null", &c), 0);
    assert_int_equal(c.rope.scaling, ROPE_SCALING_NONE);
    const char *llama3 = "\"rope_theta\": 1, \"rope_parameters\": {\"rope_type\": \"llama3\", \"rope_theta\": 500000.0,"
                         "\"factor\": 32.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0,"
                         "\"original_max_position_embeddings\": 8192}";
    assert_int_equal(parse(llama3, &c), 0);
    assert_int_equal(c.rope.scaling, ROPE_SCALING_LLAMA3);
    assert_true(c.rope.theta == 500000 && c.rope.factor == 32 && c.rope.low_freq_factor == 1);
    assert_true(c.rope.high_freq_factor == 4 && c.rope.n_ctx_original == 8192);
}

static void test_config_window_that_never_limits_is_accepted(void **state)
{
    (void)state;
    struct model_config c;
    const char *accepted[] = {
        "\"sliding_window\": null",
        "\"sliding_window\": 512",
        "\"layer_types\": [\"full_attention\", \"full_attention\", \"full_attention\", \"full_attention\", "
        "\"full_attention\"]",
        "\"model_type\": \"mistral\", \"architectures\": [\"MistralForCausalLM\"], \"sliding_window\": null",
        "\"model_type\": \"mistral\", \"architectures\": [\"MistralForCausalLM\"]", // default 4096 > 512 positions
        "\"model_type\": \"qwen2\", \"architectures\": [\"Qwen2ForCausalLM\"], \"sliding_window\": 4,"
        "\"use_sliding_window\": false",
        "\"partial_rotary_factor\": 1.0, \"num_experts\": 0, \"quantization_config\": null, \"qk_norm\": false",
    };
    for (size_t i = 0; i < sizeof(accepted) / sizeof(*accepted); i++) {
        assert_int_equal(parse(accepted[i], &c), 0);
    }
}

// "x" for each layer with experts, "w" for one that is windowed, "n" for one that does not turn, "." for others.
static const char *layers_of(const struct model_config *c, char text[MODEL_LAYERS_MAX + 1])
{
    for (uint32_t i = 0; i < c->n_layers; i++) {
        text[i] = c->layers[i] & LAYER_EXPERTS    ? 'x'
                  : c->layers[i] & LAYER_WINDOWED ? 'w'
                  : c->layers[i] & LAYER_NOPE     ? 'n'
                                                  : '.';
    }
    text[c->n_layers] = 0;
    return text;
}

static void test_config_layers_follow_the_family_or_their_list(void **state)
{
    (void)state;
    static const struct {
        const char *changes, *layers;
        uint32_t window;
    } cases[] = {
        { MISTRAL ", \"max_position_embeddings\": 8192", "wwwww", 4096 },
        { MISTRAL ", \"sliding_window\": 7", "wwwww", 7 },
        { MISTRAL ", \"sliding_window\": null", ".....", 0 },
        { QWEN3 ", \"sliding_window\": 7", ".....", 0 },
        { QWEN3 ", \"use_sliding_window\": true, \"max_window_layers\": 3", "...ww", 4096 },
        { QWEN3 ", \"use_sliding_window\": true", ".....", 4096 }, // of 28 layers and more
        { QWEN3 ", \"use_sliding_window\": true, \"sliding_window\": 9, \"layer_types\": [\"sliding_attention\","
                "\"full_attention\", \"full_attention\", \"sliding_attention\", \"full_attention\"]",
          "w..w.", 9 },
        { GEMMA2, "w.w.w", 4096 },
        { GEMMA3, "wwwww", 4096 },
        { GEMMA3 ", \"sliding_window_pattern\": 2, \"sliding_window\": 3", "w.w.w", 3 },
        { MIXTRAL, "xxxxx", 0 },
        { QWEN3_MOE, "xxxxx", 0 },
        { QWEN3_MOE ", \"decoder_sparse_step\": 2, \"mlp_only_layers\": [3, 0]", ".x...", 0 },
        { GPT_OSS
          ", \"rope_scaling\": {\"type\": \"default\"}, \"num_experts_per_tok\": 1, \"mlp_only_layers\": [0,1,2,3,4]",
          "w.w.w", 128 },
        { SMOLLM3, "...n.", 0 },
        { SMOLLM3 ", \"no_rope_layers\": [0, 1, 1, 1, 0]", "n...n", 0 },
        { SMOLLM3 ", \"no_rope_layer_interval\": 2, \"use_sliding_window\": true, \"sliding_window\": 5", ".w.w.", 5 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct model_config c;
        struct err err;
        char text[MODEL_LAYERS_MAX + 1];
        if (parse_full(cases[i].changes, "", &c, &err) < 0) {
            fail_msg("%s: %s", cases[i].changes, err.msg);
        }
        assert_string_equal(layers_of(&c, text), cases[i].layers);
        assert_int_equal(c.window, cases[i].window);
    }
}

static void test_config_gemma_scores_caps_and_ropes(void **state)
{
    (void)state;
    struct model_config c;
    assert_int_equal(parse(GEMMA2 ", \"hidden_act\": \"relu\"", &c), 0); // hidden_activation counts
    assert_true(c.attn_softcap == 50 && c.logit_softcap == 30 && c.attn_scale == 1 / 16.0f);
    assert_true(c.activation == GLU_GELU_TANH && c.head_dim == 256 && model_has(&c, FEATURE_TIED | FEATURE_POST_NORMS));
    assert_int_equal(parse(GEMMA2 ", \"attn_logit_softcapping\": null, \"query_pre_attn_scalar\": 4", &c), 0);
    assert_true(c.attn_softcap == 0 && c.logit_softcap == 30 && c.attn_scale == 0.5f);
    assert_int_equal(parse(GEMMA3, &c), 0);
    assert_true(c.rope.theta == 1000000 && c.window_rope.theta == 10000 && c.logit_softcap == 0);
    assert_int_equal(parse(GEMMA3 ", \"rope_theta\": 7, \"rope_local_base_freq\": 8,"
                                  "\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 4}",
                           &c),
                     0);
    assert_true(c.rope.theta == 7 && c.rope.scaling == ROPE_SCALING_LINEAR && c.rope.factor == 4);
    assert_true(c.window_rope.theta == 8 && c.window_rope.scaling == ROPE_SCALING_NONE);
    assert_int_equal(parse(FAMILY("gemma", "Gemma") ", \"hidden_act\": \"gelu\"", &c), 0);
    assert_true(c.activation == GLU_GELU_TANH && c.attn_softcap == 0 && !model_has(&c, FEATURE_POST_NORMS));
}

static void test_config_experts_of_both_families(void **state)
{
    (void)state;
    struct model_config c;
    assert_int_equal(parse(MIXTRAL, &c), 0);
    assert_true(c.n_experts == 8 && c.n_experts_used == 2 && c.n_ff_expert == 172);
    assert_true(model_has(&c, FEATURE_NORMED_TOPK | FEATURE_BLOCK_SPARSE));
    // embeddings, 5 x (qkv, o, 8 experts, router, 2 norms), norm
    uint64_t experts = 8 * 3 * 64 * 172 + 8 * 64;
    assert_int_equal(model_config_n_params(&c), 2 * 512 * 64 + 5 * (64 * 128 + 64 * 64 + experts + 2 * 64) + 64);
    assert_int_equal(parse(QWEN3_MOE ", \"num_experts\": 16, \"moe_intermediate_size\": 32", &c), 0);
    assert_true(c.n_experts == 16 && c.n_experts_used == 8 && c.n_ff_expert == 32 && c.n_ff == 172);
    assert_false(model_has(&c, FEATURE_NORMED_TOPK));
    assert_int_equal(parse(QWEN3_MOE ", \"norm_topk_prob\": true, \"num_local_experts\": 9", &c), 0);
    assert_true(c.n_experts == 9 && model_has(&c, FEATURE_NORMED_TOPK));
}

static void test_config_bad_field_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *changes;
        int rc;
        const char *msg;
    } cases[] = {
        { "\"hidden_size\": \"64\"", -EINVAL, "hidden_size must be a whole number from 1 to 16777216, not string 64" },
        { "\"hidden_size\": 0", -EINVAL, "hidden_size must be" },
        { "\"hidden_size\": 64.5", -EINVAL, "number 64.5" },
        { "\"hidden_size\": 1e30", -EINVAL, "hidden_size" },
        { "\"hidden_size\": null", -EINVAL, "hidden_size is missing" },
        { "\"hidden_size\": 65", -EINVAL, "hidden_size 65 is not a multiple of num_attention_heads 8" },
        { "\"num_key_value_heads\": 3", -EINVAL, "num_attention_heads 8 is not a multiple of num_key_value_heads 3" },
        { "\"head_dim\": 9", -EINVAL, "head_dim 9 is odd" },
        { "\"rms_norm_eps\": -1", -EINVAL, "rms_norm_eps" },
        { "\"attention_bias\": 1", -EINVAL, "attention_bias must be true or false" },
        { "\"vocab_size\": true", -EINVAL, "vocab_size" },
        { "\"eos_token_id\": \"</s>\"", -EINVAL, "eos_token_id" },
        { "\"eos_token_id\": [1, -1]", -EINVAL, "eos_token_id" },
        { "\"bos_token_id\": 512", -EINVAL, "bos_token_id" },
        { "\"architectures\": \"LlamaForCausalLM\"", -EINVAL, "architectures must be a list of strings" },
        { "\"model_type\": 5", -EINVAL, "model_type must be a string" },
        { "\"architectures\": null, \"model_type\": 5", -EINVAL, "model_type must be a string" },
        { "\"architectures\": [\"MambaForCausalLM\"], \"model_type\": \"mamba\"", -EOPNOTSUPP, "MambaForCausalLM" },
        { "\"model_type\": \"mistral\"", -EOPNOTSUPP, "model_type mistral" },
        { "\"hidden_act\": \"gelu\"", -EOPNOTSUPP, "hidden_act \"gelu\"" },
        { "\"quantization_config\": {\"bits\": 4}", -EOPNOTSUPP, "quantization_config" },
        { "\"quantization_config\": {\"quant_method\": \"awq\"}", -EOPNOTSUPP,
          "quant_method \"awq\" is not supported" },
        { F8("\"fp8\", \"fmt\": \"e5m2\""), -EOPNOTSUPP, "quantization_config: fmt (e5m2)" },
        { F8("\"fp8\", \"weight_block_size\": [128]"), -EINVAL, "weight_block_size must be a pair of whole numbers" },
        { F8("\"fp8\", \"weight_block_size\": [128, 0]"), -EINVAL,
          "weight_block_size must be a pair of whole numbers" },
        { F8("\"fp8\", \"modules_to_not_convert\": \"lm_head\""), -EINVAL,
          "quantization_config: modules_to_not_convert must be a list of names, not string lm_head" },
        { F8("\"fbgemm_fp8\", \"modules_to_not_convert\": [1]"), -EINVAL, "modules_to_not_convert must be a list" },
        { F8("\"compressed-tensors\", \"format\": \"pack-quantized\""), -EOPNOTSUPP, "format (pack-quantized)" },
        { F8("\"compressed-tensors\", \"kv_cache_scheme\": {}"), -EOPNOTSUPP, "kv_cache_scheme ({})" },
        { F8("\"compressed-tensors\", \"transform_config\": {\"a\": 1}"), -EOPNOTSUPP, "transform_config ({" },
        { F8("\"compressed-tensors\""), -EOPNOTSUPP, "config_groups is not an object of one group" },
        { F8("\"compressed-tensors\", \"config_groups\": {\"a\": 1}"), -EINVAL, "weights is not an object" },
        { F8_WEIGHTS("\"type\": \"int\""), -EOPNOTSUPP, "type (int)" },
        { F8_WEIGHTS("\"num_bits\": 4"), -EOPNOTSUPP, "num_bits (4)" },
        { F8_WEIGHTS("\"num_bits\": 8"), -EINVAL, "strategy is missing" },
        { F8_WEIGHTS("\"strategy\": \"group\""), -EOPNOTSUPP, "strategy (group)" },
        { F8_WEIGHTS("\"strategy\": \"block\""), -EINVAL, "block_structure is missing" },
        { "\"sliding_window\": 128", -EOPNOTSUPP, "sliding_window (128) is not supported" },
        { "\"partial_rotary_factor\": 0.5", -EOPNOTSUPP, "partial_rotary_factor (0.5)" },
        { "\"num_local_experts\": 8", -EOPNOTSUPP, "num_local_experts" },
        { "\"layer_types\": [\"full_attention\", \"full_attention\"]", -EINVAL,
          "layer_types has 2 entries for 5 layers" },
        { "\"layer_types\": "
          "[\"full_attention\", \"sliding_attention\", \"full_attention\", \"full_attention\", \"full_attention\"]",
          -EOPNOTSUPP, "layer_types[1] \"sliding_attention\" is not supported where sliding_window is not in force" },
        { QWEN3 ", \"use_sliding_window\": true, \"sliding_window\": 0", -EINVAL, "sliding_window must be null or" },
        { QWEN3 ", \"max_window_layers\": -1", -EINVAL, "max_window_layers must be a whole number, not number -1" },
        { SMOLLM3 ", \"no_rope_layers\": [1, 0]", -EINVAL, "no_rope_layers has 2 entries for 5 layers" },
        { SMOLLM3 ", \"no_rope_layers\": [1, 1, 1, 2, 1]", -EINVAL, "no_rope_layers must be a list of 0 and 1" },
        { "\"no_rope_layers\": [1, 1, 1, 0, 1]", -EOPNOTSUPP, "no_rope_layers" },
        { "\"torch_dtype\": \"float8_e4m3fn\"", -EOPNOTSUPP, "float8_e4m3fn" },
        { "\"rope_scaling\": {\"rope_type\": \"dynamic\", \"factor\": 2}", -EOPNOTSUPP, "rope_type \"dynamic\"" },
        { "\"rope_theta\": 1, \"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 2}", -EINVAL,
          "rope_theta 1 must be" },
        { "\"rope_scaling\": {\"rope_type\": \"longrope\"}", -EINVAL, "rope_scaling: short_factor is missing" },
        { PHI3 ", \"rope_scaling\": {\"type\": \"su\", \"short_factor\": [1, 1], \"long_factor\": [1]}", -EINVAL,
          "short_factor must be a list of 4 numbers" },
        { GEMMA2 ", \"attn_logit_softcapping\": -1", -EINVAL, "attn_logit_softcapping must be a number from 1e-15" },
        { GEMMA2 ", \"rope_local_base_freq\": 10000", -EOPNOTSUPP, "rope_local_base_freq (10000)" },
        { GEMMA3 ", \"use_bidirectional_attention\": true", -EOPNOTSUPP, "use_bidirectional_attention (true)" },
        { GEMMA3 ", \"hidden_activation\": \"gelu\"", -EOPNOTSUPP, "hidden_activation \"gelu\"" },
        { "\"final_logit_softcapping\": 30", -EOPNOTSUPP, "final_logit_softcapping (30)" },
        { QWEN3_MOE ", \"mlp_only_layers\": [5]", -EINVAL, "mlp_only_layers must be a list of layers, not number 5" },
        { MIXTRAL ", \"num_experts_per_tok\": 9", -EINVAL, "num_experts_per_tok 9 is above num_local_experts 8" },
        { MIXTRAL ", \"num_local_experts\": 5000", -EINVAL, "num_local_experts must be a whole number from 1 to 1024" },
        { FAMILY("gpt_oss", "GptOss"), -EOPNOTSUPP, "quant_method \"none\" is not supported, mxfp4 is" },
        { GPT_OSS ", \"quantization_config\": {\"quant_method\": \"gptq\"}", -EOPNOTSUPP, "quant_method \"gptq\"" },
        { GPT_OSS, -EINVAL, "rope_scaling is missing" },
        { GPT_OSS ", \"swiglu_limit\": 6", -EOPNOTSUPP, "swiglu_limit (6)" },
        { PHI3 ", \"partial_rotary_factor\": 0.4", -EINVAL, "partial_rotary_factor must be a part of the head" },
        { "\"rope_scaling\": {\"type\": \"linear\"}", -EINVAL, "rope_scaling: factor is missing" },
        { "\"rope_scaling\": 4", -EINVAL, "rope_scaling must be an object" },
        { "\"rope_parameters\": {\"full_attention\": {}}", -EOPNOTSUPP, "rope_parameters: full_attention" },
        { "\"rope_parameters\": {\"partial_rotary_factor\": 0.25}", -EOPNOTSUPP, "partial_rotary_factor" },
        { "\"rope_theta\": 0", -EINVAL, "rope_theta" },
        { "\"rope_theta\": 1e-320", -EINVAL, "rope_theta must be a number from 1e-15 to 1e15" },
        { "\"hidden_size\": 40000", -EINVAL, "gives heads longer than 4096" },
        { "\"rope_scaling\": {\"type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, \"high_freq_factor\": 4}",
          -EINVAL, "high_freq_factor 4 must be above low_freq_factor 4" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct model_config c = { .n_vocab = 12345 };
        struct err err;
        int rc = parse_full(cases[i].changes, "", &c, &err);
        if (rc != cases[i].rc || !strstr(err.msg, cases[i].msg) || strncmp(err.msg, "config.json: ", 13) != 0) {
            fail_msg("%s: %d, \"%s\"", cases[i].changes, rc, err.msg);
        }
        assert_int_equal(c.n_vocab, 12345); // outputs are set on success only
    }
}

static void test_config_text_that_is_no_object_is_refused(void **state)
{
    (void)state;
    struct model_config c;
    struct err err = { 0 };
    assert_int_equal(model_config_parse(STR("{\"a\":"), STR(""), &c, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "config.json"));
    assert_int_equal(model_config_parse(STR("[1]"), STR(""), &c, &err), -EINVAL);
    assert_int_equal(model_config_parse(STR(""), STR(""), &c, &err), -EINVAL);
    assert_int_equal(model_config_parse(STR("{}"), STR(""), &c, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "architectures is missing"));
}

// Recorded from transformers: equal but for the last bits of powf.
static void test_config_rope_frequencies_equal_transformers(void **state)
{
    (void)state;
    struct strbuf text;
    struct err err;
    struct arena arena;
    const struct json *cases;
    strbuf_init(&text, 0);
    arena_init(&arena, 0);
    char dir[4096];
    snprintf(dir, sizeof(dir), "%s/tests/fixtures/models", getenv("TOKFS_SOURCE_ROOT"));
    assert_int_equal(file_read(dir, "rope_frequencies.json", 1 << 20, &text, &err), 0);
    assert_int_equal(json_parse(&arena, strbuf_str(&text), &cases, &err), 0);
    assert_true(cases->n_children >= 10);
    double worst = 0;
    for (size_t i = 0; i < cases->n_children; i++) {
        const struct json *expected = json_get(json_at(cases, i), STR("inv_freq"));
        struct model_config c;
        float inv_freq[128], scale;
        assert_int_equal(model_config_parse(json_get(json_at(cases, i), STR("config"))->text, STR(""), &c, &err), 0);
        assert_int_equal(expected->n_children, c.rope.n_dims / 2);
        double n_ctx = json_get_double(json_get(json_at(cases, i), STR("n_ctx")));
        double attn_scale = json_get_double(json_get(json_at(cases, i), STR("attn_scale")));
        rope_frequencies(&c.rope, (uint32_t)n_ctx, inv_freq, &scale);
        assert_true(scale == (float)attn_scale);
        for (size_t j = 0; j < c.rope.n_dims / 2; j++) {
            double want = json_get_double(json_at(expected, j));
            worst = fmax(worst, fabs(inv_freq[j] - want) / want);
        }
    }
    print_message("largest relative difference %.3g\n", worst);
    assert_true(worst < 2.5e-7);
    arena_deinit(&arena);
    strbuf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_llama_gives_fields_and_defaults),
        cmocka_unit_test(test_config_derived_fields_follow_transformers),
        cmocka_unit_test(test_config_end_tokens_of_both_files_are_joined_without_repeats),
        cmocka_unit_test(test_config_rope_scaling_in_both_spellings),
        cmocka_unit_test(test_config_window_that_never_limits_is_accepted),
        cmocka_unit_test(test_config_layers_follow_the_family_or_their_list),
        cmocka_unit_test(test_config_gemma_scores_caps_and_ropes),
        cmocka_unit_test(test_config_experts_of_both_families),
        cmocka_unit_test(test_config_bad_field_is_named),
        cmocka_unit_test(test_config_text_that_is_no_object_is_refused),
        cmocka_unit_test(test_config_rope_frequencies_equal_transformers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
