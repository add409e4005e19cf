//! Options that say where and how values are stored.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::spanned::Spanned as _;
use syn::{Expr, Lit, Result};

use super::Opt;
use super::syntax::{Keyword, OptionInput, fail, is_keyword, is_plain_integer, literal};

/// Where values are stored.
pub(crate) enum Backend {
    Memory,
    /// Chosen by the configuration of the process.
    Shared,
    Redis,
    Memcached,
    /// An expression whose value is a `Store`.
    Store(Expr),
}

/// How values are encoded in a shared store.
#[derive(Clone, Copy)]
pub(crate) enum Codec {
    Msgpack,
    Json,
}

const BACKENDS: [Keyword<fn() -> Backend>; 4] = [
    ("memory", || Backend::Memory),
    ("shared", || Backend::Shared),
    ("redis", || Backend::Redis),
    ("memcached", || Backend::Memcached),
];

const CODECS: [Keyword<Codec>; 2] = [("msgpack", Codec::Msgpack), ("json", Codec::Json)];

const MAX_NAME_LEN: usize = 100;

impl OptionInput<'_> {
    pub(super) fn backend(self) -> Result<Opt<Backend>> {
        let expr = self.expr()?;
        if literal(&expr).is_none() && !is_keyword(&expr, &BACKENDS) {
            check_static(&expr)?;
            return Ok(self.finish(expr.span(), Backend::Store(expr)));
        }
        let backend = self.keyword(&expr, &BACKENDS)?;
        Ok(self.finish(expr.span(), backend()))
    }

    pub(super) fn codec(self) -> Result<Opt<Codec>> {
        let expr = self.expr()?;
        let codec = self.keyword(&expr, &CODECS)?;
        Ok(self.finish(expr.span(), codec))
    }

    /// Parses `name = "..."`.
    pub(super) fn namespace(self) -> Result<Opt<String>> {
        let expr = self.expr()?;
        let Some(Lit::Str(string)) = literal(&expr) else {
            return fail(expr, format!("a name is a string; write `{}`", self.example));
        };
        let name = string.value();
        if name.is_empty() {
            return fail(string, format!("a name cannot be empty; write `{}`", self.example));
        }
        if let Some(invalid) = name.chars().find(|&c| !(c.is_ascii_alphanumeric() || "_-.:".contains(c))) {
            return fail(
                string,
                format!(
                    "a name cannot contain `{}`; use ASCII letters, digits, `_`, `-`, `.` and `:`",
                    invalid.escape_debug()
                ),
            );
        }
        if name.len() > MAX_NAME_LEN {
            return fail(
                string,
                format!("a name has at most {MAX_NAME_LEN} characters; write a shorter one"),
            );
        }
        Ok(self.finish(expr.span(), name))
    }

    pub(super) fn version(self) -> Result<Opt<u32>> {
        let expr = self.expr()?;
        let version = match literal(&expr) {
            Some(Lit::Int(int)) if is_plain_integer(int.suffix()) => int.base10_parse().ok(),
            _ => None,
        };
        match version {
            Some(version) => Ok(self.finish(expr.span(), version)),
            None => {
                fail(expr, format!("a version is an integer literal of type `u32`; write `{}`", self.example))
            }
        }
    }
}

pub(super) fn entries(number: u64) -> std::result::Result<u64, String> {
    if number == 0 {
        Err("a cache of zero entries caches nothing; write at least 1".to_owned())
    } else {
        Ok(number)
    }
}

pub(super) fn entries_from_str<T>(_: &str) -> std::result::Result<T, String> {
    Err("a capacity is a number of entries; write `capacity = 10_000`, or `max_bytes = \"64MiB\"` for a size"
        .to_owned())
}

pub(super) fn bytes(number: u64) -> std::result::Result<u64, String> {
    if number == 0 {
        Err("a cache of zero bytes caches nothing; write `\"64MiB\"`".to_owned())
    } else {
        Ok(number)
    }
}

/// Rejects `self` and `Self` in an expression that initializes a static.
pub(super) fn check_static(expr: &Expr) -> Result<()> {
    fn find(tokens: TokenStream) -> Option<Ident> {
        tokens.into_iter().find_map(|token| match token {
            TokenTree::Ident(ident) if ident == "Self" || ident == "self" => Some(ident),
            TokenTree::Group(group) => find(group.stream()),
            _ => None,
        })
    }
    match find(expr.to_token_stream()) {
        Some(found) if found == "Self" => fail(
            found,
            "this expression is in a `static` shared by all calls, where `Self` is not available; write the \
             name of the type",
        ),
        Some(found) => fail(
            found,
            "this expression is in a `static` shared by all calls, where `self` is not available; write a \
             constant",
        ),
        None => Ok(()),
    }
}
