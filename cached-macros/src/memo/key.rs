//! Which arguments make the key.

use std::fmt::Display;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Expr, GenericArgument, PathArguments, Type};

use crate::args::{Args, Opt, list, nearest};
use crate::errors::Errors;
use crate::item::{FnItem, Param, SelfKind, SelfParam, scan};

/// What a value is stored under.
pub(crate) struct Key {
    pub(crate) parts: Vec<Part>,
    /// The parameters that the parts mention, as indices into `FnItem::params`, each once and in their order there.
    pub(crate) params: Vec<usize>,
    /// Whether the parts mention `self`.
    pub(crate) uses_self: bool,
}

impl Key {
    /// The parameters that the parts mention and that have a name.
    pub(super) fn named_params<'a>(&'a self, item: &'a FnItem) -> impl Iterator<Item = &'a Param> {
        self.params.iter().map(|&index| &item.params[index]).filter(|param| param.named)
    }
}

/// One part of a key.
pub(crate) enum Part {
    /// The whole of a parameter, by its index in `FnItem::params`.
    Param(usize),
    /// An expression of `key = (..)`.
    Expr(Expr),
}

pub(super) fn key(args: &mut Args, item: &FnItem, errors: &mut Errors) -> Key {
    // What was meant by an option that could not be read is not known; then nothing follows from it.
    let mut unreadable = (args.has("key") && args.key.is_none()) || (args.has("skip") && args.skip.is_none());
    let explicit = args.has("key");
    let skip = skip(args, item, errors).unwrap_or_else(|Wrong| {
        unreadable = true;
        Vec::new()
    });
    let skips_self = skip.iter().find(|name| *name == "self");

    let key = if let Some(key) = args.key.take() {
        explicit_key(key.value, item, errors)
    } else {
        let skipped = |param: &Param| param.named && skip.contains(&param.name);
        let params: Vec<usize> =
            (0..item.params.len()).filter(|&index| !skipped(&item.params[index])).collect();
        if !unreadable {
            // What is detached may not borrow at all, and is told so.
            check_whole_params(&params, item, args.detached.is_none(), errors);
        }
        Key { parts: params.iter().copied().map(Part::Param).collect(), params, uses_self: false }
    };

    check_length(&key, item, errors);
    if let Some(SelfParam { arg, kind: SelfKind::Ref | SelfKind::Owner }) = &item.receiver {
        match skips_self {
            Some(name) if key.uses_self => {
                errors.push(name, "`self` is in `key` and in `skip`; leave one of them out");
            }
            None if !key.uses_self && !unreadable => {
                let or = if explicit {
                    "leave it out with `skip(self)` as well"
                } else {
                    "leave it out with `skip(self)`"
                };
                errors.push(
                    arg.self_token,
                    format!(
                        "`self` is not part of the key; say what is with `key = (self.id, ...)`, or {or}"
                    ),
                );
            }
            _ => {}
        }
    }
    key
}

/// The runtime makes keys of tuples, for which there must be an `impl` each.
fn check_length(key: &Key, item: &FnItem, errors: &mut Errors) {
    const MOST: usize = 12;
    let message = "a key has at most 12 parts; leave some out with `skip(...)`, or put some in a tuple of their own: \
                   `key = ((a, b), c)`";
    let is_there = |part: &&Part| match part {
        Part::Param(index) => item.params[*index].cfgs().next().is_none(),
        Part::Expr(_) => true,
    };
    match key.parts.iter().filter(is_there).nth(MOST) {
        Some(Part::Param(index)) => errors.push(&item.params[*index].arg, message),
        Some(Part::Expr(expr)) => errors.push(expr, message),
        None => {}
    }
}

/// There was a mistake, and it has been told.
struct Wrong;

/// The names that are left out of the key.
fn skip(args: &mut Args, item: &FnItem, errors: &mut Errors) -> Result<Vec<Ident>, Wrong> {
    let Some(Opt { value: names, .. }) = args.skip.take() else { return Ok(Vec::new()) };
    // `skip(self)` beside `key` says that its absence there is meant.
    if let (Some(second), true) = (args.second(&["key", "skip"]), names.iter().any(|name| name != "self")) {
        errors.push(second, "`key` and `skip` both say what makes the key; leave one of them out");
        return Err(Wrong);
    }

    let all = self::names(item);
    let (known, unknown): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| all.iter().any(|known| name == known));
    for name in &unknown {
        if item.params.iter().any(|param| param.bindings().contains(name)) {
            errors.push(name, part_of_pattern(name));
            continue;
        }
        errors.push(name, no_param(name, &all));
    }
    if unknown.is_empty() { Ok(known) } else { Err(Wrong) }
}

