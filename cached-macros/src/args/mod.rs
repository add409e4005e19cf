//! The arguments of the attribute, as syntax.
//!
//! [`Args::parse`] reads all options of one attribute and collects the errors it finds on the way. Each family of
//! options has a file of its own; `syntax` has the forms of values that several families share. Whether the options
//! fit together and fit the function is checked in `memo`.

mod amount;
mod behavior;
mod elsewhere;
mod key;
mod lifetime;
mod nearest;
mod storage;
mod syntax;
mod tags;

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Error, Expr, Lit, Path, Result, Token, token};

pub(crate) use self::behavior::{Detached, ShareErr, SingleFlight};
use self::lifetime::{DEFAULT_REFRESH_AHEAD, ZERO_STALE, ZERO_TIMEOUT, ZERO_TTL};
use self::nearest::unknown_option;
pub(crate) use self::nearest::{list, nearest};
pub(crate) use self::storage::{Backend, Codec};
use self::storage::{bytes, entries, entries_from_str};
use self::syntax::{OptionInput, at_end, fail, skip_until};
pub(crate) use self::tags::{Tag, Template};

/// The options that were parsed, and the errors in those that were not.
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
    pub(crate) readable: Option<Opt<()>>,
    pub(crate) cache_if: Option<Opt<Expr>>,
    pub(crate) cache_err: Option<Opt<Amount<Duration>>>,
    pub(crate) cache_none: Option<Opt<Amount<Duration>>>,
    pub(crate) stale_while_revalidate: Option<Opt<Amount<Duration>>>,
    pub(crate) stale_if_error: Option<Opt<Amount<Duration>>>,
    pub(crate) refresh_ahead: Option<Opt<f32>>,
    pub(crate) jitter: Option<Opt<f32>>,
    pub(crate) timeout: Option<Opt<Amount<Duration>>>,
    pub(crate) max_concurrent: Option<Opt<Amount<u64>>>,
    pub(crate) tags: Option<Opt<Vec<Tag>>>,
    pub(crate) tags_from: Option<Opt<Expr>>,
    pub(crate) single_flight: Option<Opt<SingleFlight>>,
    pub(crate) share_err: Option<Opt<ShareErr>>,
    pub(crate) detached: Option<Opt<Detached>>,
    pub(crate) codec: Option<Opt<Codec>>,
    pub(crate) companions: Option<Opt<Ident>>,
    pub(crate) associated: Option<Opt<()>>,
    pub(crate) krate: Option<Opt<Path>>,
    /// All tokens of the attribute.
    pub(crate) tokens: TokenStream,
    /// The names of all known options in the attribute, including those whose value is invalid.
    present: Vec<Ident>,
    /// The names of the options that were parsed, in source order.
    parsed: Vec<Ident>,
    /// The errors found while parsing.
    pub(crate) errors: Vec<Error>,
}

/// One option.
pub(crate) struct Opt<T> {
    /// Its name, with the span it has in the attribute.
    pub(crate) name: Ident,
    pub(crate) value: T,
    /// The span of the value; that of the name for an option without a value.
    pub(crate) span: Span,
}

/// A quantity: a constant known at expansion, or an expression.
pub(crate) enum Amount<T> {
    Known(T),
    Expr(Expr),
}

