//! What people and machines read: tables and sentences on a terminal, one JSON document with `--json`.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use holdfast_primitives::{Amount, TimeMs};
use serde::Serialize;
use std::io::Write as _;

/// How a command's results are shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Output {
    /// One JSON document (or JSON lines) instead of text.
    pub json: bool,
    /// Results only.
    pub quiet: bool,
}

impl Output {
    /// A command's result: `text` for people, `value` for machines.
    pub fn result(self, text: impl AsRef<str>, value: &impl Serialize) {
        let line = if self.json {
            serde_json::to_string_pretty(value).expect("results are plain JSON")
        } else {
            text.as_ref().trim_end().to_owned()
        };
        print_line(&line);
    }

    /// One of many results: a JSON line each.
    pub fn item(self, text: impl AsRef<str>, value: &impl Serialize) {
        if self.json {
            print_line(&serde_json::to_string(value).expect("results are plain JSON"));
        } else {
            print_line(text.as_ref());
        }
    }

    /// Progress and remarks, on stderr.
    pub fn note(self, text: impl AsRef<str>) {
        if !self.quiet && !self.json {
            let _ = writeln!(anstream::stderr().lock(), "{}", text.as_ref());
        }
    }
}

fn print_line(line: &str) {
    // Someone who closed the pipe (`| head`) has read enough.
    let _ = writeln!(anstream::stdout().lock(), "{line}");
}

/// A plain table: left-aligned heads, numbers to the right where a column is named in `right`.
pub fn table(heads: &[&str], right: &[usize], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heads.iter().map(Cell::new));
    for row in rows {
        table.add_row(row);
    }
    for index in right {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// `13.6 GiB (14,599,533,452 B)`; below a KiB just the bytes.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut power = (63 - count.leading_zeros()) / 10;
    power = power.min(UNITS.len() as u32);
    let tenths = (u128::from(count) * 10) >> (10 * power);
    let unit = UNITS[power as usize - 1];
    format!("{}.{} {unit} ({} B)", tenths / 10, tenths % 10, thousands(count))
}

/// `14,599,533,452`
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 batch`, `2,000 batches`
pub fn counted(count: u64, what: &str) -> String {
    let ending = match count {
        1 => "",
        _ if what.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{} {what}{ending}", thousands(count))
}

/// A part of a whole, in percent with two decimals.
pub fn percent(part: Amount, whole: Amount) -> String {
    if whole.is_zero() {
        return "-".to_owned();
    }
    let hundredths = u128::from(part.get()) * 10_000 / u128::from(whole.get());
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

/// What `storage` for so many bytes times milliseconds comes to in the unit in which prices are stated, rounded up.
pub fn per_gib_30_days(storage: Amount, byte_ms: u128) -> Amount {
    const GIB_30_DAYS: u128 = (1 << 30) * 30 * 24 * 3_600 * 1_000;
    let grains = u128::from(storage.get()).saturating_mul(GIB_30_DAYS).div_ceil(byte_ms.max(1));
    Amount::grains(u64::try_from(grains).unwrap_or(u64::MAX))
}

/// `2026-11-21T10:52:00Z`
pub fn time(at: TimeMs) -> String {
    let milliseconds = i64::try_from(at.get()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(milliseconds).map_or_else(|_| at.to_string(), |stamp| format!("{stamp:.0}"))
}

/// `2026-11-21T10:52:00Z (in 3m)`, seen from this machine's clock.
pub fn when(at: TimeMs) -> String {
    let now = holdfast_node::now();
    let relative = match (at.since(now), now.since(at)) {
        (0, ago) => format!("{} ago", duration_ms(ago)),
        (ahead, _) => format!("in {}", duration_ms(ahead)),
    };
    format!("{} ({relative})", time(at))
}

/// `3 minutes`, rounded to what people say.
pub fn duration_ms(milliseconds: u64) -> String {
    let seconds = milliseconds.div_ceil(1000);
    let rounded = match seconds {
        0..120 => seconds,
        120..7_200 => seconds - seconds % 60,
        7_200..172_800 => seconds - seconds % 3_600,
        // Months and years of other lengths than people's say less than days.
        _ => return format!("{} days", thousands(seconds / 86_400)),
    };
    humantime::format_duration(std::time::Duration::from_secs(rounded)).to_string()
}
