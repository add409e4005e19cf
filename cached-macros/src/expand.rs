//! Writes what a memoized function becomes.

use proc_macro2::TokenStream;
use quote::quote;

use crate::item::Body;
use crate::memo::Memo;

pub(crate) fn expand(memo: Memo) -> TokenStream {
    let item = memo.item;
    let (attrs, vis, sig) = (item.attrs, item.vis, item.sig);
    let body = match memo.body {
        Body::Async(block) => quote!(#block),
        Body::Boxed { before, pin, future, .. } => quote!({ #before #pin(#future) }),
    };
    quote!(#(#attrs)* #vis #sig #body)
}
