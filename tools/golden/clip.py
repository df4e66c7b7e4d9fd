"""Golden data for tests/text/clip.rs: token ids by transformers' CLIPTokenizer, weights by a parser of the same syntax.

    python tools/golden/clip.py

Needs `pip install transformers tokenizers` and `pip install --no-deps diffusion-prompt-embedder`, of whose files one is
run. Reads the demo model's tokenizer in www/models/emoji. Writes tests/text/golden/clip.json.
"""

import importlib.metadata
import json
import pathlib
import random
import runpy
import tempfile

from transformers import CLIPTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
EMOJI = ROOT / "www" / "models" / "emoji" / "tokenizer"

PLAIN = """
a photo of an astronaut riding a horse on mars
A Photo Of A CAT
  spaces   at  both ends
tabs\tand\nnew\r\nlines
no-break\u00a0space, thin\u2009space, ideographic\u3000space, next\u0085line
zero\u200bwidth\u200dand\ufeffmarks
a cat, a dog, a bird; a fish: two mice!
isn't it? I'm sure they've said we'll go, she'd stay, you're 'right'
IT'S WE'LL THEY'RE
''s ''''t 're'
3 cats, 42 dogs, 1000000 mice, 3.14159, 1e-5, 50%
½ cup, x² + y³, ⅫⅣ, ①②③, ١٢٣, 一二三
café naïve résumé jalapeño façade
cafe\u0301 nai\u0308ve A\u030angstro\u0308m
ÀÉÎÕÜ ŁÓDŹ ĞİIıŞ ẞß ΟΔΟΣ ΑΣ
Ünïcödé ŷ ẅ ṩ\u0323
中文的猫在月亮上
ひらがな カタカナ ﾊﾝｶｸ 日本語のプロンプト
고양이 한 마리가 달 위에
ｆｕｌｌ－ｗｉｄｔｈ　ＴＥＸＴ １２３！
кот на луне, высокое качество
γάτα στο φεγγάρι
قطة على القمر
חתול על הירח
แมวบนดวงจันทร์
चाँद पर बिल्ली
🐱 on the 🌙
👨‍👩‍👧‍👦👩🏽‍🚀🏳️‍🌈🇩🇪
❤️‍🔥✨ cat ✨❤️
:-) ;) :D <3 ^_^ ¯_ツ_/¯
!!! ??? ... ---- ____ **bold** ##
!
a!b!c!!
email@example.com https://example.com/a?b=c&d=%20#e
C++ & C# vs. F#; snake_case, camelCase, kebab-case
$100 €50 £20 ¥1000 ₹10
"quotes" 'single' «guillemets» „low“ ‘curly’ it’s
a/b|c~d`e^f{g}h=i+j
<html> &amp; &lt;tag&gt; </w> a</w>b
<|endoftext|>
<|startoftext|> a cat <|endoftext|> a dog
a cat<|endoftext|>
<|ENDOFTEXT|> <| endoftext |> <|endoftext
x<|startoftext|><|startoftext|>y
supercalifragilisticexpialidocious
pneumonoultramicroscopicsilicovolcanoconiosis and floccinaucinihilipilification
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
abababababababababababababababababababababababababababababababababababababababababababababab
Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft
bell\u0007 null\u0000 escape\u001b[0m delete\u007f unit\u001fseparator
\u0001\u0002\u0003 \u0080\u009f
soft\u00adhyphen word\u2060joiner
private \ue000 \U000f0000 noncharacter \uffff \U0010ffff
𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝓉ℯ𝓍𝓉 𝟘𝟙𝟚
ﬁne ﬂow ﬃx ŉ ǆ ǅ Ǆ
Å Å Å K K Ω Ω
각 각 ᄀ ᅡ ᆨ
e\u0301\u0323 e\u0323\u0301 \u0301alone
masterpiece, best quality, ultra-detailed, 8k, hdr, sharp focus, intricate, elegant
masterpiece, best quality, (worst quality:1.4), [blurry], ((cat)), \\(escaped\\)
a [b|c] {d} (e (f) g
portrait of a woman, oil painting by Rembrandt, 1632, chiaroscuro, dramatic light
smiling face with sunglasses
red apple
rocket
""".strip("\n").split("\n")

