//! Writes a method or an associated function.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt as _;
use syn::{Lifetime, parse_quote};

use super::companions::{companion_attrs, computing, handle_params, uncached, uncached_attrs};
use super::function::wrapper;
use super::instance::at;
use super::key::{Check, key, key_params};
use super::signature::{at_turbofish, cfgs, turbofish};
use super::{ours, private, scope};
use crate::memo::Memo;

// Beside a method `find` no type can stand. So there are `find_uncached`, `find_refresh`, `find_lookup` and `find_cache`,
// which returns the other verbs:
//
//     fn find_cache<'key>() -> MethodCache<(u64, &'key str), User> {
//         MethodCache::new(
//             |verb, (id, lang)| Self::__find_any(verb, id, lang),
//             || Self::__find_at(Clear, ()),
//             || Self::__find_at(Count, ()),
//         )
//     }
pub(super) fn beside_a_method(memo: &Memo) -> TokenStream {
    let name = memo.item.sig.ident.unraw();
    let beside = |prefix: &str, suffix: &str| {
        format_ident!("{prefix}{name}{suffix}", span = memo.item.sig.ident.span())
    };
    let (at_name, any_name) = (beside("__", "_at"), beside("__", "_any"));
    let (uncached_name, refresh_name) = (beside("", "_uncached"), beside("", "_refresh"));
    let (lookup_name, cache_name) = (beside("", "_lookup"), beside("", "_cache"));
    let (vis, output, krate) = (&memo.item.vis, &memo.item.output, &memo.krate);
    let (scope, p) = (scope(memo), private());
    let (cfgs, uncached_attrs, companion_attrs) = (cfgs(memo), uncached_attrs(), companion_attrs());
    let (generics, _, where_clause) = memo.item.sig.generics.split_for_impl();
    let (turbofish, at_turbofish) = (turbofish(memo), at_turbofish(memo));
    let (key, key_params) = (key(memo, Check::Elsewhere), key_params(memo));

    let own_at = quote!(Self::#at_name #at_turbofish);
    let own_uncached = quote!(Self::#uncached_name #turbofish);
    let wrapper = wrapper(memo, &own_at, &own_uncached);
    let uncached = uncached(memo, &uncached_name);
    let computing = computing(memo, &own_at, &own_uncached);
    let at = at(memo, &at_name, &quote!(Self::#cache_name #turbofish));

    let lifetime = Lifetime::new("'__key", Span::mixed_site());
    let mut cache_generics = memo.item.sig.generics.clone();
    cache_generics.params.insert(0, parse_quote!(#lifetime));
    let (cache_generics, _, _) = cache_generics.split_for_impl();
    let (names, types): (Vec<_>, Vec<_>) = handle_params(memo, &lifetime).into_iter().unzip();
    // A method takes its `self` first, and the verb after it.
    let (this, arguments) = names.split_at(usize::from(memo.key.uses_self));
    let (pattern, key_type) = match (&*names, &*types) {
        ([name], [ty]) => (quote!(#name), quote!(#ty)),
        _ => (quote!((#(#names),*)), quote!((#(#types),*))),
    };
    let receiver =
        memo.key.uses_self.then(|| memo.item.receiver.as_ref().map(|receiver| &receiver.arg)).flatten();
    let receiver = receiver.into_iter();
    let verb = ours("__verb");
    let doc = format!("What has been remembered of [`{name}`](Self::{name}()).");

    quote! {
        #wrapper

        #(#cfgs)*
        #uncached_attrs
        #uncached

        #(#cfgs)*
        #krate::__private::computing! { #refresh_name #lookup_name #computing }

        #(#cfgs)*
        #[doc = #doc]
        #companion_attrs
        #vis fn #cache_name #cache_generics () -> #krate::MethodCache<#key_type, #output> #where_clause {
            #scope
            #krate::MethodCache::new(
                |#verb, #pattern| Self::#any_name #turbofish (#(#this,)* #verb, #(#arguments),*),
                || Self::#at_name #at_turbofish (#p::Clear, ()),
                || Self::#at_name #at_turbofish (#p::Count, ()),
            )
        }

        #(#cfgs)*
        #companion_attrs
        fn #any_name #generics (#(#receiver,)* #verb: #krate::__private::Any<#output>, #(#key_params),*) -> #krate::BoxFuture<'static, #krate::__private::Done<#output>> #where_clause {
            #scope
            Self::#at_name #at_turbofish (#verb, #key)
        }

        #(#cfgs)*
        #companion_attrs
        #at
    }
}
