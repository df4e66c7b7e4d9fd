"""Tells how llama.cpp's converter writes the models of families.py: tests/models/families/<case>.gguf.json.

    python tools/golden/families_gguf.py LLAMA_CPP [case ...]

LLAMA_CPP is a checkout of llama.cpp: its converter and its gguf package are used from there (October 2026's made the
files that are there; the packages are those of families.py, and gguf's: tqdm, pyyaml). For every case, the
model goes to a temporary folder (config.json, a tokenizer, safetensors with the formula's values), the converter
makes a GGUF file of it, and for each tensor of that file this script finds out by comparing values from which
published tensors it came, and how. Nothing is taken from the converter's source, so what does not match any
published tensor stops the script. What the tests need of the result (metadata without the tokenizer's, and the
recipe of each tensor) is written in a compact form; tests/support/models/family_gguf.rs makes the same file from it.

A recipe is an object. {"of": NAME} is the published tensor itself, in the shape that the file gives it, and
    "add": 1             one is added to every value
    "pairs": HEADS       the rows of each of HEADS heads go from halves to neighbouring pairs
    "rows": [[A, B] ..]  rows A to B (exclusively), one range after the other
    "transposed": true   columns are rows
{"join": [RECIPE ..]} has the rows of several tensors, {"values": [..]} numbers that the converter computed.

Some settings are in no GGUF file: a reader has to assume them. "means" is the edit of config.json that says what the
file then means, "same" whether the logits of `transformers` with that edit are the case's. Settings that matter
(families.py lists them) are changed in turn: one that leaves the file as it was has to be named in "means". "error" is
the NMSE that the converter's own rounding adds (it adds one to float16 numbers in float16), and "hash" the FNV-1a hash
of the bytes of all tensors, so that the tests know their file for the converter's.
"""

import contextlib
import io
import json
import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

from families import ABSENT, CASES, load, stored
from models import logits, nmse, tokens, weights

FAMILIES = Path(__file__).resolve().parents[2] / "tests" / "models" / "families"
COMPUTED = 512  # values that a computed tensor may have at most
SAME = 1e-10  # NMSE of the logits up to which two configs mean the same


# ---- what no file says ---------------------------------------------------------------------------------------------


def theta(config: dict, value: float = 10000.0) -> dict:
    """The edit that sets the base of the rotation."""
    if "rope_parameters" in config:
        return {"rope_parameters": config["rope_parameters"] | {"rope_theta": value}}
    return {"rope_theta": value}


def every(config: dict, n: int) -> dict:
    """The edit that makes every n-th layer a full one, the others sliding."""
    full = [i % n == n - 1 for i in range(config["num_hidden_layers"])]
    return {"layer_types": ["full_attention" if f else "sliding_attention" for f in full], "sliding_window_pattern": n}


ASSUMED = {
    "gemma": theta,
    "gemma2": lambda c: theta(c) | every(c, 2) | {"query_pre_attn_scalar": c["head_dim"]},
    "gemma3_text": lambda c: every(c, 6) | {"query_pre_attn_scalar": c["head_dim"]},
    "granitemoehybrid": lambda c: {"position_embedding_type": "rope"},
    "cohere2": lambda c: every(c, 4),
    "starcoder2": lambda c: {"sliding_window": None},
    "stablelm": theta,
    "gpt2": lambda c: {"activation_function": "gelu_new"},
    "gpt_neox": lambda c: (theta(c) if "rope_parameters" in c else {"rotary_emb_base": 10000}) | {"hidden_act": "gelu"},
    "nemotron": lambda c: {"hidden_act": "relu2"},
    "phi": lambda c: theta(c) | {"hidden_act": "gelu_new"},
}


# ---- the model's folder --------------------------------------------------------------------------------------------


def published(case: dict) -> dict[str, np.ndarray]:
    """Every published tensor as float32, having been stored as the case says."""
    return {name: weights(name, tuple(shape), case["dtype"], case["spread"]) for name, shape in case["tensors"]}


def tokenizer(vocab: int) -> dict:
    """A byte-level tokenizer: some converters look at its size."""
    ids = {"<s>": 0, "</s>": 1} | {f"<unused {i}>": i for i in range(2, vocab)}
    special = [{"id": i, "content": c, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False} for i, c in enumerate(("<s>", "</s>"))]
    return {"version": "1.0", "added_tokens": special,
            "model": {"type": "BPE", "vocab": ids, "merges": []}}


# The converter takes no other length for this family, and no logit depends on it.
LENGTHS = {"hunyuan_v1_dense": 32768}


