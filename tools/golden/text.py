"""Golden data for tests/text.rs: token ids by the reference tokenizers and chats by the reference renderer.

    python tools/golden/text.py

Needs `pip install transformers tokenizers gguf`; fetches the vocabularies with tools/assets.mjs.
Writes tests/text/golden/tokens.json and tests/text/golden/chats.json.
"""

import json
import pathlib
import subprocess

import gguf
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers.utils.chat_template_utils import render_jinja_template

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "text" / "golden"
SEPARATOR = "\n__ggml_vocab_test__\n"

# Constructs of templates in the manner of Mistral's: checks that refuse a conversation, slices, filters, namespaces.
ALTERNATING = """{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] %}
{%- set rest = messages[1:] %}{%- else %}{%- set rest = messages %}{%- endif %}
{{- bos_token }}
{%- set ns = namespace(turns=0) %}
{%- for m in rest %}
    {%- if (m['role'] == 'user') != (ns.turns % 2 == 0) %}
        {{- raise_exception('Roles must alternate: user, assistant, user, ...') }}
    {%- endif %}
    {%- if m.role == "user" %}
        {%- if tools is not none and loop.last %}
            {{- "[TOOLS] [" }}
            {%- for tool in tools %}
                {%- set f = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in f.items() if key != "return" %}
                    {%- if val is string %}{{- '"' + key + '": "' + val + '"' }}
                    {%- else %}{{- '"' + key + '": ' + val|tojson }}{%- endif %}
                    {%- if not loop.last %}{{- ", " }}{%- endif %}
                {%- endfor %}
                {{- "}}" }}{%- if not loop.last %}{{- ", " }}{%- endif %}
            {%- endfor %}
            {{- "][/TOOLS]" }}
        {%- endif %}
        {{- '[INST] ' + (system ~ '\\n\\n' if system is defined and loop.last else '') + m.content | trim + ' [/INST]' }}
    {%- elif m.role == 'assistant' %}
        {%- generation %}
        {{- ' ' + m.content.split('</think>')[-1].lstrip('\\n') + eos_token }}
        {%- endgeneration %}
    {%- else %}
        {{- raise_exception('Only user and assistant roles are supported, not ' + m.role) }}
    {%- endif %}
    {%- set ns.turns = ns.turns + 1 %}
{%- endfor %}
{% for m in rest[::-1] -%}
    {% if loop.index0 == 1 %}{% continue %}{% endif %}
    {% if loop.index0 > 2 %}{% break %}{% endif %}
    {{ loop.index }}:{{ m.role | upper }}:{{ m.content | length }}
{% endfor %}
{{ {'a': 1, 'b': [true, none, 'x', 1.5]} }} {{ tools | tojson(indent=2) }} {{ none }} {{ missing }} {{ false }}
{{ messages | map(attribute='role') | join(', ') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }}
{{ "%s-%s" | format("x", 3) }} {{ "a,b".split(",") | last }} {{ "Hello"[1:-1] }} {{ 'ell' in 'Hello' }} {{ 7 // 2 }} {{ 2 ** 3 }}
"""

ASK = [{"role": "user", "content": "What is 2+2? Käse & <b>\"quotes\"</b>"}]
TALK = [
    {"role": "system", "content": "You are terse.\nVery."},
    {"role": "user", "content": "  Hi there "},
    {"role": "assistant", "content": "<think>\nA greeting.\n</think>\n\nHello!"},
    {"role": "user", "content": "And now?"},
]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a place, e.g. \"Köln\"",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}, "days": {"type": "integer", "default": 1, "maximum": 1e16}},
            "required": ["place"],
        },
    },
}
CALLED = [
    {"role": "user", "content": "Weather in Köln?"},
    {
        "role": "assistant",
        "content": "",
        "reasoning": "I should look.",
        "tool_calls": [{"type": "function", "function": {"name": "get_weather", "arguments": {"place": "Köln", "days": 2}}}],
    },
    {"role": "tool", "content": '{"sky": "grey"}'},
    {"role": "tool", "content": "done"},
]
# name, messages, tools, add_generation_prompt, further variables
CASES = [
    ("ask", ASK, None, True, {}),
    ("ask, no prompt", ASK, None, False, {}),
    ("talk", TALK, None, True, {}),
    ("no thinking", TALK, None, True, {"enable_thinking": False}),
    ("tools", TALK, [WEATHER], True, {}),
    ("called", CALLED, [WEATHER, WEATHER], True, {"enable_thinking": True}),
    ("roles", [{"role": "assistant", "content": "x"}, {"role": "wizard", "content": "y"}], None, False, {}),
]