/// All options, each with an example.
const OPTIONS: [(&str, &str); 29] = [
    ("ttl", "ttl = 60"),
    ("ttl_from", "ttl_from = |value: &Token| value.lifetime()"),
    ("backend", "backend = \"redis\""),
    ("capacity", "capacity = 10_000"),
    ("max_bytes", "max_bytes = \"64MiB\""),
    ("weigh", "weigh = |_, value| value.len() as u64"),
    ("key", "key = (a, b.id)"),
    ("skip", "skip(db, self)"),
    ("name", "name = \"users\""),
    ("version", "version = 2"),
    ("readable", "readable"),
    ("cache_if", "cache_if = |value: &User| value.active"),
    ("cache_err", "cache_err = \"5s\""),
    ("cache_none", "cache_none = \"30s\""),
    ("stale_while_revalidate", "stale_while_revalidate = \"30s\""),
    ("stale_if_error", "stale_if_error = \"1h\""),
    ("refresh_ahead", "refresh_ahead = 0.2"),
    ("jitter", "jitter = 0.1"),
    ("timeout", "timeout = \"2s\""),
    ("max_concurrent", "max_concurrent = 16"),
    ("tags", "tags(\"user:{id}\", \"users\")"),
    ("tags_from", "tags_from = |value: &User| vec![format!(\"team:{}\", value.team)]"),
    ("single_flight", "single_flight = \"off\""),
    ("share_err", "share_err = |error: &MyError| MyError::new(error.code())"),
    ("detached", "detached"),
    ("codec", "codec = \"json\""),
    ("companions", "companions = GetUser"),
    ("associated", "associated"),
    ("crate", "crate = ::path::to::cached_runtime"),
];

/// Reserved options: planned, but not implemented.
const RESERVED: [&str; 5] = ["near", "on_backend_error", "compress", "encrypt", "batch"];

impl Args {
    /// Parses the tokens between the parentheses of the attribute.
    pub(crate) fn parse(tokens: TokenStream) -> Self {
        let mut args = Self { tokens: tokens.clone(), ..Self::default() };
        let rest = (|input: ParseStream<'_>| {
            args.parse_options(input);
            Ok(())
        })
        .parse2(tokens);
        // An error about tokens left over in a group is a consequence of the errors already found.
        if let (Err(error), true) = (rest, args.errors.is_empty()) {
            args.errors.push(error);
        }
        args
    }

    /// Returns `true` if the option is in the attribute, with a valid or an invalid value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.present.iter().any(|present| present == name)
    }

    /// The names of all options in the attribute, in source order.
    pub(crate) fn present(&self) -> impl Iterator<Item = &Ident> {
        self.present.iter()
    }

    /// The first of these options that was parsed, in source order.
    pub(crate) fn first(&self, names: &[&str]) -> Option<&Ident> {
        self.parsed.iter().find(|parsed| names.iter().any(|name| parsed == name))
    }

    /// The second of these options that was parsed, in source order.
    pub(crate) fn second(&self, names: &[&str]) -> Option<&Ident> {
        self.parsed.iter().filter(|parsed| names.iter().any(|name| parsed == name)).nth(1)
    }

    fn parse_options(&mut self, input: ParseStream<'_>) {
        while !input.is_empty() {
            if let Err(error) = self.parse_option(input) {
                self.errors.push(error);
                skip_option(input);
            }
            if input.is_empty() || input.parse::<Token![,]>().is_ok() {
                continue;
            }
            if at_option(input) {
                self.errors.push(input.error("expected `,` before the next option"));
            } else {
                self.errors.push(input.error("expected `,` or the end of the attribute"));
                skip_option(input);
                let _ = input.parse::<Token![,]>();
            }
        }
    }

    fn parse_option(&mut self, input: ParseStream<'_>) -> Result<()> {
        let Ok(name) = input.call(Ident::parse_any) else {
            return Err(match input.fork().parse::<Lit>() {
                Ok(lit) => {
                    let lit = lit.to_token_stream();
                    input.error(format!(
                        "expected the name of an option; write `ttl = {lit}` if this is how \
                         long a value is fresh"
                    ))
                }
                Err(_) => input.error("expected the name of an option, as in `ttl = 60`"),
            });
        };
        let option = name.to_string();
        if RESERVED.contains(&option.as_str()) {
            self.present.push(name.clone());
            return fail(&name, format!("`{option}` is not available yet"));
        }
        let Some(&(_, example)) = OPTIONS.iter().find(|(known, _)| *known == option) else {
            return match self.key_without_parentheses(&name, input) {
                Some(key) => fail(&name, format!("put the parts of the key into parentheses: `{key}`")),
                None => fail(&name, unknown_option(&option)),
            };
        };
        if self.has(&option) {
            return fail(&name, format!("`{option}` is given twice; leave one of them out"));
        }
        self.present.push(name.clone());

        let parsed = name.clone();
        let input = OptionInput { name, example, input };
        match option.as_str() {
            "ttl" => self.ttl = Some(input.duration(ZERO_TTL)?),
            "ttl_from" => self.ttl_from = Some(input.function()?),
            "backend" => self.backend = Some(input.backend()?),
            "capacity" => self.capacity = Some(input.amount(entries, entries_from_str)?),
            "max_bytes" => self.max_bytes = Some(input.amount(bytes, amount::bytes)?),
            "weigh" => self.weigh = Some(input.function()?),
            "key" => self.key = Some(input.key()?),
            "skip" => self.skip = Some(input.skip()?),
            "name" => self.name = Some(input.namespace()?),
            "version" => self.version = Some(input.version()?),
            "readable" => self.readable = Some(input.flag()?),
            "cache_if" => self.cache_if = Some(input.function()?),
            "cache_err" => self.cache_err = Some(input.duration(ZERO_TTL)?),
            "cache_none" => self.cache_none = Some(input.duration(ZERO_TTL)?),
            "stale_while_revalidate" => self.stale_while_revalidate = Some(input.duration(ZERO_STALE)?),
            "stale_if_error" => self.stale_if_error = Some(input.duration(ZERO_STALE)?),
            "refresh_ahead" => self.refresh_ahead = Some(input.fraction_or(DEFAULT_REFRESH_AHEAD)?),
            "jitter" => self.jitter = Some(input.fraction()?),
            "timeout" => self.timeout = Some(input.duration(ZERO_TIMEOUT)?),
            "max_concurrent" => {
                self.max_concurrent = Some(input.amount(behavior::places, behavior::places_from_str)?);
            }
            "tags" => self.tags = Some(input.tags()?),
            "tags_from" => self.tags_from = Some(input.function()?),
            "single_flight" => self.single_flight = Some(input.single_flight()?),
            "share_err" => self.share_err = Some(input.share_err()?),
            "detached" => self.detached = Some(input.detached()?),
            "codec" => self.codec = Some(input.codec()?),
            "companions" => self.companions = Some(input.type_name()?),
            "associated" => self.associated = Some(input.flag()?),
            "crate" => self.krate = Some(input.path()?),
            _ => unreachable!("every entry of `OPTIONS` has an arm"),
        }
        self.parsed.push(parsed);
        Ok(())
    }
}

