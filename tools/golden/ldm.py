"""Writes tests/formats/ldm.json: what diffusers makes of single-file checkpoints.

    python tools/golden/ldm.py        (needs torch, diffusers and transformers; downloads nothing)

For each architecture the models are built from their configurations without memory for weights. Their names are turned
into those of the original code by the tables below, and the converters of diffusers turn these back. Written are the
names and shapes of the checkpoint, the configurations, and how many tensors come out with a hash over which of them is
which of the checkpoint's: lines `name=source take`, sorted, FNV-1a of 64 bits. `samples` are some of these lines.

Names and shapes are in `tensors`, by part, as lines `name|shape|numbers`: the name is one for each group of numbers, which
stand for its #. With a + after the shape there is, beside each `.weight`, a `.bias` of as many elements as it has rows.
"""

import json
import pathlib
import re

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils as single
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection


class Stored:
    """Stands for a tensor of a checkpoint and notes what is done with it."""

    def __init__(self, name, shape, take=""):
        self.name, self.shape, self.take = name, tuple(shape), take

    ndim = property(lambda self: len(self.shape))
    T = property(lambda self: Stored(self.name, self.shape[::-1], "transposed"))

    def contiguous(self):
        return self

    clone = detach = contiguous

    def __getitem__(self, index):
        index = index if isinstance(index, tuple) else (index,)
        if 0 in index:
            assert all(i == slice(None) for i in index[:2]) and all(n == 1 for n in self.shape[2:]), self.name
            return Stored(self.name, self.shape[:2], self.take)
        first, last, _ = index[0].indices(self.shape[0])
        assert all(i == slice(None) for i in index[1:])
        return Stored(self.name, (last - first, *self.shape[1:]), f"rows {first} {last - first}")


def build(kind, config):
    with torch.device("meta"):
        if kind in (CLIPTextModel, CLIPTextModelWithProjection):
            model = kind(CLIPTextConfig(**config))
            names = model.state_dict()
            bare = not any(name.startswith("text_model.") for name in names)
            return {("text_model." if bare else "") + n: tuple(t.shape) for n, t in names.items()}
        return {n: tuple(t.shape) for n, t in kind(**config).state_dict().items()}


RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
ONCE = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}


def unet_name(name, config):
    stem, kind = name.rsplit(".", 1)
    if stem in ONCE:
        return f"{ONCE[stem]}.{kind}"
    stride = config["layers_per_block"] + 1
    if m := re.match(r"mid_block\.resnets\.(\d)\.(.*)", stem):
        return f"middle_block.{2 * int(m[1])}.{RESNET[m[2]]}.{kind}"
    if m := re.match(r"mid_block\.attentions\.0\.(.*)", stem):
        return f"middle_block.1.{m[1]}.{kind}"
    way, b, part, j, rest = re.match(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.*)", stem).groups()
    b, j = int(b), int(j)
    if part == "downsamplers":
        return f"input_blocks.{stride * (b + 1)}.0.op.{kind}"
    if part == "upsamplers":
        attention = "CrossAttn" in config["up_block_types"][b]
        return f"output_blocks.{stride * (b + 1) - 1}.{2 if attention else 1}.conv.{kind}"
    block = f"input_blocks.{stride * b + j + 1}" if way == "down" else f"output_blocks.{stride * b + j}"
    return f"{block}.0.{RESNET[rest]}.{kind}" if part == "resnets" else f"{block}.1.{rest}.{kind}"


def vae_name(name, config):
    levels = len(config["block_out_channels"])
    for new, old in [
        ("mid_block.resnets.0", "mid.block_1"),
        ("mid_block.resnets.1", "mid.block_2"),
        ("mid_block.attentions.0", "mid.attn_1"),
        ("conv_norm_out", "norm_out"),
        ("conv_shortcut", "nin_shortcut"),
        ("group_norm", "norm"),
        ("to_q", "q"),
        ("to_k", "k"),
        ("to_v", "v"),
        ("to_out.0", "proj_out"),
    ]:
        name = name.replace(new, old)
    name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    up = lambda m: f"up.{levels - 1 - int(m[1])}."
    return re.sub(r"up_blocks\.(\d)\.", up, name).replace("resnets", "block").replace("upsamplers.0", "upsample")


