//! Rust text reduced to what the compiler acts on.

/// The text with comments, and what stands in quotes, blanked out. Lines stay where they are.
pub fn code(text: &str) -> String {
    let c: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    let blank = |out: &mut String, part: &[char]| out.extend(part.iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
    while i < c.len() {
        let end = match c[i] {
            '/' if c.get(i + 1) == Some(&'/') => find(&c, i, |j| c[j] == '\n'),
            '/' if c.get(i + 1) == Some(&'*') => block_comment(&c, i),
            '"' => string(&c, i),
            'r' if raw_hashes(&c, i).is_some() && !word_before(&c, i) => raw_string(&c, i),
            '\'' if c.get(i + 1) == Some(&'\\') => find(&c, i + 3, |j| c[j] == '\'') + 1,
            '\'' if c.get(i + 2) == Some(&'\'') => i + 3,
            _ => {
                out.push(c[i]);
                i += 1;
                continue;
            }
        };
        let end = end.min(c.len());
        blank(&mut out, &c[i..end]);
        i = end;
    }
    out
}

/// Code without the items that are compiled for tests alone.
pub fn without_tests(code: &str) -> String {
    let mut out = code.to_string();
    while let Some(at) = out.find("#[cfg(test)]") {
        let bytes = out.as_bytes();
        let mut depth = 0;
        let mut end = at;
        while end < bytes.len() {
            match bytes[end] {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            end += 1;
            if (bytes[end - 1] == b'}' || bytes[end - 1] == b';') && depth == 0 {
                break;
            }
        }
        let blanked: String = out[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(at..end, &blanked);
    }
    out
}

/// The words of code, with the lines they stand on.
pub fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.lines().enumerate().flat_map(|(i, line)| {
        line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).map(move |w| (i + 1, w))
    })
}

/// The modules of this crate that code names by `crate::`, with the lines.
pub fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.push((line, first_word(rest))),
            Some(list) => {
                let mut depth = 0;
                let mut start = 0;
                for (i, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth > 0 => depth -= 1,
                        ',' | '}' if depth == 0 => {
                            found.push((line, first_word(list[start..i].trim())));
                            start = i + 1;
                            if c == '}' {
                                break;
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found.retain(|(_, word)| !word.is_empty());
    found
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn find(c: &[char], from: usize, is: impl Fn(usize) -> bool) -> usize {
    (from..c.len()).find(|j| is(*j)).unwrap_or(c.len())
}

fn word_before(c: &[char], i: usize) -> bool {
    i > 0 && (c[i - 1].is_alphanumeric() || c[i - 1] == '_') && c[i - 1] != 'b'
}

fn block_comment(c: &[char], i: usize) -> usize {
    let (mut depth, mut j) = (0, i);
    while j < c.len() {
        match (c[j], c.get(j + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                j += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                j += 2;
                if depth == 0 {
                    return j;
                }
            }
            _ => j += 1,
        }
    }
    j
}

fn string(c: &[char], i: usize) -> usize {
    let mut j = i + 1;
    while j < c.len() && c[j] != '"' {
        j += if c[j] == '\\' { 2 } else { 1 };
    }
    j + 1
}

/// How many hashes a raw string that begins here has.
fn raw_hashes(c: &[char], i: usize) -> Option<usize> {
    let hashes = c[i + 1..].iter().take_while(|c| **c == '#').count();
    (c.get(i + 1 + hashes) == Some(&'"')).then_some(hashes)
}

fn raw_string(c: &[char], i: usize) -> usize {
    let hashes = raw_hashes(c, i).unwrap_or(0);
    let closes = |j: usize| c[j] == '"' && (1..=hashes).all(|k| c.get(j + k) == Some(&'#'));
    find(c, i + 2 + hashes, closes) + 1 + hashes
}
