"""Writes tests/scheduler/golden: where diffusers' schedulers lead, and what torch's generator draws.

    python tools/golden/scheduler.py        (needs torch, diffusers, numpy and scipy)

`cases.json` holds scheduler configurations and the runs that are made with them; `cases.f32` holds for each run the
timesteps that the predictor was asked at and the 16 latents at the end. The predictor is a formula (`predict`), the
image's latents are another (`ORIGINAL`), all noise is torch's. A run follows the loops of StableDiffusionPipeline,
StableDiffusionImg2ImgPipeline (`strength`) and StableDiffusionInpaintPipeline (`mask`). `noise.json` and `noise.f32` hold
draws of torch.randn.
"""

import contextlib
import inspect
import io
import json
import pathlib
import types
import warnings

import diffusers
import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline

warnings.filterwarnings("ignore")
diffusers.utils.logging.set_verbosity(50)
torch.set_num_threads(1)

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "scheduler" / "golden"
SHAPE = (1, 4, 2, 2)
COUNT = 16
ORIGINAL = torch.tensor([np.sin(2.0 * i + 1.0) for i in range(COUNT)], dtype=torch.float32).reshape(SHAPE)
# Every second latent is to stay as it is.
MASK = torch.tensor([float(i % 2) for i in range(COUNT)]).reshape(SHAPE)

