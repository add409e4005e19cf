//! Recognizes functions that return a boxed future.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::{GenericArgument, GenericParam, Path, PathArguments, Signature, Type, TypeParamBound};

use super::{Body, peel};

// Input:
//
//     fn f<'life0, 'async_trait>(&'life0 self) -> ::core::pin::Pin<Box<
//         dyn ::core::future::Future<Output = R> + ::core::marker::Send + 'async_trait
//     >>
//     where 'life0: 'async_trait, Self: 'async_trait
//     { Box::pin(async move { body }) }
//
// Output: `R`, and the body with the argument of `Box::pin(..)`.
pub(super) fn boxed(sig: &Signature, output: &Type, block: &Group) -> Option<(Type, Body)> {
    let output = future_output(argument(output, "Pin").and_then(|ty| argument(ty, "Box"))?)?;

    let mut tokens: Vec<TokenTree> = block.stream().into_iter().collect();
    let Some(TokenTree::Group(call)) = tokens.pop() else { return None };
    if call.delimiter() != Delimiter::Parenthesis {
        return None;
    }
    let pin_starts = path_start(&tokens);
    let pin: TokenStream = tokens.drain(pin_starts..).collect();
    let path: Path = syn::parse2(pin.clone()).ok()?;
    let mut names = path.segments.iter().rev().map(|segment| &segment.ident);
    if !(names.next()? == "pin" && names.next()? == "Box") {
        return None;
    }

    let future = call.stream();
    let async_trait =
        sig.generics.params.iter().any(
            |param| matches!(param, GenericParam::Lifetime(param) if param.lifetime.ident == "async_trait"),
        );
    let (before, braces) = (tokens.into_iter().collect(), block.span());
    Some((output, Body::Boxed { before, pin, future, braces, async_trait }))
}

/// `T` in a path that ends in `NAME<T>`.
fn argument<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = peel(ty) else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(generics) = &last.arguments else { return None };
    generics.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// `R` in `dyn Future<Output = R>`.
fn future_output(ty: &Type) -> Option<Type> {
    let Type::TraitObject(object) = peel(ty) else { return None };
    let future = object.bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().filter(|last| last.ident == "Future"),
        _ => None,
    })?;
    let PathArguments::AngleBracketed(generics) = &future.arguments else { return None };
    generics.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(output) if output.ident == "Output" => Some(output.ty.clone()),
        _ => None,
    })
}

/// The index at which the path at the end of the tokens begins.
fn path_start(tokens: &[TokenTree]) -> usize {
    let mut start = tokens.len();
    let is_colon = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
    loop {
        match &tokens[..start] {
            [.., TokenTree::Ident(_)] => start -= 1,
            _ => return start,
        }
        match &tokens[..start] {
            [.., first, second] if is_colon(first) && is_colon(second) => start -= 2,
            _ => return start,
        }
    }
}
