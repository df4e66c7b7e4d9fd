//! The names of an enum's variants. serde's attributes say them, once; whoever needs them asks here.

use serde::de::value::{Error, StrDeserializer};
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Lists the names of an enum's variants in the order of their declaration: a variant `as usize` is the place of its
/// own.
pub(crate) fn names<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // It is an error that there is no value: by then serde has told the names.
    drop(T::deserialize(Asking(&mut names)));
    names
}

/// Returns the variant of a name.
pub(crate) fn named<T: DeserializeOwned>(name: &str) -> Option<T> {
    let name: StrDeserializer<'_, Error> = name.into_deserializer();
    T::deserialize(name).ok()
}

/// The beginning of the errors of [`read`].
pub(crate) const UNKNOWN: &str = "unknown name";

/// Reads a variant by its name: `deserialize_with` of a field. Less code than a variant in each of JSON's forms.
pub(crate) fn read<'de, D: Deserializer<'de>, T: DeserializeOwned>(d: D) -> Result<T, D::Error> {
    let name = String::deserialize(d)?;
    named(&name).ok_or_else(|| unknown(&name, names::<T>()))
}

/// Reads a variant by its name, where there may be none.
pub(crate) fn read_some<'de, D: Deserializer<'de>, T: DeserializeOwned>(d: D) -> Result<Option<T>, D::Error> {
    read(d).map(Some)
}

/// Returns the error for a name that is none of these.
pub(crate) fn unknown<E: de::Error>(name: &str, known: &[&str]) -> E {
    E::custom(format_args!("{UNKNOWN} `{name}`; known are {}", known.join(", ")))
}

/// Hears which names an enum has.
struct Asking<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asking<'_> {
    type Error = Error;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = names;
        self.deserialize_any(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("there is no value"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