SYNTAX = r"""
a (very) red cat
((very)) red
(((very))) (red)
[dark] sky
[[dark]] sky
(cat:1.3)
(cat : 1.3 )
(cat: .5) and (dog:2.) and (mouse:+1.25) and (fish:-0.5)
(a (b (c:1.5) d:0.7) e)
a (((house:1.3)) [on] a (hill:0.5), sun, (((sky)))).
([both])
(1.1)[0.9]
[a:b:0.5]
[x:1.3]
a \(literal\) and \[square\]
back\\slash (a\\)
\(((weighted\)))
(a:1.2)(b:1.2)(c)
text (a)b(c)d
x) y] z
x:1.3) y
time 12:30, ratio 16:9
(12:30)
(ratio 16:9:1.2)
()
(())
[]
(:1.3)
a() b
a BREAK b
a BREAK BREAK b
BREAK
BREAK a
a BREAK
aBREAK BREAKFAST a_BREAK break
a,BREAK,b
(a) BREAK (b:1.2)
one  BREAK  two	BREAK
three
(crossing [brackets) here]
(nested [a (b) c] d:1.4)
(x:1)
(x:0)
(emoji 🐱:1.25) [日本]
""".strip("\n").split("\n")


def generated() -> list[str]:
    """Texts of many kinds of characters, the same in every run."""
    choose = random.Random(7)
    words = [word for text in PLAIN for word in text.split(" ")]
    texts = [" ".join(choose.choice(words) for _ in range(choose.randint(1, 14))) for _ in range(50)]
    ranges = [(0x20, 0x7E), (0, 0x1F), (0x80, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x2000, 0x27BF)]
    ranges += [(0x3040, 0x30FF), (0x4E00, 0x4FFF), (0xAC00, 0xADFF), (0xFF00, 0xFFEF), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF)]
    for _ in range(90):
        some = choose.sample(ranges, choose.randint(1, 4))
        texts.append("".join(chr(choose.randint(*choose.choice(some))) for _ in range(choose.randint(1, 7))))
    return texts


