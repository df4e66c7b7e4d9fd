#!/usr/bin/env python3
"""Tells how llama.cpp's converter writes the models of encoders.py: tests/encoders/golden/<case>.gguf.json.

    venv/bin/pip install tqdm pyyaml sentencepiece protobuf
    venv/bin/python tools/golden/encoders_gguf.py LLAMA_CPP [case ...]

LLAMA_CPP is a checkout of llama.cpp (October 2026's made the files that are there). As families_gguf.py, whose recipes
these are, but with the tokenizer: every key of the file is kept. The converter knows tokenizers by a hash of what they
make of a text, so tiny ones are given the name (`tokenizer.ggml.pre`) that the published ones of their kind have.
"""

import base64
import contextlib
import io
import json
import logging
import sys
import tempfile
from pathlib import Path

import torch
import transformers

from encoder_cases import CASES, GOLDEN
from encoders import LIMIT, published, seed_name, write
from families_gguf import SCALARS, floats, fnv, names_in, one_a_line, rebuilt, recipe, same, short
from models import weights

PRE = {
    "wordpiece": "bert-bge",
    "wordpiece_cased": "bert-bge",
    "wordpiece_padded": "bert-bge",
    "wordpiece_mpnet": "mpnet",
    "bpe_roberta": "roberta-bpe",
    "bpe_modernbert": "modern-bert",
    "bpe_qwen": "qwen2",
    "bpe_qwen_plain": "qwen2",
}
# Cases whose files say all that matters, or nearly: tests/encoders/README.md tells.
WANTED = [
    "bert_mean",
    "bert_cls",
    "bert_f16",
    "bert_bf16",
    "distilbert_mean",
    "roberta_mean",
    "xlmr_cls",
    "modernbert_cls",
    "modernbert_f16",
    "modernbert_bf16",
    "nomic_published",
    "t5_mean",
    "gemma_mean",
    "gemma_bf16",
    "qwen3_last",
    "qwen3_bf16",
    "rerank_bert",
    "rerank_xlmr",
    "rerank_roberta",
    "rerank_modernbert",
    "rerank_modernbert_cls",
    "rerank_qwen3",
]


def piece_model(tokenizer: dict, path: Path) -> None:
    """Writes the SentencePiece file that a tokenizer.json of this kind was once made from."""
    from sentencepiece import sentencepiece_model_pb2 as pb

    proto = pb.ModelProto()
    model = tokenizer["model"]
    kinds = pb.ModelProto.SentencePiece
    control = {"<pad>", "</s>", "<s>", "<bos>", "<eos>"}
    if model["type"] == "Unigram":
        pieces = model["vocab"]
        proto.trainer_spec.model_type = 1
        parts = tokenizer["normalizer"]["normalizers"]
        proto.normalizer_spec.precompiled_charsmap = base64.b64decode(parts[0]["precompiled_charsmap"])
        proto.normalizer_spec.add_dummy_prefix = True
    else:
        names = sorted(model["vocab"], key=model["vocab"].get)
        made: dict[str, float] = {}
        for rank, pair in enumerate(model["merges"]):
            made.setdefault("".join(pair), -float(rank))
        last = -float(len(made))
        pieces = []
        for name in names:
            pieces.append((name, made.get(name, last - len(pieces) if len(name) == 1 else 0.0)))
        proto.trainer_spec.model_type = 2
        proto.trainer_spec.byte_fallback = True
        proto.normalizer_spec.add_dummy_prefix = False
        proto.normalizer_spec.remove_extra_whitespaces = False
    for name, score in pieces:
        kind = kinds.NORMAL
        if name in control:
            kind = kinds.CONTROL
        elif name == "<unk>":
            kind = kinds.UNKNOWN
        elif name.startswith("<0x"):
            kind = kinds.BYTE
        proto.pieces.add(piece=name, score=score, type=kind)
    trainer = proto.trainer_spec
    trainer.vocab_size = len(proto.pieces)
    known = [p.piece for p in proto.pieces]
    trainer.unk_id, trainer.pad_id = known.index("<unk>"), known.index("<pad>")
    trainer.eos_id = known.index("</s>" if "</s>" in known else "<eos>")
    trainer.bos_id = known.index("<bos>") if "<bos>" in known else -1
    trainer.unk_piece, trainer.pad_piece, trainer.eos_piece = "<unk>", "<pad>", known[trainer.eos_id]
    trainer.bos_piece = "<bos>" if "<bos>" in known else "<s>"
    path.write_bytes(proto.SerializeToString())


def find_converter(checkout: Path):
    """The converter's package and its gguf package."""
    sys.path[:0] = [str(checkout), str(checkout / "gguf-py")]
    import conversion
    import gguf

    conversion.load_all_models()
    logging.disable(logging.WARNING)
    return conversion, gguf


