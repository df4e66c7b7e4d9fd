//! The one error type, sorted by who must act. Every message is a sentence that says what to do.

/// A result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// An error, by what kind of thing went wrong. The variant names are also the `code`s of `InkstoneError` in JavaScript.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub enum Error {
    /// A file is damaged or is not what it claims to be.
    #[error("{}", named(file, what))]
    Format {
        /// The file's name; empty if `what` says it.
        file: String,
        /// The defect, and how to mend it.
        what: String,
    },
    /// A tensor that the architecture needs is not in the file.
    #[error("the model has no tensor `{tensor}`: the file is incomplete or of another architecture")]
    Missing {
        /// The tensor's name as the model asked for it.
        tensor: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error("tensor `{tensor}` has shape {got:?} where {want:?} was expected: the file does not fit its configuration")]
    Shape {
        /// The tensor's name.
        tensor: String,
        /// The shape the model needs, outermost dimension first.
        want: Vec<usize>,
        /// The shape the file has.
        got: Vec<usize>,
    },
    /// Something this version cannot do.
    #[error("{what}")]
    Unsupported {
        /// The thing that is not supported, and what works instead.
        what: String,
    },
    /// More memory, or more context, than there is.
    #[error("{need} needed, {have} available: {advice}")]
    TooLarge {
        /// The amount needed, with its unit.
        need: String,
        /// The amount available, with its unit.
        have: String,
        /// How to get by with less.
        advice: String,
    },
    /// The GPU or its driver refused.
    #[error("{what}")]
    Gpu {
        /// The message of the GPU or its driver, and how to mend it.
        what: String,
    },
    /// Bytes could not be read.
    #[error("{}", named(url, what))]
    Fetch {
        /// Where they should have come from; empty if `what` says it.
        url: String,
        /// The failure, and how to mend it.
        what: String,
    },
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// Returns `name: what`, or `what` alone.
fn named(name: &str, what: &str) -> String {
    if name.is_empty() { what.to_string() } else { format!("{name}: {what}") }
}

impl Error {
    /// Returns the variant's name: `code` of `InkstoneError` in JavaScript.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Format { .. } => "Format",
            Error::Missing { .. } => "Missing",
            Error::Shape { .. } => "Shape",
            Error::Unsupported { .. } => "Unsupported",
            Error::TooLarge { .. } => "TooLarge",
            Error::Gpu { .. } => "Gpu",
            Error::Fetch { .. } => "Fetch",
            Error::Cancelled => "Cancelled",
        }
    }

    /// Makes an [`Error::Format`] with a formatted reason.
    pub fn format(file: impl Into<String>, what: impl Into<String>) -> Self {
        Error::Format { file: file.into(), what: what.into() }
    }

    /// Makes an [`Error::Unsupported`] with a formatted reason.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Error::Unsupported { what: what.into() }
    }

    /// Makes an [`Error::Gpu`] with a formatted reason.
    pub fn gpu(what: impl Into<String>) -> Self {
        Error::Gpu { what: what.into() }
    }
}
