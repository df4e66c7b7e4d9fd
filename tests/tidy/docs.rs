//! What documents say of the project's files, compared with these.

use std::collections::BTreeSet;

/// The most lines of ARCHITECTURE.md: it is for a first hour.
pub const ARCHITECTURE_LINES: usize = 150;

/// What a diff in a document does to one file: the lines it expects, hunk by hunk.
struct Change<'t> {
    file: &'t str,
    new: bool,
    hunks: Vec<Hunk<'t>>,
}

/// `old` and `new`: how many lines its first line promises.
struct Hunk<'t> {
    promised: [usize; 2],
    counted: [usize; 2],
    expected: Vec<&'t str>,
}

/// `-12,5` or `-12`: the number of lines.
fn count(range: &str) -> usize {
    range.split_once(',').map_or(Some(1), |(_, n)| n.parse().ok()).unwrap_or(0)
}

/// The changes of all ```diff blocks.
fn changes(text: &str) -> Vec<Change<'_>> {
    let mut found: Vec<Change<'_>> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```diff";
        } else if let Some(names) = line.strip_prefix("diff --git a/").filter(|_| inside) {
            let file = names.split(' ').next().unwrap_or_default();
            found.push(Change { file, new: false, hunks: Vec::new() });
        } else if let Some(change) = found.last_mut().filter(|_| inside) {
            if let Some(ranges) = line.strip_prefix("@@ ") {
                let mut ranges = ranges.split(' ').map(count);
                let promised = [ranges.next().unwrap_or(0), ranges.next().unwrap_or(0)];
                change.hunks.push(Hunk { promised, counted: [0; 2], expected: Vec::new() });
            } else if let Some(hunk) = change.hunks.last_mut() {
                let (old, new) = (!line.starts_with('+'), !line.starts_with('-'));
                hunk.counted[0] += usize::from(old);
                hunk.counted[1] += usize::from(new);
                if old {
                    hunk.expected.push(line.get(1..).unwrap_or_default());
                }
            } else if line.starts_with("new file") {
                change.new = true;
            }
        }
    }
    found
}

/// What would keep `git apply` from applying a document's diffs. `read` gives a file's text.
pub fn diffs(path: &str, text: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for change in changes(text) {
        let file = change.file;
        let now = read(file);
        for (i, hunk) in change.hunks.iter().enumerate() {
            if hunk.promised != hunk.counted {
                wrong.push(format!(
                    "{path}: {file}, hunk {}: {:?} lines, not {:?}",
                    i + 1,
                    hunk.counted,
                    hunk.promised
                ));
            }
            let lines: Vec<&str> = now.iter().flat_map(|t| t.lines()).collect();
            if !change.new && !lines.windows(hunk.expected.len().max(1)).any(|w| w == hunk.expected) {
                wrong.push(format!("{path}: {file} no longer has the lines of hunk {}: {:?}", i + 1, hunk.expected));
            }
        }
        if change.new == now.is_some() || change.hunks.is_empty() {
            wrong.push(format!(
                "{path}: {file} {}",
                if change.new { "is there already" } else { "is changed by nothing" }
            ));
        }
    }
    wrong
}

/// Files that a document names and that are not there, by `exists`; what its own diffs create may be missing.
pub fn missing_files(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    const KINDS: [&str; 9] = ["rs", "wgsl", "ts", "mjs", "md", "py", "toml", "css", "html"];
    let created: BTreeSet<&str> = changes(text).into_iter().filter(|c| c.new).map(|c| c.file).collect();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut prose = true;
    let mut wrong = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            prose = line != "```diff";
        }
        let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || "_-./*:".contains(c)));
        for word in words.map(|w| w.trim_end_matches(['.', ':'])).filter(|_| prose) {
            let kind = word.rsplit_once('.').map_or("", |(_, kind)| kind);
            let Some((top, _)) = word.split_once('/').filter(|_| KINDS.contains(&kind)) else { continue };
            // Files of others begin with none of our folders; what has a star or a colon is a pattern or an address.
            let in_src = kind == "rs" && exists(&format!("src/{top}"));
            let ours = [".", ".."].contains(&top) || exists(top) || in_src;
            if top.is_empty() || word.contains(['*', ':']) || !ours || created.contains(word) {
                continue;
            }
            let places = [word.to_string(), format!("src/{word}"), format!("{folder}/{word}")];
            if !places.iter().any(|p| exists(p)) {
                wrong.push(format!("{path}:{}: there is no {word}", i + 1));
            }
        }
    }
    wrong
}
