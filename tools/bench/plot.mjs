// Bars as a plain SVG. Its colours are readable on a light and on a dark page, since pages don't tell a picture which
// they are.

import { short } from "./table.mjs";

const [WIDTH, NAMES, ROW, GAP] = [760, 190, 22, 34];
const [OURS, THEIRS, TEXT] = ["#d9730d", "#7f8fa6", "#7a8087"];

const escape = (text) => text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

/** Panels of bars: `[{ title, bars: [{ name, value, ours }] }]`. Each panel has a scale of its own, from 0. */
export function plot(panels) {
  const parts = [];
  let y = 0;
  for (const { title, bars } of panels) {
    y += GAP;
    parts.push(`<text x="0" y="${y - 10}" font-weight="bold">${escape(title)}</text>`);
    const most = Math.max(...bars.map(({ value }) => value));
    for (const { name, value, ours } of bars) {
      // Room for the number behind the longest bar.
      const width = Math.max(1, (value / most) * (WIDTH - NAMES - 90));
      const middle = y + ROW / 2;
      const [long, fill] = [width.toFixed(1), ours ? OURS : THEIRS];
      parts.push(`<text x="${NAMES - 8}" y="${middle + 4}" text-anchor="end">${escape(name)}</text>`);
      parts.push(`<rect x="${NAMES}" y="${y + 3}" width="${long}" height="${ROW - 6}" rx="2" fill="${fill}"/>`);
      parts.push(`<text x="${(NAMES + width + 6).toFixed(1)}" y="${middle + 4}">${short(value)}</text>`);
      y += ROW;
    }
  }
  const height = y + 8;
  const size = `viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"`;
  const font = `font-family="sans-serif" font-size="13" fill="${TEXT}"`;
  const open = `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${font}>`;
  return `${[open, ...parts].join("\n")}\n</svg>\n`;
}

/** The panels of the results: what one number each can tell without a GPU. */
export function panels({ modes }) {
  const { language, pictures } = modes.null ?? { language: [], pictures: [] };
  const panel = (title, systems, pick) => ({
    title,
    bars: systems
      .map((one) => ({ name: one.name, value: pick(one), ours: one.kind === "inkstone" }))
      .filter(({ value }) => Number.isFinite(value)),
  });
  const median = (name) => (one) => one.values[name]?.median;
  return [
    panel("Decode where computing takes no time, tokens/s (more is better)", language, median("decode")),
    panel("Host time of a UNet step, ms (less is better)", pictures, median("step")),
    panel("GPU bytes at their peak to the model file's (less is better)", language, (one) => one.peak / one.model),
    panel("Code to download, gzipped MB (less is better)", language, (one) => one.download?.gzip / 1e6),
  ].filter(({ bars }) => bars.length > 0);
}
