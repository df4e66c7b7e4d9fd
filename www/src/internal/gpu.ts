import { InkstoneError } from "../public/error.js";
import type { DeviceOptions } from "../public/types.js";
import type { AdapterInfo } from "./generated.js";

let subgroupsWanted = false;
let wrapped = false;

/**
 * Looks at the adapter that the options ask for, and prepares the next device for the tier that they allow.
 * Throws `Unsupported` without WebGPU and `Gpu` when the browser gives no adapter.
 */
export async function prepareAdapter({ adapter: powerPreference, tier }: DeviceOptions): Promise<AdapterInfo> {
  const gpu: GPU | undefined = navigator.gpu;
  if (!gpu) {
    if (!self.isSecureContext) {
      throw new InkstoneError("Unsupported", "WebGPU needs a secure page: serve it over https or from localhost");
    }
    const advice = "use a current Chrome, Edge, Safari or Firefox, or switch WebGPU on in its settings";
    throw new InkstoneError("Unsupported", `this browser has no WebGPU: ${advice}`);
  }
  const adapter = await gpu.requestAdapter(powerPreference && { powerPreference });
  if (!adapter) {
    const advice = "switch on hardware acceleration, update the graphics driver, or restart the browser";
    throw new InkstoneError("Gpu", `the browser gives no GPU adapter: ${advice}`);
  }
  wrapRequestDevice();
  subgroupsWanted = tier !== "base";
  const { vendor, architecture, device, description, isFallbackAdapter, subgroupMinSize } = adapter.info;
  const { deviceMemory } = navigator as { deviceMemory?: number };
  const subgroups = subgroupsWanted && adapter.features.has("subgroups");
  return {
    vendor,
    architecture,
    device,
    description,
    isFallbackAdapter: isFallbackAdapter ?? false,
    subgroups,
    subgroupMinSize: subgroupMinSize ?? 0,
    ...(deviceMemory !== undefined && { deviceMemory }),
  };
}

/**
 * wgpu 30 can't ask a browser for `subgroups`: its table of features has no entry for it. This worker belongs to
 * Inkstone alone, so its `requestDevice` may add it. To be deleted when wgpu learns it.
 */
function wrapRequestDevice(): void {
  if (wrapped) return;
  wrapped = true;
  const original = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = function (this: GPUAdapter, descriptor: GPUDeviceDescriptor = {}) {
    if (!subgroupsWanted || !this.features.has("subgroups")) return original.call(this, descriptor);
    const requiredFeatures = [...new Set([...(descriptor.requiredFeatures ?? []), "subgroups" as GPUFeatureName])];
    return original.call(this, { ...descriptor, requiredFeatures });
  };
}