def convert(conversion, gguf, case: dict, folder: Path, out: Path):
    """The reader of the GGUF file that the converter makes of the folder."""
    types = gguf.LlamaFileType
    kind = {"F32": types.ALL_F32, "F16": types.MOSTLY_F16, "BF16": types.MOSTLY_BF16}[case.get("dtype", "F32")]
    hparams = conversion.ModelBase.load_hparams(folder, False)
    arch = conversion.get_model_architecture(hparams, conversion.ModelType.TEXT)
    model = conversion.get_model_class(arch, mmproj=False)
    if hasattr(model, "module_paths"):
        model.module_paths, model.dense_features_dims = [], {}
    model.get_vocab_base_pre = lambda self, tokenizer: PRE[case["tokenizer"]]
    config = json.loads((folder / "config.json").read_text())
    known = {"hparams": config} if "reference" in case else {}  # keys that transformers 5 does not read
    with torch.inference_mode(), contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            model(folder, kind, out, eager=True, sentence_transformers_dense_modules=True, **known).write()
        except KeyError:
            # The converter reads the config through transformers, whose version 5 renames keys it still looks for.
            model(
                folder, kind, out, eager=True, sentence_transformers_dense_modules=True, hparams=config | hparams
            ).write()
    return gguf.GGUFReader(out)


def metadata(reader) -> list:
    """[key, type, value] of every entry; a type that ends in s is a list."""
    entries = []
    for key, field in reader.fields.items():
        if key.startswith("GGUF."):
            continue
        names = [t.name for t in field.types]
        kind, value = (SCALARS | {"INT8": "i8"})[names[-1]] + ("s" if names[0] == "ARRAY" else ""), field.contents()
        entries.append([key, kind, short(value) if kind.startswith("f32") else value])
    return entries


def make(package: tuple, name: str) -> None:
    case = CASES[name]
    dtype = case.get("dtype", "F32")
    tables = published(case)
    sources = {
        seed_name(path, tensor): weights(seed_name(path, tensor), tuple(shape), dtype, case.get("spread", []))
        for path, tensors in tables.items()
        for tensor, shape in tensors
    }
    config = case["files"]["config.json"]
    heads = {
        config[k]
        for k in ("num_attention_heads", "num_key_value_heads", "n_head", "n_heads", "num_heads")
        if config.get(k)
    }
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / ("Qwen3-Reranker-tiny" if name == "rerank_qwen3" else name.replace("_", "-"))
        folder.mkdir()
        write({k: v for k, v in case.items() if k != "reference"}, tables, folder)
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        if case["tokenizer"] == "unigram_t5":
            piece_model(tokenizer, folder / "spiece.model")
        if case["tokenizer"] == "bpe_gemma":
            piece_model(tokenizer, folder / "tokenizer.model")
        if case["tokenizer"] == "unigram_xlmr":
            known = json.loads((folder / "tokenizer_config.json").read_text())
            (folder / "tokenizer_config.json").write_text(
                json.dumps(known | {"tokenizer_class": "XLMRobertaTokenizer"})
            )
        reader = convert(*package, case, folder, Path(root) / "model.gguf")
        entries = metadata(reader)
        tensors = [[t.name, t.tensor_type.name, floats(t), t.data.tobytes()] for t in reader.tensors]
    recipes = []
    for gguf_name, kind, values, _ in tensors:
        how = recipe(gguf_name, values, sources, dtype, heads)
        assert same(rebuilt(how, values.shape, sources, dtype), values), (name, gguf_name, how)
        recipes.append([gguf_name, list(values.shape), kind, how])
    used = set().union(*(names_in(r[3]) for r in recipes))
    left_out = [n for n in sources if n not in used]
    text = (
        f'{{\n "metadata": {lines(entries)},\n "tensors": {one_a_line(recipes)},\n "left_out": {json.dumps(left_out)},\n'
        f' "hash": {json.dumps(fnv([t[3] for t in tensors]))}\n}}\n'
    )
    assert len(text.encode()) <= LIMIT, f"{name}: {len(text.encode())} bytes"
    (GOLDEN / f"{name}.gguf.json").write_text(text)
    kinds = sorted({k for t in recipes for k in t[3]} - {"of"})
    print(
        f"{name}: {len(recipes)} tensors, {', '.join(kinds) or 'all as published'}, {len(text.encode())} bytes, "
        f"left out: {', '.join(left_out)}",
        flush=True,
    )


def lines(entries: list) -> str:
    return "[\n  " + ",\n  ".join(json.dumps(e, ensure_ascii=False) for e in entries) + "\n ]"


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    converter = find_converter(Path(sys.argv[1]).resolve())
    for wanted in sys.argv[2:] or WANTED:
        try:
            make(converter, wanted)
        except (
            NotImplementedError,
            KeyError,
            ValueError,
            FileNotFoundError,
            AssertionError,
            SystemExit,
            AttributeError,
        ) as error:
            print(f"{wanted}: the converter refuses: {type(error).__name__}: {error}")
