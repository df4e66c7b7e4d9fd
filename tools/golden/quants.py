"""Golden weights for tests/quants.rs: blocks of every encoding, and what the `gguf` package says they are.

Each file tests/quants/<encoding>.bin holds the encoded blocks, then their weights as little-endian float32. There are
9 rows of 3 blocks of 256 or of 9 blocks of 32 weights (floats: 9 rows of 40), so odd numbers of everything. The first
row holds the extremes: the largest and smallest scales, subnormal and zero scales, blocks of only zeros and only ones.

    pip install gguf==0.19.0 && python tools/golden/quants.py
"""

import pathlib

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

OUT = pathlib.Path(__file__).parents[2] / "tests" / "quants"
ROWS = 9
# Where the f16 scales and minimums of a block are.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0],
}
# Largest, smallest normal, largest and smallest subnormal, zero, minus zero, and an ordinary one.
EXTREMES = np.array([65504, 6.1035e-5, 6.0976e-5, 6e-8, 0, -0.0, -65504, -6e-8, 0.37], np.float16)


def blocks(name, rng):
    """[blocks of all rows, bytes]"""
    length, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    per_row = 9 if length == 32 else 3
    made = rng.integers(0, 256, (ROWS * per_row, size), np.uint8)
    made[0], made[1] = 0, 255
    for at in HALVES[name]:
        scales = rng.normal(0, 0.05, len(made)).astype(np.float16)
        scales[:per_row] = np.roll(EXTREMES, at)[:per_row]
        # Three blocks cannot show nine extremes: the later rows begin with the others.
        if per_row == 3:
            scales[per_row::per_row] = np.concatenate([EXTREMES, EXTREMES])[at % 3 + 1 : at % 3 + ROWS]
            scales[per_row:][np.abs(scales[per_row:]) > 1000] = 1
        made[:, at : at + 2] = scales.view(np.uint8).reshape(-1, 2)
    return made


def floats(name, rng):
    """[weights, bytes of one]"""
    values = rng.normal(0, 0.1, (ROWS, 40)).astype(np.float32)
    # Powers of two times something, over the whole range in which f32 is normal; f16 also where it is not.
    exponents = np.linspace(-126, 126, 40) if name != "F16" else np.linspace(-24, 15, 40)
    values[0] = np.exp2(np.round(exponents)) * rng.choice([-1, 1], 40) * (1 + rng.integers(0, 128, 40) / 128)
    values[0, 20:22] = [0, -0.0]
    if name == "F16":
        return values.astype(np.float16).view(np.uint8).reshape(-1, 2)
    if name == "BF16":
        return np.ascontiguousarray(values.view(np.uint16).reshape(-1, 2)[:, 1]).view(np.uint8).reshape(-1, 2)
    return values.view(np.uint8).reshape(-1, 4)


def main():
    OUT.mkdir(exist_ok=True)
    for seed, name in enumerate(["F32", "F16", "BF16", *HALVES]):
        rng = np.random.default_rng(seed)
        made = floats(name, rng) if name in ("F32", "F16", "BF16") else blocks(name, rng)
        weights = dequantize(made.reshape(1, -1), GGMLQuantizationType[name]).astype("<f4")
        assert np.isfinite(weights).all(), name
        path = OUT / f"{name.lower()}.bin"
        path.write_bytes(made.tobytes() + weights.tobytes())
        print(path.name, path.stat().st_size, "bytes", weights.size, "weights")


main()
