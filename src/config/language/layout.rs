//! How tensors lie in files.

/// How a tensor lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorLayout {
    /// As it is wanted.
    AsIs,
    /// A matrix [in, out] that is wanted as [out, in].
    Transposed,
    /// Rows head by head, each head's query, key and value rows one after the other; wanted are all queries, all keys,
    /// all values.
    QkvByHead,
}
