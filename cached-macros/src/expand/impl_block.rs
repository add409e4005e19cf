//! The expansion of the impl of a trait with cached methods.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{
    FnArg, GenericParam, Generics, Lifetime, ReceiverKind, ReturnType, Signature, Token, Type, parse_quote,
};

use super::companions::passed_to_uncached;
use super::method::{method_companions, method_uncached, method_wrapper};
use super::rewrite::{Rewrite, mentions, this_name};
use super::signature::{arguments, is_unsafe, outer_signature};
use super::{generated, hygienic};
use crate::args::Args;
use crate::item::{Body, ImplBlock, peel};
use crate::memo::{Companions, ImplMemo, Memo};

// Input:
//
//     #[async_cached]
//     impl Find for Users {
//         #[async_cached(ttl = 60, skip(self))]
//         async fn find(&self, id: u64) -> User { body }
//     }
//
// Output:
//
//     impl Find for Users {
//         async fn find(&self, id: u64) -> User {
//             let lookup = Self::__find_entry(Get, (Arg::new(&id).key_part(),));
//             lookup.or_compute(move || Self::find_uncached(self, id)).await
//         }
//     }
//     const _: () = {
//         trait Uncached: Find { async fn find(&self, id: u64) -> User; }
//         impl Uncached for Users { async fn find(&self, id: u64) -> User { body } }
//         impl Users {
//             pub async fn find_uncached(&self, id: u64) -> User { <Self as Uncached>::find(self, id).await }
//         }
//     };
//     impl Users {
//         // find_cache, find_lookup, find_refresh, __find_operation and __find_entry, as for an inherent method
//     }
//
// With `companions = FindUsers`, they are in `impl FindUsers`, and `self` is `this: &Users` there. The body is in the impl
// of a trait with `Find` as its supertrait, so that `self`, `Self` and `Self::Item` mean in it what they mean for the user.
pub(crate) fn expand_impl_block(memo: &ImplMemo<'_>) -> TokenStream {
    let block = memo.block;
    let scope = Scope::new(memo);
    let items = block.items.iter().enumerate().map(|(index, item)| {
        match memo.methods.iter().find(|(of, ..)| *of == index) {
            Some((_, _, method)) => method_wrapper(method, &scope.path()),
            None => item.tokens.clone(),
        }
    });
    let user_impl = block.with_items(items);
    let (uncached_methods, companions): (Vec<_>, Vec<_>) =
        memo.methods.iter().map(|(_, options, method)| scope.companions(options, method)).unzip();
    let (declarations, bodies): (Vec<_>, Vec<_>) =
        memo.methods.iter().map(|(_, _, method)| (declaration(method), body(method))).unzip();
    let (cfgs, of_trait, self_type) = (&block.cfgs, &block.of_trait, &block.self_type);
    let (impl_generics, type_generics, where_clause) = block.generics.split_for_impl();
    let (params, uncached, owner, definition) =
        (&block.generics, uncached_trait(), scope.owner(), scope.definition());
    quote! {
        #user_impl

        #definition

        #(#cfgs)*
        const _: () = {
            trait #uncached #params: #of_trait #where_clause {
                #(#declarations)*
            }

            impl #impl_generics #uncached #type_generics for #self_type #where_clause {
                #(#bodies)*
            }

            impl #impl_generics #owner #where_clause {
                #(#uncached_methods)*
            }
        };

        #(#cfgs)*
        impl #impl_generics #owner #where_clause {
            #(#companions)*
        }
    }
}

fn uncached_trait() -> Ident {
    hygienic("__Uncached")
}

/// Where the companions are.
struct Scope<'a> {
    block: &'a ImplBlock,
    /// The name of the type that has them, if it is not the self type.
    name: Option<Ident>,
}

impl<'a> Scope<'a> {
    fn new(memo: &'a ImplMemo<'_>) -> Self {
        let name = memo.companion_type.clone().map(|mut name| {
            name.set_span(generated(name.span()));
            name
        });
        Self { block: memo.block, name }
    }

