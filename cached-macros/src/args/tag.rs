//! Reads one tag of `tags(...)`: a template, in which `{name}` stands for an argument, or an expression.

use proc_macro2::{Ident, Span};
use syn::{Expr, LitStr};

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
    /// What stands between them.
    pub(crate) names: Vec<Ident>,
}

impl Template {
    /// Reads a template; a mistake is what to say about it.
    pub(crate) fn new(text: LitStr) -> Result<Self, String> {
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
            let Some((name, after)) = from.strip_prefix('{').and_then(|from| from.split_once('}')) else {
                return Err("this brace stands alone; write `{{` or `}}` for the brace itself".to_owned());
            };
            names.push(self::name(name, text.span())?);
            format.push_str("{}");
            rest = after;
        }
        format.push_str(rest);
        Ok(Self { text, format, names })
    }
}

fn name(name: &str, span: Span) -> Result<Ident, String> {
    let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if is_name && name != "_" && name != "self" {
        return Ok(Ident::new(name, span));
    }
    Err(format!(
        "`{{{name}}}` is no argument; a template takes their names only, for the rest write an expression: \
         `tags(format!(\"user:{{}}\", user.id))`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, Vec<String>), String> {
        let template = Template::new(LitStr::new(text, Span::call_site()))?;
        Ok((template.format, template.names.iter().map(ToString::to_string).collect()))
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
        for text in ["", "{", "}", "{a", "a}", "{}", "{0}", "{a:?}", "{a.b}", "{self}", "{_}", "{ a }"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