/// The names of all parameters that have one.
fn names(item: &FnItem) -> Vec<String> {
    let receiver = item.receiver.iter().map(|_| "self".to_owned());
    let params = item.params.iter().filter(|param| param.named).map(|param| param.name.to_string());
    receiver.chain(params).collect()
}

fn no_param(name: &Ident, all: &[String]) -> String {
    let all = || all.iter().map(String::as_str);
    let meant = match nearest(&name.to_string(), all()) {
        Some(meant) => format!("; did you mean `{meant}`?"),
        None => String::new(),
    };
    let there = match all().count() {
        0 => "there are none".to_owned(),
        1 => format!("there is {}", list(all(), "`", "`", "and")),
        _ => format!("there are {}", list(all(), "`", "`", "and")),
    };
    format!("`{name}` is not a parameter{meant} ({there})")
}

/// What can be seen to be no key among parameters that are taken as they are.
fn check_whole_params(params: &[usize], item: &FnItem, may_borrow: bool, errors: &mut Errors) {
    let params = || params.iter().map(|&index| &item.params[index]);
    for param in params().filter(|param| param.scan.ref_mut.is_none()) {
        if let Some(impl_trait) = param.scan.impl_trait {
            let or = if param.named {
                format!(", or leave it out with `skip({})`", param.name)
            } else {
                String::new()
            };
            errors.push(
                impl_trait,
                format!("a type without a name can not be part of the key; make it a generic{or}"),
            );
        } else if let Some(float) = &param.scan.float {
            errors.push(float, float_message(param, params()));
        } else if may_borrow && let Some(borrow) = borrow_inside(param.ty()) {
            errors.push(
                borrow,
                format!(
                    "`{}` borrows inside, and the key outlives the call; say what is in it with `key = (...)` and \
                     what owns its parts, such as `name.to_string()` or \
                     `ids.iter().map(|id| id.to_string()).collect::<Vec<_>>()`",
                    param.name
                ),
            );
        }
    }
}

/// A borrow in a type that is not one of those that the runtime makes an owned part of: `&T`, `&[T]`, `Option<&T>`.
fn borrow_inside(ty: &Type) -> Option<TokenStream> {
    let inside = |ty: &Type| {
        let scan = scan(ty);
        let reference = scan.reference.map(ToTokens::into_token_stream);
        reference.or_else(|| scan.lifetime.map(ToTokens::into_token_stream))
    };
    match ty {
        Type::Group(group) => borrow_inside(&group.elem),
        Type::Paren(paren) => borrow_inside(&paren.elem),
        Type::Reference(reference) => inside(&reference.elem),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
            match arguments.args.first() {
                Some(GenericArgument::Type(ty)) if last.ident == "Option" => borrow_inside(ty),
                _ => inside(ty),
            }
        }
        Type::Array(_) | Type::Slice(_) => inside(ty),
        _ => None,
    }
}

fn float_message<'a>(param: &Param, all: impl Iterator<Item = &'a Param>) -> String {
    if !param.named {
        return format!(
            "`{}` is neither `Hash` nor `Eq`; give the parameter a name and say what is in the key",
            { param.ty().to_token_stream() }
        );
    }
    let name = &param.name;
    let Some(bits) = bits(param) else {
        return format!(
            "`{name}` is made of floats, which are neither `Hash` nor `Eq`; say what is with `key = (...)`"
        );
    };
    let parts: Vec<String> =
        all.filter(|param| param.named).map(|param| bits_or_name(param, || param.name.to_string())).collect();
    match &*parts {
        [_] => format!("`{name}` is a float, which is neither `Hash` nor `Eq`; write `key = ({bits},)`"),
        _ => format!(
            "`{name}` is a float, which is neither `Hash` nor `Eq`; write `key = ({})`",
            parts.join(", ")
        ),
    }
}

fn bits_or_name(param: &Param, name: impl Fn() -> String) -> String {
    bits(param).unwrap_or_else(name)
}

/// An expression that makes a float comparable, if it is as simple as that.
fn bits(param: &Param) -> Option<String> {
    let name = &param.name;
    let float = param.scan.float.as_ref()?;
    let written = param.ty().to_token_stream().to_string();
    let float = float.to_string();
    if written.trim_start_matches("& ").trim_start_matches('&') == float {
        Some(format!("{name}.to_bits()"))
    } else if written == format!("Option < {float} >") {
        Some(format!("{name}.map({float}::to_bits)"))
    } else {
        None
    }
}

