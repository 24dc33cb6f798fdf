#!/usr/bin/env python3
"""Writes tests/fixtures/gguf/: the models of tests/fixtures/models as GGUF files, and models of quantized types.

NAME.gguf is made from the checkpoint NAME by the rules of llama.cpp's convert_hf_to_gguf.py (names of tensors, order of rows,
norms with their 1, keys), so that the logits recorded for NAME are expected of it too. blocks-*.gguf hold random blocks of every
type that the engine reads; their logits are what transformers computes from the values that the package `gguf` expands them to.

Needs: gguf, torch, transformers, safetensors. Usage: tests/oracle/gen_gguf.py [OUTPUT_DIR]. The files are checked in.
"""

import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter, RopeScalingType, quants
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "fixtures" / "models"

ARCHITECTURES = {
    "LlamaForCausalLM": "llama",
    "MixtralForCausalLM": "llama",
    "SmolLM3ForCausalLM": "smollm3",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "Qwen3MoeForCausalLM": "qwen3moe",
    "Phi3ForCausalLM": "phi3",
    "GemmaForCausalLM": "gemma",
    "Gemma2ForCausalLM": "gemma2",
    "Gemma3ForCausalLM": "gemma3",
    "GptOssForCausalLM": "gpt-oss",
}
PERMUTED = ("llama", "smollm3")
CASES = [
    "gqa-f32",
    "gqa-bf16",
    "gqa-f16",
    "mqa-biases-wide-heads",
    "rope-llama3",
    "rope-linear-old-config",
    "llama-yarn",
    "qwen2",
    "qwen3",
    "qwen3-moe",
    "mixtral",
    "smollm3",
    "phi3-window",
    "phi3-longrope",
    "gemma",
    "gemma2",
    "gemma3",
    "gpt-oss",
]

LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.sinks": "attn_sinks",
    "post_attention_layernorm": "ffn_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.gate": "ffn_gate_inp",
    "mlp.router": "ffn_gate_inp",
    "block_sparse_moe.gate": "ffn_gate_inp",
}
EXPERT_NAMES = {"gate_proj": "gate", "up_proj": "up", "down_proj": "down", "w1": "gate", "w3": "up", "w2": "down"}


def tensor_name(name, arch):
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    if name == "lm_head.weight":
        return "output.weight"
    layer, rest = re.fullmatch(r"model\.layers\.(\d+)\.(.+)", name).groups()
    base, suffix = (rest, "weight") if rest.endswith("sinks") else rest.rsplit(".", 1)
    mapped = LAYER_NAMES[base]
    if base == "post_attention_layernorm" and arch in ("gemma2", "gemma3", "gpt-oss"):
        mapped = "post_attention_norm"
    return f"blk.{layer}.{mapped}.{suffix}"


