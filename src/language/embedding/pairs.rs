//! Pairs of texts whose fit a model is asked about.

use super::batches::TextTokens;
use crate::config::language::{AnswerTokens, EmbeddingConfig, Scoring};
use crate::text::Tokenizer;
use crate::{Error, Result};
use serde_json::{Map, json};

/// Returns whether a model that writes was made to be asked about pairs: its template knows the roles.
fn asks(tokenizer: &Tokenizer) -> bool {
    tokenizer.template().is_some_and(|t| {
        let source = t.source(false);
        source.contains("query") && source.contains("document")
    })
}

/// Returns the tokens that answer, if the model can be asked that way: those that the folder names, or "yes" and "no".
pub(super) fn answers(config: &EmbeddingConfig, tokenizer: &Tokenizer) -> Option<AnswerTokens> {
    let one = |text: &str| match tokenizer.encode(text, false)[..] {
        [id] if (id as usize) < config.model.vocab => Some(id),
        _ => None,
    };
    match config.scoring {
        Some(Scoring::Answer(named)) if asks(tokenizer) => {
            named.or_else(|| Some(AnswerTokens { yes: one("yes")?, no: Some(one("no")?) }))
        }
        _ => None,
    }
}

/// Makes the tokens of a question and a document, by the model's template.
///
/// # Errors
/// Whatever the template says.
pub(super) fn asked(
    config: &EmbeddingConfig,
    tokenizer: &Tokenizer,
    query: &str,
    document: &str,
) -> Result<TextTokens> {
    let task = config.default_prompt.as_ref().and_then(|name| config.prompts.get(name));
    let render = |query: &str, document: &str| -> Result<Vec<u32>> {
        let template = tokenizer.template().ok_or_else(|| Error::unsupported("this model has no chat template"))?;
        let mut messages = Vec::new();
        if let Some(task) = task {
            messages.push(json!({"role": "system", "content": task}));
        }
        messages.push(json!({"role": "query", "content": query}));
        messages.push(json!({"role": "document", "content": document}));
        let text = template.render(&messages.into(), None, true, &Map::new())?;
        Ok(tokenizer.encode_chat(&text))
    };
    let mut ids = render(query, document)?;
    if ids.len() > config.max_tokens {
        // The end of the template asks for the answer: it stays, and the texts lose what is too long.
        let (one, other) = (render("a", "a")?, render("0", "0")?);
        let end = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
        let end = &one[one.len() - end.min(config.max_tokens).min(one.len())..];
        ids.truncate(config.max_tokens - end.len());
        ids.extend(end);
    }
    Ok(TextTokens { ids, ..TextTokens::default() })
}