SAMPLERS = {
    "ddim": ("DDIMScheduler", {"clip_sample": False}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {"clip_sample": False}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": False}),
    "dpmpp_2m_karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "lcm": ("LCMScheduler", {"clip_sample": False}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "lms": ("LMSDiscreteScheduler", {}),
    "ddpm": ("DDPMScheduler", {"clip_sample": False}),
    "deis": ("DEISMultistepScheduler", {}),
}
CLASSES = {cls: name for name, (cls, _) in SAMPLERS.items() if name != "dpmpp_2m_karras"}

LATENT = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


def latent(cls, **more):
    return {"_class_name": cls, **LATENT, **more}


V = {"prediction_type": "v_prediction"}
DPM = "DPMSolverMultistepScheduler"
UNIPC = "UniPCMultistepScheduler"
CONFIGS = {
    # Those of models that people have, as their files spell them.
    "sd15": latent(
        "PNDMScheduler", clip_sample=False, set_alpha_to_one=False, skip_prk_steps=True, steps_offset=1, trained_betas=None
    ),
    "sd21": latent(
        "DDIMScheduler",
        clip_sample=False,
        prediction_type="v_prediction",
        set_alpha_to_one=False,
        skip_prk_steps=True,
        steps_offset=1,
        trained_betas=None,
    ),
    "sdxl": latent(
        "EulerDiscreteScheduler",
        clip_sample=False,
        interpolation_type="linear",
        prediction_type="epsilon",
        sample_max_value=1.0,
        set_alpha_to_one=False,
        skip_prk_steps=True,
        steps_offset=1,
        timestep_spacing="leading",
        trained_betas=None,
        use_karras_sigmas=False,
    ),
    "sd_turbo": latent(
        "EulerDiscreteScheduler",
        clip_sample=False,
        interpolation_type="linear",
        prediction_type="epsilon",
        set_alpha_to_one=False,
        sigma_max=None,
        sigma_min=None,
        skip_prk_steps=True,
        steps_offset=1,
        timestep_spacing="trailing",
        timestep_type="discrete",
        trained_betas=None,
        use_karras_sigmas=False,
    ),
    "sdxl_turbo": latent(
        "EulerAncestralDiscreteScheduler",
        clip_sample=False,
        interpolation_type="linear",
        prediction_type="epsilon",
        sample_max_value=1.0,
        set_alpha_to_one=False,
        skip_prk_steps=True,
        steps_offset=1,
        timestep_spacing="trailing",
        trained_betas=None,
        use_karras_sigmas=False,
    ),
    "lcm": latent(
        "LCMScheduler",
        clip_sample=False,
        clip_sample_range=1.0,
        dynamic_thresholding_ratio=0.995,
        original_inference_steps=50,
        prediction_type="epsilon",
        rescale_betas_zero_snr=False,
        sample_max_value=1.0,
        set_alpha_to_one=True,
        steps_offset=1,
        thresholding=False,
        timestep_scaling=10.0,
        timestep_spacing="leading",
        trained_betas=None,
    ),
    "emoji": latent(
        DPM,
        algorithm_type="dpmsolver++",
        dynamic_thresholding_ratio=0.995,
        euler_at_final=False,
        final_sigmas_type="zero",
        flow_shift=1.0,
        lower_order_final=True,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=False,
        sample_max_value=1.0,
        solver_order=2,
        solver_type="midpoint",
        steps_offset=1,
        thresholding=False,
        time_shift_type="exponential",
        timestep_spacing="linspace",
        trained_betas=None,
        use_beta_sigmas=False,
        use_dynamic_shifting=False,
        use_exponential_sigmas=False,
        use_flow_sigmas=False,
        use_karras_sigmas=False,
        use_lu_lambdas=False,
        variance_type=None,
    ),
    # Each setting by itself.
    "nothing": {"_class_name": "DDIMScheduler"},
    "cosine": {"_class_name": "DDPMScheduler", "beta_schedule": "squaredcos_cap_v2"},
    "fewer": latent("DDIMScheduler", num_train_timesteps=300, steps_offset=2),
    "trained": {
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": 100,
        "trained_betas": [0.001 + 0.0002 * i for i in range(100)],
    },
    "to_one": latent("PNDMScheduler", set_alpha_to_one=True, skip_prk_steps=True, steps_offset=1),
    "not_to_one": latent("DDIMScheduler", set_alpha_to_one=False),
    "zero_snr": latent("DDIMScheduler", rescale_betas_zero_snr=True, timestep_spacing="trailing", **V),
    "zero_snr_euler": latent("EulerDiscreteScheduler", rescale_betas_zero_snr=True, timestep_spacing="trailing", **V),
    "large": latent("DDPMScheduler", variance_type="fixed_large"),
    "karras_euler": latent("EulerDiscreteScheduler", use_karras_sigmas=True),
    "karras_limits": latent("EulerDiscreteScheduler", use_karras_sigmas=True, sigma_min=0.05, sigma_max=10.0),
    "karras_heun": latent("HeunDiscreteScheduler", use_karras_sigmas=True, timestep_spacing="leading", **V),
    "karras_lms": latent("LMSDiscreteScheduler", use_karras_sigmas=True),
    "karras_unipc": latent(UNIPC, use_karras_sigmas=True, final_sigmas_type="sigma_min", **V),
    "karras_deis": latent("DEISMultistepScheduler", use_karras_sigmas=True),
    "sigma_min": latent("EulerDiscreteScheduler", final_sigmas_type="sigma_min", timestep_spacing="trailing"),
    "sigma_min_dpm": latent(DPM, final_sigmas_type="sigma_min"),
    "euler_at_final": latent(DPM, final_sigmas_type="sigma_min", euler_at_final=True),
    "high_order_final": latent(DPM, final_sigmas_type="sigma_min", lower_order_final=False),
    "high_order_final_unipc": latent(UNIPC, final_sigmas_type="sigma_min", lower_order_final=False),
    "first_order": latent(DPM, solver_order=1, **V),
    "first_order_unipc": latent(UNIPC, solver_order=1),
    "solver_heun": latent(DPM, solver_type="heun", **V),
    "bh1": latent(UNIPC, solver_type="bh1", final_sigmas_type="sigma_min", **V),
    "sde": latent(DPM, algorithm_type="sde-dpmsolver++"),
    "sde_heun": latent(DPM, algorithm_type="sde-dpmsolver++", solver_type="heun", use_karras_sigmas=True, **V),
    "dpmsolver": latent(DPM, algorithm_type="dpmsolver", final_sigmas_type="sigma_min", **V),
    "dpmsolver_heun": latent(DPM, algorithm_type="dpmsolver", final_sigmas_type="sigma_min", solver_type="heun"),
    "lcm_skip": latent("LCMScheduler", clip_sample=False, timestep_scaling=0.002),
    "lcm_scaling": latent("LCMScheduler", clip_sample=False, original_inference_steps=100, timestep_scaling=3.0, **V),
}


def predict(x, t, prediction):
    """What a predictor of the noise or of the velocity might say; rounded once, so that other programs get the same."""
    x, t = x.double(), float(t)
    if prediction == "epsilon":
        out = torch.tanh(1.1 * x + 0.3 * np.sin(t / 90.0))
    else:
        out = torch.tanh(0.7 * x - 0.4 * np.cos(t / 130.0)) - 0.2
    return out.float()


def scheduler(config, sampler, steps):
    """As a pipeline has it, or as a person makes another from it."""
    changes = {"timestep_spacing": "trailing"} if steps == 1 else {}
    if sampler:
        own = getattr(diffusers, config["_class_name"]).from_config(dict(config))
        cls, more = SAMPLERS[sampler]
        return getattr(diffusers, cls).from_config(own.config, **more, **changes)
    cls = config["_class_name"]
    _, more = SAMPLERS[CLASSES[cls]]
    more = {k: v for k, v in more.items() if k != "use_karras_sigmas"}
    return getattr(diffusers, cls).from_config({**config, **more, **changes})


@torch.no_grad()
def run(case):
    s = scheduler(case["config"], case["sampler"], case["steps"])
    strength, mask = case["strength"], case["mask"]
    generator = torch.Generator().manual_seed(case["seed"])
    s.set_timesteps(case["steps"])
    timesteps = s.timesteps
    if strength is not None:
        pipeline = types.SimpleNamespace(scheduler=s)
        timesteps, _ = StableDiffusionImg2ImgPipeline.get_timesteps(pipeline, case["steps"], strength, "cpu")
    noise = torch.randn(SHAPE, generator=generator)
    if strength is None or (mask and strength == 1.0):
        x = noise * s.init_noise_sigma
    else:
        x = s.add_noise(ORIGINAL, noise, timesteps[:1])
    names = inspect.signature(s.step).parameters
    more = {"generator": generator} if "generator" in names else {}
    if "eta" in names:
        more["eta"] = case["eta"]
    for i, t in enumerate(timesteps):
        out = predict(s.scale_model_input(x, t), t, s.config.prediction_type)
        x = s.step(out, t, x, **more, return_dict=False)[0]
        if mask:
            known = ORIGINAL
            if i < len(timesteps) - 1:
                known = s.add_noise(ORIGINAL, noise, torch.tensor([timesteps[i + 1]]))
            x = (1 - MASK) * known + MASK * x
    assert torch.isfinite(x).all(), case
    return [float(t) for t in timesteps], x.flatten().tolist()


def cases():
    def case(config, sampler=None, steps=20, strength=None, mask=False, eta=0.0):
        return {"config": config, "sampler": sampler, "steps": steps, "strength": strength, "mask": mask, "eta": eta}

    # Every sampler, at every spacing, with both predictions.
    for prediction in ("epsilon", "v_prediction"):
        for spacing in ("leading", "trailing", "linspace"):
            CONFIGS[f"{prediction} {spacing}"] = {**CONFIGS["sd15"], "prediction_type": prediction, "timestep_spacing": spacing}
            for sampler in SAMPLERS:
                for steps in (1, 2, 5, 20, 50):
                    yield case(f"{prediction} {spacing}", sampler, steps)
    # Every configuration as it is, and a model's with the samplers that people choose instead.
    for name in list(CONFIGS):
        if " " in name:
            continue
        for steps in (1, 4, 9, 20):
            yield case(name, None, steps)
    models = ["sd15", "sd21", "sdxl", "sd_turbo", "sdxl_turbo", "lcm", "emoji"]
    for name in [*models, "nothing", "zero_snr", "zero_snr_euler", "karras_euler"]:
        for sampler in SAMPLERS:
            for steps in (1, 4, 20):
                yield case(name, sampler, steps)
    for eta in (0.3, 1.0):
        for name in ("sd15", "sd21", "nothing"):
            yield case(name, "ddim", 20, eta=eta)
            yield case(name, "ddim", 6, strength=0.5, eta=eta)
    # Below 15 steps the last is of lower order.
    for steps in (14, 15):
        for name in ("sigma_min_dpm", "karras_deis", "high_order_final_unipc"):
            yield case(name, None, steps)
    # Images to start from, whole and in part.
    for sampler in SAMPLERS:
        for name in ("sd15", "sd21", "sd_turbo"):
            for steps in (5, 20):
                for strength in (0.3, 0.7, 1.0):
                    for mask in (False, True):
                        yield case(name, sampler, steps, strength, mask)
        yield case("sdxl", sampler, 20, 0.95, True)
        yield case("sdxl", sampler, 20, 0.9, True)


def write_cases():
    numbers, rows = [], []
    for seed, case in enumerate(cases()):
        name = case["config"]
        case = {**case, "config": CONFIGS[name], "seed": seed}
        timesteps, latents = run(case)
        numbers += timesteps + latents
        rows.append([name, case["sampler"], case["steps"], case["strength"], case["mask"], case["eta"], len(timesteps)])
    np.array(numbers, dtype="<f4").tofile(OUT / "cases.f32")
    with open(OUT / "cases.json", "w") as f:
        f.write('{"configs": {\n')
        f.write(",\n".join(f"{json.dumps(name)}: {json.dumps(config)}" for name, config in CONFIGS.items()))
        f.write('\n}, "runs": [\n')
        f.write(",\n".join(json.dumps(row, separators=(",", ":")) for row in rows))
        f.write("\n]}\n")
    print(len(rows), "runs,", len(numbers), "numbers")


def write_noise():
    streams, numbers = [], []
    every = list(range(1, 41))
    mixed = [5, 3, 16, 7, 1, 40, 1, 1, 33, 2, 15, 17, 4]
    for seed in (0, 42, 2**32 - 1, 2**32 + 7, 2**53 - 1):
        streams.append((seed, every))
        streams.append((seed, mixed))
        streams.append((seed, [4096, 4095, 16384]))
    for seed, sizes in streams:
        generator = torch.Generator().manual_seed(seed)
        for n in sizes:
            drawn = torch.randn(n, generator=generator)
            # Of long draws some, and always the end, which torch draws in a way of its own.
            numbers += (drawn if n < 100 else torch.cat([drawn[:-20:53], drawn[-20:]])).tolist()
    np.array(numbers, dtype="<f4").tofile(OUT / "noise.f32")
    (OUT / "noise.json").write_text(json.dumps(streams) + "\n")
    print(len(numbers), "normals")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stderr(io.StringIO()):
        write_cases()
    write_noise()
