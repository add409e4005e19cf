//! Options: which are accepted, and the errors for those that are not.

use std::time::Duration;

use quote::ToTokens as _;

use super::{PLAIN, memo, names, parse, rejects};
use crate::args::{Amount, Backend, Opt};
use crate::item::Body;
use crate::memo::{Bound, Companions, Ttl};

#[test]
fn a_plain_function_needs_only_a_ttl() {
    let memo = memo("ttl = 60", "pub(crate) async fn user(db: &Db, id: u64) -> Result<User, Error> { body }");
    assert!(
        matches!(&memo.ttl, Ttl::Fixed(ttl) if matches!(ttl.value, Amount::Known(time) if time.as_secs() == 60))
    );
    assert!(matches!(memo.backend.value, Backend::Memory));
    assert!(matches!(memo.bound, Bound::Default));
    assert_eq!(memo.companions, Companions::Type);
    assert!(memo.krate.is_none());
    assert_eq!(memo.item.output.to_token_stream().to_string(), "Result < User , Error >");
    assert_eq!(names(memo.key_params()), ["db", "id"]);
    assert!(matches!(&memo.body, Body::Async(block) if block.to_string() == "{ body }"));
}

#[test]
fn every_option_is_parsed() {
    memo(
        "ttl = 60, backend = \"memory\", max_bytes = \"64MiB\", weigh = |k, v| k.len() + v.len(), name = \"users\",
         version = 2, cache_if = |value: &User| value.active, cache_err = \"5s\", cache_none = 30,
         single_flight = \"process\", key = (id, name.len(),), crate = ::renamed,",
        "async fn f(id: u64, name: String) -> u64 { 1 }",
    );
    memo(
        "ttl_from = |value: &Token| value.expires_in, backend = store(), codec = \"json\", skip(name), \
         detached",
        "async fn f(id: u64, name: String) -> u64 { 1 }",
    );
    memo("ttl = MINUTE * 5, capacity = 1_000, detached, associated", PLAIN);
    memo("ttl = 5, detached = \"while_awaited\", version = 2", "async fn f(id: u64) -> u64 { 1 }");
    memo("ttl = Duration::from_secs(5), capacity = CAPACITY, single_flight = \"off\", version = 0x10", PLAIN);
    memo("key = \"a\".len(), ttl = \"1h 30m\", backend = (redis)", PLAIN);
}

#[test]
fn arithmetic_of_literals_is_a_number_of_seconds() {
    for (ttl, seconds) in [("5 * 60", 300), ("24 * (60 * 60)", 86_400), ("60u64 + 60 / 2 - 1", 89)] {
        let memo = memo(&format!("ttl = {ttl}"), PLAIN);
        let is_expected =
            |ttl: &Opt<Amount<Duration>>| matches!(ttl.value, Amount::Known(ttl) if ttl.as_secs() == seconds);
        assert!(matches!(&memo.ttl, Ttl::Fixed(ttl) if is_expected(ttl)), "{ttl}");
    }
}

#[test]
fn invalid_durations_are_rejected() {
    for (option, part) in [
        ("ttl = 60s", "in quotes: `ttl = \"60s\"`"),
        ("ttl = 1h30m", "in quotes: `ttl = \"1h30m\"`"),
        ("ttl = 1_000ms", "in quotes: `ttl = \"1000ms\"`"),
        ("ttl = 1.5h", "in quotes: `ttl = \"1.5h\"`"),
        ("ttl = 1.5", "write `\"1.5s\"`"),
        ("ttl = 60x", "`x` is not a unit of time"),
        ("ttl = -1", "cannot be negative; write `ttl = 60`"),
        ("ttl = 0", "a lifetime of zero"),
        ("ttl = \"0s\"", "a lifetime of zero"),
        ("ttl = \"5\"", "`5` needs a unit"),
        ("ttl = \"\"", "expected a number with a unit"),
        ("ttl = true", "expected a number, a string or an expression; write `ttl = 60`"),
        ("ttl = 99999999999999999999", "too large"),
        ("ttl = 99999999999", "584 years"),
        ("ttl = 60 - 60", "a lifetime of zero"),
        ("ttl = 1 - 2", "does not fit into a `u64`"),
        ("ttl = 99999999999 * 99999999999", "does not fit into a `u64`"),
        ("ttl = 5 * 60 / 0", "does not fit into a `u64`"),
        ("ttl", "`ttl` needs a value; write `ttl = 60`"),
        ("ttl =", "`ttl` needs a value; write `ttl = 60`"),
        ("ttl: 60", "expected `=`; write `ttl = 60`"),
        ("ttl(60)", "expected `=`; write `ttl = 60`"),
        ("ttl == 60", "expected `=`; write `ttl = 60`"),
        ("ttl = *", "write `ttl = 60`"),
        ("ttl = 60 60", "expected `,` or the end"),
        ("ttl = 60; version = 2", "expected `,` or the end"),
        ("60", "write `ttl = 60` if"),
        ("\"60s\"", "write `ttl = \"60s\"` if"),
        ("= 60", "as in `ttl = 60`"),
        ("", "`ttl` is missing; write how long a value is fresh: `ttl = 60`"),
        ("version = 2", "`ttl` is missing; write how long a value is fresh: `ttl = 60`"),
    ] {
        rejects(option, PLAIN, part);
    }
}

