//! Circles of imports between the files of src. A name is followed through the re-exports of a `mod.rs` to the file that
//! defines it; `mod` and `pub use` lines import nothing themselves. What is compiled for tests alone is left out.

use super::code::{code, without_tests};
use std::collections::{BTreeMap, BTreeSet};

/// A `use` line's path, in words; the last is `*` for a glob.
struct Use {
    path: Vec<String>,
    /// The name it has here.
    name: String,
    reexport: bool,
}

struct File {
    path: String,
    uses: Vec<Use>,
    /// The code without its `use` lines.
    rest: String,
}

/// The files of src by the module that each is: `gpu::kernel`; the crate's root is the empty name.
pub struct Modules(BTreeMap<String, File>);

fn module_of(path: &str) -> Option<String> {
    let inside = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let inside = inside.strip_suffix("/mod").unwrap_or(if inside == "lib" { "" } else { inside });
    Some(inside.replace('/', "::"))
}

fn join(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_string() } else { format!("{module}::{name}") }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The paths of a `use` tree, each with the name it gets: `a::{b, c as d}` is `a::b` and `a::c`, named `b` and `d`.
fn paths(tree: &str, before: &[String], out: &mut Vec<(Vec<String>, String)>) {
    let tree = tree.trim();
    let (plain, list) = match tree.find('{') {
        Some(at) => (&tree[..at], Some(&tree[at + 1..tree.rfind('}').unwrap_or(tree.len())])),
        None => (tree, None),
    };
    let (plain, alias) = plain.split_once(" as ").unwrap_or((plain, ""));
    let mut path = before.to_vec();
    path.extend(plain.split("::").map(str::trim).filter(|word| !word.is_empty()).map(String::from));
    let Some(list) = list else {
        if path.len() > 1 && path.last().is_some_and(|word| word == "self") {
            path.pop();
        }
        let name = if alias.is_empty() { path.last().cloned().unwrap_or_default() } else { alias.trim().to_string() };
        return out.push((path, name));
    };
    let (mut depth, mut start) = (0, 0);
    for (at, c) in list.char_indices().chain([(list.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !list[start..at].trim().is_empty() {
                    paths(&list[start..at], &path, out);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The `use` lines of code, and the code without them.
fn uses(code: &str) -> (Vec<Use>, String) {
    let (mut found, mut rest) = (Vec::new(), String::new());
    let mut done = 0;
    for (at, _) in code.match_indices("use ") {
        let start = code[..at].rfind(['\n', ';', '{', '}']).map_or(0, |before| before + 1);
        let visible = code[start..at].trim();
        if at < done || !(visible.is_empty() || visible.starts_with("pub")) {
            continue;
        }
        let end = code[at..].find(';').map_or(code.len(), |end| at + end);
        let mut list = Vec::new();
        paths(&code[at + "use ".len()..end], &[], &mut list);
        let reexport = !visible.is_empty();
        found.extend(list.into_iter().map(|(path, name)| Use { path, name, reexport }));
        rest.push_str(&code[done..start]);
        done = end;
    }
    rest.push_str(&code[done..]);
    (found, rest)
}

/// What a path leads to.
enum Found<'m> {
    Module(String),
    /// The file that defines the path's last name, or what that belongs to.
    File(&'m str),
}

impl Modules {
    pub fn new<'t>(files: impl IntoIterator<Item = (&'t str, &'t str)>) -> Modules {
        let file = |(path, text): (&str, &str)| {
            let (uses, rest) = uses(&without_tests(&code(text)));
            // Neither `mod x;` nor `pub(in crate::x)` is an import.
            let rest = rest.split_inclusive(';').map(|statement| match statement.split_whitespace().rev().nth(1) {
                Some("mod") => statement.rfind("mod ").map_or("", |at| &statement[..at]),
                _ => statement,
            });
            let rest = rest.collect::<String>();
            Some((module_of(path)?, File { path: path.to_string(), uses, rest: rest.replace("(in crate::", "(in ") }))
        };
        Modules(files.into_iter().filter_map(file).collect())
    }

    /// What `path` leads to from `module`; `None` if it leads out of the crate.
    fn find(&self, module: &str, path: &[String], steps: usize) -> Option<Found<'_>> {
        let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.inside("", rest, steps),
            "super" if rest.first().is_some_and(|word| word == "super") => self.find(parent, rest, steps),
            "super" => self.inside(parent, rest, steps),
            "self" => self.inside(module, rest, steps),
            name if self.0.contains_key(&join(module, name)) => self.inside(module, path, steps),
            _ => None,
        }
    }

    fn inside(&self, module: &str, path: &[String], steps: usize) -> Option<Found<'_>> {
        let Some((first, rest)) = path.split_first() else { return Some(Found::Module(module.to_string())) };
        let file = self.0.get(module)?;
        let inner = join(module, first);
        if self.0.contains_key(&inner) {
            return self.inside(&inner, rest, steps);
        }
        if let Some(from) = file.uses.iter().find(|u| u.name == *first).filter(|_| steps < 9) {
            let whole: Vec<String> = from.path.iter().chain(rest).cloned().collect();
            return self.find(module, &whole, steps + 1);
        }
        let defines = |file: &File| {
            let kinds = ["struct", "enum", "trait", "type", "fn", "const", "static"];
            kinds.iter().any(|kind| file.rest.contains(&format!("{kind} {first}")))
        };
        let globs = file.uses.iter().filter(|u| u.name == "*" && u.reexport && steps < 9);
        let globs = globs.filter_map(|u| match self.find(module, &u.path[..u.path.len() - 1], steps + 1)? {
            Found::Module(from) => self.0.get(&from),
            Found::File(_) => None,
        });
        Some(Found::File(globs.into_iter().find(|file| defines(file)).map_or(&file.path, |file| &file.path)))
    }

    /// The files that the file of `module` imports.
    fn imports(&self, module: &str) -> BTreeSet<&str> {
        let (file, mut found, mut names) = (&self.0[module], BTreeSet::new(), BTreeMap::new());
        for used in &file.uses {
            let glob = used.name == "*";
            // A name that is passed on is imported only if it is used here as well.
            if used.reexport && (glob || !words(&file.rest).any(|word| word == used.name)) {
                continue;
            }
            let path = &used.path[..used.path.len() - usize::from(glob)];
            match self.find(module, path, 0) {
                Some(Found::File(path)) => drop(found.insert(path)),
                // Of a folder its modules are named further on.
                Some(Found::Module(to)) if self.0[&to].path.ends_with("mod.rs") && !glob => {
                    names.insert(used.name.as_str(), to);
                }
                Some(Found::Module(to)) => {
                    found.insert(self.0[&to].path.as_str());
                    names.insert(used.name.as_str(), to);
                }
                None => {}
            }
        }
        for path in inline_paths(&file.rest) {
            let to = match names.get(path[0].as_str()) {
                Some(to) => self.inside(to, &path[1..], 0),
                None => self.find(module, &path, 0),
            };
            match to {
                Some(Found::File(path)) => drop(found.insert(path)),
                Some(Found::Module(to)) => drop(found.insert(self.0[&to].path.as_str())),
                None => {}
            }
        }
        found.remove(file.path.as_str());
        found.remove("src/lib.rs");
        found
    }

    /// What is wrong: the circles of files but for the `known` ones, and known ones that are none any more.
    pub fn circles(&self, known: &[&[&str]]) -> Vec<String> {
        let imports: BTreeMap<&str, BTreeSet<&str>> =
            self.0.iter().map(|(module, file)| (file.path.as_str(), self.imports(module))).collect();
        let reached: BTreeMap<&str, BTreeSet<&str>> =
            imports.keys().map(|file| (*file, reached(&imports, file))).collect();
        let mut circles: BTreeSet<Vec<&str>> = BTreeSet::new();
        for (file, to) in reached.iter().filter(|(file, to)| to.contains(**file)) {
            circles.insert(to.iter().copied().filter(|other| reached[other].contains(file)).collect());
        }
        let is_known = |circle: &[&str]| known.iter().any(|known| circle.iter().all(|file| known.contains(file)));
        let mut wrong = Vec::new();
        for circle in circles.iter().filter(|circle| !is_known(circle)) {
            wrong.push(format!("files import each other in a circle: {}", circle.join(", ")));
            for file in circle {
                let to: Vec<&str> = imports[file].iter().copied().filter(|to| circle.contains(to)).collect();
                wrong.push(format!("    {file} imports {}", to.join(", ")));
            }
        }
        for known in known {
            if !circles.iter().any(|circle| circle.iter().all(|file| known.contains(file))) {
                wrong.push(format!("no longer a circle, take it from the list: {}", known.join(", ")));
            }
        }
        wrong
    }
}

/// The files that are imported from `from` on, directly or by way of others.
fn reached<'m>(imports: &BTreeMap<&'m str, BTreeSet<&'m str>>, from: &'m str) -> BTreeSet<&'m str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        open.extend(imports.get(file).into_iter().flatten().filter(|to| seen.insert(**to)));
    }
    seen
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c| !is_name(c)).filter(|word| !word.is_empty())
}

/// The paths of two words or more that stand in code: `a::b::C`.
fn inline_paths(code: &str) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut end = 0;
    for (at, _) in code.match_indices("::").filter(|(at, _)| code[at + 2..].starts_with(is_name)) {
        let start = code[..at].rfind(|c| !is_name(c)).map_or(0, |before| before + 1);
        let stop = code[at + 2..].find(|c| !is_name(c)).map_or(code.len(), |stop| at + 2 + stop);
        let (left, right) = (code[start..at].to_string(), code[at + 2..stop].to_string());
        match found.last_mut() {
            Some(path) if end == at && at > 0 => path.push(right),
            _ if left.is_empty() => {}
            _ => found.push(vec![left, right]),
        }
        end = stop;
    }
    found
}
