//! What is written in one attribute, option by option.

mod amount;
mod behavior;
mod key;
mod lifetime;
mod nearest;
mod storage;
mod syntax;
mod tags;

use std::fmt::Display;
use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Error, Expr, Lit, Path, Result, Token, token};

pub(crate) use self::behavior::SingleFlight;
use self::lifetime::{LAST_FIFTH, NEVER_DONE, NEVER_FRESH, NEVER_STALE};
use self::nearest::elsewhere;
pub(crate) use self::nearest::nearest;
pub(crate) use self::storage::{Backend, Codec};
use self::storage::{bytes, entries, no_entries};
use self::syntax::{Written, ended, mistake, skip_until};
pub(crate) use self::tags::{Tag, Template};

/// The options that were written and understood, and what could not be understood.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) ttl: Option<Opt<Amount<Duration>>>,
    pub(crate) ttl_from: Option<Opt<Expr>>,
    pub(crate) backend: Option<Opt<Backend>>,
    pub(crate) capacity: Option<Opt<Amount<u64>>>,
    pub(crate) max_bytes: Option<Opt<Amount<u64>>>,
    pub(crate) weigh: Option<Opt<Expr>>,
    pub(crate) key: Option<Opt<Vec<Expr>>>,
    pub(crate) skip: Option<Opt<Vec<Ident>>>,
    pub(crate) name: Option<Opt<String>>,
    pub(crate) version: Option<Opt<u32>>,
    pub(crate) cache_if: Option<Opt<Expr>>,
    pub(crate) cache_err: Option<Opt<Amount<Duration>>>,
    pub(crate) cache_none: Option<Opt<Amount<Duration>>>,
    pub(crate) stale_while_revalidate: Option<Opt<Amount<Duration>>>,
    pub(crate) stale_if_error: Option<Opt<Amount<Duration>>>,
    pub(crate) refresh_ahead: Option<Opt<f32>>,
    pub(crate) jitter: Option<Opt<f32>>,
    pub(crate) timeout: Option<Opt<Amount<Duration>>>,
    pub(crate) tags: Option<Opt<Vec<Tag>>>,
    pub(crate) tags_from: Option<Opt<Expr>>,
    pub(crate) single_flight: Option<Opt<SingleFlight>>,
    pub(crate) detached: Option<Opt<()>>,
    pub(crate) codec: Option<Opt<Codec>>,
    pub(crate) handle: Option<Opt<Path>>,
    pub(crate) associated: Option<Opt<()>>,
    pub(crate) krate: Option<Opt<Path>>,
    /// The names of all known options that were written, also of those with a value that is wrong.
    written: Vec<Ident>,
    /// The names of the options that are there, in the order in which they were written.
    understood: Vec<Ident>,
    /// What could not be understood.
    pub(crate) mistakes: Vec<Error>,
}

/// One option.
pub(crate) struct Opt<T> {
    /// Its name, where it was written.
    pub(crate) name: Ident,
    pub(crate) value: T,
    /// Where the value was written; that of the name for a bare word.
    pub(crate) span: Span,
}

/// A quantity that is known now, or an expression for it.
pub(crate) enum Amount<T> {
    Known(T),
    Expr(Expr),
}

/// Every option there is, with an example of it.
const OPTIONS: [(&str, &str); 26] = [
    ("ttl", "ttl = 60"),
    ("ttl_from", "ttl_from = |value: &Token| value.lifetime()"),
    ("backend", "backend = \"redis\""),
    ("capacity", "capacity = 10_000"),
    ("max_bytes", "max_bytes = \"64MiB\""),
    ("weigh", "weigh = |key, value| value.len()"),
    ("key", "key = (a, b.id)"),
    ("skip", "skip(db, self)"),
    ("name", "name = \"users\""),
    ("version", "version = 2"),
    ("cache_if", "cache_if = |value: &User| value.active"),
    ("cache_err", "cache_err = \"5s\""),
    ("cache_none", "cache_none = \"30s\""),
    ("stale_while_revalidate", "stale_while_revalidate = \"30s\""),
    ("stale_if_error", "stale_if_error = \"1h\""),
    ("refresh_ahead", "refresh_ahead = 0.2"),
    ("jitter", "jitter = 0.1"),
    ("timeout", "timeout = \"2s\""),
    ("tags", "tags(\"user:{id}\", \"users\")"),
    ("tags_from", "tags_from = |value: &User| vec![format!(\"team:{}\", value.team)]"),
    ("single_flight", "single_flight = \"off\""),
    ("detached", "detached"),
    ("codec", "codec = \"json\""),
    ("handle", "handle = USERS"),
    ("associated", "associated"),
    ("crate", "crate = ::path::to::cached_runtime"),
];

/// Options that are agreed on but do nothing yet.
const LATER: [&str; 5] = ["near", "on_backend_error", "compress", "encrypt", "batch"];

