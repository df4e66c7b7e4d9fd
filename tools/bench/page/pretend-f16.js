// For counts only: lets a runtime that refuses adapters without shader-f16 start on one. The feature is advertised and
// shaders compile with f32 in place of f16, so what they would compute is wrong; which calls are made is not.
(() => {
  const shown = (type) => {
    const own = Object.getOwnPropertyDescriptor(type.prototype, "features");
    const get = function () {
      return new Set([...own.get.call(this), "shader-f16"]);
    };
    Object.defineProperty(type.prototype, "features", { get, configurable: true });
  };
  shown(GPUAdapter);
  shown(GPUDevice);
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = function (wanted = {}) {
    const requiredFeatures = [...(wanted.requiredFeatures ?? [])].filter((name) => name !== "shader-f16");
    return requestDevice.call(this, { ...wanted, requiredFeatures });
  };
  const four = "benchFour";
  const rules = [
    [/enable\s+f16\s*;/g, ""],
    [/bitcast<\s*vec2<\s*f16\s*>\s*>\s*\(/g, "unpack2x16float("],
    [/bitcast<\s*vec2h\s*>\s*\(/g, "unpack2x16float("],
    [/bitcast<\s*f16\s*>\s*\(/g, "f32("],
    [/bitcast<\s*vec4<\s*f16\s*>\s*>\s*\(/g, `${four}(`],
    [/(\d(?:\.\d*)?(?:[eE][-+]?\d+)?)h\b/g, "$1f"],
    [/vec([234])h\b/g, "vec$1<f32>"],
    [/\bf16\b/g, "f32"],
  ];
  const both = "vec4<f32>(unpack2x16float(x.x), unpack2x16float(x.y))";
  const unpack = `\nfn ${four}(x: vec2<u32>) -> vec4<f32> { return ${both}; }`;
  const { createShaderModule } = GPUDevice.prototype;
  GPUDevice.prototype.createShaderModule = function (wanted) {
    let { code } = wanted;
    if (/\bf16\b/.test(code)) {
      for (const [from, to] of rules) code = code.replace(from, to);
      if (code.includes(`${four}(`)) code += unpack;
    }
    return createShaderModule.call(this, { ...wanted, code });
  };
})();
