//! Memcached.
#[derive(Debug)] pub struct Memcached; #[derive(Debug)] pub struct MemcachedConfig;
