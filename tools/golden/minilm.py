#!/usr/bin/env python3
"""Makes tests/encoders/minilm.{json,f32}: vectors of the real all-MiniLM-L6-v2, by sentence-transformers in float32.

    venv/bin/pip install torch==2.15.0 transformers==5.23.0 sentence-transformers==6.2.0
    venv/bin/python tools/golden/minilm.py "$(node tools/assets.mjs minilm)"
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

OUT = Path(__file__).resolve().parents[2] / "tests" / "encoders"
TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "How do I renew my passport?",
    "Passports are renewed at the town hall; bring two photographs.",
    "今天天气很好，我们去公园吧！",
    "Le café naïve de l'élève: où est le garçon?",
    "Good morning 🙂👍🏽 — see you in Tokyo ✈️!",
    "",
    "   ",
    "In 2024 it cost $12.50 (10% more), i.e. 3,141.59 -- or 1/2?",
    "Quantum entanglement links the states of two particles, however far apart they are.",
    "fn main() { println!(\"{}\", (1..=10).sum::<u32>()); }",
    " ".join(f"Sentence {i} says that tree {i * 7 % 101} stands beside river {i * 37 % 97}." for i in range(60)),
]


def main():
    torch.set_num_threads(1)
    model = SentenceTransformer(sys.argv[1], device="cpu", model_kwargs={"attn_implementation": "eager"})
    with torch.no_grad():
        features = model.tokenize(TEXTS)
        ids = [
            [int(i) for i, keep in zip(row, mask) if keep]
            for row, mask in zip(features["input_ids"], features["attention_mask"])
        ]
        raw = torch.cat([model[1](model[0](model.tokenize([text])))["sentence_embedding"] for text in TEXTS])
        encoded = model.encode(TEXTS, convert_to_numpy=True, batch_size=1)
    rows = np.concatenate([raw.numpy(), encoded]).astype("<f4")
    (OUT / "minilm.f32").write_bytes(rows.tobytes())
    made = {"made_with": "sentence-transformers 6.2.0, torch 2.15.0, float32, eager attention", "texts": TEXTS, "ids": ids}
    (OUT / "minilm.json").write_text(json.dumps(made, ensure_ascii=False, indent=0) + "\n")
    print(f"{len(TEXTS)} texts of {[len(i) for i in ids]} tokens, {raw.shape[1]} columns")


if __name__ == "__main__":
    main()
