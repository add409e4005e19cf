//! Compares the expansion of each file in `tests/expand` with the `.expanded.rs` file next to it.
//!
//! `EXPAND=overwrite cargo test -p cached-macros` overwrites these files; read the diff.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Block, File, ImplItem, Item, Meta};

use crate::item::Source;

/// Replaces every function and every impl that has the attribute by its expansion.
struct Expand;

impl Expand {
    fn options(attrs: &mut Vec<Attribute>) -> Option<TokenStream> {
        let at = attrs.iter().position(|attr| attr.path().is_ident("async_cached"))?;
        match attrs.remove(at).meta {
            Meta::List(list) => Some(list.tokens),
            Meta::Path(_) | Meta::NameValue(_) => Some(TokenStream::new()),
        }
    }
}

impl VisitMut for Expand {
    fn visit_file_mut(&mut self, file: &mut File) {
        visit_mut::visit_file_mut(self, file);
        file.items = std::mem::take(&mut file.items)
            .into_iter()
            .flat_map(|mut item| {
                let attrs = match &mut item {
                    Item::Fn(function) => &mut function.attrs,
                    Item::Impl(block) => &mut block.attrs,
                    _ => return vec![item],
                };
                let Some(options) = Self::options(attrs) else { return vec![item] };
                let expansion: File =
                    parse(super::expand_attribute(options, item.to_token_stream(), &Source::default()));
                expansion.items
            })
            .collect();
    }

    fn visit_item_impl_mut(&mut self, block: &mut syn::ItemImpl) {
        if block.attrs.iter().any(|attr| attr.path().is_ident("async_cached")) {
            return;
        }
        block.items = std::mem::take(&mut block.items)
            .into_iter()
            .flat_map(|mut item| {
                let ImplItem::Fn(function) = &mut item else { return vec![item] };
                let Some(options) = Self::options(&mut function.attrs) else { return vec![item] };
                let expansion =
                    super::expand_attribute(options, function.to_token_stream(), &Source::default());
                let expansion: syn::ItemImpl = parse(quote::quote!(impl X { #expansion }));
                expansion.items
            })
            .collect();
    }

    fn visit_block_mut(&mut self, _: &mut Block) {}
}

/// Replaces each `::cached_runtime::__private::code! { tokens }` by the tokens, as the compiler does.
fn inline_code(tokens: TokenStream) -> TokenStream {
    let mut inlined: Vec<TokenTree> = Vec::new();
    for token in tokens {
        let TokenTree::Group(group) = token else {
            inlined.push(token);
            continue;
        };
        let content = inline_code(group.stream());
        if let [.., TokenTree::Ident(name), TokenTree::Punct(bang)] = &*inlined
            && *name == "code"
            && bang.as_char() == '!'
        {
            const PATH: &str = "::cached_runtime::__private::code!";
            inlined
                .truncate(inlined.len() - TokenStream::from_str(PATH).expect("tokens").into_iter().count());
            inlined.extend(content);
        } else {
            inlined.push(Group::new(group.delimiter(), content).into());
        }
    }
    inlined.into_iter().collect()
}

fn parse<T: syn::parse::Parse>(tokens: TokenStream) -> T {
    let tokens = inline_code(tokens);
    let source = tokens.to_string();
    syn::parse2(tokens).unwrap_or_else(|error| panic!("{error}: {source}"))
}

fn parse_file(source: &str) -> File {
    syn::parse_file(source).expect("a Rust file")
}

fn expansion(path: &Path) -> String {
    let source = fs::read_to_string(path).expect("a readable file");
    let mut file = parse_file(&source);
    Expand.visit_file_mut(&mut file);
    prettyplease::unparse(&file)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/expand")
}

#[test]
fn expansions_match_the_expanded_files() {
    let mut seen = 0;
    for entry in fs::read_dir(folder()).expect("the folder exists") {
        let path = entry.expect("a readable folder").path();
        let name = path.file_name().expect("a file name").to_string_lossy().into_owned();
        if name.contains(".expanded.") {
            continue;
        }
        let (actual, expanded) = (expansion(&path), path.with_extension("expanded.rs"));
        if std::env::var_os("EXPAND").is_some_and(|value| value == "overwrite") {
            fs::write(&expanded, &actual).expect("a writable file");
        }
        let expected = fs::read_to_string(&expanded).unwrap_or_default();
        assert!(actual == expected, "{name} expands to\n{actual}\nwhich differs from {}", expanded.display());
        seen += 1;
    }
    assert!(seen > 0);
}

/// Removes attributes, doc comments included.
struct RemoveAttributes;

impl VisitMut for RemoveAttributes {
    fn visit_attributes_mut(&mut self, attrs: &mut Vec<Attribute>) {
        attrs.clear();
    }
}

/// The number of lines of an expansion, without attributes and doc comments.
fn lines(name: &str) -> usize {
    let mut file = parse_file(&expansion(&folder().join(name)));
    RemoveAttributes.visit_file_mut(&mut file);
    prettyplease::unparse(&file).lines().count()
}

/// `companions!` of the runtime generates the companions; only its arguments count here.
#[test]
fn expansions_are_short() {
    assert_eq!(lines("one_argument.rs"), 45);
    assert_eq!(lines("trait_method.rs"), 37);
}
