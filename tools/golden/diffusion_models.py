"""The tiny models of tools/golden/diffusion.py: the folders, spelled as published ones are, and what is run on them."""

from math import prod

# ---- the tokenizer that all of them share --------------------------------------------------------------------------

TEXTS = (
    "a photo of a red fox in the snow , a painting of a blue house by the sea , a small cat on a green chair , "
    "the photo of the red apple on the table , blurry , low quality , an old tree in the rain , mountains at night"
)
BOS, EOS = "<|startoftext|>", "<|endoftext|>"


def letters() -> list[str]:
    """The 256 bytes as CLIP's vocabulary lists them: those that can be printed, then the others as letters from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(0x100 + i) for i in range(len(others))]


def merges(count: int = 48) -> list[tuple[str, str]]:
    """Byte pairs merged in the order of their number in TEXTS, as such a list is always made."""
    words = [[*word[:-1], word[-1] + "</w>"] for word in TEXTS.split()]
    found = []
    while len(found) < count:
        pairs = [pair for word in words for pair in zip(word, word[1:])]
        best = max(pairs, key=lambda pair: (pairs.count(pair), pair))
        found.append(best)
        for word in words:
            i = 0
            while i + 1 < len(word):
                if (word[i], word[i + 1]) == best:
                    word[i : i + 2] = ["".join(best)]
                i += 1
    return found


def vocabulary() -> dict[str, int]:
    words = letters() + [c + "</w>" for c in letters()] + ["".join(pair) for pair in merges()] + [BOS, EOS]
    return {word: i for i, word in enumerate(words)}


VOCAB = 512 + 48 + 2


def token(content: str) -> dict:
    return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}


def tokenizer(positions: int = 77, pad: str = EOS) -> dict:
    """The JSON files beside vocab.json and merges.txt."""
    more = {"bos_token": token(BOS), "eos_token": token(EOS), "unk_token": token(EOS), "pad_token": pad}
    return {
        "tokenizer_config.json": {
            "add_prefix_space": False, "do_lower_case": True, "errors": "replace", "model_max_length": positions,
            "tokenizer_class": "CLIPTokenizer",
        } | {k: v if isinstance(v, str) else {"__type": "AddedToken"} | v for k, v in more.items()},
        "special_tokens_map.json": more,
    }


# ---- configurations ------------------------------------------------------------------------------------------------


def clip(dim: int, heads: int, layers: int, ffn: int, act: str, positions: int = 77, projection: int = 0, **more) -> dict:
    return {
        "architectures": ["CLIPTextModelWithProjection" if projection else "CLIPTextModel"],
        "attention_dropout": 0.0, "bos_token_id": 0, "dropout": 0.0, "eos_token_id": 2, "hidden_act": act,
        "hidden_size": dim, "initializer_factor": 1.0, "initializer_range": 0.02, "intermediate_size": ffn,
        "layer_norm_eps": 1e-05, "max_position_embeddings": positions, "model_type": "clip_text_model",
        "num_attention_heads": heads, "num_hidden_layers": layers, "pad_token_id": 1,
        "projection_dim": projection or 768, "vocab_size": VOCAB,
    } | more


def unet(channels: list, down: str, context: int, heads, layers=1, **more) -> dict:
    """`down` has a letter a block: C with transformers, D without. The up blocks mirror it."""
    kinds = {"C": ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D"), "D": ("DownBlock2D", "UpBlock2D")}
    return {
        "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.6.0", "act_fn": "silu",
        "attention_head_dim": heads, "block_out_channels": channels, "center_input_sample": False,
        "cross_attention_dim": context, "down_block_types": [kinds[k][0] for k in down], "downsample_padding": 1,
        "flip_sin_to_cos": True, "freq_shift": 0, "in_channels": 4, "layers_per_block": layers,
        "mid_block_scale_factor": 1, "norm_eps": 1e-05, "norm_num_groups": 32, "out_channels": 4, "sample_size": 8,
        "up_block_types": [kinds[k][1] for k in reversed(down)],
    } | more


def kl(channels: list, groups: int = 8, layers: int = 1, latent: int = 4, **more) -> dict:
    n = len(channels)
    return {
        "_class_name": "AutoencoderKL", "_diffusers_version": "0.6.0", "act_fn": "silu",
        "block_out_channels": channels, "down_block_types": ["DownEncoderBlock2D"] * n, "in_channels": 3,
        "latent_channels": latent, "layers_per_block": layers, "norm_num_groups": groups, "out_channels": 3,
        "sample_size": 32, "up_block_types": ["UpDecoderBlock2D"] * n,
    } | more


def tiny(encoder: list, decoder: list, encoder_blocks: list, decoder_blocks: list, **more) -> dict:
    return {
        "_class_name": "AutoencoderTiny", "_diffusers_version": "0.20.0.dev0", "act_fn": "relu", "in_channels": 3,
        "out_channels": 3, "latent_channels": 4, "encoder_block_out_channels": encoder,
        "decoder_block_out_channels": decoder, "num_encoder_blocks": encoder_blocks,
        "num_decoder_blocks": decoder_blocks, "force_upcast": False, "latent_magnitude": 3, "latent_shift": 0.5,
        "scaling_factor": 1.0, "upsampling_scaling_factor": 2,
    } | more


BETAS = {"beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "num_train_timesteps": 1000}
PNDM = BETAS | {  # as Stable Diffusion 1.5 has it: no spacing, no prediction type
    "_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", "clip_sample": False, "set_alpha_to_one": False,
    "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None,
}
DDIM_V = BETAS | {  # as Stable Diffusion 2.1 has it
    "_class_name": "DDIMScheduler", "_diffusers_version": "0.8.0", "clip_sample": False,
    "prediction_type": "v_prediction", "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1,
    "trained_betas": None,
}
EULER = BETAS | {  # as Stable Diffusion XL has it
    "_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.19.0.dev0", "clip_sample": False,
    "interpolation_type": "linear", "prediction_type": "epsilon", "sample_max_value": 1.0, "set_alpha_to_one": False,
    "skip_prk_steps": True, "steps_offset": 1, "timestep_spacing": "leading", "trained_betas": None,
    "use_karras_sigmas": False,
}
TURBO = EULER | {"timestep_spacing": "trailing"}
TURBO_ANCESTRAL = {k: v for k, v in TURBO.items() if k not in ("interpolation_type", "use_karras_sigmas")} | {
    "_class_name": "EulerAncestralDiscreteScheduler"
}
DPM = BETAS | {  # as tiny-sd has it
    "_class_name": "DPMSolverMultistepScheduler", "_diffusers_version": "0.19.0.dev0", "algorithm_type": "dpmsolver++",
    "clip_sample": False, "dynamic_thresholding_ratio": 0.995, "lambda_min_clipped": -float("inf"),
    "lower_order_final": True, "prediction_type": "epsilon", "sample_max_value": 1.0, "set_alpha_to_one": False,
    "skip_prk_steps": True, "solver_order": 2, "solver_type": "midpoint", "steps_offset": 1, "thresholding": False,
    "timestep_spacing": "linspace", "trained_betas": None, "use_karras_sigmas": False, "variance_type": None,
}
LCM = BETAS | {  # as LCM_Dreamshaper_v7 has it
    "_class_name": "LCMScheduler", "_diffusers_version": "0.22.0.dev0", "clip_sample": False, "clip_sample_range": 1.0,
    "dynamic_thresholding_ratio": 0.995, "original_inference_steps": 50, "prediction_type": "epsilon",
    "rescale_betas_zero_snr": False, "sample_max_value": 1.0, "set_alpha_to_one": True, "steps_offset": 1,
    "thresholding": False, "timestep_spacing": "leading", "trained_betas": None,
}
del DPM["lambda_min_clipped"]  # -Infinity is no JSON


# ---- runs of single parts ------------------------------------------------------------------------------------------


def at(t, size, seed, batch=1, context=9, **more) -> dict:
    return {"of": "unet", "timestep": t, "size": size, "seed": seed, "batch": batch, "context": context} | more


def times(*sizes, seed=1, **more) -> list:
    """t = 999, 500 and 1 at the first size, the second time with two pictures; other sizes once."""
    first = sizes[0]
    runs = [at(999, first, seed, **more), at(500, first, seed + 1, 2, **more), at(1, first, seed + 2, **more)]
    return runs + [at(700 - i, size, seed + 3 + i, context=77 if i == 0 else 5, **more) for i, size in enumerate(sizes[1:])]


def prompts(positions: int, seeds: list, pad: int, of: str = "text_encoder") -> list:
    """(seed, words) each: BOS, words, EOS, padding."""
    return [{"of": of, "seed": seed, "words": words, "positions": positions, "pad": pad} for seed, words in seeds]


def coded(decode: list, encode: list) -> list:
    """(seed, [height, width]) each: of latents for the decoder, of pixels for the encoder."""
    runs = [{"of": "decode", "seed": seed, "size": size} for seed, size in decode]
    return runs + [{"of": "encode", "seed": seed, "size": size} for seed, size in encode]


IDS = [640, 480, 3, 7, 512, 384]
SDXL_ADDED = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 68}

UNET_SD1 = unet([32, 64, 96, 96], "CCCD", 24, 8, 2, norm_num_groups=16)
UNET_SD2 = unet([32, 64, 64, 80], "CCCD", 40, [2, 4, 8, 8], 2, norm_num_groups=16, use_linear_projection=True,
                dual_cross_attention=False, num_class_embeds=None, only_cross_attention=False, upcast_attention=True)
UNET_TINY = unet([80, 80, 160], "CCC", 33, 2, 1, norm_num_groups=16, mid_block_type=None, conv_in_kernel=3,
                 conv_out_kernel=3, encoder_hid_dim=None, time_embedding_type="positional")
UNET_SDXS = unet([32, 48, 96], "DCC", 24, 4, 1, norm_num_groups=16, mid_block_type=None)
UNET_VEGA = unet([32, 64, 64], "DCC", 36, [2, 4, 4], 2, mid_block_type="UNetMidBlock2D", norm_num_groups=16,
                 transformer_layers_per_block=[1, 1, 2], use_linear_projection=True, **SDXL_ADDED)
UNET_LCM = unet([32, 64], "CC", 24, 4, 1, time_cond_proj_dim=40, num_attention_heads=None, norm_num_groups=16)
UNET_SDXL = unet([32, 64, 96], "DCC", 52, [2, 4, 6], 1, norm_num_groups=16, use_linear_projection=True,
                 transformer_layers_per_block=[1, 2, 3], mid_block_type="UNetMidBlock2DCrossAttn", upcast_attention=None, **SDXL_ADDED)
UNET_ODD = unet([24, 48, 72], "CDC", 17, [3, 4, 6], [1, 2, 1], norm_num_groups=6, norm_eps=0.01, in_channels=9,
                out_channels=5, flip_sin_to_cos=False, freq_shift=1, transformer_layers_per_block=[2, 1, 1])
UNET_UP = unet([16, 32, 48], "CCC", 20, 2, 1, norm_num_groups=8, use_linear_projection=True, transformer_layers_per_block=[2, 1, 1],
               reverse_transformer_layers_per_block=[1, 2, 1])
UNET_EMOJI = unet([48, 96, 160], "DCC", 72, 4, 1, norm_num_groups=16)

# A model is its JSON files, the type its weights are stored as, its runs, and the settings of a part that matter there.
PARTS = {
    "clip_l": ({"text_encoder": clip(32, 4, 3, 37, "quick_gelu")}, "F32",
               prompts(77, [(1, 9), (2, 75)], VOCAB - 1), [{"hidden_act": "gelu"}, {"num_attention_heads": 2}]),
    "clip_h": ({"text_encoder": clip(60, 5, 2, 88, "gelu", 40, layer_norm_eps=0.01)}, "F32",
               prompts(40, [(3, 0), (4, 17)], 0), [{"hidden_act": "quick_gelu"}, {"layer_norm_eps": 1e-5}]),
    "clip_g": ({"text_encoder": clip(48, 3, 3, 101, "gelu", 33, 20, eos_token_id=VOCAB - 1, bos_token_id=VOCAB - 2)}, "F32",
               prompts(33, [(5, 4), (6, 31)], VOCAB - 1), [{"hidden_act": "quick_gelu"}]),
    "clip_f16": ({"text_encoder": clip(64, 4, 3, 96, "quick_gelu", 24, 12)}, "F16",
                 prompts(24, [(7, 4)], 0), [{"hidden_act": "gelu"}]),
    "unet_sd1": ({"unet": UNET_SD1}, "F32", times([16, 16], [8, 24], [9, 13]), [{"attention_head_dim": 4}]),
    "unet_sd2": ({"unet": UNET_SD2}, "F32", times([16, 8], [7, 10]), [{"attention_head_dim": [4, 4, 8, 8]}]),
    "unet_tiny_sd": ({"unet": UNET_TINY}, "F32", times([8, 12], [6, 11]), [{"attention_head_dim": 4}]),
    "unet_sdxs": ({"unet": UNET_SDXS}, "F32", times([8, 8], [10, 5]), [{"norm_num_groups": 8}]),
    # Of this one's inputs many make so much of rounded weights that eight bits cannot meet what is asked of them.
    "unet_vega": ({"unet": UNET_VEGA}, "F32", times([8, 8], seed=21, time_ids=IDS), [{"norm_num_groups": 32}]),
    "unet_lcm": ({"unet": UNET_LCM}, "F32", times([8, 12], guidance=8.5), [{"attention_head_dim": 2}]),
    "unet_sdxl": ({"unet": UNET_SDXL}, "F32", times([12, 20], [8, 7], time_ids=IDS), [{"attention_head_dim": [2, 2, 6]}]),
    "unet_odd": ({"unet": UNET_ODD}, "F32", times([12, 8], [11, 6]), [
        {"flip_sin_to_cos": True}, {"freq_shift": 0}, {"norm_eps": 1e-5}, {"attention_head_dim": [4, 4, 6]}]),
    "unet_up": ({"unet": UNET_UP}, "F32", times([8, 8]), [{"norm_num_groups": 4}]),
    "unet_emoji": ({"unet": UNET_EMOJI}, "F32", times([16, 16], [16, 24]), [{"norm_num_groups": 8}]),
    "unet_sd1_f16": ({"unet": UNET_SD1}, "F16", [at(500, [8, 16], 8, 1)], [{"attention_head_dim": 4}]),
    "unet_sdxl_f16": ({"unet": UNET_SDXL}, "F16", [at(500, [8, 16], 9, 1, time_ids=IDS)], [{"norm_num_groups": 8}]),
    "vae_sd1": ({"vae": kl([32, 32, 48, 64], 16, 2)}, "F32",
                coded([(1, [3, 5]), (2, [5, 4])], [(3, [24, 40]), (4, [35, 29])]), [{"norm_num_groups": 8}]),
    "vae_flux": ({"vae": kl([24, 48, 48], 8, 1, 16, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.1159,
                            scaling_factor=0.3611)}, "F32", coded([(1, [5, 6])], [(2, [20, 12])]), [{"norm_num_groups": 4}]),
    "vae_plain": ({"vae": kl([16, 32], 4, 2, 4, mid_block_add_attention=False)}, "F32",
                  coded([(1, [9, 7])], [(2, [13, 18])]), [{"norm_num_groups": 8}]),
    "vae_tiny": ({"vae": tiny([64] * 4, [64] * 4, [1, 3, 3, 3], [3, 3, 3, 1])}, "F32",
                 coded([(1, [3, 4])], [(2, [24, 32])]), [{"act_fn": "silu"}]),
    "vae_tiny_odd": ({"vae": tiny([20] * 3, [28] * 3, [1, 2, 1], [2, 1, 1], latent_magnitude=2)}, "F32",
                     coded([(1, [5, 7])], [(2, [21, 18])]), [{"act_fn": "silu"}]),
    "vae_sd1_f16": ({"vae": kl([32, 48, 64], 16, 1)}, "F16", coded([(1, [6, 4])], [(2, [16, 24])]), [{"norm_num_groups": 8}]),
}


# ---- whole pipelines -----------------------------------------------------------------------------------------------

LIBRARY = {"text_encoder": "transformers", "tokenizer": "transformers"}
FOX, SEA, LOW = "a photo of a red fox in the snow", "A blue house, by the SEA!", "blurry, low quality"
SAMPLERS = ["ddim", "euler", "euler_a", "heun", "dpmpp_2m", "dpmpp_2m_karras", "lcm", "unipc", "pndm", "lms"]


def paint(prompt=FOX, size=(40, 32), steps=5, guidance=4.0, seed=0, keep="latents", meant=None, **more) -> dict:
    """Options as `ImageModel.generate` names them; size is (width, height). `keep` says which results are stored. `meant`
    is what Inkstone's syntax means, in the prompt and in the negative one: sections of [text, weight]."""
    options = {"width": size[0], "height": size[1], "steps": steps, "guidanceScale": guidance, "seed": seed} | more
    written = {"sections": meant[0], "negative": meant[1]} if meant else {}
    return {"of": "paint", "prompt": prompt, "options": options, "keep": keep} | written


