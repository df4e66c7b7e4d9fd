#!/usr/bin/env python3
"""Makes tests/models/families/: the logits that `transformers` computes in float32 for tiny models of more families.

    python3 -m venv venv
    venv/bin/pip install torch==2.15.0 transformers==5.23.0 numpy==2.4.6 safetensors==0.8.0
    venv/bin/python tools/golden/families.py            # every case; or name some

Cases are like those of models.py, with two keys more: "tensors" lists the names and shapes of a published file, in its
order, and "spread" says where values lie that models.py's formula would choose badly. Names are not those of the
modules: `save_pretrained` is asked for them, once per case. The logits are those of a folder with config.json and
model.safetensors, written from the formula and loaded afresh, so a case is what a user of such a folder would get.
"""

import json
import math
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from models import LIMIT, MARGIN, MATTERS, POSITIONS, logits, margin, nmse, spread, tokens, weights

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "models" / "families"
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
ABSENT = ...  # as the value of an edit: the key is left out (None writes null)


# ---- config.json of the cases --------------------------------------------------------------------------------------


def config(family: str, model: str, **more) -> dict:
    """config.json, with what nearly every family calls the same."""
    all_keys = {
        "architectures": [model + "ForCausalLM"],
        "model_type": family,
        "bos_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "max_position_embeddings": 1024,
    } | more
    return {k: v for k, v in all_keys.items() if v is not ABSENT}


def sizes(dim: int, heads: tuple, ffn: int, vocab: int, layers: int) -> dict:
    """Keys for the sizes: `heads` is (query heads, key heads) or with the size of a head."""
    keys = {
        "hidden_size": dim,
        "intermediate_size": ffn,
        "num_hidden_layers": layers,
        "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1],
        "vocab_size": vocab,
    }
    return keys | ({"head_dim": heads[2]} if len(heads) > 2 else {})


def layers(letters: str) -> list:
    """Layer types by their initials."""
    names = {"s": "sliding_attention", "f": "full_attention", "c": "conv", "a": "attention"}
    return [names[letter] for letter in letters]


# Gemma's embeddings grow by the root of their width; its norms multiply by 1 + w.
ONE_PLUS = [["norm.weight", 0.0, 0.25], ["embed_tokens.weight", 0.0, 0.125]]

# The rest keep residual streams and scores at sizes that do not amplify rounding.
WIDE = [["embed_tokens.weight", 0.0, 1.0]]
NARROW = [["embed_tokens.weight", 0.0, 0.125]]
FUSED = [["qkv_proj.weight", 0.0, 0.125]]
BRANCHES = [["post_operator_norm.weight", 0.5, 0.25], ["post_ffn_norm.weight", 0.5, 0.25], *WIDE]