impl Args {
    /// Reads the tokens between the parentheses of the attribute.
    pub(crate) fn parse(tokens: TokenStream) -> Self {
        let mut args = Self::default();
        let rest = (|input: ParseStream<'_>| {
            args.read(input);
            Ok(())
        })
        .parse2(tokens);
        // What syn finds left over inside of a group follows from a mistake, if there was one.
        if let (Err(mistake), true) = (rest, args.mistakes.is_empty()) {
            args.mistakes.push(mistake);
        }
        args
    }

    /// Whether the option was written, be it right or wrong.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.written.iter().any(|written| written == name)
    }

    /// The first of these options that is there.
    pub(crate) fn first(&self, names: &[&str]) -> Option<&Ident> {
        self.understood.iter().find(|understood| names.iter().any(|name| understood == name))
    }

    /// The second of these options that is there.
    pub(crate) fn second(&self, names: &[&str]) -> Option<&Ident> {
        self.understood.iter().filter(|understood| names.iter().any(|name| understood == name)).nth(1)
    }

    fn read(&mut self, input: ParseStream<'_>) {
        while !input.is_empty() {
            if let Err(mistake) = self.option(input) {
                self.mistakes.push(mistake);
                skip_option(input);
            }
            if input.is_empty() || input.parse::<Token![,]>().is_ok() {
                continue;
            }
            if at_option(input) {
                self.mistakes.push(input.error("expected `,` before the next option"));
            } else {
                self.mistakes.push(input.error("expected `,` or the end of the attribute"));
                skip_option(input);
                let _ = input.parse::<Token![,]>();
            }
        }
    }

    fn option(&mut self, input: ParseStream<'_>) -> Result<()> {
        let Ok(name) = input.call(Ident::parse_any) else {
            return Err(match input.fork().parse::<Lit>() {
                Ok(lit) => {
                    let lit = lit.to_token_stream();
                    input.error(format!("expected the name of an option; write `ttl = {lit}` if this is how long a value is fresh"))
                }
                Err(_) => input.error("expected the name of an option, as in `ttl = 60`"),
            });
        };
        let word = name.to_string();
        if LATER.contains(&word.as_str()) {
            self.written.push(name.clone());
            return mistake(&name, format!("`{word}` is not available yet"));
        }
        let Some(&(_, example)) = OPTIONS.iter().find(|(option, _)| *option == word) else {
            return mistake(&name, unknown("option", &word, OPTIONS.map(|(option, _)| option), "`"));
        };
        if self.has(&word) {
            return mistake(&name, format!("`{word}` is given twice; leave one of them out"));
        }
        self.written.push(name.clone());

        let understood = name.clone();
        let written = Written { name, example, input };
        match word.as_str() {
            "ttl" => self.ttl = Some(written.time(NEVER_FRESH)?),
            "ttl_from" => self.ttl_from = Some(written.function()?),
            "backend" => self.backend = Some(written.backend()?),
            "capacity" => self.capacity = Some(written.amount(entries, no_entries)?),
            "max_bytes" => self.max_bytes = Some(written.amount(bytes, amount::size)?),
            "weigh" => self.weigh = Some(written.function()?),
            "key" => self.key = Some(written.key()?),
            "skip" => self.skip = Some(written.names()?),
            "name" => self.name = Some(written.namespace()?),
            "version" => self.version = Some(written.version()?),
            "cache_if" => self.cache_if = Some(written.function()?),
            "cache_err" => self.cache_err = Some(written.time(NEVER_FRESH)?),
            "cache_none" => self.cache_none = Some(written.time(NEVER_FRESH)?),
            "stale_while_revalidate" => {
                self.stale_while_revalidate = Some(written.time(NEVER_STALE)?);
            }
            "stale_if_error" => self.stale_if_error = Some(written.time(NEVER_STALE)?),
            "refresh_ahead" => self.refresh_ahead = Some(written.fraction_or(LAST_FIFTH)?),
            "jitter" => self.jitter = Some(written.fraction()?),
            "timeout" => self.timeout = Some(written.time(NEVER_DONE)?),
            "tags" => self.tags = Some(written.tags()?),
            "tags_from" => self.tags_from = Some(written.function()?),
            "single_flight" => self.single_flight = Some(written.single_flight()?),
            "detached" => self.detached = Some(written.bare()?),
            "codec" => self.codec = Some(written.codec()?),
            "handle" => self.handle = Some(written.path()?),
            "associated" => self.associated = Some(written.bare()?),
            "crate" => self.krate = Some(written.path()?),
            _ => unreachable!("every one of `OPTIONS` is read above"),
        }
        self.understood.push(understood);
        Ok(())
    }
}

/// The names in quotes and in a row: `` `a`, `b` and `c` ``.
pub(crate) fn list<'a>(
    names: impl IntoIterator<Item = &'a str>,
    open: &str,
    close: &str,
    last: &str,
) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| format!("{open}{name}{close}")).collect();
    match names.pop() {
        Some(end) if !names.is_empty() => format!("{} {last} {end}", names.join(", ")),
        end => end.unwrap_or_default(),
    }
}

/// What to say about a name that does not exist.
fn unknown<'a>(
    what: impl Display,
    wrong: &str,
    names: impl IntoIterator<Item = &'a str> + Clone,
    open: &str,
) -> String {
    let close: String = open.chars().rev().collect();
    let known = elsewhere(wrong).filter(|known| names.clone().into_iter().any(|name| name == *known));
    let meant = match known.or_else(|| nearest(wrong, names.clone())) {
        Some(name) => format!("; did you mean {open}{name}{close}?"),
        None => String::new(),
    };
    format!("unknown {what} {open}{wrong}{close}{meant} (there are {})", list(names, open, &close, "and"))
}

/// Whether the next tokens look like an option.
fn at_option(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    match ahead.call(Ident::parse_any) {
        Ok(name) => {
            let name = name.to_string();
            let known = LATER.contains(&name.as_str()) || OPTIONS.iter().any(|(option, _)| *option == name);
            ended(&ahead) || ahead.peek(Token![=]) || (known && ahead.peek(token::Paren))
        }
        Err(_) => false,
    }
}

/// Goes to the comma in front of the next option, or to the end.
fn skip_option(input: ParseStream<'_>) {
    skip_until(input, |input| {
        input.peek(Token![,]) && {
            let ahead = input.fork();
            ahead.parse::<Token![,]>().is_ok() && (ahead.is_empty() || at_option(&ahead))
        }
    });
}
