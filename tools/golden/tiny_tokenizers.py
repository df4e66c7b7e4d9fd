#!/usr/bin/env python3
"""Makes tests/encoders/golden/tokenizers/: a few hundred entries of every kind that encoders use.

    python3 -m venv venv
    venv/bin/pip install tokenizers==0.23.3
    venv/bin/python tools/golden/tiny_tokenizers.py            # what is missing; or name some

Training breaks ties differently each time, so files that are there stay as they are. They are trained on the lines
below. Each has the parts, in their order, that published files of its kind have. encoders.py uses them.
"""

import base64
import json
import struct
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "encoders" / "golden" / "tokenizers"

LINES = """
The quick brown fox jumps over the lazy dog, and the dog sleeps on in the warm sun.
A sentence encoder turns a text into a vector, so that texts of the same meaning lie close together.
Which river is the longest river in the world? The Nile is about 6650 kilometres long.
Paris is the capital of France; Berlin is the capital of Germany; Tokyo is the capital of Japan.
She sells sea shells by the sea shore, and the shells that she sells are sea shells for sure.
How do I bake bread at home? Mix flour, water, salt and yeast, then wait for an hour and bake it.
query: what is the weather like today? document: today the weather is fine, tomorrow it will rain.
In 2024 the price was 12.50 dollars, in 2025 it was 13.75 dollars, which is 10 percent more.
Les élèves mangent à la cafétéria; le café est très bon, naïve question: où est le garçon?
El niño comió piñas y la señora bebió café con leche; mañana será otro día.
Der Bär läuft über die Straße, die Tür ist offen und die Vögel singen schön.
今天天气很好。我们去公园吧。你好，世界！北京是中国的首都。这是一个句子。
猫は魚が好きです。今日は良い天気です。
Привет, мир! Как дела сегодня? Это предложение.
Reranking orders documents by how well they answer a question, from the best to the worst of them.
Attention lets every token look at every other token; a window lets it look only at its neighbours.
The model has layers, heads, weights, biases, norms and positions, and each of these matters here.
""".strip().splitlines()

TEMPLATE = processors.TemplateProcessing


def train(tokenizer: Tokenizer, trainer) -> Tokenizer:
    tokenizer.train_from_iterator(LINES, trainer)
    return tokenizer


def special(*names: str) -> list:
    return [AddedToken(name, special=True, normalized=False) for name in names]


# ---- WordPiece -----------------------------------------------------------------------------------------------------


def wordpiece(cased: bool = False) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=not cased)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    train(
        tokenizer,
        trainers.WordPieceTrainer(
            vocab_size=400,
            special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
            show_progress=False,
            continuing_subword_prefix="##",
        ),
    )
    tokenizer.post_processor = TEMPLATE(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def wordpiece_padded() -> Tokenizer:
    """The same with the blocks of MiniLM's file, which sentence-transformers overrides."""
    tokenizer = wordpiece()
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding(length=128, pad_id=0, pad_token="[PAD]")
    return tokenizer


def wordpiece_mpnet() -> Tokenizer:
    """MPNet's: RoBERTa's special tokens around BERT's words, and its post-processor."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    train(
        tokenizer,
        trainers.WordPieceTrainer(
            vocab_size=400, special_tokens=["<s>", "<pad>", "</s>", "[UNK]", "<mask>"], show_progress=False
        ),
    )
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


# ---- Unigram -------------------------------------------------------------------------------------------------------

# What a SentencePiece file's table does, cut down: compatibility forms, whitespace, characters that vanish.
CHARSMAP = {
    "\t": " ",
    "\n": " ",
    "\r": " ",
    "\u00a0": " ",
    "\u2003": " ",
    "\u3000": " ",
    "\u200b": " ",
    "\u00ad": "",
    "\ufeff": "",
    "ﬁ": "fi",
    "ﬂ": "fl",
    "…": "...",
    "½": "1⁄2",
    "²": "2",
    "™": "TM",
    "Ａ": "A",
    "Ｂ": "B",
    "ａ": "a",
    "！": "!",
    "，": ",",
    "？": "?",
    "：": ":",
    "；": ";",
    "①": "1",
    "㌔": "キロ",
    "e\u0301": "é",
    "i\u0308": "ï",
    "n\u0303": "ñ",
    "ｶ\uff9e": "ガ",
    "ｶ": "カ",
}


def charsmap(rules: dict) -> str:
    """The table as SentencePiece stores it, in base64: the size of a double array, the array, the replacements."""
    replacements, trie = b"", {}
    for source, target in sorted(rules.items()):
        node = trie
        for byte in source.encode():
            node = node.setdefault(byte, {})
        node[0] = len(replacements)  # a leaf's value: where its replacement starts
        replacements += target.encode() + b"\0"
    units, used = [0] * 256, {0}

    def place(node: dict, at: int) -> None:
        labels = sorted(node)
        base = next(b for b in range(1, 1 << 20) if b != at and not any(b ^ label in used for label in labels))
        while len(units) <= max(base ^ label for label in labels):
            units.extend([0] * 256)
        offset = at ^ base
        assert offset < 1 << 21
        units[at] |= offset << 10 | (1 << 8 if 0 in node else 0)
        used.update(base ^ label for label in labels)
        for label in labels:
            units[base ^ label] = node[0] | 1 << 31 if label == 0 else label
        for label in labels:
            if label:
                place(node[label], base ^ label)

    place(trie, 0)
    packed = struct.pack(f"<{len(units)}I", *units)
    return base64.b64encode(struct.pack("<I", len(packed)) + packed + replacements).decode()


def unigram(specials: list, unk: str, size: int = 450) -> Tokenizer:
    """A Unigram tokenizer whose vocabulary is trained, before its special tokens and the rest are put around it."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = precompiled()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    return train(
        tokenizer,
        trainers.UnigramTrainer(
            vocab_size=size, special_tokens=specials, unk_token=unk, show_progress=False, max_piece_length=16
        ),
    )


