//! Pipelines: kernels with their parts, compiled once for a device and kept.

use super::counters::{Counters, count};
use super::kernel::{Access, Kernel, Variant};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A compiled variant.
pub(super) struct Pipeline {
    pub raw: wgpu::ComputePipeline,
    pub tensors: Rc<wgpu::BindGroupLayout>,
    pub params: Option<Rc<wgpu::BindGroupLayout>>,
}

/// Everything compiled so far on a device.
#[derive(Default)]
pub(super) struct Pipelines {
    by_label: BTreeMap<String, Rc<Pipeline>>,
    layouts: BTreeMap<&'static str, Rc<wgpu::BindGroupLayout>>,
    params: Option<Rc<wgpu::BindGroupLayout>>,
}

fn layout_entry(binding: usize, ty: wgpu::BufferBindingType) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding: binding as u32,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}

impl Pipelines {
    /// Returns the pipeline of a variant; compiles it if it is not there.
    pub fn pipeline(&mut self, device: &wgpu::Device, counters: &Counters, variant: &Variant) -> Rc<Pipeline> {
        let label = variant.label();
        if let Some(p) = self.by_label.get(&label) {
            return p.clone();
        }
        let kernel = variant.kernel;
        let tensors = self.tensor_layout(device, kernel);
        let params = (!kernel.fields.is_empty()).then(|| self.params_layout(device));
        let groups: Vec<_> = std::iter::once(Some(&*tensors)).chain(params.as_deref().map(Some)).collect();
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(kernel.name),
            bind_group_layouts: &groups,
            immediate_size: 0,
        });
        count(&counters.modules, 1);
        let text = wgpu::ShaderModuleDescriptor {
            label: Some(&label),
            source: wgpu::ShaderSource::Wgsl(variant.source(cfg!(target_arch = "wasm32")).into()),
        };
        // naga's own counter in every loop keeps a driver from unrolling it, which cost GPUs up to half of their speed.
        let checks = wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..wgpu::ShaderRuntimeChecks::checked() };
        // SAFETY: the loops of our kernels end: each counts to a bound (tests/shaders.rs). Everything else is checked.
        let module = unsafe { device.create_shader_module_trusted(text, checks) };
        count(&counters.pipelines, 1);
        let raw = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: Some(&layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &variant.overrides,
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        let pipeline = Rc::new(Pipeline { raw, tensors, params });
        self.by_label.insert(label, pipeline.clone());
        pipeline
    }

    fn tensor_layout(&mut self, device: &wgpu::Device, kernel: &'static Kernel) -> Rc<wgpu::BindGroupLayout> {
        let make = || {
            let entries: Vec<_> = kernel
                .bindings
                .iter()
                .enumerate()
                .map(|(i, a)| layout_entry(i, wgpu::BufferBindingType::Storage { read_only: *a == Access::Read }))
                .collect();
            Rc::new(device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(kernel.name),
                entries: &entries,
            }))
        };
        self.layouts.entry(kernel.name).or_insert_with(make).clone()
    }

    fn params_layout(&mut self, device: &wgpu::Device) -> Rc<wgpu::BindGroupLayout> {
        let make = || {
            Rc::new(device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some("params"),
                entries: &[layout_entry(0, wgpu::BufferBindingType::Uniform)],
            }))
        };
        self.params.get_or_insert_with(make).clone()
    }
}
