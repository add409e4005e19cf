//! A cached function: the item and its options, checked.
//!
//! [`Memo::new`] combines what `args` and `item` parsed, or returns all errors of both. `check` rejects options that do
//! not fit together or do not fit the function; `key` and `tags` find out which arguments the key and the tags use. An
//! expansion of a [`Memo`] has no errors left to report, except those of types.

mod check;
mod companion_type;
mod exprs;
mod floats;
mod impl_memo;
mod key;
mod tags;
#[cfg(test)]
mod tests;

use std::mem;
use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens as _;
use syn::{Error, Expr, Path, Result, Visibility};

use self::check::{check_detached, check_function, check_options, check_stored};
pub(crate) use self::impl_memo::ImplMemo;
pub(crate) use self::key::{Key, Part};
use crate::args::{Amount, Args, Backend, Codec, Detached, Opt, ShareErr, SingleFlight, Tag};
use crate::errors::Errors;
use crate::item::{Body, Conflict, FnItem, Param, Source};

/// A cached function, ready to be expanded.
pub(crate) struct Memo {
    /// The function. Its body is moved to `body`.
    pub(crate) item: FnItem,
    pub(crate) body: Body,
    pub(crate) key: Key,
    pub(crate) ttl: Ttl,
    /// Without the option: `"memory"`, with the span of the attribute.
    pub(crate) backend: Opt<Backend>,
    pub(crate) bound: Bound,
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
    /// They use only parameters in the key.
    pub(crate) tags: Option<Opt<Vec<Tag>>>,
    pub(crate) tags_from: Option<Opt<Expr>>,
    pub(crate) single_flight: Option<Opt<SingleFlight>>,
    /// Not `"off"` together with `cache_err`.
    pub(crate) share_err: Option<Opt<ShareErr>>,
    /// Set if the computation runs in a task of its own; the option is `detached`, or the one that asks for background
    /// refreshes. No parameter contains a reference, as far as the types show.
    pub(crate) detached: Option<Opt<Detached>>,
    /// Set only with a shared backend.
    pub(crate) codec: Option<Opt<Codec>>,
    pub(crate) companions: Companions,
    /// The name of the type with the companions of a free function, if it is not that of the function.
    pub(crate) companion_type: Option<Opt<Ident>>,
    pub(crate) associated: Option<Opt<()>>,
    /// The path of `cached-runtime`, if it is not the usual one.
    pub(crate) krate: Option<Opt<Path>>,
}

/// How long a value is fresh.
pub(crate) enum Ttl {
    Fixed(Opt<Amount<Duration>>),
    FromValue(Opt<Expr>),
}

/// The bound of the in-process tier.
pub(crate) enum Bound {
    Default,
    Entries(Opt<Amount<u64>>),
    Bytes { max: Opt<Amount<u64>>, weigh: Opt<Expr> },
}

/// Where the companions are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Companions {
    /// In a type with the name of the function.
    Type,
    /// In associated functions next to the method.
    Method,
    /// In an impl or in a type of its own, by the attribute on the impl of a trait.
    TraitImpl,
    /// There are none, because the impl of a trait cannot contain other items.
    None,
}

impl Memo {
    /// Combines the options with the function, or returns all errors in them.
    pub(crate) fn new(args: Args, item: Result<FnItem>) -> std::result::Result<Self, Errors> {
        Self::in_place(args, item, None)
    }

    /// As [`new`](Self::new); where the companions are is known.
    pub(crate) fn in_place(
        mut args: Args,
        item: Result<FnItem>,
        companions: Option<Companions>,
    ) -> std::result::Result<Self, Errors> {
        let mut errors = Errors::default();
        errors.extend(mem::take(&mut args.errors));
        let mut item = match item {
            Ok(item) => item,
            // The compiler reports the same for the item in the output.
            Err(error) if is_incomplete(&error) => return Err(errors),
            Err(error) => {
                errors.extend([error]);
                return Err(errors);
            }
        };

        let ttl = ttl(&mut args, &mut errors);
        check_options(&args, &mut errors);
        check_function(&item, &args, &mut errors);
        check_stored(&item, &args, &mut errors);
        args.detached = detached(&mut args);
        check_detached(&item, &args, &mut errors);
        let companions = companions.unwrap_or_else(|| self::companions(&item, &args));
        companion_type::check(&item, companions, &args, &mut errors);
        let key = key::key(&mut args, &item, &mut errors);
        tags::check(&args, &item, &key, &mut errors);
        item.rename_underscored(&mentioned(&key, &args));

        // If one of them is missing, an error says so.
        let (Some(ttl), Some(body)) = (ttl, item.body.take()) else { return Err(errors) };
        errors.finish(Self {
            body,
            ttl,
            key,
            companions,
            companion_type: args.companions,
            backend: args.backend.take().unwrap_or_else(|| Opt {
                name: Ident::new("backend", Span::call_site()),
                value: Backend::Memory,
                span: Span::call_site(),
            }),
            bound: match (args.capacity, args.max_bytes, args.weigh) {
                (Some(entries), ..) => Bound::Entries(entries),
                (None, Some(max), Some(weigh)) => Bound::Bytes { max, weigh },
                _ => Bound::Default,
            },
            name: args.name,
            version: args.version,
            readable: args.readable,
            cache_if: args.cache_if,
            cache_err: args.cache_err,
            cache_none: args.cache_none,
            stale_while_revalidate: args.stale_while_revalidate,
            stale_if_error: args.stale_if_error,
            refresh_ahead: args.refresh_ahead,
            jitter: args.jitter,
            timeout: args.timeout,
            max_concurrent: args.max_concurrent,
            tags: args.tags,
            tags_from: args.tags_from,
            single_flight: args.single_flight,
            share_err: args.share_err,
            detached: args.detached,
            codec: args.codec,
            associated: args.associated,
            krate: args.krate,
            item,
        })
    }

