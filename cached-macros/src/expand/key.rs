//! Writes the key and the tags.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Expr, LitStr, Type};

use super::instance::kind;
use super::{across, is_memory, private, private_at};
use crate::args::{Tag, Template};
use crate::item::Param;
use crate::memo::{Bound, Memo, Part};

/// Where what can be no part of a key is reported: once for each function.
#[derive(Clone, Copy)]
pub(super) enum Check {
    Here,
    Elsewhere,
}

/// The tuple of the parts of the key, each looked up as it was passed.
pub(super) fn key(memo: &Memo, check: Check) -> TokenStream {
    let p = private();
    let parts = memo.key.parts.iter().map(|part| match part {
        Part::Param(index) => {
            let param = &memo.item.params[*index];
            let (name, cfgs) = (&param.name, param.cfgs());
            let span = across(&param.arg.ty);
            let part = match param.ty() {
                // A tuple of references is owned part by part.
                Type::Tuple(tuple) if param.scan.reference.is_some() => {
                    let parts = (0..tuple.elems.len()).map(|index| {
                        let index = syn::Index::from(index);
                        key_part(memo, check, span, &quote!(#name.#index))
                    });
                    quote!((#(#parts,)*))
                }
                _ => key_part(memo, check, span, &name.to_token_stream()),
            };
            quote!(#(#cfgs)* #part)
        }
        Part::Expr(expr) => key_part(memo, check, across(expr), &operand(expr)),
    });
    let key = quote!((#(#parts,)*));
    let key = match &memo.tags {
        Some(tags) => {
            let tags = tags.value.iter().map(|tag| self::tag(memo, check, tag));
            quote!(#p::tagged(#key, || #p::vec![#(#tags),*]))
        }
        None => key,
    };
    match &memo.bound {
        Bound::Bytes { weigh, .. } => {
            let (kind, name, weigh) = (kind(memo), Ident::new("weighed", weigh.name.span()), &weigh.value);
            quote!(#p::#name(#key, #kind, #weigh))
        }
        Bound::Default | Bound::Entries(_) => key,
    }
}

/// The text of a tag, by what the arguments are now.
fn tag(memo: &Memo, check: Check, tag: &Tag) -> TokenStream {
    match tag {
        Tag::Template(Template { text, format, names }) => {
            let span = text.span();
            let (p, format) = (private_at(span), LitStr::new(format, span));
            let function = match check {
                Check::Here => "text",
                Check::Elsewhere => "text_again",
            };
            // Not by what is written, which may come from another macro than the parameter.
            let params =
                names.iter().filter_map(|name| memo.key_params().find(|param| param.name.unraw() == name));
            let texts = params.map(|param| {
                let mut name = param.name.clone();
                name.set_span(name.span().located_at(span));
                spelled((span, span), &name.to_token_stream(), function)
            });
            quote_spanned!(span=> #p::format!(#format, #(#texts),*))
        }
        Tag::Expr(expr) => {
            let function = match check {
                Check::Here => "tag",
                Check::Elsewhere => "tag_again",
            };
            spelled(across(expr), &operand(expr), function)
        }
    }
}

/// The text of a place, by one of the functions for it.
fn spelled((start, end): (Span, Span), place: &TokenStream, function: &str) -> TokenStream {
    let (p, function) = (private_at(start), Ident::new(function, end));
    let place = quote_spanned!(end=> (&#place));
    let call = quote_spanned!(end=> ());
    quote_spanned!(start=> #p::Spelled::new #place.#function #call)
}

/// An expression as it can stand behind `&`.
fn operand(expr: &Expr) -> TokenStream {
    match expr {
        Expr::Path(_)
        | Expr::Field(_)
        | Expr::Call(_)
        | Expr::MethodCall(_)
        | Expr::Lit(_)
        | Expr::Macro(_)
        | Expr::Tuple(_)
        | Expr::Array(_)
        | Expr::Index(_)
        | Expr::Unary(_)
        | Expr::Paren(_) => expr.to_token_stream(),
        _ => quote_spanned!(expr.span()=> (#expr)),
    }
}

/// One part of the key, with the place of what it is made of.
fn key_part(memo: &Memo, check: Check, (start, end): (Span, Span), place: &TokenStream) -> TokenStream {
    let p = private_at(start);
    let place = quote_spanned!(end=> (&#place));
    let part = match (is_memory(memo), check) {
        (true, Check::Here) => "part",
        (true, Check::Elsewhere) => "part_again",
        (false, Check::Here) => "shared_part",
        (false, Check::Elsewhere) => "shared_part_again",
    };
    let part = Ident::new(part, end);
    let call = quote_spanned!(end=> ());
    quote_spanned!(start=> #p::Arg::new #place.#part #call)
}

/// The parameters that the companions take to make the key.
pub(super) fn key_params(memo: &Memo) -> Vec<TokenStream> {
    let param = |param: &Param| {
        let (cfgs, name, ty) = (param.cfgs(), &param.name, param.ty());
        quote!(#(#cfgs)* #name: #ty)
    };
    memo.key_params().map(param).collect()
}