GEMMA = config(
    "gemma", "Gemma", **sizes(72, (3, 1, 32), 136, 67, 3), hidden_act="gelu", rms_norm_eps=1e-6, rope_theta=10000.0
)
GEMMA_512 = config(
    "gemma", "Gemma", **sizes(48, (2, 1, 512), 88, 61, 2), hidden_act="gelu_pytorch_tanh", rms_norm_eps=1e-6,
    rope_theta=10000.0,
)
GEMMA2 = config(
    "gemma2", "Gemma2", **sizes(72, (3, 1, 20), 136, 71, 4), hidden_act="gelu_pytorch_tanh",
    hidden_activation="gelu_pytorch_tanh", rms_norm_eps=1e-6, rope_theta=10000.0, query_pre_attn_scalar=9,
    sliding_window=24, attn_logit_softcapping=2.5, final_logit_softcapping=1.5, cache_implementation="hybrid",
)
GEMMA2_256 = config(
    "gemma2", "Gemma2", **sizes(64, (2, 1, 256), 88, 61, 2), hidden_activation="gelu_pytorch_tanh", rms_norm_eps=1e-6,
    query_pre_attn_scalar=224, sliding_window=37, attn_logit_softcapping=4.0, final_logit_softcapping=2.0,
)
GEMMA3 = config(
    "gemma3_text", "Gemma3", **sizes(72, (4, 2, 16), 100, 73, 7), hidden_activation="gelu_pytorch_tanh",
    rms_norm_eps=1e-6, rope_theta=50000.0, rope_local_base_freq=500.0,
    rope_scaling={"rope_type": "linear", "factor": 8.0}, sliding_window=24, sliding_window_pattern=6,
    query_pre_attn_scalar=16, attn_logit_softcapping=None, final_logit_softcapping=None, attention_bias=False,
)
GEMMA3_TYPES = config(
    "gemma3_text", "Gemma3", **sizes(60, (3, 1, 20), 88, 64, 4), hidden_activation="gelu_pytorch_tanh",
    rms_norm_eps=1e-6, sliding_window=37, query_pre_attn_scalar=40, layer_types=layers("fssf"),
    use_bidirectional_attention=False,
    rope_parameters={
        "full_attention": {"rope_type": "linear", "rope_theta": 100000.0, "factor": 4.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1000.0},
    },
)
GEMMA3_256 = config(
    "gemma3_text", "Gemma3", **sizes(64, (2, 1, 256), 88, 61, 2), hidden_activation="gelu_pytorch_tanh",
    rms_norm_eps=1e-6, sliding_window=24, layer_types=layers("sf"),
)
OLMO2 = config(
    "olmo2", "Olmo2", **sizes(96, (3, 1), 136, 70, 3), hidden_act="silu", rms_norm_eps=1e-6, rope_theta=500000.0,
    rope_scaling=None, attention_bias=False, tie_word_embeddings=False,
)
LFM2 = config(
    "lfm2", "Lfm2", **sizes(72, (3, 1), 100, 69, 5), norm_eps=1e-5, rope_theta=1000000.0, conv_L_cache=3,
    conv_bias=False, layer_types=layers("ccfcf"), block_auto_adjust_ff_dim=True, block_multiple_of=16,
    block_ffn_dim_multiplier=1.0, block_dim=72, block_ff_dim=130, block_norm_eps=1e-5, block_mlp_init_scale=1.0,
    block_out_init_scale=1.0, block_use_swiglu=True, block_use_xavier_init=True, conv_dim=72, conv_dim_out=72,
    conv_use_xavier_init=True, num_heads=3, theta=1000000.0, use_pos_enc=True, tie_embedding=True,
)
LFM2_PLAIN = config(
    "lfm2", "Lfm2", **sizes(64, (4, 2), 88, 61, 4), norm_eps=1e-5, conv_L_cache=4, conv_bias=False,
    full_attn_idxs=[1, 3], block_auto_adjust_ff_dim=False, block_multiple_of=32, block_ffn_dim_multiplier=1.0,
    tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
)
PHI3 = config(
    "phi3", "Phi3", **sizes(96, (4, 2), 88, 66, 3), hidden_act="silu", rms_norm_eps=1e-5, rope_theta=10000.0,
    partial_rotary_factor=0.75, sliding_window=37, rope_scaling=None, original_max_position_embeddings=1024,
    attention_bias=False, tie_word_embeddings=False,
)
PHI3_LONGROPE = config(
    "phi3", "Phi3", **sizes(80, (5, 1), 88, 64, 3), hidden_act="silu", rms_norm_eps=1e-5, rope_theta=10000.0,
    partial_rotary_factor=0.75, original_max_position_embeddings=64, sliding_window=262144, tie_word_embeddings=True,
    rope_scaling={
        "type": "longrope",
        "short_factor": [1.0, 1.125, 1.25, 1.5, 1.75, 2.0],
        "long_factor": [1.25, 2.0, 4.0, 8.0, 12.5, 24.0],
    },
)
GRANITE = config(
    "granite", "Granite", **sizes(72, (3, 1), 136, 68, 3), hidden_act="silu", rms_norm_eps=1e-5, rope_theta=10000.0,
    embedding_multiplier=6.0, attention_multiplier=0.1, residual_multiplier=0.4, logits_scaling=3.0,
    attention_bias=False, mlp_bias=False, tie_word_embeddings=True,
)
LFM3 = config(
    "lfm3", "Lfm3", **sizes(72, (3, 1, 20), 100, 65, 7), norm_eps=1e-5, conv_L_cache=7, conv_bias=False,
    sliding_window=24, tie_word_embeddings=True, use_sandwich_norm=True, use_attention_gate=True,
)
OLMO3 = config(
    "olmo3", "Olmo3", **sizes(72, (3, 1), 100, 66, 5), hidden_act="silu", rms_norm_eps=1e-6, rope_theta=500000,
    sliding_window=24, attention_bias=False, tie_word_embeddings=False,
    rope_scaling={
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 48, "beta_fast": 8.0, "beta_slow": 0.5,
        "attention_factor": 1.25,
    },
)
OLMO3_TYPES = config(
    "olmo3", "Olmo3", **sizes(64, (2, 2), 88, 61, 3), hidden_act="silu", rms_norm_eps=1e-6, sliding_window=37,
    layer_types=layers("fsf"), tie_word_embeddings=False,
    rope_parameters={
        "full_attention": {
            "rope_type": "yarn", "rope_theta": 20000.0, "factor": 8.0, "original_max_position_embeddings": 40,
        },
        "sliding_attention": {"rope_type": "default", "rope_theta": 300.0},
    },
)

