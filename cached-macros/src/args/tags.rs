//! The option `tags(...)`: a list of templates, such as `"user:{id}"`, and expressions.

use quote::ToTokens as _;
use syn::parse::Parse as _;
use syn::{Error, Expr, Lit, LitStr, Result, Token, parenthesized, token};

use super::Opt;
use super::syntax::{OptionInput, at_end, fail, literal};

/// One tag in `tags(...)`.
pub(crate) enum Tag {
    Template(Template),
    Expr(Expr),
}

/// A string literal with the names of arguments in braces: `"user:{id}"`.
pub(crate) struct Template {
    pub(crate) literal: LitStr,
    /// The literal without the names, as `format!` takes it: `"user:{}"`.
    pub(crate) format: String,
    /// The names in the braces, in order; a raw identifier without its `r#`, as in `format!`.
    pub(crate) names: Vec<String>,
}

impl Template {
    /// Parses a template; the error is the message.
    pub(crate) fn parse(literal: LitStr) -> std::result::Result<Self, String> {
        let value = literal.value();
        if value.is_empty() {
            return Err("a tag cannot be empty; write `tags(\"user:{id}\")`".to_owned());
        }
        let (mut format, mut names) = (String::new(), Vec::new());
        let mut rest = value.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            format.push_str(before);
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                format.push_str(&from[..2]);
                rest = after;
                continue;
            }
            let Some(inside) = from.strip_prefix('{') else {
                return Err("this `}` has no matching `{`; write `}}` for a literal brace".to_owned());
            };
            let Some((name, after)) = inside.split_once('}') else {
                return Err(format!("`{from}` has no closing `}}`; write `{{{{` for a literal brace"));
            };
            if !is_name(name) {
                let before = &value[..value.len() - inside.len()];
                return Err(invalid_placeholder(name, &literal, &format!("{before}}}{after}")));
            }
            names.push(name.to_owned());
            format.push_str("{}");
            rest = after;
        }
        format.push_str(rest);
        Ok(Self { literal, format, names })
    }
}

fn is_name(string: &str) -> bool {
    string.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && string.chars().all(|c| c.is_alphanumeric() || c == '_')
        && string != "_"
        && string != "self"
}

/// The error for braces with something other than a name in them; `emptied` is the template with empty braces there.
fn invalid_placeholder(inside: &str, literal: &LitStr, emptied: &str) -> String {
    let inside = inside.trim();
    let (problem, arguments) = match inside.split_once(':') {
        Some((name, _)) if is_name(name) => ("has a format specifier", literal.to_token_stream().to_string()),
        _ if inside.is_empty() || inside.starts_with(|c: char| c.is_ascii_digit() || c == ':') => {
            return format!("`{{{inside}}}` does not name an argument; write `{{id}}` for the argument `id`");
        }
        _ => {
            let emptied = LitStr::new(emptied, literal.span()).to_token_stream();
            ("is not a name", format!("{emptied}, {inside}"))
        }
    };
    format!(
        "`{{{inside}}}` {problem}; braces can only contain the name of an argument; write an expression: \
         `tags(format!({arguments}))`"
    )
}

impl OptionInput<'_> {
    pub(super) fn tags(self) -> Result<Opt<Vec<Tag>>> {
        let input = self.input;
        if !input.peek(token::Paren) {
            let message = format!("list the tags in parentheses: `{}`", self.example);
            return if at_end(input) { fail(&self.name, message) } else { Err(input.error(message)) };
        }
        let span = input.span();
        let content;
        parenthesized!(content in input);
        if content.is_empty() {
            return fail(&self.name, format!("`tags()` has no tags; write `{}`", self.example));
        }
        let exprs = content.parse_terminated(Expr::parse, Token![,]).map_err(|e| self.with_example(&e))?;
        let (mut tags, mut errors) = (Vec::new(), None::<Error>);
        for tag in exprs.into_iter().map(|expr| self.tag(expr)) {
            match (tag, &mut errors) {
                (Ok(tag), _) => tags.push(tag),
                (Err(error), Some(errors)) => errors.combine(error),
                (Err(error), None) => errors = Some(error),
            }
        }
        match errors {
            Some(errors) => Err(errors),
            None => Ok(self.finish(span, tags)),
        }
    }

    fn tag(&self, expr: Expr) -> Result<Tag> {
        match literal(&expr) {
            Some(Lit::Str(string)) => {
                Template::parse(string.clone()).map(Tag::Template).or_else(|message| fail(string, message))
            }
            Some(other) => fail(other, format!("a tag is a string; write `{}`", self.example)),
            None => Ok(Tag::Expr(expr)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(template: &str) -> std::result::Result<(String, Vec<String>), String> {
        let template = Template::parse(LitStr::new(template, proc_macro2::Span::call_site()))?;
        Ok((template.format, template.names))
    }

    #[test]
    fn names_are_read_from_braces() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(parse("users"), Ok(("users".to_owned(), Vec::new())));
        assert_eq!(parse("{a}:{_b}"), Ok(("{}:{}".to_owned(), names(&["a", "_b"]))));
        assert_eq!(parse("{{{a}}}"), Ok(("{{{}}}".to_owned(), names(&["a"]))));
    }

    #[test]
    fn invalid_templates_are_rejected() {
        for (template, part) in [
            ("", "cannot be empty"),
            ("{", "`{` has no closing `}`"),
            ("a{b:c", "`{b:c` has no closing `}`; write `{{`"),
            ("a}", "this `}` has no matching `{`; write `}}`"),
            ("{}", "`{}` does not name an argument"),
            ("{0}", "`{0}` does not name an argument"),
            ("{:?}", "`{:?}` does not name an argument"),
            ("{a}:{b:?}", "`{b:?}` has a format specifier; braces"),
            ("{a}:{b:?}", "write an expression: `tags(format!(\"{a}:{b:?}\"))`"),
            ("{a}:{b.c}:d", "write an expression: `tags(format!(\"{a}:{}:d\", b.c))`"),
            ("{ a }", "`tags(format!(\"{}\", a))`"),
            ("{self}", "`{self}` is not a name"),
            ("{_}", "`{_}` is not a name"),
        ] {
            let error = parse(template).unwrap_err();
            assert!(error.contains(part), "{template}: {error}");
        }
    }
}