def open_clip_names(shapes, layers):
    """An OpenCLIP tower of `layers`, of which the model has some."""
    shapes = dict(shapes)
    dim = shapes["text_model.final_layer_norm.weight"][0]
    out = {
        "token_embedding.weight": shapes["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": shapes["text_model.embeddings.position_embedding.weight"],
        "ln_final.weight": (dim,),
        "ln_final.bias": (dim,),
        "text_projection": tuple(reversed(shapes.get("text_projection.weight", (dim, dim)))),
        "logit_scale": (),
    }
    for i in range(layers):
        to, first = f"transformer.resblocks.{i}", "text_model.encoder.layers.0"
        ffn = shapes[f"{first}.mlp.fc1.bias"][0]
        for name, shape in {
            "attn.in_proj_weight": (3 * dim, dim),
            "attn.in_proj_bias": (3 * dim,),
            "attn.out_proj.weight": (dim, dim),
            "attn.out_proj.bias": (dim,),
            "mlp.c_fc.weight": (ffn, dim),
            "mlp.c_fc.bias": (ffn,),
            "mlp.c_proj.weight": (dim, ffn),
            "mlp.c_proj.bias": (dim,),
            **{f"{ln}.{kind}": (dim,) for ln in ("ln_1", "ln_2") for kind in ("weight", "bias")},
        }.items():
            out[f"{to}.{name}"] = shape
    return out


UNET = {"layers_per_block": 2, "block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 768, "sample_size": 64}
UNET |= {
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "attention_head_dim": 8,
    "transformer_layers_per_block": 1,
    "in_channels": 4,
}
SD2 = UNET | {"cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20], "use_linear_projection": True, "sample_size": 96}
THREE = UNET | {"layers_per_block": 1, "block_out_channels": [320, 640, 1280], "mid_block_type": None}
TINY_SD = THREE | {"down_block_types": ["CrossAttnDownBlock2D"] * 3, "up_block_types": ["CrossAttnUpBlock2D"] * 3}
XL_BLOCKS = {
    "down_block_types": ["DownBlock2D"] + ["CrossAttnDownBlock2D"] * 2,
    "up_block_types": ["CrossAttnUpBlock2D"] * 2 + ["UpBlock2D"],
}
SDXL = UNET | XL_BLOCKS | {
    "block_out_channels": [320, 640, 1280],
    "attention_head_dim": [5, 10, 20],
    "transformer_layers_per_block": [1, 2, 10],
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
    "sample_size": 128,
}
VAE = {"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "sample_size": 512, "scaling_factor": 0.18215}
VAE |= {"down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4}
VAE |= {"norm_num_groups": 32, "latent_channels": 4}
VAE_XL = VAE | {"sample_size": 1024, "scaling_factor": 0.13025}
CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
CLIP_L |= {"hidden_act": "quick_gelu", "pad_token_id": 49407}
CLIP_H = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16}
CLIP_H |= {"hidden_act": "gelu", "pad_token_id": 0}
CLIP_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20}
CLIP_G |= {"hidden_act": "gelu", "pad_token_id": 0, "projection_dim": 1280}

# Small ones whose widths nothing published has. The original code has 8 heads, or heads of 64.
SMALL = UNET | {"block_out_channels": [32, 64], "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"]}
SMALL |= {"up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"], "cross_attention_dim": 24, "norm_num_groups": 32}
SMALL_XL = SMALL | {"block_out_channels": [64, 128], "attention_head_dim": [1, 2], "transformer_layers_per_block": [1, 3]}
SMALL_XL |= {"down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"]}
SMALL_XL |= {"use_linear_projection": True, "addition_embed_type": "text_time", "addition_time_embed_dim": 8, "sample_size": 128}
SMALL_XL |= {"projection_class_embeddings_input_dim": 48 + 40, "cross_attention_dim": 24 + 128}
SMALL_VAE = VAE | {"block_out_channels": [16, 24, 40], "layers_per_block": 1, "norm_num_groups": 8, "latent_channels": 6}
SMALL_VAE |= {"down_block_types": ["DownEncoderBlock2D"] * 3, "up_block_types": ["UpDecoderBlock2D"] * 3}
SMALL_CLIP = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 1, "vocab_size": 100}
SMALL_CLIP |= {"max_position_embeddings": 20, "hidden_act": "quick_gelu"}
SMALL_CLIP |= {"pad_token_id": 99, "bos_token_id": 98, "eos_token_id": 99}
SMALL_OPEN = SMALL_CLIP | {"hidden_size": 128, "num_attention_heads": 2, "hidden_act": "gelu", "pad_token_id": 0}

