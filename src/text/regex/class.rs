//! Character classes of tokenizer patterns.

use unicode_general_category::{GeneralCategory as Gc, get_general_category};

/// One member of a class.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// From the first to the second, both included.
    Range(char, char),
    /// Of one of these general categories: a set of [`bit`]s.
    Category(u32),
    /// White space in the sense of Unicode.
    Space,
    /// The characters that `\w` matches.
    Word,
    /// The Han script.
    Han,
    /// Any character.
    Any,
    /// All characters that are not in the item.
    Not(Box<Item>),
    /// The characters of another class.
    Class(Box<Class>),
}

/// A set of characters.
#[derive(Clone, Debug)]
pub(super) struct Class {
    items: Vec<Item>,
    negate: bool,
    /// Must also be in this class (`&&`).
    and: Option<Box<Class>>,
    /// Upper and lower case are the same.
    fold: bool,
    /// The answers for ASCII, one bit per character.
    ascii: u128,
}

/// Returns the category's place in a set.
fn bit(category: Gc) -> u32 {
    1 << category as u32
}

/// Returns whether `\w` matches `c`: alphabetic characters, marks, decimal digits, connectors, and the two joiners (UTS
/// #18).
pub(in crate::text) fn is_word(c: char) -> bool {
    const WORD: [Gc; 5] =
        [Gc::NonspacingMark, Gc::SpacingMark, Gc::EnclosingMark, Gc::DecimalNumber, Gc::ConnectorPunctuation];
    match c {
        '\u{200C}' | '\u{200D}' => true,
        c if c.is_ascii() => c.is_ascii_alphanumeric() || c == '_',
        c => c.is_alphabetic() || WORD.contains(&get_general_category(c)),
    }
}

/// Returns whether `c` is a control, format or private character.
pub(in crate::text) fn is_control(c: char) -> bool {
    matches!(get_general_category(c), Gc::Control | Gc::Format | Gc::PrivateUse | Gc::Surrogate)
}

/// Returns whether `c` is a mark that takes no room.
pub(in crate::text) fn is_nonspacing(c: char) -> bool {
    get_general_category(c) == Gc::NonspacingMark
}

/// Returns whether `c` belongs to the Han script (Unicode's Scripts.txt).
fn is_han(c: char) -> bool {
    matches!(u32::from(c),
        0x2E80..=0x2E99 | 0x2E9B..=0x2EF3 | 0x2F00..=0x2FD5 | 0x3005 | 0x3007 | 0x3021..=0x3029 | 0x3038..=0x303B
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFA6D | 0xFA70..=0xFAD9 | 0x16FE2..=0x16FE3 | 0x16FF0..=0x16FF1
        | 0x20000..=0x2A6DF | 0x2A700..=0x2B739 | 0x2B740..=0x2B81D | 0x2B820..=0x2CEA1 | 0x2CEB0..=0x2EBE0
        | 0x2EBF0..=0x2EE5D | 0x2F800..=0x2FA1D | 0x30000..=0x3134A | 0x31350..=0x323AF)
}

