//! The key: which arguments and expressions it consists of.

use std::fmt::Display;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Expr, GenericArgument, PathArguments, Type};

use crate::args::{Args, Opt, list, nearest};
use crate::errors::Errors;
use crate::item::{FnItem, Param, SelfKind, SelfParam, peel, scan};

/// The key of a cached value.
pub(crate) struct Key {
    pub(crate) parts: Vec<Part>,
    /// The parameters used in the parts, as indices into `FnItem::params`, in ascending order.
    pub(crate) params: Vec<usize>,
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
        Key { parts: params.iter().copied().map(Part::Param).collect(), params, uses_self: false }
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

/// The borrow in a type that cannot be converted to an owned part, as `&T`, `&[T]`, `Option<&T>` and tuples of them can.
fn borrow_inside(ty: &Type) -> Option<TokenStream> {
    let inside = |ty: &Type| {
        let scan = scan(ty);
        let reference = scan.reference.map(ToTokens::into_token_stream);
        reference.or_else(|| scan.lifetime.map(ToTokens::into_token_stream))
    };
    match peel(ty) {
        Type::Reference(reference) => inside(&reference.elem),
        Type::Tuple(tuple) => tuple.elems.iter().find_map(borrow_inside),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
            match arguments.args.first() {
                // An `Option` of a tuple is one part, and the elements of the tuple are not converted.
                Some(GenericArgument::Type(ty)) if last.ident == "Option" => match peel(ty) {
                    Type::Tuple(_) => inside(ty),
                    ty => borrow_inside(ty),
                },
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
            "`{}` cannot be part of the cache key, because floats are neither `Hash` nor `Eq`; give the \
             parameter a name and write `key = (...)`",
            { param.ty().to_token_stream() }
        );
    }
    let name = &param.name;
    let Some(bits) = bits(param) else {
        return format!(
            "`{name}` contains floats, which cannot be part of the cache key, because they are neither \
             `Hash` nor `Eq`; write what identifies it with `key = (...)`"
        );
    };
    let parts: Vec<String> =
        all.filter(|param| param.named).map(|param| bits_or_name(param, || param.name.to_string())).collect();
    match &*parts {
        [_] => format!(
            "`{name}` is a float, which cannot be part of the cache key, because it is neither `Hash` nor \
             `Eq`; write `key = ({bits},)`"
        ),
        _ => format!(
            "`{name}` is a float, which cannot be part of the cache key, because it is neither `Hash` nor \
             `Eq`; write `key = ({})`",
            parts.join(", ")
        ),
    }
}

fn bits_or_name(param: &Param, name: impl Fn() -> String) -> String {
    bits(param).unwrap_or_else(name)
}

/// The expression that turns a float, or an optional float, into its bits.
fn bits(param: &Param) -> Option<String> {
    let name = &param.name;
    let float = param.scan.float.as_ref()?;
    let mut ty = peel(param.ty());
    if let Type::Path(path) = ty
        && path.path.get_ident().is_none()
    {
        let option = path.path.segments.last().filter(|last| last.ident == "Option")?;
        let PathArguments::AngleBracketed(arguments) = &option.arguments else { return None };
        return match arguments.args.first() {
            Some(GenericArgument::Type(ty)) if is_path(ty, float) => {
                Some(format!("{name}.map({float}::to_bits)"))
            }
            _ => None,
        };
    }
    while let Type::Reference(reference) = ty {
        ty = peel(&reference.elem);
    }
    is_path(ty, float).then(|| format!("{name}.to_bits()"))
}

fn is_path(ty: &Type, ident: &Ident) -> bool {
    matches!(peel(ty), Type::Path(path) if path.path.is_ident(ident))
}

fn explicit_key(exprs: Vec<Expr>, item: &FnItem, errors: &mut Errors) -> Key {
    let mut mentioned = Vec::new();
    for expr in &exprs {
        match whole_param(expr, item).map(|param| (param, bits(param))) {
            Some((param, Some(bits))) => errors.push(
                expr,
                format!(
                    "`{}` is a float, which cannot be part of the cache key, because it is neither \
                     `Hash` nor `Eq`; write `{bits}`",
                    param.name
                ),
            ),
            Some((param, None)) if param.scan.float.is_some() => errors.push(
                expr,
                format!(
                    "`{}` contains floats, which cannot be part of the cache key, because \
                     they are neither `Hash` nor `Eq`; write what identifies it, such as the \
                     bits of each float",
                    param.name
                ),
            ),
            _ => {}
        }
        mentions(expr.to_token_stream(), false, &mut mentioned);
        if let Some(name) = subject(expr)
            && !names(item).iter().any(|known| name == known)
            && !item.params.iter().any(|param| param.bindings().contains(name))
        {
            errors.push(name, not_a_param(name, &names(item)));
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

/// The variable that an expression consists of or reads a member of, unless it is spelled like a constant.
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

/// The parameter, if the expression is just its name.
fn whole_param<'a>(expr: &Expr, item: &'a FnItem) -> Option<&'a Param> {
    let Expr::Path(path) = expr else { return None };
    item.params.iter().find(|param| param.named && path.path.is_ident(&param.name))
}

pub(super) fn part_of_pattern(name: impl Display) -> String {
    format!(
        "`{name}` is bound by a pattern and is not a parameter itself; give the parameter a name and \
         destructure it in the body"
    )
}

/// Collects the names used as values in an expression, as far as the tokens show.
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
                let string = literal.to_string();
                let inline = string.split('{').skip(1).filter_map(|rest| rest.split(['}', ':']).next());
                found.extend(
                    inline
                        // `{type}` refers to `r#type`.
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
