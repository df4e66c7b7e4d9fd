//! Random strings of everything that tokenizers get wrong.

/// A small generator of numbers, the same on every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, count: usize) -> usize {
        (self.next() >> 11) as usize % count.max(1)
    }

    fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

const WORDS: [&str; 44] = [
    "Hello",
    "world",
    "the",
    "un",
    "able",
    "don't",
    "I'LL",
    "we've",
    "HTTPServer",
    "naïve",
    "café",
    "e\u{301}a\u{308}",
    "Straße",
    "İstanbul",
    "ﬁne",
    "Ⅷ",
    "½",
    "①",
    "привет",
    "Ёлка",
    "γειά",
    "ΣΊΣΥΦΟΣ",
    "中文字符",
    "漢字かな",
    "カタカナ",
    "ｶﾞ",
    "한국어",
    "שלום",
    "مرحبا",
    "हिन्दी",
    "ไทย",
    "ქართული",
    "𝔘𝔫𝔦",
    "👍🏽",
    "👨‍👩‍👧‍👦",
    "🇩🇪",
    "☃️",
    "™",
    "…",
    "ﷺ",
    "l\u{b7}l",
    "à",
    "ﾊﾟ",
    "々",
];
const CODE: [&str; 14] = [
    "fn main() {\n    let x = 42;\n}",
    "#include <stdio.h>",
    "a+=b**2//3",
    "<div class=\"x\">",
    "x_y-z",
    "0xDEADBEEF",
    "https://a.b/c?d=e&f",
    "//---->>>",
    "if(a&&b||!c)",
    "\\n\\t",
    "`~!@#$%^&*()_+",
    "C:\\Users",
    "[UNK]",
    "▁_▁▁",
];
const SPACES: [&str; 14] = [
    " ",
    "  ",
    "    ",
    "\n",
    "\n\n",
    "\r\n",
    "\t",
    "\u{a0}",
    "\u{3000}",
    "\u{2003}",
    "\u{b}",
    "\u{c}",
    "\u{85}",
    " \u{200b}",
];
const MARKS: [&str; 14] =
    [".", ",", "!", "?", "'", "\"", "-", "—", "。", "「", "\u{200d}", "\u{fe0f}", "\u{0}", "\u{7f}"];

/// Returns `count` strings; some of `special` are written in them.
pub fn texts(count: usize, seed: u64, special: &[String]) -> Vec<String> {
    let mut random = Random(seed);
    let mut texts: Vec<String> = ["", " ", "a", "  a", "a  ", "\n"].map(String::from).to_vec();
    while texts.len() < count {
        let mut text = String::new();
        for _ in 0..=random.below(12) {
            match random.below(16) {
                0..=4 => text.push_str(random.of(&WORDS)),
                5..=7 => text.push_str(random.of(&SPACES)),
                8 | 9 => text.push_str(random.of(&MARKS)),
                10 => text.push_str(random.of(&CODE)),
                11 => text.push_str(&(random.next() >> (random.below(50) + 8)).to_string()),
                12 if !special.is_empty() => {
                    let token = random.of(special);
                    text.push_str(&token);
                }
                13 => (0..random.below(9)).for_each(|_| text.push(char::from(0x20 + random.below(0x5F) as u8))),
                14 => {
                    let starts = [0x80, 0x100, 0x370, 0x5D0, 0x900, 0x1E00, 0x2000, 0x3040, 0x4E00, 0xAC00, 0x1F300];
                    let start = random.of(&starts);
                    (0..random.below(6)).for_each(|_| text.extend(char::from_u32(start + random.below(0x80) as u32)));
                }
                _ => text.push(' '),
            }
        }
        texts.push(text);
    }
    texts
}
