//! Compares what the attribute expands to with what is written beside it, in `tests/expand`.
//!
//! `EXPAND=overwrite cargo test -p cached-macros` writes what it expands to now; read the difference.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;
use quote::ToTokens as _;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Block, File, ImplItem, Item, Meta};

/// Replaces every function that has the attribute by what it becomes.
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
                let Item::Fn(function) = &mut item else { return vec![item] };
                let Some(options) = Self::options(&mut function.attrs) else { return vec![item] };
                let expansion: File = parse(super::memoize(options, function.to_token_stream()));
                expansion.items
            })
            .collect();
    }

    fn visit_item_impl_mut(&mut self, block: &mut syn::ItemImpl) {
        block.items = std::mem::take(&mut block.items)
            .into_iter()
            .flat_map(|mut item| {
                let ImplItem::Fn(function) = &mut item else { return vec![item] };
                let Some(options) = Self::options(&mut function.attrs) else { return vec![item] };
                let expansion = super::memoize(options, function.to_token_stream());
                let expansion: syn::ItemImpl = parse(quote::quote!(impl X { #expansion }));
                expansion.items
            })
            .collect();
    }

    fn visit_block_mut(&mut self, _: &mut Block) {}
}

fn parse<T: syn::parse::Parse>(tokens: TokenStream) -> T {
    let text = tokens.to_string();
    syn::parse2(tokens).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn parse_file(source: &str) -> File {
    syn::parse_file(source).expect("it is a Rust file")
}

fn expansion(path: &Path) -> String {
    let source = fs::read_to_string(path).expect("it was listed");
    let mut file = parse_file(&source);
    Expand.visit_file_mut(&mut file);
    prettyplease::unparse(&file)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/expand")
}

#[test]
fn expansions_are_as_they_are_written() {
    let mut seen = 0;
    for entry in fs::read_dir(folder()).expect("it is there") {
        let path = entry.expect("it can be listed").path();
        let name = path.file_name().expect("it is a file").to_string_lossy().into_owned();
        if name.contains(".expanded.") {
            continue;
        }
        let (now, beside) = (expansion(&path), path.with_extension("expanded.rs"));
        if std::env::var_os("EXPAND").is_some_and(|value| value == "overwrite") {
            fs::write(&beside, &now).expect("it can be written");
        }
        let written = fs::read_to_string(&beside).unwrap_or_default();
        assert!(now == written, "{name} expands to\n{now}\nwhich is not what {} says", beside.display());
        seen += 1;
    }
    assert!(seen > 0);
}

/// Takes away what is only for documentation and lints.
struct Strip;

impl VisitMut for Strip {
    fn visit_attributes_mut(&mut self, attrs: &mut Vec<Attribute>) {
        attrs.clear();
    }
}

/// How many lines of code an expansion has, documentation and attributes aside.
fn lines(name: &str) -> usize {
    let mut file = parse_file(&expansion(&folder().join(name)));
    Strip.visit_file_mut(&mut file);
    prettyplease::unparse(&file).lines().count()
}

/// The companions are written by `companions!` in the runtime, of which here only the arguments count.
#[test]
fn expansions_are_short() {
    assert_eq!(lines("one_argument.rs"), 34);
    assert_eq!(lines("trait_method.rs"), 33);
}
