//! Files that tests need and that are too large for the repository.

use std::path::PathBuf;
use std::process::Command;

/// The path of a file or folder of `tools/assets.mjs`, which fetches it if it is not in the cache yet.
pub fn asset(name: &str) -> PathBuf {
    let output =
        Command::new("node").args(["tools/assets.mjs", name]).current_dir(crate::root()).output().expect("node runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "`node tools/assets.mjs {name}` failed:\n{out}{err}");
    let path = PathBuf::from(out.lines().next_back().unwrap_or_default().trim());
    assert!(path.exists(), "`node tools/assets.mjs {name}` named {}, which is not there", path.display());
    path
}