# Name: UNet, VAE, its prefix, text encoders with their prefixes.
SD1 = ("cond_stage_model.transformer.", CLIPTextModel)
SD2_TEXT = ("cond_stage_model.model.", CLIPTextModel)
XL1, XL2 = ("conditioner.embedders.0.transformer.", CLIPTextModel), ("conditioner.embedders.1.model.", CLIPTextModelWithProjection)
CASES = {
    "sd 1.5": (UNET, VAE, [(SD1, CLIP_L)]),
    "sd 2.1": (SD2, VAE, [(SD2_TEXT, CLIP_H)]),
    "sdxl": (SDXL, VAE_XL, [(XL1, CLIP_L), (XL2, CLIP_G)]),
    "tiny-sd": (TINY_SD, VAE, [(SD1, CLIP_L)]),
    "sdxs": (THREE | XL_BLOCKS, VAE, [(SD1, CLIP_L)]),
    "bk-sdm small": (UNET | {"layers_per_block": 1, "mid_block_type": None}, VAE, [(SD1, CLIP_L)]),
    "sd 1, small": (SMALL, SMALL_VAE, [(SD1, SMALL_CLIP)]),
    "sdxl, small": (
        SMALL_XL,
        SMALL_VAE | {"sample_size": 1024, "scaling_factor": 0.13025},
        [(XL1, SMALL_CLIP), (XL2, SMALL_OPEN | {"projection_dim": 40})],
    ),
}
# What training leaves behind; nothing of it is read.
LEFT = {
    "model_ema.decay": (),
    "model_ema.diffusion_modelinput_blocks00weight": (320, 4, 3, 3),
    "betas": (1000,),
    "alphas_cumprod": (1000,),
    "sqrt_recipm1_alphas_cumprod": (1000,),
    "posterior_variance": (1000,),
}


def checkpoint(unet, vae, encoders):
    """Names and shapes of a checkpoint's tensors, and those of each part's that diffusers is to make of them."""
    names, parts = {}, {"unet": build(UNet2DConditionModel, unet), "vae": build(AutoencoderKL, vae)}

    def put(name, shape):
        assert name not in names, name
        names[name] = tuple(shape)

    for name, shape in parts["unet"].items():
        put("model.diffusion_model." + unet_name(name, unet), shape)
    for name, shape in parts["vae"].items():
        attention = ".attentions." in name and name.endswith("weight") and len(shape) == 2
        put("first_stage_model." + vae_name(name, vae), (*shape, 1, 1) if attention else shape)
    for i, ((prefix, kind), config) in enumerate(encoders):
        shapes = parts[f"text_encoder{'_2' if i else ''}"] = build(kind, config)
        if prefix.endswith("model."):
            layers = config["num_hidden_layers"] + (prefix == SD2_TEXT[0])
            for name, shape in open_clip_names(shapes, layers).items():
                put(prefix + name, shape)
        else:
            for name, shape in shapes.items():
                put(prefix + name, shape)
    return names, parts


