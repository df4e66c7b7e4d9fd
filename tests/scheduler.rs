//! Samplers and noise against diffusers and torch, whose numbers are in `scheduler/golden` (`tools/golden/scheduler.py`
//! wrote them).

mod scheduler {
    mod noise;
    mod programs;
    mod runs;
}

/// The numbers of a golden file.
fn floats(bytes: &[u8]) -> Vec<f32> {
    let (numbers, rest) = bytes.as_chunks();
    assert!(rest.is_empty());
    numbers.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

/// The largest difference of two arrays; not a number if one is in them.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs());
    differences.fold(0.0, |most, d| if d > most || d.is_nan() { d } else { most })
}