/// Returns the item that a property name stands for (`L`, `Lu`, `Letter`, `Han`, ...); `None` if the name is not known.
pub(super) fn property(name: &str) -> Option<Item> {
    use Gc::*;
    let categories: &[Gc] = match name {
        "L" | "Letter" => &[UppercaseLetter, LowercaseLetter, TitlecaseLetter, ModifierLetter, OtherLetter],
        "Lu" | "Upper" | "Uppercase_Letter" => &[UppercaseLetter],
        "Ll" | "Lower" | "Lowercase_Letter" => &[LowercaseLetter],
        "Lt" | "Titlecase_Letter" => &[TitlecaseLetter],
        "Lm" | "Modifier_Letter" => &[ModifierLetter],
        "Lo" | "Other_Letter" => &[OtherLetter],
        "M" | "Mark" => &[NonspacingMark, SpacingMark, EnclosingMark],
        "Mn" | "Nonspacing_Mark" => &[NonspacingMark],
        "Mc" | "Spacing_Mark" => &[SpacingMark],
        "Me" | "Enclosing_Mark" => &[EnclosingMark],
        "N" | "Number" => &[DecimalNumber, LetterNumber, OtherNumber],
        "Nd" | "Digit" | "Decimal_Number" => &[DecimalNumber],
        "Nl" | "Letter_Number" => &[LetterNumber],
        "No" | "Other_Number" => &[OtherNumber],
        "P" | "Punct" | "Punctuation" => &[
            ConnectorPunctuation,
            DashPunctuation,
            OpenPunctuation,
            ClosePunctuation,
            InitialPunctuation,
            FinalPunctuation,
            OtherPunctuation,
        ],
        "Pc" | "Connector_Punctuation" => &[ConnectorPunctuation],
        "Pd" | "Dash_Punctuation" => &[DashPunctuation],
        "Ps" | "Open_Punctuation" => &[OpenPunctuation],
        "Pe" | "Close_Punctuation" => &[ClosePunctuation],
        "Pi" | "Initial_Punctuation" => &[InitialPunctuation],
        "Pf" | "Final_Punctuation" => &[FinalPunctuation],
        "Po" | "Other_Punctuation" => &[OtherPunctuation],
        "S" | "Symbol" => &[MathSymbol, CurrencySymbol, ModifierSymbol, OtherSymbol],
        "Sm" | "Math_Symbol" => &[MathSymbol],
        "Sc" | "Currency_Symbol" => &[CurrencySymbol],
        "Sk" | "Modifier_Symbol" => &[ModifierSymbol],
        "So" | "Other_Symbol" => &[OtherSymbol],
        "Z" | "Separator" => &[SpaceSeparator, LineSeparator, ParagraphSeparator],
        "Zs" | "Space_Separator" => &[SpaceSeparator],
        "Zl" | "Line_Separator" => &[LineSeparator],
        "Zp" | "Paragraph_Separator" => &[ParagraphSeparator],
        "C" | "Other" => &[Control, Format, Surrogate, PrivateUse, Unassigned],
        "Cc" | "Cntrl" | "Control" => &[Control],
        "Cf" | "Format" => &[Format],
        "Co" | "Private_Use" => &[PrivateUse],
        "Cn" | "Unassigned" => &[Unassigned],
        "Han" | "Script=Han" | "sc=Han" => return Some(Item::Han),
        "Space" | "White_Space" => return Some(Item::Space),
        "Any" => return Some(Item::Any),
        _ => return None,
    };
    Some(Item::Category(categories.iter().fold(0, |set, &c| set | bit(c))))
}

impl Item {
    fn has(&self, c: char) -> bool {
        match self {
            Item::Range(low, high) => (*low..=*high).contains(&c),
            Item::Category(set) => bit(get_general_category(c)) & set != 0,
            Item::Space => c.is_whitespace(),
            Item::Word => is_word(c),
            Item::Han => is_han(c),
            Item::Any => true,
            Item::Not(item) => !item.has(c),
            Item::Class(class) => class.has(c),
        }
    }
}

impl Class {
    /// Makes the class of `items`, or of all others if `negate`, that are also in `and`; `fold` ignores case.
    pub fn new(items: Vec<Item>, negate: bool, and: Option<Class>, fold: bool) -> Self {
        let mut class = Class { items, negate, and: and.map(Box::new), fold, ascii: 0 };
        class.ascii = (0..128u8).filter(|&b| class.look(b as char)).fold(0, |set, b| set | 1 << b);
        class
    }

    /// Makes the class of one item.
    pub fn of(item: Item, fold: bool) -> Self {
        Class::new(vec![item], false, None, fold)
    }

    /// Returns whether `c` is in the class.
    pub fn has(&self, c: char) -> bool {
        if c.is_ascii() { self.ascii >> (c as u32) & 1 == 1 } else { self.look(c) }
    }

    fn look(&self, c: char) -> bool {
        let inside = |c: char| self.items.iter().any(|item| item.has(c)) && self.and.as_ref().is_none_or(|a| a.has(c));
        let found = if self.fold {
            // The letters that are equal when case is ignored: K, k and the Kelvin sign, S, s and the long s.
            let upper = c.to_uppercase().next().unwrap_or(c);
            let lower = c.to_lowercase().next().unwrap_or(c);
            let folded = upper.to_lowercase().next().unwrap_or(c);
            [c, upper, lower, folded].into_iter().any(inside)
        } else {
            inside(c)
        };
        found != self.negate
    }
}
