//! The expansion of a method or an associated function of a type.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt as _;
use syn::{Lifetime, parse_quote};

use super::companions::{
    computing, generated_vis, method_key_params, passed_on, passed_to_uncached, uncached, unused_params,
};
use super::entry::entry_fn;
use super::function::{mention, wrapper};
use super::key::{Diagnostics, key, key_params};
use super::signature::{companion_generics, entry_turbofish, outer_receiver, self_type, turbofish};
use super::{generated, hygienic, import_private, krate, private, runtime_code};
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
    let (self_type, turbofish) = (self_type(memo), turbofish(memo));
    let (wrapper, uncached) = (method_wrapper(memo, &self_type), method_uncached(memo));
    let method = mention(memo, Some(&self_type));
    // The compiler reports no unused method of an impl with generated ones that are unused.
    let others = [companion(memo, "", "_refresh"), companion(memo, "", "_lookup")];
    let mentions = quote!(#method #(let _ = #self_type::#others #turbofish;)*);
    let companions = method_companions(memo, &mentions);
    quote!(#wrapper #uncached #companions)
}

/// The method, if its companions are in the type `owner`.
pub(super) fn method_wrapper(memo: &Memo, owner: &impl ToTokens) -> TokenStream {
    let (entry, uncached) = (companion(memo, "__", "_entry"), companion(memo, "", "_uncached"));
    let (turbofish, entry_turbofish) = (turbofish(memo), entry_turbofish(memo));
    wrapper(memo, &quote!(#owner::#entry #entry_turbofish), &quote!(#owner::#uncached #turbofish))
}

fn companion(memo: &Memo, prefix: &str, suffix: &str) -> Ident {
    let name = memo.item.sig.ident.unraw();
    format_ident!("{prefix}{name}{suffix}", span = generated(memo.item.sig.ident.span()))
}

/// The companion that is the method as it is written.
pub(super) fn method_uncached(memo: &Memo) -> TokenStream {
    let (attrs, uncached) = (passed_to_uncached(memo), uncached(memo, &companion(memo, "", "_uncached")));
    quote!(#(#attrs)* #uncached)
}

/// The other companions of a method; `mentions` are statements of their entry function.
pub(super) fn method_companions(memo: &Memo, mentions: &TokenStream) -> TokenStream {
    let name = memo.item.sig.ident.unraw();
    let companion = |prefix: &str, suffix: &str| companion(memo, prefix, suffix);
    let (at_name, any_name) = (companion("__", "_entry"), companion("__", "_operation"));
    let (uncached_name, refresh_name) = (companion("", "_uncached"), companion("", "_refresh"));
    let (lookup_name, cache_name) = (companion("", "_lookup"), companion("", "_cache"));
    let (vis, output, krate) = (generated_vis(memo), &memo.item.output, krate(memo));
    let (import_private, p) = (import_private(memo), private());
    let passed_on = passed_on(memo);
    let companion_generics = companion_generics(memo);
    let (generics, _, where_clause) = companion_generics.split_for_impl();
    let (turbofish, entry_turbofish) = (turbofish(memo), entry_turbofish(memo));
    let (key, key_params, unused) = (key(memo, Diagnostics::Suppress), key_params(memo), unused_params(memo));

    let self_type = self_type(memo);
    let own_at = quote!(#self_type::#at_name #entry_turbofish);
    let own_uncached = quote!(#self_type::#uncached_name #turbofish);
    let computing = computing(memo, &own_at, &own_uncached);
    let at = entry_fn(memo, &at_name, &quote!(#self_type::#cache_name #turbofish), mentions);

    let lifetime = Lifetime::new("'key", Span::mixed_site());
    let mut cache_generics = companion_generics.clone();
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
    let doc = format!("The cache of `{name}`.");
    runtime_code(
        memo,
        &quote! {
            #krate::__private::computing! { [#(#passed_on)*] #refresh_name #lookup_name #computing }

            #(#passed_on)*
            #[doc = #doc]
            #vis fn #cache_name #cache_generics () -> #krate::MethodCache<#key_type, #output> #where_clause {
                #import_private
                #krate::MethodCache::new(
                    |#operation, #pattern| #self_type::#any_name #turbofish (#(#this,)* #operation, #(#arguments),*),
                    || #self_type::#at_name #entry_turbofish (#p::GetInstance, ()),
                )
            }

            #(#passed_on)*
            fn #any_name #generics (#(#receiver,)* #operation: #krate::__private::AnyOperation<#output>, #(#key_params),*) -> #krate::__private::AnyOutput<#output> #where_clause {
                #import_private
                #unused
                #self_type::#at_name #entry_turbofish (#operation, #key)
            }

            #(#passed_on)*
            #at
        },
    )
}
