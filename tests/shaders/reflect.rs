//! What is wrong with a variant: naga parses and validates its text, and what it declares is compared with the kernel.

use inkstone::gpu::{Access, Field, Tier, Variant};
use naga::back::pipeline_constants::process_overrides;
use naga::proc::Layouter;
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage, StorageAccess, TypeInner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Limits of core WebGPU, which every variant must keep.
const WORKGROUP_MEMORY: u32 = 16384;
const INVOCATIONS: u32 = 256;
const STORAGE_BUFFERS: usize = 8;

thread_local! {
    /// Texts that several variants share, parsed.
    static PARSED: RefCell<BTreeMap<String, Rc<Result<Module, String>>>> = RefCell::default();
}

fn parse(text: String) -> Rc<Result<Module, String>> {
    PARSED.with_borrow_mut(|parsed| {
        let parse = |text: &str| naga::front::wgsl::parse_str(text).map_err(|e| e.emit_to_string(text));
        parsed.entry(text).or_insert_with_key(|text| Rc::new(parse(text))).clone()
    })
}

fn validator(variant: &Variant) -> Validator {
    // unpack2x16float and pack2x16float are core WGSL.
    let mut capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    if variant.tier() >= Tier::Subgroups {
        capabilities |= Capabilities::SUBGROUP;
    }
    if variant.tier() >= Tier::F16 {
        capabilities |= Capabilities::SHADER_FLOAT16;
    }
    Validator::new(ValidationFlags::all(), capabilities)
}

/// Everything that is wrong, a sentence each.
pub fn faults(variant: &Variant) -> Vec<String> {
    let parsed = parse(variant.source(false));
    let module = match &*parsed {
        Ok(module) => module,
        Err(message) => return vec![format!("naga cannot read it: {message}")],
    };
    let mut found = Vec::new();
    compare_bindings(variant, module, &mut found);
    compare_params(variant, module, &mut found);
    for (name, _) in &variant.overrides {
        if !module.overrides.iter().any(|(_, o)| o.name.as_deref() == Some(name)) {
            found.push(format!("there is no override {name}"));
        }
    }
    if !module.entry_points.iter().any(|e| e.name == "main" && e.stage == ShaderStage::Compute) {
        found.push("there is no compute entry point main".to_string());
    }
    let info = match validator(variant).validate(module) {
        Ok(info) => info,
        Err(e) => {
            found.push(format!("naga finds it invalid: {}", e.emit_to_string(&variant.source(false))));
            return found;
        }
    };
    if found.is_empty() {
        specialised(variant, module, &info, &mut found);
    }
    found
}

/// With the overrides' values in place: valid still, and within the limits.
fn specialised(variant: &Variant, module: &Module, info: &naga::valid::ModuleInfo, found: &mut Vec<String>) {
    let constants = variant.overrides.iter().map(|(name, value)| (name.to_string(), *value)).collect();
    let module = match process_overrides(module, info, Some((ShaderStage::Compute, "main")), &constants) {
        Ok((module, _)) => module,
        Err(e) => return found.push(format!("its overrides do not fit: {e}")),
    };
    let [x, y, z] = module.entry_points[0].workgroup_size;
    if x * y * z > INVOCATIONS {
        found.push(format!("{} invocations in a workgroup are over {INVOCATIONS}", x * y * z));
    }
    let mut layouter = Layouter::default();
    if let Err(e) = layouter.update(module.to_ctx()) {
        return found.push(format!("its types have no layout: {e}"));
    }
    let shared = module.global_variables.iter().filter(|(_, g)| g.space == AddressSpace::WorkGroup);
    let bytes: u32 = shared.map(|(_, g)| layouter[g.ty].size.next_multiple_of(16)).sum();
    if bytes > WORKGROUP_MEMORY {
        found.push(format!("{bytes} bytes of workgroup memory are over {WORKGROUP_MEMORY}"));
    }
}

fn compare_bindings(variant: &Variant, module: &Module, found: &mut Vec<String>) {
    let mut declared: BTreeMap<u32, Access> = BTreeMap::new();
    for (_, global) in module.global_variables.iter() {
        let Some(at) = &global.binding else { continue };
        match (at.group, &global.space) {
            (0, AddressSpace::Storage { access }) => {
                let access = if access.contains(StorageAccess::STORE) { Access::Write } else { Access::Read };
                if declared.insert(at.binding, access).is_some() {
                    found.push(format!("two bindings are {}", at.binding));
                }
            }
            (1, AddressSpace::Uniform) if at.binding == 0 => {}
            (group, space) => found.push(format!("binding {} of group {group} is {space:?}", at.binding)),
        }
    }
    let wanted: BTreeMap<u32, Access> = (0..).zip(variant.kernel.bindings.iter().copied()).collect();
    if declared != wanted {
        found.push(format!("its bindings are {declared:?}, but the kernel says {wanted:?}"));
    }
    if declared.len() > STORAGE_BUFFERS {
        found.push(format!("{} storage buffers are over {STORAGE_BUFFERS}", declared.len()));
    }
}

fn compare_params(variant: &Variant, module: &Module, found: &mut Vec<String>) {
    let uniform = module.global_variables.iter().find(|(_, g)| g.space == AddressSpace::Uniform);
    let mut declared: Vec<(String, usize, bool)> = Vec::new();
    if let Some((_, global)) = uniform {
        match &module.types[global.ty].inner {
            TypeInner::Struct { members, .. } => declared.extend(members.iter().map(|m| {
                let word = matches!(module.types[m.ty].inner, TypeInner::Scalar(s) if s.width == 4);
                (m.name.clone().unwrap_or_default(), m.offset as usize, word)
            })),
            other => found.push(format!("Params is {other:?}")),
        }
    }
    let wanted: Vec<(String, usize, bool)> =
        variant.kernel.fields.iter().map(|&(name, offset): &Field| (name.to_string(), offset, true)).collect();
    if declared != wanted {
        found.push(format!("Params has (name, offset, is a word) {declared:?}, but the kernel says {wanted:?}"));
    }
}
