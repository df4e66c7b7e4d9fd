#!/usr/bin/env python3
"""Makes tests/models/golden/: the logits that `transformers` computes in float32 for tiny models of every family.

    python3 -m venv venv
    venv/bin/pip install torch==2.15.0 transformers==5.23.0 numpy==2.4.6
    venv/bin/python tools/golden/models.py            # every case; or name some

Weights come from a formula (`weights` below; tests/support/models/weights.rs has it too), so a case stores only its config.json,
the seed of its tokens, the best token of every position, and the logits of some or all rows: little-endian float32.
Before a case is written, each setting that it is there for is switched off and must change the logits clearly
(`matters`): a golden file that a wrong model could meet would be worth nothing.
"""

import json
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "models" / "golden"
POSITIONS = 200  # whose best token is kept
LIMIT = 256 * 1024  # bytes a golden file may have
MARGIN = 0.006  # best minus second-best logit, in units of the logits' deviation, at every position
MATTERS = 1e-4  # NMSE that switching a setting off must cause


# ---- the formula ---------------------------------------------------------------------------------------------------


def hashes(name: str, count: int) -> np.ndarray:
    """`count` 64-bit numbers: splitmix64 started at the FNV-1a hash of the name."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = ((state ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    with np.errstate(over="ignore"):
        z = np.uint64(state) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def tokens(seed: int, count: int, vocab: int) -> np.ndarray:
    return ((hashes(f"tokens {seed}", count) >> np.uint64(32)) % np.uint64(vocab)).astype(np.int64)


def spread(name: str, shape: tuple, rules: list = ()) -> tuple[float, float]:
    """(middle, half-width) of a tensor's values. Widths are powers of two, so that f32 holds every value exactly.

    `rules` are a case's own, [end of the name, middle, half-width] each: the first that fits decides.
    They are chosen so that every layer has its say, without the amplifying of rounding errors that larger random
    weights bring: keys and values rounded to f16 change these logits by an NMSE of 4e-7 at most, weights rounded to
    f16 by about 1e-6.
    """
    for ending, middle, width in rules:
        if name.endswith(ending):
            return middle, width
    if name.endswith(("q_norm.weight", "k_norm.weight")):
        return 1.25, 0.25
    if name.endswith("norm.weight"):
        return 1.0, 0.25
    if name.endswith(".bias"):
        return 0.0, 0.25
    if name.endswith("embed_tokens.weight"):
        return 0.0, 0.5
    if len(shape) == 1:  # a norm by another name
        return 1.0, 0.25
    gains = {"k_proj": 0.5, "o_proj": 2.0, "down_proj": 2.0, "lm_head": 2.0}
    unit = 2.0 ** round(math.log2(math.sqrt(3 / math.prod(shape[1:]))))  # keeps the size of what passes through a matrix
    return 0.0, unit * gains.get(name.split(".")[-2], 1.0)


def weights(name: str, shape: tuple, dtype: str, rules: list = ()) -> np.ndarray:
    """The tensor in float32, having been stored as `dtype`."""
    count = math.prod(shape)
    middle, width = spread(name, shape, rules)
    if dtype == "Q8_0" and len(shape) == 2:  # blocks of 32: an f16 scale, 8-bit integers
        quants = (hashes(name, count) >> np.uint64(56)).astype(np.int64) - 128
        step = (hashes(name + " scale", count // 32) >> np.uint64(54)).astype(np.float64) / 1024
        scales = (width / 128 * (0.5 + 0.5 * step)).astype(np.float16).astype(np.float32)
        return (quants.astype(np.float32).reshape(-1, 32) * scales[:, None]).reshape(shape)
    unit = ((hashes(name, count) >> np.uint64(48)).astype(np.float64) - 32768) / 32768
    values = (middle + width * unit).astype(np.float32).reshape(shape)
    if dtype == "F16":
        return values.astype(np.float16).astype(np.float32)
    if dtype == "BF16":
        return torch.from_numpy(values).to(torch.bfloat16).to(torch.float32).numpy()
    return values


# ---- the cases -----------------------------------------------------------------------------------------------------


def config(family: str, dim: int, heads: tuple, ffn: int, vocab: int, layers: int, **more) -> dict:
    """config.json: `heads` is (query heads, key heads); None leaves a key out."""
    names = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3", "smollm3": "SmolLM3"}
    all_keys = {
        "architectures": [names[family] + "ForCausalLM"],
        "model_type": family,
        "hidden_act": "silu",
        "hidden_size": dim,
        "intermediate_size": ffn,
        "num_hidden_layers": layers,
        "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1],
        "vocab_size": vocab,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 1,
    } | more
    return {k: v for k, v in all_keys.items() if v is not None or k in more and k == "sliding_window"}


LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}

LLAMA2 = config("llama", 72, (3, 3), 136, 61, 2, num_key_value_heads=None, pretraining_tp=1, rope_scaling=None)
LLAMA3_NEW = config(
    "llama", 96, (6, 2), 172, 80, 3, head_dim=16, rope_parameters=LLAMA3 | {"rope_type": "llama3", "rope_theta": 10000.0}
)
LLAMA3_OLD = config(
    "llama", 96, (6, 2), 172, 80, 3, head_dim=16, rope_theta=10000.0, rope_scaling=LLAMA3 | {"rope_type": "llama3"}
)
LINEAR = config(
    "llama", 80, (5, 1), 88, 97, 2, rope_theta=10000.0, rope_scaling={"type": "linear", "factor": 4.0},
    tie_word_embeddings=True,
)
BIASES = config("llama", 60, (3, 1), 88, 61, 2, attention_bias=True, mlp_bias=True, rope_theta=100.0)
YARN_FULL = config(
    "llama", 128, (2, 2), 88, 73, 2,
    rope_parameters={
        "rope_type": "yarn", "rope_theta": 1000.0, "factor": 3.0, "original_max_position_embeddings": 100,
        "beta_fast": 8.0, "beta_slow": 0.5, "attention_factor": 1.25, "truncate": False,
    },
)
MISTRAL = config(
    "mistral", 72, (3, 1), 136, 64, 2, head_dim=32, sliding_window=37, rope_theta=10000.0, rms_norm_eps=1e-2
)
NEMO = config("mistral", 80, (2, 1), 172, 67, 2, head_dim=128, sliding_window=None, rope_theta=1000000.0)
QWEN2 = config("qwen2", 160, (2, 1), 172, 128, 2, tie_word_embeddings=True, rope_theta=1000000.0, use_sliding_window=False,
               sliding_window=20, max_window_layers=1)
QWEN2_YARN = config(
    "qwen2", 112, (7, 1), 136, 72, 2, rope_theta=10000.0,
    rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 48},
)
QWEN2_WINDOW = config(
    "qwen2", 96, (3, 1), 88, 64, 3, rope_theta=10000.0, use_sliding_window=True, sliding_window=24, max_window_layers=1
)
QWEN2_TYPES = QWEN2_WINDOW | {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
QWEN3 = config(
    "qwen3", 64, (2, 1), 136, 79, 2, head_dim=128, tie_word_embeddings=True, rms_norm_eps=1e-2,
    rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}, attention_bias=False,
)
QWEN3_WIDE = config("qwen3", 80, (4, 2), 88, 64, 2, head_dim=48, rope_theta=10000.0)
SMOLLM2 = config("llama", 96, (3, 1), 256, 257, 4, tie_word_embeddings=True, rope_theta=100000, head_dim=None)
SMOLLM3 = config(
    "smollm3", 80, (4, 2), 136, 70, 5, tie_word_embeddings=True, no_rope_layer_interval=4, use_sliding_window=False,
    rope_theta=10000.0,
)
SMOLLM3_LIST = config(
    "smollm3", 96, (4, 1), 88, 64, 3, tie_word_embeddings=False, no_rope_layers=[1, 0, 0], use_sliding_window=True,
    sliding_window=30, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
)
BLOCKS = config("llama", 96, (3, 1), 160, 64, 2, rope_theta=10000.0)
LONG = config("llama", 64, (4, 2), 88, 80, 2, rope_theta=500000.0)

# name: (config, dtype, tokens, (first row, step) of the rows kept, settings that matter)
# A setting is either an edit of the config, or a string: tensors whose name contains it are made neutral.
CASES = {
    "llama2_mha": (LLAMA2, "F32", POSITIONS, (0, 1), [{"rope_theta": 5000.0}, "input_layernorm", "mlp"]),
    "llama3_gqa": (LLAMA3_NEW, "F32", POSITIONS, (0, 1), [{"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}]),
    "llama_linear": (LINEAR, "F32", POSITIONS, (0, 1), [{"rope_scaling": None}]),
    "llama_biases": (BIASES, "F32", POSITIONS, (0, 1), [{"rope_theta": 10000.0}, "q_proj.bias", "k_proj.bias", "v_proj.bias",
                                                  "o_proj.bias", "gate_proj.bias", "up_proj.bias", "down_proj.bias"]),
    "llama_yarn": (YARN_FULL, "F32", POSITIONS, (0, 1), [
        {"rope_parameters": YARN_FULL["rope_parameters"] | edit}
        for edit in ({"attention_factor": 1.0}, {"beta_fast": 32.0}, {"beta_slow": 1.0}, {"truncate": True},
                     {"original_max_position_embeddings": 200})
    ]),
    "mistral_window": (MISTRAL, "F32", POSITIONS, (0, 1), [{"sliding_window": 38}, {"rms_norm_eps": 1e-5}]),
    "mistral_nemo": (NEMO, "F32", POSITIONS, (0, 1), [{"sliding_window": 100}]),
    "qwen2": (QWEN2, "F32", POSITIONS, (0, 1), [{"use_sliding_window": True}, "q_proj.bias", "k_proj.bias", "v_proj.bias"]),
    "qwen2_yarn": (QWEN2_YARN, "F32", POSITIONS, (0, 1), [
        {"rope_scaling": None}, {"rope_scaling": {"type": "yarn", "factor": 4.0}},
        {"rope_scaling": QWEN2_YARN["rope_scaling"] | {"attention_factor": 1.0}},
    ]),
    "qwen2_window": (QWEN2_WINDOW, "F32", POSITIONS, (0, 1), [
        {"use_sliding_window": False}, {"max_window_layers": 0}, {"max_window_layers": 2}, {"sliding_window": 25},
    ]),
    "qwen2_layer_types": (QWEN2_TYPES, "F32", POSITIONS, (0, 1), [{"layer_types": None}]),
    "qwen3": (QWEN3, "F32", POSITIONS, (0, 1), ["q_norm", "k_norm", {"rms_norm_eps": 1e-6}]),
    "qwen3_wide": (QWEN3_WIDE, "F32", POSITIONS, (0, 1), ["q_norm", "k_norm"]),
    "smollm2_tiny": (SMOLLM2, "F32", POSITIONS, (0, 1), [{"rope_theta": 10000.0}]),
    "smollm3": (SMOLLM3, "F32", POSITIONS, (0, 1), [{"no_rope_layer_interval": 5}, {"no_rope_layer_interval": 3}]),
    "smollm3_list": (SMOLLM3_LIST, "F32", POSITIONS, (0, 1), [{"no_rope_layers": [1, 1, 0]}, {"use_sliding_window": False}]),
    "llama_f16": (LLAMA3_OLD, "F16", POSITIONS, (0, 1), [{"rope_scaling": None}]),
    "llama_bf16": (LLAMA3_OLD, "BF16", POSITIONS, (0, 1), [{"rope_scaling": None}]),
    "mistral_bf16": (MISTRAL, "BF16", POSITIONS, (0, 1), [{"sliding_window": None}]),
    "qwen2_f16": (QWEN2, "F16", POSITIONS, (0, 1), ["q_proj.bias"]),
    "qwen2_bf16": (QWEN2, "BF16", POSITIONS, (0, 1), ["q_proj.bias"]),
    "qwen3_f16": (QWEN3, "F16", POSITIONS, (0, 1), ["q_norm"]),
    "qwen3_bf16": (QWEN3, "BF16", POSITIONS, (0, 1), ["q_norm"]),
    "smollm3_bf16": (SMOLLM3, "BF16", POSITIONS, (0, 1), [{"no_rope_layer_interval": 5}]),
    "llama_q8_0": (BLOCKS, "Q8_0", POSITIONS, (0, 1), [{"rope_theta": 5000.0}]),
    "llama_long": (LONG, "F32", 1100, (20, 36), [{"rope_theta": 400000.0}]),
}


# ---- making them ---------------------------------------------------------------------------------------------------


def build(cfg: dict, dtype: str, neutral: str = "", double: bool = False):
    """The model as `transformers` builds it from this config.json, with the formula's weights."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(cfg))
        parsed = AutoConfig.from_pretrained(folder)
    model = AutoModelForCausalLM.from_config(parsed, attn_implementation="eager", dtype=torch.float32).eval()
    tied = bool(parsed.tie_word_embeddings)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if tied and name == "lm_head.weight":
                continue
            values = weights(name, tuple(parameter.shape), dtype)
            if neutral and neutral in name:
                values = np.full_like(values, spread(name, values.shape)[0])
            parameter.copy_(torch.from_numpy(values))
    if tied:
        assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    if double:  # inverse frequencies stay the float32 ones: they are part of the definition
        model = model.double()
    return model