    /// Rejects a function whose companions cannot be beside it, although nothing in it says so: `function` is the whole of it.
    pub(crate) fn check_place(
        self,
        function: &TokenStream,
        source: &Source,
    ) -> std::result::Result<Self, Errors> {
        if self.companions != Companions::Type {
            return Ok(self);
        }
        let (mut errors, name) = (Errors::default(), &self.item.sig.ident);
        match source.conflict_of(function) {
            Some(Conflict::InImpl) => errors.push(
                name,
                "this function is in an `impl`, and has neither `self` nor `Self`; write `associated` in the attribute",
            ),
            Some(Conflict::NameOfAType) if self.companion_type.is_none() => errors.push(
                name,
                format!(
                    "`{name}` is also the name of a module or a type beside this function, and would be that of the type with \
                     its companions; give that one another name with `companions = Name`"
                ),
            ),
            // The compiler reports two functions of one name. With companions, it would report each of those as well.
            Some(Conflict::EarlierFunction) => return Err(errors),
            Some(Conflict::NameOfAType) | None => {}
        }
        errors.finish(self)
    }

    /// The parameters in the key, in the order of the signature.
    pub(crate) fn key_params(&self) -> impl Iterator<Item = &Param> {
        self.key.params.iter().map(|&index| &self.item.params[index])
    }
}

/// The names that the expressions of the user in `key` and `tags` use.
fn mentioned(key: &Key, args: &Args) -> Vec<Ident> {
    let parts = key.parts.iter().filter_map(|part| match part {
        Part::Expr(expr) => Some(expr),
        Part::Param(_) => None,
    });
    let tags = args.tags.iter().flat_map(|tags| &tags.value).filter_map(|tag| match tag {
        Tag::Expr(expr) => Some(expr),
        Tag::Template(_) => None,
    });
    let mut mentioned = Vec::new();
    for expr in parts.chain(tags) {
        exprs::mentions(expr.to_token_stream(), false, &mut mentioned);
    }
    mentioned
}

/// Returns `true` for the error about an item in which something is missing, as while it is being written: in
/// `fn f(id: )`. No syntax of a later Rust can make it valid, so that the compiler does not accept it without the cache.
fn is_incomplete(error: &Error) -> bool {
    error.to_string().starts_with("unexpected end of input")
}

fn ttl(args: &mut Args, errors: &mut Errors) -> Option<Ttl> {
    if let Some(second) = args.second(&["ttl", "ttl_from"]) {
        errors.push(second, "`ttl` and `ttl_from` both set how long a value is fresh; leave one of them out");
    }
    // An invalid option may have been meant for it.
    let missing = errors.is_empty() && args.ttl.is_none() && args.ttl_from.is_none();
    if missing {
        errors.extend([Error::new(
            Span::call_site(),
            "`ttl` is missing; write how long a value is fresh: `ttl = 60`",
        )]);
    }
    let ttl = args.ttl.take().map(Ttl::Fixed);
    ttl.or_else(|| args.ttl_from.take().map(Ttl::FromValue))
}

/// The option because of which the computation runs in a task of its own. Background refreshes need one as well.
fn detached(args: &mut Args) -> Option<Opt<Detached>> {
    let of = |name: &Ident| Opt { name: name.clone(), value: Detached::GoesOn, span: name.span() };
    args.detached
        .take()
        .or_else(|| args.stale_while_revalidate.as_ref().map(|option| of(&option.name)))
        .or_else(|| args.refresh_ahead.as_ref().map(|option| of(&option.name)))
}

/// Where the companions can be. A method in the impl of a trait looks like a private method of a type, so a method has
/// companions only if it has a visibility, `pub(self)` included.
fn companions(item: &FnItem, args: &Args) -> Companions {
    let is_async_trait = matches!(item.body, Some(Body::Boxed { async_trait: true, .. }));
    let is_method = item.receiver.is_some() || item.names_self_type || args.associated.is_some();
    match (&item.vis, is_method) {
        _ if is_async_trait => Companions::None,
        (_, false) => Companions::Type,
        (Visibility::Inherited, true) => Companions::None,
        (_, true) => Companions::Method,
    }
}
