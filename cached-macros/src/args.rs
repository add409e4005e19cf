//! What is written in one attribute, option by option.

mod amount;
mod nearest;
mod tag;

use std::collections::HashSet;
use std::fmt::Display;
use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::{Parse as _, ParseStream, Parser as _};
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Lit, Path, Result, Token, UnOp, parenthesized, token};

use self::nearest::elsewhere;
pub(crate) use self::nearest::nearest;
pub(crate) use self::tag::{Tag, Template};

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

/// Where values live.
pub(crate) enum Backend {
    Memory,
    Redis,
    Memcached,
    /// An expression that names a `Store`.
    Store(Expr),
}

/// How many computations of one key may run.
#[derive(Clone, Copy)]
pub(crate) enum SingleFlight {
    Fleet,
    Process,
    Off,
}

/// How bytes look in a shared store.
#[derive(Clone, Copy)]
pub(crate) enum Codec {
    Msgpack,
    Json,
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

/// In which part of a lifetime a value is refreshed ahead, if none is written.
const LAST_FIFTH: f32 = 0.2;

/// What is said of no time at all.
const NEVER_FRESH: &str = "a value that is fresh for no time is never found again; write at least `\"1ms\"`";
const NEVER_STALE: &str =
    "no time is what there is without this option; leave it out, or write at least `\"1ms\"`";
const NEVER_DONE: &str = "nothing is done in no time; write at least `\"1ms\"`, or leave this option out";

/// A string that stands for a value.
type Word<T> = (&'static str, T);

const BACKENDS: [Word<fn() -> Backend>; 3] =
    [("memory", || Backend::Memory), ("redis", || Backend::Redis), ("memcached", || Backend::Memcached)];
const SINGLE_FLIGHTS: [Word<SingleFlight>; 3] =
    [("fleet", SingleFlight::Fleet), ("process", SingleFlight::Process), ("off", SingleFlight::Off)];
const CODECS: [Word<Codec>; 2] = [("msgpack", Codec::Msgpack), ("json", Codec::Json)];

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

/// An option whose value comes next in the input.
struct Written<'a> {
    name: Ident,
    example: &'static str,
    input: ParseStream<'a>,
}

impl Written<'_> {
    fn amount<T>(
        self,
        number: fn(u64) -> std::result::Result<T, String>,
        words: fn(&str) -> std::result::Result<T, String>,
    ) -> Result<Opt<Amount<T>>> {
        let expr = self.expr()?;
        let known = match literal(&expr) {
            None if is_negative(&expr) => Err(format!("this can not be negative; write `{}`", self.example)),
            None => {
                once_for_all(&expr)?;
                return Ok(self.is(expr.span(), Amount::Expr(expr)));
            }
            Some(Lit::Str(text)) => words(&text.value()),
            Some(Lit::Int(int)) if is_plain_integer(int.suffix()) => int
                .base10_parse::<u64>()
                .map_err(|_| "this is too large; write less".to_owned())
                .and_then(number),
            Some(lit @ (Lit::Int(_) | Lit::Float(_))) => {
                // `60s` is one token, but no literal of Rust.
                let text = lit.to_token_stream().to_string().replace('_', "");
                words(&text).and_then(|_| Err(format!("write this in quotes: `{} = \"{text}\"`", self.name)))
            }
            Some(_) => Err(format!("this is no amount; write `{}`", self.example)),
        };
        match known {
            Ok(known) => Ok(self.is(expr.span(), Amount::Known(known))),
            Err(message) => mistake(expr, message),
        }
    }

    /// A length of time; `none` is what to say of none at all.
    fn time(self, none: &str) -> Result<Opt<Amount<Duration>>> {
        let time = self.amount(seconds, amount::time)?;
        match time.value {
            Amount::Known(Duration::ZERO) => Err(Error::new(time.span, none)),
            _ => Ok(time),
        }
    }

    fn function(self) -> Result<Opt<Expr>> {
        let expr = self.expr()?;
        if literal(&expr).is_some() {
            return mistake(
                expr,
                format!("`{}` is a function of the value; write `{}`", self.name, self.example),
            );
        }
        Ok(self.is(expr.span(), expr))
    }