PLAIN = [[["", 1.0]]]
LONG = f"{FOX}, {SEA} {TEXTS}"
WEIGHED = "a (red:1.4) fox, [a house] and ((the sea)) BREAK at night"
WEIGHED_MEANS = [[["a ", 1.0], ["red", 1.4], [" fox, ", 1.0], ["a house", 1 / 1.1], [" and ", 1.0], ["the sea", 1.1 * 1.1]], [["at night", 1.0]]]


def sampled(steps: tuple, samplers: list = SAMPLERS, **more) -> list:
    return [paint(steps=n, guidance=2.5, sampler=name, seed=n, **more) for name in samplers for n in steps]


def pipeline(kind: str, scheduler: dict, vae: dict, encoders: list, net: dict, pads: list, **more) -> dict:
    """The JSON files of a folder, with model_index.json."""
    parts = {"scheduler": scheduler, "vae": vae, "unet": net}
    index = {"_class_name": kind, "_diffusers_version": "0.19.0.dev0"}
    index |= {k: ["diffusers", v["_class_name"]] for k, v in parts.items()}
    for i, (encoder, pad) in enumerate(zip(encoders, pads)):
        end = "" if i == 0 else f"_{i + 1}"
        parts[f"text_encoder{end}"] = encoder
        parts[f"tokenizer{end}"] = tokenizer(encoder["max_position_embeddings"], pad)
        index[f"text_encoder{end}"] = ["transformers", encoder["architectures"][0]]
        index[f"tokenizer{end}"] = ["transformers", "CLIPTokenizer"]
    if kind != "StableDiffusionXLPipeline":
        index |= {"feature_extractor": [None, None], "safety_checker": [None, None], "requires_safety_checker": False}
    return parts | {"model_index.json": index | more}


