#!/usr/bin/env python3
"""Makes tests/encoders/golden/: what sentence-transformers computes in float32 for tiny encoders and rerankers.

    python3 -m venv venv
    venv/bin/pip install torch==2.15.0 transformers==5.23.0 sentence-transformers==6.2.0 numpy==2.4.6 safetensors==0.8.0
    venv/bin/python tools/golden/tiny_tokenizers.py
    venv/bin/python tools/golden/encoders.py            # every case; or name some

A case is a folder as it would be published: small JSON files, one of the tokenizers, tensors whose values come from
the formula of models.py. It is written, loaded afresh and run. Before a case is kept, each setting that it is there for
is changed or each tensor made neutral, and the outputs must move clearly. encoder_cases.py lists the cases, and
tests/encoders/README.md describes the files.
"""

import copy
import json
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import sentence_transformers
import torch
import transformers
from safetensors.torch import save_file
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize

from encoder_cases import ABSENT, CASES, GOLDEN, JUDGE_BEGIN, JUDGE_END, JUDGE_TASK, TEXTS
from models import MATTERS, nmse, spread, weights

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
LIMIT = 64 * 1024


# ---- making them ---------------------------------------------------------------------------------------------------


CLASSES = {
    "embed": transformers.AutoModel,
    "rerank": transformers.AutoModelForSequenceClassification,
    "causal": transformers.AutoModelForCausalLM,
}


def published(case: dict) -> dict:
    """[name, shape] of every tensor by file, as `save_pretrained` writes them or the case's own function names them."""
    files = case["files"] | ({"config.json": case["reference"]} if "reference" in case else {})
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "config.json").write_text(json.dumps(files["config.json"]))
        config = transformers.AutoConfig.from_pretrained(place)
        if case.get("encoder"):
            model = transformers.T5EncoderModel(config)
        else:
            model = CLASSES[case.get("task", case.get("kind", "embed"))].from_config(config, dtype=torch.float32)
        model.save_pretrained(place)
        with open(Path(place) / "model.safetensors", "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    tensors = [
        [name.removeprefix(case.get("strip", "")), entry["shape"]]
        for name, entry in header.items()
        if name != "__metadata__"
    ]
    if "rename" in case:
        tensors = case["rename"](tensors)
    tables = {"model.safetensors": tensors}
    for path, content in files.items():
        if path.endswith("_Dense/config.json"):
            rows = [["linear.weight", [content["out_features"], content["in_features"]]]]
            if content["bias"]:
                rows.append(["linear.bias", [content["out_features"]]])
            tables[path.replace("config.json", "model.safetensors")] = rows
    return tables


def seed_name(path: str, name: str) -> str:
    """What the formula is seeded with: the tensor's name, behind its file's folder if it has one."""
    return path.rpartition("/")[0] + "/" + name if "/" in path else name


def write(case: dict, tables: dict, place: Path, neutral: str = "") -> None:
    """Writes the folder, the tensors that `neutral` names at the middle of their values."""
    files = case["files"] | ({"config.json": case["reference"]} if "reference" in case else {})
    for path, content in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(json.dumps(content))
    shutil.copy(GOLDEN / "tokenizers" / f"{case['tokenizer']}.json", place / "tokenizer.json")
    dtype, rules = case.get("dtype", "F32"), case.get("spread", [])
    found = False
    for path, tensors in tables.items():
        values = {}
        for name, shape in tensors:
            full = seed_name(path, name)
            tensor = torch.from_numpy(weights(full, tuple(shape), dtype, rules))
            if neutral and neutral in full:
                tensor, found = torch.full_like(tensor, spread(full, tuple(shape), rules)[0]), True
            values[name] = tensor.to(DTYPES[dtype])
        if path == "model.safetensors":
            for name, shape in case.get("integers", []):
                values[name] = torch.arange(int(np.prod(shape))).reshape(shape)
        save_file(values, place / path, metadata={"format": "pt"})
    assert found or not neutral, f"no tensor is called {neutral}"


ARGS = {"dtype": torch.float32, "attn_implementation": "eager"}


def complete(model, place: Path, allowed: list = ()) -> None:
    """Fails if the model has tensors that its file lacks, or the file some that the model lacks."""
    _, report = type(model).from_pretrained(place, output_loading_info=True, **ARGS)
    wrong = {k: [n for n in v if not any(a in str(n) for a in allowed)] for k, v in report.items()}
    assert not any(wrong.values()), wrong


def open_embedder(place: Path) -> SentenceTransformer:
    return SentenceTransformer(str(place), device="cpu", model_kwargs=dict(ARGS)).eval()


