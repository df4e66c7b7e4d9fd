//! Pace: how much to submit at once, so that the page stays smooth and no driver's watchdog fires.

use std::cell::Cell;

/// Milliseconds that a submit may hold the GPU where nobody is looking.
pub const BACKGROUND_MS: f64 = 400.0;

/// Adapts an amount of work to the time that one submit may hold the GPU. Its user chooses what is counted: dispatches,
/// multiplications, tokens. [`Pace::amount`] is what the next submit may hold; once it was waited for,
/// [`Pace::measured`] tells how long it took.
///
/// A prompt's chunks count tokens:
///
/// ```
/// # use inkstone::gpu::Pace;
/// let mut pace = Pace::new(16, 100.0).within(4, 512).growing(4).multiples_of(4);
/// pace.hold(400.0); // in the background
/// pace.measured(16, 40.0); // 160 tokens would fit, but 64 is four times as much as before
/// assert_eq!(pace.amount(), 64);
/// ```
///
/// An answer's batches count steps: `Pace::new(1, 100.0).within(1, 8)`.
#[derive(Debug)]
pub struct Pace {
    hold_ms: f64,
    amount: Cell<u64>,
    least: u64,
    most: u64,
    growth: u64,
    multiple: u64,
}

impl Pace {
    /// Starts with submits of `first`, when nothing is known of the GPU's speed. A submit may hold it for `hold_ms`
    /// milliseconds.
    pub fn new(first: u64, hold_ms: f64) -> Pace {
        Pace { hold_ms, amount: Cell::new(first), least: 1, most: u64::MAX, growth: 2, multiple: 1 }
    }

    /// Sets bounds of the amount from here on.
    pub fn within(self, least: u64, most: u64) -> Pace {
        Pace { least: least.min(most), most, ..self }
    }

    /// Sets how many times as much the next submit may hold at most, for not all work takes equally long. The default
    /// is 2.
    pub fn growing(self, growth: u64) -> Pace {
        Pace { growth, ..self }
    }

    /// Makes the amount a multiple of this, rounded up within its bounds.
    pub fn multiples_of(self, multiple: u64) -> Pace {
        Pace { multiple, ..self }
    }

    /// Sets how many milliseconds a submit may hold the GPU.
    pub fn hold(&mut self, ms: f64) {
        self.hold_ms = ms;
    }

    /// Returns the work that the next submit may hold.
    pub fn amount(&self) -> u64 {
        self.amount.get()
    }

    /// Notes that a submit of `amount` took `ms` milliseconds.
    pub fn measured(&self, amount: u64, ms: f64) {
        // A clock that stands still says nothing.
        let fits = (amount as f64 * self.hold_ms / ms.max(0.1)) as u64;
        let next = fits.clamp(self.least, self.most).min(self.amount.get().saturating_mul(self.growth));
        self.amount.set(next.next_multiple_of(self.multiple).min(self.most));
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;

    #[test]
    fn amounts_follow_the_time_within_their_bounds() {
        let pace = Pace::new(64, 60.0).within(8, 1000);
        for (amount, ms, want) in [
            (64, 60.0, 64),
            (64, 30.0, 128),
            (128, 1.0, 256),
            (100, 20.0, 300),
            (300, 0.0, 600),
            (600, 1.0, 1000),
            (1000, 600.0, 100),
            (100, 6000.0, 8),
        ] {
            pace.measured(amount, ms);
            assert_eq!(pace.amount(), want, "after {amount} in {ms} ms");
        }
    }

    #[test]
    fn amounts_are_multiples_but_for_the_largest() {
        let pace = Pace::new(6, 100.0).within(4, 30).growing(4).multiples_of(4);
        for (amount, ms, want) in [(6, 60.0, 12), (10, 100.0, 12), (12, 10.0, 30), (30, 1e4, 4)] {
            pace.measured(amount, ms);
            assert_eq!(pace.amount(), want, "after {amount} in {ms} ms");
        }
    }
}
