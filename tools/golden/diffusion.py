#!/usr/bin/env python3
"""Makes tests/images/golden/: what `diffusers` and `transformers` compute in float32 for tiny models of every layout.

    python3 -m venv venv
    venv/bin/pip install torch==2.15.0 diffusers==0.42.1 transformers==5.23.0 safetensors==0.8.0 numpy==2.4.6 scipy==1.17.1 pillow==13.0.0
    venv/bin/python tools/golden/diffusion.py         # every model; or name some; "emoji" is the one under www/models

Weights and inputs come from formulas (`values`, `normals`, `picture`; tests/images has them too), so a model stores only
its JSON files, the names and shapes of its tensors, what is run, and the results. tests/images/README.md has the format.
Before a model is written, every one of its tensors, and each setting that it is there for, is made neutral and must
change some result clearly. The tolerances of the tests can be judged by `rounding`, which stands beside every
result: how far the same computation in float64 is from it.
"""

import copy
import json
import math
import os
import sys
import tempfile
from pathlib import Path

import diffusers
import numpy as np
import torch
import transformers
from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting, DiffusionPipeline
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

import ldm
from diffusion_models import CHECKPOINTS, EMOJI, PARTS, PIPELINES, merges, vocabulary
from models import hashes

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "images" / "golden"
EMOJI_FOLDER = Path(os.environ.get("EMOJI", ROOT / "www" / "models" / "emoji"))
MATTERS = 1e-3  # largest difference, in units of the result's deviation, that losing one tensor must cause at least
CLEARLY = 1e-2  # the same, that another setting must cause
TOLERANCE = 1e-3  # of the tests, absolute: rounding has to stay well under it
NEUTRAL = ("k_proj.bias", "to_k.bias")  # softmax does not see what is added to every key

SCHEDULERS = {
    "ddim": "DDIMScheduler", "euler": "EulerDiscreteScheduler", "euler_a": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler", "dpmpp_2m": "DPMSolverMultistepScheduler",
    "dpmpp_2m_karras": "DPMSolverMultistepScheduler", "lcm": "LCMScheduler", "unipc": "UniPCMultistepScheduler",
    "pndm": "PNDMScheduler", "lms": "LMSDiscreteScheduler",
}
FILES = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}
CHECKPOINT = "model.safetensors"


# ---- the formulas --------------------------------------------------------------------------------------------------


def spread(name: str, shape: tuple) -> tuple[float, float]:
    """(middle, half-width) of a tensor's values. Widths are powers of two, so that f32 holds every value exactly."""
    if name.endswith(".bias"):
        return 0.0, 0.25
    if len(shape) == 1:
        return 1.0, 0.25
    if "_embedding." in name and "embeddings." in name:
        return 0.0, 0.5
    unit = 2.0 ** round(math.log2(math.sqrt(3 / math.prod(shape[1:]))))  # keeps the size of what passes through
    gains = {"to_out.0": 2.0, "net.2": 2.0, "conv2": 2.0, "fc2": 2.0, "out_proj": 2.0, "conv_out": 0.5}
    return 0.0, unit * next((gain for end, gain in gains.items() if name.endswith(end + ".weight")), 1.0)


def values(path: str, name: str, shape: tuple, dtype: str) -> np.ndarray:
    """A tensor of the file `path`, as `dtype` holds it."""
    middle, width = spread(name, shape)
    unit = ((hashes(f"{path} {name}", math.prod(shape)) >> np.uint64(48)).astype(np.float64) - 32768) / 32768
    return (middle + width * unit).astype(np.float32).astype({"F32": np.float32, "F16": np.float16}[dtype]).reshape(shape)


def normals(name: str, shape: tuple) -> torch.Tensor:
    """Sums of four 16-bit fractions, deviation 1.15: as good as normal, and exact."""
    h = hashes(name, math.prod(shape))
    total = sum((h >> np.uint64(16 * i) & np.uint64(0xFFFF)).astype(np.int64) for i in range(4))
    return torch.from_numpy(((total - 131070) / 32768).astype(np.float32).reshape(shape))


