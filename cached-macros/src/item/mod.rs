//! The item under the attribute, as syntax.
//!
//! A [`FnItem`] is a function whose signature is parsed and whose body is a group of tokens, moved as it is. `boxed`
//! recognizes functions that return a boxed future, `scan` finds references, lifetimes and floats in types, and
//! `self_type` finds out whether a function is in an `impl`, and `source` where its tokens do not show it. `output` is what
//! stays of an item with errors.

mod boxed;
mod impl_block;
mod output;
mod scan;
mod self_type;
mod source;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{format_ident, quote};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Error, FnArg, Pat, PatType, Receiver, ReceiverKind, Result, ReturnType, Signature, Token,
    Type, Visibility, parse_quote,
};

use self::boxed::boxed;
pub(crate) use self::impl_block::{ImplBlock, is_impl};
pub(crate) use self::output::for_output;
pub(crate) use self::scan::{Apart, Scan, option_of, peel, scan};
use self::self_type::{mentions_self_type, names_self_type};
pub(crate) use self::source::{Conflict, Source};

/// A function: its parsed signature, and its body as tokens.
pub(crate) struct FnItem {
    /// All other attributes, including doc comments.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    /// The original signature.
    pub(crate) sig: Signature,
    pub(crate) receiver: Option<SelfParam>,
    /// The parameters without the receiver, in order.
    pub(crate) params: Vec<Param>,
    /// The output type of the future; `()` if the signature has none.
    pub(crate) output: Type,
    /// `None` if the function is not async.
    pub(crate) body: Option<Body>,
    /// Whether the signature or the body contains `Self`: then the function is in an `impl` or a `trait`.
    pub(crate) names_self_type: bool,
}

/// The body of a function, by the form of its future.
pub(crate) enum Body {
    /// `async fn f() -> R { body }`, with its braces.
    Async(Group),
    /// `fn f() -> Pin<Box<dyn Future<Output = R>>> { before; Box::pin(future) }`, as
    /// `#[async_trait]` and `#[async_recursion]` generate it if they expand first.
    Boxed {
        /// The statements before `Box::pin`; usually none.
        before: TokenStream,
        /// `Box::pin`
        pin: TokenStream,
        /// The boxed future: an expression, usually `async move { ... }`.
        future: TokenStream,
        /// The span of the braces around all.
        braces: Span,
        /// Whether `#[async_trait]` generated it: then the method is in a trait or in the impl of one.
        async_trait: bool,
    },
}

impl Body {
    /// The code in the braces that the user wrote.
    ///
    /// If the braces were generated, the compiler would take the whole function for generated code: it would not report that
    /// the function is unused, and no other method of the same impl either.
    pub(crate) fn in_braces(&self, code: TokenStream) -> Group {
        let mut block = Group::new(Delimiter::Brace, code);
        block.set_span(match self {
            Self::Async(block) => block.span(),
            Self::Boxed { braces, .. } => *braces,
        });
        block
    }
}

/// The receiver of a method.
pub(crate) struct SelfParam {
    /// The original receiver.
    pub(crate) arg: Receiver,
    pub(crate) kind: SelfKind,
}

/// How a method takes `self`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SelfKind {
    /// `&self`, `self: &Self`
    Ref,
    /// `&mut self`, `self: Pin<&mut Self>`
    RefMut,
    /// `self`, `self: Self`, `self: Arc<Self>` and other owned types.
    Owned,
}

/// A parameter that is not the receiver.
pub(crate) struct Param {
    /// The original parameter, with its attributes.
    pub(crate) arg: PatType,
    /// The user's name of the parameter, or a hygienic one if its pattern is more than a name.
    pub(crate) name: Ident,
    /// The pattern, unless it is just `name`, as in `mut x`, `_`, `(a, b)` and `Point { x, y }`. Then `name` replaces
    /// it in the signature, and the body begins with `let PATTERN = NAME;`.
    pub(crate) pattern: Option<Pat>,
    /// Whether `name` is the user's.
    pub(crate) named: bool,
    /// What the type contains.
    pub(crate) scan: Scan,
}

impl Parse for FnItem {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        expect_fn(input)?;
        let sig: Signature = input.parse()?;
        let block = block(input, &sig)?;
        if let Some(twice) = attrs.iter().find(|attr| is_async_cached(attr)) {
            return Err(Error::new_spanned(
                twice,
                "`#[async_cached]` is given twice; write all options in one of them, and leave the other out",
            ));
        }

        let (receiver, params) = params(&sig);
        let return_type = match &sig.output {
            ReturnType::Default => parse_quote!(()),
            ReturnType::Type(_, output) => (**output).clone(),
        };
        let names_self_type = mentions_self_type(quote!(#sig)) || names_self_type(block.stream());
        let (output, body) = if sig.asyncness.is_some() {
            (return_type, Some(Body::Async(block)))
        } else {
            boxed(&sig, &return_type, &block)
                .map_or((return_type, None), |(output, body)| (output, Some(body)))
        };
        Ok(Self { attrs, vis, sig, receiver, params, output, body, names_self_type })
    }
}

impl FnItem {
    /// Gives each parameter `_x` a hygienic name of the same spelling, unless the user's own expressions mention it: that an
    /// expansion uses it is not what a lint about used underscores is for.
    pub(crate) fn rename_underscored(&mut self, mentioned: &[Ident]) {
        for param in &mut self.params {
            if param.named && param.name.to_string().starts_with('_') && !mentioned.contains(&param.name) {
                param.pattern = Some((*param.arg.pat).clone());
                param.name.set_span(Span::mixed_site().located_at(param.name.span()));
            }
        }
    }
}

impl SelfParam {
    /// The `&` of `&self` or of its type, if it borrows.
    pub(crate) fn reference(&self) -> Option<Token![&]> {
        match &self.arg.kind {
            ReceiverKind::Reference(and, ..) => Some(*and),
            ReceiverKind::Typed(_, ty) => scan(ty).reference,
            _ => None,
        }
    }
}

impl Param {
    pub(crate) fn ty(&self) -> &Type {
        &self.arg.ty
    }

