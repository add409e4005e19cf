//! The key: which arguments and expressions it consists of.

use std::fmt::Display;

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{Expr, Type};

use super::exprs::{self, is_variable, mentions, subject, whole_param};
use super::floats::{self, float_message};
use crate::args::{Args, Opt, list, nearest};
use crate::errors::Errors;
use crate::item::{Apart, FnItem, Param, SelfKind, SelfParam, option_of, peel, scan};

/// The key of a cached value.
pub(crate) struct Key {
    pub(crate) parts: Vec<Part>,
    /// The parameters used in the parts, as indices into `FnItem::params`, in ascending order.
    pub(crate) params: Vec<usize>,
    /// The other parameters with a name, if the parts use a name that is not a parameter: a typo gets the same suggestion
    /// wherever the key is.
    pub(crate) unused: Vec<usize>,
    /// Whether the parts use `self`.
    pub(crate) uses_self: bool,
}

impl Key {
    /// The parameters used in the parts that have a name of the user's.
    pub(super) fn named_params<'a>(&'a self, item: &'a FnItem) -> impl Iterator<Item = &'a Param> {
        self.params.iter().map(|&index| &item.params[index]).filter(|param| param.named)
    }
}

/// One part of a key.
pub(crate) enum Part {
    /// A whole parameter, by its index in `FnItem::params`.
    Param(usize),
    /// An expression in `key = (...)`.
    Expr(Expr),
}

pub(super) fn key(args: &mut Args, item: &FnItem, errors: &mut Errors) -> Key {
    // If `key` or `skip` is invalid, the key is unknown, and errors about it would be misleading.
    let mut unknown = (args.has("key") && args.key.is_none()) || (args.has("skip") && args.skip.is_none());
    let explicit = args.has("key");
    let skip = skip(args, item, errors).unwrap_or_else(|Reported| {
        unknown = true;
        Vec::new()
    });
    let skips_self = skip.iter().find(|name| *name == "self");

    let key = if let Some(key) = args.key.take() {
        explicit_key(key.value, item, errors)
    } else {
        let skipped = |param: &Param| param.named && skip.contains(&param.name);
        let params: Vec<usize> =
            (0..item.params.len()).filter(|&index| !skipped(&item.params[index])).collect();
        if !unknown {
            // A detached computation cannot borrow at all, which is an error of its own.
            check_whole_params(&params, item, args.detached.is_none(), errors);
        }
        Key {
            parts: params.iter().copied().map(Part::Param).collect(),
            params,
            unused: Vec::new(),
            uses_self: false,
        }
    };

    check_length(&key, item, errors);
    if let Some(SelfParam { arg, kind: SelfKind::Ref | SelfKind::Owned }) = &item.receiver {
        match skips_self {
            Some(name) if key.uses_self => {
                errors.push(name, "`self` is both in `key` and in `skip`; remove it from one of them");
            }
            None if !key.uses_self && !unknown => {
                let or = if explicit {
                    "leave it out explicitly by adding `skip(self)`"
                } else {
                    "leave it out with `skip(self)`"
                };
                errors.push(
                    arg.self_token,
                    format!(
                        "`self` is not part of the cache key; add what identifies it with `key = (self.id, \
                         ...)`, or {or}"
                    ),
                );
            }
            _ => {}
        }
    }
    key
}

/// Rejects keys that are longer than the longest tuple for which the runtime implements its traits.
fn check_length(key: &Key, item: &FnItem, errors: &mut Errors) {
    const MAX_PARTS: usize = 12;
    let message = "a key has at most 12 parts; leave some out with `skip(...)`, or group some in a tuple: \
                   `key = ((a, b), c)`";
    let is_unconditional = |part: &&Part| match part {
        Part::Param(index) => item.params[*index].cfgs().next().is_none(),
        Part::Expr(_) => true,
    };
    match key.parts.iter().filter(is_unconditional).nth(MAX_PARTS) {
        Some(Part::Param(index)) => errors.push(&item.params[*index].arg, message),
        Some(Part::Expr(expr)) => errors.push(expr, message),
        None => {}
    }
}

/// An error was found and reported.
struct Reported;

/// The names that are left out of the key.
fn skip(args: &mut Args, item: &FnItem, errors: &mut Errors) -> Result<Vec<Ident>, Reported> {
    let Some(Opt { value: names, .. }) = args.skip.take() else { return Ok(Vec::new()) };
    // `skip(self)` together with `key` means that the key deliberately does not contain `self`.
    if let (Some(second), true) = (args.second(&["key", "skip"]), names.iter().any(|name| name != "self")) {
        errors.push(second, "`key` and `skip` both define the key; leave one of them out");
        return Err(Reported);
    }

    let all = self::names(item);
    let (known, unknown): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| all.iter().any(|known| name == known));
    for name in &unknown {
        if item.params.iter().any(|param| param.bindings().contains(name)) {
            errors.push(name, part_of_pattern(name));
            continue;
        }
        errors.push(name, not_a_param(name, &all));
    }
    if unknown.is_empty() { Ok(known) } else { Err(Reported) }
}

