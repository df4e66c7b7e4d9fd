//! Writes values and times as Python does, which templates written for Python expect.

use minijinja::value::{Value, ValueKind};

/// How a value is written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Style {
    /// As `json.dumps(value, ensure_ascii=False)` does.
    Json,
    /// As `repr(value)` does.
    Repr,
}

/// The options of `json.dumps`.
#[derive(Clone, Default)]
pub(super) struct Layout {
    /// Spaces or other text per level; each item gets its own line.
    pub indent: Option<String>,
    /// Between items and after keys, in place of Python's choice.
    pub separators: Option<(String, String)>,
    pub sort_keys: bool,
    /// `\u` escapes for all but ASCII.
    pub ascii: bool,
}

/// Appends `value` to `out`. The error names the value that cannot be written.
pub(super) fn write(
    value: &Value,
    style: Style,
    layout: &Layout,
    depth: usize,
    out: &mut String,
) -> Result<(), String> {
    if depth > 100 {
        return Err("a value nests too deeply to be written".into());
    }
    let json = style == Style::Json;
    match value.kind() {
        ValueKind::Undefined if json => return Err("an undefined value cannot be written as JSON".into()),
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::None => out.push_str(if json { "null" } else { "None" }),
        ValueKind::Bool => out.push_str(match (value.is_true(), json) {
            (true, true) => "true",
            (false, true) => "false",
            (true, false) => "True",
            (false, false) => "False",
        }),
        ValueKind::Number if value.is_integer() => out.push_str(&value.to_string()),
        ValueKind::Number => match f64::try_from(value.clone()) {
            Ok(number) => out.push_str(&float(number, json)),
            Err(_) => return Err("a number cannot be written".into()),
        },
        ValueKind::String => match json {
            true => json_string(value.as_str().unwrap_or_default(), layout.ascii, out),
            false => repr_string(value.as_str().unwrap_or_default(), out),
        },
        ValueKind::Map => {
            let mut keys: Vec<Value> = value.try_iter().map_err(|e| e.to_string())?.collect();
            if layout.sort_keys {
                keys.sort();
            }
            list('{', '}', &keys, layout, depth, out, |key, out| {
                match (json, key.as_str()) {
                    (true, Some(text)) => json_string(text, layout.ascii, out),
                    (true, None) => {
                        let mut text = String::new();
                        write(key, style, layout, depth + 1, &mut text)?;
                        json_string(&text, layout.ascii, out);
                    }
                    (false, _) => write(key, style, layout, depth + 1, out)?,
                }
                out.push_str(layout.separators.as_ref().map_or(": ", |s| &s.1));
                let item = value.get_item(key).map_err(|e| e.to_string())?;
                write(&item, style, layout, depth + 1, out)
            })?;
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Vec<Value> = value.try_iter().map_err(|e| e.to_string())?.collect();
            list('[', ']', &items, layout, depth, out, |item, out| write(item, style, layout, depth + 1, out))?;
        }
        _ if json => return Err(format!("a {} cannot be written as JSON", value.kind())),
        _ => out.push_str(&value.to_string()),
    }
    Ok(())
}

/// Appends a bracketed list, on one line or with one item a line.
fn list(
    open: char,
    close: char,
    items: &[Value],
    layout: &Layout,
    depth: usize,
    out: &mut String,
    mut each: impl FnMut(&Value, &mut String) -> Result<(), String>,
) -> Result<(), String> {
    let line = |depth: usize, out: &mut String| {
        if let Some(indent) = &layout.indent {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str(indent));
        }
    };
    out.push(open);
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            let plain = if layout.indent.is_some() { "," } else { ", " };
            out.push_str(layout.separators.as_ref().map_or(plain, |s| &s.0));
        }
        line(depth + 1, out);
        each(item, out)?;
    }
    if !items.is_empty() {
        line(depth, out);
    }
    out.push(close);
    Ok(())
}

