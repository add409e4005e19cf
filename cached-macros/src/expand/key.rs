//! The key: its parts, the tags and the weight.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Expr, LitStr, Type};

use super::entry::plain_kind;
use super::{hygienic, is_memory, private, private_at, span_bounds};
use crate::args::{Tag, Template};
use crate::item::{Apart, Param};
use crate::memo::{Bound, Memo, Part};

/// Whether this occurrence of the key reports invalid parts. An expansion contains the key several times, and each
/// error is reported once.
#[derive(Clone, Copy)]
pub(super) enum Diagnostics {
    Report,
    Suppress,
}

/// The tuple of the borrowed parts of the key, with the tags and the weight.
pub(super) fn key(memo: &Memo, diagnostics: Diagnostics) -> TokenStream {
    let p = private();
    let parts = memo.key.parts.iter().map(|part| match part {
        Part::Param(index) => {
            let param = &memo.item.params[*index];
            let (name, cfgs) = (&param.name, param.cfgs());
            let span = span_bounds(&param.arg.ty);
            let part = whole_param(memo, diagnostics, span, param.ty(), &name.to_token_stream());
            quote!(#(#cfgs)* #part)
        }
        Part::Expr(expr) => key_part(memo, diagnostics, span_bounds(expr), &operand(expr)),
    });
    let key = quote!((#(#parts,)*));
    let key = match &memo.tags {
        Some(tags) => {
            let tags = tags.value.iter().map(|tag| self::tag(memo, diagnostics, tag));
            quote!(#p::with_tags(#key, || #p::vec![#(#tags),*]))
        }
        None => key,
    };
    match &memo.bound {
        Bound::Bytes { weigh, .. } => {
            let (kind, name, weigh) =
                (plain_kind(memo), Ident::new("with_weight", weigh.name.span()), &weigh.value);
            quote!(#p::#name(#key, #kind, #weigh))
        }
        Bound::Default | Bound::Entries(_) => key,
    }
}

/// The part for a value of type `ty`. What a tuple or an `Option` borrows becomes owned one by one.
fn whole_param(
    memo: &Memo,
    diagnostics: Diagnostics,
    span: (Span, Span),
    ty: &Type,
    place: &TokenStream,
) -> TokenStream {
    match Apart::of(ty) {
        None => key_part(memo, diagnostics, span, place),
        Some(Apart::Tuple(tuple)) => {
            let parts = tuple.elems.iter().enumerate().map(|(index, ty)| {
                let index = syn::Index::from(index);
                whole_param(memo, diagnostics, span, ty, &quote!(#place.#index))
            });
            quote!((#(#parts,)*))
        }
        Some(Apart::Option(inner)) => {
            let some = hygienic("__some");
            let part = whole_param(memo, diagnostics, span, inner, &quote!((*#some)));
            quote!(#place.as_ref().map(|#some| #part))
        }
    }
}

/// The expression for a tag as a `String`.
fn tag(memo: &Memo, diagnostics: Diagnostics, tag: &Tag) -> TokenStream {
    match tag {
        Tag::Template(Template { literal, format, names }) => {
            let span = literal.span();
            let (p, format) = (private_at(span), LitStr::new(format, span));
            let function = match diagnostics {
                Diagnostics::Report => "text",
                Diagnostics::Suppress => "text_unchecked",
            };
            // The identifier of the parameter, because the literal can come from another macro and have other hygiene.
            let params =
                names.iter().filter_map(|name| memo.key_params().find(|param| param.name.unraw() == name));
            let texts = params.map(|param| {
                let mut name = param.name.clone();
                name.set_span(name.span().located_at(span));
                tag_text((span, span), &name.to_token_stream(), function)
            });
            quote_spanned!(span=> #p::format!(#format, #(#texts),*))
        }
        Tag::Expr(expr) => {
            let function = match diagnostics {
                Diagnostics::Report => "tag",
                Diagnostics::Suppress => "tag_unchecked",
            };
            tag_text(span_bounds(expr), &operand(expr), function)
        }
    }
}

/// The tag text of `place`, by one of the runtime's functions.
fn tag_text((start, end): (Span, Span), place: &TokenStream, function: &str) -> TokenStream {
    let (p, function) = (private_at(start), Ident::new(function, end));
    let place = quote_spanned!(end=> (&#place));
    let call = quote_spanned!(end=> ());
    quote_spanned!(start=> #p::TagText::new #place.#function #call)
}

/// The expression, in parentheses if `&` needs them.
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

/// One borrowed part of the key.
fn key_part(
    memo: &Memo,
    diagnostics: Diagnostics,
    (start, end): (Span, Span),
    place: &TokenStream,
) -> TokenStream {
    let p = private_at(start);
    let place = quote_spanned!(end=> (&#place));
    let part = match (is_memory(memo), diagnostics) {
        (true, Diagnostics::Report) => "key_part",
        (true, Diagnostics::Suppress) => "key_part_unchecked",
        (false, Diagnostics::Report) => "shared_key_part",
        (false, Diagnostics::Suppress) => "shared_key_part_unchecked",
    };
    let part = Ident::new(part, end);
    let call = quote_spanned!(end=> ());
    quote_spanned!(start=> #p::Arg::new #place.#part #call)
}

/// The parameters of the companions that take only the arguments in the key.
pub(super) fn key_params(memo: &Memo) -> Vec<TokenStream> {
    let param = |param: &Param| {
        let (cfgs, name, ty) = (param.cfgs(), &param.name, param.ty());
        quote!(#(#cfgs)* #name: #ty)
    };
    memo.key_params().map(param).collect()
}