OLMO = config(
    "olmo", "Olmo", **sizes(72, (3, 1), 136, 63, 3), hidden_act="silu", rope_theta=10000.0, clip_qkv=None,
    attention_bias=False, tie_word_embeddings=False,
)
OLMO_CLIP = config(
    "olmo", "Olmo", **sizes(64, (4, 2), 88, 60, 3), hidden_act="silu", rope_theta=10000.0, clip_qkv=0.75,
    tie_word_embeddings=True,
)
# The dense models of Granite 4 have no experts, but all the keys of the hybrids.
GRANITE_DENSE = config(
    "granitemoehybrid", "GraniteMoeHybrid", **sizes(72, (3, 1), 136, 65, 3), hidden_act="silu", rms_norm_eps=1e-5,
    rope_theta=10000.0, rope_scaling=None, position_embedding_type="rope", layer_types=layers("aaa"),
    shared_intermediate_size=136, num_local_experts=0, num_experts_per_tok=0, embedding_multiplier=6.0,
    attention_multiplier=0.1, residual_multiplier=0.4, logits_scaling=3.0, attention_bias=False,
    tie_word_embeddings=True, normalization_function="rmsnorm", init_method="mup", output_router_logits=False,
    router_aux_loss_coef=0.01, mamba_chunk_size=256, mamba_conv_bias=True, mamba_d_conv=4, mamba_d_head=36,
    mamba_d_state=16, mamba_expand=2, mamba_n_groups=1, mamba_n_heads=4, mamba_proj_bias=False,
)
GRANITE_NOPE = GRANITE_DENSE | {
    "position_embedding_type": "nope", "shared_intermediate_size": 100, "vocab_size": 62,
    "time_step_limit": [0.0, {"__float__": "Infinity"}],  # as transformers 5 spells what JSON has no number for
}
MINISTRAL3 = config(
    "ministral3", "Ministral3", **sizes(72, (4, 2, 24), 100, 67, 3), hidden_act="silu", rms_norm_eps=1e-5,
    sliding_window=None, tie_word_embeddings=True, max_position_embeddings=512,
    rope_parameters={
        "type": "yarn", "rope_type": "yarn", "rope_theta": 10000.0, "factor": 16.0,
        "original_max_position_embeddings": 32, "beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0,
        "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1,
    },
)
SEED_OSS = config(
    "seed_oss", "SeedOss", **sizes(72, (4, 2, 20), 100, 66, 3), hidden_act="silu", rms_norm_eps=1e-6,
    rope_theta=10000.0, rope_scaling={"rope_type": "default"}, attention_bias=True, attention_out_bias=False,
    mlp_bias=False, tie_word_embeddings=False,
)
EXAONE4 = config(
    "exaone4", "Exaone4", **sizes(72, (3, 1), 100, 64, 5), hidden_act="silu", rms_norm_eps=1e-5, rope_theta=10000.0,
    rope_scaling=None, sliding_window=24, sliding_window_pattern="LLLG", layer_types=layers("sssfs"), head_dim=24,
    tie_word_embeddings=False,
)
EXAONE4_FULL = config(
    "exaone4", "Exaone4", **sizes(64, (4, 2, 16), 88, 61, 3), hidden_act="silu", rms_norm_eps=1e-5, rope_theta=10000.0,
    rope_scaling={
        "rope_type": "llama3", "factor": 16.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
    sliding_window=None, sliding_window_pattern=None, layer_types=layers("fff"), tie_word_embeddings=True,
)
GLM4 = config(
    "glm4", "Glm4", **sizes(72, (3, 1, 24), 100, 66, 3), hidden_act="silu", rms_norm_eps=1e-5, rope_theta=10000.0,
    partial_rotary_factor=0.5, attention_bias=True, tie_word_embeddings=False,
)
ERNIE = config(
    "ernie4_5", "Ernie4_5", **sizes(72, (4, 2, 20), 100, 63, 3), hidden_act="silu", rms_norm_eps=1e-5,
    rope_theta=500000.0, use_bias=False, tie_word_embeddings=True,
)
HUNYUAN = config(
    "hunyuan_v1_dense", "HunYuanDenseV1", **sizes(72, (3, 1, 24), 100, 65, 3), hidden_act="silu", rms_norm_eps=1e-5,
    rope_theta=10000.0, use_qk_norm=True, attention_bias=False, tie_word_embeddings=True,
)
HUNYUAN_ALPHA = HUNYUAN | {
    "rope_scaling": {
        "alpha": 1000.0, "beta_fast": 32, "beta_slow": 1, "factor": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0,
        "type": "dynamic",
    },
    "tie_word_embeddings": False,
    "vocab_size": 61,
}
COHERE2 = config(
    "cohere2", "Cohere2", **sizes(72, (3, 1), 100, 64, 5), hidden_act="silu", layer_norm_eps=1e-5, rope_theta=50000.0,
    sliding_window=24, sliding_window_pattern=4, logit_scale=0.25, attention_bias=False, position_embedding_type="rope_gptj",
    use_gated_activation=True, use_parallel_block=True, use_qk_norm=False, rotary_pct=1.0, use_embedding_sharing=True,
)
COHERE = config(
    "cohere", "Cohere", **sizes(64, (4, 2), 88, 61, 3), hidden_act="silu", layer_norm_eps=1e-5, rope_theta=10000.0,
    logit_scale=0.0625, use_qk_norm=True, attention_bias=False,
)
STARCODER2 = config(
    "starcoder2", "Starcoder2", **sizes(72, (3, 1), 136, 65, 3), hidden_act="gelu_pytorch_tanh", norm_epsilon=1e-5,
    norm_type="layer_norm", mlp_type="default", rope_theta=100000.0, sliding_window=24, use_bias=True,
)
STABLELM = config(
    "stablelm", "StableLm", **sizes(72, (3, 3), 100, 63, 3), hidden_act="silu", layer_norm_eps=1e-5, rope_theta=10000,
    partial_rotary_factor=0.25, use_qkv_bias=False, tie_word_embeddings=False, qk_layernorm=False,
    use_parallel_residual=False,
)
STABLELM_BIAS = STABLELM | {"use_qkv_bias": True, "num_key_value_heads": 1, "partial_rotary_factor": 0.5}
STABLELM_PARALLEL = config(
    "stablelm", "StableLm", **sizes(64, (4, 2), 88, 61, 3), hidden_act="silu", layer_norm_eps=1e-5, rope_theta=10000,
    partial_rotary_factor=0.25, use_qkv_bias=False, tie_word_embeddings=False, qk_layernorm=True,
    use_parallel_residual=True,
)
GPT2 = {
    "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new", "n_ctx": 200,
    "n_embd": 72, "n_head": 3, "n_layer": 3, "n_positions": 200, "vocab_size": 68, "layer_norm_epsilon": 1e-5,
    "bos_token_id": 1, "eos_token_id": 1, "resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1,
}
NEOX = config(
    "gpt_neox", "GPTNeoX", **sizes(72, (3, ABSENT), 136, 63, 3), hidden_act="gelu", layer_norm_eps=1e-5, rotary_pct=0.25,
    rotary_emb_base=10000, use_parallel_residual=True, tie_word_embeddings=False,
)
NEOX_SERIAL = NEOX | {"use_parallel_residual": False, "rotary_pct": 1.0, "hidden_size": 60, "vocab_size": 61}
PHI = config(
    "phi", "Phi", **sizes(64, (4, 4), 136, 66, 3), hidden_act="gelu_new", layer_norm_eps=1e-5, rope_theta=10000.0,
    partial_rotary_factor=0.4, qk_layernorm=False, tie_word_embeddings=False,
)
NEMOTRON = config(
    "nemotron", "Nemotron", **sizes(72, (3, 1, 20), 136, 62, 3), hidden_act="relu2", norm_eps=1e-5, rope_theta=10000.0,
    partial_rotary_factor=0.5, attention_bias=False, mlp_bias=False, tie_word_embeddings=False,
)


def conv1d(*ends: str, inputs: int) -> list:
    """Rules for GPT-2's matrices, whose rows are inputs."""
    width = 2.0 ** round(math.log2(math.sqrt(3 / inputs)))
    return [[end, 0.0, width] for end in ends]


GPT2_RULES = [
    ["wte.weight", 0.0, 0.125], ["wpe.weight", 0.0, 0.25], *conv1d("mlp.c_proj.weight", inputs=4 * 72),
    *conv1d("c_attn.weight", "c_proj.weight", "c_fc.weight", inputs=72),
]
NARROW_IN = [["embed_in.weight", 0.0, 0.5]]
NEMOTRON_RULES = [["norm.weight", 0.0, 0.25]]
MINISTRAL_ROPE = MINISTRAL3["rope_parameters"]

SANDWICH = ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"]
LONGROPE = PHI3_LONGROPE["rope_scaling"]

# name: (config, dtype, tokens, spread, settings that matter)
# A setting is an edit of the config, or a string: tensors whose name contains it are made neutral.
CASES = {
    "gemma3": (GEMMA3, "F32", POSITIONS, ONE_PLUS, [
        *SANDWICH, "q_norm", "k_norm", {"rope_theta": 10000.0}, {"rope_local_base_freq": 10000.0},
        {"rope_scaling": None}, {"sliding_window": 25}, {"sliding_window_pattern": 5}, {"query_pre_attn_scalar": 18},
    ]),
    "gemma3_types": (GEMMA3_TYPES, "F32", POSITIONS, ONE_PLUS, [
        {"layer_types": ABSENT}, {"sliding_window": 38}, {"query_pre_attn_scalar": 20}, {"rope_parameters": ABSENT},
        {"rope_parameters": GEMMA3_TYPES["rope_parameters"] | {"sliding_attention": {"rope_type": "default"}}},
        {"rope_parameters": GEMMA3_TYPES["rope_parameters"] | {"full_attention": {"rope_type": "default"}}},
    ]),
    "gemma3_256": (GEMMA3_256, "F32", POSITIONS, ONE_PLUS, [
        {"sliding_window": 25}, {"rope_theta": 10000.0}, {"rope_local_base_freq": 5000.0}, {"query_pre_attn_scalar": 200},
    ]),
    "gemma3_f16": (GEMMA3, "F16", POSITIONS, ONE_PLUS, ["q_norm", {"rope_scaling": None}]),
    "gemma3_bf16": (GEMMA3, "BF16", POSITIONS, ONE_PLUS, ["q_norm", {"rope_scaling": None}]),
    "gemma2": (GEMMA2, "F32", POSITIONS, ONE_PLUS, [
        *SANDWICH, {"query_pre_attn_scalar": 20}, {"attn_logit_softcapping": None}, {"attn_logit_softcapping": ABSENT},
        {"final_logit_softcapping": None}, {"sliding_window": 25}, {"layer_types": layers("fsfs")},
    ]),
    "gemma2_256": (GEMMA2_256, "F32", POSITIONS, ONE_PLUS, [
        {"query_pre_attn_scalar": 256}, {"attn_logit_softcapping": None}, {"final_logit_softcapping": None},
        {"sliding_window": 38}, {"rope_theta": 5000.0},
    ]),
    "olmo2": (OLMO2, "F32", POSITIONS, [], [
        "q_norm", "k_norm", "post_attention_layernorm", "post_feedforward_layernorm", {"rope_theta": 10000.0},
    ]),
    "olmo2_bf16": (OLMO2, "BF16", POSITIONS, [], ["q_norm", {"rope_theta": 10000.0}]),
    "lfm2": (LFM2, "F32", POSITIONS, [], [
        "q_layernorm", "k_layernorm", "operator_norm", "ffn_norm", "embedding_norm", "conv.conv", {"rope_theta": 10000.0},
    ]),
    "lfm2_plain": (LFM2_PLAIN, "F32", POSITIONS, [], ["q_layernorm", "conv.conv", {"rope_parameters": ABSENT}]),
    "lfm2_bf16": (LFM2, "BF16", POSITIONS, [], ["q_layernorm", "conv.conv"]),
    "phi3": (PHI3, "F32", POSITIONS, FUSED, [
        {"sliding_window": 38}, {"sliding_window": None}, {"partial_rotary_factor": 1.0}, {"rope_theta": 5000.0},
    ]),
    "phi3_longrope": (PHI3_LONGROPE, "F32", POSITIONS, FUSED, [
        {"original_max_position_embeddings": 200}, {"max_position_embeddings": 64},
        {"rope_scaling": LONGROPE | {"long_factor": LONGROPE["short_factor"]}},
    ]),
    "phi3_longrope_short": (PHI3_LONGROPE, "F32", 50, FUSED, [
        {"original_max_position_embeddings": 49}, {"max_position_embeddings": 64},
        {"rope_scaling": LONGROPE | {"short_factor": LONGROPE["long_factor"]}},
    ]),
    "granite": (GRANITE, "F32", POSITIONS, NARROW, [
        {"embedding_multiplier": 1.0}, {"attention_multiplier": 24**-0.5}, {"residual_multiplier": 1.0},
        {"logits_scaling": 1.0}, {"rope_theta": 5000.0},
    ]),
    "gemma": (GEMMA, "F32", POSITIONS, ONE_PLUS, [
        "input_layernorm", "post_attention_layernorm", "model.norm", {"rope_theta": 5000.0},
    ]),
    "gemma_512": (GEMMA_512, "F32", POSITIONS, ONE_PLUS, [{"rope_theta": 5000.0}]),
    "lfm3": (LFM3, "F32", POSITIONS, BRANCHES, [
        "gate_proj", "post_operator_norm", "post_ffn_norm", "q_norm", "k_norm", "operator_norm", "ffn_norm",
        "conv.conv", {"sliding_window": 25},
        {"rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            "full_attention": {"rope_type": "default", "rope_theta": 1000000.0},
        }},
        {"rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 1000000.0},
            "full_attention": {"rope_type": "proportional", "rope_theta": 1000000.0, "partial_rotary_factor": 0.5},
        }},
    ]),
    "olmo3": (OLMO3, "F32", POSITIONS, WIDE, [
        "q_norm", "k_norm", {"sliding_window": 25}, {"rope_scaling": None}, {"rope_theta": 10000},
        {"layer_types": layers("sfssf")}, {"rope_scaling": OLMO3["rope_scaling"] | {"attention_factor": 1.0}},
    ]),
    "olmo3_types": (OLMO3_TYPES, "F32", POSITIONS, WIDE, [
        {"layer_types": layers("sff")}, {"sliding_window": 38},
        {"rope_parameters": OLMO3_TYPES["rope_parameters"] | {"sliding_attention": None}},
        {"rope_parameters": OLMO3_TYPES["rope_parameters"] | {"full_attention": None}},
    ]),
    "olmo": (OLMO, "F32", POSITIONS, [], [{"clip_qkv": 1.0}, {"rope_theta": 5000.0}]),
    "olmo_clip": (OLMO_CLIP, "F32", POSITIONS, NARROW, [{"clip_qkv": None}, {"clip_qkv": 0.5}]),
    "granite4_dense": (GRANITE_DENSE, "F32", POSITIONS, NARROW, [
        {"position_embedding_type": "nope"}, {"embedding_multiplier": 1.0}, {"attention_multiplier": 24**-0.5},
        {"residual_multiplier": 1.0}, {"logits_scaling": 1.0},
    ]),
    "granite4_nope": (GRANITE_NOPE, "F32", POSITIONS, NARROW, [{"position_embedding_type": "rope"}]),
    "ministral3": (MINISTRAL3, "F32", POSITIONS, [], [
        {"rope_parameters": MINISTRAL_ROPE | {"llama_4_scaling_beta": 0.0}},
        {"rope_parameters": MINISTRAL_ROPE | {"original_max_position_embeddings": 20}},
        {"rope_parameters": MINISTRAL_ROPE | {"mscale_all_dim": 0.0}},
        {"rope_parameters": MINISTRAL_ROPE | {"factor": 4.0}},
    ]),
    "seed_oss": (SEED_OSS, "F32", POSITIONS, [], [
        "q_proj.bias", "k_proj.bias", "v_proj.bias", {"rope_theta": 5000.0},
    ]),
    "exaone4": (EXAONE4, "F32", POSITIONS, WIDE, [
        "q_norm", "k_norm", "post_attention_layernorm", "post_feedforward_layernorm", {"sliding_window": 25},
        {"layer_types": layers("ssfss")}, {"rope_theta": 5000.0},
    ]),
    "exaone4_full": (EXAONE4_FULL, "F32", POSITIONS, [], [{"sliding_window": 4096}, {"rope_scaling": None}]),
    "glm4": (GLM4, "F32", POSITIONS, [], [
        "q_proj.bias", "k_proj.bias", "v_proj.bias", "input_layernorm", "post_self_attn_layernorm",
        "post_attention_layernorm", "post_mlp_layernorm", {"partial_rotary_factor": 1.0},
    ]),
    "ernie4_5": (ERNIE, "F32", POSITIONS, [], [{"rope_theta": 10000.0}]),
    "hunyuan": (HUNYUAN, "F32", POSITIONS, [], ["query_layernorm", "key_layernorm", {"rope_theta": 5000.0}]),
    "hunyuan_alpha": (HUNYUAN_ALPHA, "F32", POSITIONS, [], [
        {"rope_scaling": None}, {"rope_scaling": HUNYUAN_ALPHA["rope_scaling"] | {"alpha": 500.0}},
    ]),
    "cohere2": (COHERE2, "F32", POSITIONS, [], [
        {"sliding_window": 25}, {"sliding_window_pattern": 3}, {"logit_scale": 0.2}, {"rope_theta": 10000.0},
        "input_layernorm",
    ]),
    "cohere": (COHERE, "F32", POSITIONS, [], ["q_norm", "k_norm", {"rope_theta": 5000.0}, {"logit_scale": 0.125}]),
    "starcoder2": (STARCODER2, "F32", POSITIONS, [], [
        {"sliding_window": 25}, {"sliding_window": None}, {"rope_theta": 10000.0}, "q_proj.bias", "k_proj.bias", "v_proj.bias",
        "o_proj.bias", "c_fc.bias", "c_proj.bias", "input_layernorm.bias", "post_attention_layernorm.bias",
        "model.norm.bias",
    ]),
    "stablelm": (STABLELM, "F32", POSITIONS, [], [
        {"partial_rotary_factor": 0.5}, {"use_parallel_residual": True}, "input_layernorm.bias",
        "post_attention_layernorm.bias", "model.norm.bias",
    ]),
    "stablelm_bias": (STABLELM_BIAS, "F32", POSITIONS, [], ["q_proj.bias", "k_proj.bias", "v_proj.bias"]),
    "stablelm_parallel": (STABLELM_PARALLEL, "F32", POSITIONS, [], ["q_layernorm", "k_layernorm"]),
    "gpt2": (GPT2, "F32", POSITIONS, GPT2_RULES, [
        "wpe", "c_attn.bias", "attn.c_proj.bias", "c_fc.bias", "mlp.c_proj.bias", "ln_1.bias", "ln_2.bias", "ln_f.bias",
        {"activation_function": "relu"},
    ]),
    "gpt2_published": (GPT2 | {"vocab_size": 61}, "F32", POSITIONS, GPT2_RULES, ["wpe"]),
    "gpt_neox": (NEOX, "F32", POSITIONS, NARROW_IN, [
        {"rotary_pct": 0.5}, {"use_parallel_residual": False}, {"rotary_emb_base": 1000}, "query_key_value.bias",
        "dense.bias", "dense_h_to_4h.bias", "dense_4h_to_h.bias", "input_layernorm.bias", "final_layer_norm.bias",
    ]),
    "gpt_neox_serial": (NEOX_SERIAL, "F32", POSITIONS, NARROW_IN, [{"use_parallel_residual": True}]),
    "phi": (PHI, "F32", POSITIONS, [], [
        {"partial_rotary_factor": 0.5}, "q_proj.bias", "k_proj.bias", "v_proj.bias", "dense.bias", "fc1.bias", "fc2.bias",
        "lm_head.bias", "input_layernorm.bias",
    ]),
    "nemotron": (NEMOTRON, "F32", POSITIONS, NEMOTRON_RULES, [
        {"partial_rotary_factor": 1.0}, {"hidden_act": "relu"}, "input_layernorm.weight", "input_layernorm.bias",
        "post_attention_layernorm.weight", "norm.bias",
    ]),
}