def precompiled():
    file = {"type": "Precompiled", "precompiled_charsmap": charsmap(CHARSMAP)}
    empty = json.loads(Tokenizer(models.BPE()).to_str()) | {"normalizer": file}
    return Tokenizer.from_str(json.dumps(empty)).normalizer


def unigram_xlmr() -> Tokenizer:
    tokenizer = unigram(["<s>", "<pad>", "</s>", "<unk>"], "<unk>")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True, normalized=False)])
    tokenizer.post_processor = TEMPLATE(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    return tokenizer


def unigram_bge() -> Tokenizer:
    """The other published form of XLM-R's: runs of spaces become one, nothing is split at other whitespace."""
    tokenizer = unigram_xlmr()
    tokenizer.normalizer = normalizers.Sequence([precompiled(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    return tokenizer


def unigram_t5() -> Tokenizer:
    tokenizer = unigram(["<pad>", "</s>", "<unk>"], "<unk>")
    tokenizer.normalizer = normalizers.Sequence(
        [precompiled(), normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")]
    )
    tokenizer.add_special_tokens(special("<extra_id_1>", "<extra_id_0>"))
    tokenizer.post_processor = TEMPLATE(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    return tokenizer


# ---- BPE -----------------------------------------------------------------------------------------------------------


def bytes_trained(specials: list, size: int, more: list = ()) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(
        [*LINES, *more],
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=specials,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    return tokenizer


def bpe_roberta() -> Tokenizer:
    tokenizer = bytes_trained(["<s>", "<pad>", "</s>", "<unk>"], 420)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True, normalized=False)])
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def bpe_modernbert() -> Tokenizer:
    """ModernBERT's: special tokens at the end of the vocabulary, runs of spaces as added tokens."""
    tokenizer = bytes_trained(["|||IP_ADDRESS|||"], 420)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True)
    tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in (4, 3, 2)])
    tokenizer.add_special_tokens(
        [*special("[UNK]", "[CLS]", "[SEP]", "[PAD]"), AddedToken("[MASK]", lstrip=True, special=True)]
    )
    ids = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TEMPLATE(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:0 [SEP]:0", special_tokens=ids
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def bpe_gemma() -> Tokenizer:
    names = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    letters = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    plain = Tokenizer(models.BPE())
    plain.normalizer = tokenizer.normalizer
    train(plain, trainers.BpeTrainer(vocab_size=330, show_progress=False, limit_alphabet=90, max_token_length=10))
    learned = json.loads(plain.to_str())["model"]
    pieces = sorted(learned["vocab"], key=learned["vocab"].get)
    vocab = {piece: i for i, piece in enumerate(names + letters + pieces)}
    tokenizer.model = models.BPE(
        vocab=vocab,
        merges=[tuple(pair) for pair in learned["merges"]],
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer.add_special_tokens(special(*names[:4]))
    tokenizer.post_processor = TEMPLATE(
        single="<bos> $A <eos>", pair="<bos> $A <eos> <bos>:1 $B:1 <eos>:1", special_tokens=[("<bos>", 2), ("<eos>", 1)]
    )
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def bpe_qwen(ending: bool = True) -> Tokenizer:
    tokenizer = bytes_trained([], 420, ["yes", "no"] * 20)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.add_special_tokens(special("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    tokenizer.add_tokens([AddedToken(name, normalized=False) for name in ("<think>", "</think>")])
    level = processors.ByteLevel(trim_offsets=False, add_prefix_space=False, use_regex=False)
    end = ("<|endoftext|>", tokenizer.token_to_id("<|endoftext|>"))
    ended = TEMPLATE(single="$A <|endoftext|>", pair="$A <|endoftext|> $B <|endoftext|>", special_tokens=[end])
    tokenizer.post_processor = processors.Sequence([level, ended]) if ending else level
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


ALL = {
    "wordpiece": wordpiece,
    "wordpiece_cased": lambda: wordpiece(cased=True),
    "wordpiece_padded": wordpiece_padded,
    "wordpiece_mpnet": wordpiece_mpnet,
    "unigram_xlmr": unigram_xlmr,
    "unigram_bge": unigram_bge,
    "unigram_t5": unigram_t5,
    "bpe_roberta": bpe_roberta,
    "bpe_modernbert": bpe_modernbert,
    "bpe_gemma": bpe_gemma,
    "bpe_qwen": bpe_qwen,
    "bpe_qwen_plain": lambda: bpe_qwen(ending=False),
}

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in ALL.items():
        if (FOLDER / f"{name}.json").exists() and name not in sys.argv[1:]:
            continue
        tokenizer = make()
        file = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n"
        assert len(file.encode()) <= 64 * 1024, name
        (FOLDER / f"{name}.json").write_text(file)
        text = "Hello café nai\u0308ve ﬁne，Ａ　世界！🙂"
        print(
            f"{name}: {tokenizer.get_vocab_size()} entries, {len(file.encode())} bytes: {tokenizer.encode(text).tokens[:24]}"
        )
