"""The cases of encoders.py: small files of the folders, tokenizers, and which settings must matter.

A case has the keys of its file (tests/encoders/README.md), and
    matters   edits of config.json ("_least": another NMSE), or strings: tensors whose name contains one are made neutral
    same      edits that must change nothing
    rename    what makes published names of those that `save_pretrained` writes; `strip` is a prefix to take off
    unread    names that the model may ignore
    reference the config.json to compute with where transformers cannot read the published one; `hook` changes the model
    recipe    the length at which the ids of Qwen3-Reranker's published recipe must be the same
"""

import json
from pathlib import Path

import torch

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "encoders" / "golden"
ABSENT = ...  # as the value of an edit: the key is left out (None writes null)

LONG = " ".join(
    f"Sentence {i} tells how many {what} there were in {1900 + 7 * i}: about {i * 37 % 101} or so."
    for i, what in enumerate(("trees", "rivers", "elephants", "Bücher", "songs", "stars", "lazy dogs", "questions") * 2)
)
PAIRS = [
    ["What is the capital of France?", "Paris is the capital of France; Berlin is the capital of Germany."],
    ["What is the capital of France?", "How do I bake bread at home? Mix flour, water, salt and yeast."],
    ["天气怎么样？", "今天天气很好，我们去公园吧！"],
    ["où est le café", "Le café naïve de l'élève est à la cafétéria 🙂"],
    ["", "The document of an empty query."],
    ["The query of an empty document", ""],
    ["How many elephants were there?", LONG],
    [LONG, LONG],
    [LONG, "short"],
    ["  IPhone 12.50$ ", "   "],
]
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
        "Transformer": "base.modules.transformer",
        "Pooling": "sentence_transformer.modules.pooling",
        "Dense": "base.modules.dense",
        "Normalize": "base.modules.normalize",
        "LogitScore": "cross_encoder.modules.logit_score",
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
        "cls": "cls_token",
        "mean": "mean_tokens",
        "max": "max_tokens",
        "mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
        "weightedmean": "weightedmean_tokens",
        "lasttoken": "lasttoken",
    }
    return (
        {"word_embedding_dimension": dim} | {f"pooling_mode_{key}": kind in modes for kind, key in keys.items()} | more
    )


def dense(rows: int, columns: int, bias: bool = False) -> dict:
    """N_Dense/config.json."""
    act = "torch.nn.modules.linear.Identity"
    return {"in_features": rows, "out_features": columns, "bias": bias, "activation_function": act}


def sentence(prompts: dict | None = None, default: str | None = None, **more) -> dict:
    """config_sentence_transformers.json."""
    return {
        "__version__": {"sentence_transformers": "6.2.0", "transformers": "5.23.0", "pytorch": "2.15.0"},
        "prompts": prompts or {},
        "default_prompt_name": default,
        "similarity_fn_name": "cosine",
    } | more


def folder(config: dict, tokens: dict, mods: list | None, length: int | None = 48, **more) -> dict:
    """All small JSON files by path, with `more` of them."""
    files = {"config.json": config, "tokenizer_config.json": tokens}
    if mods is not None:
        files["modules.json"] = mods
    if length is not None:
        files["sentence_bert_config.json"] = {"max_seq_length": length, "do_lower_case": False}
    return files | more


def bert(
    kind: str = "bert", model: str = "BertModel", dim: int = 36, heads: int = 3, ffn: int = 72, layers: int = 3, **more
) -> dict:
    keys = {
        "architectures": [model],
        "model_type": kind,
        "hidden_size": dim,
        "num_attention_heads": heads,
        "intermediate_size": ffn,
        "num_hidden_layers": layers,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 64,
        "type_vocab_size": 2,
        "vocab_size": 400,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "use_cache": True,
    } | more
    return {k: v for k, v in keys.items() if v is not ABSENT}


def bert_tokens(**more) -> dict:
    return {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "mask_token": "[MASK]",
        "model_max_length": 512,
    } | more


def fast_tokens(pad: str, eos: str | None = None, bos: str | None = None, **more) -> dict:
    """tokenizer_config.json that leaves everything to tokenizer.json."""
    keys = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": pad,
        "eos_token": eos,
        "bos_token": bos,
        "model_max_length": 512,
    }
    return {k: v for k, v in (keys | more).items() if v is not None}


ROBERTA_TOKENS = {"unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}

# The scores of heads must differ enough for attention to look somewhere.
SHARP = [["query.weight", 0.0, 0.5], ["key.weight", 0.0, 0.5], ["attention.output.dense.weight", 0.0, 0.5]]

XLMR = bert(
    "xlm-roberta",
    "XLMRobertaModel",
    dim=40,
    heads=5,
    ffn=88,
    layers=2,
    layer_norm_eps=1e-5,
    vocab_size=283,
    type_vocab_size=1,
    max_position_embeddings=58,
    pad_token_id=1,
    bos_token_id=0,
    eos_token_id=2,
)
QWEN3 = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_act": "silu",
    "hidden_size": 48,
    "head_dim": 16,
    "intermediate_size": 76,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 425,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "use_sliding_window": False,
    "sliding_window": None,
    "max_window_layers": 3,
    "bos_token_id": 420,
    "eos_token_id": 420,
}
INSTRUCT = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"