def asset(name: str) -> pathlib.Path:
    out = subprocess.run(["node", ROOT / "tools/assets.mjs", name], check=True, capture_output=True, text=True).stdout
    return pathlib.Path(out.splitlines()[-1])


def write(name: str, value: object) -> None:
    path = GOLDEN / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace('],[', '],\n[') + "\n")
    print(path.relative_to(ROOT), path.stat().st_size)


def text_of(value: object) -> object:
    return value["content"] if isinstance(value, dict) else value


def smollm2_tokenizer(path: pathlib.Path) -> Tokenizer:
    """The tokenizer as SmolLM2's tokenizer.json describes it, with the vocabulary of the GGUF file.

    (transformers can read the file too, but forgets that this model's digits stand alone.)
    """
    reader = gguf.GGUFReader(path)
    field = lambda key: reader.fields[f"tokenizer.ggml.{key}"].contents()
    words, merges = field("tokens"), [tuple(merge.split(" ")) for merge in field("merges")]
    tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, merges))
    digits, bytes_ = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    control = [word for word, kind in zip(words, field("token_type")) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in control])
    return tokenizer


def expected(oracle: Tokenizer, strings: list[str], special: str) -> dict:
    oracle.encode_special_tokens = True
    plain = [oracle.encode(s, add_special_tokens=False).ids for s in strings]
    oracle.encode_special_tokens = False
    ids = oracle.encode(special).ids
    some = range(0, oracle.get_vocab_size(), 4999)
    return {
        "plain": plain,
        "special": ids,
        "decoded": oracle.decode(ids, skip_special_tokens=False),
        "shown": [[i, oracle.decode([i], skip_special_tokens=False)] for i in some],
    }


def main() -> None:
    strings = (asset("vocabs") / "ggml-vocab-gpt-2.gguf.inp").read_bytes().decode().split(SEPARATOR)
    smollm2 = asset("smollm2")
    published = asset("tokenizers-npm")

    tokens = {}
    special = "<|im_start|>user\nHi<|im_end|><|endoftext|> <bos><start_of_turn>x</s>\n\n\n\t▁▁<|begin_of_text|>"
    oracle = smollm2_tokenizer(smollm2)
    tokens["smollm2"] = expected(oracle, strings, special)
    for name in ["llama3", "qwen3", "gemma3"]:
        oracle = Tokenizer.from_file(str(published / name / "tokenizer.json"))
        tokens[name] = expected(oracle, strings, special)
    write("tokens.json", {"special": special, "vocabularies": tokens})

    reader = gguf.GGUFReader(smollm2)
    field = lambda key: reader.fields[key].contents()
    vocabulary = field("tokenizer.ggml.tokens")
    templates = {
        "smollm2": (
            field("tokenizer.chat_template"),
            {f"{n}_token": vocabulary[field(f"tokenizer.ggml.{n}_token_id")] for n in ["bos", "eos"]},
        ),
        "alternating": (ALTERNATING, {"bos_token": "<s>", "eos_token": "</s>"}),
    }
    for name in ["llama3", "qwen3", "gemma3"]:
        config = json.loads((published / name / "tokenizer_config.json").read_text())
        names = {k: text_of(v) for k, v in config.items() if k.endswith("_token") and text_of(v) and not isinstance(v, bool)}
        templates[name] = (config["chat_template"], names)
    chats = []
    for name, (source, names) in templates.items():
        for case, messages, tools, prompt, extra in CASES:
            chat = {"template": name, "case": case}
            try:
                arguments = {"add_generation_prompt": prompt, **names, **extra}
                chat["text"] = render_jinja_template([messages], tools=tools, chat_template=source, **arguments)[0][0]
            except Exception as error:
                chat["error"] = str(error)
            chats.append(chat)
    cases = [dict(zip(["case", "messages", "tools", "prompt", "extra"], case)) for case in CASES]
    write("chats.json", {"alternating": ALTERNATING, "cases": cases, "chats": chats})


if __name__ == "__main__":
    main()
