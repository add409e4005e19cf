//! Tables and plots in `docs/benchmarks`, and the comparison with what is recorded there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use crate::rounds::Value;

/// A benchmark of several sections.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// The name of its files.
    pub name: &'static str,
    /// What precedes the table in its document: a heading, and how it was measured.
    pub head: &'static str,
    /// What the plot shows.
    pub caption: &'static str,
    /// The contenders, in the order of the columns; the first one is the floor, the second one is ours.
    pub contenders: &'static [&'static str],
}

/// A part of a benchmark, by its name.
pub type Section = (&'static str, fn() -> Vec<Row>);

/// A row of the report: a figure of each contender.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was measured.
    pub work: String,
    /// What is compared, as `CPU`.
    pub figure: &'static str,
    /// The figures, in the order of the contenders. Later ones may be left out.
    pub values: Vec<Option<Value>>,
    /// How far our value may be above the recorded one, as a factor; `None` if it is not compared.
    pub tolerance: Option<f64>,
}

/// The column of `async_cached`.
const OURS: usize = 1;

impl Report {
    /// Runs the sections that are chosen, or all, and prints them. `record` writes all of them to `docs/benchmarks`; anything
    /// else compares them with what is recorded, and fails if it is worse.
    #[must_use]
    pub fn run(&self, sections: &[Section], words: &[&str]) -> ExitCode {
        let is_recorded = words == ["record"];
        let is_section = |word| sections.iter().any(|(name, _)| name == word);
        if !is_recorded && let Some(word) = words.iter().find(|word| !is_section(*word)) {
            println!("{word} is neither `record` nor a section");
            return ExitCode::FAILURE;
        }
        let is_chosen = |name| is_recorded || words.is_empty() || words.contains(name);
        let chosen = sections.iter().filter(|(name, _)| is_chosen(name));
        let rows: Vec<Row> = chosen.flat_map(|(_, rows)| rows()).collect();
        println!("{}", self.table(&rows));
        let regressions =
            if is_recorded { self.record(&rows).map(|()| Vec::new()) } else { self.regressions(&rows) };
        match regressions {
            Ok(regressions) if regressions.is_empty() => ExitCode::SUCCESS,
            Ok(regressions) => {
                for regression in regressions {
                    println!("worse than recorded: {regression}");
                }
                ExitCode::FAILURE
            }
            Err(error) => {
                println!("{}: {error}", self.file("md").display());
                ExitCode::FAILURE
            }
        }
    }

    /// Writes the rows as a document, and a plot of those that are multiples of the floor.
    fn record(&self, rows: &[Row]) -> io::Result<()> {
        let Self { name, head, caption, .. } = self;
        let plot = format!("![{caption}]({name}.svg)");
        fs::write(self.file("md"), format!("{head}\n{plot}\n\n{}", self.table(rows)))?;
        fs::write(self.file("svg"), self.plot(rows))
    }

    fn file(&self, extension: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks");
        folder.join(self.name).with_extension(extension)
    }

    /// Returns the rows as a table.
    fn table(&self, rows: &[Row]) -> String {
        let mut text = String::from("| work | figure |");
        for contender in self.contenders {
            let _ = write!(text, " {contender} |");
        }
        text.push_str("\n|---|---|");
        text.push_str(&"--:|".repeat(self.contenders.len()));
        for row in rows {
            let _ = write!(text, "\n{}", start(&row.work, row.figure));
            for column in 0..self.contenders.len() {
                let _ = match row.values.get(column).copied().flatten() {
                    Some(Value { median, quartiles: None }) => write!(text, " {median:.2} |"),
                    Some(Value { median, quartiles: Some((first, third)) }) => {
                        write!(text, " {median:.2} ({first:.2}–{third:.2}) |")
                    }
                    None => write!(text, " – |"),
                };
            }
        }
        text.push('\n');
        text
    }

    /// Returns what has become worse than the tolerance allows.
    fn regressions(&self, rows: &[Row]) -> io::Result<Vec<String>> {
        let recorded = fs::read_to_string(self.file("md"))?;
        let mut regressions = Vec::new();
        for Row { work, figure, values, tolerance } in rows {
            let start = start(work, figure);
            let cells = recorded.lines().find_map(|line| line.strip_prefix(&start));
            let before = cells.and_then(|cells| median(cells.split('|').nth(OURS)?));
            let now = values.get(OURS).copied().flatten().map(|value| value.median);
            let (Some(before), Some(now), Some(tolerance)) = (before, now, tolerance) else { continue };
            if now > before * tolerance + 0.05 {
                regressions.push(format!("{work}, {figure}: {now:.2}, recorded is {before:.2}"));
            }
        }
        Ok(regressions)
    }

    /// Draws a bar for each contender and each row of CPU time. Bars are cut at six times the floor.
    fn plot(&self, rows: &[Row]) -> String {
        const LONGEST: f64 = 6.0;
        let rows: Vec<&Row> = rows.iter().filter(|row| row.figure == "CPU").collect();
        let bars = |row: &Row| row.values.iter().flatten().count() as f64;
        let height = rows.iter().map(|row| BAR * bars(row) + GAP).sum::<f64>() + 40.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
             font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        let between = (WIDTH - MARGIN) / self.contenders.len() as f64;
        for (index, (contender, color)) in self.contenders.iter().zip(COLORS).enumerate() {
            let x = MARGIN + (between * index as f64).round();
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"8\" width=\"10\" height=\"10\" fill=\"{color}\"/><text x=\"{}\" y=\"17\">{}</text>",
                x + 14.0,
                escaped(contender)
            );
        }
        let mut top = 30.0;
        for row in &rows {
            let group = BAR * bars(row) + GAP;
            let _ = writeln!(
                svg,
                "<text x=\"{MARGIN}\" y=\"{}\">{}</text>",
                top + group / 2.0,
                escaped(&row.work)
            );
            let mut y = top;
            for (value, color) in row.values.iter().zip(COLORS) {
                let Some(Value { median, .. }) = value else { continue };
                let length = median.min(LONGEST) / LONGEST * (WIDTH - LEFT - 50.0);
                let _ = writeln!(
                    svg,
                    "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.0}\" height=\"{}\" fill=\"{color}\"/>\
                     <text x=\"{:.0}\" y=\"{}\">{median:.2}</text>",
                    BAR - 2.0,
                    LEFT + length + 4.0,
                    y + BAR - 4.0
                );
                y += BAR;
            }
            top += group;
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// Returns the first cells of a row, by which it is found again.
fn start(work: &str, figure: &str) -> String {
    format!("| {} | {figure} |", escaped(work))
}

/// Returns a text as Markdown and SVG show it: both take `<User>` for a tag.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Returns the median of a cell, which its quartiles may follow.
fn median(cell: &str) -> Option<f64> {
    cell.split_whitespace().next()?.parse().ok()
}

const BAR: f64 = 14.0;
const GAP: f64 = 10.0;
const MARGIN: f64 = 8.0;
const LEFT: f64 = 230.0;
const WIDTH: f64 = 760.0;
const COLORS: [&str; 6] = ["#9aa0a6", "#1a73e8", "#e8710a", "#9334e6", "#188038", "#d93025"];