def permute(x, n_heads):
    """Rows of each head: halves become pairs."""
    return x.reshape(n_heads, 2, x.shape[0] // n_heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def stack_experts(tensors):
    """One tensor per layer and matrix instead of one per expert."""
    stacks = {}
    for name in list(tensors):
        match = re.fullmatch(r"model\.layers\.(\d+)\.(?:mlp|block_sparse_moe)\.experts\.(\d+)\.(\w+)\.weight", name)
        if match:
            layer, expert, part = match.groups()
            stacks.setdefault(f"blk.{layer}.ffn_{EXPERT_NAMES[part]}_exps.weight", {})[int(expert)] = tensors.pop(name)
    return {name: torch.stack([parts[i] for i in range(len(parts))]) for name, parts in stacks.items()}


def mxfp4(blocks, scales):
    """[..][groups][16] and [..][groups] to GGUF's blocks: the other order of halves."""
    low, high = blocks & 15, blocks >> 4
    values = np.stack([low, high], axis=-1).reshape(*blocks.shape[:-1], 32)
    packed = values[..., :16] | values[..., 16:] << 4
    rows = np.concatenate([scales[..., None], packed], axis=-1)
    return rows.reshape(*rows.shape[:-2], -1)


def gpt_oss_experts(tensors):
    out = {}
    for name in [n for n in list(tensors) if ".experts." in n]:
        layer, rest = re.fullmatch(r"model\.layers\.(\d+)\.mlp\.experts\.(.+)", name).groups()
        x = tensors[name].numpy() if tensors[name].dtype == torch.uint8 else tensors[name].float().numpy()
        if rest.endswith("_scales"):
            continue
        if rest.endswith("_blocks"):
            x = mxfp4(x, tensors[name.replace("_blocks", "_scales")].numpy())
        suffix = "bias" if rest.endswith("_bias") else "weight"
        if rest.startswith("gate_up"):
            out[f"blk.{layer}.ffn_gate_exps.{suffix}"], out[f"blk.{layer}.ffn_up_exps.{suffix}"] = x[:, ::2], x[:, 1::2]
        else:
            out[f"blk.{layer}.ffn_down_exps.{suffix}"] = x
    for name in [n for n in list(tensors) if ".experts." in n]:
        del tensors[name]
    return {name: np.ascontiguousarray(x) for name, x in out.items()}


def convert_tensors(tensors, config, arch):
    """name: (array, type); f32 where the checkpoint is not of a small type, and always for vectors."""
    out = {}
    if arch == "gpt-oss":
        out |= {n: (x, Type.MXFP4 if x.dtype == np.uint8 else Type.F32) for n, x in gpt_oss_experts(tensors).items()}
    stacks = stack_experts(tensors)
    named = [(tensor_name(n, arch), n, x) for n, x in tensors.items()] + [(n, n, x) for n, x in stacks.items()]
    for name, source, x in named:
        kind = {torch.float16: Type.F16, torch.bfloat16: Type.BF16}.get(x.dtype, Type.F32)
        x = x.to(torch.float32).numpy()
        if arch in PERMUTED and re.search(r"\.(q|k)_proj\.", source):
            x = permute(x, config["num_attention_heads" if ".q_proj." in source else "num_key_value_heads"])
        if arch.startswith("gemma") and name.endswith("norm.weight"):
            x = x + 1
        out[name] = (np.ascontiguousarray(x), kind if x.ndim > 1 else Type.F32)
    return out


def add_rope(writer, config, arch, tensors, head_dim):
    rope = config.get("rope_parameters") or {**(config.get("rope_scaling") or {}), "rope_theta": config.get("rope_theta")}
    if "sliding_attention" in rope:
        writer.add_float32("gemma3.rope.freq_base_swa", rope["sliding_attention"]["rope_theta"])
        rope = rope["full_attention"]
    kind = rope.get("rope_type", rope.get("type", "default"))
    writer.add_rope_freq_base(rope["rope_theta"])
    n_dims = int(head_dim * (rope.get("partial_rotary_factor") or config.get("partial_rotary_factor") or 1))
    writer.add_rope_dimension_count(n_dims)
    if kind == "llama3":
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        original = rope["original_max_position_embeddings"]
        freqs = 1.0 / (rope["rope_theta"] ** (np.arange(0, n_dims, 2, dtype=np.float32) / n_dims))
        factors = []
        for f in freqs:
            wavelen = 2 * math.pi / f
            if wavelen < original / high:
                factors.append(1)
            elif wavelen > original / low:
                factors.append(rope["factor"])
            else:
                smooth = (original / wavelen - low) / (high - low)
                factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
        tensors["rope_freqs.weight"] = (np.array(factors, dtype=np.float32), Type.F32)
    elif kind == "longrope":
        original = config.get("original_max_position_embeddings") or rope["original_max_position_embeddings"]
        writer.add_rope_scaling_orig_ctx_len(original)
        factor = config["max_position_embeddings"] / original
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0)
        for length in ("long", "short"):
            tensors[f"rope_factors_{length}.weight"] = (np.array(rope[f"{length}_factor"], dtype=np.float32), Type.F32)
    elif kind in ("linear", "yarn"):
        writer.add_rope_scaling_type(RopeScalingType(kind))
        writer.add_rope_scaling_factor(rope["factor"])
        if kind == "yarn":
            writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])


