//! GGUF, versions 2 and 3, little endian: metadata, then descriptions of tensors, then the aligned tensors themselves.

pub use super::metadata::{Array, Metadata, Strings, Value};
use super::{MAX_HEADER, Parsed, TensorInfo, ask, check_names, impostor, sort_apart};
use crate::{Error, Result, dtype::DType};
use std::collections::BTreeMap;

/// The header of a GGUF file.
#[derive(Debug, Clone, PartialEq)]
pub struct Gguf {
    /// The format's version: 2 or 3.
    pub version: u32,
    /// The key-value part.
    pub metadata: Metadata,
    /// The tensors in the order of their bytes.
    pub tensors: Vec<TensorInfo>,
}

impl Gguf {
    /// Parses the start of a file of `file_len` bytes; `file` names it in errors.
    ///
    /// Checks that every count, length and offset fits the file, that tensors are aligned, do not overlap and have
    /// names of their own, that strings are UTF-8. [`Error::Format`] if not; [`Error::Unsupported`] for another
    /// version, for big-endian files and for encodings of weights that [`DType`] does not have.
    pub fn parse(head: &[u8], file_len: u64, file: &str) -> Result<Parsed<Gguf>> {
        let have = head.len().min(usize::try_from(file_len).unwrap_or(usize::MAX));
        let mut reader = Reader { head: &head[..have], pos: 0, file_len, file };
        match reader.gguf() {
            Ok(gguf) => Ok(Parsed::Done(gguf)),
            Err(Stop::More(need)) => Ok(Parsed::NeedMore(ask(need, have, file_len))),
            Err(Stop::Bad(error)) => Err(error),
        }
    }
}

/// Why parsing stopped.
enum Stop {
    /// The file goes on beyond the given bytes; this many are needed.
    More(u64),
    Bad(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Bad(error)
    }
}

type Step<T> = std::result::Result<T, Stop>;

/// How deep arrays of arrays may nest: a guard for the stack.
const MAX_DEPTH: usize = 4;
/// The alignment where the metadata names none.
const DEFAULT_ALIGNMENT: u64 = 32;
/// Bytes of the shortest metadata entry: key length, one letter, type, one byte.
const MIN_ENTRY: u64 = 8 + 1 + 4 + 1;
/// Bytes of the shortest tensor description: name length, one letter, rank, type, offset.
const MIN_TENSOR: u64 = 8 + 1 + 4 + 4 + 8;

/// A cursor over the start of a file that knows how long the whole file is.
struct Reader<'a> {
    head: &'a [u8],
    pos: u64,
    file_len: u64,
    file: &'a str,
}

impl<'a> Reader<'a> {
    fn bad(&self, what: impl Into<String>) -> Stop {
        Stop::Bad(Error::format(self.file, what))
    }

    /// Refuses `count` things of at least `size` bytes each if they cannot all lie ahead.
    fn room(&self, count: u64, size: u64) -> Step<()> {
        let end = count.checked_mul(size).and_then(|n| n.checked_add(self.pos));
        match end {
            Some(end) if end <= self.file_len.min(MAX_HEADER) => Ok(()),
            Some(end) if end <= MAX_HEADER => {
                Err(self.bad("the file ends within its header: the download is incomplete, download it again"))
            }
            _ => Err(self.bad("the header claims an impossible size: the file is damaged, download it again")),
        }
    }

