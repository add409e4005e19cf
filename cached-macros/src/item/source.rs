//! The source file of an item, for errors that the tokens of the item cannot explain: the compiler would report what is
//! generated, in its own words. The expansion of an item that compiles does not depend on the file.
//!
//! A function without `self` and `Self` looks alike outside and inside of an `impl`, where the companions of one outside cannot
//! be. Their type has the name of the function, which a module or a type beside it may have as well. And two impls of one
//! generic trait for a type, `impl Find<u8> for Users` and `impl Find<u16> for Users`, have companions of the same names.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::path::{Path as FilePath, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{ParseStream, Parser as _};
use syn::visit::{self, Visit};
use syn::{
    Attribute, Block, ImplItemFn, Item, ItemEnum, ItemImpl, ItemMod, ItemStruct, ItemTrait, ItemType, Meta,
    Path, Type, Visibility,
};

use super::is_async_cached;

/// The file where the attribute is written, if it is known.
#[derive(Default)]
pub(crate) struct Source(Option<PathBuf>);

impl Source {
    /// Returns the source of the attribute with this span.
    pub(crate) fn of(attribute: proc_macro::Span) -> Self {
        Self(attribute.local_file())
    }

    /// Returns why a free function cannot have its companions beside it. They are of the name of the function.
    pub(crate) fn conflict_of(&self, function: &TokenStream) -> Option<Conflict> {
        let (items, text) = (self.items()?, text_of(&without_attributes(function)?));
        let same = || items.functions.iter().filter(|other| other.text == text);
        let Some(own) = same().next_back() else {
            return items.methods.contains(&text).then_some(Conflict::InImpl);
        };
        // If there are several in different places, which of them this is cannot be known.
        if same().any(|other| other.scope != own.scope) {
            return None;
        }
        let first = items.functions.iter().find(|other| own.is_beside(other));
        if !own.is_conditional && first.is_some_and(|first| !std::ptr::eq(first, own)) {
            return Some(Conflict::EarlierFunction);
        }
        let has_name = |(name, scope): &(String, Scope)| (name, scope) == (&own.name, &own.scope);
        items.types.iter().any(has_name).then_some(Conflict::NameOfAType)
    }

    /// Returns `true` if the file has an earlier impl of the same generic trait, with other arguments, for the same type.
    pub(crate) fn has_earlier_impl(&self, of_trait: &Path, self_type: &Type) -> bool {
        let is_generic = of_trait.segments.last().is_some_and(|last| !last.arguments.is_none());
        let Some(items) = self.items().filter(|_| is_generic) else { return false };
        let (of_trait, self_type) = (text_of(of_trait), text_of(self_type));
        // As above, it must be the only one.
        let mut same =
            items.impls.iter().filter(|block| (&block.of_trait, &block.self_type) == (&of_trait, &self_type));
        let (Some(own), None) = (same.next(), same.next()) else { return false };
        let first = items.impls.iter().find(|other| own.is_beside(other));
        first.is_some_and(|first| first.of_trait != own.of_trait)
    }

    fn items(&self) -> Option<Rc<Items>> {
        Some(Items::of(self.0.as_ref()?))
    }
}

/// What is in the way of the companions of a free function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// The function is in an `impl`.
    InImpl,
    /// A module or a type beside the function has its name.
    NameOfAType,
    /// Another function with the attribute has its name, and is before it.
    EarlierFunction,
}

/// The items of a file, as text.
#[derive(Default)]
struct Items {
    /// The methods with the attribute.
    methods: HashSet<String>,
    /// The functions with the attribute.
    functions: Vec<Function>,
    /// The impls with the attribute whose companions are in an inherent impl.
    impls: Vec<Impl>,
    /// The names of modules and types.
    types: Vec<(String, Scope)>,
    /// The modules and blocks that have not ended.
    scope: Scope,
    /// How many modules and blocks have begun.
    scopes: usize,
}

/// Where the names in an item are looked up: the numbers of the modules and blocks around it.
type Scope = Vec<usize>;

/// A function.
struct Function {
    name: String,
    /// Its signature and its body.
    text: String,
    /// Whether it has a `cfg`.
    is_conditional: bool,
    scope: Scope,
}

impl Function {
    /// Returns `true` if both have one name in one place.
    fn is_beside(&self, other: &Self) -> bool {
        !other.is_conditional && (&self.name, &self.scope) == (&other.name, &other.scope)
    }
}

