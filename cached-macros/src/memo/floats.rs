//! Floats in the key, which are neither `Hash` nor `Eq`: what to write instead.

use proc_macro2::Ident;
use quote::ToTokens as _;
use syn::{Expr, Type};

use crate::errors::Errors;
use crate::item::{Param, option_of, peel};

/// The error for a parameter whose type shows that it contains a float.
pub(super) fn float_message<'a>(param: &Param, all: impl Iterator<Item = &'a Param>) -> String {
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
        return option_of(ty)
            .filter(|ty| is_path(ty, float))
            .map(|_| format!("{name}.map({float}::to_bits)"));
    }
    while let Type::Reference(reference) = ty {
        ty = peel(&reference.elem);
    }
    is_path(ty, float).then(|| format!("{name}.to_bits()"))
}

fn is_path(ty: &Type, ident: &Ident) -> bool {
    matches!(peel(ty), Type::Path(path) if path.path.is_ident(ident))
}

/// Rejects a float in `key = (...)`.
pub(super) fn check_explicit(expr: &Expr, param: &Param, errors: &mut Errors) {
    if let Some(bits) = bits(param) {
        errors.push(
            expr,
            format!(
                "`{}` is a float, which cannot be part of the cache key, because it is neither \
                 `Hash` nor `Eq`; write `{bits}`",
                param.name
            ),
        );
    } else if param.scan.float.is_some() {
        errors.push(
            expr,
            format!(
                "`{}` contains floats, which cannot be part of the cache key, because \
                 they are neither `Hash` nor `Eq`; write what identifies it, such as the \
                 bits of each float",
                param.name
            ),
        );
    }
}
