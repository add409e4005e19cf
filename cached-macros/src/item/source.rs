//! The source file of a function, for an error that the tokens of the function cannot explain.
//!
//! A function without `self` and `Self` looks alike outside and inside of an `impl`, and what is generated for one outside
//! cannot be in there: the compiler would report that in its own words. So where a function may be in an `impl`, its file is
//! searched for it. The expansion of a function that compiles does not depend on the file.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, ImplItemFn, ItemFn, Signature};

use super::is_async_cached;

/// Where the attribute is written.
pub(crate) enum Source {
    /// Not in an `impl`, or not known.
    Elsewhere,
    /// Maybe in an `impl` of this file.
    File(PathBuf),
}

impl Source {
    /// Returns the source of the attribute with this span.
    pub(crate) fn of(attribute: proc_macro::Span) -> Self {
        // What begins a line is in nothing else, as code is usually formatted.
        let file = attribute.local_file().filter(|_| attribute.column() > 1);
        file.map_or(Self::Elsewhere, Self::File)
    }

    /// Returns `true` if the file has this function in an `impl`, and no such function outside of one.
    pub(crate) fn has_in_impl(&self, function: &TokenStream) -> bool {
        let (Self::File(path), Ok(ItemFn { sig, block, .. })) = (self, syn::parse2(function.clone())) else {
            return false;
        };
        let (functions, text) = (CachedFunctions::of(path), text_of(&sig, &block));
        functions.in_impls.contains(&text) && !functions.free.contains(&text)
    }
}

/// The functions of a file that have the attribute, as text.
#[derive(Default)]
struct CachedFunctions {
    in_impls: HashSet<String>,
    free: HashSet<String>,
}

impl CachedFunctions {
    /// Returns the functions of a file; none if it cannot be read or parsed. A file is read once for all its functions.
    fn of(path: &Path) -> Rc<Self> {
        thread_local! {
            static LAST: RefCell<Option<(PathBuf, Rc<CachedFunctions>)>> = const { RefCell::new(None) };
        }
        LAST.with_borrow_mut(|last| match last {
            Some((known, functions)) if known == path => Rc::clone(functions),
            _ => {
                let mut functions = Self::default();
                if let Some(file) = fs::read_to_string(path).ok().and_then(|text| syn::parse_file(&text).ok())
                {
                    functions.visit_file(&file);
                }
                let functions = Rc::new(functions);
                *last = Some((path.to_owned(), Rc::clone(&functions)));
                functions
            }
        })
    }
}

impl Visit<'_> for CachedFunctions {
    fn visit_impl_item_fn(&mut self, function: &ImplItemFn) {
        if is_cached(&function.attrs) {
            self.in_impls.insert(text_of(&function.sig, &function.block));
        }
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_item_fn(&mut self, function: &ItemFn) {
        if is_cached(&function.attrs) {
            self.free.insert(text_of(&function.sig, &function.block));
        }
        visit::visit_item_fn(self, function);
    }
}

fn is_cached(attrs: &[Attribute]) -> bool {
    attrs.iter().any(is_async_cached)
}

/// Returns the tokens of a function as text, which does not depend on how they are spaced.
fn text_of(sig: &Signature, block: &Block) -> String {
    fn append(tokens: TokenStream, text: &mut String) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => append(group.stream(), text),
                token => text.extend([&token.to_string(), " "]),
            }
        }
    }
    let mut text = String::new();
    append(sig.to_token_stream(), &mut text);
    append(block.to_token_stream(), &mut text);
    text
}
