//! Redis and Valkey.
#[derive(Debug)] pub struct Redis; #[derive(Debug)] pub struct RedisConfig;
