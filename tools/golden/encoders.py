#!/usr/bin/env python3
"""Makes tests/encoders/golden/: what sentence-transformers computes in float32 for tiny encoders and rerankers of every kind.

    python3 -m venv venv
    venv/bin/pip install torch==2.15.0 transformers==5.23.0 sentence-transformers==6.2.0 numpy==2.4.6 safetensors==0.8.0
    venv/bin/python tools/golden/tiny_tokenizers.py
    venv/bin/python tools/golden/encoders.py            # every case; or name some

A case is a folder as it would be published: small JSON files, one of the tokenizers, tensors whose values come from
the formula of models.py. It is written, loaded afresh and run. Before a case is kept, each setting that it is there for is
changed or each tensor made neutral, and the outputs must move clearly. tests/encoders/README.md describes the files.
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
from safetensors import safe_open
from safetensors.torch import save_file
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize

from models import MATTERS, nmse, spread, weights

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "encoders" / "golden"
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
LIMIT = 64 * 1024
ABSENT = ...  # as the value of an edit: the key is left out (None writes null)

LONG = " ".join(
    f"Sentence {i} tells how many {what} there were in {1900 + 7 * i}: about {i * 37 % 101} or so."
    for i, what in enumerate(("trees", "rivers", "elephants", "Bücher", "songs", "stars", "lazy dogs", "questions") * 2)
)
TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "今天天气很好，我们去公园吧！",
    "Le café naïve de l'élève: où est le garçon?",
    "Good morning 🙂👍🏽 — see you in Tokyo ✈️!",
    "",
    "   ",
    LONG,
    "In 2024 it cost $12.50 (10% more), i.e. 3,141.59 -- or 1/2?",
    "mIxEd CaSe Words, HTTP and iPhone; ÉLÈVE, Straße",
    "  two  spaces,\ttabs\nand new lines, ﬁne ｶﾞ Ａ①½… \u00ad\u200be\u0301  ",
]


# ---- the small files of a folder -----------------------------------------------------------------------------------


def modules(*names: str, old: bool = False) -> list:
    """modules.json; each module but the first lies in a folder called `<index>_<name>`."""
    places = {
        "Transformer": "base.modules.transformer", "Pooling": "sentence_transformer.modules.pooling",
        "Dense": "base.modules.dense", "Normalize": "base.modules.normalize", "LogitScore": "cross_encoder.modules.logit_score",
    }
    entries = []
    for i, name in enumerate(names):
        kind = f"sentence_transformers.models.{name}" if old else f"sentence_transformers.{places[name]}.{name}"
        entries.append({"idx": i, "name": str(i), "path": f"{i}_{name}" if i else "", "type": kind})
    return entries


def pooling(dim: int, mode, old: bool = False, **more) -> dict:
    """1_Pooling/config.json, in either spelling."""
    if not old:
        return {"embedding_dimension": dim, "pooling_mode": mode, "include_prompt": True} | more
    modes = [mode] if isinstance(mode, str) else mode
    keys = {
        "cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens", "mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
        "weightedmean": "weightedmean_tokens", "lasttoken": "lasttoken",
    }
    return {"word_embedding_dimension": dim} | {f"pooling_mode_{key}": kind in modes for kind, key in keys.items()} | more


def dense(rows: int, columns: int, bias: bool = False, old: bool = True) -> dict:
    """N_Dense/config.json."""
    act = "torch.nn.modules.linear.Identity"
    return {"in_features": rows, "out_features": columns, "bias": bias, "activation_function": act}


def sentence(prompts: dict | None = None, default: str | None = None, **more) -> dict:
    """config_sentence_transformers.json."""
    return {
        "__version__": {"sentence_transformers": "6.2.0", "transformers": "5.23.0", "pytorch": "2.15.0"},
        "prompts": prompts or {}, "default_prompt_name": default, "similarity_fn_name": "cosine",
    } | more


def folder(config: dict, tokens: dict, mods: list | None, length: int | None = 48, **more) -> dict:
    """All small JSON files by path. `more` has them by their path with `/` and `.json` left out, such as pool for 1_Pooling."""
    files = {"config.json": config, "tokenizer_config.json": tokens}
    if mods is not None:
        files["modules.json"] = mods
    if length is not None:
        files["sentence_bert_config.json"] = {"max_seq_length": length, "do_lower_case": False}
    return files | more


def bert(kind: str = "bert", model: str = "BertModel", dim: int = 36, heads: int = 3, ffn: int = 72, layers: int = 3, **more) -> dict:
    keys = {
        "architectures": [model], "model_type": kind, "hidden_size": dim, "num_attention_heads": heads,
        "intermediate_size": ffn, "num_hidden_layers": layers, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        "max_position_embeddings": 64, "type_vocab_size": 2, "vocab_size": 400, "pad_token_id": 0,
        "position_embedding_type": "absolute", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02, "use_cache": True,
    } | more
    return {k: v for k, v in keys.items() if v is not ABSENT}


def bert_tokens(**more) -> dict:
    return {
        "tokenizer_class": "BertTokenizer", "do_lower_case": True, "cls_token": "[CLS]", "sep_token": "[SEP]",
        "pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]", "model_max_length": 512,
    } | more


def fast_tokens(pad: str, eos: str | None = None, bos: str | None = None, **more) -> dict:
    """tokenizer_config.json that leaves everything to tokenizer.json."""
    keys = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": pad, "eos_token": eos, "bos_token": bos, "model_max_length": 512}
    return {k: v for k, v in (keys | more).items() if v is not None}


ROBERTA_TOKENS = {"unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}

# The scores of heads must differ enough for attention to look somewhere.
SHARP = [["query.weight", 0.0, 0.5], ["key.weight", 0.0, 0.5], ["attention.output.dense.weight", 0.0, 0.5]]

XLMR = bert("xlm-roberta", "XLMRobertaModel", dim=40, heads=5, ffn=88, layers=2, layer_norm_eps=1e-5, vocab_size=283,
            type_vocab_size=1, max_position_embeddings=58, pad_token_id=1, bos_token_id=0, eos_token_id=2)
QWEN3 = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu", "hidden_size": 48, "head_dim": 16,
    "intermediate_size": 76, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 425,
    "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "rope_scaling": None,
    "tie_word_embeddings": True, "attention_bias": False, "use_sliding_window": False, "sliding_window": None,
    "max_window_layers": 3, "bos_token_id": 420, "eos_token_id": 420,
}
INSTRUCT = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"

CASES = {
    "bert_mean": dict(
        files=folder(
            bert(), bert_tokens(), modules("Transformer", "Pooling", "Normalize", old=True), 48,
            **{"1_Pooling/config.json": pooling(36, "mean", old=True),
               "config_sentence_transformers.json": {"__version__": {"sentence_transformers": "2.0.0", "transformers": "4.6.1", "pytorch": "1.8.1"}}},
        ),
        tokenizer="wordpiece_padded", spread=SHARP, integers=[["embeddings.position_ids", [1, 64]]], unread=["position_ids"],
        matters=[
            "query.weight", "query.bias", "value.bias", "attention.output.dense.bias", "intermediate.dense.bias",
            "output.dense.bias", "position_embeddings", "token_type_embeddings", "LayerNorm.bias", "LayerNorm.weight",
            {"hidden_act": "relu"}, {"hidden_act": "gelu_new", "_least": 1e-9}, {"layer_norm_eps": 1e-2},
        ],
    ),
    "xlmr_cls": dict(
        files=folder(
            XLMR, fast_tokens("<pad>", "</s>", "<s>", **ROBERTA_TOKENS), modules("Transformer", "Pooling", "Normalize"), 48,
            **{"1_Pooling/config.json": pooling(40, "cls"),
               "config_sentence_transformers.json": sentence({"query": "query: ", "passage": "passage: "})},
        ),
        tokenizer="unigram_xlmr", spread=SHARP, prompts=["query", "passage"],
        matters=["query.weight", "position_embeddings", "token_type_embeddings", {"layer_norm_eps": 1e-3, "_least": 1e-6}, {"pad_token_id": 0}],
    ),
    "qwen3_last": dict(
        files=folder(
            QWEN3, fast_tokens("<|endoftext|>", "<|im_end|>"), modules("Transformer", "Pooling", "Normalize", old=True), None,
            **{"1_Pooling/config.json": pooling(48, "lasttoken", old=True, include_prompt=True),
               "config_sentence_transformers.json": sentence({"query": INSTRUCT, "document": ""})},
        ),
        tokenizer="bpe_qwen", strip="model.", prompts=["query"],
        matters=["q_norm", "k_norm", "input_layernorm", {"rope_theta": 1000.0}, {"rms_norm_eps": 1e-2}],
    ),
}


# ---- making them ---------------------------------------------------------------------------------------------------


def auto_class(config: dict, task: str):
    """The class whose tensors a file of this task has."""
    return {
        "embed": transformers.AutoModel, "rerank": transformers.AutoModelForSequenceClassification,
        "causal": transformers.AutoModelForCausalLM,
    }[task]


def published(case: dict) -> dict:
    """[name, shape] of every tensor by file, as `save_pretrained` writes them, or as the case's own function names them."""
    files = case["files"]
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "config.json").write_text(json.dumps(files["config.json"]))
        config = transformers.AutoConfig.from_pretrained(place)
        model = auto_class(files["config.json"], case.get("task", case.get("kind", "embed"))).from_config(config, dtype=torch.float32)
        if case.get("encoder_only"):
            model = model.get_encoder()
        model.save_pretrained(place)
        with open(Path(place) / "model.safetensors", "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    tensors = [[name.removeprefix(case.get("strip", "")), entry["shape"]] for name, entry in header.items() if name != "__metadata__"]
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
    for path, content in case["files"].items():
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
    if double:
        model = model.double()
    out, runs = {"ids": None, "prompted": {}}, []
    for name in [None, *case.get("prompts", [])]:
        prompt = model.prompts[name] if name else None
        if name is None and model.default_prompt_name:
            prompt = model.prompts[model.default_prompt_name]
        rows, ids = raw(model, TEXTS, prompt)
        encoded = model.encode(TEXTS, prompt_name=name)
        alone = np.stack([model.encode(text, prompt_name=name) for text in TEXTS])
        assert nmse(alone, encoded) < 1e-10, f"padding changes the outputs by {nmse(alone, encoded)}"
        plain = rows / np.linalg.norm(rows, axis=1, keepdims=True) if any(isinstance(m, Normalize) for m in model) else rows
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


KINDS = {"embed": embed}


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
    exact = outputs(case, tables, double=True)["runs"][0] if case.get("double", True) else base
    halves = outputs(case | {"dtype": "F16"}, tables)["runs"][0] if case.get("dtype", "F32") == "F32" else base
    print(
        f"{name}: {base.shape[0]} rows of {base.shape[1]}, deviation {base.std():.2f}, between rows {base.std(axis=0).mean():.2f}, "
        f"lengths {[len(i) for i in result['ids']]}, float32 against float64 {nmse(exact, base):.0e}, weights as f16 {nmse(base, halves):.0e}",
        flush=True,
    )
    save(name, case, tables, result)


def lines(items: list, indent: str) -> str:
    return ",\n".join(indent + json.dumps(item, ensure_ascii=False) for item in items)


def save(name: str, case: dict, tables: dict, result: dict) -> None:
    texts = case.get("pairs", TEXTS)
    parts = [
        ("kind", json.dumps(case.get("kind", "embed"))),
        ("made_with", json.dumps(
            f"sentence-transformers {sentence_transformers.__version__}, transformers {transformers.__version__}, "
            f"torch {torch.__version__.split('+')[0]}, float32, eager attention"
        )),
        ("tokenizer", json.dumps(case["tokenizer"])),
        ("files", "{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in case["files"].items()) + "\n }"),
        ("dtype", json.dumps(case.get("dtype", "F32"))),
        ("spread", json.dumps(case.get("spread", []))),
        ("tensors", "{\n" + ",\n".join(f"  {json.dumps(k)}: [\n{lines(v, '   ')}\n  ]" for k, v in tables.items()) + "\n }"),
        ("integers", json.dumps(case.get("integers", []))),
        ("widths", json.dumps([int(result["runs"][0].shape[1]), int(result["runs"][1].shape[1])])),
        ("pairs" if "pairs" in case else "texts", "[\n" + lines(texts, "  ") + "\n ]"),
        ("ids", "[\n" + lines(result["ids"], "  ") + "\n ]"),
    ]
    if result["type_ids"] is not None:
        parts.append(("type_ids", "[\n" + lines(result["type_ids"], "  ") + "\n ]"))
    prompted = [
        f'  {json.dumps(k)}: {{"prompt": {json.dumps(v["prompt"], ensure_ascii=False)}, "ids": [\n{lines(v["ids"], "   ")}\n  ]}}'
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