def converted(stored, unet, vae, encoders):
    """Each part's tensors as the converters of diffusers make them of a checkpoint's."""
    # The converter compares blocks by the beginning of their names, `input_blocks.1` with `input_blocks.10`, which does no
    # harm; and it numbers what is in the middle, if there is any.
    parts = {"unet": single.convert_ldm_unet_checkpoint(stored, unet), "vae": single.convert_ldm_vae_checkpoint(stored, vae)}
    for i, ((prefix, _), config) in enumerate(encoders):
        if prefix.endswith("model."):

            class Model:
                class config:
                    hidden_size = config["hidden_size"]

            # Thirds are as wide as the model, which the converter takes for the projection's first dimension.
            got = single.convert_open_clip_checkpoint(Model, stored, prefix)
        else:
            got = single.convert_ldm_clip_checkpoint({n: t for n, t in stored.items() if n.startswith(prefix)})
            got = {n: t for n, t in got.items() if not n.endswith("position_ids")}
        parts[f"text_encoder{'_2' if i else ''}"] = got
    return parts


def case(unet, vae, encoders):
    names, parts = checkpoint(unet, vae, encoders)
    more = {p + "text_model.embeddings.position_ids": (1, 77) for (p, _), _ in encoders if not p.endswith("model.")}
    stored = {name: Stored(name, shape) for name, shape in (LEFT | names | more).items()}
    expected = {}
    for part, got in converted(stored, unet, vae, encoders).items():
        assert {n: t.shape for n, t in got.items()} == parts[part]
        expected |= {f"{part}.{name}": tensor for name, tensor in got.items()}
    lines = sorted(f"{name}={t.name} {t.take}".rstrip() for name, t in expected.items())
    digest = 0xCBF29CE484222325
    for byte in "\n".join(lines).encode():
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    configs = {"unet": unet | {"_class_name": "UNet2DConditionModel"}, "vae": vae | {"_class_name": "AutoencoderKL"}}
    for i, ((_, kind), config) in enumerate(encoders):
        configs[f"text_encoder{'_2' if i else ''}"] = config | {"architectures": [kind.__name__]}
    return {
        "configs": configs,
        "count": len(lines),
        "hash": f"{digest:016x}",
        "samples": lines[:: len(lines) // 12],
        "tensors": {name: t.shape for name, t in stored.items()},
    }


def grouped(shapes):
    groups = {}
    for name, shape in shapes.items():
        if name.endswith(".bias") and shapes.get(name[:-4] + "weight", ())[:1] == shape:
            continue
        bias = name.endswith(".weight") and shapes.get(name[:-6] + "bias") == shape[:1]
        numbers = ",".join(part for part in name.split(".") if part.isdigit())
        stem = re.sub(r"(?<=\.)\d+(?=\.|$)", "#", name)
        groups.setdefault((stem, "x".join(map(str, shape)) + "+" * bias), []).append(numbers)
    return [f"{stem}|{shape}|{' '.join(numbers)}".rstrip("|") for (stem, shape), numbers in groups.items()]


def shared(cases):
    """Parts that several checkpoints have are written once."""
    parts = {}
    for name, value in cases.items():
        by_part = {}
        for tensor, shape in value["tensors"].items():
            part = "left" if tensor in LEFT else tensor.split(".")[0].split("_")[0]
            by_part.setdefault(part, {})[tensor] = shape
        value["tensors"] = []
        for part, shapes in by_part.items():
            lines = grouped(shapes)
            known = next((key for key, other in parts.items() if other == lines), None)
            parts.setdefault(known or f"{part} of {name}", lines)
            value["tensors"].append(known or f"{part} of {name}")
    return {"cases": cases, "tensors": parts}


if __name__ == "__main__":
    torch.set_num_threads(1)
    cases = {name: case(*parts) for name, parts in CASES.items()}
    path = pathlib.Path(__file__).parents[2] / "tests/formats/ldm.json"
    for name, value in cases.items():
        print(f"{name}: {value['count']} from {len(value['tensors'])} tensors")
    path.write_text(json.dumps(shared(cases), indent=0) + "\n")
    print(path.stat().st_size, "bytes")
