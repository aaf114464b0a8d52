//! How the program is linked. Functions of the same code are one, such as what drops a value in each crate that knows its type;
//! and the table of addresses that the loader fills in is packed.

fn main() {
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let set = |name: &str| std::env::var(name).unwrap_or_default();
    // Where rustc links with its own lld; another linker of the user's may not know these.
    let is_own = set("TARGET") == "x86_64-unknown-linux-gnu" && !set("CARGO_ENCODED_RUSTFLAGS").contains("link");
    if is_own && set("OPT_LEVEL") != "0" {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
