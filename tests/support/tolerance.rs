//! The tolerance table of this project, and the one comparison that uses it.
//!
//! A result is right when two numbers are small:
//! - **NMSE**, the sum of squared errors over the sum of squares of what was wanted: how much of the answer is noise.
//! - the **worst element**, relative to `sqrt(tolerance) * (rms + |wanted|)`: one broken element among millions hides
//!   from any mean, but not from a maximum. Errors that are spread like rounding errors stay below 6 of these units
//!   even over millions of elements; [`PEAK`] leaves room for sums of very different lengths.
//!
//! Whatever a kernel or a language model computes is checked by a row of [`Tolerance`]. A new row needs the reason and
//! the number that failed. Checks whose results are measured otherwise have a limit of their own, with its reason beside
//! it, and there are no others:
//!
//! | where | limit | why it is not an NMSE |
//! |---|---|---|
//! | `images.rs`, `images/{parts,adapters,layouts}.rs`, `autoencoder.rs` | 1e-3, absolute | one wrong pixel shows; float32 itself is off by a hundredth of it |
//! | `images/paint.rs` | 1e-3 and 2e-4, absolute | latents after all steps, against diffusers |
//! | `images/tiny.rs` | 1e-6, absolute | one decoder by two ways |
//! | `autoencoder/bands.rs` | 1e-5, absolute | bands change only the order of sums |
//! | `scheduler/runs.rs` | 2e-5; 1e-3 without signal at the start | double precision against diffusers' float32 |
//! | `scheduler/programs.rs` | 1e-5 to 1e-3 | published noise levels have few digits |
//! | `scheduler/programs.rs`, DEIS | 0.05 | it ends where a trace of noise is left |
//! | `scheduler/noise.rs` | 1e-6; 5.01e-5 | another library's logarithm; the published numbers have four digits |
//! | `scheduler/noise.rs`, moments | 5 standard errors | random numbers |
//! | `formats/rope.rs`, `formats/config_gguf.rs` | 1e-6, relative | each frequency counts by itself, however small |
//! | `text/clip.rs` | 1e-6, relative | the weight of each token counts by itself |
//! | `ops/linear.rs`, `ops/geglu.rs` | 4e-7 of max(1, abs(x)) | activation functions at every single argument |
//! | `ops/sample.rs` | 1e-6 of all probability | where the nucleus ends |
//! | `generate.rs` | 2e-3 of a logarithm; 1e-6 | probabilities of logits that were rounded; a number of steps, by way of a rate |
//! | `ops/choices.rs` | 1e-6 and 1e-10, NMSE | as the self-test and `tune` report it |

/// What is compared, which decides how far it may be off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// Bits are copied or small integers are computed: nothing may differ.
    Exact,
    /// A kernel that computes in f32 from f32 operands (or from quantized weights, against their exact values).
    F32,
    /// A kernel whose operands or result are stored as f16 on the way.
    F16,
    /// The logits of a whole model whose file holds f32 weights.
    LogitsF32,
    /// The logits of a whole model whose file holds f16 or bf16 weights, against those very weights in f32.
    LogitsHalf,
    /// The same of a file that holds quantized weights, beside which keys and values are f16.
    LogitsF16,
    /// The same where a prompt is rounded to eight bits, 32 elements by one scale: a block whose largest is 2.5 standard
    /// deviations is off by (2.5 / 127)^2 / 12 of its variance, 3e-5, in each of several layers.
    LogitsInt8,
}

impl Tolerance {
    /// The largest NMSE allowed.
    pub const fn nmse(self) -> f64 {
        match self {
            Tolerance::Exact => 0.0,
            Tolerance::F32 => 1e-7,
            Tolerance::F16 => 1e-6,
            Tolerance::LogitsF32 => 1e-10,
            Tolerance::LogitsHalf => 1e-7,
            Tolerance::LogitsF16 => 1e-5,
            Tolerance::LogitsInt8 => 3e-4,
        }
    }
}

/// The worst element may be off by this many times `sqrt(tolerance) * (rms + |wanted|)`.
const PEAK: f64 = 16.0;

