//! Checks that tags use only arguments in the key, because some companions take no others.

use quote::ToTokens as _;
use syn::Expr;
use syn::ext::IdentExt as _;

use super::exprs::{self, mentions};
use super::key::{Key, part_of_pattern};
use crate::args::{Args, Tag, Template, list, nearest};
use crate::errors::Errors;
use crate::item::{FnItem, Param};

pub(super) fn check(args: &Args, item: &FnItem, key: &Key, errors: &mut Errors) {
    // After an error in the key its arguments are unknown.
    if !errors.is_empty() {
        return;
    }
    for tag in args.tags.iter().flat_map(|tags| &tags.value) {
        match tag {
            Tag::Template(template) => check_template(template, item, key, errors),
            Tag::Expr(expr) => check_expr(expr, item, key, errors),
        }
    }
}

fn check_template(template: &Template, item: &FnItem, key: &Key, errors: &mut Errors) {
    let known: Vec<String> = key.named_params(item).map(name).collect();
    let Some(wrong) = template.names.iter().find(|name| !known.contains(name)) else { return };
    let message = not_in_the_key(wrong, &format!("{{{wrong}}}"), item).unwrap_or_else(|| {
        let known = || known.iter().map(String::as_str);
        let hint = match nearest(wrong, known()) {
            Some(name) => format!("; did you mean `{{{name}}}`?"),
            None if ["value", "result", "output", "ret"].contains(&wrong.as_str()) => {
                "; to derive a tag from the value, write `tags_from = |value: &User| vec![...]`".to_owned()
            }
            None if known().next().is_none() => "; the key has no arguments".to_owned(),
            None => format!("; the key has {}", list(known(), "`{", "}`", "and")),
        };
        format!("`{{{wrong}}}` is not an argument in the key{hint}")
    });
    errors.push(&template.literal, message);
}

/// Other names in an expression can be anything, such as constants.
fn check_expr(expr: &Expr, item: &FnItem, key: &Key, errors: &mut Errors) {
    let mut mentioned = Vec::new();
    mentions(expr.to_token_stream(), false, &mut mentioned);
    let is_known = |mention: &String| {
        key.named_params(item).any(|param| name(param) == *mention) || (mention == "self" && key.uses_self)
    };
    let wrong = mentioned.iter().find_map(|mention| {
        let name = mention.unraw().to_string();
        let message = not_in_the_key(&name, &name, item).filter(|_| !is_known(&name))?;
        Some((mention, message))
    });
    match wrong {
        Some((mention, message)) => errors.push(mention, message),
        None => exprs::check(expr, "tags", ".unwrap_or_default()", item, errors),
    }
}

/// The error for an argument that is not in the key.
fn not_in_the_key(wrong: &str, spelling: &str, item: &FnItem) -> Option<String> {
    if item.params.iter().flat_map(Param::bindings).any(|binding| binding.unraw() == wrong) {
        return Some(part_of_pattern(spelling));
    }
    let is_argument = item.params.iter().any(|param| param.named && name(param) == wrong)
        || (wrong == "self" && item.receiver.is_some());
    is_argument.then(|| {
        format!(
            "`{spelling}` is not part of the key, and tags can only use arguments in the key; add it to the key, or derive \
             the tag from the value: `tags_from = |value: &User| vec![...]`"
        )
    })
}

/// The name of a parameter, without `r#`.
fn name(param: &Param) -> String {
    param.name.unraw().to_string()
}
