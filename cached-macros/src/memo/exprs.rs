//! What can be seen of an expression in `key` or `tags`: the names it uses, a `?` in it, and what it moves.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, ExprAsync, ExprBinary, ExprCall, ExprClosure, ExprMethodCall, ExprTry, Token, Type};

use crate::errors::Errors;
use crate::item::{FnItem, Param, peel};

/// Rejects what cannot be in an expression of `option`: `?`, and arguments that are moved.
///
/// `advice` says what to write instead of `?`.
pub(super) fn check(expr: &Expr, option: &str, advice: &str, item: &FnItem, errors: &mut Errors) {
    let mut finder = Finder { item, question: None, moved: None };
    finder.visit_expr(expr);
    if let Some(question) = finder.question {
        errors.push(
            question,
            format!("`?` cannot be in `{option}`, which is evaluated before each call and cannot fail; write `{advice}` instead"),
        );
    } else if let Some(name) = finder.moved {
        errors.push(
            &name,
            format!(
                "this moves `{name}`, which the function itself needs; borrow it, or write `{name}.clone()`"
            ),
        );
    }
}

/// The types of the standard library that are moved when they are used by value, whatever their parameters.
const OWNED: [&str; 11] = [
    "String", "Vec", "VecDeque", "Box", "PathBuf", "OsString", "CString", "HashMap", "HashSet", "BTreeMap",
    "BTreeSet",
];

/// Finds the first `?`, and the first parameter that is moved.
struct Finder<'a> {
    item: &'a FnItem,
    question: Option<Token![?]>,
    moved: Option<Ident>,
}

impl Finder<'_> {
    /// Notes that the value of an expression is moved.
    fn moves(&mut self, expr: &Expr) {
        if let Some(param) = whole_param(expr, self.item)
            && is_owned(param.ty())
            && let Expr::Path(path) = expr
            && let Some(name) = path.path.get_ident()
        {
            self.moved.get_or_insert_with(|| name.clone());
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_expr_try(&mut self, expr: &'ast ExprTry) {
        self.question.get_or_insert(expr.question_token);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        call.args.iter().for_each(|argument| self.moves(argument));
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if call.method.to_string().starts_with("into") {
            self.moves(&call.receiver);
        }
        call.args.iter().for_each(|argument| self.moves(argument));
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_tuple(&mut self, tuple: &'ast syn::ExprTuple) {
        tuple.elems.iter().for_each(|element| self.moves(element));
        visit::visit_expr_tuple(self, tuple);
    }

    fn visit_expr_array(&mut self, array: &'ast syn::ExprArray) {
        array.elems.iter().for_each(|element| self.moves(element));
        visit::visit_expr_array(self, array);
    }

    fn visit_expr_struct(&mut self, expr: &'ast syn::ExprStruct) {
        expr.fields.iter().for_each(|field| self.moves(&field.expr));
        visit::visit_expr_struct(self, expr);
    }

    fn visit_expr_binary(&mut self, binary: &'ast ExprBinary) {
        if matches!(binary.op, BinOp::Add(_)) {
            self.moves(&binary.left);
        }
        visit::visit_expr_binary(self, binary);
    }

    // `?` and names in these belong to them.
    fn visit_expr_closure(&mut self, _: &'ast ExprClosure) {}
    fn visit_expr_async(&mut self, _: &'ast ExprAsync) {}
}

fn is_owned(ty: &Type) -> bool {
    let Type::Path(path) = peel(ty) else { return false };
    path.path.segments.last().is_some_and(|last| OWNED.iter().any(|owned| last.ident == owned))
}

/// The parameter, if the expression is just its name.
pub(super) fn whole_param<'a>(expr: &Expr, item: &'a FnItem) -> Option<&'a Param> {
    let Expr::Path(path) = expr else { return None };
    item.params.iter().find(|param| param.named && path.path.is_ident(&param.name))
}

/// The variable that an expression consists of or reads a member of, unless it is spelled like a constant.
pub(super) fn subject(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Field(field) => subject(&field.base),
        Expr::MethodCall(call) => subject(&call.receiver),
        Expr::Path(path) => path.path.get_ident().filter(|name| is_variable(name)),
        _ => None,
    }
}

/// Returns `true` if a name is spelled like that of a variable.
pub(super) fn is_variable(name: &Ident) -> bool {
    name.to_string().starts_with(|first: char| first == '_' || first.is_lowercase())
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
                        .filter_map(captured)
                        .map(|mut name| {
                            name.set_span(literal.span());
                            name
                        }),
                );
            }
            _ => {}
        }
    }
}

/// The variable that a name in a format string refers to: `{type}` to `r#type`, and `{self}` to `self`.
fn captured(name: &str) -> Option<Ident> {
    if name == "self" {
        return Some(Ident::new(name, Span::call_site()));
    }
    syn::parse_str(name).or_else(|_| syn::parse_str(&format!("r#{name}"))).ok()
}
