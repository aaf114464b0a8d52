//! Tables of the languages: data, one file each.

use super::language::{Abbreviation, Currency, Place, Scale, Unit};

pub(super) mod de;
pub(super) mod en;
pub(super) mod es;
pub(super) mod fr;
pub(super) mod it;
pub(super) mod nl;
pub(super) mod pt;

const fn currency(
    signs: &'static [&'static str], one: &'static str, many: &'static str, cent: (&'static str, &'static str),
) -> Currency {
    Currency { signs, one, many, cent }
}

const fn scale(written: &'static [&'static str], one: &'static str, many: &'static str) -> Scale {
    Scale { written, one, many }
}

const fn unit(written: &'static [&'static str], one: &'static str, many: &'static str) -> Unit {
    Unit { written, one, many }
}

const fn closing(written: &'static str, long: &'static str) -> Abbreviation {
    (written, long, Place::Closing)
}

const fn anywhere(written: &'static str, long: &'static str) -> Abbreviation {
    (written, long, Place::Anywhere)
}