SMALL_VAE = kl([16, 32, 32], 8, 1, scaling_factor=4.0)  # random nets leave larger latents than trained ones
V_VAE = kl([16, 24, 32], 8, 1)  # 0.18215, by default
CLIP_L = clip(32, 4, 2, 64, "quick_gelu", dtype="float32")
CLIP_H = clip(40, 5, 2, 88, "gelu", eos_token_id=VOCAB - 1)
CLIP_G = clip(48, 3, 3, 100, "gelu", 77, 20)
SD1 = unet([32, 64], "CD", 32, 8, norm_num_groups=16)
SD2 = unet([32, 64], "CD", 40, [2, 4], norm_num_groups=16, use_linear_projection=True)
XL = unet([32, 64], "DC", 32 + 48, [2, 4], norm_num_groups=16, use_linear_projection=True, transformer_layers_per_block=[1, 2],
          **SDXL_ADDED)
TINY_SD = unet([32, 48, 64], "CCC", 32, 8, norm_num_groups=16, mid_block_type=None)
DREAM = unet([32, 48, 64], "DCC", 32, 8, norm_num_groups=16, mid_block_type=None)
CONSISTENT = unet([32, 64], "CD", 32, 8, norm_num_groups=16, time_cond_proj_dim=48)
STABLE, XL_PIPE = "StableDiffusionPipeline", "StableDiffusionXLPipeline"
BOTH = "latents image"

