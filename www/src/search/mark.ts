/** Which words of a passage are those of a question. Languages without spaces count as well. */

export interface Run {
  text: string;
  marked: boolean;
}

const words = new Intl.Segmenter(undefined, { granularity: "word" });
/** Written without spaces: where words end is a guess, so their letters are looked for wherever they stand. */
const DENSE = /^[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}]/u;
const COMMON = new Set(
  (
    "a about after all am an and any are as at be been but by can could did do does for from had has have he her his " +
    "how i if in into is it its me my no not of on or our she should so than that the their them then there these " +
    "they this to up us was we were what when where which who why will with would you your " +
    "的 了 和 是 在 我 有 不 这 那 他 她 它 们 也 就 都 而 及 与 或 吗 呢 吧 啊 么 要 会 能 可 可以 什么 怎么 怎样 " +
    "如何 为什么 哪 哪里 哪些 谁 多少 几 一个 一 个 我们 你 你们 他们 请 请问 被 把 对 从 到 让 给 之 其 于"
  ).split(" "),
);

/** The words of a question that say what it is about, as they are compared. */
export function termsOf(question: string): string[] {
  const found = Array.from(words.segment(question))
    .filter(({ isWordLike, segment }) => isWordLike && !COMMON.has(fold(segment)))
    .map(({ segment }) => (DENSE.test(segment) ? fold(segment) : stem(fold(segment))));
  return [...new Set(found)];
}

/** The text in runs, those that are words of `terms` marked. */
export function markTerms(text: string, terms: string[]): Run[] {
  const hit = new Uint8Array(text.length);
  const stems = new Set(terms.filter((term) => !DENSE.test(term)));
  for (const { segment, index, isWordLike } of words.segment(text)) {
    if (isWordLike && stems.has(stem(fold(segment)))) hit.fill(1, index, index + segment.length);
  }
  // Length-preserving, so that places are places of the text.
  const lower = text.toLowerCase();
  for (const term of lower.length === text.length ? terms.filter((term) => DENSE.test(term)) : []) {
    for (let at = lower.indexOf(term); at >= 0; at = lower.indexOf(term, at + term.length)) {
      hit.fill(1, at, at + term.length);
    }
  }
  const runs: Run[] = [];
  for (let at = 0; at < text.length;) {
    let end = at + 1;
    while (end < text.length && hit[end] === hit[at]) end++;
    runs.push({ text: text.slice(at, end), marked: hit[at] === 1 });
    at = end;
  }
  return runs;
}

/** Without capitals and accents. */
function fold(word: string): string {
  return word.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "").normalize("NFC");
}

/** Without the endings of English: "stones" and "stone" are one word here. */
function stem(word: string): string {
  if (word.length < 4) return word;
  const short = word
    .replace(/['’]s$/, "")
    .replace(/ies$/, "y")
    .replace(/(?<=..)(?:ing|ed|es|s)$/, "")
    .replace(/e$/, "");
  return short.length >= 3 ? short : word;
}
