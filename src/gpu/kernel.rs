//! Kernels: WGSL text with slots, and the parts that fill them.

use super::tier::Tier;

/// How a binding of group 0 is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    Write,
}

/// A member of a kernel's `Params`: name and byte offset, compared with the WGSL by a test.
pub type Field = (&'static str, usize);

/// Parameters of a kernel: the bytes of its uniform buffer. Implemented by [`params!`].
pub trait Params: bytemuck::Pod {
    /// The members in order.
    const FIELDS: &'static [Field];
}

/// Declares a kernel's `Params`, member by member as in its WGSL.
#[macro_export]
macro_rules! __params {
    ($(#[$doc:meta])* struct $name:ident { $($field:ident : $ty:ty),* $(,)? }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
        struct $name { $($field: $ty),* }
        impl $crate::gpu::Params for $name {
            const FIELDS: &'static [$crate::gpu::Field] =
                &[$((stringify!($field), std::mem::offset_of!($name, $field))),*];
        }
    };
}
pub use __params as params;

/// The text of a WGSL file as kernels hold it: see [`bare`].
#[macro_export]
macro_rules! __wgsl {
    ($text:expr) => {{
        const TEXT: &str = $text;
        const BARE: [u8; $crate::gpu::bare::<0>(TEXT).1] = $crate::gpu::bare(TEXT).0;
        match std::str::from_utf8(&BARE) {
            Ok(text) => text,
            Err(_) => panic!("what is left of a WGSL file is no text"),
        }
    }};
}
pub use __wgsl as wgsl;

/// Strips comments and indentation from WGSL to keep the download small; lines keep their numbers. Returns the first N
/// bytes, and how many there are. Runs at compile time.
#[doc(hidden)]
pub const fn bare<const N: usize>(text: &str) -> ([u8; N], usize) {
    let text = text.as_bytes();
    let (mut out, mut len) = ([0; N], 0);
    let (mut i, mut comment, mut begun) = (0, false, false);
    while i < text.len() {
        let c = text[i];
        comment = c != b'\n' && (comment || c == b'/' && i + 1 < text.len() && text[i + 1] == b'/');
        begun = c != b'\n' && (begun || c != b' ');
        if c == b'\n' || begun && !comment {
            if len < N {
                out[len] = c;
            }
            len += 1;
        }
        i += 1;
    }
    (out, len)
}

/// A WGSL file that fills a slot of kernels.
#[derive(Debug)]
pub struct Part {
    /// The file's stem in `shaders/parts`.
    pub name: &'static str,
    /// Its text.
    pub source: &'static str,
    /// Whether it uses subgroup operations.
    pub subgroups: bool,
}

/// A WGSL entry point `main` with its bindings and parameters.
#[derive(Debug)]
pub struct Kernel {
    /// The file's stem in `shaders`.
    pub name: &'static str,
    /// Its text.
    pub source: &'static str,
    /// The bindings of group 0, in order.
    pub bindings: &'static [Access],
    /// The members of `Params` (group 1, binding 0); empty if it has none.
    pub fields: &'static [Field],
}

/// A kernel with its slots filled and its overrides set: what a pipeline is made of.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// The parts, in the order in which they are appended.
    pub parts: Vec<&'static Part>,
    /// Values of `override`s.
    pub overrides: Vec<(&'static str, f64)>,
    /// Values of `const`s that size private arrays, which overrides cannot.
    pub consts: Vec<(&'static str, u32)>,
}

impl Variant {
    /// Makes a kernel whose slots are still empty.
    pub fn new(kernel: &'static Kernel) -> Self {
        Variant { kernel, parts: Vec::new(), overrides: Vec::new(), consts: Vec::new() }
    }

    /// Returns the WGSL text: a prologue of at most two lines, the kernel, the parts. `web`: for a browser, where
    /// subgroup operations must be enabled by name (naga, natively, knows no such name).
    pub fn source(&self, web: bool) -> String {
        let mut text = String::new();
        if web && self.parts.iter().any(|p| p.subgroups) {
            text.push_str("enable subgroups;\n");
        }
        for (name, value) in &self.consts {
            text.push_str(&format!("const {name} = {value}u; "));
        }
        if !self.consts.is_empty() {
            text.push('\n');
        }
        text.push_str(self.kernel.source);
        for part in &self.parts {
            text.push_str(part.source);
        }
        text
    }

    /// Returns a name for people and messages, unique among variants: `linear_vec+weight_q4_1+reduce_serial WG=16`.
    pub fn label(&self) -> String {
        let mut label = self.kernel.name.to_string();
        for part in &self.parts {
            label.push('+');
            label.push_str(part.name);
        }
        for (name, value) in &self.consts {
            label.push_str(&format!(" {name}={value}"));
        }
        for (name, value) in &self.overrides {
            label.push_str(&format!(" {name}={value}"));
        }
        label
    }

    /// Returns the tier a device must have for this variant.
    pub fn tier(&self) -> Tier {
        if self.parts.iter().any(|p| p.subgroups) { Tier::Subgroups } else { Tier::Base }
    }

    /// Returns the file and line that a line of [`Variant::source`] came from, for messages.
    pub fn locate(&self, web: bool, line: usize) -> String {
        let mut at = usize::from(web && self.parts.iter().any(|p| p.subgroups)) + usize::from(!self.consts.is_empty());
        let files = std::iter::once((format!("{}.wgsl", self.kernel.name), self.kernel.source))
            .chain(self.parts.iter().map(|p| (format!("parts/{}.wgsl", p.name), p.source)));
        for (file, text) in files {
            let lines = text.lines().count();
            if line <= at + lines {
                return format!("{file}:{}", line.saturating_sub(at));
            }
            at += lines;
        }
        format!("line {line}")
    }
}
