//! Tiers and families: what kernels a device gets.

use crate::format::variants;
use serde::Deserialize;

/// The features of a device that kernels use; each tier includes those before it. Everything works on [`Tier::Base`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Tier {
    /// Core WebGPU at its default limits.
    Base,
    /// Subgroup operations as well.
    Subgroups,
    /// 16-bit floating-point arithmetic as well.
    F16,
}

impl Tier {
    /// Returns the name in options and in `info.tier`.
    pub fn name(self) -> &'static str {
        variants::names::<Tier>()[self as usize]
    }

    /// Returns the tier with this name.
    pub fn from_name(name: &str) -> Option<Tier> {
        variants::named(name)
    }
}

/// Which row of the tables of kernel variants an adapter gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "FamilyName"))]
#[allow(missing_docs)] // vendors' names
pub enum Family {
    /// An adapter that computes on the CPU: barriers cost more than arithmetic, so kernels have none.
    Software,
    /// Any GPU without a row of its own.
    Generic,
    Apple,
    Nvidia,
    Amd,
    Intel,
    Qualcomm,
    Arm,
}

impl Family {
    /// Returns the name in options.
    pub fn name(self) -> &'static str {
        variants::names::<Family>()[self as usize]
    }

    /// Returns the family with this name; `None` also for `"auto"`.
    pub fn from_name(name: &str) -> Option<Family> {
        variants::named(name)
    }

    /// Returns the family that an adapter's own description points to.
    pub(super) fn detect(description: &str, software: bool) -> Family {
        let d = description.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|w| d.contains(w));
        if software || has(&["swiftshader", "llvmpipe", "lavapipe", "basic render"]) {
            Family::Software
        } else if has(&["apple", "metal-3"]) {
            Family::Apple
        } else if has(&["nvidia", "geforce"]) {
            Family::Nvidia
        } else if has(&["amd", "radeon"]) {
            Family::Amd
        } else if has(&["intel"]) {
            Family::Intel
        } else if has(&["qualcomm", "adreno"]) {
            Family::Qualcomm
        } else if has(&["arm", "mali"]) {
            Family::Arm
        } else {
            Family::Generic
        }
    }
}