/// How two arrays differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Sum of squared errors over the sum of squares of what was wanted.
    pub nmse: f64,
    /// Where the element is that is worst in units of `rms + |wanted|`.
    pub worst: usize,
    /// Its error in these units.
    pub peak: f64,
}

/// A wanted or computed number.
pub trait Number: Copy {
    /// The number, exactly.
    fn exact(self) -> f64;
}

impl Number for f32 {
    fn exact(self) -> f64 {
        f64::from(self)
    }
}

impl Number for f64 {
    fn exact(self) -> f64 {
        self
    }
}

/// Measures how far `got` is from `want`; `Err` says why the two cannot be compared: different lengths, nothing to
/// compare, a number that is not finite.
pub fn measure<W: Number, G: Number>(want: &[W], got: &[G]) -> Result<Difference, String> {
    if want.len() != got.len() {
        return Err(format!("{} values wanted, {} computed", want.len(), got.len()));
    }
    if want.is_empty() {
        return Err("there is nothing to compare".to_string());
    }
    let mut energy = 0.0;
    for (i, w) in want.iter().enumerate() {
        let w = w.exact();
        if !w.is_finite() {
            return Err(format!("the reference itself is {w} at {i}"));
        }
        energy += w * w;
    }
    let rms = (energy / want.len() as f64).sqrt();
    let (mut errors, mut worst, mut peak) = (0.0, 0, 0.0);
    for (i, (w, g)) in want.iter().zip(got).enumerate() {
        let (w, g) = (w.exact(), g.exact());
        if !g.is_finite() {
            return Err(format!("element {i} is {g} where {w} was wanted"));
        }
        let error = (g - w).abs();
        errors += error * error;
        // An error where everything wanted is zero is infinitely large: it cannot be excused by any tolerance.
        let units = if error == 0.0 { 0.0 } else { error / (rms + w.abs()) };
        if units > peak {
            (worst, peak) = (i, units);
        }
    }
    let nmse = if errors == 0.0 { 0.0 } else { errors / energy };
    Ok(Difference { nmse, worst, peak })
}

/// Compares `got` with `want` under `tolerance` and returns how they differ; `Err` is a sentence with the numbers.
pub fn compare<W: Number, G: Number>(want: &[W], got: &[G], tolerance: Tolerance) -> Result<Difference, String> {
    let d = measure(want, got)?;
    let (i, limit) = (d.worst, PEAK * tolerance.nmse().sqrt());
    let at = format!("worst at {i}: {:e} where {:e} was wanted", got[i].exact(), want[i].exact());
    if d.nmse > tolerance.nmse() {
        return Err(format!("NMSE {:.2e} is over {:.0e} ({tolerance:?}); {at}", d.nmse, tolerance.nmse()));
    }
    if d.peak > limit {
        return Err(format!(
            "an element is off by {:.2e} of rms + its size, over {limit:.1e} ({tolerance:?}); {at}",
            d.peak
        ));
    }
    Ok(d)
}

/// Panics, naming `what` and the numbers, unless `got` is `want` within `tolerance`.
#[track_caller]
pub fn check<W: Number, G: Number>(what: &str, want: &[W], got: &[G], tolerance: Tolerance) -> Difference {
    match compare(want, got, tolerance) {
        Ok(difference) => difference,
        Err(why) => panic!("{what}: {why}"),
    }
}