def add_keys(writer, config, arch, tensors):
    n_heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // n_heads
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(n_heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    if n_experts := config.get("num_experts") or config.get("num_local_experts"):
        writer.add_expert_count(n_experts)
        writer.add_expert_used_count(config["num_experts_per_tok"])
        if arch in ("qwen3moe", "gpt-oss"):
            writer.add_expert_feed_forward_length(config.get("moe_intermediate_size") or config["intermediate_size"])
    if arch in ("gemma2", "gemma3", "gpt-oss", "phi3") and config.get("sliding_window"):
        writer.add_sliding_window(config["sliding_window"])
    if arch == "gemma3":
        writer.add_uint32("gemma3.attention.sliding_window_pattern", config["layer_types"].index("full_attention") + 1)
    if arch in ("gemma2", "gemma3"):
        writer.add_float32(f"{arch}.attention.scale", config["query_pre_attn_scalar"] ** -0.5)
    if arch == "gemma2":
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    add_rope(writer, config, arch, tensors, head_dim)
    writer.add_tokenizer_model("no_vocab")
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def write_file(path, arch, tensors, keys, **options):
    writer = GGUFWriter(path, arch, **options)
    keys(writer, tensors)
    for name, (x, kind) in tensors.items():
        if kind in (Type.F32, Type.MXFP4):
            writer.add_tensor(name, x, raw_dtype=kind)
        elif x.dtype == np.uint8:
            writer.add_tensor(name, x, raw_dtype=kind)
        else:
            writer.add_tensor(name, quants.quantize(x, kind), raw_dtype=kind)
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_case(out, name):
    config = json.loads((MODELS / name / "config.json").read_text())
    arch = ARCHITECTURES[config["architectures"][0]]
    tensors = convert_tensors(load_file(MODELS / name / "model.safetensors"), config, arch)
    write_file(out / f"{name}.gguf", arch, tensors, lambda w, t: add_keys(w, config, arch, t))


# ---- blocks of every type ----------------------------------------------------------------------------------------------

SCALES = {
    Type.Q8_0: ([0], 0.001),
    Type.Q4_0: ([0], 0.015),
    Type.Q4_1: ([0, 2], 0.01),
    Type.Q5_0: ([0], 0.008),
    Type.Q5_1: ([0, 2], 0.006),
    Type.Q4_K: ([0, 2], 0.0003),
    Type.Q5_K: ([0, 2], 0.0002),
    Type.Q6_K: ([208], 0.00005),
}


def random_blocks(rng, kind, n_rows, n_columns):
    block, size = quants.GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, (n_rows, n_columns // block, size), dtype=np.uint8)
    offsets, scale = SCALES[kind]
    for offset in offsets:
        d = (scale * (0.5 + rng.random(data.shape[:2]))).astype(np.float16)
        if offset == 2:  # minima: about the middle of what the others span
            d *= {Type.Q4_1: -8, Type.Q5_1: -16, Type.Q4_K: 8, Type.Q5_K: 16}[kind]
        data[..., offset : offset + 2] = d[..., None].view(np.uint8)
    return data.reshape(n_rows, -1)


BLOCK_CASES = {
    "blocks-k": dict(
        embed=Type.Q6_K, q=Type.Q4_K, k=Type.Q5_K, v=Type.Q6_K, o=Type.Q4_K, gate=Type.Q4_K, up=Type.Q5_K, down=Type.Q6_K
    ),
    "blocks-32": dict(
        embed=Type.Q8_0, q=Type.Q8_0, k=Type.Q4_0, v=Type.Q8_0, o=Type.Q5_0, gate=Type.Q4_1, up=Type.Q4_1, down=Type.Q5_1
    ),
}


def make_blocks(out, name, types, seed):
    rng = np.random.default_rng(seed)
    config = transformers.LlamaConfig(
        vocab_size=61,
        hidden_size=256,
        intermediate_size=256,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=64,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
    )
    if name == "blocks-k":
        config.num_key_value_heads, config.head_dim = 4, 64  # o's rows must be whole blocks of 256
    n_q, n_kv = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    shapes = dict(embed=(61, 256), q=(n_q, 256), k=(n_kv, 256), v=(n_kv, 256), o=(256, n_q), gate=(256, 256), up=(256, 256))
    shapes["down"] = (256, 256)
    blocks = {part: random_blocks(rng, types[part], *shape) for part, shape in shapes.items()}
    values = {part: quants.dequantize(x, types[part]).reshape(shapes[part]) for part, x in blocks.items()}
    norms = {part: (1 + 0.2 * rng.normal(size=256)).astype(np.float32) for part in ("attn", "mlp", "final")}

    names = dict(embed="token_embd", q="blk.0.attn_q", k="blk.0.attn_k", v="blk.0.attn_v", o="blk.0.attn_output")
    names |= dict(gate="blk.0.ffn_gate", up="blk.0.ffn_up", down="blk.0.ffn_down")
    tensors = {f"{names[part]}.weight": (x, types[part]) for part, x in blocks.items()}
    tensors["blk.0.attn_norm.weight"] = (norms["attn"], Type.F32)
    tensors["blk.0.ffn_norm.weight"] = (norms["mlp"], Type.F32)
    tensors["output_norm.weight"] = (norms["final"], Type.F32)
    settings = {**config.to_dict(), "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}
    options = dict(split_max_tensors=5) if name == "blocks-32" else {}
    write_file(out / f"{name}.gguf", "llama", tensors, lambda w, t: add_keys(w, settings, "llama", t), **options)

    model = transformers.LlamaForCausalLM(config).to(torch.float32).eval()
    layer = model.model.layers[0]
    unpermute = lambda x, n: x.reshape(n, x.shape[0] // n // 2, 2, 256).swapaxes(1, 2).reshape(x.shape)  # noqa: E731
    values["q"], values["k"] = unpermute(values["q"], 4), unpermute(values["k"], config.num_key_value_heads)
    modules = dict(q=layer.self_attn.q_proj, k=layer.self_attn.k_proj, v=layer.self_attn.v_proj, o=layer.self_attn.o_proj)
    modules |= dict(gate=layer.mlp.gate_proj, up=layer.mlp.up_proj, down=layer.mlp.down_proj, embed=model.model.embed_tokens)
    for part, module in modules.items():
        module.weight.data.copy_(torch.from_numpy(np.ascontiguousarray(values[part])))
    for part, module in dict(attn=layer.input_layernorm, mlp=layer.post_attention_layernorm, final=model.model.norm).items():
        module.weight.data.copy_(torch.from_numpy(norms[part]))
    prompts = [rng.integers(0, 61, n).tolist() for n in (1, 19)]
    with torch.no_grad():
        logits = {f"logits.{i}": model(torch.tensor([p])).logits[0].contiguous() for i, p in enumerate(prompts)}
    expected = out / name / "expected"
    expected.mkdir(parents=True, exist_ok=True)
    save_file(logits, expected / "model.safetensors")
    (expected / "prompts.json").write_text(json.dumps(prompts) + "\n")


def main():
    out = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "fixtures" / "gguf")
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in CASES:
        make_case(out, name)
    for seed, (name, types) in enumerate(BLOCK_CASES.items()):
        make_blocks(out, name, types, seed)


if __name__ == "__main__":
    main()
