//! The policy: the options that do not depend on types.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::Expr;

use super::{private, private_at, span_bounds};
use crate::args::{Amount, Backend, Codec, Detached, Opt, SingleFlight};
use crate::memo::{Bound, Memo, Ttl};

/// A chain of calls on `Policy::new()`, one for each option.
pub(super) fn policy(memo: &Memo) -> TokenStream {
    let p = private();
    let mut policy = quote!(#p::Policy::new());
    let ttl = match &memo.ttl {
        Ttl::Fixed(ttl) => Some(ttl),
        Ttl::FromValue(_) => None,
    };
    for (setter, option) in [
        ("ttl", ttl),
        ("error_ttl", memo.cache_err.as_ref()),
        ("none_ttl", memo.cache_none.as_ref()),
        ("stale_while_revalidate", memo.stale_while_revalidate.as_ref()),
        ("stale_if_error", memo.stale_if_error.as_ref()),
        ("timeout", memo.timeout.as_ref()),
    ] {
        let Some(option) = option else { continue };
        let setter = Ident::new(setter, option.name.span());
        policy.extend(match &option.value {
            Amount::Known(duration) => {
                let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
                quote!(.#setter(#p::Duration::new(#seconds, #nanos)))
            }
            // Evaluated whenever it is needed.
            Amount::Expr(expr) => {
                let setter = format_ident!("{setter}_by");
                quote!(.#setter(|| #expr))
            }
        });
    }
    if let Some(Opt { value: fraction, .. }) = &memo.refresh_ahead {
        policy.extend(quote!(.refresh_ahead(#fraction)));
    }
    if let Some(Opt { value: fraction, .. }) = &memo.jitter {
        policy.extend(quote!(.jitter_fraction(#fraction)));
    }
    if memo.tags.is_some() {
        policy.extend(quote!(.with_tags()));
    }
    match &memo.bound {
        Bound::Default => {}
        Bound::Entries(option) => {
            let entries = amount(&option.value);
            policy.extend(quote_spanned!(option.name.span()=> .capacity(#entries)));
        }
        Bound::Bytes { max, .. } => {
            let (name, max) = (&max.name, amount(&max.value));
            policy.extend(quote_spanned!(name.span()=> .max_bytes(#max)));
        }
    }
    if let Some(version) = &memo.version {
        let version = version.value;
        policy.extend(quote!(.version(#version)));
    }
    if memo.readable.is_some() {
        policy.extend(quote!(.readable()));
    }
    match memo.single_flight.as_ref().map(|option| option.value) {
        // The default in a shared store; an error in memory.
        None | Some(SingleFlight::Fleet) => {}
        Some(SingleFlight::Process) => policy.extend(quote!(.single_flight_process())),
        Some(SingleFlight::Off) => policy.extend(quote!(.single_flight_off())),
    }
    if let Some(option) = &memo.max_concurrent {
        let computations = amount(&option.value);
        policy.extend(quote_spanned!(option.name.span()=> .max_concurrent(#computations)));
    }
    match memo.detached.as_ref().map(|option| option.value) {
        None | Some(Detached::GoesOn) => {}
        Some(Detached::WhileAwaited) => policy.extend(quote!(.detached_while_awaited())),
    }
    match &memo.backend.value {
        Backend::Memory => {}
        Backend::Shared => policy.extend(quote!(.shared())),
        Backend::Redis => policy.extend(quote!(.redis())),
        Backend::Memcached => policy.extend(quote!(.memcached())),
        Backend::Store(store) => {
            let (start, end) = span_bounds(store);
            let p = private_at(start);
            let store = if is_place(store) {
                let named = quote_spanned!(start=> #p::Named::new(&#store));
                quote_spanned!(end=> #named.to_store())
            } else {
                quote_spanned!(start=> #p::Named::owned(#store))
            };
            policy.extend(quote_spanned!(end=> .store(#store)));
        }
    }
    match memo.codec.as_ref().map(|codec| (codec.value, codec.span)) {
        Some((Codec::Json, span)) => require_feature(&Ident::new("json", span), &quote!(#policy.json())),
        Some((Codec::Msgpack, _)) | None => policy,
    }
}

/// Returns `true` if an expression may be the place of a value that cannot be moved, as `STORE` is.
fn is_place(expr: &Expr) -> bool {
    match expr {
        Expr::Group(group) => is_place(&group.expr),
        Expr::Paren(paren) => is_place(&paren.expr),
        Expr::Path(_) | Expr::Field(_) | Expr::Index(_) | Expr::Macro(_) => true,
        _ => false,
    }
}

/// Code that needs a feature of the runtime. Without the feature it is one error, at the span of `feature`.
pub(super) fn require_feature(feature: &Ident, code: &TokenStream) -> TokenStream {
    let p = private_at(feature.span());
    quote_spanned!(feature.span()=> #p::#feature! { #code })
}

fn amount(amount: &Amount<u64>) -> TokenStream {
    match amount {
        Amount::Known(amount) => proc_macro2::Literal::u64_unsuffixed(*amount).into_token_stream(),
        Amount::Expr(expr) => quote!(#expr),
    }
}