def small() -> dict:
    """A vocabulary with few merges, without some of the bytes, and OpenCLIP's way of naming its padding."""
    code = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = [chr(c) for c in code] + [chr(0x100 + i) for i in range(256 - len(code))]
    missing = set("Zz~ĠĢ")
    letters = [letter for letter in alphabet if letter not in missing]
    merges = "a t</w>|c at</w>|t h|th e</w>|! !</w>|! !!</w>|# #</w>|r e|re d</w>|' s</w>|a n|an d</w>".split("|")
    merges += ["c a", "Ã ©</w>", "f Ã©</w>", "ca fÃ©</w>", "o f</w>", "a b", "ab ab", "abab abab", "ab ab</w>", "ð Ł", "ðŁ Ĳ"]
    merges += ["ðŁĲ ±</w>", "o o</w>", "o oo</w>", "Ã ¯", "âĢ į"]
    words = letters + [letter + "</w>" for letter in letters]
    words += [word for word in dict.fromkeys(merge.replace(" ", "") for merge in merges) if word not in words]
    vocab = {word: i for i, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    # A merge is only a merge of tokens.
    merges = [merge for merge in merges if all(side in vocab for side in merge.split(" "))]
    return {"vocab": vocab, "merges": "#version: 0.2\n" + "\n".join(merges) + "\n"}


def special(text: str) -> dict:
    return {"content": text, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}


BOS, EOS = "<|startoftext|>", "<|endoftext|>"
LISTED = {"bos_token": special(BOS) | {"__type": "AddedToken"}, "eos_token": EOS, "unk_token": EOS, "pad_token": "!"}
# tokenizer_config.json and special_tokens_map.json in the ways they were published in.
CONFIGS = {
    "neither": (None, None),
    "the config alone": (
        {"bos_token": BOS, "eos_token": EOS, "unk_token": EOS, "pad_token": EOS, "model_max_length": 77}, None,
    ),
    "the map has the last word": (
        {"bos_token": BOS, "eos_token": EOS, "pad_token": EOS, "model_max_length": 77},
        {"bos_token": special(BOS), "eos_token": special(EOS), "pad_token": "!", "unk_token": special(EOS)},
    ),
    "the list has the last word": (
        LISTED | {"model_max_length": 12, "added_tokens_decoder": {
            "SECOND_LAST": special(BOS) | {"special": True}, "LAST": special(EOS) | {"special": True},
            "0": special("!") | {"normalized": False, "special": True}}},
        {"bos_token": BOS, "eos_token": EOS, "pad_token": EOS},
    ),
    "an endless length": ({"model_max_length": 10**30, "unk_token": "!", "pad_token": "#"}, {}),
    "white space goes along": (
        {"model_max_length": 77, "pad_token": special("#") | {"__type": "AddedToken", "lstrip": True, "rstrip": True}}, None,
    ),
}


def load(files: dict) -> tuple[CLIPTokenizer, str]:
    """The tokenizer in `files`, and the tokenizer.json that it writes."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            if content is not None:
                text = content if isinstance(content, str) else json.dumps(content)
                (pathlib.Path(folder) / name).write_text(text, encoding="utf-8")
        tokenizer = CLIPTokenizer.from_pretrained(folder)
        saved = pathlib.Path(folder) / "saved.json"
        tokenizer.backend_tokenizer.save(str(saved))
        return tokenizer, saved.read_text(encoding="utf-8")


def expected(tokenizer: CLIPTokenizer, prompts: list[str], length: int, every: int) -> dict:
    padded = tokenizer(prompts, padding="max_length", truncation=True, max_length=length).input_ids
    assert all(len(ids) == length for ids in padded)
    return {
        "special": [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, length],
        "ids": [tokenizer(prompt, add_special_tokens=False).input_ids for prompt in prompts],
        "padded": padded[::every],
    }


def sections(parsed: list) -> list:
    """What stands between the breaks, without empty texts."""
    out = [[]]
    for text, weight in parsed:
        if text == "BREAK" and weight == -1:
            out.append([])
        elif text:
            out[-1].append([text, weight])
    return out


def main() -> None:
    prompts = PLAIN + generated()
    files = {file.name: file.read_text(encoding="utf-8") for file in EMOJI.iterdir()}
    emoji, _ = load(files)
    apart, _ = load({name: text for name, text in files.items() if name != "tokenizer.json"})
    assert emoji(prompts).input_ids == apart(prompts).input_ids

    made = small()
    last = len(made["vocab"]) - 1
    cases, shared = [], ["normalizer", "pre_tokenizer", "decoder"]
    for i, (name, (config, names)) in enumerate(CONFIGS.items()):
        config = json.loads(json.dumps(config).replace("SECOND_LAST", str(last - 1)).replace("LAST", str(last)))
        files = {"vocab.json": made["vocab"], "merges.txt": made["merges"]}
        files |= {"tokenizer_config.json": config, "special_tokens_map.json": names}
        tokenizer, saved = load(files)
        length = tokenizer.model_max_length if tokenizer.model_max_length < 10**6 else 77
        # All of them say the same of most prompts: where special tokens are, all are asked.
        which = range(0, len(prompts), 5)
        if i > 0:
            which = [k for k, p in enumerate(prompts) if (set("!#") & set(p) or "<|" in p) and len(p) < 80]
        some = [prompts[k] for k in which]
        case = {"name": name, "config": config, "map": names, "which": list(which), **expected(tokenizer, some, length, 9)}
        again, _ = load({"tokenizer.json": saved, "tokenizer_config.json": config, "special_tokens_map.json": names})
        assert again(some).input_ids == tokenizer(some).input_ids
        saved = json.loads(saved)
        case["file"] = {key: saved[key] for key in ["added_tokens", "post_processor"]}
        made.setdefault("file", {key: saved[key] for key in shared})
        assert all(made["file"][key] == saved[key] for key in shared)
        cases.append(case)

    parser = importlib.metadata.distribution("diffusion-prompt-embedder")
    parser = runpy.run_path(str(parser.locate_file("diffusion_prompt_embedder/core/parser.py")))
    golden = {
        "prompts": prompts,
        "emoji": expected(emoji, prompts, emoji.model_max_length, 9),
        "small": made | {"cases": cases},
        "syntax": [[text, sections(parser["parse_prompt_attention"](text))] for text in SYNTAX],
    }
    path = ROOT / "tests" / "text" / "golden" / "clip.json"
    text = json.dumps(golden, ensure_ascii=False, separators=(",", ":")).replace("],[", "],\n[")
    path.write_text(text + "\n", encoding="utf-8")
    print(path.relative_to(ROOT), path.stat().st_size, len(prompts), "prompts", len(SYNTAX), "with syntax")


if __name__ == "__main__":
    main()
