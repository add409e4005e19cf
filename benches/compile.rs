//! What a hundred uses of the attribute cost the compiler: CPU time of `cargo check`, beside functions without it and `cached`.
//!
//! `cargo bench -p cached-benches --bench compile` prints it and compares it with what is recorded; `record` after `--` writes
//! it to `docs/benchmarks`. The contenders take turns, so that the ratios hold also on a busy machine.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run ends")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use cached_benches::clock::cpu_of_children;
use cached_benches::report::{Report, Row, Section};
use cached_benches::rounds::ratios;

const REPORT: Report = Report {
    name: "compile",
    head: "\
# Compilation

Written by `cargo bench -p cached-benches --bench compile -- record` on a shared machine with two cores. A hundred asynchronous functions
with two arguments and a `Result`, in one file, with and without an attribute: the CPU time of `cargo check` and of what it starts (the
median of interleaved rounds, and its quartiles) is a multiple of that without.
",
    caption: "CPU time of the compiler, as multiples of functions without an attribute",
    contenders: &["no attribute", "async_cached", "cached"],
};

const SECTIONS: [Section; 2] = [
    ("edit", || check("check after an edit of one of 100 functions", Incremental::Yes)),
    ("whole", || check("check of 100 functions without incremental state", Incremental::No)),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    REPORT.run(&SECTIONS, &words)
}

/// Whether the compiler keeps what it knows of unchanged functions.
#[derive(Debug, Clone, Copy)]
enum Incremental {
    Yes,
    No,
}

/// A program with a hundred functions, all with the same attribute.
struct Program {
    name: &'static str,
    attribute: &'static str,
    /// Is part of a function, so that the file differs from that before.
    edits: usize,
}

fn check(work: &str, incremental: Incremental) -> Vec<Row> {
    const ROUNDS: usize = 9;
    let mut programs = [
        Program { name: "plain", attribute: "", edits: 0 },
        Program { name: "ours", attribute: r#"#[cached_runtime::async_cached(ttl = "1h")]"#, edits: 0 },
        Program {
            name: "cached",
            attribute: r##"#[cached::macros::concurrent_cached(max_size = 10_000, ttl_secs = 3_600, key = "(u64, String)",
                convert = r#"{ (id, region.to_owned()) }"#)]"##,
            edits: 0,
        },
    ];
    write_manifest(&programs);
    for program in &mut programs {
        program.check(incremental); // The dependencies are checked once.
    }
    vec![Row {
        work: work.into(),
        figure: "CPU",
        values: ratios(ROUNDS, &mut programs, |program| program.check(incremental)),
        tolerance: Some(1.2),
    }]
}

/// A package of its own, in the directory for what benchmarks write.
fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/compile"))
}

fn write_manifest(programs: &[Program]) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut manifest = format!(
        "[package]\nname = \"uses\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         cached = {{ version = \"4.1\", features = [\"async\"] }}\n\
         cached-runtime = {{ path = \"{}\" }}\n",
        repository.join("cached-runtime").display()
    );
    for Program { name, .. } in programs {
        let _ = write!(manifest, "\n[[bin]]\nname = \"{name}\"\npath = \"{name}.rs\"\n");
    }
    fs::create_dir_all(folder()).unwrap();
    fs::write(folder().join("Cargo.toml"), manifest).unwrap();
    fs::copy(repository.join("Cargo.lock"), folder().join("Cargo.lock")).unwrap();
}

impl Program {
    /// Edits the program and checks it; returns the CPU seconds.
    fn check(&mut self, incremental: Incremental) -> Option<f64> {
        self.edits += 1;
        fs::write(folder().join(self.name).with_extension("rs"), self.text()).unwrap();
        let before = cpu_of_children()?;
        let status = Command::new(env!("CARGO"))
            .args(["check", "--quiet", "--offline", "--bin", self.name])
            .current_dir(folder())
            .env("CARGO_TARGET_DIR", folder().join("target"))
            .env("CARGO_INCREMENTAL", if matches!(incremental, Incremental::Yes) { "1" } else { "0" })
            .status();
        assert!(status.unwrap().success(), "{} does not compile", self.name);
        Some(cpu_of_children()? - before)
    }

    fn text(&self) -> String {
        let Self { attribute, edits, .. } = self;
        let mut text = String::from("#![allow(dead_code)]\nfn main() {}\n");
        for number in 0..100 {
            let addend = if number == 50 { *edits } else { number };
            let _ = write!(
                text,
                "
                {attribute}
                async fn function_{number}(id: u64, region: &str) -> Result<String, String> {{
                    let computed = std::future::ready(id + {addend}).await;
                    Ok(format!(\"{{computed}} in {{region}}\"))
                }}
                "
            );
        }
        text
    }
}
