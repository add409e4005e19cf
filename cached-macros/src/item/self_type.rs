//! Finds `Self` in tokens, which shows that a function is in an `impl` or a `trait`.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

pub(super) fn mentions_self_type(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "Self",
        TokenTree::Group(group) => mentions_self_type(group.stream()),
        _ => false,
    })
}

/// Returns `true` if the tokens contain `Self` outside of nested types, traits and impls.
pub(super) fn names_self_type(tokens: TokenStream) -> bool {
    let mut in_item = false;
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    tokens.iter().enumerate().any(|(index, token)| match token {
        TokenTree::Ident(ident) => {
            in_item |= begins_item(ident, &tokens[index + 1..]);
            !in_item && ident == "Self"
        }
        TokenTree::Punct(punct) => {
            in_item &= punct.as_char() != ';';
            false
        }
        TokenTree::Group(group) => {
            let skipped = in_item;
            in_item &= group.delimiter() != Delimiter::Brace;
            !skipped && names_self_type(group.stream())
        }
        TokenTree::Literal(_) => false,
    })
}

/// Returns `true` if the identifier begins an item in which `Self` has another meaning. `union` is a keyword only in
/// front of a name and the generics or fields; elsewhere it is a name itself. Other contextual keywords, such as `auto`,
/// `default` and `safe`, are followed by one of these.
fn begins_item(ident: &Ident, after: &[TokenTree]) -> bool {
    if ident != "union" {
        return ["impl", "trait", "struct", "enum"].iter().any(|item| ident == item);
    }
    match after {
        [TokenTree::Ident(_), TokenTree::Punct(punct), ..] => punct.as_char() == '<',
        [TokenTree::Ident(_), TokenTree::Group(group), ..] => group.delimiter() == Delimiter::Brace,
        [TokenTree::Ident(_), TokenTree::Ident(word), ..] => word == "where",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::names_self_type;

    #[test]
    fn self_is_found_outside_of_nested_items() {
        for body in [
            "Self::base()",
            "if x { Self }",
            "e.union(&Self::base())",
            "let union = Self::join(a, b);",
            "union; Self::A",
            "union(Self::A)",
            "union == Self::A",
            "struct A; Self::A",
            "impl A { fn a() -> Self { A } } Self::A",
            "union A { a: u8 } Self::A",
            "let (auto, default, safe, raw) = Self::all();",
        ] {
            assert!(names_self_type(body.parse().unwrap()), "{body}");
        }
    }

    #[test]
    fn self_in_nested_items_is_not_found() {
        for body in [
            "self.a",
            "struct A { a: Option<Box<Self>> }",
            "enum A where Self: Sized { A }",
            "impl A { fn a() -> Self { A } }",
            "unsafe impl<T> A for B<T> where Self: Sized {}",
            "auto trait A where Self: Sized {}",
            "union A { a: *const Self }",
            "union A<T: Copy> where Self: Sized { a: T }",
            "union A where Self: Sized { a: u8 }",
        ] {
            assert!(!names_self_type(body.parse().unwrap()), "{body}");
        }
    }
}