/// Returns the shortest digits that give the same number back, in Python's form: `1.0`, `1e-05`, `1e+16`.
fn float(number: f64, json: bool) -> String {
    if !number.is_finite() {
        let names = if json { ("NaN", "Infinity") } else { ("nan", "inf") };
        let sign = if number < 0.0 { "-" } else { "" };
        return if number.is_nan() { names.0.into() } else { format!("{sign}{}", names.1) };
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        -4..16 => {
            let plain = number.to_string();
            if plain.contains('.') { plain } else { format!("{plain}.0") }
        }
        exponent => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}

fn json_string(text: &str, ascii: bool, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            c if c < ' ' || ascii && !c.is_ascii() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn repr_string(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if c < ' ' || c == '\x7f' => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// Returns a time in seconds since 1970 as `strftime` writes it, with the names of the C locale. Unknown codes stay as
/// written.
pub(super) fn strftime(format: &str, seconds: i64) -> String {
    const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    // Twice the widest span of the calendar that anyone's clock shows; beyond it the arithmetic could overflow.
    let seconds = seconds.clamp(-1 << 40, 1 << 40);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    // The calendar repeats every 400 years; a year is counted from March so that leap days come last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let january = if month > 2 { day_of_year + 60 + i64::from(leap) } else { day_of_year - 305 };
    let week_day = (days + 4).rem_euclid(7) as usize;
    let month_name = MONTHS[(month - 1).clamp(0, 11) as usize];
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };

    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut code = chars.next();
        let bare = code == Some('-');
        if bare {
            code = chars.next();
        }
        let number = |value: i64, width: usize| if bare { value.to_string() } else { format!("{value:0width$}") };
        out.push_str(&match code {
            Some('Y') => year.to_string(),
            Some('y') => number(year.rem_euclid(100), 2),
            Some('m') => number(month, 2),
            Some('d') => number(day, 2),
            Some('e') => format!("{day:2}"),
            Some('j') => number(january, 3),
            Some('H') => number(hour, 2),
            Some('I') => number(twelve, 2),
            Some('M') => number(minute, 2),
            Some('S') => number(second, 2),
            Some('p') => if hour < 12 { "AM" } else { "PM" }.to_string(),
            Some('B') => month_name.to_string(),
            Some('b' | 'h') => month_name[..3].to_string(),
            Some('A') => DAYS[week_day].to_string(),
            Some('a') => DAYS[week_day][..3].to_string(),
            Some('F') => format!("{year}-{month:02}-{day:02}"),
            Some('T') => format!("{hour:02}:{minute:02}:{second:02}"),
            Some('R') => format!("{hour:02}:{minute:02}"),
            Some('D') => format!("{month:02}/{day:02}/{:02}", year.rem_euclid(100)),
            Some('%') => "%".to_string(),
            Some(other) if bare => format!("%-{other}"),
            Some(other) => format!("%{other}"),
            None => "%".to_string(),
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str, style: Style, layout: &Layout) -> String {
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        let mut out = String::new();
        write(&crate::text::template::jinja(&value), style, layout, 0, &mut out).unwrap();
        out
    }

    #[test]
    fn json_and_repr_as_python_writes_them() {
        let plain = Layout::default();
        let value = r#"{"b": [1, -2.0, 1e-5, 1e16, 123456.5, true, null], "a": "é\"\n\u0001<>&'", "c": {}, "d": []}"#;
        let json = r#"{"b": [1, -2.0, 1e-05, 1e+16, 123456.5, true, null], "a": "é\"\n\u0001<>&'", "c": {}, "d": []}"#;
        assert_eq!(text(value, Style::Json, &plain), json);
        let repr = r#"{'b': [1, -2.0, 1e-05, 1e+16, 123456.5, True, None], 'a': 'é"\n\x01<>&\'', 'c': {}, 'd': []}"#;
        assert_eq!(text(value, Style::Repr, &plain), repr);
        let indented = Layout { indent: Some("  ".into()), sort_keys: true, ascii: true, ..plain.clone() };
        assert_eq!(
            text(r#"{"b": [1], "a": "é😀", "e": {}}"#, Style::Json, &indented),
            "{\n  \"a\": \"\\u00e9\\ud83d\\ude00\",\n  \"b\": [\n    1\n  ],\n  \"e\": {}\n}"
        );
        let tight = Layout { separators: Some((",".into(), ":".into())), ..plain };
        assert_eq!(text(r#"{"a": [1, 2]}"#, Style::Json, &tight), r#"{"a":[1,2]}"#);
        let deep = (0..200).fold(Value::from(1), |v, _| Value::from(vec![v]));
        assert!(write(&deep, Style::Json, &Layout::default(), 0, &mut String::new()).is_err());
    }

    #[test]
    fn times() {
        let at = |seconds| strftime("%Y-%m-%d %H:%M:%S %j %a %B %-d %y %p %I %% %Q", seconds);
        assert_eq!(at(0), "1970-01-01 00:00:00 001 Thu January 1 70 AM 12 % %Q");
        assert_eq!(at(951_827_696), "2000-02-29 12:34:56 060 Tue February 29 00 PM 12 % %Q");
        assert_eq!(at(1_735_689_599), "2024-12-31 23:59:59 366 Tue December 31 24 PM 11 % %Q");
        assert_eq!(at(1_772_323_200), "2026-03-01 00:00:00 060 Sun March 1 26 AM 12 % %Q");
        assert_eq!(strftime("%d %b %Y%", i64::MAX).len(), strftime("%d %b %Y%", i64::MAX).trim().len());
    }
}