BERT_SMALL = folder(
    bert(layers=2, heads=4, dim=32, ffn=56),
    bert_tokens(),
    modules("Transformer", "Pooling", "Normalize"),
    32,
    **{"1_Pooling/config.json": pooling(32, "mean"), "config_sentence_transformers.json": sentence()},
)
MODERN = folder(
    {
        "architectures": ["ModernBertModel"],
        "model_type": "modernbert",
        "hidden_size": 36,
        "num_attention_heads": 3,
        "intermediate_size": 44,
        "num_hidden_layers": 5,
        "hidden_activation": "gelu",
        "norm_eps": 1e-5,
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "local_attention": 16,
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160000.0,
        "local_rope_theta": 10000.0,
        "layer_norm_eps": 1e-5,
        "position_embedding_type": "absolute",
        "max_position_embeddings": 256,
        "vocab_size": 428,
        "pad_token_id": 426,
        "cls_token_id": 424,
        "sep_token_id": 425,
        "bos_token_id": 424,
        "eos_token_id": 425,
        "classifier_pooling": "mean",
        "decoder_bias": True,
    },
    fast_tokens(
        "[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]", model_max_length=120
    ),
    modules("Transformer", "Pooling", old=True),
    None,
    **{"1_Pooling/config.json": pooling(36, "cls", old=True), "config_sentence_transformers.json": sentence()},
)
MODERN_SPREAD = [["Wqkv.weight", 0.0, 0.25], ["attn.Wo.weight", 0.0, 0.5], ["mlp.Wo.weight", 0.0, 0.5]]
NOMIC = folder(
    {
        "architectures": ["NomicBertModel"],
        "model_type": "nomic_bert",
        "hidden_size": 48,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "hidden_act": "silu",
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 128,
        "type_vocab_size": 2,
        "vocab_size": 400,
        "pad_token_id": 0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0},
    },
    bert_tokens(model_max_length=8192),
    modules("Transformer", "Pooling", "Normalize", old=True),
    96,
    **{
        "1_Pooling/config.json": pooling(48, "mean", old=True),
        "config_sentence_transformers.json": sentence(
            {"search_query": "search_query: ", "search_document": "search_document: "}
        ),
    },
)
NOMIC_SPREAD = [["Wqkv.weight", 0.0, 0.5], ["out_proj.weight", 0.0, 0.5], ["norm1.weight", 1.0, 0.25]]
GTE = folder(
    {
        "architectures": ["GteModel"],
        "model_type": "gte",
        "hidden_size": 40,
        "num_attention_heads": 2,
        "intermediate_size": 52,
        "num_hidden_layers": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 256,
        "type_vocab_size": 2,
        "vocab_size": 283,
        "pad_token_id": 1,
        "rope_parameters": {"rope_type": "default", "rope_theta": 20000.0},
    },
    fast_tokens("<pad>", "</s>", "<s>", **ROBERTA_TOKENS),
    modules("Transformer", "Pooling", "Normalize", old=True),
    96,
    **{"1_Pooling/config.json": pooling(40, "cls", old=True)},
)
GTE_NEW = {
    "architectures": ["NewModel"],
    "model_type": "new",
    "auto_map": {"AutoConfig": "Alibaba-NLP/new-impl--configuration.NewConfig"},
    "attention_probs_dropout_prob": 0.0,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 40,
    "intermediate_size": 52,
    "layer_norm_eps": 1e-12,
    "layer_norm_type": "layer_norm",
    "logn_attention_clip1": False,
    "logn_attention_scale": False,
    "max_position_embeddings": 256,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "pack_qkv": True,
    "pad_token_id": 1,
    "position_embedding_type": "rope",
    "rope_scaling": {"factor": 8.0, "type": "ntk"},
    "rope_theta": 20000,
    "type_vocab_size": 1,
    "unpad_inputs": False,
    "use_memory_efficient_attention": False,
    "vocab_size": 283,
}
GTE_SPREAD = [["qkv_proj.weight", 0.0, 0.5], ["o_proj.weight", 0.0, 0.5]]
T5 = folder(
    {
        "architectures": ["T5EncoderModel"],
        "model_type": "t5",
        "d_model": 40,
        "d_kv": 12,
        "d_ff": 72,
        "num_heads": 3,
        "num_layers": 3,
        "num_decoder_layers": 3,
        "feed_forward_proj": "relu",
        "layer_norm_epsilon": 1e-6,
        "relative_attention_num_buckets": 32,
        "vocab_size": 284,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
        "is_encoder_decoder": True,
        "n_positions": 512,
        "dropout_rate": 0.1,
    },
    fast_tokens("<pad>", "</s>", unk_token="<unk>"),
    modules("Transformer", "Pooling", "Dense", "Normalize", old=True),
    200,
    **{
        "1_Pooling/config.json": pooling(40, "mean", old=True, include_prompt=False),
        "2_Dense/config.json": dense(40, 28),
        "config_sentence_transformers.json": sentence({"query": "Represent the question for retrieving documents: "}),
    },
)
T5_SPREAD = [
    ["shared.weight", 0.0, 1.0],
    ["SelfAttention.q.weight", 0.0, 0.125],
    ["relative_attention_bias.weight", 0.0, 2.0],
    ["wo.weight", 0.0, 0.5],
    ["SelfAttention.o.weight", 0.0, 0.5],
]
GEMMA = folder(
    {
        "architectures": ["Gemma3TextModel"],
        "model_type": "gemma3_text",
        "_sliding_window_pattern": 6,
        "attention_bias": False,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 48,
        "head_dim": 20,
        "intermediate_size": 68,
        "num_hidden_layers": 7,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "vocab_size": 591,
        "layer_types": [*["sliding_attention"] * 5, "full_attention", "sliding_attention"],
        "max_position_embeddings": 256,
        "query_pre_attn_scalar": 20,
        "rms_norm_eps": 1e-6,
        "rope_local_base_freq": 10000.0,
        "rope_scaling": None,
        "rope_theta": 1000000.0,
        "sliding_window": 16,
        "use_bidirectional_attention": True,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "pad_token_id": 0,
        "use_cache": True,
    },
    fast_tokens("<pad>", "<eos>", "<bos>", unk_token="<unk>"),
    modules("Transformer", "Pooling", "Dense", "Dense", "Normalize", old=True),
    120,
    **{
        "1_Pooling/config.json": pooling(48, "mean", old=True, include_prompt=True),
        "2_Dense/config.json": dense(48, 96),
        "3_Dense/config.json": dense(96, 48),
        "config_sentence_transformers.json": sentence(
            {
                "query": "task: search result | query: ",
                "document": "title: none | text: ",
                "STS": "task: sentence similarity | query: ",
            }
        ),
    },
)
GEMMA_SPREAD = [["norm.weight", 0.0, 0.25], ["embed_tokens.weight", 0.0, 0.125]]


