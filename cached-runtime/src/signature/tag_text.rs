//! How arguments become the text of a tag.
//!
//! As with the parts of a key, the type decides which method is meant, and what is wrong is said of the function and
//! not again of each of its companions.
#![allow(clippy::unused_self, reason = "Rust finds these methods by what they are called on")]

use std::fmt::Display;
use std::ops::Deref;

use super::key_parts::Cache;

/// What spells a `T` in a template; for messages.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be part of a tag template",
    label = "an argument in a template must be `Display`",
    note = "implement `Display`, or write an expression, as in `tags(format!(\"user:{{}}\", user.id))`"
)]
pub trait Spells<T: ?Sized> {}

/// What takes a `T` for a tag; for messages.
#[diagnostic::on_unimplemented(
    message = "`{T}` is not a tag",
    label = "a tag must be a string: `AsRef<str>`",
    note = "convert it to a string, as in `tags(format!(\"user:{{}}\", user.id))`"
)]
pub trait Tags<T: ?Sized> {}

#[diagnostic::do_not_recommend]
impl<T: Display + ?Sized> Spells<T> for Cache {}

#[diagnostic::do_not_recommend]
impl<T: AsRef<str> + ?Sized> Tags<T> for Cache {}

/// An argument, or an expression, on its way to its text: `TagText::new(&argument).text()`.
#[derive(Debug)]
pub struct TagText<'a, T: ?Sized>(Unspelled<'a, T>);

/// One that has no text.
#[derive(Debug)]
pub struct Unspelled<'a, T: ?Sized>(&'a T);

impl<'a, T: ?Sized> TagText<'a, T> {
    /// The argument.
    pub const fn new(argument: &'a T) -> Self {
        Self(Unspelled(argument))
    }
}

impl<'a, T: ?Sized> Deref for TagText<'a, T> {
    type Target = Unspelled<'a, T>;

    fn deref(&self) -> &Unspelled<'a, T> {
        &self.0
    }
}

impl<T: Display + ?Sized> TagText<'_, T> {
    /// What stands for `{argument}` in a template.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.0.to_string()
    }

    /// The same in a companion.
    #[must_use]
    pub fn text_again(&self) -> String {
        self.text()
    }
}

impl<T: AsRef<str> + ?Sized> TagText<'_, T> {
    /// The tag that an expression is.
    #[must_use]
    pub fn tag(&self) -> String {
        self.0.0.as_ref().to_owned()
    }

    /// The same in a companion.
    #[must_use]
    pub fn tag_again(&self) -> String {
        self.tag()
    }
}

impl<T: ?Sized> Unspelled<'_, T> {
    /// Asks for what is missing.
    #[must_use]
    pub const fn text(&self) -> String
    where
        Cache: Spells<T>,
    {
        String::new()
    }

    /// Asks for what is missing.
    #[must_use]
    pub const fn tag(&self) -> String
    where
        Cache: Tags<T>,
    {
        String::new()
    }

    /// Asks for nothing.
    #[must_use]
    pub const fn text_again(&self) -> String {
        String::new()
    }

    /// Asks for nothing.
    #[must_use]
    pub const fn tag_again(&self) -> String {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_has_a_text_can_be_a_tag() {
        let (name, id) = ("ada", 42);
        assert_eq!((TagText::new(&name).text(), TagText::new(&id).text_again()), ("ada".into(), "42".into()));
        assert_eq!(
            (TagText::new(&name).tag(), TagText::new("ada").tag_again()),
            ("ada".into(), "ada".into())
        );
        assert_eq!(TagText::new(&String::from("a")).tag(), "a");
        assert_eq!(TagText::new(&std::sync::Arc::<str>::from("a")).tag(), "a");
        assert_eq!(TagText::new(&std::borrow::Cow::Borrowed("a")).tag(), "a");
    }
}