@torch.no_grad()
def raw(model: SentenceTransformer, texts: list, prompt: str | None) -> tuple:
    """The outputs before Normalize, each text by itself, and its ids."""
    rows, ids = [], []
    for text in texts:
        features = model.preprocess([text], prompt=prompt)
        ids.append(features["input_ids"][0].tolist())
        for module in model:
            if isinstance(module, Normalize):
                break
            features = module(features)
        rows.append(features["sentence_embedding"][0].to(torch.float64).numpy())
    return np.stack(rows), ids


def embed(case: dict, place: Path, double: bool = False) -> dict:
    """Everything that is recorded of an embedder."""
    model = open_embedder(place)
    complete(model[0].model, place, case.get("unread", []))
    if "hook" in case:
        case["hook"](model)
    if double:
        model = model.double()
    out, runs = {"ids": None, "prompted": {}}, []
    for name in [None, *case.get("prompts", [])]:
        prompt = model.prompts[name] if name else None
        if name is None and model.default_prompt_name:
            prompt = model.prompts[model.default_prompt_name]
        rows, ids = raw(model, TEXTS, prompt)
        alone = np.stack([model.encode(text, prompt_name=name) for text in TEXTS])
        if not double:
            together = nmse(alone, model.encode(TEXTS, prompt_name=name))
            assert together < 1e-10, f"padding changes the outputs by {together}"
        plain = (
            rows / np.linalg.norm(rows, axis=1, keepdims=True) if any(isinstance(m, Normalize) for m in model) else rows
        )
        assert nmse(plain, alone) < 1e-10, f"encode is not what the modules give: {nmse(plain, alone)}"
        runs += [rows, alone]
        if name is None:
            out["ids"] = ids
        else:
            out["prompted"][name] = {"prompt": prompt, "ids": ids}
    return out | {"runs": runs, "type_ids": None}


def outputs(case: dict, tables: dict, neutral: str = "", double: bool = False) -> dict:
    with tempfile.TemporaryDirectory() as place:
        write(case, tables, Path(place), neutral)
        return KINDS[case.get("kind", "embed")](case, Path(place), double)


def by_recipe(tokenizer, case: dict, ids: list) -> None:
    """Checks the ids against the published recipe: the pair is cut to what its frame leaves, then put between."""
    frame = [tokenizer(part, add_special_tokens=False)["input_ids"] for part in (JUDGE_BEGIN, JUDGE_END)]
    for (query, document), got in zip(case["pairs"], ids):
        text = f"<Instruct>: {JUDGE_TASK}\n<Query>: {query}\n<Document>: {document}"
        room = case["recipe"] - len(frame[0]) - len(frame[1])
        middle = tokenizer(text, add_special_tokens=False, truncation=True, max_length=room)["input_ids"]
        assert frame[0] + middle + frame[1] == got, f"the recipe gives other ids: {frame[0] + middle + frame[1]}, {got}"


@torch.no_grad()
def rerank(case: dict, place: Path, double: bool = False) -> dict:
    """Everything that is recorded of a reranker."""
    model = CrossEncoder(str(place), device="cpu", model_kwargs=dict(ARGS)).eval()
    complete(model[0].model, place, case.get("unread", []))
    if double:
        model = model.double()
    rows, ids, kinds = [], [], []
    prompt = model.prompts[model.default_prompt_name] if model.default_prompt_name else None
    for pair in case["pairs"]:
        features = model.preprocess([pair], prompt=prompt)
        ids.append(features["input_ids"][0].tolist())
        kinds.append(features["token_type_ids"][0].tolist() if "token_type_ids" in features else [0] * len(ids[-1]))
        for module in model:
            features = module(features)
        rows.append(features["scores"].reshape(-1).to(torch.float64).numpy())
    final = np.stack([np.atleast_1d(model.predict(pair)) for pair in case["pairs"]])
    if "recipe" in case:
        by_recipe(model.tokenizer, case, ids)
    expected = model.activation_fn(torch.from_numpy(np.stack(rows))).numpy()
    assert nmse(expected, final) < 1e-10, f"predict is not what the modules give: {nmse(expected, final)}"
    if not double:
        together = model.predict(case["pairs"]).reshape(final.shape)
        assert nmse(final, together) < 1e-10, f"padding changes the scores by {nmse(final, together)}"
    return {"ids": ids, "type_ids": kinds, "runs": [np.stack(rows), final]}


KINDS = {"embed": embed, "rerank": rerank}