    /// The type that has the companions.
    fn owner(&self) -> TokenStream {
        let (_, type_generics, _) = self.block.generics.split_for_impl();
        match &self.name {
            Some(name) => quote!(#name #type_generics),
            None => self.block.self_type.to_token_stream(),
        }
    }

    /// The same type in an expression in the impl.
    fn path(&self) -> TokenStream {
        let owner = self.owner();
        match &self.name {
            Some(_) => quote!(<#owner>),
            None => Ident::new("Self", Span::call_site()).into_token_stream(),
        }
    }

    /// The definition of the type, unless it is the self type.
    fn definition(&self) -> TokenStream {
        let Some(name) = &self.name else { return TokenStream::new() };
        let params: Vec<GenericParam> = self.block.generics.params.iter().map(without_bounds).collect();
        let mentioned = params.iter().filter_map(|param| match param {
            GenericParam::Lifetime(param) => {
                let lifetime = &param.lifetime;
                Some(quote!(&#lifetime ()))
            }
            GenericParam::Type(param) => {
                let name = &param.ident;
                Some(quote!(*const #name))
            }
            GenericParam::Const(_) => None,
        });
        let path = |tokens: &dyn ToTokens| tokens.to_token_stream().to_string().replace(' ', "");
        let doc = format!(
            "The caches of the methods of `{}` for `{}`.",
            path(&self.block.of_trait),
            path(&self.block.self_type)
        );
        let cfgs = &self.block.cfgs;
        quote! {
            #(#cfgs)*
            #[doc = #doc]
            #[non_exhaustive]
            pub struct #name<#(#params),*>(::core::marker::PhantomData<fn() -> (#(#mentioned,)*)>);
        }
    }

    /// The companions of a method: the one that runs it as it is written, and the others.
    fn companions(&self, options: &TokenStream, method: &Memo) -> (TokenStream, TokenStream) {
        let (attrs, safety) = (&method.item.attrs, is_unsafe(method));
        let (mut sig, arguments) = (plain(method, outer_signature(method)), arguments(method));
        let this = this_name(&quote!(#sig #options));
        let rewriter = Rewrite { block: self.block, this: self.name.is_some().then_some(&this) };
        let rewrite = |tokens: TokenStream| rewriter.tokens(tokens);
        if self.name.is_some()
            && let Some(FnArg::Receiver(receiver)) = sig.inputs.first()
        {
            let ty = this_type(receiver);
            if let Some(first) = sig.inputs.first_mut() {
                *first = parse_quote!(#this: #ty);
            }
        }
        let (_, type_generics, _) = self.block.generics.split_for_impl();
        let (uncached, name) = (uncached_trait(), &method.item.sig.ident);
        let call = rewrite(quote!(<Self as #uncached #type_generics>::#name(#arguments)));
        let call = if safety { quote!(unsafe { #call }) } else { call };
        let sig = rewrite(sig.into_token_stream());
        let function = quote!(#(#attrs)* pub #sig { #call.await });
        let args = Args::parse(rewrite(options.clone()));
        match Memo::in_place(args, syn::parse2(function), Some(Companions::Method)) {
            Ok(memo) => (method_uncached(&memo), method_companions(&memo, &TokenStream::new())),
            Err(errors) => (TokenStream::new(), errors.into_compile_errors()),
        }
    }
}

fn without_bounds(param: &GenericParam) -> GenericParam {
    match param.clone() {
        GenericParam::Lifetime(mut param) => {
            param.bounds = Punctuated::new();
            GenericParam::Lifetime(param)
        }
        GenericParam::Type(mut param) => {
            param.bounds = parse_quote!(?Sized);
            param.colon_token = Some(Token![:](Span::call_site()));
            param.default = None;
            GenericParam::Type(param)
        }
        GenericParam::Const(mut param) => {
            param.default = None;
            GenericParam::Const(param)
        }
    }
}

/// The type of `self`, with `Self` in it.
fn this_type(receiver: &syn::Receiver) -> Type {
    match &receiver.kind {
        ReceiverKind::Typed(_, ty) => (**ty).clone(),
        ReceiverKind::Reference(_, lifetime, mutability) => parse_quote!(&#lifetime #mutability Self),
        _ => parse_quote!(Self),
    }
}

/// The declaration of the method in the trait that has the bodies.
fn declaration(method: &Memo) -> TokenStream {
    let sig = plain(method, outer_signature(method));
    quote!(#sig;)
}

/// The method with its body.
fn body(method: &Memo) -> TokenStream {
    let (attrs, sig) = (passed_to_uncached(method), plain(method, method.item.sig.clone()));
    let body = match &method.body {
        Body::Async(body) => body.to_token_stream(),
        Body::Boxed { before, future, .. } => quote!({ #before (#future).await }),
    };
    quote!(#(#attrs)* #sig #body)
}

/// The signature as an `async fn`, also if `#[async_trait]` expanded first.
fn plain(method: &Memo, mut sig: Signature) -> Signature {
    if sig.asyncness.is_some() {
        return sig;
    }
    let output = &method.item.output;
    sig.asyncness = Some(Token![async](generated(sig.fn_token.span)));
    sig.output = match peel(output) {
        Type::Tuple(unit) if unit.elems.is_empty() => ReturnType::Default,
        _ => parse_quote!(-> #output),
    };
    remove_lifetime(&mut sig.generics, "async_trait");
    sig
}

fn remove_lifetime(generics: &mut Generics, name: &str) {
    let is = |lifetime: &Lifetime| lifetime.ident == name;
    generics.params = std::mem::take(&mut generics.params)
        .into_iter()
        .filter(|param| !matches!(param, GenericParam::Lifetime(param) if is(&param.lifetime)))
        .collect();
    if let Some(clause) = &mut generics.where_clause {
        clause.predicates = std::mem::take(&mut clause.predicates)
            .into_iter()
            .filter(|predicate| !mentions(predicate.to_token_stream(), name))
            .collect();
        if clause.predicates.is_empty() {
            generics.where_clause = None;
        }
    }
}
