//! Reads the parts of a tokenizer from a GGUF file's metadata.

use super::added::Added;
use super::bpe::{Bpe, Merging};
use super::from_json::{GPT2_WORDS, pattern};
use super::pretokenize::{Find, Matched, Normalizer, Splitter};
use super::tokenizer_parts::{TokenizerParts, byte_token, ends_a_turn};
use super::vocab::{Unmap, Vocab};
use crate::format::gguf::Metadata;
use crate::{Error, Result};
use std::collections::HashMap;

/// The types of tokens (`tokenizer.ggml.token_type`).
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

const LLAMA3_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2_WORDS: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O_WORDS: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN_WORDS: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DEEPSEEK3_WORDS: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;
const SEED_CODER_WORDS: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+";
const BAILING_WORDS: &str =
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";
const EXAONE_MOE_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+";
const BLOOM_WORDS: &str = r" ?[^(\s|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+";
/// The cased letters that DeepSeek LLM's tokenizer lists one range after the other.
const DEEPSEEK_LETTERS: &str = concat!(
    r"\s?[A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370",
    r"-\u0373\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-",
    r"\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF",
    r"\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-",
    r"\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC",
    r"\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115",
    r"\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149\u214E",
    r"\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-",
    r"\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A",
    r"\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}",
    r"\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}]+",
);
const CJK: &str = r"[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+";

/// Returns how a byte-level tokenizer with this pre-tokenizer name cuts text: patterns applied one after the other to
/// what the one before left whole and to what it cut out.
fn words(pre: &str) -> Option<&'static [&'static str]> {
    Some(match pre {
        "default" => &[r"[\p{P}\$\+<=>\^~\|]+", GPT2_WORDS, r"\p{N}+", "[0-9][0-9][0-9]"],
        "gpt-2" | "phi-2" | "mpt" | "olmo" | "jais" | "trillion" | "granite-docling" | "exaone4" | "gigachat"
        | "a.x-4.0" | "mellum" | "modern-bert" | "jina-es" | "jina-de" | "jina-v2-es" | "jina-v2-de" | "jina-v1-en"
        | "jina-v2-code" | "roberta-bpe" => &[GPT2_WORDS],
        "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2"
        | "jina-v5-nano" | "dbrx" | "smaug-bpe" | "chatglm-bpe" | "glm4" | "glm5" => &[LLAMA3_WORDS],
        "qwen2" | "deepseek-r1-qwen" | "kormo" | "f2llmv2" | "stablelm2" | "megrez" | "hunyuan" | "solar-open"
        | "grok-2" => &[QWEN2_WORDS],
        "qwen35" => &[QWEN35_WORDS],
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b" | "mellum2" => {
            &[r"\p{N}", GPT2_WORDS]
        }
        "falcon" => &[r"[\p{P}\$\+<=>\^~\|`]+", GPT2_WORDS, "[0-9][0-9][0-9]"],
        "deepseek-llm" => &[
            "[\r\n]",
            DEEPSEEK_LETTERS,
            r"\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+",
            r"\s+$",
            CJK,
            r"\p{N}+",
        ],
        "deepseek-coder" => &["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK, r"\p{N}"],
        "deepseek-v3" | "hunyuan-dense" | "joyai-llm" | "hy_v4" => {
            &[r"\p{N}{1,3}", r"[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+", DEEPSEEK3_WORDS]
        }
        "gpt-4o" | "llama4" | "kanana2" | "talkie" | "minimax-m2" => &[GPT4O_WORDS],
        "tiny_aya" | "cohere2moe" => &[r"\d{1,3}(?=(?:\d{3})*\b)", GPT4O_WORDS],
        "tekken" => &[TEKKEN_WORDS],
        "seed-coder" => &[SEED_CODER_WORDS],
        "bailingmoe" | "bailingmoe2" | "llada-moe" => &[BAILING_WORDS],
        "exaone-moe" => &[EXAONE_MOE_WORDS],
        "minicpm5" => &[r"\p{N}{1,3}", LLAMA3_WORDS],
        "superbpe" => &[r"\p{N}+", r"(?=(\d{3})+(?!\d))"],
        "poro-chat" | "bloom" | "gpt3-finnish" => &[BLOOM_WORDS],
        "viking" => &[BLOOM_WORDS, r"\p{N}"],
        _ => return None,
    })
}

