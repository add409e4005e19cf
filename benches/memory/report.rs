//! Tables and plots in `docs/benchmarks`, and the comparison with what is recorded there.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{fs, io};

use crate::contenders::CONTENDERS;

/// A row of the report: a figure of each contender.
pub(crate) struct Row {
    pub(crate) section: &'static str,
    /// What is compared, as `CPU`.
    pub(crate) figure: &'static str,
    pub(crate) values: Vec<Option<f64>>,
    /// How far the value of `async_cached` may be above the recorded one, as a factor; `None` if it is not compared.
    pub(crate) tolerance: Option<f64>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks")
}

/// Prints the rows as a table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::from("| work | figure |");
    for contender in &CONTENDERS {
        let _ = write!(text, " {} |", contender.name);
    }
    text.push_str("\n|---|---|");
    text.push_str(&"--:|".repeat(CONTENDERS.len()));
    for row in rows {
        let _ = write!(text, "\n| {} | {} |", row.section, row.figure);
        for value in &row.values {
            let _ = match value {
                Some(value) => write!(text, " {value:.2} |"),
                None => write!(text, " – |"),
            };
        }
    }
    text.push('\n');
    text
}

const HEAD: &str = "\
# Memory

Written by `cargo bench -p cached-benches --bench memory -- record` on a shared machine with two cores. Instructions (callgrind) and
CPU time (the median of interleaved rounds) are multiples of `by hand`: quick_cache with a hand-written expiry.

![CPU time of each work, as multiples of the cache by hand](memory.svg)

";

/// Writes the rows to `memory.md`, and a plot of those that are multiples of the floor to `memory.svg`.
pub(crate) fn record(rows: &[Row]) -> io::Result<()> {
    fs::create_dir_all(folder())?;
    fs::write(folder().join("memory.md"), HEAD.to_owned() + &table(rows))?;
    fs::write(folder().join("memory.svg"), plot(rows))
}

/// Returns what has become worse than the tolerance allows.
pub(crate) fn regressions(rows: &[Row]) -> io::Result<Vec<String>> {
    let recorded = fs::read_to_string(folder().join("memory.md"))?;
    let mut regressions = Vec::new();
    for row in rows {
        let start = format!("| {} | {} |", row.section, row.figure);
        let cells = recorded.lines().find_map(|line| line.strip_prefix(&start));
        let before = cells.and_then(|cells| cells.split('|').nth(OURS)?.trim().parse::<f64>().ok());
        let (Some(before), Some(now), Some(tolerance)) = (before, row.values[OURS], row.tolerance) else {
            continue;
        };
        if now > before * tolerance + 0.05 {
            regressions.push(format!("{}, {}: {now:.2}, recorded is {before:.2}", row.section, row.figure));
        }
    }
    Ok(regressions)
}

/// The column of `async_cached`.
const OURS: usize = 1;

const BAR: f64 = 14.0;
const GAP: f64 = 10.0;
const LEFT: f64 = 230.0;
const WIDTH: f64 = 760.0;
const COLORS: [&str; 4] = ["#9aa0a6", "#1a73e8", "#e8710a", "#9334e6"];

/// Draws a bar for each contender and each row of CPU time. Bars are cut at six times the floor.
fn plot(rows: &[Row]) -> String {
    const LONGEST: f64 = 6.0;
    let rows: Vec<&Row> = rows.iter().filter(|row| row.figure == "CPU").collect();
    let group = BAR * CONTENDERS.len() as f64 + GAP;
    let height = group * rows.len() as f64 + 40.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (index, (contender, color)) in CONTENDERS.iter().zip(COLORS).enumerate() {
        let x = LEFT + 120.0 * index as f64;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"8\" width=\"10\" height=\"10\" fill=\"{color}\"/><text x=\"{}\" y=\"17\">{}</text>",
            x + 14.0,
            contender.name
        );
    }
    for (index, row) in rows.iter().enumerate() {
        let top = 30.0 + group * index as f64;
        let _ = writeln!(svg, "<text x=\"8\" y=\"{}\">{}</text>", top + group / 2.0, row.section);
        for (bar, (value, color)) in row.values.iter().zip(COLORS).enumerate() {
            let Some(value) = value else { continue };
            let length = value.min(LONGEST) / LONGEST * (WIDTH - LEFT - 50.0);
            let y = top + BAR * bar as f64;
            let _ = writeln!(
                svg,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.0}\" height=\"{}\" fill=\"{color}\"/>\
                 <text x=\"{:.0}\" y=\"{}\">{value:.2}</text>",
                BAR - 2.0,
                LEFT + length + 4.0,
                y + BAR - 4.0
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}
