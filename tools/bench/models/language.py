"""A language model of SmolLM2-135M's shape with random weights, for every system the same: a safetensors folder, from
it GGUF (Q4_0) and ONNX (4 bits in blocks of 32, float32 activations, as the onnx-community exports are made).

usage: language.py FOLDER    writes FOLDER/{hf/, model-q4_0.gguf, onnx/{*.json, onnx/model_q4.onnx}, prompts.json}
"""

import glob
import json
import os
import shutil
import subprocess
import sys
import sysconfig

import gguf
import numpy as np
import onnx
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

VOCAB, HIDDEN, LAYERS, HEADS, KV_HEADS, FFN, CONTEXT, THETA, EPS = 49152, 576, 30, 9, 3, 1536, 8192, 1e5, 1e-5
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n'}}{% endfor %}"


def corpus():
    """Python's own library: text that is wherever this runs."""
    size = 0
    for path in sorted(glob.glob(sysconfig.get_paths()["stdlib"] + "/**/*.py", recursive=True)):
        try:
            with open(path, encoding="utf8") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError):
            continue
        size += len(text)
        yield text
        if size > 30_000_000:
            return


def make_tokenizer(folder):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=SPECIAL, initial_alphabet=alphabet,
                                  show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.save(f"{folder}/tokenizer.json")
    settings = dict(tokenizer_class="PreTrainedTokenizerFast", bos_token=SPECIAL[0], eos_token=SPECIAL[0],
                    model_max_length=CONTEXT, chat_template=TEMPLATE)
    with open(f"{folder}/tokenizer_config.json", "w") as file:
        json.dump(settings, file)
    return tokenizer


def make_prompts(tokenizer):
    """Texts of an exact number of tokens that give the same ids again."""
    library = sysconfig.get_paths()["stdlib"]
    text = "".join(open(f"{library}/{name}.py", encoding="utf8").read() for name in ("heapq", "textwrap"))
    whole = tokenizer.encode(text)
    prompts = {}
    for length in (16, 128, 512):
        for start in range(400):
            part = text[whole.offsets[start][0] : whole.offsets[start + length - 1][1]]
            ids = tokenizer.encode(part).ids
            if len(ids) == length and part.strip() == part:
                prompts[length] = dict(ids=ids, text=part)
                break
        else:
            raise SystemExit(f"no prompt of {length} tokens was found")
    return prompts


def write_gguf(path, tokenizer_path, weights):
    with open(tokenizer_path) as file:
        parts = json.load(file)
    ids = dict(parts["model"]["vocab"], **{token["content"]: token["id"] for token in parts["added_tokens"]})
    tokens = [f"[PAD{i}]" for i in range(VOCAB)]
    for token, i in ids.items():
        tokens[i] = token
    kinds = [3 if t in SPECIAL else 5 if t.startswith("[PAD") else 1 for t in tokens]
    merges = [m if isinstance(m, str) else " ".join(m) for m in parts["model"]["merges"]]
    q4_0 = gguf.GGMLQuantizationType.Q4_0
    out = gguf.GGUFWriter(path, "llama")
    out.add_name("bench")
    out.add_context_length(CONTEXT)
    out.add_embedding_length(HIDDEN)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(FFN)
    out.add_head_count(HEADS)
    out.add_head_count_kv(KV_HEADS)
    out.add_layer_norm_rms_eps(EPS)
    out.add_rope_freq_base(THETA)
    out.add_rope_dimension_count(HIDDEN // HEADS)
    out.add_vocab_size(VOCAB)
    out.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(tokens)
    out.add_token_types(kinds)
    out.add_token_merges(merges)
    out.add_bos_token_id(0)
    out.add_eos_token_id(0)
    out.add_add_bos_token(False)

    def add(name, values):
        values = np.ascontiguousarray(values, dtype=np.float32)
        if values.ndim == 2:
            out.add_tensor(name, gguf.quants.quantize(values, q4_0), raw_dtype=q4_0)
        else:
            out.add_tensor(name, values)

    def interleaved(values, heads):
        """llama.cpp's order of the rows that are rotated."""
        return values.reshape(heads, 2, values.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(values.shape)

    add("token_embd.weight", weights["model.embed_tokens.weight"])
    for i in range(LAYERS):
        from_, to = f"model.layers.{i}.", f"blk.{i}."
        add(to + "attn_norm.weight", weights[from_ + "input_layernorm.weight"])
        add(to + "ffn_norm.weight", weights[from_ + "post_attention_layernorm.weight"])
        add(to + "attn_q.weight", interleaved(weights[from_ + "self_attn.q_proj.weight"], HEADS))
        add(to + "attn_k.weight", interleaved(weights[from_ + "self_attn.k_proj.weight"], KV_HEADS))
        add(to + "attn_v.weight", weights[from_ + "self_attn.v_proj.weight"])
        add(to + "attn_output.weight", weights[from_ + "self_attn.o_proj.weight"])
        for name in ("gate", "up", "down"):
            add(f"{to}ffn_{name}.weight", weights[f"{from_}mlp.{name}_proj.weight"])
    add("output_norm.weight", weights["model.norm.weight"])
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def write_onnx(folder):
    """By onnxruntime-genai's model builder. The output matrix stands beside the embedding, as in SmolLM2's q4 files."""
    built, out = f"{folder}/genai", f"{folder}/onnx"
    options = ["use_webgpu_fp32=true", "shared_embeddings=false"]
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", f"{folder}/hf", "-o", built,
               "-p", "int4", "-e", "webgpu", "-c", f"{folder}/genai-cache", "--extra_options", *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    model = onnx.load(f"{built}/model.onnx")
    # transformers.js sizes its empty cache from the graph.
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param == "kv_cache_dim":
                size.Clear()
                size.dim_value = HIDDEN // HEADS
    os.makedirs(f"{out}/onnx", exist_ok=True)
    onnx.save(model, f"{out}/onnx/model_q4.onnx")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(f"{folder}/hf/{name}", out)
    with open(f"{folder}/hf/config.json") as file:
        config = json.load(file)
    config["transformers.js_config"] = {"use_external_data_format": False}
    with open(f"{out}/config.json", "w") as file:
        json.dump(config, file, indent=1)
    with open(f"{out}/generation_config.json", "w") as file:
        json.dump({"bos_token_id": 0, "eos_token_id": 0}, file)
    shutil.rmtree(built)
    shutil.rmtree(f"{folder}/genai-cache", ignore_errors=True)


def main(folder):
    hf = f"{folder}/hf"
    os.makedirs(hf, exist_ok=True)
    tokenizer = make_tokenizer(hf)
    with open(f"{folder}/prompts.json", "w") as file:
        json.dump(make_prompts(tokenizer), file)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS, intermediate_size=FFN, tie_word_embeddings=True, rope_theta=THETA,
        max_position_embeddings=CONTEXT, rms_norm_eps=EPS, bos_token_id=0, eos_token_id=0, initializer_range=0.04,
    )
    model = LlamaForCausalLM(config).eval().float()
    model.save_pretrained(hf)
    with open(f"{hf}/config.json") as file:
        written = json.load(file)
    written.update(rope_theta=THETA, torch_dtype="float32")
    with open(f"{hf}/config.json", "w") as file:
        json.dump(written, file, indent=1)
    weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    write_gguf(f"{folder}/model-q4_0.gguf", f"{hf}/tokenizer.json", weights)
    write_onnx(folder)


if __name__ == "__main__":
    main(sys.argv[1])
