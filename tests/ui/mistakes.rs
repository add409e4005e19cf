//! Compiler errors: one misuse of the attribute in each file, with the error next to it.
//!
//! `tests/run` runs this twice: with `--features store`, and without.

#[test]
fn each_misuse_is_one_error_at_the_wrong_tokens() {
    let files = if cfg!(feature = "store") { "mistakes/*.rs" } else { "without_store/*.rs" };
    trybuild::TestCases::new().compile_fail(files);
}