def edited(case: dict, edit: dict) -> dict:
    """The case with another config.json, or, under keys that are paths, other files."""
    case = case | {"files": copy.deepcopy(case["files"])}
    for key, value in edit.items():
        if key == "_least":
            continue
        target = case["files"][key] if key in case["files"] else case["files"]["config.json"]
        for k, v in (value if key in case["files"] else {key: value}).items():
            if v is ABSENT:
                target.pop(k, None)
            else:
                target[k] = v
    return case


def make(name: str) -> None:
    case = CASES[name]
    tables = case["tables"](case) if "tables" in case else published(case)
    result = outputs(case, tables)
    base = result["runs"][0]
    for edit in case["matters"]:
        least = MATTERS
        if isinstance(edit, str):
            other = outputs(case, tables, neutral=edit)
        else:
            least = edit.get("_least", MATTERS)
            try:
                other = outputs(edited(case, edit), tables)
            except AssertionError as wrong:
                raise SystemExit(f"{name}: {edit}: {wrong}")
        change = nmse(base, other["runs"][0])
        print(f"    {str(edit)[:90]:90} changes the outputs by {change:.1e}")
        if not change >= least:
            raise SystemExit(f"{name}: {edit} does not matter")
    for edit in case.get("same", []):
        other = outputs(edited(case, edit), tables)
        change = nmse(base, other["runs"][0])
        print(f"    {str(edit)[:90]:90} must not change them: {change:.1e}")
        if not change < 1e-14:
            raise SystemExit(f"{name}: {edit} matters")
    exact = outputs(case, tables, double=True)["runs"][0] if case.get("double", True) else base
    halves = outputs(case | {"dtype": "F16"}, tables)["runs"][0] if case.get("dtype", "F32") == "F32" else base
    print(
        f"{name}: {base.shape[0]} rows of {base.shape[1]}, deviation {base.std():.2f}, "
        f"between rows {base.std(axis=0).mean():.2f}, lengths {[len(i) for i in result['ids']]}, "
        f"float32 against float64 {nmse(exact, base):.0e}, weights as f16 {nmse(base, halves):.0e}",
        flush=True,
    )
    save(name, case, tables, result)


def lines(items: list, indent: str) -> str:
    return ",\n".join(indent + json.dumps(item, ensure_ascii=False) for item in items)


def save(name: str, case: dict, tables: dict, result: dict) -> None:
    texts = case.get("pairs", TEXTS)
    parts = [
        ("kind", json.dumps(case.get("kind", "embed"))),
        (
            "made_with",
            json.dumps(
                f"sentence-transformers {sentence_transformers.__version__}, transformers {transformers.__version__}, "
                f"torch {torch.__version__.split('+')[0]}, float32, eager attention"
            ),
        ),
        ("tokenizer", json.dumps(case["tokenizer"])),
        (
            "files",
            "{\n"
            + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in case["files"].items())
            + "\n }",
        ),
        ("dtype", json.dumps(case.get("dtype", "F32"))),
        ("spread", json.dumps(case.get("spread", []))),
        (
            "tensors",
            "{\n" + ",\n".join(f"  {json.dumps(k)}: [\n{lines(v, '   ')}\n  ]" for k, v in tables.items()) + "\n }",
        ),
        ("integers", json.dumps(case.get("integers", []))),
        ("widths", json.dumps([int(result["runs"][0].shape[1]), int(result["runs"][1].shape[1])])),
        ("pairs" if "pairs" in case else "texts", "[\n" + lines(texts, "  ") + "\n ]"),
        ("ids", "[\n" + lines(result["ids"], "  ") + "\n ]"),
    ]
    if result["type_ids"] is not None:
        parts.append(("type_ids", "[\n" + lines(result["type_ids"], "  ") + "\n ]"))
    prompted = [
        f'  {json.dumps(k)}: {{"prompt": {json.dumps(v["prompt"], ensure_ascii=False)}, '
        f'"ids": [\n{lines(v["ids"], "   ")}\n  ]}}'
        for k, v in result.get("prompted", {}).items()
    ]
    parts.append(("prompted", "{\n" + ",\n".join(prompted) + "\n }" if prompted else "{}"))
    text = "{\n" + ",\n".join(f' "{key}": {value}' for key, value in parts) + "\n}\n"
    json.loads(text)
    packed = b"".join(run.astype("<f4").tobytes() for run in result["runs"])
    assert len(packed) <= LIMIT and len(text.encode()) <= LIMIT, f"{name}: {len(packed)}, {len(text.encode())} bytes"
    (GOLDEN / f"{name}.json").write_text(text)
    (GOLDEN / f"{name}.f32").write_bytes(packed)


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for wanted in sys.argv[1:] or CASES:
        make(wanted)
