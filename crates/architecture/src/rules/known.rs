//! Known, to be mended: today's offenders by name. A new one fails, a worse one fails, and so does a mended one that is
//! still listed.

use super::Offender;
use std::fmt::Write as _;

/// The list.
#[derive(Debug, Default)]
pub struct Known(Vec<Offender>);

const HEADER: &str = "\
# Known, to be mended: what is beyond its limit today. The list only shrinks: an entry that is no longer needed fails
# the rules. A line has the rule, the count and the name. `cargo run -p trunkline-architecture -- known` prints the list
# as the code is; use it when files move, and read the difference.
";

impl Known {
    /// Reads the list: a rule, a count and a name a line.
    ///
    /// # Errors
    ///
    /// A line has another form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let entries = lines.map(|line| {
            let mut words = line.split_whitespace();
            let (rule, count, name) = (words.next(), words.next().and_then(|count| count.parse().ok()), words.next());
            match (rule, count, name) {
                (Some(rule), Some(count), Some(name)) => {
                    Ok(Offender { rule: rule.to_owned(), name: name.to_owned(), count })
                }
                _ => Err(format!("known.txt: {line:?} is not: rule count name")),
            }
        });
        Ok(Self(entries.collect::<Result<_, _>>()?))
    }

    /// The list of these offenders, as text.
    ///
    /// # Errors
    ///
    /// None: a string takes every text.
    pub fn print(offenders: &[Offender]) -> Result<String, std::fmt::Error> {
        let mut text = HEADER.to_owned();
        let mut rule = "";
        for offender in offenders {
            if rule != offender.rule {
                text.push('\n');
                rule = &offender.rule;
            }
            writeln!(text, "{rule} {} {}", offender.count, offender.name)?;
        }
        Ok(text)
    }
}

/// For one rule, the difference between what is beyond its limit and what is known to be.
#[must_use]
pub fn compare(offenders: &[Offender], known: &Known, rule: &str) -> Vec<String> {
    let same = |a: &&Offender, b: &Offender| a.rule == b.rule && a.name == b.name;
    let mut faults = vec![];
    for offender in offenders.iter().filter(|offender| offender.rule == rule) {
        let Offender { name, count, .. } = offender;
        match known.0.iter().find(|entry| same(entry, offender)) {
            None => faults.push(format!("{name} has {count}, which is beyond the limit")),
            Some(entry) if entry.count < *count => {
                faults.push(format!("{name} has {count}, and had {} before", entry.count));
            }
            Some(_) => {}
        }
    }
    for entry in known.0.iter().filter(|entry| entry.rule == rule) {
        if !offenders.iter().any(|offender| same(&offender, entry)) {
            faults.push(format!("{} is mended or has moved: take it off known.txt", entry.name));
        }
    }
    faults
}
