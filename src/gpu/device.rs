//! The device: the capabilities of its adapter, and its options.

use super::counters::Counters;
use super::kernel::Variant;
use super::pipelines::{Pipeline, Pipelines};
use super::tier::{Family, Tier};
use crate::{Error, Result};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// Options for opening a device.
#[derive(Clone, Debug, Default)]
pub struct GpuOptions {
    /// The highest tier allowed.
    pub tier: Option<Tier>,
    /// The family whose kernel variants are used, whatever the adapter is.
    pub family: Option<Family>,
    /// Prefer the adapter that draws less power.
    pub low_power: bool,
    /// The browser's description of its adapter, which wgpu does not pass on: vendor, architecture, description.
    pub description: String,
    /// The browser's device will have subgroups although wgpu does not list them.
    pub subgroups: bool,
    /// Invocations in the smallest subgroup, as the browser says; 0: ask wgpu.
    pub subgroup_size: u32,
    /// Split weights as if no binding could be larger, bytes: for tests.
    pub max_binding: Option<u64>,
    /// Fold grids as if no dimension could have more workgroups: for tests.
    pub max_grid: Option<usize>,
    /// Kernels as for llvmpipe, or not: for tests.
    pub llvmpipe: Option<bool>,
}

/// Capabilities of the opened adapter.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// The adapter's name for people.
    pub name: String,
    /// The tier in use.
    pub tier: Tier,
    /// The family in use.
    pub family: Family,
    /// Largest storage binding, bytes.
    pub max_binding: u64,
    /// Most workgroups in a dimension of a grid.
    pub max_grid: usize,
    /// Largest buffer, bytes.
    pub max_buffer: u64,
    /// Workgroup memory, bytes.
    pub workgroup_memory: u32,
    /// Invocations in the smallest subgroup the device makes.
    pub subgroup: u32,
    /// Whether its driver is Mesa's llvmpipe, which takes minutes to compile large loops.
    pub llvmpipe: bool,
    /// Whether its WGSL has dot products of four integers of eight bits.
    pub int8: bool,
}

impl Adapter {
    /// Returns two dimensions of a grid that have room for `n` workgroups.
    pub fn folded(&self, n: usize) -> [usize; 2] {
        let x = n.clamp(1, self.max_grid);
        [x, n.max(1).div_ceil(x)]
    }
}

/// An open device. Shared by reference counting; one per page.
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) pipelines: RefCell<Pipelines>,
    adapter: Adapter,
    counters: Counters,
    pub(super) choices: Cell<u32>,
    /// A bit for each suite of kernels.
    pub(super) tested: Cell<u32>,
    /// The first error that no error scope caught, or the reason why the device was lost.
    trouble: Arc<Mutex<Option<String>>>,
}

