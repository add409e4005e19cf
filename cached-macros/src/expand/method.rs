//! The expansion of a method or an associated function of a type.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt as _;
use syn::{Lifetime, parse_quote};

use super::companions::{companion_attrs, computing, method_key_params, uncached, uncached_attrs};
use super::entry::entry_fn;
use super::function::wrapper;
use super::key::{Diagnostics, key, key_params};
use super::signature::{cfgs, entry_turbofish, outer_receiver, self_type, turbofish};
use super::{hygienic, import_private, private};
use crate::memo::Memo;

// An impl cannot contain a type. So the companions of a method `find` are `find_uncached`, `find_refresh`, `find_lookup`,
// and `find_cache`, which returns an object with the other operations:
//
//     fn find_cache<'key>() -> MethodCache<(u64, &'key str), User> {
//         MethodCache::new(
//             |operation, (id, lang)| Self::__find_any(operation, id, lang),
//             || Self::__find_at(GetInstance, ()),
//         )
//     }
pub(super) fn expand_method(memo: &Memo) -> TokenStream {
    let name = memo.item.sig.ident.unraw();
    let companion = |prefix: &str, suffix: &str| {
        format_ident!("{prefix}{name}{suffix}", span = memo.item.sig.ident.span())
    };
    let (at_name, any_name) = (companion("__", "_entry"), companion("__", "_operation"));
    let (uncached_name, refresh_name) = (companion("", "_uncached"), companion("", "_refresh"));
    let (lookup_name, cache_name) = (companion("", "_lookup"), companion("", "_cache"));
    let (vis, output, krate) = (&memo.item.vis, &memo.item.output, &memo.krate);
    let (import_private, p) = (import_private(memo), private());
    let (cfgs, uncached_attrs, companion_attrs) = (cfgs(memo), uncached_attrs(), companion_attrs());
    let (generics, _, where_clause) = memo.item.sig.generics.split_for_impl();
    let (turbofish, entry_turbofish) = (turbofish(memo), entry_turbofish(memo));
    let (key, key_params) = (key(memo, Diagnostics::Suppress), key_params(memo));

    let self_type = self_type(memo);
    let own_at = quote!(#self_type::#at_name #entry_turbofish);
    let own_uncached = quote!(#self_type::#uncached_name #turbofish);
    let wrapper = wrapper(memo, &own_at, &own_uncached);
    let uncached = uncached(memo, &uncached_name);
    let computing = computing(memo, &own_at, &own_uncached);
    let at = entry_fn(memo, &at_name, &quote!(#self_type::#cache_name #turbofish));

    let lifetime = Lifetime::new("'__key", Span::mixed_site());
    let mut cache_generics = memo.item.sig.generics.clone();
    cache_generics.params.insert(0, parse_quote!(#lifetime));
    let (cache_generics, _, _) = cache_generics.split_for_impl();
    let (names, types): (Vec<_>, Vec<_>) = method_key_params(memo, &lifetime).into_iter().unzip();
    // `self` is the first argument; the operation is the second.
    let (this, arguments) = names.split_at(usize::from(memo.key.uses_self));
    let (pattern, key_type) = match (&*names, &*types) {
        ([name], [ty]) => (quote!(#name), quote!(#ty)),
        _ => (quote!((#(#names),*)), quote!((#(#types),*))),
    };
    let receiver = outer_receiver(memo).filter(|_| memo.key.uses_self).into_iter();
    let operation = hygienic("__operation");
    let doc = format!("The cache of [`{name}`](Self::{name}()).");

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
            #import_private
            #krate::MethodCache::new(
                |#operation, #pattern| #self_type::#any_name #turbofish (#(#this,)* #operation, #(#arguments),*),
                || #self_type::#at_name #entry_turbofish (#p::GetInstance, ()),
            )
        }

        #(#cfgs)*
        #companion_attrs
        fn #any_name #generics (#(#receiver,)* #operation: #krate::__private::AnyOperation<#output>, #(#key_params),*) -> #krate::__private::AnyOutput<#output> #where_clause {
            #import_private
            #self_type::#at_name #entry_turbofish (#operation, #key)
        }

        #(#cfgs)*
        #companion_attrs
        #at
    }
}