/// The names of all parameters that have one.
fn names(item: &FnItem) -> Vec<String> {
    let receiver = item.receiver.iter().map(|_| "self".to_owned());
    let params = item.params.iter().filter(|param| param.named).map(|param| param.name.to_string());
    receiver.chain(params).collect()
}

fn not_a_param(name: &Ident, all: &[String]) -> String {
    let all = || all.iter().map(String::as_str);
    let suggestion = match nearest(&name.to_string(), all()) {
        Some(name) => format!("; did you mean `{name}`?"),
        None => String::new(),
    };
    let params = match all().count() {
        0 => "the function has no parameters".to_owned(),
        1 => format!("the only parameter is {}", list(all(), "`", "`", "and")),
        _ => format!("the parameters are {}", list(all(), "`", "`", "and")),
    };
    format!("`{name}` is not a parameter{suggestion} ({params})")
}

/// Rejects whole parameters whose types show that they cannot be part of a key.
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
                format!(
                    "a parameter of type `impl Trait` cannot be part of the cache key, because its type \
                     has no name; use a type parameter{or}"
                ),
            );
        } else if let Some(float) = &param.scan.float {
            errors.push(float, float_message(param, params()));
        } else if may_borrow && let Some(borrow) = borrow_inside(param.ty()) {
            errors.push(
                borrow,
                format!(
                    "`{}` contains borrowed data and cannot be part of the cache key, because the cache outlives the call; \
                     write `key = (...)` with owned values, such as `name.to_string()` or \
                     `ids.iter().map(|id| id.to_string()).collect::<Vec<_>>()`",
                    param.name
                ),
            );
        }
    }
}

/// The borrow in a type that cannot be converted to an owned part, as `&T`, `&[T]`, and tuples and `Option`s of them can.
fn borrow_inside(ty: &Type) -> Option<TokenStream> {
    let inside = |ty: &Type| {
        let scan = scan(ty);
        let reference = scan.reference.map(ToTokens::into_token_stream);
        reference.or_else(|| scan.lifetime.map(ToTokens::into_token_stream))
    };
    if let Some(ty) = option_of(ty) {
        return borrow_inside(ty);
    }
    match peel(ty) {
        Type::Reference(reference) => inside(&reference.elem),
        Type::Tuple(tuple) => tuple.elems.iter().find_map(borrow_inside),
        Type::Path(_) | Type::Array(_) | Type::Slice(_) => inside(ty),
        _ => None,
    }
}

fn explicit_key(exprs: Vec<Expr>, item: &FnItem, errors: &mut Errors) -> Key {
    let mut mentioned = Vec::new();
    let known = names(item);
    for expr in &exprs {
        if let Some(param) = whole_param(expr, item) {
            floats::check_explicit(expr, param, errors);
        }
        exprs::check(expr, "key", ".ok()", item, errors);
        mentions(expr.to_token_stream(), false, &mut mentioned);
        if let Some(name) = subject(expr)
            && !known.iter().any(|known| name == known)
            && !item.params.iter().any(|param| param.bindings().contains(name))
        {
            errors.push(name, not_a_param(name, &known));
        }
    }
    for param in &item.params {
        for name in param.bindings() {
            if let Some(mention) = mentioned.iter().find(|mention| **mention == name) {
                errors.push(mention, part_of_pattern(&name));
            }
        }
    }
    let is_mentioned = |index: &usize| {
        let param: &Param = &item.params[*index];
        param.named && mentioned.contains(&param.name)
    };
    let (params, others): (Vec<_>, Vec<_>) = (0..item.params.len()).partition(is_mentioned);
    let is_unknown = |name: &Ident| is_variable(name) && !known.iter().any(|known| name == known);
    let unused = if mentioned.iter().any(is_unknown) { others } else { Vec::new() };
    Key {
        params,
        unused: unused.into_iter().filter(|&index| item.params[index].named).collect(),
        uses_self: item.receiver.is_some() && mentioned.iter().any(|name| name == "self"),
        parts: exprs.into_iter().map(|expr| part(expr, item)).collect(),
    }
}

/// An expression that is just a parameter, and has to be taken apart by its type, is that parameter.
fn part(expr: Expr, item: &FnItem) -> Part {
    match whole_param(&expr, item) {
        Some(param) if Apart::of(param.ty()).is_some() => {
            let index = item.params.iter().position(|other| other.name == param.name);
            index.map_or(Part::Expr(expr), Part::Param)
        }
        _ => Part::Expr(expr),
    }
}

pub(super) fn part_of_pattern(name: impl Display) -> String {
    format!(
        "`{name}` is bound by a pattern and is not a parameter itself; give the parameter a name and \
         destructure it in the body"
    )
}
