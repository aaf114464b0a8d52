//! The tools of `bench/turns` make the set for `trunkline bench turns`. Their own tests are in Python.

use std::process::Command;

#[test]
#[expect(clippy::print_stderr, reason = "says why nothing was tested")]
fn the_tools_of_the_turn_set_pass_their_tests() {
    let numpy = Command::new("python3").args(["-c", "import numpy"]).output();
    if !numpy.is_ok_and(|output| output.status.success()) {
        eprintln!("no numpy: the tests of bench/turns are skipped");
        return;
    }
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/turns/test_turns.py");
    let output = Command::new("python3").args(["-B", tests]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