impl Gpu {
    /// Opens the adapter that the platform prefers (natively, the environment may choose: `VK_ICD_FILENAMES`,
    /// `WGPU_BACKEND`).
    ///
    /// # Errors
    /// [`Error::Gpu`] if there is no adapter or it refuses a device.
    pub async fn open(options: &GpuOptions) -> Result<Rc<Gpu>> {
        #[cfg(not(target_arch = "wasm32"))]
        let how = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        #[cfg(target_arch = "wasm32")]
        let how = wgpu::InstanceDescriptor::new_without_display_handle();
        let instance = wgpu::Instance::new(how);
        let adapter = instance
            .request_adapter(&wgpu::RequestAdapterOptions {
                power_preference: if options.low_power {
                    wgpu::PowerPreference::LowPower
                } else {
                    wgpu::PowerPreference::HighPerformance
                },
                ..Default::default()
            })
            .await
            .map_err(|e| {
                Error::gpu(format!("no GPU adapter is available; turn on WebGPU or update the driver ({e})"))
            })?;
        let info = adapter.get_info();
        let has = adapter.features();
        let subgroups = options.subgroups || has.contains(wgpu::Features::SUBGROUP);
        let offered = match (subgroups, has.contains(wgpu::Features::SHADER_F16)) {
            (true, true) => Tier::F16,
            (true, false) => Tier::Subgroups,
            (false, _) => Tier::Base,
        };
        let tier = options.tier.map_or(offered, |t| t.min(offered));
        let mut features = wgpu::Features::empty();
        if tier >= Tier::Subgroups {
            features |= has & wgpu::Features::SUBGROUP;
        }
        if tier >= Tier::F16 {
            features |= wgpu::Features::SHADER_F16;
        }
        let limits = limits(&adapter.limits(), options.tier == Some(Tier::Base));
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("inkstone"),
                required_features: features,
                required_limits: limits.clone(),
                ..Default::default()
            })
            .await
            .map_err(|e| {
                Error::gpu(format!("the GPU adapter refused a device; reload the page and try again ({e})"))
            })?;
        let trouble = Arc::new(Mutex::new(None));
        let note = |slot: &Arc<Mutex<Option<String>>>, text: String| {
            if let Ok(mut first) = slot.lock() {
                first.get_or_insert(text);
            }
        };
        let slot = trouble.clone();
        device.on_uncaptured_error(Arc::new(move |e| note(&slot, e.to_string())));
        let slot = trouble.clone();
        device.set_device_lost_callback(move |reason, text| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                note(&slot, format!("the device was lost ({text}); close other tabs that use the GPU and load again"));
            }
        });
        let description = format!("{} {} {}", info.name, info.driver, options.description);
        let family =
            options.family.unwrap_or_else(|| Family::detect(&description, info.device_type == wgpu::DeviceType::Cpu));
        let name = [info.name.as_str(), options.description.as_str(), "unnamed adapter"]
            .into_iter()
            .find(|n| !n.trim().is_empty())
            .unwrap_or_default()
            .trim()
            .to_string();
        let adapter = Adapter {
            name,
            tier,
            family,
            max_binding: options.max_binding.unwrap_or(u64::MAX).min(limits.max_storage_buffer_binding_size),
            max_grid: options.max_grid.unwrap_or(usize::MAX).min(limits.max_compute_workgroups_per_dimension as usize),
            max_buffer: limits.max_buffer_size,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            subgroup: if options.subgroup_size > 0 { options.subgroup_size } else { info.subgroup_min_size },
            llvmpipe: options.llvmpipe.unwrap_or_else(|| description.contains("llvmpipe")),
            int8: instance.wgsl_language_features().contains(wgpu::WgslLanguageFeatures::Packed4x8IntegerDotProduct),
        };
        Ok(Rc::new(Gpu {
            device,
            queue,
            pipelines: RefCell::default(),
            adapter,
            counters: Counters::default(),
            choices: Cell::new(0),
            tested: Cell::new(0),
            trouble,
        }))
    }

    /// Returns the capabilities of its adapter.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// Returns the counters of what the device was asked for.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns the pipeline of a variant, made on first use. Call inside an error scope: see `Plan`.
    pub(super) fn pipeline(&self, variant: &Variant) -> Rc<Pipeline> {
        let needed = variant.tier();
        assert!(needed <= self.adapter.tier, "{} needs a higher tier than the device has", variant.label());
        self.pipelines.borrow_mut().pipeline(&self.device, &self.counters, variant)
    }

    /// Resets [`Counters::peak_bytes`] to the bytes that are live now.
    pub fn watch_peak(&self) {
        self.counters.peak_bytes.set(self.counters.live_bytes.get());
    }

    /// Returns whether [`Gpu::set_tested`] was called for this suite of kernels.
    pub fn is_tested(&self, suite: u32) -> bool {
        self.tested.get() & 1 << suite != 0
    }

    /// Notes that a suite of kernels agrees with the CPU on this device.
    pub fn set_tested(&self, suite: u32) {
        self.tested.set(self.tested.get() | 1 << suite);
    }

    /// Fails if anything went wrong on the device since it was opened.
    ///
    /// # Errors
    /// [`Error::Gpu`] with the first message.
    pub fn check(&self) -> Result<()> {
        match self.trouble.lock() {
            Ok(t) => t.as_ref().map_or(Ok(()), |what| Err(Error::gpu(format!("the GPU reported: {what}")))),
            Err(_) => Err(Error::gpu("the GPU's error state is unreadable; load the model again")),
        }
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        self.device.destroy();
    }
}

/// Returns the limits to ask for: the defaults of WebGPU, raised to the adapter's own where that only makes things
/// faster.
fn limits(adapter: &wgpu::Limits, base_only: bool) -> wgpu::Limits {
    let mut limits = wgpu::Limits::default();
    if !base_only {
        limits.max_storage_buffer_binding_size = adapter.max_storage_buffer_binding_size;
        limits.max_buffer_size = adapter.max_buffer_size;
    }
    limits
}
