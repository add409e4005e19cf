//! Which arguments tags are made of: those of the key, because the companions have no other.

use quote::ToTokens as _;
use syn::Expr;
use syn::ext::IdentExt as _;

use super::key::{Key, mentions, part_of_pattern};
use crate::args::{Args, Tag, Template, list, nearest};
use crate::errors::Errors;
use crate::item::{FnItem, Param};

pub(super) fn check(args: &Args, item: &FnItem, key: &Key, errors: &mut Errors) {
    // A mistake in the key was told already; then its arguments are not known.
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
            Some(meant) => format!("; did you mean `{{{meant}}}`?"),
            None if known().next().is_none() => "; the key has none".to_owned(),
            None => format!("; there is {}", list(known(), "`{", "}`", "and")),
        };
        format!("`{{{wrong}}}` is no argument of the key{hint}")
    });
    errors.push(&template.text, message);
}

/// What else an expression names may be anything, as a constant.
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
    if let Some((mention, message)) = wrong {
        errors.push(mention, message);
    }
}

/// What to say about an argument that is there, but not in the key.
fn not_in_the_key(wrong: &str, written: &str, item: &FnItem) -> Option<String> {
    if item.params.iter().flat_map(Param::bindings).any(|binding| binding.unraw() == wrong) {
        return Some(part_of_pattern(written));
    }
    let is_argument = item.params.iter().any(|param| param.named && name(param) == wrong)
        || (wrong == "self" && item.receiver.is_some());
    is_argument.then(|| {
        format!(
            "`{written}` is no part of the key, of which tags are made; put it there, or tell the tag by the value: \
             `tags_from = |value: &User| vec![...]`"
        )
    })
}

/// The name of a parameter, as a template has it.
fn name(param: &Param) -> String {
    param.name.unraw().to_string()
}
