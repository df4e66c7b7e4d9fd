//! Where bytes come from: anything that can read a range of a named file.

use crate::{Error, Result};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

/// A future that stays on its thread, as everything in a browser does.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The files of a published model: one `.gguf`, or a folder.
pub trait ByteSource {
    /// Returns the files' names, as far as they are known without asking; a remote folder may know none.
    fn names(&self) -> Vec<String>;

    /// Returns a file's length in bytes; `None` if there is no such file.
    fn size<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Result<Option<u64>>>;

    /// Reads exactly `len` bytes from `offset` on.
    fn read<'a>(&'a self, name: &'a str, offset: u64, len: usize) -> LocalFuture<'a, Result<Vec<u8>>>;

    /// Closes open files. A later read reopens them.
    fn release(&self) {}
}

/// Files in memory: for tests.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles(
    /// Name and content of each.
    pub BTreeMap<String, Vec<u8>>,
);

impl ByteSource for MemoryFiles {
    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn size<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Result<Option<u64>>> {
        Box::pin(async move { Ok(self.0.get(name).map(|bytes| bytes.len() as u64)) })
    }

    fn read<'a>(&'a self, name: &'a str, offset: u64, len: usize) -> LocalFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let bytes = self.0.get(name).and_then(|b| b.get(offset as usize..)?.get(..len));
            bytes.map(<[u8]>::to_vec).ok_or_else(|| ends_early(name))
        })
    }
}

fn ends_early(name: &str) -> Error {
    Error::format(name, "the file ends before its contents do; download it again")
}

/// Files on disk: a single file, or a folder's.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Clone, Debug)]
pub struct DiskFiles {
    folder: std::path::PathBuf,
    names: Vec<String>,
}

#[cfg(not(target_arch = "wasm32"))]
impl DiskFiles {
    /// Opens the file or folder at `path`.
    ///
    /// # Errors
    /// [`Error::Fetch`] if it cannot be listed.
    pub fn open(path: &std::path::Path) -> Result<Self> {
        let fetch =
            |e: std::io::Error| Error::Fetch { url: path.display().to_string(), what: format!("{e}; check the path") };
        let name = |p: &std::path::Path| p.file_name().map(|n| n.to_string_lossy().into_owned());
        if std::fs::metadata(path).map_err(fetch)?.is_dir() {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(path).map_err(fetch)? {
                names.extend(name(&entry.map_err(fetch)?.path()));
            }
            names.sort();
            return Ok(DiskFiles { folder: path.to_path_buf(), names });
        }
        let folder = path.parent().unwrap_or(std::path::Path::new("")).to_path_buf();
        Ok(DiskFiles { folder, names: name(path).into_iter().collect() })
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl ByteSource for DiskFiles {
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn size<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Result<Option<u64>>> {
        Box::pin(async move {
            match std::fs::metadata(self.folder.join(name)) {
                Ok(m) => Ok(Some(m.len())),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(Error::Fetch { url: name.into(), what: format!("{e}; check the file") }),
            }
        })
    }

    fn read<'a>(&'a self, name: &'a str, offset: u64, len: usize) -> LocalFuture<'a, Result<Vec<u8>>> {
        use std::io::{Read, Seek, SeekFrom};
        Box::pin(async move {
            let mut bytes = vec![0; len];
            let read = std::fs::File::open(self.folder.join(name)).and_then(|mut file| {
                file.seek(SeekFrom::Start(offset))?;
                file.read_exact(&mut bytes)
            });
            match read {
                Ok(()) => Ok(bytes),
                Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Err(ends_early(name)),
                Err(e) => Err(Error::Fetch { url: name.into(), what: format!("{e}; check the file") }),
            }
        })
    }
}
