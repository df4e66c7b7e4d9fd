#!/usr/bin/env python3
"""Makes tests/images/flops.json: the floating-point operations of a step of the noise predictor, as torch counts them.

    venv/bin/python tools/golden/flops.py             # with the packages that diffusion.py names

Nothing is computed: the models are on torch's device for shapes. What needs not be computed is left out: keys and values
of the prompt, made once for a picture, and what is made of the time for the second row of a guided step, the same as for
the first.
"""

import json
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests" / "images"
SIDE = 40  # pixels
GUIDED = {"emoji": True, "sd1": True, "sd2": True, "sdxl": True, "lcm": False}


def read(model: str, path: str) -> dict:
    if model == "emoji":
        return json.loads((ROOT / "www" / "models" / "emoji" / path).read_text())
    return json.loads((TESTS / "golden" / f"{model}.json").read_text())["files"][path]


def step(model: str, guided: bool) -> int:
    config = read(model, "unet/config.json")
    side = SIDE // 2 ** (len(read(model, "vae/config.json")["block_out_channels"]) - 1)
    batch = 2 if guided else 1
    words = read(model, "text_encoder/config.json")["max_position_embeddings"]
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config).eval()
        inputs = [torch.zeros(batch, config["in_channels"], side, side), torch.zeros(batch)]
        text = torch.zeros(batch, words, config["cross_attention_dim"])
        more = {}
        if config.get("addition_embed_type") == "text_time":
            times = 6 * config["addition_time_embed_dim"]
            width = config["projection_class_embeddings_input_dim"] - times
            more["added_cond_kwargs"] = {"text_embeds": torch.zeros(batch, width), "time_ids": torch.zeros(batch, 6)}
        if config.get("time_cond_proj_dim"):
            more["timestep_cond"] = torch.zeros(batch, config["time_cond_proj_dim"])
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            unet(*inputs, text, **more)
    known = 0
    for name, module in unet.named_modules():
        if name.endswith(("attn2.to_k", "attn2.to_v")):
            known += 2 * batch * words * module.in_features * module.out_features
        elif not more and name.endswith(("time_embedding.linear_1", "time_embedding.linear_2", "time_emb_proj")):
            known += 2 * (batch - 1) * module.in_features * module.out_features
    return counter.get_total_flops() - known


if __name__ == "__main__":
    counts = {model: step(model, guided) for model, guided in GUIDED.items()}
    how = {"made_with": f"torch {torch.__version__.split('+')[0]}", "side": SIDE, "step": counts}
    (TESTS / "flops.json").write_text(json.dumps(how, indent=1) + "\n")
    print(counts)
