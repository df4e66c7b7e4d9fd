/** Which browser this is, as far as it says so: a number without it can't be compared with anyone's. */

interface Brands {
  brands: { brand: string; version: string }[];
  platform: string;
}

export function browserName({ userAgentData, userAgent }: Navigator & { userAgentData?: Brands } = navigator): string {
  if (userAgentData) {
    // Chromium lists itself, the product made of it, and a made-up name that nobody should rely on.
    const real = userAgentData.brands.filter(({ brand }) => !/not.?a.?brand/i.test(brand.replace(/[^a-z]/gi, "")));
    const own = real.find(({ brand }) => brand !== "Chromium") ?? real[0];
    if (own) return [`${own.brand} ${own.version}`, userAgentData.platform].filter(Boolean).join(" · ");
  }
  const [, name, version] = /(Firefox|Edg|Chrome)\/(\d+)/.exec(userAgent) ?? [];
  const safari = /Version\/([\d.]+).*Safari/.exec(userAgent)?.[1];
  const system = /\(([^;)]+)/.exec(userAgent)?.[1];
  const product = name ? `${name} ${version}` : safari ? `Safari ${safari}` : "";
  return [product, system].filter(Boolean).join(" · ") || userAgent;
}
