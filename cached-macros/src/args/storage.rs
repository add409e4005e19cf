//! The options that say where values live, and how they look there.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::spanned::Spanned as _;
use syn::{Expr, Lit, Result};

use super::Opt;
use super::syntax::{Word, Written, is_one_of, is_plain_integer, literal, mistake};

/// Where values live.
pub(crate) enum Backend {
    Memory,
    Redis,
    Memcached,
    /// An expression that names a `Store`.
    Store(Expr),
}

/// How bytes look in a shared store.
#[derive(Clone, Copy)]
pub(crate) enum Codec {
    Msgpack,
    Json,
}

const BACKENDS: [Word<fn() -> Backend>; 3] =
    [("memory", || Backend::Memory), ("redis", || Backend::Redis), ("memcached", || Backend::Memcached)];

const CODECS: [Word<Codec>; 2] = [("msgpack", Codec::Msgpack), ("json", Codec::Json)];

impl Written<'_> {
    pub(super) fn backend(self) -> Result<Opt<Backend>> {
        let expr = self.expr()?;
        if literal(&expr).is_none() && !is_one_of(&expr, BACKENDS.map(|(word, _)| word)) {
            once_for_all(&expr)?;
            return Ok(self.is(expr.span(), Backend::Store(expr)));
        }
        let backend = self.word(&expr, &BACKENDS)?;
        Ok(self.is(expr.span(), backend()))
    }

    pub(super) fn codec(self) -> Result<Opt<Codec>> {
        let expr = self.expr()?;
        let codec = self.word(&expr, &CODECS)?;
        Ok(self.is(expr.span(), codec))
    }

    pub(super) fn namespace(self) -> Result<Opt<String>> {
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

    pub(super) fn version(self) -> Result<Opt<u32>> {
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
}

pub(super) fn entries(number: u64) -> std::result::Result<u64, String> {
    if number == 0 { Err("room for no entry keeps nothing; write at least 1".to_owned()) } else { Ok(number) }
}

pub(super) fn no_entries<T>(_: &str) -> std::result::Result<T, String> {
    Err("this is a number of entries; write `capacity = 10_000`, or `max_bytes = \"64MiB\"` for a size"
        .to_owned())
}

pub(super) fn bytes(number: u64) -> std::result::Result<u64, String> {
    if number == 0 { Err("nothing fits into no bytes; write `\"64MiB\"`".to_owned()) } else { Ok(number) }
}

/// Refuses what only a call has in an expression that counts for all calls.
pub(super) fn once_for_all(expr: &Expr) -> Result<()> {
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
