"""Writes tests/formats/rope.json: rotary frequencies of many settings as transformers computes them.

    python tools/golden/rope.py        (needs torch and transformers)

Each case is a config.json, the inverse frequencies in double precision, and the factor on cosine and sine. Transformers
computes in single precision; its names for that type are pointed at double precision while it does, so that the numbers
are those of its formulas rather than of its rounding.
"""

import json
import pathlib

import torch
from transformers import AutoConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.models.mistral.modeling_mistral import MistralRotaryEmbedding
from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding
from transformers.models.qwen3.modeling_qwen3 import Qwen3RotaryEmbedding
from transformers.models.smollm3.modeling_smollm3 import SmolLM3RotaryEmbedding

ROTARY = {
    "llama": LlamaRotaryEmbedding,
    "mistral": MistralRotaryEmbedding,
    "qwen2": Qwen2RotaryEmbedding,
    "qwen3": Qwen3RotaryEmbedding,
    "smollm3": SmolLM3RotaryEmbedding,
}


def config(model_type, head_dim, context, **more):
    return {
        "model_type": model_type,
        "hidden_size": 4 * head_dim,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": head_dim,
        "vocab_size": 64,
        "max_position_embeddings": context,
        **more,
    }


def llama3(factor, low, high, original):
    names = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    return dict(zip(names, (factor, low, high, original)), rope_type="llama3")


CASES = {
    "llama, nothing said": config("llama", 64, 2048),
    "smollm3, nothing said": config("smollm3", 32, 4096),
    "smollm2": config("llama", 64, 8192, rope_theta=100000.0, rope_scaling=None),
    "qwen3, later spelling": config("qwen3", 128, 40960, rope_parameters={"rope_theta": 1e6, "rope_type": "default"}),
    "linear": config("llama", 64, 4096, rope_theta=10000.0, rope_scaling={"type": "linear", "factor": 2.5}),
    "linear, later spelling": config(
        "mistral", 24, 512, rope_parameters={"rope_type": "linear", "factor": 4, "rope_theta": 500.0}
    ),
    "dynamic": config("llama", 32, 256, rope_scaling={"type": "dynamic", "factor": 3.0}),
    "llama 3.1": config("llama", 128, 131072, rope_theta=500000.0, rope_scaling=llama3(8.0, 1.0, 4.0, 8192)),
    "llama 3.2": config("llama", 64, 131072, rope_theta=500000.0, rope_scaling=llama3(32.0, 1.0, 4.0, 8192)),
    "llama3, small": config(
        "llama", 16, 256, rope_parameters={"rope_theta": 10000.0, **llama3(4.0, 1.0, 2.0, 32)}
    ),
    "yarn as qwen2.5": config(
        "qwen2",
        128,
        32768,
        rope_theta=1e6,
        rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
    ),
    "yarn, later spelling": config(
        "qwen3",
        64,
        131072,
        rope_parameters={
            "rope_theta": 1e6,
            "rope_type": "yarn",
            "factor": 4.0,
            "original_max_position_embeddings": 32768,
        },
    ),
    "yarn, all said": config(
        "llama",
        48,
        4096,
        rope_theta=20000.0,
        rope_scaling={
            "rope_type": "yarn",
            "factor": 16.0,
            "original_max_position_embeddings": 256,
            "beta_fast": 24.0,
            "beta_slow": 2.0,
            "attention_factor": 0.75,
            "truncate": False,
        },
    ),
    "yarn with mscale": config(
        "llama",
        64,
        16384,
        rope_scaling={
            "rope_type": "yarn",
            "factor": 40.0,
            "original_max_position_embeddings": 4096,
            "mscale": 0.707,
            "mscale_all_dim": 1.0,
        },
    ),
    "yarn, original length from the context": config(
        "mistral", 32, 1024, rope_theta=1e6, rope_scaling={"rope_type": "yarn", "factor": 2.0, "beta_fast": 0}
    ),
    "yarn over a context shorter than a turn": config(
        "llama", 16, 8, rope_scaling={"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 4}
    ),
    "yarn over a context longer than every turn, zero for unset": config(
        "qwen3",
        32,
        65536,
        rope_parameters={
            "rope_theta": 30.0,
            "rope_type": "yarn",
            "factor": 2.0,
            "original_max_position_embeddings": 32768,
            "beta_fast": 512,
            "beta_slow": 0,
        },
    ),
    "yarn with a ramp of no width": config(
        "llama",
        16,
        64,
        rope_scaling={
            "rope_type": "yarn",
            "factor": 2.0,
            "original_max_position_embeddings": 32,
            "beta_fast": 4.0,
            "beta_slow": 4.0,
            "truncate": False,
        },
    ),
}


def main():
    cases = []
    for name, given in CASES.items():
        # A copy, since transformers completes the dictionaries that it is given.
        copy = json.loads(json.dumps(given))
        built = AutoConfig.for_model(copy.pop("model_type"), **copy)
        single = torch.float
        torch.float = torch.float32 = torch.float64
        try:
            rotary = ROTARY[given["model_type"]](built)
        finally:
            torch.float = torch.float32 = single
        assert rotary.inv_freq.dtype == torch.float64
        inv_freq = [float(f"{f:.10g}") for f in rotary.inv_freq.tolist()]
        cases.append({"name": name, "config": given, "inv_freq": inv_freq, "factor": rotary.attention_scaling})
    path = pathlib.Path(__file__).parents[2] / "tests/formats/rope.json"
    path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
    print(f"{len(cases)} cases, {path.stat().st_size} bytes")


main()
