//! A function with its options, known to make sense.

mod check;
mod key;
mod tags;
#[cfg(test)]
mod tests;

use std::mem;
use std::time::Duration;

use proc_macro2::{Ident, Span};
use syn::{Error, Expr, Path, Result, Visibility, parse_quote};

use self::check::{check_detached, check_function, check_options};
pub(crate) use self::key::{Key, Part};
use crate::args::{Amount, Args, Backend, Codec, Opt, SingleFlight, Tag};
use crate::errors::Errors;
use crate::item::{Body, FnItem, Param};

/// What there is to expand: nothing of it can be wrong any more, but for its types.
pub(crate) struct Memo {
    /// The function; its body is in `body`.
    pub(crate) item: FnItem,
    pub(crate) body: Body,
    pub(crate) key: Key,
    pub(crate) life: Life,
    /// `"memory"` at the call site of the attribute if it was not written.
    pub(crate) backend: Opt<Backend>,
    pub(crate) bound: Bound,
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
    /// They name parameters of the key only.
    pub(crate) tags: Option<Opt<Vec<Tag>>>,
    pub(crate) tags_from: Option<Opt<Expr>>,
    pub(crate) single_flight: Option<Opt<SingleFlight>>,
    /// There only if nothing that the function takes is borrowed, as far as can be seen. Also where a value is refreshed
    /// in the background, with the option that asks for that.
    pub(crate) detached: Option<Opt<()>>,
    /// There only with a shared backend.
    pub(crate) codec: Option<Opt<Codec>>,
    pub(crate) handle: Option<Opt<Path>>,
    pub(crate) companions: Companions,
    /// Where `cached-runtime` is.
    pub(crate) krate: Path,
}

/// How long a value is fresh.
pub(crate) enum Life {
    Ttl(Opt<Amount<Duration>>),
    FromValue(Opt<Expr>),
}

/// The bound of the tier in the process.
pub(crate) enum Bound {
    Default,
    Entries(Opt<Amount<u64>>),
    Bytes { max: Opt<Amount<u64>>, weigh: Opt<Expr> },
}

/// Where the verbs of the cache are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Companions {
    /// In a type of the function's name, beside it.
    Type,
    /// In an associated function beside the method.
    Method,
    /// Nowhere: beside the method of a trait's impl nothing else may stand.
    None,
}

impl Memo {
    /// Puts the two together, or tells everything that is wrong with them.
    pub(crate) fn new(mut args: Args, item: Result<FnItem>) -> std::result::Result<Self, Errors> {
        let mut errors = Errors::default();
        errors.extend(mem::take(&mut args.mistakes));
        let mut item = match item {
            Ok(item) => item,
            Err(mistake) => {
                errors.extend([mistake]);
                return Err(errors);
            }
        };

        let life = life(&mut args, &mut errors);
        check_options(&args, &mut errors);
        check_function(&item, &mut errors);
        args.detached = detached(&mut args);
        check_detached(&item, &args, &mut errors);
        let companions = companions(&item, &args);
        let key = key::key(&mut args, &item, &mut errors);
        tags::check(&args, &item, &key, &mut errors);

        // Without one of them there is a mistake that says so.
        let (Some(life), Some(body)) = (life, item.body.take()) else { return Err(errors) };
        errors.finish(Self {
            body,
            life,
            key,
            companions,
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
            cache_if: args.cache_if,
            cache_err: args.cache_err,
            cache_none: args.cache_none,
            stale_while_revalidate: args.stale_while_revalidate,
            stale_if_error: args.stale_if_error,
            refresh_ahead: args.refresh_ahead,
            jitter: args.jitter,
            timeout: args.timeout,
            tags: args.tags,
            tags_from: args.tags_from,
            single_flight: args.single_flight,
            detached: args.detached,
            codec: args.codec,
            handle: args.handle,
            krate: args.krate.map_or_else(|| parse_quote!(::cached_runtime), |path| path.value),
            item,
        })
    }

    /// The parameters that the key is made of, in their order.
    pub(crate) fn key_params(&self) -> impl Iterator<Item = &Param> {
        self.key.params.iter().map(|&index| &self.item.params[index])
    }
}

fn life(args: &mut Args, errors: &mut Errors) -> Option<Life> {
    if let Some(second) = args.second(&["ttl", "ttl_from"]) {
        errors.push(second, "`ttl` and `ttl_from` both say how long a value is fresh; leave one of them out");
    }
    // An option that could not be read may have been meant for it.
    let missing = errors.is_empty() && args.ttl.is_none() && args.ttl_from.is_none();
    if missing {
        errors.extend([Error::new(Span::call_site(), "say how long a value is fresh: `ttl = 60`")]);
    }
    let ttl = args.ttl.take().map(Life::Ttl);
    ttl.or_else(|| args.ttl_from.take().map(Life::FromValue))
}

/// A refresh in the background is a task of its own, and so is the computation of a function that has one.
fn detached(args: &mut Args) -> Option<Opt<()>> {
    let of = |name: &Ident| Opt { name: name.clone(), value: (), span: name.span() };
    args.detached
        .take()
        .or_else(|| args.stale_while_revalidate.as_ref().map(|option| of(&option.name)))
        .or_else(|| args.refresh_ahead.as_ref().map(|option| of(&option.name)))
}

/// What can stand beside the function. In the impl of a trait that is nothing, and a method there looks like a
/// private one of its type; so a method has companions if it says who may see it, be it by `pub(self)`.
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
