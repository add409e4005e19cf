//! One mistake a file: what the compiler says about it.

#[test]
fn every_mistake_is_told_once_and_where_it_is() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
