//! Plain English: how documentation of src begins, and how long its lines are.

use super::code::code;

/// The verbs that a function's documentation begins with. A new one may be added: it says what the function does.
#[rustfmt::skip] // many to a line
const VERBS: &[&str] = &[
    "Adds", "Allows", "Answers", "Appends", "Applies", "Asks", "Attends", "Begins", "Binds", "Builds", "Checks",
    "Chooses", "Closes", "Collects", "Compares", "Compiles", "Computes", "Converts", "Convolves", "Copies",
    "Counts", "Cuts", "Decides", "Decodes", "Describes", "Divides", "Does", "Draws", "Encodes", "Ends", "Fails",
    "Fills", "Finds", "Forgets", "Frees", "Generates", "Gives", "Goes", "Hands", "Implements", "Integrates",
    "Interpolates", "Joins", "Keeps", "Leaves", "Lets", "Lists", "Loads", "Looks", "Makes", "Measures", "Merges",
    "Mixes", "Multiplies", "Names", "Normalises", "Notes", "Opens", "Pads", "Paints", "Pairs", "Panics", "Parses",
    "Passes", "Picks", "Places", "Points", "Predicts", "Prepares", "Pretends", "Prints", "Processes", "Projects",
    "Puts", "Queues", "Reads", "Records", "Refuses", "Releases", "Renders", "Reorders", "Replaces", "Replays",
    "Reports", "Reserves", "Resets", "Returns", "Rotates", "Runs", "Samples", "Says", "Scales", "Seeds", "Sends",
    "Sets", "Sorts", "Splits", "Starts", "Streams", "Strips", "Submits", "Sums", "Takes", "Tests", "Times", "Tries",
    "Turns", "Uses", "Waits", "Writes",
];

/// The columns of a line, comments included.
const COLUMNS: usize = 120;

fn applies(path: &str) -> bool {
    path.starts_with("src/") && path.ends_with(".rs")
}

/// The documentation in `text`: the line of each, its first line, and the line of the item that follows.
fn docs(text: &str) -> Vec<(usize, &str, &str)> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_doc = |line: &str| line.starts_with("///") || line.starts_with("//!");
    let begins = |&i: &usize| is_doc(lines[i]) && (i == 0 || !is_doc(lines[i - 1]));
    let found = (0..lines.len()).filter(begins).map(|i| {
        let item = lines[i..].iter().find(|line| !is_doc(line) && !line.starts_with("#[")).unwrap_or(&"");
        (i + 1, lines[i][3..].trim(), *item)
    });
    found.collect()
}

fn is_function(item: &str) -> bool {
    let item = item.strip_prefix("pub").map_or(item, |rest| match rest.starts_with('(') {
        true => rest.split_once(')').map_or(rest, |(_, rest)| rest),
        false => rest,
    });
    item.split(' ').find(|word| !["", "const", "async", "unsafe"].contains(word)) == Some("fn")
}

pub fn openings(path: &str, text: &str) -> Vec<String> {
    if !applies(path) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (line, first, item) in docs(text) {
        if first.starts_with("What ") {
            found.push(format!("{path}:{line}: name the thing instead of `What ...`: {first}"));
        } else if is_function(item) && !VERBS.contains(&first.split([' ', ',']).next().unwrap_or_default()) {
            found.push(format!("{path}:{line}: a function's documentation begins with a verb: {first}"));
        }
    }
    found
}

/// No line is longer than rustfmt would make it, comments included; a string that cannot be broken may be.
pub fn columns(path: &str, text: &str) -> Vec<String> {
    if !applies(path) {
        return Vec::new();
    }
    let reduced = code(text);
    let long = text.lines().zip(reduced.lines()).enumerate();
    let long = long.filter(|(_, (line, code))| {
        let string = !line.trim_start().starts_with("//")
            && line.contains('"')
            && code.split_whitespace().map(str::len).sum::<usize>() <= COLUMNS;
        line.chars().count() > COLUMNS && !string
    });
    long.map(|(i, _)| format!("{path}:{}: more than {COLUMNS} columns", i + 1)).collect()
}