/// Returns `true` if the next tokens look like an option.
fn at_option(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    match ahead.call(Ident::parse_any) {
        Ok(name) => at_end(&ahead) || ahead.peek(Token![=]) || (is_option(&name) && ahead.peek(token::Paren)),
        Err(_) => false,
    }
}

fn is_option(name: &Ident) -> bool {
    RESERVED.iter().any(|reserved| name == reserved) || OPTIONS.iter().any(|(option, _)| name == option)
}

/// Skips to the comma before the next option, or to the end.
fn skip_option(input: ParseStream<'_>) {
    skip_until(input, |input| {
        input.peek(Token![,]) && {
            let ahead = input.fork();
            ahead.parse::<Token![,]>().is_ok() && (ahead.is_empty() || at_option(&ahead))
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{Args, OPTIONS};

    /// A path of a crate that does not exist cannot be compiled.
    const NOT_COMPILED: &str = "crate";

    /// The functions there are compiled and listed.
    #[test]
    fn every_example_is_compiled() {
        let compiled = std::fs::read_to_string("../tests/it/suggestions.rs").unwrap();
        for (option, example) in OPTIONS.iter().filter(|(option, _)| *option != NOT_COMPILED) {
            let is_there =
                [format!(", {example}"), format!(": {example}")].iter().any(|code| compiled.contains(code));
            assert!(is_there, "tests/it/suggestions.rs lacks {option}: {example}");
        }
    }

    #[test]
    fn every_example_is_parsed() {
        for (option, example) in OPTIONS {
            let args = Args::parse(example.parse().unwrap());
            assert!(args.errors.is_empty() && args.has(option), "{example}: {:?}", args.errors);
        }
    }
}