/// An impl of a trait.
struct Impl {
    /// Of the trait, without its arguments.
    name: String,
    of_trait: String,
    self_type: String,
    scope: Scope,
}

impl Impl {
    /// Returns an impl with the attribute, unless its companions have a type of their own.
    fn of(block: &ItemImpl, scope: &Scope) -> Option<Self> {
        // That is the only option that there is on an impl.
        let has_no_option = |attr: &Attribute| is_async_cached(attr) && matches!(attr.meta, Meta::Path(_));
        let (of_trait, _) = block.trait_.as_ref().filter(|_| block.attrs.iter().any(has_no_option))?;
        Some(Self {
            name: of_trait.segments.last()?.ident.to_string(),
            of_trait: text_of(of_trait),
            self_type: text_of(&*block.self_ty),
            scope: scope.clone(),
        })
    }

    /// Returns `true` if both are of one trait, with whatever arguments, for one type.
    fn is_beside(&self, other: &Self) -> bool {
        (&self.name, &self.self_type, &self.scope) == (&other.name, &other.self_type, &other.scope)
    }
}

impl Items {
    /// Returns the items of a file; none if it cannot be read or parsed. A file is read once for all its items, unless it
    /// changes: the server of an editor lives longer than a compiler.
    fn of(file: &FilePath) -> Rc<Self> {
        type Known = (PathBuf, Option<SystemTime>, Rc<Items>);
        thread_local! {
            static LAST: RefCell<Option<Known>> = const { RefCell::new(None) };
        }
        let modified = fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
        LAST.with_borrow_mut(|last| match last {
            Some((known, at, items)) if known == file && *at == modified => Rc::clone(items),
            _ => {
                let mut items = Self::default();
                if let Some(file) = fs::read_to_string(file).ok().and_then(|text| syn::parse_file(&text).ok())
                {
                    items.visit_file(&file);
                }
                let items = Rc::new(items);
                *last = Some((file.to_owned(), modified, Rc::clone(&items)));
                items
            }
        })
    }

    fn in_scope(&mut self, visit: impl FnOnce(&mut Self)) {
        self.scopes += 1;
        self.scope.push(self.scopes);
        visit(self);
        self.scope.pop();
    }
}

impl Visit<'_> for Items {
    fn visit_impl_item_fn(&mut self, function: &ImplItemFn) {
        if function.attrs.iter().any(is_async_cached) {
            self.methods.insert(text_of(&function.sig) + &text_of(&function.block));
        }
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_item(&mut self, item: &Item) {
        let is_cfg = |attr: &Attribute| attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr");
        let name = match item {
            Item::Enum(ItemEnum { attrs, ident, .. })
            | Item::Mod(ItemMod { attrs, ident, .. })
            | Item::Struct(ItemStruct { attrs, ident, .. })
            | Item::Trait(ItemTrait { attrs, ident, .. })
            | Item::Type(ItemType { attrs, ident, .. }) => Some(ident).filter(|_| !attrs.iter().any(is_cfg)),
            Item::Fn(function) if function.attrs.iter().any(is_async_cached) => {
                self.functions.push(Function {
                    name: function.sig.ident.to_string(),
                    text: text_of(&function.sig) + &text_of(&function.block),
                    is_conditional: function.attrs.iter().any(is_cfg),
                    scope: self.scope.clone(),
                });
                None
            }
            Item::Impl(block) if !block.attrs.iter().any(is_cfg) => {
                self.impls.extend(Impl::of(block, &self.scope));
                None
            }
            _ => None,
        };
        self.types.extend(name.map(|name| (name.to_string(), self.scope.clone())));
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, module: &ItemMod) {
        self.in_scope(|this| visit::visit_item_mod(this, module));
    }

    fn visit_block(&mut self, block: &Block) {
        self.in_scope(|this| visit::visit_block(this, block));
    }
}

/// Returns the tokens of a function from its signature on.
fn without_attributes(function: &TokenStream) -> Option<TokenStream> {
    let parser = |input: ParseStream<'_>| {
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        input.parse()
    };
    parser.parse2(function.clone()).ok()
}