    /// The `#[cfg]` attributes of the parameter, which every use of it repeats.
    pub(crate) fn cfgs(&self) -> impl Iterator<Item = &Attribute> {
        self.arg.attrs.iter().filter(|attr| attr.path().is_ident("cfg"))
    }

    /// The parameter in the signature that callers see: `ATTRIBUTES NAME: TYPE`.
    pub(crate) fn outer(&self) -> FnArg {
        let (name, Self { arg: PatType { attrs, ty, .. }, .. }) = (&self.name, self);
        parse_quote!(#(#attrs)* #name: #ty)
    }

    /// The names that the pattern binds, if it is more than a name.
    pub(crate) fn bindings(&self) -> Vec<Ident> {
        struct Bindings(Vec<Ident>);
        impl<'a> Visit<'a> for Bindings {
            fn visit_pat_ident(&mut self, pat: &'a syn::PatIdent) {
                self.0.push(pat.ident.clone());
                visit::visit_pat_ident(self, pat);
            }
        }
        let mut bindings = Bindings(Vec::new());
        if !self.named {
            bindings.visit_pat(&self.arg.pat);
        }
        bindings.0
    }
}

/// Returns `true` for this attribute, by its name.
pub(crate) fn is_async_cached(attr: &Attribute) -> bool {
    attr.path().segments.last().is_some_and(|last| last.ident == "async_cached")
}

/// Rejects items other than functions.
fn expect_fn(input: ParseStream<'_>) -> Result<()> {
    let ahead = input.fork();
    for word in ["default", "const", "async", "unsafe", "safe", "extern"] {
        let next = ahead.fork();
        if next.call(Ident::parse_any).is_ok_and(|ident| ident == word) {
            let _ = ahead.call(Ident::parse_any);
            let _ = ahead.parse::<Option<syn::LitStr>>();
        }
    }
    if ahead.peek(Token![fn]) {
        return Ok(());
    }
    let what = match input.fork().call(Ident::parse_any).map(|ident| ident.to_string()).as_deref() {
        Ok("struct" | "enum" | "union") => "this is a type; put the attribute on an `async fn`",
        Ok("impl") => "this is an `impl`; put the attribute on each `async fn` inside",
        Ok("trait") => "this is a trait; put the attribute on each `async fn` of its impls",
        Ok("mod") => "this is a module; put the attribute on each `async fn` inside",
        Ok("move") => "this is a closure; write an `async fn`",
        Err(_) if input.peek(Token![|]) => "this is a closure; write an `async fn`",
        _ => "this is not a function; put the attribute on an `async fn`",
    };
    Err(input.error(format!("only an `async fn` can be cached, but {what}")))
}

/// The body with the spans of its braces, also if a `macro_rules!` macro substituted it.
fn block(input: ParseStream<'_>, sig: &Signature) -> Result<Group> {
    if input.peek(Token![;]) {
        let is_method = sig.receiver().is_some();
        return Err(input.error(if is_method {
            "a method without a body cannot be cached; put `#[async_cached]` on the method in each impl"
        } else {
            "a function without a body cannot be cached; write its body, or put `#[async_cached]` on the function in \
             each impl"
        }));
    }
    match input.parse()? {
        TokenTree::Group(group) => {
            braces(&group).ok_or_else(|| Error::new(group.span(), "expected a body in braces"))
        }
        other => Err(Error::new(other.span(), "expected a body in braces")),
    }
}

fn braces(group: &Group) -> Option<Group> {
    match group.delimiter() {
        Delimiter::Brace => Some(group.clone()),
        Delimiter::None => match &*group.stream().into_iter().collect::<Vec<_>>() {
            [TokenTree::Group(inner)] => braces(inner),
            _ => None,
        },
        _ => None,
    }
}

fn params(sig: &Signature) -> (Option<SelfParam>, Vec<Param>) {
    let (mut receiver, mut params) = (None, Vec::new());
    for arg in &sig.inputs {
        match arg {
            FnArg::Receiver(arg) => receiver = Some(SelfParam { kind: self_kind(arg), arg: arg.clone() }),
            FnArg::Typed(arg) => params.push(param(params.len(), arg)),
        }
    }
    (receiver, params)
}

fn self_kind(arg: &Receiver) -> SelfKind {
    match &arg.kind {
        ReceiverKind::Reference(_, _, None) => SelfKind::Ref,
        ReceiverKind::Reference(_, _, Some(_)) => SelfKind::RefMut,
        ReceiverKind::Typed(_, ty) => match scan(ty) {
            Scan { ref_mut: Some(_), .. } => SelfKind::RefMut,
            Scan { reference: Some(_), .. } => SelfKind::Ref,
            _ => SelfKind::Owned,
        },
        _ => SelfKind::Owned,
    }
}

fn param(index: usize, arg: &PatType) -> Param {
    let (name, plain) = match &*arg.pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => {
            (Some(pat.ident.clone()), pat.mutability.is_none())
        }
        _ => (None, false),
    };
    Param {
        arg: arg.clone(),
        pattern: (!plain).then(|| (*arg.pat).clone()),
        named: name.is_some(),
        name: name.unwrap_or_else(|| {
            let span = Span::mixed_site().located_at(arg.pat.span());
            format_ident!("arg{index}", span = span)
        }),
        scan: scan(&arg.ty),
    }
}
