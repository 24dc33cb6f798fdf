#!/usr/bin/env python3
"""Writes tests/fixtures/models/: tiny models with random weights and the logits that transformers computes for them.

Each case is a Hugging Face directory plus `expected/`: prompts.json (token ids; with "greedy" the last ones are what transformers
chose) and model.safetensors (f32 logits of every position, one tensor per prompt). Weights stored as bf16 or f16 are widened before the reference runs in f32, so what is
compared is the model and not the rounding of activations. rope_frequencies.json records inv_freq of several rope settings.

Needs: torch, transformers, safetensors (PyPI). Usage: tests/oracle/gen_models.py [OUTPUT_DIR]. The files are checked in; a
run with the versions in VERSIONS writes the same ones again.
"""

import copy
import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GptOssConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
    SmolLM3Config,
)
from transformers.integrations.mxfp4 import convert_moe_packed_tensors
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

SHAPE = dict(
    vocab_size=61,
    hidden_size=40,
    intermediate_size=36,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    max_position_embeddings=64,
    rms_norm_eps=1e-5,
    tie_word_embeddings=False,
    bos_token_id=1,
    eos_token_id=2,
)

# For families beyond the skeleton: more layers of less width, a window that ends inside tiles and pages, prompts that leave it
# behind, and some tokens that the model chooses.
SMALL = dict(
    hidden_size=24,
    intermediate_size=20,
    num_hidden_layers=4,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=16,
    max_position_embeddings=128,
)
LONG = dict(prompt_lens=[3, 75], greedy=12)

LLAMA3_ROPE = dict(
    rope_type="llama3",
    rope_theta=10000.0,
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=32,
)

YARN_ROPE = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=32)

LONGROPE = dict(
    rope_type="longrope",
    rope_theta=10000.0,
    short_factor=[1.0, 1.1, 1.2, 1.4, 1.6, 1.9],
    long_factor=[1.0, 1.5, 2.5, 4.0, 9.0, 20.0],
)
GEMMA2 = dict(
    SMALL,
    sliding_window=21,
    query_pre_attn_scalar=20,
    attn_logit_softcapping=2.0,
    final_logit_softcapping=4.0,
    pad_token_id=0,
    tie_word_embeddings=True,
)
GEMMA3 = dict(
    GEMMA2,
    num_hidden_layers=5,
    attn_logit_softcapping=None,
    final_logit_softcapping=None,
    sliding_window_pattern=3,
    rope_parameters=dict(
        full_attention=dict(rope_type="linear", rope_theta=50000.0, factor=4.0),
        sliding_attention=dict(rope_type="default", rope_theta=3000.0),
    ),
)

# transformers takes the short factors while a sequence is within its original context, the engine by what it serves.
PHI3_LONGROPE = dict(
    SMALL,
    hidden_size=32,
    original_max_position_embeddings=32,
    partial_rotary_factor=0.75,
    rope_parameters=LONGROPE,
    pad_token_id=0,
)

FP8_BLOCKS = dict(quant_method="fp8", fmt="e4m3", activation_scheme="dynamic", weight_block_size=[128, 128])
FP8_STATIC = dict(quant_method="fp8", activation_scheme="static", ignored_layers=["lm_head"])
FBGEMM = dict(quant_method="fbgemm_fp8", activation_scale_ub=1200.0, modules_to_not_convert=["lm_head"])


def compressed(strategy, **more):
    weights = dict(type="float", num_bits=8, symmetric=True, dynamic=False, strategy=strategy, **more)
    inputs = dict(type="float", num_bits=8, symmetric=True, dynamic=True, strategy="token")
    groups = dict(group_0=dict(targets=["Linear"], weights=weights, input_activations=inputs, output_activations=None))
    return dict(
        quant_method="compressed-tensors",
        format="float-quantized",
        config_groups=groups,
        ignore=["lm_head"],
        kv_cache_scheme=None,
        quantization_status="compressed",
    )


