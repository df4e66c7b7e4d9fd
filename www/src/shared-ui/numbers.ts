/** Numbers, sizes, times and dates as people read them, all through `Intl` in the page's language. */
import { locale, t } from "./i18n.js";

const STEPS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;

function sized(bytes: number): { value: number; step: number } {
  let value = bytes;
  let step = 0;
  while (value >= 999.5 && step < STEPS.length - 1) {
    value /= 1000;
    step += 1;
  }
  return { value, step };
}

/** "98.1 MB": decimal units, as download sizes are written. */
export function bytes(count: number): string {
  const { value, step } = sized(count);
  const digits = step === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return new Intl.NumberFormat(locale(), {
    style: "unit",
    unit: STEPS[step],
    unitDisplay: step === 0 ? "long" : "short",
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(value);
}

/** "12.4 MB/s". */
export function speed(bytesPerSecond: number): string {
  const { value, step } = sized(bytesPerSecond);
  return new Intl.NumberFormat(locale(), {
    style: "unit",
    unit: `${STEPS[step]}-per-second`,
    unitDisplay: "short",
    minimumFractionDigits: step > 1 ? 1 : 0,
    maximumFractionDigits: step > 1 ? 1 : 0,
  }).format(value);
}

/** "98,123,456", or with `digits` after the point. */
export function count(value: number, digits = 0): string {
  return new Intl.NumberFormat(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(
    value,
  );
}

/** "135M", "1.24B" as model sizes are written everywhere. */
export function parameters(value: number): string {
  if (value >= 1e9) return count(value / 1e9, value >= 1e10 ? 0 : 1) + "B";
  return count(value / 1e6) + "M";
}

export function percent(fraction: number): string {
  return new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 0 }).format(fraction);
}

/** "3.1%", "46%": parts of which the small ones matter too. */
export function share(fraction: number): string {
  const digits = fraction < 0.0995 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 0 };
  return new Intl.NumberFormat(locale(), { style: "percent", ...digits }).format(fraction);
}

/** "1,234", "56.7", "0.0123": three digits that mean something, and no fewer before the point than there are. */
export function significant(value: number): string {
  const rounded = value >= 100 ? Math.round(value) : value;
  const digits = value >= 100 ? {} : { minimumSignificantDigits: 3, maximumSignificantDigits: 3 };
  return new Intl.NumberFormat(locale(), digits).format(rounded);
}

/** "12.3 GB/s", "1.40 TFLOP/s": units that are written alike in every language. */
export function scaled(value: number, unit: string): string {
  const prefixes = ["", "k", "M", "G", "T", "P"];
  const step = Math.min(Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)), prefixes.length - 1);
  return `${significant(value / 1000 ** step)} ${prefixes[step]}${unit}`;
}

/** "8 sec", "3 min", "1 hr, 5 min": coarse on purpose, a guess should not look exact. */
export function duration(seconds: number): string {
  const unit = (value: number, name: "second" | "minute" | "hour") =>
    new Intl.NumberFormat(locale(), {
      style: "unit",
      unit: name,
      unitDisplay: "short",
      maximumFractionDigits: 0,
    }).format(value);
  if (seconds < 60) return unit(Math.max(1, Math.round(seconds)), "second");
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return unit(minutes, "minute");
  return `${unit(Math.floor(minutes / 60), "hour")} ${unit(minutes % 60, "minute")}`;
}

/** Decode speed: one digit below ten, none above. */
export function tokensPerSecond(value: number): string {
  return t("tokensPerSecond", { n: count(value, value < 10 ? 1 : 0) });
}

/** "Today", "Yesterday", a weekday within the last week, otherwise month and day: the headings of the rail. */
export function day(time: number, now = Date.now()): string {
  const midnight = (at: number) => new Date(at).setHours(0, 0, 0, 0);
  const days = Math.round((midnight(now) - midnight(time)) / 86_400_000);
  if (days <= 1) {
    const text = new Intl.RelativeTimeFormat(locale(), { numeric: "auto" }).format(-Math.max(0, days), "day");
    return text.charAt(0).toLocaleUpperCase(locale()) + text.slice(1);
  }
  if (days < 7) return new Intl.DateTimeFormat(locale(), { weekday: "long" }).format(time);
  const sameYear = new Date(time).getFullYear() === new Date(now).getFullYear();
  return new Intl.DateTimeFormat(locale(), {
    month: "long",
    day: "numeric",
    year: sameYear ? undefined : "numeric",
  }).format(time);
}

/** "24 Nov 2026, 14:05" for titles and exports. */
export function moment(time: number): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(time);
}