EMBEDDING_GEMMA2 = GEMMA | {
    "config.json": {
        "architectures": ["EmbeddingGemma2TextModel"],
        "model_type": "embedding_gemma2_text",
        "hidden_size": 48,
        "intermediate_size": 68,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 12,
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-6,
        "vocab_size": 591,
        "sliding_window": 8,
        "hidden_size_per_layer_input": 20,
        "embedding_dim": 28,
        "attention_bias": False,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
        "per_layer_config": {"2": {"head_dim": 24, "num_key_value_heads": 1}},
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            "full_attention": {"rope_type": "default", "rope_theta": 1000000.0},
        },
    },
    "modules.json": modules("Transformer", "Pooling", "Normalize"),
    "1_Pooling/config.json": pooling(28, "mean"),
}
EMBEDDING_GEMMA2 = {k: v for k, v in EMBEDDING_GEMMA2.items() if "Dense" not in k}
GEMMA2_SPREAD = [
    ["q_norm.weight", 0.75, 0.25],
    ["k_norm.weight", 0.75, 0.25],
    ["embed_tokens.weight", 0.0, 0.125],
    ["layer_scalar", 0.75, 0.25],
]
GTE_RERANK = {
    k: v for k, v in GTE.items() if k not in ("modules.json", "1_Pooling/config.json", "sentence_bert_config.json")
} | {
    "config.json": GTE["config.json"]
    | {
        "architectures": ["GteForSequenceClassification"],
        "max_position_embeddings": 96,
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
    }
}
CALM = [["q_norm.weight", 0.75, 0.25], ["k_norm.weight", 0.75, 0.25]]  # a long frame would make rounding larger

# Qwen3-Reranker's recipe as a template for the roles that sentence-transformers gives a pair.
JUDGE_BEGIN = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
JUDGE_END = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
JUDGE_TASK = "Given a web search query, retrieve relevant passages that answer the query"
JUDGE = (
    "{%- set ns = namespace(task='" + JUDGE_TASK + "', query='', document='') %}"
    "{%- for m in messages %}{%- if m.role == 'system' %}{%- set ns.task = m.content %}"
    "{%- elif m.role == 'query' %}{%- set ns.query = m.content %}"
    "{%- elif m.role == 'document' %}{%- set ns.document = m.content %}{%- endif %}{%- endfor %}"
    "{{- '"
    + JUDGE_BEGIN
    + "<Instruct>: ' + ns.task + '\\n<Query>: ' + ns.query + '\\n<Document>: ' + ns.document + '"
    + JUDGE_END
    + "' }}"
)
LAST = {
    "transformer_task": "text-generation",
    "modality_config": {
        "text": {"method": "forward", "method_output_name": "logits"},
        "message": {"method": "forward", "method_output_name": "logits", "format": "flat"},
    },
    "module_output_name": "causal_logits",
}


def token(tokenizer: str, text: str) -> int:
    """Looks up a token of one of the tokenizers."""
    return json.loads((GOLDEN / "tokenizers" / f"{tokenizer}.json").read_text())["model"]["vocab"][text]


def order_nomic(tensors: list) -> list:
    """Puts the embeddings first, as in the published file."""
    return sorted(tensors, key=lambda tensor: not tensor[0].startswith("emb"))


def ntk(model) -> None:
    """Scales the frequencies as the published code of type "new" does: base x factor, all / factor^(2 / head size)."""
    factor, base = GTE_NEW["rope_scaling"]["factor"], GTE_NEW["rope_theta"]
    rotary = model[0].model.rotary_emb
    size = 2 * len(rotary.inv_freq)
    rotary.inv_freq = 1.0 / (base * factor) ** (torch.arange(0, size, 2).float() / size) / factor ** (2 / size)


