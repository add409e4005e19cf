//! Parses duration strings, such as `"1h30m"`, and size strings, such as `"64MiB"`.
//!
//! The grammar of durations is that of `humantime` without months and years, whose lengths vary. It is not parsed by
//! that crate, which accepts them, `M` for a month included; and sizes have the same grammar.

use std::time::Duration;

const TIME_UNITS: [(&[&str], u128); 8] = [
    (&["ns", "nsec", "nanos", "nanosecond", "nanoseconds"], 1),
    (&["us", "µs", "usec", "micros", "microsecond", "microseconds"], 1_000),
    (&["ms", "msec", "millis", "millisecond", "milliseconds"], 1_000_000),
    (&["s", "sec", "secs", "second", "seconds"], SECOND),
    (&["m", "min", "mins", "minute", "minutes"], 60 * SECOND),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600 * SECOND),
    (&["d", "day", "days"], 86_400 * SECOND),
    (&["w", "wk", "wks", "week", "weeks"], 604_800 * SECOND),
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

/// Parses a duration; the error says what to write instead.
pub(super) fn duration(string: &str) -> Result<Duration, String> {
    let nanos = sum(string, "s", |unit| {
        lookup(&TIME_UNITS, unit).ok_or_else(|| match unit {
            "M" => "`M` is ambiguous between minutes and months; write `m` for minutes".to_owned(),
            "month" | "months" | "mon" | "y" | "yr" | "year" | "years" => {
                format!("the length of `{unit}` varies; write a number of days, `d`, or weeks, `w`")
            }
            _ => format!("`{unit}` is not a unit of time; write one of `ms`, `s`, `m`, `h`, `d` and `w`"),
        })
    })?;
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| too_long())
}

/// Parses a size in bytes; the error says what to write instead.
pub(super) fn bytes(string: &str) -> Result<u64, String> {
    let bytes = sum(string, "MiB", |unit| {
        lookup(&SIZE_UNITS, unit).ok_or_else(|| {
            let suggestion =
                SIZE_UNITS.iter().map(|(names, _)| names[0]).find(|name| name.eq_ignore_ascii_case(unit));
            match suggestion {
                Some(name) => format!("`{unit}` is not a unit of size; write `{name}`"),
                None => format!(
                    "`{unit}` is not a unit of size; write one of `B`, `kB`, `MB`, `GB`, `KiB`, `MiB` and \
                     `GiB`"
                ),
            }
        })
    })?;
    match u64::try_from(bytes) {
        Ok(0) => Err("a cache of zero bytes caches nothing; write `\"64MiB\"`".to_owned()),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err("this does not fit into a `u64`; write a smaller size".to_owned()),
    }
}

/// The error for a duration that does not fit into 64 bits of nanoseconds.
pub(super) fn too_long() -> String {
    "this is longer than 584 years; write a shorter duration".to_owned()
}

/// The sum of numbers that are each followed by their unit: `1h 30m`, `1.5h`.
fn sum(
    string: &str,
    example_unit: &str,
    unit: impl Fn(&str) -> Result<u128, String>,
) -> Result<u128, String> {
    let mut rest = string.trim();
    if rest.starts_with('-') {
        return Err(format!("this cannot be negative; write `\"90{example_unit}\"`"));
    }
    if !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("expected a number with a unit; write `\"90{example_unit}\"`"));
    }

    let mut total = 0_u128;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (name, after) = split(after.trim_start(), char::is_alphabetic);
        if number.is_empty() {
            let invalid = rest.chars().next().unwrap_or(' ');
            return Err(format!("`{invalid}` is neither a number nor a unit; write `\"90{example_unit}\"`"));
        }
        if name.is_empty() {
            return Err(format!("`{number}` needs a unit; write `\"{number}{example_unit}\"`"));
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
        return Err(format!("`{number}` is not a number; write `1.5`"));
    }
    // Further digits are below a nanosecond or a byte.
    let fraction = &fraction[..fraction.len().min(18)];
    let scale = u32::try_from(fraction.len()).map_or(1, |digits| 10_u128.pow(digits));
    let whole = whole.parse::<u64>().map_err(|_| too_large())?;
    let fraction = fraction.parse::<u64>().map_err(|_| too_large())?;
    Ok(u128::from(whole) * unit + u128::from(fraction) * unit / scale)
}

fn too_large() -> String {
    "this is too large; write a smaller number".to_owned()
}

fn split(string: &str, inside: impl Fn(char) -> bool) -> (&str, &str) {
    string.split_at(string.find(|c| !inside(c)).unwrap_or(string.len()))
}

fn lookup(units: &[(&[&str], u128)], name: &str) -> Option<u128> {
    units.iter().find(|(names, _)| names.contains(&name)).map(|&(_, factor)| factor)
}

#[cfg(test)]
mod tests {
    use super::{bytes, duration};

    #[test]
    fn durations_are_parsed() {
        for (string, millis) in [
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
            assert_eq!(duration(string).map(|duration| duration.as_millis()), Ok(millis), "{string}");
        }
    }

    #[test]
    fn invalid_durations_are_rejected() {
        for (string, part) in [
            ("", "expected a number with a unit"),
            ("5", "`5` needs a unit; write `\"5s\"`"),
            ("1h30", "`30` needs a unit"),
            ("-5s", "negative"),
            ("inf", "expected a number with a unit"),
            ("5M", "write `m` for minutes"),
            ("1month", "varies"),
            ("1y", "varies"),
            ("5x", "`x` is not a unit of time"),
            ("1.s", "not a number"),
            ("1.2.3s", "not a number"),
            (".5h", "expected a number with a unit"),
            ("1h-30m", "`-` is neither"),
            ("99999999999999999999s", "too large"),
            ("1000000w", "longer than 584 years"),
            ("18446744073709551615w", "longer than 584 years"),
        ] {
            let error = duration(string).unwrap_err();
            assert!(error.contains(part), "{string}: {error}");
        }
    }

    #[test]
    fn sizes_are_parsed() {
        for (string, expected) in
            [("64MiB", 64 << 20), ("1.5 GiB", 3 << 29), ("10kB", 10_000), ("7B", 7), ("2GB", 2_000_000_000)]
        {
            assert_eq!(bytes(string), Ok(expected), "{string}");
        }
    }

    #[test]
    fn invalid_sizes_are_rejected() {
        for (string, part) in [
            ("64", "`64` needs a unit; write `\"64MiB\"`"),
            ("64mb", "write `MB`"),
            ("64KB", "write `kB`"),
            ("64M", "write one of `B`"),
            ("0MiB", "zero bytes"),
            ("99999999999999GiB", "does not fit into a `u64`"),
        ] {
            let error = bytes(string).unwrap_err();
            assert!(error.contains(part), "{string}: {error}");
        }
    }
}