# ---- making them ---------------------------------------------------------------------------------------------------


def published(cfg: dict) -> list:
    """[name, shape] of every tensor that `save_pretrained` writes for a model of this config.json, in its order."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(cfg))
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=torch.float32)
        model.save_pretrained(folder)
        with open(Path(folder) / "model.safetensors", "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return [[name, entry["shape"]] for name, entry in header.items() if name != "__metadata__"]


def without_prefix(tensors: list, cfg: dict) -> list:
    """Names the tensors as gpt2's own file does: without "transformer.", and with the causal masks, which say nothing."""
    size, all_tensors = cfg["n_positions"], []
    for name, shape in tensors:
        name = name.removeprefix("transformer.")
        if name.endswith("attn.c_attn.bias"):
            all_tensors.append([name.replace("c_attn.bias", "bias"), [1, 1, size, size]])
        all_tensors.append([name, shape])
    return all_tensors


def stored(tensors: list, dtype: str, rules: list, neutral: str = "") -> dict:
    """Makes the tensors of model.safetensors, those that `neutral` names at the middle of their values."""
    values = {}
    for name, shape in tensors:
        tensor = torch.from_numpy(weights(name, tuple(shape), dtype, rules))
        if neutral and neutral in name:
            tensor = torch.full_like(tensor, spread(name, tuple(shape), rules)[0])
        values[name] = tensor.to(DTYPES[dtype])
    return values