# What one scale is for: (rows, columns), 0 meaning all of them; how the tensor is called, shaped and stored.
def f8(config, rows, cols, suffix="weight_scale", dtype=torch.float32, dims=2, plain=("lm_head",), inputs=False):
    return dict(config=config, grid=(rows, cols), suffix=suffix, dtype=dtype, dims=dims, plain=plain, inputs=inputs)


# Wide enough for two blocks each way, of which the last are cut.
WIDE = dict(SMALL, hidden_size=160, intermediate_size=160, num_hidden_layers=2)
# All projections have multiples of 128 inputs, which backends may keep as they are.
WHOLE = dict(SMALL, hidden_size=128, intermediate_size=256, num_hidden_layers=2, head_dim=64)

# name: (config class, changes to SHAPE, dtype, options)
CASES = {
    "gqa-f32": (LlamaConfig, {}, torch.float32, {}),
    "gqa-bf16": (LlamaConfig, {}, torch.bfloat16, {}),
    "gqa-f16": (LlamaConfig, {}, torch.float16, {}),
    "mha-tied-old-config": (
        LlamaConfig,
        dict(num_key_value_heads=4, tie_word_embeddings=True, eos_token_id=[2, 5]),
        torch.float32,
        dict(old_config=True),
    ),
    "mqa-biases-wide-heads": (
        LlamaConfig,
        dict(num_key_value_heads=1, head_dim=16, attention_bias=True, mlp_bias=True),
        torch.float32,
        {},
    ),
    "rope-llama3": (
        LlamaConfig,
        dict(head_dim=16, num_attention_heads=2, max_position_embeddings=256, rope_parameters=LLAMA3_ROPE),
        torch.float32,
        dict(prompt_lens=[7, 90]),
    ),
    "rope-linear-old-config": (
        LlamaConfig,
        dict(rope_parameters=dict(rope_type="linear", rope_theta=500.0, factor=4.0)),
        torch.float32,
        dict(old_config=True),
    ),
    "sharded": (LlamaConfig, {}, torch.float32, dict(max_shard_size="24KB")),
    "qwen2": (Qwen2Config, dict(tie_word_embeddings=True), torch.float32, {}),
    "mistral": (MistralConfig, dict(sliding_window=None, head_dim=24), torch.float32, {}),
    "mistral-window": (MistralConfig, dict(SMALL, sliding_window=13), torch.float32, LONG),
    "qwen2-window": (
        Qwen2Config,
        dict(SMALL, use_sliding_window=True, sliding_window=37, max_window_layers=2),
        torch.float32,
        LONG,
    ),
    "qwen3": (Qwen3Config, dict(SMALL, tie_word_embeddings=True), torch.float32, LONG),
    "qwen3-biases-window": (
        Qwen3Config,
        dict(SMALL, attention_bias=True, use_sliding_window=True, sliding_window=20, max_window_layers=1),
        torch.bfloat16,
        LONG,
    ),
    "smollm3": (SmolLM3Config, dict(SMALL, num_hidden_layers=5, pad_token_id=0), torch.float32, LONG),
    "llama-yarn": (LlamaConfig, dict(SMALL, rope_parameters=YARN_ROPE), torch.float32, LONG),
    "phi3-window": (
        Phi3Config,
        dict(SMALL, hidden_size=32, sliding_window=29, pad_token_id=0),
        torch.float32,
        dict(LONG, old_config=True),
    ),
    "phi3-longrope": (Phi3Config, PHI3_LONGROPE, torch.float32, dict(prompt_lens=[40, 75], greedy=12)),
    "mixtral": (
        MixtralConfig,
        dict(SMALL, num_hidden_layers=3, num_local_experts=4, sliding_window=30),
        torch.float32,
        LONG,
    ),
    "qwen3-moe": (
        Qwen3MoeConfig,
        dict(SMALL, num_experts=6, num_experts_per_tok=3, moe_intermediate_size=8, mlp_only_layers=[1], norm_topk_prob=True),
        torch.float32,
        LONG,
    ),
    "qwen3-moe-sparse": (
        Qwen3MoeConfig,
        dict(SMALL, num_experts=5, num_experts_per_tok=2, moe_intermediate_size=12, decoder_sparse_step=2),
        torch.float32,
        LONG,
    ),
    "gpt-oss": (
        GptOssConfig,
        dict(
            SMALL,
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=2,
            num_local_experts=3,
            num_experts_per_tok=2,
            sliding_window=20,
            rope_parameters=dict(YARN_ROPE, beta_fast=32.0, beta_slow=1.0, truncate=False),
        ),
        torch.float32,
        dict(LONG, mxfp4=True),
    ),
    "f8-blocks": (
        Qwen3Config,
        WIDE,
        torch.bfloat16,
        dict(
            LONG,
            f8=f8(
                FP8_BLOCKS | dict(modules_to_not_convert=["lm_head", "model.layers.1.mlp.down_proj"]),
                128,
                128,
                suffix="weight_scale_inv",
                plain=("lm_head", "layers.1.mlp.down_proj"),
            ),
        ),
    ),
    "f8-tensor": (LlamaConfig, SMALL, torch.bfloat16, dict(f8=f8(FP8_STATIC, 0, 0, dims=0, inputs=True))),
    "f8-rows": (LlamaConfig, SMALL, torch.bfloat16, dict(f8=f8(compressed("channel"), 1, 0, dtype=torch.bfloat16))),
    "f8-fbgemm": (LlamaConfig, SMALL, torch.bfloat16, dict(f8=f8(FBGEMM, 1, 0))),
    "f8-experts": (
        Qwen3MoeConfig,
        dict(SMALL, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=12),
        torch.bfloat16,
        dict(
            f8=f8(
                compressed("block", block_structure=[8, 16]), 8, 16, dtype=torch.bfloat16, plain=("lm_head", "mlp.gate.")
            )
        ),
    ),
    "f8-whole": (
        Qwen3Config,
        WHOLE,
        torch.bfloat16,
        dict(
            LONG,
            f8=f8(
                FP8_BLOCKS | dict(modules_to_not_convert=["lm_head", "model.layers.1.self_attn.k_proj"]),
                128,
                128,
                suffix="weight_scale_inv",
                plain=("lm_head", "layers.1.self_attn.k_proj"),
            ),
        ),
    ),
    "f8-whole-experts": (
        Qwen3MoeConfig,
        dict(WHOLE, num_hidden_layers=1, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=128),
        torch.bfloat16,
        dict(f8=f8(compressed("channel"), 1, 0, dtype=torch.bfloat16, plain=("lm_head", "mlp.gate."))),
    ),
    "gemma": (GemmaConfig, dict(SMALL, pad_token_id=0, tie_word_embeddings=True), torch.float32, LONG),
    "gemma2": (Gemma2Config, GEMMA2, torch.float32, LONG),
    "gemma3": (Gemma3TextConfig, GEMMA3, torch.float32, LONG),
    "gemma3-old-config": (Gemma3TextConfig, GEMMA3, torch.float32, dict(LONG, old_config=True)),
    "phi3-longrope-short": (Phi3Config, PHI3_LONGROPE, torch.float32, dict(prompt_lens=[1, 20], greedy=12)),
}


