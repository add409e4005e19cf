//! One mistake a file: what the compiler says about it.
//!
//! Run it twice, as `tests/run` does: with `--features store`, and without.

#[test]
fn every_mistake_is_told_once_and_where_it_is() {
    let files = if cfg!(feature = "store") { "mistakes/*.rs" } else { "without_store/*.rs" };
    trybuild::TestCases::new().compile_fail(files);
}
