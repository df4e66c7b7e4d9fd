//! A value that is used by one call at a time.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// A value that one call at a time may use.
#[derive(Debug)]
pub struct Exclusive<T>(RefCell<Option<T>>);

impl<T> Exclusive<T> {
    /// Keeps a value that is not in use yet.
    pub fn new(value: T) -> Self {
        Exclusive(RefCell::new(Some(value)))
    }

    /// Takes the value for a call; `None` while another one has it.
    pub fn take(&self) -> Option<InUse<'_, T>> {
        self.0.take().map(|value| InUse { home: &self.0, value: Some(value) })
    }
}

/// A value while a call uses it. It goes back when this is dropped: however the call ends, also if nobody waits for its
/// end.
#[derive(Debug)]
pub struct InUse<'a, T> {
    home: &'a RefCell<Option<T>>,
    value: Option<T>,
}

const HELD: &str = "the value goes back only when this is dropped";

impl<T> Deref for InUse<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for InUse<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect(HELD)
    }
}

impl<T> Drop for InUse<'_, T> {
    fn drop(&mut self) {
        self.home.replace(self.value.take());
    }
}

#[cfg(test)]
mod tests {
    use super::Exclusive;

    #[test]
    fn one_call_at_a_time_has_it() {
        let number = Exclusive::new(1);
        let mut first = number.take().expect("nobody has it");
        assert!(number.take().is_none(), "the first call has it");
        *first += 1;
        drop(first);
        assert_eq!(number.take().as_deref(), Some(&2));
        assert!(number.take().is_some(), "it went back");
    }
}
