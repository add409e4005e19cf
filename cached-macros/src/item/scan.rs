//! What a type contains, as far as its tokens show.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::visit::{self, Visit};
use syn::{
    BoundLifetimes, GenericArgument, Lifetime, ParenthesizedGenericArguments, PathArguments, Token, Type,
    TypeFnPtr, TypeImplTrait, TypeReference, TypeTuple,
};

/// What a type contains, as far as its tokens show: the first occurrence of each.
#[derive(Default)]
pub(crate) struct Scan {
    /// `&` with another lifetime than `'static`.
    pub(crate) reference: Option<Token![&]>,
    /// `&mut`, both tokens.
    pub(crate) ref_mut: Option<TokenStream>,
    /// A lifetime other than `'static`.
    pub(crate) lifetime: Option<Lifetime>,
    /// `impl Trait`
    pub(crate) impl_trait: Option<Token![impl]>,
    /// `f32` or `f64`, if it decides whether the type is `Hash` and `Eq`: in `Option<f64>`, but not in `Ordered<f64>`.
    pub(crate) float: Option<Ident>,
}

/// Scans a type.
pub(crate) fn scan(ty: &Type) -> Scan {
    let mut scan = Scan { float: float(ty), ..Scan::default() };
    scan.visit_type(ty);
    scan
}

impl<'a> Visit<'a> for Scan {
    fn visit_type_reference(&mut self, ty: &'a TypeReference) {
        let is_static = ty.lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static");
        if !is_static {
            self.reference.get_or_insert(ty.and_token);
        }
        if let Some(mutability) = ty.mutability {
            let and = ty.and_token;
            self.ref_mut.get_or_insert_with(|| quote!(#and #mutability));
        }
        visit::visit_type_reference(self, ty);
    }

    fn visit_lifetime(&mut self, lifetime: &'a Lifetime) {
        if lifetime.ident != "static" {
            self.lifetime.get_or_insert_with(|| lifetime.clone());
        }
    }

    fn visit_type_impl_trait(&mut self, ty: &'a TypeImplTrait) {
        self.impl_trait.get_or_insert(ty.impl_token);
        visit::visit_type_impl_trait(self, ty);
    }

    // A function pointer or trait object does not borrow what it borrows when it is called.
    fn visit_type_fn_ptr(&mut self, _: &'a TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &'a ParenthesizedGenericArguments) {}
    fn visit_bound_lifetimes(&mut self, _: &'a BoundLifetimes) {}
}

/// The type without the groups and parentheses around it. A `macro_rules!` macro puts a group around `$ty:ty`.
pub(crate) fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel(&group.elem),
        Type::Paren(paren) => peel(&paren.elem),
        _ => ty,
    }
}

/// `T` in `Option<T>`.
pub(crate) fn option_of(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = peel(ty) else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first() {
        Some(GenericArgument::Type(ty)) => Some(ty),
        _ => None,
    }
}

/// A type that borrows inside, and whose parts become owned one by one.
pub(crate) enum Apart<'a> {
    /// `(&str, u8)`
    Tuple(&'a TypeTuple),
    /// `T` in `Option<T>`, where `T` has to be taken apart itself, or is an `Option<&U>`.
    Option(&'a Type),
}

impl<'a> Apart<'a> {
    /// Returns how to take a type apart; `None` if it is one part of a key.
    pub(crate) fn of(ty: &'a Type) -> Option<Self> {
        let borrows = |ty| scan(ty).reference.is_some();
        match peel(ty) {
            Type::Tuple(tuple) => borrows(ty).then_some(Self::Tuple(tuple)),
            _ => option_of(ty)
                .filter(|inner| Self::of(inner).is_some() || option_of(inner).is_some_and(borrows))
                .map(Self::Option),
        }
    }
}

/// The float that keeps a type from being `Hash` and `Eq`.
fn float(ty: &Type) -> Option<Ident> {
    const TRANSPARENT: [&str; 8] = ["Option", "Vec", "VecDeque", "Box", "Arc", "Rc", "Result", "Cow"];
    match peel(ty) {
        Type::Array(ty) => float(&ty.elem),
        Type::Reference(ty) => float(&ty.elem),
        Type::Slice(ty) => float(&ty.elem),
        Type::Tuple(ty) => ty.elems.iter().find_map(float),
        Type::Path(ty) if ty.qself.is_none() => {
            let last = ty.path.segments.last()?;
            match &last.arguments {
                PathArguments::None => {
                    (last.ident == "f32" || last.ident == "f64").then(|| last.ident.clone())
                }
                PathArguments::AngleBracketed(generics)
                    if TRANSPARENT.iter().any(|name| last.ident == name) =>
                {
                    generics.args.iter().find_map(|argument| match argument {
                        GenericArgument::Type(ty) => float(ty),
                        _ => None,
                    })
                }
                _ => None,
            }
        }
        _ => None,
    }
}