def load(cfg: dict, values: dict, strict: bool = True):
    """The model that `transformers` makes of a folder with this config.json and these tensors."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(cfg))
        save_file(values, Path(folder) / "model.safetensors", metadata={"format": "pt"})
        model, report = AutoModelForCausalLM.from_pretrained(
            folder, attn_implementation="eager", dtype=torch.float32, output_loading_info=True
        )
    wrong = {k: v for k, v in report.items() if v and (strict or k != "unexpected_keys")}
    assert not wrong, wrong
    return model.eval()


def cached_in_f16(model, ids):
    """Computes the logits that keys and values rounded to f16 give, where the family's attention is the usual one."""
    module = sys.modules[type(model).__module__]
    usual = getattr(module, "eager_attention_forward")

    def rounding(attention, query, key, value, *args, **kwargs):
        return usual(attention, query, key.half().float(), value.half().float(), *args, **kwargs)

    module.eager_attention_forward = rounding
    try:
        return logits(model, ids)
    finally:
        module.eager_attention_forward = usual


def make(name: str) -> None:
    cfg, dtype, count, rules, matters = CASES[name]
    tensors = published(cfg)
    if name == "gpt2_published":
        tensors = without_prefix(tensors, cfg)
    values = stored(tensors, dtype, rules)
    model = load(cfg, values)
    vocab = cfg["vocab_size"]
    best = (0.0, 0)
    for seed in range(1000):  # tokens without a near tie, so that the best token of every position is well defined
        best = max(best, (margin(logits(model, tokens(seed, count, vocab))), seed))
        if best[0] >= MARGIN:
            break
    else:
        raise SystemExit(f"{name}: no seed has margins of {MARGIN}, the best is {best}")
    seed = best[1]
    ids = tokens(seed, count, vocab)
    rows = logits(model, ids)
    for edit in matters:
        if isinstance(edit, str):
            assert any(edit in tensor for tensor, _ in tensors), f"{name}: no tensor is called {edit}"
            other = logits(load(cfg, stored(tensors, dtype, rules, neutral=edit)), ids)
        else:
            edited = {k: v for k, v in (cfg | edit).items() if v is not ABSENT}
            other = logits(load(edited, values, strict=False), ids)
        change = nmse(rows, other)
        print(f"    {str(edit)[:90]:90} changes the logits by {change:.1e}")
        if change < MATTERS:
            raise SystemExit(f"{name}: {edit} does not matter")
    exact = logits(load(cfg, values).double(), ids)
    rounded = logits(load(cfg, {k: v.half().to(v.dtype) for k, v in values.items()}), ids)
    cached = cached_in_f16(model, ids)
    top1 = rows.argmax(axis=1)
    print(
        f"{name}: {count} rows, vocab {vocab}, deviation {rows.std():.2f}, seed {seed}, margin {best[0]:.4f}, "
        f"{len(set(top1.tolist()))} different best tokens, {(top1 == ids).mean():.0%} repeat the input, "
        f"float32 against float64 {nmse(exact, rows):.0e}, rounded to f16: weights {nmse(rows, rounded):.0e}, "
        f"keys and values {nmse(rows, cached):.0e}",
        flush=True,
    )
    case = {
        "config": cfg,
        "dtype": dtype,
        "tokens": {"seed": seed, "count": count},
        "rows": {"first": 0, "step": 1},
        "deviation": round(float(rows.std()), 4),
        "margin": round(best[0], 5),
        "made_with": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, float32, eager attention",
    }
    text = json.dumps(case, indent=1)[: -len("\n}")]
    text += ',\n "spread": ' + json.dumps(rules)
    text += ',\n "tensors": [\n  ' + ",\n  ".join(json.dumps(tensor) for tensor in tensors) + "\n ]"
    text += ',\n "top1": ' + json.dumps(top1.tolist()) + "\n}\n"
    packed = rows.astype("<f4").tobytes()
    assert len(packed) <= LIMIT and len(text) <= LIMIT, f"{name}: {len(packed)} bytes"
    (FOLDER / f"{name}.json").write_text(text)
    (FOLDER / f"{name}.f32").write_bytes(packed)


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for wanted in sys.argv[1:] or CASES:
        make(wanted)