PIPELINES = {
    "sd1": (pipeline(STABLE, PNDM, SMALL_VAE, [CLIP_L], SD1, [EOS]), "F32", sampled((5, 20)) + [
        paint(keep=BOTH, steps=10),
        paint(SEA, (48, 64), 6, 4.0, 7, BOTH, negativePrompt=LOW, sampler="euler"),
        paint("", (32, 32), 4, 3.0, 2**40 + 9, sampler="euler"),
        paint(guidance=1.0, sampler="euler"),
        paint(sampler="euler", clipSkip=1),
        paint(sampler="ddim", eta=0.5), paint(sampler="ddim", eta=1.0, steps=7),
        paint(steps=1, sampler="euler", guidance=0.0),
        paint(SEA, (40, 48), 10, 5.0, 3, BOTH, sampler="ddim", image=1, strength=0.6),
        paint(SEA, (40, 48), 10, 5.0, 4, BOTH, image=2, strength=0.75),  # pndm
        paint(SEA, (40, 48), 8, 5.0, 4, sampler="euler_a", image=2, strength=1.0),
        paint(SEA, (40, 48), 10, 5.0, 5, BOTH, sampler="ddim", image=1, mask=1, strength=1.0),
        paint(SEA, (40, 48), 10, 5.0, 6, BOTH, sampler="euler", image=2, mask=2, strength=0.7),
        paint(SEA, (40, 48), 6, 5.0, 6, sampler="dpmpp_2m", image=2, mask=2, strength=0.5),
        paint(SEA, (40, 48), 6, 5.0, 6, sampler="euler_a", image=1, mask=1, strength=1.0),
        paint(LONG, (40, 32), 4, 5.0, 11, sampler="euler", meant=([[[LONG, 1.0]]], PLAIN)),
        paint(WEIGHED, (40, 32), 4, 5.0, 12, sampler="euler", negativePrompt="(blurry:0.5), low quality",
              meant=(WEIGHED_MEANS, [[["blurry", 0.5], [", low quality", 1.0]]])),
        paint(batch=3, seed=2**32 - 2, sampler="euler_a"),
        paint(SEA, (40, 48), 4, 5.0, 6, sampler="euler_a", image=1, strength=0.6, batch=2),
        paint(SEA, (40, 48), 4, 5.0, 6, sampler="ddim", image=2, mask=2, strength=0.8, batch=2),
        paint(noise="gpu", seed=2**40 + 9, sampler="euler_a", batch=2),
        paint(variationSeed=77, variationStrength=0.3, seed=3, sampler="euler_a", batch=2),
        paint(noise="gpu", variationSeed=5, variationStrength=0.8, seed=3, sampler="euler"),
        paint(latents=4, batch=2, seed=21, sampler="euler_a"),
    ] + [paint(SEA, (40, 32), 9, 5.0, 8, sampler=name, image=1, strength=0.7) for name in SAMPLERS]),
    "sd2": (pipeline(STABLE, DDIM_V, V_VAE, [CLIP_H], SD2, ["!"]), "F32", sampled((5,)) + [
        paint(keep=BOTH, steps=10),
        paint(SEA, (64, 40), 6, 4.0, 7, BOTH, negativePrompt=LOW),
        paint(FOX, (40, 48), 10, 5.0, 3, BOTH, image=1, strength=0.6),
        paint(FOX, (40, 48), 10, 5.0, 5, BOTH, image=1, mask=2, strength=0.9),
        paint(FOX, clipSkip=1),
    ]),
    "sd2_f16": (pipeline(STABLE, DDIM_V, V_VAE, [CLIP_H], SD2, ["!"]), "F16", [paint(SEA, (40, 48), 8, 5.0, 3, BOTH)]),
    "sd_turbo": (pipeline(STABLE, TURBO, SMALL_VAE, [CLIP_H], SD2, ["!"]), "F32", sampled((5,), ["ddim", "heun", "dpmpp_2m_karras", "unipc"]) + [
        paint(keep=BOTH, steps=1, guidance=0.0), paint(SEA, keep=BOTH, steps=4, guidance=0.0),
        paint(SEA, (48, 40), 4, 0.0, 5, BOTH, image=1, strength=0.5),
    ]),
    "tiny_sd": (pipeline(STABLE, DPM, SMALL_VAE, [CLIP_L], TINY_SD, [EOS]), "F32", sampled((8,), ["euler_a", "dpmpp_2m", "lms", "pndm"]) + [
        paint(SEA, (64, 48), 12, 6.0, 1, BOTH, negativePrompt=LOW)]),
    "sdxs": (pipeline(STABLE, DPM | {"prediction_type": "v_prediction"}, tiny([16] * 3, [16] * 3, [1, 1, 1], [1, 1, 1]), [CLIP_L], DREAM, [EOS]), "F32", [
        paint(keep=BOTH, steps=1, guidance=0.0), paint(SEA, (64, 48), 6, 5.0, 2, BOTH),
        paint(SEA, (48, 48), 8, 5.0, 2, BOTH, image=2, strength=0.5),
        paint(SEA, (48, 48), 6, 5.0, 3, image=2, mask=2, strength=0.7)]),
    "lcm": (pipeline("LatentConsistencyModelPipeline", LCM, SMALL_VAE, [CLIP_L], CONSISTENT, [EOS],
                     requires_safety_checker=False), "F32", [
        paint(keep=BOTH, steps=4, guidance=8.5), paint(SEA, (48, 40), 8, 4.0, 3, BOTH), paint(steps=1, guidance=2.0),
        paint(SEA, (48, 40), 6, 4.0, 3, image=1, strength=0.5)]),
    "sdxl": (pipeline(XL_PIPE, EULER, SMALL_VAE | {"force_upcast": True}, [CLIP_L, CLIP_G], XL, [EOS, "!"],
                      force_zeros_for_empty_prompt=True), "F32", sampled((6,), ["euler_a", "dpmpp_2m_karras", "pndm", "lcm"]) + [
        paint(keep=BOTH, steps=10), paint(SEA, (48, 64), 6, 4.0, 7, BOTH, negativePrompt=LOW),
        paint(clipSkip=1), paint(guidance=1.0),
        paint(SEA, (40, 48), 10, 5.0, 3, BOTH, image=1, strength=0.6),
        paint(SEA, (40, 48), 8, 5.0, 5, BOTH, image=1, mask=1, strength=0.99),
        paint(WEIGHED, (40, 32), 4, 5.0, 12, negativePrompt=LONG, meant=(WEIGHED_MEANS, [[[LONG, 1.0]]]))]),
    "sdxl_turbo": (pipeline(XL_PIPE, TURBO_ANCESTRAL, SMALL_VAE, [CLIP_L, CLIP_G], XL, [EOS, "!"],
                            force_zeros_for_empty_prompt=True), "F32", [
        paint(keep=BOTH, steps=1, guidance=0.0), paint(SEA, keep=BOTH, steps=4, guidance=0.0)]),
}