def write_folder(folder: Path, case: dict, config: dict) -> None:
    if config["model_type"] in LENGTHS:
        config = config | {"max_position_embeddings": LENGTHS[config["model_type"]]}
    (folder / "config.json").write_text(json.dumps(config))
    vocab = config.get("vocab_size") or config["text_config"]["vocab_size"]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(vocab)))
    values = stored(case["tensors"], case["dtype"], case["spread"])
    save_file(values, folder / "model.safetensors", metadata={"format": "pt"})


# ---- the converter -------------------------------------------------------------------------------------------------


def find_converter(checkout: Path):
    """The converter's package and its gguf package, with vocabularies left out."""
    sys.path[:0] = [str(checkout), str(checkout / "gguf-py")]
    import conversion
    import gguf

    conversion.load_all_models()
    logging.disable(logging.WARNING)

    def no_vocabulary(cls) -> None:
        cls.set_vocab = lambda self: None
        for below in cls.__subclasses__():
            no_vocabulary(below)

    no_vocabulary(conversion.TextModel)
    stablelm = conversion.get_model_class("StableLmForCausalLM", mmproj=False)
    gpt2 = conversion.get_model_class("GPT2LMHeadModel", mmproj=False)
    stablelm.modify_tensors = yielding_what_it_returns(stablelm.modify_tensors)
    gpt2.modify_tensors = leaving_masks_out(gpt2.modify_tensors)
    return conversion, gguf


def yielding_what_it_returns(modify):
    """Mends StableLM: since it became a generator, the joined norms that it returns are lost. Older files have them."""

    def mended(self, *args):
        forgotten = yield from modify(self, *args)
        yield from forgotten or ()

    return mended


def leaving_masks_out(modify):
    """Mends GPT-2: masks that published files hold are no weights, which older converters knew."""

    def mended(self, data, name, block):
        if not name.endswith((".attn.bias", ".attn.masked_bias")):
            yield from modify(self, data, name, block)

    return mended


def convert(conversion, gguf, folder: Path, dtype: str, out: Path):
    """The reader of the GGUF file that the converter makes of the folder."""
    types = gguf.LlamaFileType
    kind = {"F32": types.ALL_F32, "F16": types.MOSTLY_F16, "BF16": types.MOSTLY_BF16}[dtype]
    hparams = conversion.ModelBase.load_hparams(folder, False)
    arch = conversion.get_model_architecture(hparams, conversion.ModelType.TEXT)
    model = conversion.get_model_class(arch, mmproj=False)
    with torch.inference_mode(), contextlib.redirect_stderr(io.StringIO()):
        try:
            model(folder, kind, out, eager=True).write()
        except KeyError:
            # The converter reads the config through transformers, whose version 5 renames keys it still looks for.
            config = json.loads((folder / "config.json").read_text())
            model(folder, kind, out, eager=True, hparams=config | hparams).write()
        except AssertionError as error:
            raise ValueError(str(error)) from error
    return gguf.GGUFReader(out)


SCALARS = {"UINT8": "u8", "UINT32": "u32", "INT32": "i32", "UINT64": "u64", "FLOAT32": "f32", "BOOL": "bool",
           "STRING": "str"}


def short(value):
    """A number of 32 bits by its shortest decimal."""
    return [short(v) for v in value] if isinstance(value, list) else float(str(np.float32(value)))


def metadata(reader) -> list:
    """[key, type, value] of every entry that is not the tokenizer's; a type that ends in s is a list."""
    entries = []
    for key, field in reader.fields.items():
        if key.startswith(("GGUF.", "tokenizer.")):
            continue
        names = [t.name for t in field.types]
        kind, value = SCALARS[names[-1]] + ("s" if names[0] == "ARRAY" else ""), field.contents()
        entries.append([key, kind, short(value) if kind.startswith("f32") else value])
    return entries