/// Returns tokens as text, which does not depend on how they are spaced.
fn text_of(tokens: &impl ToTokens) -> String {
    fn append(tokens: TokenStream, text: &mut String) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => append(group.stream(), text),
                token => text.extend([&token.to_string(), " "]),
            }
        }
    }
    let mut text = String::new();
    append(tokens.to_token_stream(), &mut text);
    text
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use quote::quote;
    use syn::parse_quote;

    use super::*;

    /// Asks about a file with this text.
    fn of_file<A>(text: &str, ask: impl FnOnce(&Source) -> A) -> A {
        static FILES: AtomicUsize = AtomicUsize::new(0);
        let number = FILES.fetch_add(1, Relaxed);
        let file = std::env::temp_dir().join(format!("cached-macros-{}-{number}.rs", std::process::id()));
        fs::write(&file, text).unwrap();
        let answer = ask(&Source(Some(file.clone())));
        fs::remove_file(&file).unwrap();
        answer
    }

    /// Asserts what is in the way of the companions of `user`, in several files.
    fn assert_conflict<const N: usize>(expected: Option<Conflict>, files: [String; N]) {
        let function = quote!(
            #[inline]
            pub async fn user(id: u16) {}
        );
        for text in files {
            assert_eq!(of_file(&text, |source| source.conflict_of(&function)), expected, "{text}");
        }
    }

    const USER: &str = "#[async_cached(ttl = 1)] async fn user( id:u16 ){}";
    const OTHER_USER: &str = "#[async_cached(ttl = 1)] async fn user(id: u8) {}";

    #[test]
    fn a_function_is_in_an_impl_if_no_such_function_is_outside() {
        assert_conflict(Some(Conflict::InImpl), [format!("impl A {{ {USER} }}")]);
        assert_conflict(
            None,
            [
                format!("impl A {{ {USER} }} mod m {{ {USER} }}"),
                format!("impl A {{ {OTHER_USER} }}"),
                "impl A { async fn user(id: u16) {} }".into(),
                "impl {".into(),
            ],
        );
        assert_eq!(
            Source::default().conflict_of(&quote!(
                async fn user(id: u16) {}
            )),
            None
        );
    }

    #[test]
    fn a_module_or_a_type_in_the_same_place_has_the_name_of_a_function() {
        assert_conflict(
            Some(Conflict::NameOfAType),
            [
                format!("mod user {{}} {USER}"),
                format!("mod user; {USER}"),
                format!("{USER} enum user {{}}"),
                format!("type user = u8; {USER}"),
                format!("fn f() {{ struct user; {USER} }}"),
            ],
        );
        assert_conflict(
            None,
            [
                format!("mod users {{}} {USER}"),
                format!("mod m {{ struct user; }} {USER}"),
                format!("mod user {{}} {USER} mod m {{ {USER} }}"),
                format!("#[cfg(off)] mod user {{}} {USER}"),
                format!("static user: u8 = 1; {USER}"),
            ],
        );
    }

    #[test]
    fn a_function_is_the_second_one_of_its_name_in_one_place() {
        assert_conflict(
            Some(Conflict::EarlierFunction),
            [format!("{OTHER_USER} {USER}"), format!("{USER} {USER}")],
        );
        assert_conflict(
            None,
            [
                USER.into(),
                format!("{USER} {OTHER_USER}"),
                format!("mod m {{ {OTHER_USER} }} {USER}"),
                format!("{USER} mod m {{ {OTHER_USER} {USER} }}"),
                format!("#[cfg(off)] {OTHER_USER} {USER}"),
                format!("{OTHER_USER} #[cfg(on)] {USER}"),
            ],
        );
    }

    #[test]
    fn an_impl_is_the_second_one_of_a_trait_for_a_type_in_one_place() {
        let has_earlier = |text: &str| {
            let ask =
                |source: &Source| source.has_earlier_impl(&parse_quote!(Find<u16>), &parse_quote!(Users));
            of_file(text, ask)
        };
        let first = "#[async_cached] impl Find<u8> for Users {}";
        let second = "#[async_cached] impl Find<u16> for Users {}";
        assert!(has_earlier(&format!("{first} {second}")));
        for text in [
            format!("{second} {first}"),
            format!("#[async_cached] impl Find<u8> for Groups {{}} {second}"),
            format!("#[async_cached] impl Load<u8> for Users {{}} {second}"),
            format!("impl Find<u8> for Users {{}} {second}"),
            format!("#[async_cached(companions = F)] impl Find<u8> for Users {{}} {second}"),
            format!("#[cfg(test)] {first} {second}"),
            format!("mod m {{ {first} }} {second}"),
            format!("mod m {{ {second} }} {first} {second}"),
        ] {
            assert!(!has_earlier(&text), "{text}");
        }
    }
}