    fn backend(self) -> Result<Opt<Backend>> {
        let expr = self.expr()?;
        if literal(&expr).is_none() && !is_one_of(&expr, BACKENDS.map(|(word, _)| word)) {
            once_for_all(&expr)?;
            return Ok(self.is(expr.span(), Backend::Store(expr)));
        }
        let backend = self.word(&expr, &BACKENDS)?;
        Ok(self.is(expr.span(), backend()))
    }

    fn single_flight(self) -> Result<Opt<SingleFlight>> {
        let expr = self.expr()?;
        let single_flight = self.word(&expr, &SINGLE_FLIGHTS)?;
        Ok(self.is(expr.span(), single_flight))
    }

    fn codec(self) -> Result<Opt<Codec>> {
        let expr = self.expr()?;
        let codec = self.word(&expr, &CODECS)?;
        Ok(self.is(expr.span(), codec))
    }

    fn key(self) -> Result<Opt<Vec<Expr>>> {
        let expr = self.expr()?;
        let span = expr.span();
        let parts = match expr {
            Expr::Tuple(tuple) => tuple.elems.into_iter().collect(),
            Expr::Paren(paren) => vec![*paren.expr],
            expr if literal(&expr).is_some() => {
                return mistake(
                    expr,
                    format!("all calls would share this key; write what they differ in: `{}`", self.example),
                );
            }
            expr => vec![expr],
        };
        Ok(self.is(span, parts))
    }

    fn names(self) -> Result<Opt<Vec<Ident>>> {
        let input = self.input;
        if !input.peek(token::Paren) {
            let message = format!("name the parameters to leave out in parentheses: `{}`", self.example);
            return if ended(input) { mistake(&self.name, message) } else { Err(input.error(message)) };
        }
        let span = input.span();
        let content;
        parenthesized!(content in input);
        if content.is_empty() {
            return mistake(&self.name, format!("`skip()` leaves nothing out; write `{}`", self.example));
        }

        let (mut names, mut seen) = (Vec::new(), HashSet::new());
        let mut wrong: Option<Error> = None;
        while !content.is_empty() {
            let found = match content.call(Ident::parse_any) {
                Ok(name) if !(content.is_empty() || content.peek(Token![,])) => {
                    Err(content.error(format!("`skip` takes names only; write `skip({name})`")))
                }
                Ok(name) if !seen.insert(name.clone()) => mistake(&name, format!("`{name}` is named twice")),
                Ok(name) => Ok(name),
                Err(_) => Err(content.error(format!("`skip` takes names only; write `{}`", self.example))),
            };
            match (found, &mut wrong) {
                (Ok(name), _) => names.push(name),
                (Err(mistake), Some(wrong)) => wrong.combine(mistake),
                (Err(mistake), None) => wrong = Some(mistake),
            }
            skip_until(&content, |content| content.peek(Token![,]));
            let _ = content.parse::<Token![,]>();
        }
        match wrong {
            Some(wrong) => Err(wrong),
            None => Ok(self.is(span, names)),
        }
    }

    fn tags(self) -> Result<Opt<Vec<Tag>>> {
        let input = self.input;
        if !input.peek(token::Paren) {
            let message = format!("list the tags in parentheses: `{}`", self.example);
            return if ended(input) { mistake(&self.name, message) } else { Err(input.error(message)) };
        }
        let span = input.span();
        let content;
        parenthesized!(content in input);
        if content.is_empty() {
            return mistake(&self.name, format!("`tags()` names no tag; write `{}`", self.example));
        }
        let exprs = content.parse_terminated(Expr::parse, Token![,]).map_err(|e| self.explain(&e))?;
        let (mut tags, mut wrong) = (Vec::new(), None::<Error>);
        for tag in exprs.into_iter().map(|expr| self.tag(expr)) {
            match (tag, &mut wrong) {
                (Ok(tag), _) => tags.push(tag),
                (Err(mistake), Some(wrong)) => wrong.combine(mistake),
                (Err(mistake), None) => wrong = Some(mistake),
            }
        }
        match wrong {
            Some(wrong) => Err(wrong),
            None => Ok(self.is(span, tags)),
        }
    }

    fn tag(&self, expr: Expr) -> Result<Tag> {
        match literal(&expr) {
            Some(Lit::Str(text)) => {
                Template::new(text.clone()).map(Tag::Template).or_else(|message| mistake(text, message))
            }
            Some(other) => mistake(other, format!("a tag is a text; write `{}`", self.example)),
            None => Ok(Tag::Expr(expr)),
        }
    }

