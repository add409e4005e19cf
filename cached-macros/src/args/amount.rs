//! Reads lengths of time and sizes that are written in words, as `"1h30m"` and `"64MiB"`.

use std::time::Duration;

const TIME_UNITS: [(&[&str], u128); 8] = [
    (&["ns", "nsec", "nanos", "nanosecond", "nanoseconds"], 1),
    (&["us", "µs", "usec", "micros", "microsecond", "microseconds"], 1_000),
    (&["ms", "msec", "millis", "millisecond", "milliseconds"], 1_000_000),
    (&["s", "sec", "secs", "second", "seconds"], SECOND),
    (&["m", "min", "mins", "minute", "minutes"], 60 * SECOND),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600 * SECOND),
    (&["d", "day", "days"], 86_400 * SECOND),
    (&["w", "week", "weeks"], 604_800 * SECOND),
];
const SECOND: u128 = 1_000_000_000;

const SIZE_UNITS: [(&[&str], u128); 7] = [
    (&["B"], 1),
    (&["kB"], 1_000),
    (&["MB"], 1_000_000),
    (&["GB"], 1_000_000_000),
    (&["KiB"], 1 << 10),
    (&["MiB"], 1 << 20),
    (&["GiB"], 1 << 30),
];

/// A length of time; the error says what to write instead.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let nanos = sum(text, "s", |unit| {
        lookup(&TIME_UNITS, unit).ok_or_else(|| match unit {
            "M" => "`M` may be minutes or months; write `m` for minutes".to_owned(),
            "month" | "months" | "mon" | "y" | "yr" | "year" | "years" => {
                format!("the length of `{unit}` varies; count in days, `d`, or weeks, `w`")
            }
            _ => format!("`{unit}` is not a unit of time; there are `ms`, `s`, `m`, `h`, `d` and `w`"),
        })
    })?;
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| too_long())
}

/// A number of bytes; the error says what to write instead.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let bytes = sum(text, "MiB", |unit| {
        lookup(&SIZE_UNITS, unit).ok_or_else(|| {
            let meant =
                SIZE_UNITS.iter().map(|(names, _)| names[0]).find(|name| name.eq_ignore_ascii_case(unit));
            match meant {
                Some(meant) => format!("`{unit}` is not a unit of size; write `{meant}`"),
                None => format!(
                    "`{unit}` is not a unit of size; there are `B`, `kB`, `MB`, `GB`, `KiB`, `MiB` and `GiB`"
                ),
            }
        })
    })?;
    match u64::try_from(bytes) {
        Ok(0) => Err("nothing fits into no bytes".to_owned()),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err("this is more than can be counted in 64 bits".to_owned()),
    }
}

/// What is wrong with a time that does not fit.
pub(super) fn too_long() -> String {
    "this is longer than 584 years; write less".to_owned()
}

/// Adds up numbers that are each followed by their unit: `1h 30m`, `1.5h`.
fn sum(text: &str, usual: &str, unit: impl Fn(&str) -> Result<u128, String>) -> Result<u128, String> {
    let mut rest = text.trim();
    if rest.starts_with('-') {
        return Err("this can not be negative".to_owned());
    }
    if !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("this does not begin with a number; write it as `\"90{usual}\"`"));
    }

    let mut total = 0_u128;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (name, after) = split(after.trim_start(), char::is_alphabetic);
        if number.is_empty() {
            let odd = rest.chars().next().unwrap_or(' ');
            return Err(format!("`{odd}` is neither a number nor a unit; write it as `\"90{usual}\"`"));
        }
        if name.is_empty() {
            return Err(format!("`{number}` needs a unit; write `\"{number}{usual}\"`"));
        }
        let part = times(number, unit(name)?)?;
        total = total.checked_add(part).ok_or_else(too_large)?;
        rest = after.trim_start();
    }
    Ok(total)
}

/// The product of a decimal number and a unit, rounded down.
fn times(number: &str, unit: u128) -> Result<u128, String> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(format!("`{number}` is not a number; write it as `1.5`"));
    }
    // More digits do not change a number of nanoseconds or bytes.
    let fraction = &fraction[..fraction.len().min(18)];
    let scale = u32::try_from(fraction.len()).map_or(1, |digits| 10_u128.pow(digits));
    let whole = whole.parse::<u64>().map_err(|_| too_large())?;
    let fraction = fraction.parse::<u64>().map_err(|_| too_large())?;
    Ok(u128::from(whole) * unit + u128::from(fraction) * unit / scale)
}

fn too_large() -> String {
    "this is too large; write less".to_owned()
}

fn split(text: &str, inside: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !inside(c)).unwrap_or(text.len()))
}

fn lookup(units: &[(&[&str], u128)], name: &str) -> Option<u128> {
    units.iter().find(|(names, _)| names.contains(&name)).map(|&(_, worth)| worth)
}

#[cfg(test)]
mod tests {
    use super::{size, time};

    #[test]
    fn times_are_read() {
        for (text, millis) in [
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("500ms", 500),
            ("10m", 600_000),
            ("2d", 172_800_000),
            ("1w", 604_800_000),
            ("1.5h", 5_400_000),
            ("0.25s", 250),
            ("5 minutes", 300_000),
            ("0s", 0),
            ("0.1ns", 0),
        ] {
            assert_eq!(time(text).map(|time| time.as_millis()), Ok(millis), "{text}");
        }
    }

    #[test]
    fn times_that_are_none_are_refused() {
        for (text, part) in [
            ("", "does not begin with a number"),
            ("5", "`5` needs a unit; write `\"5s\"`"),
            ("1h30", "`30` needs a unit"),
            ("-5s", "negative"),
            ("inf", "does not begin with a number"),
            ("5M", "write `m` for minutes"),
            ("1month", "varies"),
            ("1y", "varies"),
            ("5x", "`x` is not a unit of time"),
            ("1.s", "not a number"),
            ("1.2.3s", "not a number"),
            (".5h", "does not begin with a number"),
            ("1h-30m", "`-` is neither"),
            ("99999999999999999999s", "too large"),
            ("1000000w", "longer than 584 years"),
            ("18446744073709551615w", "longer than 584 years"),
        ] {
            let refusal = time(text).unwrap_err();
            assert!(refusal.contains(part), "{text}: {refusal}");
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in
            [("64MiB", 64 << 20), ("1.5 GiB", 3 << 29), ("10kB", 10_000), ("7B", 7), ("2GB", 2_000_000_000)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn sizes_that_are_none_are_refused() {
        for (text, part) in [
            ("64", "`64` needs a unit; write `\"64MiB\"`"),
            ("64mb", "write `MB`"),
            ("64KB", "write `kB`"),
            ("64M", "there are `B`"),
            ("0MiB", "no bytes"),
            ("99999999999999GiB", "64 bits"),
        ] {
            let refusal = size(text).unwrap_err();
            assert!(refusal.contains(part), "{text}: {refusal}");
        }
    }
}
