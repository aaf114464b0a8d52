//! What the rules of fields have in common: validators of `garde` whose words follow the name of the field. A rule
//! stands on its field, as `#[garde(custom(between(10..=60)))]`; inside of `inner(..)` it is for a value that is set.

use super::secret::Secret;
use garde::{Error, Result};
use std::fmt::Display;
use std::ops::RangeInclusive;

/// A value that `is_right` takes.
pub(super) fn fits<T: ?Sized, C>(
    is_right: impl FnOnce(&T) -> bool, words: impl Display,
) -> impl FnOnce(&T, &C) -> Result {
    move |value, _| if is_right(value) { Ok(()) } else { Err(Error::new(words)) }
}

/// A secret whose text is right.
pub(super) fn secret_fits<C>(
    is_right: impl FnOnce(&str) -> bool, words: impl Display,
) -> impl FnOnce(&Secret, &C) -> Result {
    fits(|secret: &Secret| is_right(secret.expose()), words)
}

/// A text that is not too long.
pub(super) fn chars<C>(max: usize) -> impl FnOnce(&str, &C) -> Result {
    fits(move |text: &str| text.chars().count() <= max, format!("must have at most {max} characters"))
}

/// A secret whose text is not too long.
pub(super) fn secret_chars<C>(max: usize) -> impl FnOnce(&Secret, &C) -> Result {
    secret_fits(move |text: &str| text.chars().count() <= max, format!("must have at most {max} characters"))
}

/// A text that another type can be read from.
pub(super) fn parses<T, C>(
    parse: impl FnOnce(&str) -> Option<T>, words: &'static str,
) -> impl FnOnce(&str, &C) -> Result {
    fits(|text: &str| parse(text).is_some(), words)
}

/// A number in the range.
pub(super) fn between<T: PartialOrd + Display, C>(range: RangeInclusive<T>) -> impl FnOnce(&T, &C) -> Result {
    move |value, _| {
        let words = || format!("must be between {} and {}", range.start(), range.end());
        if range.contains(value) { Ok(()) } else { Err(Error::new(words())) }
    }
}

/// A list that is not too long.
pub(super) fn at_most<T, C>(max: usize) -> impl FnOnce(&[T], &C) -> Result {
    fits(move |list: &[T]| list.len() <= max, format!("must have at most {max} entries"))
}

/// A list without a wrong entry; the words are about the first one.
pub(super) fn each<C>(
    is_right: impl Fn(&str) -> bool, words: impl FnOnce(&str) -> String,
) -> impl FnOnce(&[String], &C) -> Result {
    move |list, _| list.iter().find(|one| !is_right(one)).map_or(Ok(()), |bad| Err(Error::new(words(bad))))
}

/// A list of events out of those that there are.
pub(super) fn events<C>(known: &'static [&'static str]) -> impl FnOnce(&[String], &C) -> Result {
    each(|event| known.contains(&event), |bad| format!("{bad} is not an event; allowed are {}", known.join(", ")))
}

/// At least one character other than white space.
pub(super) fn filled<C>() -> impl FnOnce(&str, &C) -> Result {
    fits(|text: &str| !text.trim().is_empty(), "must not be empty")
}

/// What is set if and only if the other is.
pub(super) fn set_with<A, B, C>(other: &Option<B>, name: &str) -> impl FnOnce(&Option<A>, &C) -> Result {
    fits(|one: &Option<A>| one.is_some() == other.is_some(), format!("must be set together with {name}"))
}

/// What is set only if the other is.
pub(super) fn set_only_with<A, B, C>(other: &Option<B>, name: &str) -> impl FnOnce(&Option<A>, &C) -> Result {
    fits(|one: &Option<A>| one.is_none() || other.is_some(), format!("must be set together with {name}"))
}

/// The entries of a list that stand before one of them. An entry is known by its place, because another may be equal.
pub(super) fn before<'a, T>(list: &'a [T], one: &'a T) -> impl Iterator<Item = &'a T> {
    list.iter().take_while(move |other| !std::ptr::eq(*other, one))
}

/// At least one character other than white space, and at most `chars_max` characters.
pub(super) fn is_text(text: &str, chars_max: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= chars_max
}

/// One line of visible ASCII, as the value of a header.
pub(super) fn is_header_value(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// An address of HTTP; whether the server may connect to it is not decided here.
pub(super) fn is_http_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}
