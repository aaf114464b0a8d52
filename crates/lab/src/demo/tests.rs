//! Which folder a demo uses.

use super::*;

#[test]
fn what_an_earlier_demo_has_left_is_never_used_again() {
    let used = ["data/demo", "data/demo-2", "data/demo-4"];
    let found = |wanted: &str| unused(Path::new(wanted), |folder| used.iter().any(|used| Path::new(used) == folder));
    assert_eq!(found("data/demo"), Path::new("data/demo-3"));
    assert_eq!(found("data/demo-3"), Path::new("data/demo-3"));
    assert_eq!(found("mine"), Path::new("mine"));
    assert_eq!(unused(Path::new("demo"), |folder| folder == Path::new("demo")), Path::new("demo-2"));
}