def floats(tensor) -> np.ndarray:
    """A GGUF tensor's values, outermost dimension first."""
    shape, data = [int(d) for d in reversed(tensor.shape)], np.asarray(tensor.data)
    if tensor.tensor_type.name == "BF16":
        data = (data.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return data.astype(np.float32).reshape(shape)


# ---- where a tensor came from --------------------------------------------------------------------------------------


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool((a == b).all())


def pairs(values: np.ndarray, heads: int) -> np.ndarray:
    rows = values.shape[0]
    order = np.arange(rows).reshape(heads, 2, rows // heads // 2).swapaxes(1, 2).reshape(rows)
    return values[order]


def ranges(numbers: list[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for n in numbers:
        if found and found[-1][1] == n:
            found[-1][1] += 1
        else:
            found.append([n, n + 1])
    return found


def plus_one(values: np.ndarray, dtype: str) -> np.ndarray:
    """Plus one as the converter computes it: in float32, but in float16 if it is stored as that."""
    return (values.astype(np.float16) + np.float16(1)).astype(np.float32) if dtype == "F16" else values + np.float32(1)


def rows_of(wanted: np.ndarray, sources: dict[str, np.ndarray]):
    """The recipe of a tensor that has rows of published tensors, in any order, or None."""
    places: dict[bytes, list] = {}
    for name, values in sources.items():
        # Every row of a matrix, and a vector as one row, or, for a wanted vector, each of its values.
        rows = values.reshape(-1, 1) if wanted.ndim == 1 and values.ndim == 1 else values.reshape(-1, values.shape[-1])
        if rows.shape[1] == (wanted.shape[-1] if wanted.ndim > 1 else 1):
            for i, row in enumerate(rows):
                places.setdefault(row.tobytes(), []).append((name, i))
    found: list = []
    for row in wanted.reshape(-1, wanted.shape[-1]) if wanted.ndim > 1 else wanted.reshape(-1, 1):
        choice = places.get(np.ascontiguousarray(row).tobytes())
        if not choice:
            return None
        # Single values occur more than once: go on in the tensor of the last one if that is possible.
        last = found[-1] if found else (None, -1)
        after = [c for c in choice if c == (last[0], last[1] + 1)]
        unused = [c for c in choice if c not in found]
        inside = [c for c in unused if c[0] == last[0]]
        found.append((after or inside or unused or choice)[0])
    parts: list = []
    for name, i in found:
        if parts and parts[-1][0] == name:
            parts[-1][1].append(i)
        else:
            parts.append((name, [i]))
    recipes = []
    for name, numbers in parts:
        total = sources[name].shape[0] if wanted.ndim == sources[name].ndim else None
        whole = total is None or numbers == list(range(total))
        recipes.append({"of": name} if whole else {"of": name, "rows": ranges(numbers)})
    if wanted.ndim == 1 and max(len(r.get("rows", [])) for r in recipes) + len(recipes) > wanted.shape[0] // 4:
        return None  # chance
    return recipes[0] if len(recipes) == 1 else {"join": recipes}


def recipe(name: str, wanted: np.ndarray, sources: dict[str, np.ndarray], dtype: str, heads: set[int]) -> dict:
    """How the GGUF tensor `name` came from the published ones."""
    for of, values in sources.items():
        if values.size == wanted.size:
            if same(values.reshape(wanted.shape), wanted):
                return {"of": of}
            if same(plus_one(values, dtype).reshape(wanted.shape), wanted):
                return {"of": of, "add": 1}
        if values.shape == wanted.shape:
            for n in sorted(heads):
                if values.shape[0] % (2 * n) == 0 and same(pairs(values, n), wanted):
                    return {"of": of, "pairs": n}
        if values.ndim == 2 and same(values.T, wanted):
            return {"of": of, "transposed": True}
    if found := rows_of(wanted, sources):
        return found
    if wanted.ndim == 1 and wanted.size <= COMPUTED and not name.startswith("blk."):
        return {"values": short(wanted.tolist())}
    raise SystemExit(f"{name} {list(wanted.shape)} came from no published tensor")


def names_in(how: dict) -> set[str]:
    return {n for part in how.get("join", [how]) if (n := part.get("of"))}


def rebuilt(how: dict, shape: tuple, sources: dict[str, np.ndarray], dtype: str) -> np.ndarray:
    """What the tests make of a recipe."""
    if "values" in how:
        return np.array(how["values"], dtype=np.float32).reshape(shape)
    if "join" in how:
        parts = [rebuilt(part, None, sources, dtype) for part in how["join"]]
        return np.concatenate([part.ravel() for part in parts]).reshape(shape)
    values = sources[how["of"]]
    if "rows" in how:
        values = np.concatenate([values[a:b] for a, b in how["rows"]])
    if "pairs" in how:
        values = pairs(values, how["pairs"])
    if how.get("transposed"):
        values = values.T
    if "add" in how:
        values = plus_one(values, dtype)
    return values if shape is None else values.reshape(shape)


# ---- making them ---------------------------------------------------------------------------------------------------


def fnv(parts: list[bytes]) -> str:
    state = 0xCBF29CE484222325
    for byte in b"".join(parts):
        state = ((state ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{state:016x}"


def converted(package: tuple, name: str, case: dict, config: dict) -> tuple[list, list]:
    """The metadata and the tensors, [name, type, values, bytes], of a case's file if its config.json were `config`."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / name
        folder.mkdir()
        write_folder(folder, case, config)
        reader = convert(*package, folder, case["dtype"], Path(root) / "model.gguf")
        return metadata(reader), [[t.name, t.tensor_type.name, floats(t), t.data.tobytes()] for t in reader.tensors]


def untold(package: tuple, name: str, case: dict, file: tuple[list, list]) -> set[str]:
    """The settings that matter but leave the file as it is."""
    found = set()
    for edit in (e for e in CASES[name][4] if isinstance(e, dict)) if name in CASES else ():
        edited = {k: v for k, v in (case["config"] | edit).items() if v is not ABSENT}
        try:
            entries, tensors = converted(package, name, case, edited)
        except Exception:  # whatever the converter thinks of it, it reads the setting
            continue
        if entries == file[0] and [(t[0], t[1], t[3]) for t in tensors] == [(t[0], t[1], t[3]) for t in file[1]]:
            found |= edit.keys()
    return found


def manifest(package: tuple, name: str, case: dict) -> dict:
    sources, config = published(case), case["config"]
    inner = config.get("text_config", config)
    heads = {inner[k] for k in ("num_attention_heads", "num_key_value_heads", "n_head") if inner.get(k)}
    entries, tensors = file = converted(package, name, case, config)
    recipes = []
    for gguf_name, kind, values, _ in tensors:
        how = recipe(gguf_name, values, sources, case["dtype"], heads)
        assert same(rebuilt(how, values.shape, sources, case["dtype"]), values), (name, gguf_name, how)
        recipes.append([gguf_name, list(values.shape), kind, how])
    used = set().union(*(names_in(r[3]) for r in recipes))
    means = ASSUMED.get(inner["model_type"], lambda c: {})(inner)
    if missing := untold(package, name, case, file) - means.keys():
        raise SystemExit(f"{name}: nothing in the file tells {missing}")
    ids = tokens(case["tokens"]["seed"], case["tokens"]["count"], inner["vocab_size"])
    values = stored(case["tensors"], case["dtype"], case["spread"])
    meant = logits(load(config, values), ids)
    change = nmse(meant, logits(load(config | means, values), ids)) if means else 0.0
    for *_, how in recipes if case["dtype"] == "F16" else ():
        if "add" in how:
            values[how["of"]] = torch.from_numpy(plus_one(sources[how["of"]], "F16") - 1)
    return {
        "metadata": entries,
        "tensors": recipes,
        "left_out": [n for n in sources if n not in used],
        "means": means,
        "same": change < SAME,
        "error": float(f"{nmse(meant, logits(load(config, values), ids)):.1e}"),
        "hash": fnv([t[3] for t in tensors]),
    }


def one_a_line(values: list) -> str:
    return "[\n  " + ",\n  ".join(json.dumps(v) for v in values) + "\n ]"


def make(package: tuple, name: str) -> None:
    case = json.loads((FAMILIES / f"{name}.json").read_text())
    made = manifest(package, name, case)
    lists = [f' "{key}": {one_a_line(made[key])}' for key in ("metadata", "tensors")]
    others = [f' "{key}": {json.dumps(made[key])}' for key in ("left_out", "means", "same", "error", "hash")]
    text = "{\n" + ",\n".join(lists + others) + "\n}\n"
    (FAMILIES / f"{name}.gguf.json").write_text(text)
    kinds = sorted({k for t in made["tensors"] for k in t[3]} - {"of"})
    print(f"{name}: {len(made['tensors'])} tensors, {', '.join(kinds) or 'all as published'}, {len(text)} bytes"
          + (f", left out: {', '.join(made['left_out'])}" if made["left_out"] else "")
          + (f", error {made['error']}" if made["error"] else "")
          + ("" if made["same"] else f", another model: {made['means']}"), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    converter = find_converter(Path(sys.argv[1]).resolve())
    cases = sorted(p.name.removesuffix(".f32") for p in FAMILIES.glob("*.f32"))
    refused = []
    for wanted in sys.argv[2:] or cases:
        try:
            make(converter, wanted)
        except (NotImplementedError, KeyError, ValueError) as error:
            refused.append(wanted)
            print(f"{wanted}: the converter refuses: {type(error).__name__}: {error}")
    print(f"without a file: {', '.join(refused) or 'none'}")