def picture(seed: int, width: int, height: int) -> np.ndarray:
    """Tiles of 5 x 5 pixels of one colour, with a grain."""
    across = -(-width // 5)
    y, x = np.mgrid[:height, :width]
    tiles = hashes(f"picture {seed}", across * -(-height // 5))[y // 5 * across + x // 5]
    grain = hashes(f"grain {seed}", width * height).reshape(height, width)
    part = lambda h, c, bits: ((h >> np.uint64(16 * c)) & np.uint64(2**bits - 1)).astype(np.int64)
    return np.stack([(part(tiles, c, 16) % 224 + part(grain, c, 5)) for c in range(3)], axis=-1).astype(np.uint8)


def mask(seed: int, width: int, height: int) -> np.ndarray:
    """A rectangle to repaint, of the greys that seed - 1 is far from white, on what is nearly black."""
    y, x = np.mgrid[:height, :width]
    inside = (x >= width * 3 // 10) & (x < width * 8 // 10) & (y >= height // 5) & (y < height * 7 // 10)
    return np.where(inside, 255 - 50 * (seed - 1), 90 * (seed - 1)).astype(np.uint8)


def ids(run: dict) -> list[int]:
    """Those stored; or the first token of all, `words` tokens, the last token of all, padding."""
    if "ids" in run:
        return run["ids"]
    bos = len(vocabulary()) - 2
    h = hashes(f"words {run['seed']}", run["words"])
    row = [bos, *((h >> np.uint64(32)) % np.uint64(bos)).astype(int).tolist(), bos + 1]
    return row + [run["pad"]] * (run["positions"] - len(row))


# ---- folders -------------------------------------------------------------------------------------------------------


def fresh(part: str, config: dict):
    """A component as its library builds it from config.json."""
    if "_class_name" in config:
        kind = getattr(diffusers, config["_class_name"])
        return kind.from_config(config)
    return getattr(transformers, config["architectures"][0])(transformers.CLIPTextConfig(**config))


def weights_file(part: str) -> str:
    return f"{part}/{FILES.get(part, 'model')}.safetensors"


def shapes(part: str, config: dict) -> dict[str, tuple]:
    """The tensors that this component's file has, by their names there."""
    with tempfile.TemporaryDirectory() as folder:
        fresh(part, config).save_pretrained(folder)
        with safe_open(next(Path(folder).glob("*.safetensors")), "np") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}


def nested(tensors: dict[str, tuple]) -> dict:
    """Names as a tree; a module's leaf is "rows,columns", with a + if it has a bias, or a = if the name ends with it."""
    tree = {}
    for name, shape in tensors.items():
        *path, leaf = name.split(".")
        if leaf == "bias":
            continue
        at = tree
        for step in path[: -1 if leaf == "weight" else None]:
            at = at.setdefault(step, {})
        if leaf != "weight":
            at[leaf] = ",".join(map(str, shape)) + "="
            continue
        bias = name.removesuffix("weight") + "bias"
        assert bias not in tensors or tensors[bias] == shape[:1], name
        at[path[-1]] = ",".join(map(str, shape)) + ("+" if bias in tensors else "")
    return tree


def is_part(name: str) -> bool:
    return name.startswith("text_encoder") or name in FILES


def write_folder(folder: Path, parts: dict, dtype: str) -> dict:
    """The folder that tests/support/images/folder.rs writes too. Returns what the golden file says of its weights."""
    weights = {}
    for part, content in parts.items():
        path = folder / part
        if part == "model_index.json":
            path.write_text(json.dumps(content))
            continue
        path.mkdir()
        if part.startswith("tokenizer"):
            for name, value in content.items():
                (path / name).write_text(json.dumps(value))
            (path / "vocab.json").write_text(json.dumps(vocabulary(), ensure_ascii=False))
            (path / "merges.txt").write_text((GOLDEN / "merges.txt").read_text())
            continue
        (path / ("scheduler_config.json" if part == "scheduler" else "config.json")).write_text(json.dumps(content))
        if is_part(part):
            tensors = shapes(part, content)
            made = {name: values(weights_file(part), name, shape, dtype) for name, shape in tensors.items()}
            save_file(made, folder / weights_file(part), {"format": "pt"})
            weights[weights_file(part)] = {"dtype": dtype, "tensors": nested(tensors)}
    return weights


def write_checkpoint(folder: Path, parts: dict, dtype: str) -> dict:
    """A folder with what diffusers makes of a single file. Returns what the golden file says of that one's weights."""
    write_folder(folder, parts, dtype)
    one = ldm.SD2_TEXT if parts["text_encoder"]["hidden_act"] == "gelu" else ldm.SD1
    kinds = [ldm.XL1, ldm.XL2] if "text_encoder_2" in parts else [one]
    encoders = [(kind, parts[part]) for kind, part in zip(kinds, ("text_encoder", "text_encoder_2")) if part in parts]
    names, _ = ldm.checkpoint(parts["unet"], parts["vae"], encoders)
    names = {name: shape for name, shape in names.items() if shape}
    made = {name: torch.from_numpy(values(CHECKPOINT, name, shape, dtype)) for name, shape in names.items()}
    for part, tensors in ldm.converted(made, parts["unet"], parts["vae"], encoders).items():
        save_file({n: t.contiguous().numpy() for n, t in tensors.items()}, folder / weights_file(part), {"format": "pt"})
    return {CHECKPOINT: {"dtype": dtype, "tensors": nested(names)}}


def json_files(parts: dict) -> dict:
    files = {}
    for part, content in parts.items():
        if part == "model_index.json":
            files[part] = content
        elif part.startswith("tokenizer"):
            files |= {f"{part}/{name}": value for name, value in content.items()}
        else:
            files[f"{part}/{'scheduler_config' if part == 'scheduler' else 'config'}.json"] = content
    return files


# ---- running -------------------------------------------------------------------------------------------------------


def double(tensor):
    return tensor.double() if torch.get_default_dtype() == torch.float64 else tensor


def run_part(model, run: dict) -> dict[str, torch.Tensor]:
    """The results of one run on a text encoder, a UNet or a VAE."""
    seed, of = run["seed"], run["of"]
    if of.startswith("text_encoder"):
        out = model(torch.tensor([ids(run)]), output_hidden_states=True)
        found = {"last": out.last_hidden_state[0], "penultimate": out.hidden_states[-2][0]}
        return found | ({"pooled": out.text_embeds[0]} if hasattr(out, "text_embeds") else {})
    if of == "unet":
        config, batch = model.config, run["batch"]
        x = double(normals(f"sample {seed}", (batch, config.in_channels, *run["size"])))
        context = double(normals(f"context {seed}", (batch, run["context"], config.cross_attention_dim)))
        more = {}
        if "guidance" in run:
            embed = diffusers.StableDiffusionPipeline.get_guidance_scale_embedding
            scale = torch.full((batch,), run["guidance"] - 1)
            more["timestep_cond"] = double(embed(None, scale, config.time_cond_proj_dim))
        if "time_ids" in run:
            pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
            more["added_cond_kwargs"] = {
                "text_embeds": double(normals(f"pooled {seed}", (batch, pooled))),
                "time_ids": double(torch.tensor([run["time_ids"]] * batch, dtype=torch.float32)),
            }
        return {"sample": model(x, run["timestep"], context, **more).sample}
    if of == "decode":
        z = double(normals(f"sample {seed}", (1, model.config.latent_channels, *run["size"])))
        return {"image": model.decode(z).sample[0]}
    pixels = torch.from_numpy(picture(seed, run["size"][1], run["size"][0])).permute(2, 0, 1)[None]
    encoded = model.encode(double(pixels.float() / 127.5 - 1))
    if hasattr(encoded, "latents"):
        return {"latents": encoded.latents[0]}
    return {"moments": encoded.latent_dist.parameters[0]}


class Philox:
    """torch's generator on CUDA: Philox 4x32-10 (Salmon et al. 2011), counter (draw, 0, element, 0), then Box-Muller."""

    def __init__(self, seed: int):
        self.key, self.draws = (seed % 2**32, seed >> 32), 0

    def normals(self, n: int) -> np.ndarray:
        word = np.uint64(2**32 - 1)
        c = [np.full(n, self.draws, np.uint64), np.zeros(n, np.uint64), np.arange(n, dtype=np.uint64), np.zeros(n, np.uint64)]
        for i in range(10):
            k0, k1 = (np.uint64((key + i * step) % 2**32) for key, step in zip(self.key, (0x9E3779B9, 0xBB67AE85)))
            a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
            c = [(b >> np.uint64(32)) ^ c[1] ^ k0, b & word, (a >> np.uint64(32)) ^ c[3] ^ k1, a & word]
        self.draws += 1
        u, v = ((x.astype(np.float64) + 0.5) / 2**32 for x in c[:2])
        return (np.sqrt(-2 * np.log(u)) * np.sin(2 * np.pi * v)).astype(np.float32)


def turned(t: float, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Spherical interpolation of noises [C, h, w] as AUTOMATIC1111 does it: of each column of each channel by itself."""
    angle = torch.acos((a / a.norm(dim=1, keepdim=True) * b / b.norm(dim=1, keepdim=True)).sum(1, keepdim=True))
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def noise_of(o: dict, at: int, draw):
    """What draws instead of torch.randn, `draw`: numbers of a GPU's generator, a first noise with another one in it."""

    def source(seed):
        philox, torch_ = Philox(seed), torch.Generator("cpu").manual_seed(seed)
        if o.get("noise") == "gpu":
            return lambda shape: torch.from_numpy(philox.normals(math.prod(shape))).reshape(shape)
        return lambda shape: draw(shape, generator=torch_, dtype=torch.float32)

    one, draws = source(o["seed"]), []

    def randn(shape, *_, dtype=None, **__):
        value, t = one(shape), o.get("variationStrength", 0.0)
        if not draws and t > 0:
            other = source(o["variationSeed"] + at)(shape)
            value = turned(t, value[0].double(), other[0].double())[None]
        draws.append(shape)
        return value.to(dtype)

    return randn


def embedded(pipe, sections: list) -> list[tuple]:
    """A prompt of sections (that BREAK divides) of [text, weight], for each text encoder: its chunks and the pooled text
    of the first one."""
    found = []
    for end in [""] + ["_2"] * hasattr(pipe, "text_encoder_2"):
        tokenizer, encoder = getattr(pipe, f"tokenizer{end}"), getattr(pipe, f"text_encoder{end}")
        bos, eos, room = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.model_max_length - 2
        chunks, pooled = [], []
        for section in sections:
            row = [(i, w) for text, w in section for i in tokenizer(text, add_special_tokens=False)["input_ids"]]
            for start in range(0, max(len(row), 1), room):
                part = row[start : start + room]
                pad = [tokenizer.pad_token_id] * (room - len(part))
                out = encoder(torch.tensor([[bos, *(i for i, _ in part), eos, *pad]]), output_hidden_states=True)
                hidden = out.hidden_states[-2][0] if hasattr(pipe, "text_encoder_2") else out.last_hidden_state[0]
                weights = torch.tensor([1.0, *(w for _, w in part), *[1.0] * (1 + len(pad))], dtype=hidden.dtype)
                weighed = hidden * weights[:, None]
                chunks.append(weighed * (hidden.mean() / weighed.mean()))
                pooled.append(out.text_embeds if hasattr(out, "text_embeds") else None)
        found.append((chunks, pooled[0]))
    return found


def prompted(pipe, run: dict) -> dict:
    """What a pipeline is given for the prompt and the negative one; the shorter one is followed by chunks of no text."""
    if "sections" not in run:
        negative = run["options"].get("negativePrompt")
        return {"prompt": run["prompt"]} | ({"negative_prompt": negative} if negative is not None else {})
    both = [embedded(pipe, run["sections"]), embedded(pipe, run["negative"])]
    most = max(len(chunks) for sides in both for chunks, _ in sides)
    empty = embedded(pipe, [[["", 1.0]]])
    given = {}
    for name, sides in zip(("", "negative_"), both):
        rows = [torch.cat(chunks + none[0] * (most - len(chunks))) for (chunks, _), none in zip(sides, empty)]
        given[f"{name}prompt_embeds"] = torch.cat(rows, dim=-1)[None]
        if len(sides) > 1:
            given[f"{name}pooled_prompt_embeds"] = sides[-1][1]
    return given


def run_paint(pipe, run: dict) -> dict[str, torch.Tensor]:
    """The final latents and the picture of one call; of a batch all of its pictures, each made by itself."""
    o = run["options"]
    if "batch" in o:
        one = {k: v for k, v in o.items() if k != "batch"}
        each = [run_paint(pipe, run | {"options": one | {"seed": o["seed"] + i}, "at": i}) for i in range(o["batch"])]
        return {k: torch.stack([torch.as_tensor(found[k]) for found in each]) for k in each[0]}
    draw = torch.randn
    if {"noise", "variationStrength"} & set(o):
        torch.randn = noise_of(o, run.get("at", 0), draw)
    try:
        return run_one(pipe, run)
    finally:
        torch.randn = draw


def run_one(pipe, run: dict) -> dict[str, torch.Tensor]:
    o = run["options"]
    scheduler = pipe.scheduler
    if "sampler" in o:
        kind = getattr(diffusers, SCHEDULERS[o["sampler"]])
        karras = {"use_karras_sigmas": o["sampler"] == "dpmpp_2m_karras"} if o["sampler"].startswith("dpm") else {}
        # One step begins with pure noise, whatever the spacing: Inkstone's own rule.
        single = {"timestep_spacing": "trailing"} if o["steps"] == 1 and o["sampler"] != "lcm" else {}
        scheduler = kind.from_config(scheduler.config, **karras, **single)
    # from_pipe and from_config share modules: whatever runs is given a scheduler of its own.
    original, pipe.scheduler = pipe.scheduler, copy.deepcopy(scheduler)
    call, more = pipe, {"width": o["width"], "height": o["height"]}
    if "image" in o:
        more = {"image": Image.fromarray(picture(o["image"], o["width"], o["height"])), "strength": o["strength"]}
        call = AutoPipelineForImage2Image.from_pipe(pipe)
    if "mask" in o:
        more["mask_image"] = Image.fromarray(mask(o["mask"], o["width"], o["height"]))
        more |= {"width": o["width"], "height": o["height"]}
        call = AutoPipelineForInpainting.from_pipe(pipe)
    call.set_progress_bar_config(disable=True)
    final = {}

    def keep(_pipe, _step, _t, found):
        final["latents"] = found["latents"]
        return found

    more |= {there: o[here] for here, there in {"clipSkip": "clip_skip", "eta": "eta"}.items() if here in o}
    more |= prompted(pipe, run)
    if "latents" in o:
        side = [o[k] // pipe.vae_scale_factor for k in ("height", "width")]
        at = run.get("at", 0)
        more["latents"] = normals(f"latents {o['latents']}", (at + 1, 4, *side))[at:].to(pipe.unet.dtype)
    generator = torch.Generator("cpu").manual_seed(o["seed"])
    pixels = call(
        num_inference_steps=o["steps"], guidance_scale=o["guidanceScale"], generator=generator,
        output_type="np", callback_on_step_end=keep, **more,
    ).images[0]
    pipe.scheduler = original
    return {"latents": final["latents"][0], "image": torch.from_numpy(pixels)}


class Model:
    """A folder, loaded; `double` computes in float64, with the same float32 noise."""

    def __init__(self, folder: Path, parts: dict, double: bool = False):
        dtype = torch.float64 if double else torch.float32
        self.double = double
        if "model_index.json" in parts or not parts:
            self.pipe = DiffusionPipeline.from_pretrained(folder, torch_dtype=dtype)
            found = self.pipe.components.items()
            self.modules = {name: part for name, part in found if isinstance(part, torch.nn.Module)}
        else:
            self.modules = {}
            for part, config in parts.items():
                kind = getattr(diffusers if "_class_name" in config else transformers,
                               config.get("_class_name") or config["architectures"][0])
                self.modules[part] = kind.from_pretrained(folder / part, torch_dtype=dtype)
        for module in self.modules.values():
            module.eval()

    @torch.no_grad()
    def run(self, run: dict) -> dict[str, np.ndarray]:
        draw = torch.randn
        # diffusers 0.42 asks for the layer in which transformers before 5 kept all of a CLIPTextModel.
        transformers.CLIPTextModel.text_model = property(lambda whole: whole)
        if self.double:
            torch.set_default_dtype(torch.float32 if run["of"] == "paint" else torch.float64)
            torch.randn = lambda *a, dtype=None, **k: draw(*a, dtype=torch.float32, **k).to(dtype)
        try:
            if run["of"] == "paint":
                found = run_paint(self.pipe, run)
            else:
                found = run_part(self.modules[{"decode": "vae", "encode": "vae"}.get(run["of"], run["of"])], run)
        finally:
            torch.randn = draw
            del transformers.CLIPTextModel.text_model
            torch.set_default_dtype(torch.float32)
        return {name: tensor.to(torch.float64).numpy() for name, tensor in found.items()}


def worst(want: dict, got: dict) -> float:
    """The largest difference in units of the deviation of the result that it is in."""
    return max(float(np.abs(want[k] - got[k]).max() / want[k].std()) for k in want)


# ---- what makes a case worth having --------------------------------------------------------------------------------


def tensors_matter(name: str, model: Model, runs: list, enough: float) -> None:
    """Every tensor, made neutral, must change a result. Of each kind of run one is asked: the last, if it can be one
    that begins with a picture."""
    last = {}
    for run in sorted(runs, key=lambda r: "image" in r.get("options", {})):
        last[run["of"]] = run
    asked = list(last.values())
    wanted = [(run, model.run(run)) for run in asked]
    least = (math.inf, "")
    for part, module in model.modules.items():
        for tensor, parameter in module.named_parameters():
            if tensor.endswith(NEUTRAL):
                continue
            kept = parameter.detach().clone()
            parameter.data.fill_(spread(tensor, tuple(kept.shape))[0])
            found = 0.0
            for run, want in wanted:
                if found < enough and reaches(part, run):
                    found = max(found, worst(want, model.run(run)))
            parameter.data.copy_(kept)
            if not unused(part, tensor, model, runs):
                least = min(least, (found, f"{part} {tensor}"))
                assert found >= enough, f"{name}: {part} {tensor} does not matter ({found:.1e})"
    print(f"    the tensor that matters least changes a result by {least[0]:.1e} of its deviation: {least[1]}")


def reaches(part: str, run: dict) -> bool:
    return run["of"] in (part, "paint") or part == "vae" and run["of"] in ("decode", "encode")


def unused(part: str, tensor: str, model: Model, runs: list) -> bool:
    """What a pipeline does not use: an encoder without pictures, the last layer where the one before it is taken."""
    if not hasattr(model, "pipe"):
        return False
    if part == "vae" and not any("image" in r["options"] for r in runs):
        return tensor.startswith(("encoder.", "quant_conv."))
    if part == "text_encoder" and hasattr(model.pipe, "text_encoder_2"):
        last = model.pipe.text_encoder.config.num_hidden_layers - 1
        return f"layers.{last}." in tensor or "final_layer_norm" in tensor
    return False


def settings_matter(name: str, model: Model, parts: dict, dtype: str, runs: list, edits: list) -> None:
    """Each edit of the (only) part's config must change some result."""
    for edit in edits:
        (part, config), = parts.items()
        with tempfile.TemporaryDirectory() as folder:
            write_folder(Path(folder), {part: config | edit}, dtype)
            other = Model(Path(folder), {part: config | edit})
        change = max(worst(model.run(r), other.run(r)) for r in runs)
        print(f"    {edit} changes a result by {change:.1e}")
        assert change >= CLEARLY, f"{name}: {edit} does not matter"


def options_matter(name: str, model: Model, runs: list, found: list) -> None:
    """No two calls may give the same; and each without one of its options must give something else."""
    for i, (run, want) in enumerate(zip(runs, found)):
        for j in range(i):
            # A sampler may well be another under a different name: ddim without noise is euler.
            same = run["options"].get("sampler") == runs[j]["options"].get("sampler")
            if same and want["latents"].shape == found[j]["latents"].shape:
                assert worst(want, found[j]) >= CLEARLY, f"{name}: {runs[j]} and {run} give the same"
        optional = {"negativePrompt", "clipSkip", "eta", "mask", "noise", "variationStrength", "latents"}
        for option in optional & set(run["options"]) - ({"negativePrompt"} if "negative" in run else set()):
            less = {k: v for k, v in run["options"].items() if k != option}
            change = worst(want, model.run(run | {"options": less}))
            assert change >= CLEARLY, f"{name}: {option} of {run} does not matter ({change:.1e})"


# ---- making them ---------------------------------------------------------------------------------------------------


def pack(out: bytearray, name: str, value: np.ndarray, exact: np.ndarray) -> dict:
    """Adds a result to the file: float32, or for finished pictures 16-bit fractions of one."""
    kind = "u16" if name == "image" and value.ndim == 3 and value.shape[-1] == 3 else "f32"
    at = len(out)
    out += np.round(value * 65535).astype("<u2").tobytes() if kind == "u16" else value.astype("<f4").tobytes()
    out += bytes(-len(out) % 4)
    entry = {"at": at, "type": kind, "shape": list(value.shape), "deviation": float(f"{value.std():.4g}")}
    return entry | {"rounding": float(f"{np.abs(value - exact).max():.2g}")}


def make(name: str) -> None:
    """Runs everything on one model and writes its golden files."""
    if name == "emoji":
        parts, dtype, runs, edits = {}, "F16", EMOJI, []
    else:
        parts, dtype, runs, *edits = (PARTS | PIPELINES | CHECKPOINTS)[name]
    golden = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder) if parts else EMOJI_FOLDER
        if name in CHECKPOINTS:
            golden = {"files": {}, "weights": write_checkpoint(folder, parts, dtype)}
        elif parts:
            golden = {"files": json_files(parts), "weights": write_folder(folder, parts, dtype)}
        model = Model(folder, parts)
        exact = Model(folder, parts, double=True)
        for run in runs:
            if "text" in run:
                run["ids"] = model.pipe.tokenizer(run["text"], padding="max_length")["input_ids"]
        found = [model.run(run) for run in runs]
        precise = [exact.run(run) for run in runs]
        if parts:
            # Checkpoints are of wider models, of which each tensor is a smaller part; the tests ask more of their latents.
            tensors_matter(name, model, runs, MATTERS / 16 if name in CHECKPOINTS else MATTERS)
    if edits:
        settings_matter(name, model, parts, dtype, runs, edits[0])
    elif parts:
        options_matter(name, model, runs, found)
    out, rows = bytearray(), []
    for run, results, doubles in zip(runs, found, precise):
        keep = run.get("keep", " ".join(results)).split()
        kept = {k: pack(out, k, results[k], doubles[k]) for k in keep}
        rows.append({k: v for k, v in run.items() if k != "keep"} | {"results": kept})
        note = ", ".join(f"{k} {v['shape']} deviation {v['deviation']} rounding {v['rounding']}" for k, v in kept.items())
        print(f"  {name}: {note}")
    worst_of = max(v["rounding"] for row in rows for v in row["results"].values())
    assert worst_of < TOLERANCE / 3, f"{name}: rounding alone takes {worst_of} of {TOLERANCE}"
    made_with = f"diffusers {diffusers.__version__}, transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}"
    lines = [f' "made_with": {json.dumps(made_with)}']
    for key in golden:
        inner = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in golden[key].items())
        lines.append(f' "{key}": {{\n{inner}\n }}')
    lines.append(' "runs": [\n' + ",\n".join("  " + json.dumps(row) for row in rows) + "\n ]")
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    (GOLDEN / f"{name}.json").write_text(text)
    (GOLDEN / f"{name}.bin").write_bytes(out)
    print(f"{name}: {len(runs)} runs, {len(text) + len(out)} bytes, rounding {worst_of:.1e} at most")


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    diffusers.logging.disable_progress_bar()
    diffusers.logging.set_verbosity_error()
    GOLDEN.mkdir(parents=True, exist_ok=True)
    (GOLDEN / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges()))
    for wanted in sys.argv[1:] or [*PARTS, *PIPELINES, *CHECKPOINTS, "emoji"]:
        make(wanted)