#[test]
fn names_from_elsewhere_suggest_an_option() {
    for (option, part) in [
        ("convert = 60", "unknown option `convert`; write `key = (a, b.id)` ("),
        ("time = 60", "unknown option `time`; write `ttl = 60` ("),
        ("result = true", "leave `result` out"),
        ("noself = true", "write `skip(self)`"),
        ("redis = true", "write `backend = \"redis\"`"),
        ("backend = \"valkey\"", "write `backend = \"redis\"`"),
        ("backend = \"in-memory\"", "write `backend = \"memory\"`"),
        ("backend = \"redis://localhost\"", "configure the address with `CACHED_REDIS_URL`"),
        ("key = id, lang", "put the parts of the key into parentheses: `key = (id, lang)`"),
        ("key = id.0, lang, region, version = 2", "parentheses: `key = (id.0, lang, region)`"),
    ] {
        rejects(&format!("ttl = 60, {option}"), PLAIN, part);
    }
}

#[test]
fn invalid_options_are_rejected() {
    for (option, part) in [
        ("tll = 60", "unknown option `tll`; did you mean `ttl`? (the documentation of `async_cached`"),
        ("color = 60", "unknown option `color`; the nearest are "),
        ("version = 2, lang", "unknown option `lang`"),
        ("tags(\"team:{value}\")", "write `tags_from = |value: &User| vec![...]`"),
        ("version = 2 backend = store()", "expected `,` before the next option"),
        ("version = 2 detached", "expected `,` before the next option"),
        ("ttl = 60", "`ttl` is given twice"),
        ("ttl_from = |value: &u64| MINUTE", "`ttl` and `ttl_from` both set"),
        ("ttl_from = 5", "`ttl_from` takes a function of the value"),
        ("near = \"5s\"", "`near` is not available yet"),
        ("tags", "in parentheses: `tags(\"user:{id}\", \"users\")`"),
        ("tags = \"users\"", "in parentheses: `tags("),
        ("tags()", "has no tags"),
        ("tags(\"\")", "a tag cannot be empty"),
        ("tags(5)", "a tag is a string"),
        ("tags(\"user:{ide}\")", "`{ide}` is not an argument in the key; did you mean `{id}`?"),
        ("tags(\"user:{x}\")", "`{x}` is not an argument in the key; the key has `{id}`"),
        ("tags(\"user:{id:?}\")", "`{id:?}` has a format specifier"),
        ("tags(\"user:{id\")", "`{id` has no closing `}`"),
        ("skip(id), tags(\"user:{id}\")", "`{id}` is not part of the key"),
        ("skip(id), tags(\"user:{x}\")", "`{x}` is not an argument in the key; the key has no arguments"),
        ("skip(id), tags(format!(\"user:{id}\"))", "`id` is not part of the key"),
        ("tags_from = \"users\"", "`tags_from` takes a function of the value"),
        ("refresh_ahead = 2", "a fraction of the lifetime as a literal from 0 to 1"),
        ("refresh_ahead = 0", "leave `refresh_ahead` out to disable it"),
        ("refresh_ahead = \"1s\"", "a fraction of the lifetime as a literal from 0 to 1"),
        ("jitter = 1.1", "a fraction of the lifetime as a literal from 0 to 1"),
        ("jitter = -0.1", "a fraction of the lifetime as a literal from 0 to 1"),
        ("jitter", "`jitter` needs a value"),
        ("timeout = 0", "a timeout of zero fails every computation; write at least `\"1ms\"`"),
        ("max_concurrent = 0", "write at least 1"),
        ("max_concurrent = \"16\"", "write `max_concurrent = 16`"),
        ("stale_if_error = \"0s\"", "zero is the same as leaving this option out"),
        ("cache_err = 0", "a lifetime of zero"),
        ("stale_while_revalidate = 30s", "in quotes: `stale_while_revalidate = \"30s\"`"),
        ("stale_if_error", "`stale_if_error` needs a value"),
        ("single_flight = \"fleet\"", "`single_flight = \"fleet\"` needs a store"),
        ("single_flight = off", "in quotes: `single_flight = \"off\"`"),
        ("single_flight = \"of\"", "did you mean `\"off\"`?"),
        ("single_flight = 1", "write one of `\"fleet\"`, `\"process\"` or `\"off\"`"),
        (
            "backend = \"rediss\"",
            "did you mean `\"redis\"`? (there are `\"memory\"`, `\"shared\"`, `\"redis\"` and `\"memcached\"`)",
        ),
        ("backend = redis", "in quotes: `backend = \"redis\"`"),
        ("backend = 5", "write one of"),
        ("capacity = 0", "at least 1"),
        ("capacity = \"10k\"", "write `capacity = 10_000`"),
        ("capacity = 10k", "write `capacity = 10_000`"),
        ("max_bytes = \"64MiB\"", "add `weigh = |key, value| ...`"),
        ("max_bytes = 64MiB, weigh = |k, v| 1", "in quotes: `max_bytes = \"64MiB\"`"),
        ("max_bytes = \"64mb\", weigh = |k, v| 1", "write `MB`"),
        (
            "weigh = 5, max_bytes = 5",
            "a function of the key and the value; write `weigh = |_, value| value.len() as u64`",
        ),
        ("weigh = |k, v| 1", "add `max_bytes = \"64MiB\"`"),
        ("weigh = |k, v| 1, capacity = 5", "add `max_bytes = \"64MiB\"`"),
        ("capacity = 5, max_bytes = \"1MiB\", weigh = |k, v| 1", "leave one of them out"),
        (
            "backend = \"redis\", capacity = 5",
            "`capacity` limits the values in memory, which `backend = \"memory\"` and `\"shared\"` have",
        ),
        ("backend = \"redis\", max_bytes = \"1MiB\", weigh = |k, v| 1", "leave `max_bytes` out"),
        ("backend = \"redis\", near = 5, capacity = 5", "`near` is not available yet"),
        ("codec = \"json\"", "values in memory are not encoded"),
        ("backend = \"memory\", codec = \"json\"", "values in memory are not encoded"),
        ("backend = \"redis\", codec = \"jsn\"", "did you mean `\"json\"`?"),
        ("name = \"\"", "a name cannot be empty"),
        ("name = \"a b\"", "a name cannot contain ` `"),
        ("name = \"{a}\"", "a name cannot contain `{`"),
        ("name = users", "a name is a string"),
        ("version = \"2\"", "write `version = 2`"),
        ("version = 4294967296", "write `version = 2`"),
        ("version = VERSION", "write `version = 2`"),
        ("detached = true", "write `detached` alone"),
        ("detached = 5", "write one of `\"while_awaited\"`"),
        ("detached = while_awaited", "in quotes: `detached = \"while_awaited\"`"),
        ("detached = \"while_waited\"", "did you mean `\"while_awaited\"`?"),
        ("detached(\"while_awaited\")", "write `detached` alone"),
        ("detached = false", "leave `detached` out"),
        ("associated(true)", "write `associated` alone"),
        ("crate = \"path\"", "without quotes"),
        ("crate = 5", "without quotes"),
        ("handle = USERS", "`Users::find_cache()`"),
        ("key = \"{id}\"", "all calls would share this key"),
        ("key = (id,), skip(id)", "leave one of them out"),
        ("skip(id), key = id", "leave one of them out"),
        ("skip", "in parentheses: `skip(db, self)`"),
        ("skip = id", "in parentheses: `skip(db, self)`"),
        ("skip()", "leaves no parameter out"),
        ("skip(&id)", "takes names of parameters only"),
        ("skip(id.0)", "write `skip(id)`"),
        ("skip(id, id)", "`id` is listed twice"),
        ("skip(ide)", "`ide` is not a parameter; did you mean `id`? (the only parameter is `id`)"),
        ("skip(self)", "`self` is not a parameter (the only parameter is `id`)"),
    ] {
        rejects(&format!("ttl = 60, {option}"), PLAIN, part);
    }
}

#[test]
fn all_errors_are_reported_at_once() {
    let errors = parse(
        "ttl = 60s, weigh = |k, v| , tll = 5, backend = \"redi\", capacity = 0, skip(x, 5)",
        "fn f(id: &mut u64) -> &str { \"\" }",
    );
    let errors = errors.err().unwrap();
    let parts = [
        "\"60s\"",
        "weigh",
        "tll",
        "redi",
        "zero entries",
        "names of parameters only",
        "would be lost",
        "async fn",
    ];
    assert_eq!(errors.len(), parts.len(), "{errors:#?}");
    for (error, part) in errors.iter().zip(parts) {
        assert!(error.contains(part), "{part}: {error}");
    }
}