    /// A part of a whole, or the usual one if none is written.
    fn fraction_or(self, usual: f32) -> Result<Opt<f32>> {
        if ended(self.input) || at_option(self.input) {
            let span = self.name.span();
            return Ok(self.is(span, usual));
        }
        let fraction = self.fraction()?;
        if fraction.value == 0.0 {
            return Err(Error::new(fraction.span, format!("leave `{}` out to switch it off", fraction.name)));
        }
        Ok(fraction)
    }

    fn fraction(self) -> Result<Opt<f32>> {
        let expr = self.expr()?;
        let fraction = match literal(&expr) {
            Some(Lit::Float(float)) => float.base10_parse::<f32>().ok(),
            Some(Lit::Int(int)) if is_plain_integer(int.suffix()) => int.base10_parse::<f32>().ok(),
            _ => None,
        };
        match fraction.filter(|fraction| (0.0..=1.0).contains(fraction)) {
            Some(fraction) => Ok(self.is(expr.span(), fraction)),
            None => {
                let example = self.example;
                mistake(expr, format!("write a part of the lifetime, from 0 to 1, as a number: `{example}`"))
            }
        }
    }

    fn namespace(self) -> Result<Opt<String>> {
        let expr = self.expr()?;
        let Some(Lit::Str(text)) = literal(&expr) else {
            return mistake(expr, format!("a name is a string; write `{}`", self.example));
        };
        let name = text.value();
        if name.is_empty() {
            return mistake(text, format!("a name has at least one letter; write `{}`", self.example));
        }
        if let Some(odd) = name.chars().find(|&c| !(c.is_ascii_alphanumeric() || "_-.:".contains(c))) {
            return mistake(
                text,
                format!(
                    "`{}` can not stand in a name; use letters, digits, `_`, `-`, `.` and `:`",
                    odd.escape_debug()
                ),
            );
        }
        if name.len() > 100 {
            return mistake(text, "a name has at most 100 letters");
        }
        Ok(self.is(expr.span(), name))
    }

    fn version(self) -> Result<Opt<u32>> {
        let expr = self.expr()?;
        let version = match literal(&expr) {
            Some(Lit::Int(int)) if is_plain_integer(int.suffix()) => int.base10_parse().ok(),
            _ => None,
        };
        match version {
            Some(version) => Ok(self.is(expr.span(), version)),
            None => mistake(
                expr,
                format!(
                    "a version is a whole number of at most 32 bits, written out; write `{}`",
                    self.example
                ),
            ),
        }
    }

    fn path(self) -> Result<Opt<Path>> {
        let input = self.equals()?;
        if input.peek(Lit) {
            return Err(input.error(format!("write the path itself, without quotes: `{}`", self.example)));
        }
        let span = input.span();
        let path = input.call(Path::parse_mod_style).map_err(|e| self.explain(&e))?;
        Ok(self.is(span, path))
    }

    fn bare(self) -> Result<Opt<()>> {
        if ended(self.input) || at_option(self.input) {
            let span = self.name.span();
            return Ok(self.is(span, ()));
        }
        let off = self.input.peek(Token![=]) && self.input.peek2(syn::LitBool) && {
            let ahead = self.input.fork();
            ahead.parse::<Token![=]>().is_ok() && ahead.parse().is_ok_and(|lit: syn::LitBool| !lit.value())
        };
        let name = &self.name;
        Err(self.input.error(if off {
            format!("leave `{name}` out to switch it off")
        } else {
            format!("write `{name}` alone, without a value")
        }))
    }

    /// One of a few strings.
    fn word<T: Copy>(&self, expr: &Expr, words: &[Word<T>]) -> Result<T> {
        let all = || words.iter().map(|&(word, _)| word);
        if let Expr::Path(path) = expr
            && let Some(word) = all().find(|word| path.path.is_ident(word))
        {
            return mistake(expr, format!("write this in quotes: `{} = \"{word}\"`", self.name));
        }
        let Some(Lit::Str(text)) = literal(expr) else {
            return mistake(expr, format!("write one of {}", list(all(), "`\"", "\"`", "or")));
        };
        let word = text.value();
        match words.iter().find(|(name, _)| *name == word) {
            Some(&(_, value)) => Ok(value),
            None => mistake(text, unknown(&self.name, &word, all(), "`\"")),
        }
    }

