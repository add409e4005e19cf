//! The impl of a trait: its header is parsed, and its items are tokens.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote};
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::{Attribute, Error, Generics, Meta, Path, Result, Token, Type};

use super::is_async_cached;
use super::scan::peel;

/// `impl<G> Trait for Type where ... { items }`
pub(crate) struct ImplBlock {
    /// The tokens before the braces, with all attributes.
    pub(crate) header: TokenStream,
    pub(crate) braces: Group,
    pub(crate) cfgs: Vec<Attribute>,
    /// The parameters, with the `where` clause.
    pub(crate) generics: Generics,
    pub(crate) of_trait: Path,
    pub(crate) self_type: Type,
    pub(crate) items: Vec<ImplItem>,
}

/// One item in the braces.
pub(crate) struct ImplItem {
    /// The item with its attributes, without `#[async_cached]`.
    pub(crate) tokens: TokenStream,
    /// The options in `#[async_cached]`, and its span, if it has one.
    pub(crate) cached: Option<(TokenStream, Span)>,
    /// The name, for `type NAME = ...;`.
    pub(crate) assoc_type: Option<Ident>,
}

/// Returns `true` if the item is an impl.
pub(crate) fn is_impl(item: &TokenStream) -> bool {
    let parser = |input: ParseStream<'_>| {
        input.call(Attribute::parse_outer)?;
        let _: Option<Token![unsafe]> = input.parse()?;
        let is_impl = input.peek(Token![impl]);
        input.parse::<TokenStream>()?;
        Ok(is_impl)
    };
    parser.parse2(item.clone()).unwrap_or(false)
}

impl Parse for ImplBlock {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let safety: Option<Token![unsafe]> = input.parse()?;
        let impl_token: Token![impl] = input.parse()?;
        let mut generics: Generics = input.parse()?;
        let first: Type = input.parse()?;
        let Some(for_token) = input.parse::<Option<Token![for]>>()? else {
            return Err(Error::new(
                impl_token.span,
                "only an `async fn` can be cached, but this is an `impl` of a type; put the attribute on each `async fn` \
                 inside",
            ));
        };
        let Type::Path(of_trait) = peel(&first) else {
            return Err(Error::new_spanned(first, "expected the path of a trait"));
        };
        let of_trait = of_trait.path.clone();
        let self_type: Type = input.parse()?;
        generics.where_clause = input.parse()?;
        let TokenTree::Group(braces) = input.parse()? else {
            return Err(Error::new(impl_token.span, "expected the items of the `impl` in braces"));
        };
        let (params, where_clause) = (&generics, &generics.where_clause);
        let header =
            quote!(#(#attrs)* #safety #impl_token #params #of_trait #for_token #self_type #where_clause);
        Ok(Self {
            header,
            items: items(&braces)?,
            braces,
            cfgs: attrs.into_iter().filter(|attr| attr.path().is_ident("cfg")).collect(),
            generics,
            of_trait,
            self_type,
        })
    }
}

impl ImplBlock {
    /// The impl with other items: those that replace its cached methods.
    pub(crate) fn with_items(&self, items: impl IntoIterator<Item = TokenStream>) -> TokenStream {
        let mut braces = Group::new(Delimiter::Brace, items.into_iter().collect());
        braces.set_span(self.braces.span());
        let header = &self.header;
        quote!(#header #braces)
    }

    /// The impl as it stays in the output beside errors.
    pub(crate) fn without_attributes(&self) -> TokenStream {
        self.with_items(self.items.iter().map(|item| item.tokens.clone()))
    }

    /// Returns `true` if an associated type of this name is defined here.
    pub(crate) fn defines_type(&self, name: &Ident) -> bool {
        self.items.iter().any(|item| item.assoc_type.as_ref() == Some(name))
    }
}

fn items(braces: &Group) -> Result<Vec<ImplItem>> {
    let parser = |input: ParseStream<'_>| {
        let mut items = Vec::new();
        while !input.is_empty() {
            items.push(item(input)?);
        }
        Ok(items)
    };
    parser.parse2(braces.stream())
}

fn item(input: ParseStream<'_>) -> Result<ImplItem> {
    let inner = input.call(Attribute::parse_inner)?;
    let (cached, attrs): (Vec<_>, Vec<_>) =
        input.call(Attribute::parse_outer)?.into_iter().partition(is_async_cached);
    let mut cached = cached.into_iter();
    let (first, second) = (cached.next(), cached.next());
    let rest = rest_of_item(input)?;
    let assoc_type = match &*rest {
        [TokenTree::Ident(word), TokenTree::Ident(name), ..] if word == "type" => Some(name.clone()),
        _ => None,
    };
    Ok(ImplItem {
        tokens: quote!(#(#inner)* #(#attrs)* #second #(#rest)*),
        cached: first.map(|attr| {
            let span = attr.path().segments.last().map_or_else(Span::call_site, |last| last.ident.span());
            let options = match attr.meta {
                Meta::List(list) => list.tokens,
                Meta::Path(_) => TokenStream::new(),
                Meta::NameValue(value) => value.value.to_token_stream(),
            };
            (options, span)
        }),
        assoc_type,
    })
}

/// The tokens up to the end of the item: a `;`, or the braces of a function or of a macro.
fn rest_of_item(input: ParseStream<'_>) -> Result<Vec<TokenTree>> {
    let mut tokens: Vec<TokenTree> = Vec::new();
    let is_word = |token: &TokenTree, word: &str| matches!(token, TokenTree::Ident(ident) if ident == word);
    let is_punct =
        |token: &TokenTree, punct: char| matches!(token, TokenTree::Punct(p) if p.as_char() == punct);
    while !input.is_empty() {
        let token: TokenTree = input.parse()?;
        let is_body = matches!(&token, TokenTree::Group(group) if is_braces(group))
            && (tokens.iter().any(|token| is_word(token, "fn"))
                || tokens.last().is_some_and(|last| is_punct(last, '!')));
        let is_end = is_body || is_punct(&token, ';');
        tokens.push(token);
        if is_end {
            break;
        }
    }
    Ok(tokens)
}

/// Returns `true` for braces, also if a `macro_rules!` macro substituted them.
fn is_braces(group: &Group) -> bool {
    match group.delimiter() {
        Delimiter::Brace => true,
        Delimiter::None => {
            matches!(&*group.stream().into_iter().collect::<Vec<_>>(), [TokenTree::Group(inner)] if is_braces(inner))
        }
        _ => false,
    }
}
