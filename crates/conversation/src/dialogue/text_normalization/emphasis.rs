//! Which `*` of a line are emphasis, and which are the star key of a phone: `*word*` is marked, `*21#` is dialled.

/// A run of stars, in octets of its line.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: usize,
    length: usize,
    is_paired: bool,
}

impl Run {
    fn end(&self) -> usize {
        self.start + self.length
    }
}

/// Where the keys of a line's star and hash codes are: octets of the stars that are said.
pub(super) fn star_keys(line: &str) -> Vec<usize> {
    if !line.contains('*') || !line.contains(|c: char| c.is_ascii_digit()) {
        return Vec::new();
    }
    let runs = paired(line);
    let keys = runs.iter().enumerate().filter(|(at, run)| !run.is_paired && is_key(line, &runs, *at));
    keys.map(|(_, run)| run.start).collect()
}

/// The runs of stars, each with whether it opens or closes emphasis that has both of its ends in the line.
fn paired(line: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(start) = line[at..].find('*').map(|found| at + found) {
        let length = line[start..].len() - line[start..].trim_start_matches('*').len();
        at = start + length;
        let before = line[..start].chars().next_back();
        let after = line[at..].chars().next();
        runs.push(Run { start, length, is_paired: false });
        let index = runs.len() - 1;
        if closes(before, after) && close(&mut runs, &mut open, index) {
            continue;
        }
        if opens(before, after) && open.len() < OPEN_MAX {
            open.push(index);
        }
    }
    runs
}

/// Runs that wait for their other end, at most.
const OPEN_MAX: usize = 32;

fn opens(before: Option<char>, after: Option<char>) -> bool {
    before.is_none_or(|c| !c.is_alphanumeric() && c != '#') && after.is_some_and(|c| !c.is_whitespace())
}

fn closes(before: Option<char>, after: Option<char>) -> bool {
    before.is_some_and(|c| !c.is_whitespace()) && after.is_none_or(|c| !c.is_alphanumeric() && c != '#')
}

/// Finds the other end of a run that may close: one of the same length, else shorter ones that make it up.
fn close(runs: &mut [Run], open: &mut Vec<usize>, index: usize) -> bool {
    let length = runs[index].length;
    if let Some(at) = open.iter().rposition(|other| runs[*other].length == length) {
        runs[open[at]].is_paired = true;
        runs[index].is_paired = true;
        open.truncate(at);
        return true;
    }
    let mut left = length;
    while let Some(last) = open.last().copied().filter(|last| runs[*last].length <= left) {
        left -= runs[last].length;
        runs[last].is_paired = true;
        runs[index].is_paired = true;
        open.pop();
    }
    runs[index].is_paired
}

/// Whether a run without its other end belongs to a code such as `*67`, `*21#` and `**21*0612345678#`.
fn is_key(line: &str, runs: &[Run], index: usize) -> bool {
    let is_code = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#');
    let run = &runs[index];
    let from = runs[..index].iter().rev().find(|other| other.is_paired).map_or(0, Run::end);
    let until = runs[index..].iter().find(|other| other.is_paired).map_or(line.len(), |other| other.start);
    let start = line[from..run.start]
        .rfind(|c| !is_code(c))
        .map_or(from, |at| from + at + line[from + at..].chars().next().map_or(1, char::len_utf8));
    let end = line[run.end()..until].find(|c| !is_code(c)).map_or(until, |at| run.end() + at);
    let code = &line[start..end];
    let before = line[..start].chars().next_back();
    let mut behind = line[end..].chars();
    let (next, second) = (behind.next(), behind.next());
    let goes_on = next.is_some_and(char::is_alphabetic)
        || matches!(next, Some('.' | ',')) && second.is_some_and(|c| c.is_ascii_digit());
    let signs = code.chars().filter(|c| !c.is_ascii_digit()).count();
    code.starts_with(['*', '#'])
        && code.contains(|c: char| c.is_ascii_digit())
        && !before.is_some_and(char::is_alphanumeric)
        && !goes_on
        // "**2" is the beginning of emphasis that goes on in another sentence.
        && (run.length == 1 || signs > run.length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_beside_digits_are_keys_unless_they_are_a_pair() {
        for (line, keys) in [
            ("Press *1 or *21#.", vec![6, 12]),
            ("**Dial *67**", vec![7]),
            ("*1 for *sales*, `*2`", vec![0, 17]),
            ("(*1), \"*2\"", vec![1, 7]),
            ("*#06# and *21*0612345678#", vec![0, 10, 13]),
            ("**21*0612345678#", vec![0, 4]),
            ("*21* **2** ***3*** *1.5 kg*, 5*3", vec![]),
            ("**2 items, 50*, a*b, *1st", vec![]),
            ("*word* 1", vec![]),
        ] {
            assert_eq!(star_keys(line), keys, "{line}");
        }
    }
}