/// The names whose models ask for a BOS token unless the file says otherwise.
const ADD_BOS: [&str; 10] = [
    "llama3",
    "llama-v3",
    "llama-bpe",
    "falcon3",
    "falcon-h1",
    "pixtral",
    "midm-2.0",
    "lfm2",
    "jina-v5-nano",
    "tekken",
];
/// Besides [`ADD_BOS`], the names whose tokenizers take a whole piece as a token before they look at merges.
const WHOLE_FIRST: [&str; 3] = ["glm4", "glm5", "minicpm5"];

/// Reads the parts of the tokenizer in a GGUF file's metadata.
pub(super) fn parse(m: &Metadata) -> Result<TokenizerParts> {
    let file = m.file();
    let lacks = |key: &str| Error::format(file, format!("metadata `{key}` is missing: this file has no tokenizer"));
    let kind = m.str("tokenizer.ggml.model")?.ok_or_else(|| lacks("tokenizer.ggml.model"))?;
    let tokens = m.strings("tokenizer.ggml.tokens")?.ok_or_else(|| lacks("tokenizer.ggml.tokens"))?;
    let types = m.i32s("tokenizer.ggml.token_type")?.unwrap_or_default();
    if !types.is_empty() && types.len() != tokens.len() {
        let what = format!("{} token types for {} tokens: the file is damaged", types.len(), tokens.len());
        return Err(Error::format(file, what));
    }
    let of_type = |id: usize| types.get(id).copied().unwrap_or(1);
    let mut parts = TokenizerParts::default();
    for (id, text) in tokens.iter().enumerate() {
        // Some files call the end of a turn an ordinary token; a text that ordinary words can form stays one.
        let mislabelled = text.starts_with("<|") || of_type(id) == USER_DEFINED;
        let special = matches!(of_type(id), CONTROL | UNKNOWN) || mislabelled && ends_a_turn(text);
        if special || of_type(id) == USER_DEFINED {
            parts.added.push(Added { id: id as u32, text: text.into(), special, ..Added::default() });
        }
    }
    // Only ordinary pieces come out of text; the others are added tokens or stand for single bytes.
    let ordinary = |id: usize| !matches!(of_type(id), CONTROL | UNKNOWN | UNUSED | BYTE);
    match kind {
        "gpt2" => byte_level(m, &mut parts, ordinary)?,
        "llama" => sentence_piece(m, &mut parts, ordinary)?,
        other => {
            return Err(Error::unsupported(format!(
                "the file's tokenizer is of the kind `{other}`; supported are `gpt2` and `llama`: use another model"
            )));
        }
    }
    let token = |name: &str| m.u32(&format!("tokenizer.ggml.{name}_token_id"));
    let exists = |id: &u32| (*id as usize) < tokens.len();
    parts.bos = token("bos")?.filter(exists);
    for name in ["eos", "eot", "eom"] {
        parts.stops.extend(token(name)?.filter(exists));
    }
    parts.eos = token("eos")?.filter(exists);
    let pre = m.str("tokenizer.ggml.pre")?.unwrap_or("default");
    let add_bos = m.bool("tokenizer.ggml.add_bos_token")?.unwrap_or(kind == "llama" || ADD_BOS.contains(&pre));
    parts.before.extend(parts.bos.filter(|_| add_bos));
    let add_eos = m.bool("tokenizer.ggml.add_eos_token")?.unwrap_or(false);
    parts.after.extend(parts.eos.filter(|_| add_eos));
    Ok(parts)
}

