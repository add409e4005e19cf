#![deny(dead_code, unfulfilled_lint_expectations)]

use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn user(id: u64) -> u64 {
    id
}

// A companion is used, and not the function.
#[async_cached(ttl = 60)]
async fn looked_up(id: u64) -> u64 {
    id
}

#[async_cached(ttl = 60, skip(name))]
async fn looked_up_with_impl(id: u64, name: impl Into<String>) -> u64 {
    drop(name.into());
    id
}

#[async_cached(ttl = 60)]
#[expect(dead_code)]
async fn expected(id: u64) -> u64 {
    id
}

// Of the body.
#[async_cached(ttl = 60)]
#[expect(unused)]
async fn with_an_unused_variable(id: u64) -> u64 {
    let name = "Ada";
    id
}

struct Users;

impl Users {
    #[async_cached(ttl = 60, skip(self))]
    async fn find(&self, id: u64) -> u64 {
        id
    }

    #[async_cached(ttl = 60, associated)]
    async fn associated(id: u64) -> u64 {
        id
    }

    // With companions, because `pub` cannot be in the impl of a trait.
    #[async_cached(ttl = 60, skip(self))]
    pub async fn counted(&self, id: u64) -> u64 {
        id
    }

    // Reported as well beside cached methods.
    async fn plain(&self) {}
}

#[tokio::main]
async fn main() {
    looked_up::lookup(1).await;
    with_an_unused_variable(1).await;
    looked_up_with_impl::lookup(1, "name").await;
    Users.counted_lookup(1).await;
}
