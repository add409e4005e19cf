//! Names that options and backends have in other crates, frameworks and languages.

/// What to write instead of an option that other crates have. `None` for names that are not known from elsewhere.
pub(super) fn option(name: &str) -> Option<&'static str> {
    Some(match name {
        "time" | "time_to_live" | "timeToLive" | "ttl_secs" | "ttl_seconds" | "seconds" | "expires"
        | "expires_in" | "expire" | "expiry" | "expiration" | "lifespan" | "lifetime" | "max_age" => {
            "write `ttl = 60`"
        }
        "ttl_ms" | "ttl_millis" | "millis" => "write `ttl = \"500ms\"`",
        "time_to_idle" | "tti" | "idle" | "time_refresh" => {
            "a hit does not extend the lifetime of a value; write `ttl = 60`"
        }
        "size" | "maxsize" | "max_size" | "maxSize" | "max_entries" | "max_capacity" | "limit" => {
            "write `capacity = 10_000`"
        }
        "unbound" | "unbounded" => "a cache in memory always has a bound; write `capacity = 10_000`",
        "weigher" | "weight" => "write `weigh = |_, value| value.len() as u64`",
        "convert" | "key_fn" | "key_builder" | "key_generator" | "keyGenerator" | "cache_key" => {
            "write `key = (a, b.id)`"
        }
        "ignore" | "exclude" | "skip_args" => "write `skip(db, self)`",
        "noself" | "no_self" | "ignore_self" => "write `skip(self)`",
        "prefix" | "namespace" | "cache_prefix" | "cache_prefix_block" | "cache_name" | "cacheName"
        | "cache_names" | "cacheNames" => "write `name = \"users\"`",
        "condition" | "unless" | "skip_cache_func" => "write `cache_if = |value: &User| value.active`",
        "result" => "an `Err` is not cached unless there is `cache_err`; leave `result` out",
        "option" => "a `None` is not cached unless there is `cache_none`; leave `option` out",
        "map_error" => "a failing store is a cache miss, not an error; leave `map_error` out",
        "handle" => {
            "write `#[async_cached]` on the `impl` of the trait as well, and use the companions: `Users::find_cache()`"
        }
        "with_cached_flag" => {
            "the companion `lookup` returns where a value comes from; leave `with_cached_flag` out"
        }
        "result_fallback" | "fail_safe" => "write `stale_if_error = \"1h\"`",
        "swr" | "stale" => "write `stale_while_revalidate = \"30s\"`",
        "eager_refresh" | "early_refresh" | "refresh" | "xfetch" | "beta" => "write `refresh_ahead = 0.2`",
        "lock" | "sync" | "sync_writes" | "sync_lock" | "unsync_reads" | "coalesce" => {
            "concurrent calls with one key compute once by default; leave it out, or write `single_flight = \"off\"`"
        }
        "create" | "ty" => "the cache is created automatically; write `capacity = 10_000` for its size",
        "redis" | "valkey" => "write `backend = \"redis\"`",
        "memcached" | "memcache" => "write `backend = \"memcached\"`",
        "memory" | "in_memory" => "write `backend = \"memory\"`",
        "store" | "storage" | "cache" | "disk" => {
            "write `backend = \"redis\"`, or name a `Store`: `backend = my_store()`"
        }
        "serializer" | "format" | "encoding" => "write `codec = \"json\"`",
        _ => return None,
    })
}

/// What to write instead of a backend that other crates have, or instead of the address of a server.
pub(super) fn backend(name: &str) -> Option<&'static str> {
    if let Some((scheme, _)) = name.split_once("://") {
        return match scheme {
            "redis" | "rediss" | "valkey" | "valkeys" | "unix" => {
                Some("write `backend = \"redis\"`, and configure the address with `CACHED_REDIS_URL`")
            }
            "memcached" | "memcache" => Some(
                "write `backend = \"memcached\"`, and configure the address with `CACHED_MEMCACHED_SERVERS`",
            ),
            _ => None,
        };
    }
    Some(match name {
        "valkey" | "keydb" | "dragonfly" => {
            "write `backend = \"redis\"`, which is for all servers with the protocol of Redis"
        }
        "in-memory" | "in_memory" | "inmemory" | "inmem" | "mem" | "local" | "process" | "lru" => {
            "write `backend = \"memory\"`"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{backend, option};
    use crate::args::{Args, OPTIONS};

    /// What stands between backquotes in the hints above, and is an option, is accepted.
    #[test]
    fn what_the_hints_say_can_be_written() {
        let source = include_str!("elsewhere.rs").split("#[cfg(test)]").next().unwrap();
        let code = source.split('`').skip(1).step_by(2).map(|code| code.replace("\\\"", "\""));
        let mut options = 0;
        for option in code.filter(|code| !code.starts_with('#') && (code.contains('=') || code.contains('(')))
        {
            let args = Args::parse(option.parse().unwrap());
            let is_companion = option.contains("::");
            assert!(is_companion || args.errors.is_empty(), "{option}: {:?}", args.errors);
            options += 1;
        }
        assert!(options >= 20, "{options}");
    }

    #[test]
    fn names_of_our_own_are_not_from_elsewhere() {
        for (name, _) in OPTIONS {
            assert_eq!(option(name), None, "{name}");
        }
        for name in ["memory", "redis", "memcached", "rediss", "http://localhost"] {
            assert_eq!(backend(name), None, "{name}");
        }
    }
}
