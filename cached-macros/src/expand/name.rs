//! The name of a function, which is known before its options are evaluated.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;

use super::private;
use crate::memo::{Companions, Memo};

/// A chain of calls on `FunctionName::new(...)`. The closure has a type whose name contains the path of the function.
pub(super) fn function_name(memo: &Memo) -> TokenStream {
    let p = private();
    let mut chain = quote!(#p::FunctionName::new(&|| ()));
    if let Some(name) = &memo.name {
        let name = &name.value;
        chain.extend(quote!(.named(#name)));
    }
    if memo.companion_type.is_some() {
        let function = memo.item.sig.ident.unraw().to_string();
        chain.extend(quote!(.function(#function)));
    }
    if has_one_instance(memo) {
        chain.extend(quote!(.single_instance()));
    }
    chain
}

/// Returns `true` if the function has one instance: it has neither type parameters nor a `Self` around it.
pub(super) fn has_one_instance(memo: &Memo) -> bool {
    let generics = &memo.item.sig.generics;
    memo.companions == Companions::Type
        && generics.type_params().next().is_none()
        && generics.const_params().next().is_none()
}
