//! Reads one tag of `tags(...)`: a template, in which `{name}` stands for an argument, or an expression.

use quote::ToTokens as _;
use syn::parse::Parse as _;
use syn::{Error, Expr, Lit, LitStr, Result, Token, parenthesized, token};

use super::Opt;
use super::syntax::{Written, ended, literal, mistake};

/// A tag of a value.
pub(crate) enum Tag {
    Template(Template),
    Expr(Expr),
}

/// `"user:{id}"`
pub(crate) struct Template {
    pub(crate) text: LitStr,
    /// The same with nothing between the braces: `"user:{}"`.
    pub(crate) format: String,
    /// What stands between them; a raw identifier without its `r#`, as in `format!`.
    pub(crate) names: Vec<String>,
}

impl Template {
    /// Reads a template; a mistake is what to say about it.
    pub(crate) fn new(text: LitStr) -> std::result::Result<Self, String> {
        let written = text.value();
        if written.is_empty() {
            return Err("a tag has at least one letter; write `tags(\"user:{id}\")`".to_owned());
        }
        let (mut format, mut names) = (String::new(), Vec::new());
        let mut rest = written.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            format.push_str(before);
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                format.push_str(&from[..2]);
                rest = after;
                continue;
            }
            let Some(inside) = from.strip_prefix('{') else {
                return Err("this `}` closes nothing; write `}}` for the brace itself".to_owned());
            };
            let Some((name, after)) = inside.split_once('}') else {
                return Err(format!("`{from}` is not closed; write `{{{{` for the brace itself"));
            };
            if !is_name(name) {
                let until = &written[..written.len() - inside.len()];
                return Err(no_name(name, &text, &format!("{until}}}{after}")));
            }
            names.push(name.to_owned());
            format.push_str("{}");
            rest = after;
        }
        format.push_str(rest);
        Ok(Self { text, format, names })
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
        && text != "_"
        && text != "self"
}

/// What to say about braces with something else between them; `emptied` is the template without it.
fn no_name(inside: &str, text: &LitStr, emptied: &str) -> String {
    let inside = inside.trim();
    let (problem, arguments) = match inside.split_once(':') {
        Some((name, _)) if is_name(name) => ("has a format", text.to_token_stream().to_string()),
        _ if inside.is_empty() || inside.starts_with(|c: char| c.is_ascii_digit() || c == ':') => {
            return format!("`{{{inside}}}` names no argument; write `{{id}}` for the argument `id`");
        }
        _ => {
            let emptied = LitStr::new(emptied, text.span()).to_token_stream();
            ("is no name", format!("{emptied}, {inside}"))
        }
    };
    format!(
        "`{{{inside}}}` {problem}; between braces stands the name of an argument, so write an expression: \
         `tags(format!({arguments}))`"
    )
}

impl Written<'_> {
    pub(super) fn tags(self) -> Result<Opt<Vec<Tag>>> {
        let input = self.input;
        if !input.peek(token::Paren) {
            let message = format!("list the tags in parentheses: `{}`", self.example);
            return if ended(input) { mistake(&self.name, message) } else { Err(input.error(message)) };
        }
        let span = input.span();
        let content;
        parenthesized!(content in input);
        if content.is_empty() {
            return mistake(&self.name, format!("`tags()` names no tag; write `{}`", self.example));
        }
        let exprs = content.parse_terminated(Expr::parse, Token![,]).map_err(|e| self.explain(&e))?;
        let (mut tags, mut wrong) = (Vec::new(), None::<Error>);
        for tag in exprs.into_iter().map(|expr| self.tag(expr)) {
            match (tag, &mut wrong) {
                (Ok(tag), _) => tags.push(tag),
                (Err(mistake), Some(wrong)) => wrong.combine(mistake),
                (Err(mistake), None) => wrong = Some(mistake),
            }
        }
        match wrong {
            Some(wrong) => Err(wrong),
            None => Ok(self.is(span, tags)),
        }
    }

    fn tag(&self, expr: Expr) -> Result<Tag> {
        match literal(&expr) {
            Some(Lit::Str(text)) => {
                Template::new(text.clone()).map(Tag::Template).or_else(|message| mistake(text, message))
            }
            Some(other) => mistake(other, format!("a tag is a text; write `{}`", self.example)),
            None => Ok(Tag::Expr(expr)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> std::result::Result<(String, Vec<String>), String> {
        let template = Template::new(LitStr::new(text, proc_macro2::Span::call_site()))?;
        Ok((template.format, template.names))
    }

    #[test]
    fn names_are_taken_out_of_their_braces() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(read("users"), Ok(("users".to_owned(), Vec::new())));
        assert_eq!(read("{a}:{_b}"), Ok(("{}:{}".to_owned(), names(&["a", "_b"]))));
        assert_eq!(read("{{{a}}}"), Ok(("{{{}}}".to_owned(), names(&["a"]))));
    }

    #[test]
    fn what_is_no_name_is_told() {
        for (text, part) in [
            ("", "at least one letter"),
            ("{", "`{` is not closed"),
            ("a{b:c", "`{b:c` is not closed; write `{{`"),
            ("a}", "this `}` closes nothing; write `}}`"),
            ("{}", "`{}` names no argument"),
            ("{0}", "`{0}` names no argument"),
            ("{:?}", "`{:?}` names no argument"),
            ("{a}:{b:?}", "`{b:?}` has a format; between braces"),
            ("{a}:{b:?}", "write an expression: `tags(format!(\"{a}:{b:?}\"))`"),
            ("{a}:{b.c}:d", "write an expression: `tags(format!(\"{a}:{}:d\", b.c))`"),
            ("{ a }", "`tags(format!(\"{}\", a))`"),
            ("{self}", "`{self}` is no name"),
            ("{_}", "`{_}` is no name"),
        ] {
            let refusal = read(text).unwrap_err();
            assert!(refusal.contains(part), "{text}: {refusal}");
        }
    }
}