    fn take(&mut self, n: u64) -> Step<&'a [u8]> {
        self.room(n, 1)?;
        let end = self.pos + n;
        if end > self.head.len() as u64 {
            return Err(Stop::More(end));
        }
        let bytes = &self.head[self.pos as usize..end as usize];
        self.pos = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let bytes = self.take(N as u64)?;
        Ok(bytes.try_into().expect("take returns as many bytes as it was asked for"))
    }

    fn u32(&mut self) -> Step<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Step<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn bytes(&mut self) -> Step<&'a [u8]> {
        let len = self.u64()?;
        self.take(len)
    }

    /// Reads a string; `what` says which in the error.
    fn string(&mut self, what: &str) -> Step<&'a str> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.bad(format!("{what} is not UTF-8 text: the file is damaged")))
    }

    fn gguf(&mut self) -> Step<Gguf> {
        let version = self.version()?;
        let (tensor_count, entry_count) = (self.u64()?, self.u64()?);
        self.room(entry_count, MIN_ENTRY)?;
        self.room(tensor_count, MIN_TENSOR)?;
        let metadata = self.metadata(entry_count)?;
        let tensors = self.tensors(tensor_count, &metadata)?;
        Ok(Gguf { version, metadata, tensors })
    }

    fn version(&mut self) -> Step<u32> {
        let seen = &self.head[..self.head.len().min(4)];
        if !b"GGUF".starts_with(seen) {
            let what = "this is not a GGUF file: choose one whose name ends in .gguf, or download it again";
            return Err(impostor(self.head, self.file).map_or_else(|| self.bad(what), Stop::Bad));
        }
        self.take(4)?;
        let version = self.u32()?;
        if matches!(version, 2 | 3) {
            return Ok(version);
        }
        let found = match (version, version.swap_bytes()) {
            (_, 1..=3) => "a big-endian GGUF file".to_string(),
            (1 | 4..=99, _) => format!("a GGUF file of version {version}"),
            _ => return Err(self.bad(format!("GGUF version {version} does not exist: the file is damaged"))),
        };
        let what = format!("{} is {found}; little-endian versions 2 and 3 are supported: convert it anew", self.file);
        Err(Stop::Bad(Error::unsupported(what)))
    }

    fn metadata(&mut self, count: u64) -> Step<Metadata> {
        let mut values = BTreeMap::new();
        for _ in 0..count {
            let key = self.string("a metadata key")?;
            if key.is_empty() || key.len() > 65_535 {
                return Err(self.bad("a metadata key is empty or endless: the file is damaged"));
            }
            let kind = self.u32()?;
            let value = self.value(kind, key)?;
            if values.insert(key.to_string(), value).is_some() {
                return Err(self.bad(format!("metadata `{key}` is there twice: the file is damaged")));
            }
        }
        Ok(Metadata::new(self.file, values))
    }

    fn value(&mut self, kind: u32, key: &str) -> Step<Value> {
        Ok(match kind {
            0 => Value::U8(u8::from_le_bytes(self.array()?)),
            1 => Value::I8(i8::from_le_bytes(self.array()?)),
            2 => Value::U16(u16::from_le_bytes(self.array()?)),
            3 => Value::I16(i16::from_le_bytes(self.array()?)),
            4 => Value::U32(u32::from_le_bytes(self.array()?)),
            5 => Value::I32(i32::from_le_bytes(self.array()?)),
            6 => Value::F32(f32::from_le_bytes(self.array()?)),
            7 => Value::Bool(self.array::<1>()? != [0]),
            8 => Value::String(self.string(&format!("metadata `{key}`"))?.to_string()),
            9 => Value::Array(self.values(key, 0)?),
            10 => Value::U64(u64::from_le_bytes(self.array()?)),
            11 => Value::I64(i64::from_le_bytes(self.array()?)),
            12 => Value::F64(f64::from_le_bytes(self.array()?)),
            _ => return Err(self.bad(format!("metadata `{key}` is of unknown type {kind}: the file is damaged"))),
        })
    }

    /// Reads `count` numbers of `N` bytes each. The bytes are there before the list is allocated.
    fn numbers<const N: usize, T>(&mut self, count: u64, number: fn([u8; N]) -> T) -> Step<Vec<T>> {
        self.room(count, N as u64)?;
        let bytes = self.take(count * N as u64)?;
        Ok(bytes.as_chunks::<N>().0.iter().map(|&b| number(b)).collect())
    }

    fn values(&mut self, key: &str, depth: usize) -> Step<Array> {
        let (kind, count) = (self.u32()?, self.u64()?);
        Ok(match kind {
            0 => Array::U8(self.numbers(count, u8::from_le_bytes)?),
            1 => Array::I8(self.numbers(count, i8::from_le_bytes)?),
            2 => Array::U16(self.numbers(count, u16::from_le_bytes)?),
            3 => Array::I16(self.numbers(count, i16::from_le_bytes)?),
            4 => Array::U32(self.numbers(count, u32::from_le_bytes)?),
            5 => Array::I32(self.numbers(count, i32::from_le_bytes)?),
            6 => Array::F32(self.numbers(count, f32::from_le_bytes)?),
            7 => Array::Bool(self.numbers(count, |b: [u8; 1]| b != [0])?),
            8 => Array::Strings(self.strings(count, key)?),
            9 if depth < MAX_DEPTH => {
                self.room(count, 4 + 8)?;
                let mut arrays = Vec::new();
                for _ in 0..count {
                    arrays.push(self.values(key, depth + 1)?);
                }
                Array::Nested(arrays)
            }
            9 => return Err(self.bad(format!("metadata `{key}` nests too deep: the file is damaged"))),
            10 => Array::U64(self.numbers(count, u64::from_le_bytes)?),
            11 => Array::I64(self.numbers(count, i64::from_le_bytes)?),
            12 => Array::F64(self.numbers(count, f64::from_le_bytes)?),
            _ => return Err(self.bad(format!("metadata `{key}` holds unknown type {kind}: the file is damaged"))),
        })
    }

    fn strings(&mut self, count: u64, key: &str) -> Step<Strings> {
        self.room(count, 8)?;
        // Goes once over the lengths, so that the second pass allocates exactly once, for bytes that are there.
        let (start, mut total) = (self.pos, 0);
        for _ in 0..count {
            total += self.bytes()?.len();
        }
        self.pos = start;
        let what = format!("a string of metadata `{key}`");
        let mut strings = Strings::with_capacity(count as usize, total);
        for _ in 0..count {
            strings.push(self.string(&what)?);
        }
        Ok(strings)
    }

    fn tensors(&mut self, count: u64, metadata: &Metadata) -> Step<Vec<TensorInfo>> {
        let alignment = metadata.u32("general.alignment")?.map_or(DEFAULT_ALIGNMENT, u64::from);
        if !alignment.is_power_of_two() || alignment > 1 << 20 {
            return Err(self.bad(format!("the alignment {alignment} is impossible: the file is damaged")));
        }
        self.room(count, MIN_TENSOR)?;
        let mut tensors = Vec::new();
        for _ in 0..count {
            tensors.push(self.tensor()?);
        }
        // Offsets were relative to the first aligned byte after the header, which is known only now.
        let start = self.pos.next_multiple_of(alignment);
        for t in &mut tensors {
            if t.offset % alignment != 0 {
                return Err(self.bad(format!("tensor `{}` is not aligned: the file is damaged", t.name)));
            }
            match start.checked_add(t.offset).map(|begin| (begin, begin.checked_add(t.bytes))) {
                Some((begin, Some(end))) if end <= self.file_len => t.offset = begin,
                _ => {
                    let what = format!("the file ends before tensor `{}` does: download it again", t.name);
                    return Err(self.bad(what));
                }
            }
        }
        check_names(tensors.iter().map(|t| t.name.as_str()), self.file)?;
        sort_apart(&mut tensors, self.file)?;
        Ok(tensors)
    }

    /// Reads one description; its offset still counts from the start of the tensors' bytes.
    fn tensor(&mut self) -> Step<TensorInfo> {
        let name = self.string("a tensor's name")?;
        if name.is_empty() {
            return Err(self.bad("a tensor has no name: the file is damaged"));
        }
        let rank = self.u32()?;
        if rank > 4 {
            return Err(self.bad(format!("tensor `{name}` has {rank} dimensions, more than 4: the file is damaged")));
        }
        let mut sizes = [1u64; 4]; // innermost first
        for size in &mut sizes[..rank as usize] {
            *size = self.u64()?;
        }
        let number = self.u32()?;
        let offset = self.u64()?;
        let dtype = DType::from_gguf(number).ok_or_else(|| self.unknown_type(name, number))?;
        let sizes = &sizes[..rank as usize];
        let damaged = || self.bad(format!("tensor `{name}` has the impossible shape {sizes:?}: the file is damaged"));
        let row = sizes.first().copied().unwrap_or(1);
        let len = sizes.iter().try_fold(1u64, |n, &size| n.checked_mul(size)).filter(|&n| n > 0);
        let blocks = len.filter(|_| row % dtype.block_len() as u64 == 0).map(|n| n / dtype.block_len() as u64);
        let bytes = blocks.and_then(|n| n.checked_mul(dtype.block_bytes() as u64)).ok_or_else(damaged)?;
        let shape = sizes.iter().rev().map(|&size| usize::try_from(size)).collect::<std::result::Result<_, _>>();
        Ok(TensorInfo { name: name.to_string(), shape: shape.map_err(|_| damaged())?, dtype, offset, bytes })
    }

    fn unknown_type(&self, name: &str, number: u32) -> Stop {
        let known: Vec<&str> = DType::ALL.iter().map(|d| d.name()).collect();
        let found = OTHER_TYPES.iter().find(|t| t.0 == number);
        let found = found.map_or(format!("number {number}"), |t| t.1.to_string());
        Stop::Bad(Error::unsupported(format!(
            "{}: tensor `{name}` is stored as type {found}; choose a file that uses only {}",
            self.file,
            known.join(", ")
        )))
    }
}

/// Types of GGUF tensors that exist and are not supported, so that errors can name them.
const OTHER_TYPES: [(u32, &str); 22] = [
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (31, "Q4_0_4_4"),
    (32, "Q4_0_4_8"),
    (33, "Q4_0_8_8"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
    (41, "Q1_0"),
];