    fn expr(&self) -> Result<Expr> {
        self.equals()?.parse().map_err(|e| self.explain(&e))
    }

    fn equals(&self) -> Result<ParseStream<'_>> {
        let (name, example, input) = (&self.name, self.example, self.input);
        if ended(input) {
            return mistake(name, format!("`{name}` needs a value; write `{example}`"));
        }
        if !input.peek(Token![=]) || input.peek(Token![==]) || input.peek(Token![=>]) {
            return Err(input.error(format!("expected `=`; write `{example}`")));
        }
        let equals = input.parse::<Token![=]>()?;
        if ended(input) {
            return mistake(equals, format!("`{name}` needs a value; write `{example}`"));
        }
        Ok(input)
    }

    fn explain(&self, error: &Error) -> Error {
        Error::new(error.span(), format!("{error}; write it as `{}`", self.example))
    }

    fn is<T>(self, span: Span, value: T) -> Opt<T> {
        Opt { name: self.name, value, span }
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

fn seconds(number: u64) -> std::result::Result<Duration, String> {
    match number {
        0..=18_446_744_073 => Ok(Duration::from_secs(number)),
        _ => Err(amount::too_long()),
    }
}

fn entries(number: u64) -> std::result::Result<u64, String> {
    if number == 0 { Err("room for no entry keeps nothing; write at least 1".to_owned()) } else { Ok(number) }
}

fn no_entries<T>(_: &str) -> std::result::Result<T, String> {
    Err("this is a number of entries; write `capacity = 10_000`, or `max_bytes = \"64MiB\"` for a size"
        .to_owned())
}

fn bytes(number: u64) -> std::result::Result<u64, String> {
    if number == 0 { Err("nothing fits into no bytes; write `\"64MiB\"`".to_owned()) } else { Ok(number) }
}

/// Refuses what only a call has in an expression that counts for all calls.
fn once_for_all(expr: &Expr) -> Result<()> {
    fn find(tokens: TokenStream) -> Option<Ident> {
        tokens.into_iter().find_map(|token| match token {
            TokenTree::Ident(ident) if ident == "Self" || ident == "self" => Some(ident),
            TokenTree::Group(group) => find(group.stream()),
            _ => None,
        })
    }
    match find(expr.to_token_stream()) {
        Some(this) if this == "Self" => mistake(
            this,
            "this is a `static` for all calls, which knows no `Self`; write the name of the type",
        ),
        Some(this) => {
            mistake(this, "this is a `static` for all calls, which knows no `self`; write a constant")
        }
        None => Ok(()),
    }
}

/// The literal that an expression is, also if it comes out of a `macro_rules!`.
fn literal(expr: &Expr) -> Option<&Lit> {
    match expr {
        Expr::Lit(lit) => Some(&lit.lit),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}

fn is_negative(expr: &Expr) -> bool {
    match expr {
        Expr::Unary(unary) => matches!(unary.op, UnOp::Neg(_)) && literal(&unary.expr).is_some(),
        Expr::Group(group) => is_negative(&group.expr),
        _ => false,
    }
}

fn is_one_of<const N: usize>(expr: &Expr, words: [&str; N]) -> bool {
    matches!(expr, Expr::Path(path) if words.iter().any(|word| path.path.is_ident(word)))
}

fn is_plain_integer(suffix: &str) -> bool {
    let (kind, bits) = suffix.split_at(usize::from(!suffix.is_empty() && suffix.is_char_boundary(1)));
    matches!((kind, bits), ("", "") | ("u" | "i", "8" | "16" | "32" | "64" | "128" | "size"))
}

fn ended(input: ParseStream<'_>) -> bool {
    input.is_empty() || input.peek(Token![,])
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

fn skip_until(input: ParseStream<'_>, found: impl Fn(ParseStream<'_>) -> bool) {
    while !input.is_empty() && !found(input) && input.parse::<TokenTree>().is_ok() {}
}

fn mistake<T>(tokens: impl ToTokens, message: impl Display) -> Result<T> {
    Err(Error::new_spanned(tokens, message))
}