def llama3_rope(factor):
    return dict(LLAMA3_ROPE, rope_theta=500000.0, factor=factor, original_max_position_embeddings=8192)


ROPE_CASES = [
    dict(head_dim=64, rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
    dict(head_dim=128, rope_parameters=dict(rope_type="default", rope_theta=1000000.0)),
    dict(head_dim=80, rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.5)),
    dict(head_dim=64, rope_parameters=llama3_rope(32.0)),
    dict(head_dim=128, rope_parameters=llama3_rope(8.0)),
    dict(head_dim=128, rope_parameters=dict(YARN_ROPE, rope_theta=1000000.0, original_max_position_embeddings=32768)),
    dict(head_dim=64, rope_parameters=dict(YARN_ROPE, factor=32.0, original_max_position_embeddings=4096, truncate=False)),
    dict(head_dim=32, rope_parameters=dict(YARN_ROPE, beta_fast=16.0, beta_slow=2.0, mscale=1.0, mscale_all_dim=0.5)),
    dict(head_dim=12, rope_parameters=dict(LONGROPE, original_max_position_embeddings=4096)),
    dict(head_dim=12, rope_parameters=dict(LONGROPE, original_max_position_embeddings=4096), n_ctx=4096),
]


def randomize(model, seed, norm_center):
    generator = torch.Generator().manual_seed(seed)
    for name, p in sorted(model.named_parameters()):
        noise = torch.randn(p.shape, generator=generator, dtype=torch.float32)
        if name.endswith("norm.weight"):
            value = norm_center + 0.2 * noise
        elif p.dim() == 1:
            value = 0.3 * noise
        elif "embed_tokens" in name:
            value = 0.5 * noise
        else:
            value = 1.5 * noise / p.shape[1] ** 0.5
        p.data.copy_(value)