/// The comparison is what every other test leans on, so it is shown here that it fails when it should.
#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Tolerance; 7] = [
        Tolerance::Exact,
        Tolerance::F32,
        Tolerance::F16,
        Tolerance::LogitsF32,
        Tolerance::LogitsHalf,
        Tolerance::LogitsF16,
        Tolerance::LogitsInt8,
    ];

    /// 64 rows of 48 numbers of size about one, no two rows equal.
    fn rows() -> Vec<f32> {
        (0..64 * 48u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
    }

    #[test]
    fn equal_arrays_pass_under_every_tolerance() {
        for t in ALL {
            let d = compare(&rows(), &rows(), t).unwrap();
            assert_eq!((d.nmse, d.peak), (0.0, 0.0));
        }
        compare(&[0.0f64; 9], &[0.0f32; 9], Tolerance::Exact).unwrap();
    }

    #[test]
    fn rounding_to_f16_passes_as_f16_and_fails_as_exact() {
        let want = rows();
        let got: Vec<f32> = want.iter().map(|&x| half::f16::from_f32(x).to_f32()).collect();
        compare(&want, &got, Tolerance::F16).unwrap();
        compare(&want, &got, Tolerance::LogitsF16).unwrap();
        assert!(compare(&want, &got, Tolerance::Exact).is_err());
    }

    #[test]
    fn one_changed_element_fails_wherever_it_is() {
        let want = rows();
        for i in (0..want.len()).step_by(97).chain([want.len() - 1]) {
            for change in [0.25, -0.25, 1.0, 1e6] {
                let mut got = want.clone();
                got[i] += change;
                // Of eight bits an element may be off by 0.28 of rms + its size.
                for t in ALL.into_iter().filter(|t| *t != Tolerance::LogitsInt8 || change.abs() >= 1.0) {
                    assert!(compare(&want, &got, t).is_err(), "{t:?} let {change} at {i} pass");
                }
            }
        }
    }

    #[test]
    fn one_changed_element_among_millions_fails() {
        let want: Vec<f32> = rows().into_iter().cycle().take(4_000_000).collect();
        let mut got = want.clone();
        got[3_999_999] += 0.5;
        assert!(measure(&want, &got).unwrap().nmse < Tolerance::LogitsF16.nmse(), "the mean alone does not see it");
        for t in ALL {
            assert!(compare(&want, &got, t).is_err(), "{t:?}");
        }
    }

    #[test]
    fn swapped_rows_fail() {
        let want = rows();
        for (a, b) in [(0, 1), (0, 63), (31, 32)] {
            let mut got = want.clone();
            for c in 0..48 {
                got.swap(a * 48 + c, b * 48 + c);
            }
            for t in ALL {
                assert!(compare(&want, &got, t).is_err(), "{t:?} let rows {a} and {b} swap");
            }
        }
    }

    #[test]
    fn what_is_not_a_number_fails() {
        let want = rows();
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut got = want.clone();
            got[77] = bad;
            assert!(compare(&want, &got, Tolerance::LogitsF16).unwrap_err().contains("element 77"));
            assert!(compare(&got, &want, Tolerance::LogitsF16).unwrap_err().contains("reference"), "{bad} was wanted");
            assert!(compare(&got, &got, Tolerance::LogitsF16).is_err(), "{bad} on both sides");
        }
    }

    #[test]
    fn lengths_and_emptiness_fail() {
        let want = rows();
        assert!(compare(&want, &want[1..], Tolerance::LogitsF16).is_err());
        assert!(compare(&want[1..], &want, Tolerance::LogitsF16).is_err());
        assert!(compare::<f32, f32>(&[], &[], Tolerance::LogitsF16).is_err());
    }

    #[test]
    fn nothing_excuses_an_error_where_all_should_be_zero() {
        let mut got = [0.0f32; 32];
        got[5] = 1e-30;
        for t in ALL {
            assert!(compare(&[0.0f64; 32], &got, t).is_err(), "{t:?}");
        }
    }

    #[test]
    fn a_gain_error_and_a_zero_result_fail() {
        let want = rows();
        let louder: Vec<f32> = want.iter().map(|x| x * 1.02).collect();
        let nothing = vec![0.0f32; want.len()];
        for t in ALL {
            assert!(compare(&want, &louder, t).is_err(), "{t:?}");
            assert!(compare(&want, &nothing, t).is_err(), "{t:?}");
        }
    }

    #[test]
    fn check_names_what_failed() {
        let caught = std::panic::catch_unwind(|| check("the logits", &[1.0f32, 2.0], &[1.0f32, 2.5], Tolerance::F32));
        let message = *caught.unwrap_err().downcast::<String>().unwrap();
        assert!(message.starts_with("the logits: NMSE") && message.contains("worst at 1"), "{message}");
    }
}
