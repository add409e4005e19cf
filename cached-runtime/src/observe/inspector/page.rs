//! The page, as HTML.

use std::fmt::{self, Display, Write as _};
use std::time::Duration;

use crate::policy::{CacheInfo, InstanceInfo, Stats, caches};
use crate::shared::{ServerHealth, ServerState, health};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// It allows the style and the script above by their SHA-256, and nothing else.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
    style-src 'sha256-zRG0b+XSGQ4g0AntpRcd5t7KDC2HYA2sBXae6bmlQ7k='; \
    script-src 'sha256-cxZ06dUB6sw3r0sKLcz8TIyX0tNuma10XiM8mpdzPkQ='; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The page about the state of this process, as `Display` output.
pub(super) struct Page<'a> {
    /// What a change did.
    pub(super) notice: Option<&'a str>,
    pub(super) allows_changes: bool,
}

impl Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Cached functions</title>\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\
             <style>{STYLE}</style></head><body><h1>Cached functions of process {}</h1>\
             <p id=\"lost\" class=\"bad\" hidden>The process does not answer.</p>",
            std::process::id()
        )?;
        if let Some(notice) = self.notice {
            write!(f, "<p class=\"notice\">{}</p>", Escaped(notice))?;
        }
        if self.allows_changes {
            f.write_str(
                "<form method=\"post\"><label>Invalidate the values with the tag \
                 <input name=\"tag\" required autocomplete=\"off\"></label> <button>Invalidate</button></form>",
            )?;
        }
        f.write_str("<div id=\"state\">")?;
        self.servers(f)?;
        self.functions(f)?;
        write!(f, "</div><script>{SCRIPT}</script></body></html>")
    }
}

impl Page<'_> {
    #[allow(clippy::unused_self, reason = "beside `functions`")]
    fn servers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = health();
        if servers.is_empty() {
            return Ok(());
        }
        f.write_str(
            "<h2>Stores</h2><table><tr><th>store<th>state<th>for<th>last operation<th>invalidations pending<th>last error</tr>",
        )?;
        servers.iter().try_for_each(|server| row_of_server(f, server))?;
        f.write_str("</table>")
    }

    fn functions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "<h2>Functions</h2><table><tr><th>function<th>backend<th>calls<th>hits<th>computed<th>mean duration\
             <th>stale<th>joined<th>errors<th>store errors<th>entries<th>in flight",
        )?;
        f.write_str(if self.allows_changes { "<th></tr>" } else { "</tr>" })?;
        for function in caches() {
            self.rows_of_function(f, &function)?;
        }
        f.write_str("</table>")
    }

    /// Writes a row for each instance, and one for a function that has none yet.
    fn rows_of_function(&self, f: &mut fmt::Formatter<'_>, function: &CacheInfo) -> fmt::Result {
        let instances = function.instances();
        if instances.is_empty() {
            write!(
                f,
                "<tr>{}<td class=\"text none\" colspan=\"11\">not used yet",
                Name(function, function.name())
            )?;
            self.button(f, function)?;
        }
        for instance in &instances {
            write!(f, "<tr>{}", Name(function, instance.name()))?;
            cells_of_instance(f, instance)?;
            self.button(f, function)?;
        }
        Ok(())
    }

    fn button(&self, f: &mut fmt::Formatter<'_>, function: &CacheInfo) -> fmt::Result {
        if self.allows_changes {
            let name = Escaped(function.name());
            write!(
                f,
                "<td><form method=\"post\"><button name=\"clear\" value=\"{name}\">Clear</button></form>"
            )?;
        }
        f.write_str("</tr>")
    }
}

fn row_of_server(f: &mut fmt::Formatter<'_>, server: &ServerHealth) -> fmt::Result {
    let (class, state) = match server.state {
        ServerState::Unused => ("none", "not used yet"),
        ServerState::Up => ("good", "up"),
        ServerState::Down => ("bad", "down"),
    };
    let last_error = server.last_error.as_ref().map(ToString::to_string).unwrap_or_default();
    write!(
        f,
        "<tr><td>{}<td><span class=\"{class}\">{state}</span><td>{}<td>{}<td>{}<td class=\"text\">{}</tr>",
        Escaped(&server.name),
        Rounded(Some(server.since)),
        Rounded(server.latency),
        server.pending_invalidations,
        Escaped(last_error),
    )
}