def rewrite_as_old_config(path):
    """The spelling of transformers 4: rope_theta beside rope_scaling, torch_dtype."""
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    if "sliding_attention" in rope:
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        config["sliding_window_pattern"] = config.pop("layer_types").index("full_attention") + 1
        rope = rope["full_attention"]
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else {"type": rope.pop("rope_type"), **rope}
    config["torch_dtype"] = config.pop("dtype")
    path.write_text(json.dumps(config, indent=2) + "\n")


def save_mxfp4(model, path, seed):
    """Experts of random groups and scales, which the model gets expanded; everything else as it is."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {k: v.contiguous() for k, v in model.state_dict().items()}
    for name in [k for k in tensors if k.endswith(("gate_up_proj", "down_proj"))]:
        n_experts, n_in, n_out = tensors.pop(name).shape
        blocks = torch.randint(0, 256, (n_experts, n_out, n_in // 32, 16), generator=generator, dtype=torch.uint8)
        scales = torch.randint(122, 126, (n_experts, n_out, n_in // 32), generator=generator, dtype=torch.uint8)
        tensors |= {name + "_blocks": blocks, name + "_scales": scales}
        model.get_parameter(name).data.copy_(convert_moe_packed_tensors(blocks, scales, dtype=torch.float32))
    config = model.config.to_diff_dict() | {"quantization_config": {"quant_method": "mxfp4"}}
    config["architectures"] = ["GptOssForCausalLM"]
    path.mkdir()
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    (path / "config.json").write_text(json.dumps(config, indent=2, default=str) + "\n")
    return model


def quantize_f8(weight, options):
    """Codes, scales as they are stored, and what both mean as bf16."""
    n_rows, n_cols = weight.shape
    rows, cols = (options["grid"][0] or n_rows, options["grid"][1] or n_cols)
    grid = (-(-n_rows // rows), -(-n_cols // cols))
    padded = torch.zeros(grid[0] * rows, grid[1] * cols)
    padded[:n_rows, :n_cols] = weight.float()
    largest = padded.reshape(grid[0], rows, grid[1], cols).abs().amax((1, 3))
    scales = (largest / torch.finfo(torch.float8_e4m3fn).max).to(options["dtype"])
    spread = scales.float().repeat_interleave(rows, 0).repeat_interleave(cols, 1)[:n_rows, :n_cols]
    codes = (weight.float() / spread).clamp(-448, 448).to(torch.float8_e4m3fn)
    shape = grid if options["dims"] == 2 else grid[: options["dims"]]
    return codes, scales.reshape(shape), (codes.float() * spread).to(torch.bfloat16)


def rewrite_as_f8(path, options):
    """Makes F8_E4M3 of the linear layers of a saved model; gives the directory of a model with their values as bf16."""
    plain_path = Path(tempfile.mkdtemp())
    tensors, expanded = {}, {}
    for name, t in load_file(path / "model.safetensors").items():
        is_linear = t.dim() == 2 and "embed_tokens" not in name and not any(p in name for p in options["plain"])
        if not is_linear:
            tensors[name] = expanded[name] = t
            continue
        base = name.removesuffix("weight")
        tensors[name], tensors[base + options["suffix"]], expanded[name] = quantize_f8(t, options)
        if options["inputs"]:
            tensors[base + "input_scale"] = torch.tensor(0.25)
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    save_file(expanded, plain_path / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(path / "config.json", plain_path / "config.json")
    config = json.loads((path / "config.json").read_text()) | {"quantization_config": options["config"]}
    (path / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    return plain_path


def make_case(out, name, config_class, changes, dtype, options):
    config = config_class(**copy.deepcopy({**SHAPE, **changes}))
    config.dtype = dtype
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").to(torch.float32)
    randomize(model, seed=sum(name.encode()), norm_center=0 if config.model_type.startswith("gemma") else 1)
    path = out / name
    if options.get("mxfp4"):
        reference = save_mxfp4(model, path, seed=2).eval()
    else:
        model.to(dtype).save_pretrained(path, max_shard_size=options.get("max_shard_size", "1GB"))

    plain_path = rewrite_as_f8(path, options["f8"]) if "f8" in options else path

    # Read as f32, not widened after: rope frequencies must not pass through the small type.
    if not options.get("mxfp4"):
        reference = transformers.AutoModelForCausalLM.from_pretrained(plain_path, dtype=torch.float32, attn_implementation="eager")
    if plain_path != path:
        shutil.rmtree(plain_path)
    generator = torch.Generator().manual_seed(1)
    prompts = [
        torch.randint(0, config.vocab_size, (n,), generator=generator).tolist()
        for n in options.get("prompt_lens", [1, 19])
    ]
    with torch.no_grad():
        for p in prompts:
            for _ in range(options.get("greedy", 0)):
                p.append(reference(torch.tensor([p])).logits[0, -1].argmax().item())
        logits = {f"logits.{i}": reference(torch.tensor([p])).logits[0].contiguous() for i, p in enumerate(prompts)}
    (path / "expected").mkdir()
    save_file(logits, path / "expected" / "model.safetensors")
    (path / "expected" / "prompts.json").write_text(json.dumps(prompts) + "\n")
    if options.get("old_config"):
        rewrite_as_old_config(path / "config.json")


def make_rope_frequencies(path):
    cases = []
    for changes in ROPE_CASES:
        changes = copy.deepcopy(changes)
        n_ctx = changes.pop("n_ctx", 131072)
        config = LlamaConfig(**{**SHAPE, **changes, "max_position_embeddings": 131072})
        config.architectures = ["LlamaForCausalLM"]
        rotary = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(config)
        inv_freq, scale = rotary.inv_freq, rotary.attention_scaling
        if config.rope_parameters["rope_type"] == "longrope":
            inv_freq, scale = ROPE_INIT_FUNCTIONS["longrope"](config, seq_len=n_ctx)
        # f32 values print as the shortest decimal of the double that equals them: nothing is lost
        case = {"config": config.to_diff_dict(), "n_ctx": n_ctx, "attn_scale": scale, "inv_freq": inv_freq.tolist()}
        cases.append(case)
    path.write_text(json.dumps(cases, indent=1, default=str) + "\n")


def main():
    out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "fixtures" / "models")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    torch.set_num_threads(1)
    for name, case in CASES.items():
        make_case(out, name, *case)
    make_rope_frequencies(out / "rope_frequencies.json")
    (out / "VERSIONS").write_text(f"torch {torch.__version__}\ntransformers {transformers.__version__}\n")


if __name__ == "__main__":
    main()