@torch.no_grad()
def logits(model, ids: np.ndarray) -> np.ndarray:
    return model(torch.from_numpy(ids)[None], use_cache=False).logits[0].to(torch.float64).numpy()


def nmse(want: np.ndarray, got: np.ndarray) -> float:
    return float(((want - got) ** 2).sum() / (want**2).sum())


def margin(rows: np.ndarray) -> float:
    best = np.partition(rows, -2, axis=1)[:, -2:]
    return float((best[:, 1] - best[:, 0]).min() / rows.std())


def make(name: str) -> None:
    cfg, dtype, count, (first, step), matters = CASES[name]
    model = build(cfg, dtype)
    judged = slice(None) if count == POSITIONS else slice(first, None, step)  # rows whose best token is kept
    best = (0.0, 0)
    for seed in range(1000):  # tokens without a near tie, so that the best token of every position is well defined
        best = max(best, (margin(logits(model, tokens(seed, count, cfg["vocab_size"]))[judged]), seed))
        if best[0] >= MARGIN:
            break
    else:
        raise SystemExit(f"{name}: no seed has margins of {MARGIN}, the best is {best}")
    seed = best[1]
    ids = tokens(seed, count, cfg["vocab_size"])
    rows = logits(model, ids)
    exact = logits(build(cfg, dtype, double=True), ids)
    kept = rows[first::step]
    for edit in matters:
        if isinstance(edit, str):
            other = logits(build(cfg, dtype, neutral=edit), ids)
        else:
            changed = {k: v for k, v in (cfg | edit).items() if v is not None or k == "sliding_window"}
            other = logits(build(changed, dtype), ids)
        change = nmse(kept, other[first::step])
        print(f"    {str(edit)[:90]:90} changes the logits by {change:.1e}")
        if change < MATTERS:
            raise SystemExit(f"{name}: {edit} does not matter")
    top1 = rows[judged].argmax(axis=1)
    print(
        f"{name}: {kept.shape[0]} of {count} rows, vocab {kept.shape[1]}, deviation {rows.std():.2f}, seed {seed}, "
        f"margin {best[0]:.4f}, {len(set(top1.tolist()))} different best tokens, "
        f"{(top1 == ids[judged]).mean():.0%} repeat the input, float32 against float64 {nmse(exact, rows):.0e}"
    )
    case = {
        "config": cfg,
        "dtype": dtype,
        "tokens": {"seed": seed, "count": count},
        "rows": {"first": first, "step": step},
        "deviation": round(float(rows.std()), 4),
        "margin": round(best[0], 5),
        "made_with": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, float32, eager attention",
    }
    text = json.dumps(case, indent=1)
    text = text[: -len("\n}")] + ',\n "top1": ' + json.dumps(top1.tolist()) + "\n}\n"
    packed = kept.astype("<f4").tobytes()
    assert len(packed) <= LIMIT and len(text) <= LIMIT, f"{name}: {len(packed)} bytes"
    (GOLDEN / f"{name}.json").write_text(text)
    (GOLDEN / f"{name}.f32").write_bytes(packed)


TAPPED = 12  # tokens whose hidden states are kept


@torch.no_grad()
def make_taps(name: str) -> None:
    """Writes the embeddings and the hidden states after every layer but the last, for the first tokens of a case."""
    cfg, dtype, count, _, _ = CASES[name]
    seed = json.loads((GOLDEN / f"{name}.json").read_text())["tokens"]["seed"]
    ids = torch.from_numpy(tokens(seed, count, cfg["vocab_size"])[:TAPPED])[None]
    states = build(cfg, dtype)(ids, use_cache=False, output_hidden_states=True).hidden_states[:-1]
    (GOLDEN / f"{name}.taps").write_bytes(torch.cat(states).numpy().astype("<f4").tobytes())


def check_spellings() -> None:
    """Both spellings of config.json must mean the same to `transformers`, since the tests use both for one model."""
    ids = tokens(0, 50, LLAMA3_OLD["vocab_size"])
    assert nmse(logits(build(LLAMA3_OLD, "F32"), ids), logits(build(LLAMA3_NEW, "F32"), ids)) == 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    GOLDEN.mkdir(parents=True, exist_ok=True)
    check_spellings()
    for wanted in sys.argv[1:] or CASES:
        make(wanted)
    make_taps("smollm2_tiny")