fn byte_level(m: &Metadata, parts: &mut TokenizerParts, ordinary: impl Fn(usize) -> bool) -> Result<()> {
    let file = m.file();
    let pre = m.str("tokenizer.ggml.pre")?.unwrap_or("default");
    let words = words(pre).ok_or_else(|| {
        Error::unsupported(format!(
            "the file's pre-tokenizer `{pre}` is not known: update Inkstone or use another model"
        ))
    })?;
    for source in words {
        let find = Find::Pattern(pattern(source)?);
        parts.splitters.steps.push(Splitter::Cut { find, matched: Matched::Isolated, invert: false });
    }
    parts.splitters.steps.push(Splitter::ByteAlphabet { prefix_space: false, words: None });

    let tokens = m.strings("tokenizer.ggml.tokens")?.cloned().unwrap_or_default();
    let unmap = Unmap::new();
    let plain = |token: &str| unmap.bytes(token).unwrap_or_else(|| token.as_bytes().to_vec());
    // A piece that is not written in the byte alphabet cannot come out of text.
    let reached = |id: usize, token: &str| ordinary(id) && unmap.bytes(token).is_some();
    let spelled: Vec<(Vec<u8>, bool)> =
        tokens.iter().enumerate().map(|(id, token)| (plain(token), reached(id, token))).collect();
    let listed = spelled.iter().enumerate().map(|(id, (bytes, found))| (id as u32, bytes.as_slice(), *found));
    // An added token shows its own text, not what that text would be in the byte alphabet.
    let added = parts.added.iter().map(|token| (token.id, token.text.as_bytes(), false));
    let vocab = Vocab::new(file, listed.chain(added))?;

    let lacks = || Error::format(file, "metadata `tokenizer.ggml.merges` is missing: the file is incomplete");
    let list = m.strings("tokenizer.ggml.merges")?.ok_or_else(lacks)?;
    let mut merges = HashMap::with_capacity(list.len());
    for (rank, merge) in list.iter().enumerate() {
        // The left side may itself begin with a space in vocabularies that are not byte-level.
        let first = merge.chars().next().map_or(0, char::len_utf8);
        let Some(space) = merge[first..].find(' ').map(|at| at + first) else { continue };
        let (left, right) = (plain(&merge[..space]), plain(&merge[space + 1..]));
        let ids = (vocab.id(&left), vocab.id(&right), vocab.id(&[left, right].concat()));
        if let (Some(left), Some(right), Some(joined)) = ids {
            merges.entry((left, right)).or_insert((rank as u32, joined));
        }
    }
    let whole_first = ADD_BOS.contains(&pre) || WHOLE_FIRST.contains(&pre);
    let merging = Merging::Ranks { merges, bytes: true, whole_first, suffix: Vec::new() };
    parts.model = Some(Bpe { vocab, merging, byte_tokens: None, unknown: None, fuse_unknown: false });
    Ok(())
}

fn sentence_piece(m: &Metadata, parts: &mut TokenizerParts, ordinary: impl Fn(usize) -> bool) -> Result<()> {
    let file = m.file();
    let tokens = m.strings("tokenizer.ggml.tokens")?.cloned().unwrap_or_default();
    let lacks = || Error::format(file, "metadata `tokenizer.ggml.scores` is missing: the file is incomplete");
    let scores = m.f32s("tokenizer.ggml.scores")?.ok_or_else(lacks)?;
    if scores.len() != tokens.len() {
        let what = format!("{} token scores for {} tokens: the file is damaged", scores.len(), tokens.len());
        return Err(Error::format(file, what));
    }
    if m.bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true) {
        parts.normalizers.push(Normalizer::Prepend(" ".into()));
        parts.spelling.strip_first = true;
    }
    parts.normalizers.push(Normalizer::Replace { find: Find::Literal(" ".into()), by: "▁".into() });
    parts.spelling.replace.push(("▁".into(), " ".into()));
    parts.spelling.byte_tokens = true;
    let token = |id: usize| tokens.get(id).unwrap_or_default().as_bytes();
    let listed = (0..tokens.len()).map(|id| (id as u32, token(id), ordinary(id)));
    let vocab = Vocab::new(file, listed)?;
    let mut bytes = [None; 256];
    let types = m.i32s("tokenizer.ggml.token_type")?.unwrap_or_default();
    for (id, token) in tokens.iter().enumerate().filter(|(id, _)| types.get(*id).is_none_or(|&t| t == BYTE)) {
        if let Some(byte) = byte_token(token) {
            bytes[byte as usize] = Some(id as u32);
        }
    }
    let unknown = m.u32("tokenizer.ggml.unknown_token_id")?.or(Some(0)).filter(|&id| (id as usize) < tokens.len());
    let merging = Merging::Scores(scores);
    parts.model = Some(Bpe { vocab, merging, byte_tokens: Some(Box::new(bytes)), unknown, fuse_unknown: true });
    Ok(())
}
