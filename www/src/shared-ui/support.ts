/** No WebGPU: which browsers have it, and for the one in hand the exact switch. */
import { append, h } from "./dom.js";
import { t, type Key } from "./i18n.js";
import { copyText } from "./announce.js";

type Browser = "insecure" | "chromeLinux" | "chrome" | "android" | "firefox" | "ios" | "safari" | "other";

/** Which advice fits; by the user agent's text, because there is no feature to ask when the feature is missing. */
function browserInHand(agent: string, secure: boolean): Browser {
  if (!secure) return "insecure";
  if (/iPhone|iPad|iPod/.test(agent)) return "ios";
  if (/Firefox\//.test(agent)) return "firefox";
  if (/Android/.test(agent)) return "android";
  if (/Chrome\/|Chromium\/|Edg\//.test(agent))
    return /Linux|X11/.test(agent) && !/CrOS/.test(agent) ? "chromeLinux" : "chrome";
  if (/Safari\//.test(agent)) return "safari";
  return "other";
}

/** Addresses and command lines a page may not open by itself: shown to be copied. */
const SWITCHES: Partial<Record<Browser, string[]>> = {
  chromeLinux: ["chrome://flags/#enable-unsafe-webgpu", "chrome://flags/#enable-vulkan"],
  chrome: ["chrome://settings/system", "chrome://flags/#enable-unsafe-webgpu"],
  android: ["chrome://flags/#enable-unsafe-webgpu"],
  firefox: ["about:config?filter=dom.webgpu.enabled"],
};

const TABLE: [string, Key][] = [
  ["Chrome, Edge", "haveChrome"],
  ["Safari", "haveSafari"],
  ["Firefox", "haveFirefox"],
  ["Chrome (Android)", "haveAndroid"],
  ["Linux", "haveLinux"],
];

/** `what`: what the page can't do now, and what it still can. */
export function supportPage(what: string, reason: string | undefined, again: () => void): HTMLElement {
  const browser = browserInHand(navigator.userAgent, isSecureContext);
  const page = h(
    "section",
    { class: "support", role: "alert" },
    h("h1", { class: "line" }, t("noGpuLine")),
    h("p", {}, what),
    h("h2", {}, t("noGpuHere")),
    h("p", {}, t(`switch_${browser}`)),
  );
  append(page, [
    SWITCHES[browser] &&
      h(
        "ul",
        { class: "switches" },
        ...SWITCHES[browser].map((address) => {
          const button = h(
            "button",
            {
              type: "button",
              class: "button quiet",
              onClick: async () => {
                if (await copyText(address)) button.textContent = t("copied");
              },
            },
            t("copy"),
          );
          return h("li", {}, h("code", {}, address), button);
        }),
      ),
    h("h2", {}, t("noGpuHave")),
    h("dl", {}, ...TABLE.flatMap(([name, key]) => [h("dt", {}, name), h("dd", {}, t(key))])),
    h("div", { class: "ways" }, h("button", { type: "button", class: "button", onClick: again }, t("checkAgain"))),
    reason && h("details", {}, h("summary", {}, t("details")), h("p", {}, reason)),
  ]);
  return page;
}