CASES = {
    "bert_mean": dict(
        files=folder(
            bert(),
            bert_tokens(),
            modules("Transformer", "Pooling", "Normalize", old=True),
            48,
            **{
                "1_Pooling/config.json": pooling(36, "mean", old=True),
                "config_sentence_transformers.json": {
                    "__version__": {"sentence_transformers": "2.0.0", "transformers": "4.6.1", "pytorch": "1.8.1"}
                },
            },
        ),
        tokenizer="wordpiece_padded",
        spread=SHARP,
        integers=[["embeddings.position_ids", [1, 64]]],
        unread=["position_ids"],
        same=[{"pad_token_id": 1}],
        matters=[
            "query.weight",
            "query.bias",
            "value.bias",
            "attention.output.dense.bias",
            "intermediate.dense.bias",
            "output.dense.bias",
            "position_embeddings",
            "token_type_embeddings",
            "LayerNorm.bias",
            "LayerNorm.weight",
            {"hidden_act": "relu"},
            {"hidden_act": "gelu_new", "_least": 1e-9},
            {"layer_norm_eps": 1e-2},
        ],
    ),
    "xlmr_cls": dict(
        files=folder(
            XLMR,
            fast_tokens("<pad>", "</s>", "<s>", **ROBERTA_TOKENS),
            modules("Transformer", "Pooling", "Normalize"),
            48,
            **{
                "1_Pooling/config.json": pooling(40, "cls"),
                "config_sentence_transformers.json": sentence({"query": "query: ", "passage": "passage: "}),
            },
        ),
        tokenizer="unigram_xlmr",
        spread=SHARP,
        prompts=["query", "passage"],
        matters=[
            "query.weight",
            "position_embeddings",
            "token_type_embeddings",
            {"layer_norm_eps": 1e-3, "_least": 1e-6},
            {"pad_token_id": 0},
        ],
    ),
    "qwen3_last": dict(
        files=folder(
            QWEN3,
            fast_tokens("<|endoftext|>", "<|im_end|>"),
            modules("Transformer", "Pooling", "Normalize", old=True),
            None,
            **{
                "1_Pooling/config.json": pooling(48, "lasttoken", old=True, include_prompt=True),
                "config_sentence_transformers.json": sentence({"query": INSTRUCT, "document": ""}),
            },
        ),
        tokenizer="bpe_qwen",
        strip="model.",
        prompts=["query"],
        same=[{"tie_word_embeddings": False}],
        matters=["q_norm", "k_norm", "input_layernorm", {"rope_theta": 1000.0}, {"rms_norm_eps": 1e-2}],
    ),
    "bert_cls": dict(
        files=folder(
            bert(dim=48, heads=4, ffn=60, layers=2, layer_norm_eps=1e-5),
            bert_tokens(model_max_length=40),
            modules("Transformer", "Pooling", "Normalize"),
            None,
            **{
                "1_Pooling/config.json": pooling(48, "cls"),
                "config_sentence_transformers.json": sentence(
                    {"query": "Represent this sentence for searching relevant passages: "}
                ),
            },
        ),
        tokenizer="wordpiece",
        spread=SHARP,
        prompts=["query"],
        matters=["query.weight", "position_embeddings", {"layer_norm_eps": 1e-3, "_least": 1e-7}],
    ),
    "bert_gelu_new": dict(
        files=folder(
            bert(hidden_act="gelu_new", layers=2),
            bert_tokens(do_lower_case=False),
            modules("Transformer", "Pooling"),
            40,
            **{"1_Pooling/config.json": pooling(36, "mean"), "config_sentence_transformers.json": sentence()},
        ),
        tokenizer="wordpiece_cased",
        spread=SHARP,
        matters=["query.weight", {"hidden_act": "gelu", "_least": 1e-9}],
    ),
    "bert_plain": dict(  # as bert-base-uncased: no modules.json, a prefix, norms' old names, a head nobody needs
        files=folder(
            bert(model="BertForMaskedLM", hidden_act="relu", layers=2), bert_tokens(model_max_length=512), None, None
        ),
        tokenizer="wordpiece",
        spread=[["gamma", 1.0, 0.25], ["beta", 0.0, 0.25], *SHARP],
        rename=lambda tensors: [
            *(
                [
                    "bert."
                    + n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"),
                    s,
                ]
                for n, s in tensors
            ),
            ["cls.predictions.bias", [400]],
            ["cls.predictions.transform.dense.weight", [36, 36]],
        ],
        unread=["cls.predictions"],
        matters=["query.weight", "gamma", "beta", {"hidden_act": "gelu"}],
    ),
    "bert_pooling_all": dict(
        files=folder(
            bert(layers=2),
            bert_tokens(),
            modules("Transformer", "Pooling", old=True),
            32,
            **{
                "1_Pooling/config.json": pooling(
                    36, ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"], old=True
                )
            },
        ),
        tokenizer="wordpiece",
        spread=SHARP,
        matters=["query.weight"],
    ),
    "bert_max": dict(
        files=folder(
            bert(layers=2),
            bert_tokens(),
            modules("Transformer", "Pooling"),
            32,
            **{"1_Pooling/config.json": pooling(36, "max"), "config_sentence_transformers.json": sentence()},
        ),
        tokenizer="wordpiece",
        spread=SHARP,
        matters=["query.weight"],
    ),
    "bert_weightedmean": dict(
        files=folder(
            bert(layers=2),
            bert_tokens(),
            modules("Transformer", "Pooling"),
            32,
            **{"1_Pooling/config.json": pooling(36, "weightedmean"), "config_sentence_transformers.json": sentence()},
        ),
        tokenizer="wordpiece",
        spread=SHARP,
        matters=["query.weight"],
    ),
    "bert_dense_tanh": dict(  # as distiluse: Dense with a bias and Tanh; a prompt that the mean leaves out
        files=folder(
            bert(layers=2),
            bert_tokens(),
            modules("Transformer", "Pooling", "Dense", old=True),
            32,
            **{
                "1_Pooling/config.json": pooling(36, "mean", old=True, include_prompt=False),
                "2_Dense/config.json": dense(36, 20, bias=True)
                | {"activation_function": "torch.nn.modules.activation.Tanh"},
                "config_sentence_transformers.json": sentence({"query": "Represent the question: "}),
            },
        ),
        tokenizer="wordpiece",
        spread=SHARP,
        prompts=["query"],
        matters=["query.weight", "linear.bias"],
    ),
    "bert_xlmr_tokens": dict(  # as paraphrase-multilingual-MiniLM: positions from 0, whatever the tokenizer
        files=folder(
            bert(layers=2, vocab_size=283),
            fast_tokens("<pad>", "</s>", "<s>", **ROBERTA_TOKENS),
            modules("Transformer", "Pooling", old=True),
            32,
            **{"1_Pooling/config.json": pooling(36, "mean", old=True)},
        ),
        tokenizer="unigram_bge",
        spread=SHARP,
        matters=["query.weight", "token_type_embeddings"],
    ),
    "roberta_mean": dict(
        files=folder(
            bert(
                "roberta",
                "RobertaModel",
                dim=48,
                heads=3,
                ffn=56,
                layers=2,
                layer_norm_eps=1e-5,
                vocab_size=421,
                type_vocab_size=1,
                max_position_embeddings=66,
                pad_token_id=1,
                bos_token_id=0,
                eos_token_id=2,
            ),
            fast_tokens("<pad>", "</s>", "<s>", **ROBERTA_TOKENS),
            modules("Transformer", "Pooling", "Normalize", old=True),
            64,
            **{"1_Pooling/config.json": pooling(48, "mean", old=True)},
        ),
        tokenizer="bpe_roberta",
        spread=SHARP,
        matters=["query.weight", "position_embeddings", {"pad_token_id": 0}],
    ),
    "xlmr_mean": dict(  # as e5, with a prompt by default
        files=folder(
            XLMR | {"hidden_act": "gelu_pytorch_tanh"},
            fast_tokens("<pad>", "</s>", "<s>", **ROBERTA_TOKENS),
            modules("Transformer", "Pooling", "Normalize"),
            48,
            **{
                "1_Pooling/config.json": pooling(40, "mean"),
                "config_sentence_transformers.json": sentence(
                    {"query": "query: ", "passage": "passage: ", "none": ""}, "passage"
                ),
            },
        ),
        tokenizer="unigram_bge",
        spread=SHARP,
        prompts=["query", "none"],
        matters=["query.weight", {"hidden_act": "gelu", "_least": 1e-9}],
    ),
    "mpnet_mean": dict(
        files=folder(
            {
                "architectures": ["MPNetModel"],
                "model_type": "mpnet",
                "hidden_size": 36,
                "num_attention_heads": 3,
                "intermediate_size": 60,
                "num_hidden_layers": 2,
                "hidden_act": "gelu",
                "layer_norm_eps": 1e-5,
                "max_position_embeddings": 176,
                "vocab_size": 400,
                "relative_attention_num_buckets": 32,
                "pad_token_id": 1,
                "bos_token_id": 0,
                "eos_token_id": 2,
            },
            fast_tokens(
                "<pad>", "</s>", "<s>", unk_token="[UNK]", cls_token="<s>", sep_token="</s>", mask_token="<mask>"
            ),
            modules("Transformer", "Pooling", "Normalize", old=True),
            170,
            **{"1_Pooling/config.json": pooling(36, "mean", old=True)},
        ),
        tokenizer="wordpiece_mpnet",
        spread=[
            ["attn.q.weight", 0.0, 0.5],
            ["attn.k.weight", 0.0, 0.5],
            ["attn.o.weight", 0.0, 0.5],
            ["relative_attention_bias.weight", 0.0, 2.0],
        ],
        integers=[["embeddings.position_ids", [1, 176]]],
        unread=["position_ids"],
        same=[{"pad_token_id": 0}],
        matters=["attn.q.weight", "relative_attention_bias", "position_embeddings"],
    ),
    "distilbert_mean": dict(
        files=folder(
            {
                "architectures": ["DistilBertModel"],
                "model_type": "distilbert",
                "dim": 40,
                "n_heads": 5,
                "hidden_dim": 68,
                "n_layers": 2,
                "activation": "gelu",
                "max_position_embeddings": 64,
                "vocab_size": 400,
                "sinusoidal_pos_embds": False,
                "pad_token_id": 0,
                "tie_weights_": True,
            },
            bert_tokens(),
            modules("Transformer", "Pooling"),
            64,
            **{"1_Pooling/config.json": pooling(40, "mean"), "config_sentence_transformers.json": sentence()},
        ),
        tokenizer="wordpiece",
        spread=[["q_lin.weight", 0.0, 0.5], ["k_lin.weight", 0.0, 0.5], ["out_lin.weight", 0.0, 0.5]],
        matters=[
            "q_lin.weight",
            "position_embeddings",
            "sa_layer_norm.bias",
            "output_layer_norm.bias",
            "embeddings.LayerNorm.bias",
            {"activation": "gelu_new", "_least": 1e-9},
        ],
    ),
    "modernbert_cls": dict(
        files=MODERN,
        tokenizer="bpe_modernbert",
        spread=MODERN_SPREAD,
        same=[{"local_attention": 17}],
        matters=[
            "Wqkv",
            "attn_norm",
            "mlp_norm",
            "final_norm",
            "embeddings.norm",
            {"local_attention": 18},
            {"global_rope_theta": 10000.0},
            {"local_rope_theta": 500.0},
            {"global_attn_every_n_layers": 2},
            {"hidden_activation": "silu"},
            {"norm_eps": 1e-2},
            {"hidden_activation": "gelu_new", "_least": 1e-9},
        ],
    ),
    "modernbert_f16": dict(
        files=MODERN, tokenizer="bpe_modernbert", spread=MODERN_SPREAD, dtype="F16", matters=["Wqkv"]
    ),
    "modernbert_bf16": dict(
        files=MODERN, tokenizer="bpe_modernbert", spread=MODERN_SPREAD, dtype="BF16", matters=["Wqkv"]
    ),
    "modernbert_types": dict(
        files=folder(
            {
                k: v
                for k, v in MODERN["config.json"].items()
                if "rope" not in k and "every" not in k and k != "layer_types"
            }
            | {
                "norm_bias": True,
                "attention_bias": True,
                "mlp_bias": True,
                "local_attention": 11,
                "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
                "num_hidden_layers": 3,
                "rope_parameters": {
                    "full_attention": {"rope_type": "default", "rope_theta": 3000.0},
                    "sliding_attention": {"rope_type": "default", "rope_theta": 200.0},
                },
            },
            MODERN["tokenizer_config.json"],
            modules("Transformer", "Pooling", "Normalize"),
            80,
            **{"1_Pooling/config.json": pooling(36, "mean"), "config_sentence_transformers.json": sentence()},
        ),
        tokenizer="bpe_modernbert",
        spread=MODERN_SPREAD,
        same=[{"local_attention": 10}],
        matters=[
            "Wqkv.weight",
            "Wqkv.bias",
            "Wi.bias",
            "mlp.Wo.bias",
            "attn.Wo.bias",
            "norm.bias",
            {"local_attention": 12},
            {"layer_types": ["full_attention", "full_attention", "sliding_attention"]},
        ],
    ),
    "bert_f16": dict(files=BERT_SMALL, tokenizer="wordpiece", spread=SHARP, dtype="F16", matters=["query.weight"]),
    "bert_bf16": dict(files=BERT_SMALL, tokenizer="wordpiece", spread=SHARP, dtype="BF16", matters=["query.weight"]),
    "nomic_mean": dict(
        files=NOMIC,
        tokenizer="wordpiece",
        spread=NOMIC_SPREAD,
        prompts=["search_query"],
        rename=lambda tensors: order_nomic(tensors),
        matters=[
            "Wqkv",
            "emb_ln.bias",
            "norm1.bias",
            "norm2.bias",
            "token_type_embeddings",
            {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
            {"hidden_act": "gelu"},
        ],
    ),
    "nomic_published": dict(  # config.json as nomic-embed-text-v1.5 has it: GPT-2's keys
        files=NOMIC
        | {
            "config.json": {
                "architectures": ["NomicBertModel"],
                "model_type": "nomic_bert",
                "activation_function": "swiglu",
                "attn_pdrop": 0.0,
                "auto_map": {"AutoConfig": "nomic-ai/nomic-bert-2048--configuration_hf_nomic_bert.NomicBertConfig"},
                "causal": False,
                "layer_norm_epsilon": 1e-12,
                "mlp_fc1_bias": False,
                "mlp_fc2_bias": False,
                "n_embd": 48,
                "n_head": 4,
                "n_inner": 64,
                "n_layer": 2,
                "n_positions": 8192,
                "max_trained_positions": 2048,
                "pad_vocab_size_multiple": 64,
                "parallel_block": False,
                "prenorm": False,
                "qkv_proj_bias": False,
                "rotary_emb_base": 1000,
                "rotary_emb_fraction": 1.0,
                "rotary_emb_interleaved": False,
                "rotary_emb_scale_base": None,
                "rotary_scaling_factor": None,
                "type_vocab_size": 2,
                "use_rms_norm": False,
                "vocab_size": 400,
            }
        },
        reference=NOMIC["config.json"],
        tokenizer="wordpiece",
        spread=NOMIC_SPREAD,
        rename=lambda tensors: order_nomic(tensors),
        matters=["Wqkv"],
    ),
    "gte_cls": dict(
        files=GTE,
        tokenizer="unigram_bge",
        spread=GTE_SPREAD,
        matters=[
            "qkv_proj.weight",
            "qkv_proj.bias",
            "attn_ln.bias",
            "mlp_ln.bias",
            "o_proj.bias",
            "down_proj.bias",
            "token_type_embeddings",
            {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
            {"hidden_act": "gelu_new", "_least": 1e-9},
        ],
    ),
    "gte_published": dict(  # config.json as gte-multilingual-base has it: type "new", NTK-scaled RoPE
        files=GTE | {"config.json": GTE_NEW},
        reference=GTE["config.json"] | {"type_vocab_size": 1},
        hook=lambda model: ntk(model),
        tokenizer="unigram_bge",
        spread=GTE_SPREAD,
        rename=lambda tensors: [["new." + n, s] for n, s in tensors],
        matters=["qkv_proj.weight"],
    ),
    "t5_mean": dict(
        files=T5,
        tokenizer="unigram_t5",
        spread=T5_SPREAD,
        prompts=["query"],
        encoder=True,
        same=[{"n_positions": 16}],
        matters=[
            "SelfAttention.q",
            "relative_attention_bias",
            "layer_norm",
            {"relative_attention_max_distance": 24},
            {"feed_forward_proj": "gelu"},
            {"layer_norm_epsilon": 1e-2},
        ],
    ),
    "t5_gated": dict(
        files={k: v for k, v in T5.items() if "Dense" not in k}
        | {
            "config.json": T5["config.json"]
            | {
                "feed_forward_proj": "gated-gelu",
                "num_layers": 2,
                "relative_attention_num_buckets": 8,
                "relative_attention_max_distance": 20,
            },
            "modules.json": modules("Transformer", "Pooling"),
            "1_Pooling/config.json": pooling(40, "mean"),
        },
        tokenizer="unigram_t5",
        spread=T5_SPREAD,
        encoder=True,
        matters=["SelfAttention.q", "relative_attention_bias", "wi_0", "wi_1"],
    ),
    "gemma_mean": dict(
        files=GEMMA,
        tokenizer="bpe_gemma",
        spread=GEMMA_SPREAD,
        prompts=["query", "document"],
        same=[{"sliding_window": 17}, {"_sliding_window_pattern": 2}],
        matters=[
            "q_norm",
            "k_norm",
            "input_layernorm",
            "post_attention_layernorm",
            "pre_feedforward_layernorm",
            "post_feedforward_layernorm",
            {"sliding_window": 18},
            {"use_bidirectional_attention": False},
            {"query_pre_attn_scalar": 8},
            {"rope_theta": 10000.0},
            {"rope_local_base_freq": 5000.0},
            {"layer_types": ["full_attention"] * 7},
        ],
    ),
    "gemma2_text": dict(
        files=EMBEDDING_GEMMA2,
        tokenizer="bpe_gemma",
        spread=GEMMA2_SPREAD,
        prompts=["query"],
        matters=[
            "q_norm",
            "k_norm",
            "input_layernorm",
            "post_attention_layernorm",
            "pre_feedforward_layernorm",
            "post_feedforward_layernorm",
            "post_per_layer_input_norm",
            "per_layer_projection_norm",
            "layer_scalar",
            {"sliding_window": 9},
            {
                "rope_parameters": {
                    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
                    "full_attention": {"rope_type": "default", "rope_theta": 10000.0},
                }
            },
        ],
    ),
    "gemma_bf16": dict(files=GEMMA, tokenizer="bpe_gemma", spread=GEMMA_SPREAD, dtype="BF16", matters=["q_norm"]),
    "qwen3_bf16": dict(
        files=folder(
            QWEN3,
            fast_tokens("<|endoftext|>", "<|im_end|>", model_max_length=64),
            modules("Transformer", "Pooling", "Normalize"),
            None,
            **{
                "1_Pooling/config.json": pooling(48, "lasttoken"),
                "config_sentence_transformers.json": sentence({"query": INSTRUCT, "document": ""}),
            },
        ),
        tokenizer="bpe_qwen",
        dtype="BF16",
        strip="model.",
        matters=["q_norm"],
    ),
    "rerank_bert": dict(  # as ms-marco-MiniLM: the score is the logit
        kind="rerank",
        pairs=PAIRS,
        files=folder(
            bert(
                model="BertForSequenceClassification",
                id2label={"0": "LABEL_0"},
                label2id={"LABEL_0": 0},
                sbert_ce_default_activation_function="torch.nn.modules.linear.Identity",
            ),
            bert_tokens(),
            None,
            None,
        ),
        tokenizer="wordpiece_padded",
        spread=SHARP,
        integers=[["bert.embeddings.position_ids", [1, 64]]],
        unread=["position_ids"],
        matters=[
            "query.weight",
            "token_type_embeddings",
            "pooler.dense.bias",
            "pooler.dense.weight",
            "classifier.bias",
        ],
    ),
    "rerank_bert_labels": dict(
        kind="rerank",
        pairs=PAIRS,
        files=folder(
            bert(
                model="BertForSequenceClassification",
                layers=2,
                id2label={"0": "contradiction", "1": "entailment", "2": "neutral"},
                label2id={"contradiction": 0, "entailment": 1, "neutral": 2},
            ),
            bert_tokens(),
            None,
            None,
        ),
        tokenizer="wordpiece",
        spread=SHARP,
        matters=["query.weight"],
    ),
    "rerank_xlmr": dict(  # as bge-reranker-v2-m3
        kind="rerank",
        pairs=PAIRS,
        files=folder(
            XLMR
            | {
                "architectures": ["XLMRobertaForSequenceClassification"],
                "id2label": {"0": "LABEL_0"},
                "label2id": {"LABEL_0": 0},
            },
            fast_tokens("<pad>", "</s>", "<s>", **ROBERTA_TOKENS, model_max_length=56),
            None,
            None,
        ),
        tokenizer="unigram_xlmr",
        spread=SHARP,
        matters=["query.weight", "classifier.dense.weight", "classifier.dense.bias", "out_proj.bias"],
    ),
    "rerank_roberta": dict(  # saved by sentence-transformers 6, with the activation in its new place
        kind="rerank",
        pairs=PAIRS,
        files=folder(
            bert(
                "roberta",
                "RobertaForSequenceClassification",
                dim=48,
                heads=3,
                ffn=56,
                layers=2,
                layer_norm_eps=1e-5,
                vocab_size=421,
                type_vocab_size=1,
                max_position_embeddings=66,
                pad_token_id=1,
                bos_token_id=0,
                eos_token_id=2,
                id2label={"0": "LABEL_0"},
                label2id={"LABEL_0": 0},
                sentence_transformers={"activation_fn": "torch.nn.modules.activation.Sigmoid", "version": "6.2.0"},
            ),
            fast_tokens("<pad>", "</s>", "<s>", **ROBERTA_TOKENS, model_max_length=64),
            modules("Transformer"),
            None,
            **{
                "sentence_bert_config.json": {
                    "transformer_task": "sequence-classification",
                    "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
                    "module_output_name": "scores",
                },
                "config_sentence_transformers.json": {
                    "__version__": {"sentence_transformers": "6.2.0"},
                    "activation_fn": "torch.nn.modules.activation.Sigmoid",
                    "default_prompt_name": None,
                    "model_type": "CrossEncoder",
                    "prompts": {},
                },
            },
        ),
        tokenizer="bpe_roberta",
        spread=SHARP,
        matters=["query.weight"],
    ),
    "rerank_distilbert": dict(
        kind="rerank",
        pairs=PAIRS,
        files=folder(
            {
                "architectures": ["DistilBertForSequenceClassification"],
                "model_type": "distilbert",
                "dim": 40,
                "n_heads": 5,
                "hidden_dim": 68,
                "n_layers": 2,
                "activation": "gelu",
                "max_position_embeddings": 64,
                "vocab_size": 400,
                "sinusoidal_pos_embds": False,
                "pad_token_id": 0,
                "id2label": {"0": "LABEL_0"},
                "label2id": {"LABEL_0": 0},
            },
            bert_tokens(),
            None,
            None,
        ),
        tokenizer="wordpiece",
        spread=[["q_lin.weight", 0.0, 0.5], ["k_lin.weight", 0.0, 0.5], ["out_lin.weight", 0.0, 0.5]],
        matters=["q_lin.weight", "pre_classifier.weight", "pre_classifier.bias"],
    ),
    "rerank_modernbert": dict(
        kind="rerank",
        pairs=PAIRS,
        files=folder(
            MODERN["config.json"]
            | {
                "architectures": ["ModernBertForSequenceClassification"],
                "id2label": {"0": "LABEL_0"},
                "label2id": {"LABEL_0": 0},
                "max_position_embeddings": 150,
            },
            MODERN["tokenizer_config.json"] | {"model_max_length": 512},
            None,
            None,
        ),
        tokenizer="bpe_modernbert",
        spread=MODERN_SPREAD,
        matters=[
            "Wqkv",
            "head.dense",
            "head.norm",
            "classifier.bias",
            {"classifier_pooling": "cls"},
            {"classifier_activation": "relu"},
        ],
    ),
    "rerank_modernbert_cls": dict(
        kind="rerank",
        pairs=PAIRS,
        files=folder(
            MODERN["config.json"]
            | {
                "architectures": ["ModernBertForSequenceClassification"],
                "id2label": {"0": "LABEL_0"},
                "label2id": {"LABEL_0": 0},
                "classifier_pooling": "cls",
                "classifier_bias": True,
                "classifier_activation": "gelu",
                "num_hidden_layers": 3,
            },
            MODERN["tokenizer_config.json"],
            None,
            None,
        ),
        tokenizer="bpe_modernbert",
        spread=MODERN_SPREAD,
        matters=["Wqkv", "head.dense.bias", {"classifier_pooling": "mean"}],
    ),
    "rerank_gte": dict(
        kind="rerank",
        pairs=PAIRS,
        files=GTE_RERANK,
        tokenizer="unigram_bge",
        spread=[["qkv_proj.weight", 0.0, 0.25], ["o_proj.weight", 0.0, 0.25]],
        rename=lambda tensors: [[n if n.startswith(("classifier", "new.")) else "new." + n, s] for n, s in tensors],
        matters=["qkv_proj.weight", "pooler.dense.weight", "classifier.bias"],
    ),
    "rerank_qwen3": dict(
        kind="rerank",
        task="causal",
        pairs=PAIRS,
        files=folder(
            QWEN3 | {"max_position_embeddings": 512},
            fast_tokens("<|endoftext|>", "<|im_end|>", model_max_length=300, chat_template=JUDGE),
            None,
            None,
        ),
        tokenizer="bpe_qwen_plain",
        spread=CALM,
        recipe=300,
        matters=["q_norm", {"rope_theta": 1000.0}],
    ),
    "rerank_qwen3_modules": dict(
        kind="rerank",
        task="causal",
        pairs=PAIRS,
        files=folder(
            QWEN3 | {"max_position_embeddings": 512},
            fast_tokens("<|endoftext|>", "<|im_end|>", model_max_length=512, chat_template=JUDGE),
            modules("Transformer", "LogitScore"),
            None,
            **{
                "sentence_bert_config.json": LAST,
                "1_LogitScore/config.json": {
                    "true_token_id": token("bpe_qwen_plain", "yes"),
                    "false_token_id": token("bpe_qwen_plain", "no"),
                    "module_input_name": "causal_logits",
                },
                "config_sentence_transformers.json": sentence(
                    {"web": "Given a web search query, find the right passage"},
                    "web",
                    model_type="CrossEncoder",
                    activation_fn="torch.nn.modules.linear.Identity",
                ),
            },
        ),
        tokenizer="bpe_qwen_plain",
        spread=CALM,
        matters=["q_norm"],
    ),
}
