//! The type with the companions of a free function, and the names that it shadows.

use super::{PLAIN, memo, rejects};

#[test]
fn the_type_with_the_companions_can_have_another_name() {
    let memo = memo("ttl = 60, companions = GetUser", PLAIN);
    assert_eq!(memo.companion_type.map(|option| option.value.to_string()).as_deref(), Some("GetUser"));
}

#[test]
fn a_crate_of_the_name_of_the_function_is_noticed() {
    for item in [
        "async fn time(id: u64) -> time::OffsetDateTime { body }",
        "async fn time(id: u64) -> u64 { time::macros::date!(1) }",
        "async fn time(id: u64) -> u64 { if id > 0 { f(time::Duration::ZERO) } }",
    ] {
        rejects("ttl = 60", item, "or give the type another name with `companions = Name`");
    }
    rejects("ttl = time::Duration::MINUTE", "async fn time() {}", "write `::time` for the crate");
    for item in [
        "async fn time(id: u64) -> ::time::OffsetDateTime { crate::time::Now }",
        "async fn time(id: u64) -> u64 { time::peek::<u8>(id); time::invalidate(id) }",
        "async fn time(id: u64) -> u64 { use ::time; time::Duration::ZERO }",
        "async fn time(id: u64) -> u64 { mod time { pub struct X; } time::X }",
    ] {
        memo("ttl = 60", item);
    }
    memo("ttl = 60, companions = Time", "async fn time() -> time::OffsetDateTime { body }");
}
