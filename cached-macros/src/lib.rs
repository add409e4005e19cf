//! The attribute macro of `cached-runtime`.

mod args;
mod errors;
mod expand;
mod item;
mod memo;

use proc_macro::TokenStream;

use crate::args::Args;
use crate::memo::Memo;

/// Makes an `async fn` remember its results.
///
/// ```
/// use cached_runtime::async_cached;
/// # struct Db;
/// # impl Db {
/// #     async fn find(&self, id: u64) -> Result<String, std::io::Error> {
/// #         Ok(format!("user {id}"))
/// #     }
/// # }
///
/// #[async_cached(ttl = 60, skip(db))]
/// async fn user(db: &Db, id: u64) -> Result<String, std::io::Error> {
///     db.find(id).await
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let db = Db;
/// user(&db, 42).await?; // as before
/// user(&db, 42).await?; // remembered
/// user::invalidate(42).await?; // and what a cache needs, beside it
/// assert_eq!(user::stats().computed, 1);
/// # Ok(())
/// # }
/// ```
///
/// It stands on free functions, functions inside of functions, methods, associated functions and methods of an
/// `impl Trait for Type`, also under `#[async_trait]`. The documentation of the crate `cached-runtime` tells what that means, with
/// examples that run.
///
/// # Options
///
/// One of `ttl` and `ttl_from` is required. Options are written once each, in any order.
///
/// | option | means | without it |
/// |---|---|---|
/// | `ttl` | how long a value is fresh: whole seconds, a duration in words, or an expression of type `Duration` | `ttl_from` |
/// | `ttl_from` | a function of the value that says how long it is fresh | `ttl` |
/// | `backend` | where values live: `"memory"`, `"redis"`, `"memcached"`, or an expression that names a `Store` | `"memory"` |
/// | `capacity` | how many values memory holds, for each instance of the function | 10 000 |
/// | `max_bytes` | how many bytes memory holds; together with `weigh`, in place of `capacity` | |
/// | `weigh` | a function of the key, a tuple, and the value that says how many bytes an entry counts | |
/// | `key` | what makes the key: expressions of the arguments | all arguments |
/// | `skip` | arguments that do not make the key; `skip(self)` may stand beside `key` | none |
/// | `name` | the namespace in shared stores | the path of the function |
/// | `version` | tells the values of one deployment from those of another | 1 |
/// | `cache_if` | a function of the value that says whether to remember it | always |
/// | `cache_err` | also remember an `Err`, for so long; the error must be `Clone` | it is not remembered |
/// | `cache_none` | also remember a `None`, for so long | it is not remembered |
/// | `stale_while_revalidate` | for so long after `ttl` a call gets the old value at once, while the next one is computed in the background | off |
/// | `stale_if_error` | for so long after `ttl` a call gets the old value if the function fails; then all get it at once, and one call a second tries again | off |
/// | `refresh_ahead` | compute the next value in the background before the end, by chance and in the last part of the lifetime: a fifth of it, or what is written | off |
/// | `jitter` | by which part lifetimes are shortened at the most, the same for one key on every machine | 0.1 in a shared store, 0 in memory |
/// | `timeout` | how long the function may take; then there is the old value, or an error: the function returns a `Result` whose error is `From<cached_runtime::Error>` | none |
/// | `tags` | groups of values that `invalidate_tag` ends together: templates of the arguments that make the key, or expressions that are a text | none |
/// | `tags_from` | a function of the value that returns more tags, as a `Vec<String>` | none |
/// | `single_flight` | how many computations of one key may run: `"fleet"`: one in all processes that share the store; `"process"`: one in each; `"off"`: any number | one in memory's process, or in the store's fleet |
/// | `detached` | the computation is a task of its own and survives its caller | the first caller computes |
/// | `codec` | how values look in shared stores: `"msgpack"`, `"json"` | `"msgpack"` |
/// | `handle` | a static by which the values of a method are reached: for the impl of a trait | |
/// | `associated` | the function stands in an `impl`, although it mentions neither `self` nor `Self` | |
/// | `crate` | where `cached-runtime` is, when it was renamed or is re-exported | `::cached_runtime` |
///
/// And how each is written:
///
/// ```text
/// ttl = 60    ttl = "1h30m"    ttl = config::MINUTE
/// ttl_from = |token: &Token| token.valid_for
/// backend = "redis"    backend = my_store()
/// capacity = 100_000
/// max_bytes = "64MiB", weigh = |key, value| (key.0.len() + value.len()) as u64
/// key = (id, x.to_bits())    key = (self.id, product)
/// skip(db, self)
/// name = "users"
/// version = 2
/// cache_if = |user: &User| user.active
/// cache_err = "5s"
/// cache_none = "30s"
/// stale_while_revalidate = "30s", stale_if_error = "1h"
/// refresh_ahead    refresh_ahead = 0.2
/// jitter = 0.1
/// timeout = "2s"
/// tags("user:{id}", "users", format!("{kind:?}"))
/// tags_from = |user: &User| vec![format!("team:{}", user.team)]
/// single_flight = "off"
/// detached
/// codec = "json"
/// handle = FIND
/// associated
/// crate = ::my_crate::cached_runtime
/// ```
///
/// Some of them together:
///
/// ```
/// use std::time::Duration;
///
/// use cached_runtime::async_cached;
///
/// #[derive(Clone)]
/// struct Token {
///     text: String,
///     valid_for: Duration,
/// }
///
/// #[async_cached(
///     ttl_from = |token: &Token| token.valid_for,
///     capacity = 100,
///     key = (user.trim(),),
///     cache_if = |token: &Token| !token.text.is_empty(),
///     cache_err = "5s",
///     detached,
/// )]
/// async fn token(user: String) -> Result<Token, String> {
///     match user.trim() {
///         "eve" => Err("nobody trusts her".to_owned()),
///         name => Ok(Token { text: format!("token of {name}"), valid_for: Duration::from_secs(300) }),
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// for user in ["ada", " ada ", "eve", "eve"] {
///     let _ = token(user.to_owned()).await;
/// }
/// assert_eq!((token::stats().computed, token::stats().hits), (2, 2));
/// # }
/// ```
///
/// A duration in words is made of `w`, `d`, `h`, `m`, `s` and `ms`, as in `"1h 30m"`; a size has the unit `B`, `kB`, `MB`,
/// `GB`, `KiB`, `MiB` or `GiB`.
///
/// # What is written beside the function
///
/// - Beside a free function `user`: a type `user` with `invalidate`, `expire`, `put`, `peek`, `lookup`, `refresh`,
///   `uncached`, `clear` and `stats`.
/// - Beside a method `find` that has a visibility: `find_cache`, `find_lookup`, `find_refresh` and `find_uncached`.
/// - In the impl of a trait: nothing.
#[proc_macro_attribute]
pub fn async_cached(args: TokenStream, input: TokenStream) -> TokenStream {
    memoize(args.into(), input.into()).into()
}

fn memoize(args: proc_macro2::TokenStream, input: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    match Memo::new(Args::parse(args), syn::parse2(input.clone())) {
        Ok(memo) => expand::expand(&memo),
        Err(errors) => {
            // The function stays, so that nothing else breaks.
            let mut output = input;
            output.extend(errors.into_compile_errors());
            output
        }
    }
}

#[cfg(test)]
mod snapshots;

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use quote::quote;

    use super::memoize;

    #[test]
    fn what_is_wrong_stays_as_it_was() {
        for item in [
            quote!(async fn f(x: &mut u64) { half = written + }),
            quote!(
                struct X;
            ),
            quote!(1 2 3),
        ] {
            let output = memoize(quote!(ttl = 60), item.clone()).to_string();
            assert!(output.starts_with(&item.to_string()), "{output}");
            assert_eq!(output.matches("compile_error").count(), 1, "{output}");
        }
    }

    #[test]
    fn bodies_are_moved_and_not_parsed() {
        let body: TokenStream = quote!({ let half = ; written + ( - ) });
        let output = memoize(quote!(ttl = 60), quote!(async fn f() #body)).to_string();
        assert_eq!(output.matches(&body.to_string()).count(), 1, "{output}");
    }
}
