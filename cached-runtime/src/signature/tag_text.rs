//! The dispatch from an argument, or an expression, to the text of a tag, by type.
#![allow(clippy::unused_self, reason = "method lookup selects these methods by the type of `self`")]

use std::fmt::Display;
use std::ops::Deref;

use super::cache::Cache;

/// Implemented for [`Cache`] if a `T` can be in a tag template.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be part of a tag template",
    label = "an argument in a template must be `Display`",
    note = "implement `Display`, or write an expression, as in `tags(format!(\"user:{{}}\", user.id))`"
)]
pub trait CanFormatInTag<T: ?Sized> {}

/// Implemented for [`Cache`] if a `T` can be a tag.
#[diagnostic::on_unimplemented(
    message = "`{T}` is not a tag",
    label = "a tag must be a string: `AsRef<str>`",
    note = "convert it to a string, as in `tags(format!(\"user:{{}}\", user.id))`"
)]
pub trait CanTagWith<T: ?Sized> {}

#[diagnostic::do_not_recommend]
impl<T: Display + ?Sized> CanFormatInTag<T> for Cache {}

#[diagnostic::do_not_recommend]
impl<T: AsRef<str> + ?Sized> CanTagWith<T> for Cache {}

/// The first step of the dispatch: `TagText::new(&argument).text()` for an argument in a template,
/// `TagText::new(&expression).tag()` for an expression that is a tag.
///
/// Its cases are what is `Display`, and what is `AsRef<str>`. `signature/mod.rs` describes the technique.
#[derive(Debug)]
pub struct TagText<'a, T: ?Sized>(InvalidTagText<'a, T>);

/// The error step.
#[derive(Debug)]
pub struct InvalidTagText<'a, T: ?Sized>(&'a T);

impl<'a, T: ?Sized> TagText<'a, T> {
    /// Wraps a reference to the argument or to the value of the expression.
    pub const fn new(argument: &'a T) -> Self {
        Self(InvalidTagText(argument))
    }
}

impl<'a, T: ?Sized> Deref for TagText<'a, T> {
    type Target = InvalidTagText<'a, T>;

    fn deref(&self) -> &InvalidTagText<'a, T> {
        &self.0
    }
}

impl<T: Display + ?Sized> TagText<'_, T> {
    /// Returns the text that replaces `{argument}` in a template.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.0.to_string()
    }

    /// The same, for the companions.
    #[must_use]
    pub fn text_unchecked(&self) -> String {
        self.text()
    }
}

impl<T: AsRef<str> + ?Sized> TagText<'_, T> {
    /// Returns the tag.
    #[must_use]
    pub fn tag(&self) -> String {
        self.0.0.as_ref().to_owned()
    }

    /// The same, for the companions.
    #[must_use]
    pub fn tag_unchecked(&self) -> String {
        self.tag()
    }
}

impl<T: ?Sized> InvalidTagText<'_, T> {
    /// Requires the trait that is missing.
    #[must_use]
    pub const fn text(&self) -> String
    where
        Cache: CanFormatInTag<T>,
    {
        String::new()
    }

    /// Requires the trait that is missing.
    #[must_use]
    pub const fn tag(&self) -> String
    where
        Cache: CanTagWith<T>,
    {
        String::new()
    }

    /// Returns the substitute.
    #[must_use]
    pub const fn text_unchecked(&self) -> String {
        String::new()
    }

    /// Returns the substitute.
    #[must_use]
    pub const fn tag_unchecked(&self) -> String {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_any_type_are_tags() {
        let (name, id) = ("ada", 42);
        assert_eq!(
            (TagText::new(&name).text(), TagText::new(&id).text_unchecked()),
            ("ada".into(), "42".into())
        );
        assert_eq!(
            (TagText::new(&name).tag(), TagText::new("ada").tag_unchecked()),
            ("ada".into(), "ada".into())
        );
        assert_eq!(TagText::new(&String::from("a")).tag(), "a");
        assert_eq!(TagText::new(&std::sync::Arc::<str>::from("a")).tag(), "a");
        assert_eq!(TagText::new(&std::borrow::Cow::Borrowed("a")).tag(), "a");
    }
}