# What is the same in all original code: 8 heads in SD 1, else heads of 64 channels; 32 groups; the factors of the latents.
FILE_UNET = {"norm_num_groups": 32, "layers": 2}
FILE_VAE = kl([16, 24, 40], 8, 1, scaling_factor=0.18215)
FILE_H, FILE_G = clip(128, 2, 3, 40, "gelu"), clip(128, 2, 3, 40, "gelu", 77, 40)
FILE_L = clip(24, 1, 3, 40, "quick_gelu")
FILE_XL = SDXL_ADDED | {"projection_class_embeddings_input_dim": 48 + 40, "transformer_layers_per_block": [1, 2]}

# Pipelines whose weights are those of a single file, as the original code names them.
CHECKPOINTS = {
    "sd1_file": (pipeline(STABLE, PNDM, FILE_VAE, [FILE_L], unet([64, 128], "CD", 24, 8, **FILE_UNET), [EOS]), "F32", [
        paint(keep=BOTH, steps=4), paint(SEA, (40, 48), 6, 5.0, 3, sampler="euler", image=1, strength=0.5)]),
    "sd2_file": (pipeline(STABLE, DDIM_V, FILE_VAE, [FILE_H], unet(
        [64, 128], "CD", 128, [1, 2], use_linear_projection=True, **FILE_UNET), ["!"]), "F16", [
        paint(keep=BOTH, steps=3, guidance=8.0), paint(SEA, (40, 48), 4, 8.0, 3, image=1, strength=0.75)]),
    "sdxl_file": (pipeline(XL_PIPE, EULER, FILE_VAE | {"scaling_factor": 0.13025}, [FILE_L, FILE_G], unet(
        [64, 128], "DC", 24 + 128, [1, 2], use_linear_projection=True, **FILE_UNET, **FILE_XL), [EOS, "!"],
        force_zeros_for_empty_prompt=True), "F32", [
        paint(keep=BOTH, steps=3), paint(SEA, (40, 48), 4, 5.0, 3, image=1, strength=0.5, negativePrompt=LOW)]),
}

EMOJI = [
    {"of": "text_encoder", "seed": 0, "text": "a red heart"}, at(999, [16, 16], 1, 2, 32), at(250, [12, 20], 2, 1, 32),
    *coded([(1, [6, 8])], [(2, [32, 24])]),
    paint("a red heart", (64, 64), 15, 3.0, 7, BOTH), paint("a green apple", (96, 64), 15, 3.0, 0, BOTH),
]