fn explicit_key(exprs: Vec<Expr>, item: &FnItem, errors: &mut Errors) -> Key {
    let mut mentioned = Vec::new();
    for expr in &exprs {
        match whole_param(expr, item).map(|param| (param, bits(param))) {
            Some((param, Some(bits))) => errors.push(
                expr,
                format!("`{}` is a float, which is neither `Hash` nor `Eq`; write `{bits}`", param.name),
            ),
            Some((param, None)) if param.scan.float.is_some() => errors
                .push(expr, format!("`{}` is made of floats, which are neither `Hash` nor `Eq`", param.name)),
            _ => {}
        }
        mentions(expr.to_token_stream(), false, &mut mentioned);
        if let Some(name) = subject(expr)
            && !names(item).iter().any(|known| name == known)
            && !item.params.iter().any(|param| param.bindings().contains(name))
        {
            errors.push(name, no_param(name, &names(item)));
        }
    }
    for param in &item.params {
        for name in param.bindings() {
            if let Some(mention) = mentioned.iter().find(|mention| **mention == name) {
                errors.push(mention, part_of_pattern(&name));
            }
        }
    }
    Key {
        params: (0..item.params.len())
            .filter(|&index| item.params[index].named && mentioned.contains(&item.params[index].name))
            .collect(),
        uses_self: item.receiver.is_some() && mentioned.iter().any(|name| name == "self"),
        parts: exprs.into_iter().map(Part::Expr).collect(),
    }
}

/// What an expression looks at, where that can only be a parameter, because constants are not written so.
fn subject(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Field(field) => subject(&field.base),
        Expr::MethodCall(call) => subject(&call.receiver),
        Expr::Path(path) => path
            .path
            .get_ident()
            .filter(|name| name.to_string().starts_with(|first: char| first == '_' || first.is_lowercase())),
        _ => None,
    }
}

/// The parameter that an expression consists of.
fn whole_param<'a>(expr: &Expr, item: &'a FnItem) -> Option<&'a Param> {
    let Expr::Path(path) = expr else { return None };
    item.params.iter().find(|param| param.named && path.path.is_ident(&param.name))
}

pub(super) fn part_of_pattern(name: impl Display) -> String {
    format!("`{name}` is a part of a parameter; give the parameter a name and take it apart in the body")
}

/// The names that are used as values in an expression, as far as tokens tell.
pub(super) fn mentions(tokens: TokenStream, in_macro: bool, found: &mut Vec<Ident>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let punct = |index: Option<usize>, wanted: char| matches!(index.and_then(|index| tokens.get(index)), Some(TokenTree::Punct(p)) if p.as_char() == wanted);
    for (index, token) in tokens.iter().enumerate() {
        let (before, second_before) = (index.checked_sub(1), index.checked_sub(2));
        let (after, second_after) = (Some(index + 1), Some(index + 2));
        match token {
            TokenTree::Ident(ident) => {
                let is_member = punct(before, '.') && !punct(second_before, '.');
                let is_in_path = (punct(before, ':') && punct(second_before, ':'))
                    || (punct(after, ':') && punct(second_after, ':'));
                let names_macro =
                    punct(after, '!') && matches!(tokens.get(index + 2), Some(TokenTree::Group(_)));
                let is_field = punct(after, ':');
                let is_lifetime = punct(before, '\'');
                if !(is_member || is_in_path || names_macro || is_field || is_lifetime) {
                    found.push(ident.clone());
                }
            }
            TokenTree::Group(group) => {
                let in_macro = in_macro || (punct(before, '!') && !punct(second_before, '='));
                mentions(group.stream(), in_macro, found);
            }
            TokenTree::Literal(literal) if in_macro => {
                let text = literal.to_string();
                let inline = text.split('{').skip(1).filter_map(|rest| rest.split(['}', ':']).next());
                found.extend(
                    inline
                        // `{type}` is `r#type` there.
                        .filter_map(|name| {
                            syn::parse_str(name).or_else(|_| syn::parse_str(&format!("r#{name}"))).ok()
                        })
                        .map(|mut name: Ident| {
                            name.set_span(literal.span());
                            name
                        }),
                );
            }
            _ => {}
        }
    }
}
