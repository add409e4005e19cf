//! The impl of a trait with its cached methods, checked.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, format_ident};
use syn::{GenericParam, Type};

use super::{Companions, Memo};
use crate::args::Args;
use crate::errors::Errors;
use crate::item::{ImplBlock, Source, peel};

/// The impl of a trait, ready to be expanded.
pub(crate) struct ImplMemo<'a> {
    pub(crate) block: &'a ImplBlock,
    /// The name of the type that has the companions. Without one, the self type has them.
    pub(crate) companion_type: Option<Ident>,
    /// The methods with the attribute, each with its options and with its index in `block.items`.
    pub(crate) methods: Vec<(usize, TokenStream, Memo)>,
}

impl<'a> ImplMemo<'a> {
    /// Combines the options with the impl, or returns all errors in them.
    pub(crate) fn new(args: Args, block: &'a ImplBlock, source: &Source) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        let companion_type = companion_type(args, &mut errors);
        let mut methods = Vec::new();
        for (index, item) in block.items.iter().enumerate() {
            let Some((options, _)) = &item.cached else { continue };
            let (args, function) = (Args::parse(options.clone()), syn::parse2(item.tokens.clone()));
            match Memo::in_place(args, function, Some(Companions::TraitImpl)) {
                Ok(memo) => methods.push((index, options.clone(), memo)),
                Err(more) => errors.append(more),
            }
        }
        if errors.is_empty() && methods.is_empty() {
            errors.push(
                &block.of_trait,
                "no method in this `impl` is cached; put the attribute on each `async fn` that is: \
                 `#[async_cached(ttl = 60)]`",
            );
        }
        if companion_type.is_none() && errors.is_empty() {
            check_self_type(block, source, &mut errors);
        }
        errors.finish(Self { block, companion_type, methods })
    }
}

/// The only option on an impl.
fn companion_type(args: Args, errors: &mut Errors) -> Option<Ident> {
    for option in args.present().filter(|option| *option != "companions") {
        errors.push(
            option,
            format!(
                "`{option}` is an option of each method; write it there, and only `companions = Name` on the `impl`"
            ),
        );
    }
    if errors.is_empty() {
        errors.extend(args.errors);
    }
    args.companions.map(|option| option.value)
}

/// Rejects an impl for a type that can have no inherent impl here, or has such companions already, as far as that can be seen.
fn check_self_type(block: &ImplBlock, source: &Source, errors: &mut Errors) {
    let message = |reason: &str| {
        format!(
            "{reason}, so the companions need a type of their own; write `#[async_cached(companions = {})]` on the `impl`",
            suggested_name(block)
        )
    };
    let self_type = block.self_type.to_token_stream();
    let params = block.generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some(&param.ident),
        GenericParam::Const(param) => Some(&param.ident),
        GenericParam::Lifetime(_) => None,
    });
    let is_param = |ty: &Type| block.generics.type_params().any(|param| is_path(ty, &param.ident));
    if is_param(&block.self_type) {
        errors.push(&block.self_type, message("this `impl` is for many types"));
    } else if is_foreign(&block.self_type) {
        errors.push(&block.self_type, message("this type is not of this crate"));
    } else if let Some(param) = params.into_iter().find(|param| !mentions(&self_type, param)) {
        errors.push(param, message(&format!("`{param}` is not in the type that the `impl` is for")));
    } else if source.has_earlier_impl(&block.of_trait, &block.self_type) {
        errors.push(&block.of_trait, message("another `impl` of this trait is for the same type"));
    }
}

/// `FindUsers` for `impl Find for Users`.
fn suggested_name(block: &ImplBlock) -> Ident {
    let last = |path: &syn::Path| path.segments.last().map(|last| last.ident.clone());
    let of_trait = last(&block.of_trait).unwrap_or_else(|| format_ident!("Trait"));
    let self_type = match peel(&block.self_type) {
        Type::Path(path) => last(&path.path),
        _ => None,
    };
    match self_type {
        Some(self_type) => format_ident!("{of_trait}{self_type}"),
        None => format_ident!("{of_trait}Companions"),
    }
}

/// Returns `true` for types of the language and of the standard library.
fn is_foreign(ty: &Type) -> bool {
    const FOREIGN: [&str; 34] = [
        "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128",
        "isize", "f32", "f64", "String", "Vec", "VecDeque", "Box", "Rc", "Arc", "Option", "Result",
        "HashMap", "HashSet", "BTreeMap", "BTreeSet", "PathBuf", "Path", "Duration", "Mutex", "RwLock",
    ];
    match peel(ty) {
        Type::Path(path) if path.qself.is_none() => {
            path.path.segments.last().is_some_and(|last| FOREIGN.iter().any(|name| last.ident == name))
        }
        Type::Path(_) | Type::Macro(_) => false,
        _ => true,
    }
}

fn is_path(ty: &Type, ident: &Ident) -> bool {
    matches!(peel(ty), Type::Path(path) if path.path.is_ident(ident))
}

fn mentions(tokens: &TokenStream, name: &Ident) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => mentions(&group.stream(), name),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