fn cells_of_instance(f: &mut fmt::Formatter<'_>, instance: &InstanceInfo) -> fmt::Result {
    let Stats { hits, shared_hits, stale_hits, computed, joined, bypassed, .. } = instance.stats();
    let calls = hits + shared_hits + stale_hits + computed + joined + bypassed;
    let stats = instance.stats();
    write!(f, "<td>{}<td>{calls}<td>", Escaped(instance.backend()))?;
    let hits = hits + shared_hits + stale_hits;
    match (hits * 100).checked_div(calls) {
        Some(percent) => write!(f, "{percent} % <meter max=\"100\" value=\"{percent}\"></meter>")?,
        None => f.write_str("–")?,
    }
    write!(
        f,
        "<td>{computed}<td>{}<td>{stale_hits}<td>{joined}<td>{}<td>{}<td>{}<td>{}",
        Rounded(instance.mean_computation()),
        Alarming(stats.errors + stats.panics),
        Alarming(stats.store_errors + stats.overloaded),
        stats.entries,
        instance.computing(),
    )
}

/// The cell with a name, under which the options of the function can be unfolded.
struct Name<'a>(&'a CacheInfo, &'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Escaped(self.1);
        match self.0.evaluated_options() {
            Some(options) => {
                let options = format!("{options:#?}");
                write!(
                    f,
                    "<td><details data-name=\"{name}\"><summary>{name}</summary><pre>{}</pre></details>",
                    Escaped(&options)
                )
            }
            None => write!(f, "<td>{name}"),
        }
    }
}

/// A number of failures, which is marked unless it is zero.
struct Alarming(u64);

impl Display for Alarming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_char('0'),
            failures => write!(f, "<span class=\"bad\">{failures}</span>"),
        }
    }
}

/// A duration with three digits at most.
struct Rounded(Option<Duration>);

impl Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(duration) = self.0 else { return f.write_char('–') };
        let nanos = duration.as_nanos();
        match nanos {
            0..1_000 => write!(f, "{nanos} ns"),
            1_000..1_000_000 => write!(f, "{} µs", nanos / 1_000),
            1_000_000..1_000_000_000 => write!(f, "{} ms", nanos / 1_000_000),
            _ => {
                let seconds = duration.as_secs();
                match seconds {
                    0..120 => write!(f, "{seconds} s"),
                    120..7_200 => write!(f, "{} min", seconds / 60),
                    7_200..172_800 => write!(f, "{} h", seconds / 3_600),
                    _ => write!(f, "{} d", seconds / 86_400),
                }
            }
        }
    }
}

/// Text in HTML, inside of an element or a quoted attribute.
struct Escaped<T>(T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

/// Writes to a formatter, with a reference in the place of each character that means something in HTML.
struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            c => self.0.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_policy_allows_the_style_and_the_script_of_the_page() {
        for source in [STYLE, SCRIPT] {
            let hash = BASE64_STANDARD.encode(Sha256::digest(source));
            assert!(CONTENT_SECURITY_POLICY.contains(&format!("'sha256-{hash}'")), "{hash}: {source}");
        }
    }

    #[test]
    fn text_cannot_become_markup() {
        let escaped = Escaped("<a href=\"x\">'&'</a>").to_string();
        assert_eq!(escaped, "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
    }

    #[test]
    fn durations_have_few_digits() {
        let rounded = |duration| Rounded(Some(duration)).to_string();
        assert_eq!(rounded(Duration::from_nanos(999)), "999 ns");
        assert_eq!(rounded(Duration::from_micros(1_999)), "1 ms");
        assert_eq!(rounded(Duration::from_secs(119)), "119 s");
        assert_eq!(rounded(Duration::from_secs(121)), "2 min");
        assert_eq!(rounded(Duration::from_secs(86_400)), "24 h");
        assert_eq!(rounded(Duration::from_secs(864_000)), "10 d");
        assert_eq!(Rounded(None).to_string(), "–");
    }
}
