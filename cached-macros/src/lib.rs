//! The attribute macro of `cached-runtime`.
//!
//! The attribute is parsed by `args`, the function by `item`; `memo` checks the two together, and `expand` generates
//! the code. Errors are collected in `errors` on the way, so that one compilation reports all of them.

mod args;
mod errors;
mod expand;
mod item;
mod memo;

use proc_macro::TokenStream;

use crate::args::Args;
use crate::item::{ImplBlock, Source};
use crate::memo::{ImplMemo, Memo};

/// Caches the results of an `async fn`.
///
/// The signature of the function and its callers stay as they are. The options say how long a value is fresh, what
/// the key is, and where values are stored.
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
/// user(&db, 42).await?; // computed
/// user(&db, 42).await?; // cached
/// assert_eq!(user::stats().computed, 1);
/// user::invalidate(42).await?; // one of the companions
/// # Ok(())
/// # }
/// ```
///
/// The attribute can be applied to free functions, functions in functions, methods, associated functions, and methods in
/// an `impl Trait for Type` as well as to that impl, above or below `#[async_trait]`. The documentation of the crate
/// `cached-runtime` explains the semantics, with examples.
///
/// # Options
///
/// Either `ttl` or `ttl_from` is required. Each option can be given once, in any order.
///
/// | option | example | meaning | default |
/// |---|---|---|---|
/// | **Lifetime** | | | |
/// | `ttl` | `ttl = 60` | How long a value is fresh: a number of seconds, a duration string, or an expression of type `Duration`. | |
/// | `ttl_from` | `ttl_from = \|token: &Token\| token.valid_for` | How long a value is fresh, as a function of the value. Replaces `ttl`. | |
/// | `cache_err` | `cache_err = "5s"` | Also caches an `Err`, for this long. The error must be `Clone`, `From<cached_runtime::Error>`, or have a `share_err`. | errors are not cached |
/// | `cache_none` | `cache_none = "30s"` | Also caches a `None`, for this long. | `None` is not cached |
/// | `cache_if` | `cache_if = \|user: &User\| user.active` | Caches a value only if this function of it returns `true`. | all values are cached |
/// | `jitter` | `jitter = 0.1` | The largest fraction by which lifetimes are shortened. It is the same for one key in all processes. | 0.1 in a shared store, 0 in memory |
/// | **Key** | | | |
/// | `key` | `key = (id, x.to_bits())` | The key: a tuple of expressions of the arguments. | all arguments |
/// | `skip` | `skip(db, self)` | Arguments that are not part of the key. Together with `key`, only `skip(self)` is allowed. | none |
/// | **Storage** | | | |
/// | `backend` | `backend = "redis"` | Where values are stored: `"memory"`, `"shared"` (where the configuration of the process says), `"redis"`, `"memcached"`, or an expression whose value is a `Store`, or `cached_runtime::store("name")`. | `"memory"` |
/// | `capacity` | `capacity = 100_000` | The maximum number of entries in memory, for each instance of the function. | 10 000 |
/// | `max_bytes` | `max_bytes = "64MiB"` | The maximum size of all entries in memory. Replaces `capacity`, and requires `weigh`. | |
/// | `weigh` | `weigh = \|_, value\| value.len() as u64` | The size of an entry in bytes, as a function of the key, a tuple, and the value. | |
/// | `name` | `name = "users"` | The namespace of the function in shared stores. | the path of the function |
/// | `version` | `version = 2` | The version of the values in shared stores. Values of other versions are not read. | 1 |
/// | `readable` | `readable` | Puts the arguments into the names of entries in shared stores, as text and before the digest. Only for arguments that whoever may list the keys of the server may know. | off |
/// | `codec` | `codec = "json"` | The encoding of values in shared stores: `"msgpack"` or `"json"`. | `"msgpack"` |
/// | **Staleness** | | | |
/// | `stale_while_revalidate` | `stale_while_revalidate = "30s"` | For this long after `ttl`, calls return the stale value at once, while the next value is computed in the background. | off |
/// | `stale_if_error` | `stale_if_error = "1h"` | For this long after `ttl`, a call returns the stale value if the function fails. After a failure all calls return it at once, and one call per second tries again. | off |
/// | `refresh_ahead` | `refresh_ahead = 0.2` | Computes the next value in the background before the current one expires: with growing probability, in this last fraction of the lifetime. Without a value, the fraction is 0.2. | off |
/// | **Tags** | | | |
/// | `tags` | `tags("user:{id}", "users")` | Groups of values that `invalidate_tag` invalidates together: templates with arguments in the key, or expressions that are strings. | none |
/// | `tags_from` | `tags_from = \|user: &User\| vec![format!("team:{}", user.team)]` | More tags, as a function of the value that returns a `Vec<String>`. | none |
/// | **Single flight** | | | |
/// | `single_flight` | `single_flight = "process"` | How many computations of one key can run at a time: `"fleet"`: one in all processes that share the store; `"process"`: one in each process; `"off"`: any number. | `"process"` in memory, `"fleet"` in a shared store |
/// | `detached` | `detached`, `detached = "while_awaited"` | The computation runs in a task of its own, and is completed and stored although every caller has been dropped; with `"while_awaited"` it is stopped when the last caller that waits for it is dropped. | the first caller computes |
/// | `share_err` | `share_err = \|error: &Error\| Error::new(error.code())` | How calls that wait for a computation get its error: by a function of the error that returns another one; `"off"`: they do not, and each of them runs the function. | a clone, or an error made of `cached_runtime::Error` with the same text, if the type allows it |
/// | `timeout` | `timeout = "2s"` | How long the function may take. After that a call returns the stale value, or an error: the function must return a `Result` whose error is `From<cached_runtime::Error>`. | none |
/// | `max_concurrent` | `max_concurrent = 16` | How many computations of the function can run at a time in this process, over all keys. A call over the bound returns the stale value, if there is one, or waits for its turn, at most for the wait budget, and then computes. | any number |
/// | **Advanced** | | | |
/// | `companions` | `companions = GetUser` | The name of the type with the companions: those of a free function, or those of the methods in the impl of a trait. | the name of the function; the type of the impl |
/// | `associated` | `associated` | Declares that the function is in an `impl`, although neither `self` nor `Self` occurs in it. | |
/// | `crate` | `crate = ::my_crate::cached_runtime` | The path of `cached-runtime`, if it is renamed or re-exported. | `::cached_runtime` |
///
/// ## Durations and sizes
///
/// A duration is a number of seconds, `60` or `5 * 60`, a string, `"1h 30m"`, or an expression of type `Duration`, such
/// as a constant or `CONFIG.ttl()`, which is evaluated whenever it is needed: a lifetime whenever a value is stored. The
/// units of a string are `w`, `d`, `h`, `m`, `s`, `ms`, `us` and `ns`. A size is a number of bytes or a string with one
/// of the units `B`, `kB`, `MB`, `GB`, `KiB`, `MiB` and `GiB`.
///
/// ## Functions
///
/// `ttl_from`, `cache_if`, `tags_from` and `weigh` take a closure or the path of a function. It cannot capture
/// variables. For a function that returns a `Result` or an `Option`, the value is what is in the `Ok` or `Some`.
///
/// ## Several options
///
/// ```
/// use std::time::Duration;
///
/// use cached_runtime::async_cached;
///
/// #[derive(Clone)]
/// struct Token {
///     secret: String,
///     valid_for: Duration,
/// }
///
/// #[async_cached(
///     ttl_from = |token: &Token| token.valid_for,
///     capacity = 100,
///     key = (user.trim(),),
///     cache_if = |token: &Token| !token.secret.is_empty(),
///     cache_err = "5s",
///     detached,
/// )]
/// async fn token(user: String) -> Result<Token, String> {
///     match user.trim() {
///         "eve" => Err("unknown user".to_owned()),
///         name => Ok(Token { secret: format!("token of {name}"), valid_for: Duration::from_secs(300) }),
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
/// # Companions
///
/// The attribute generates companions, which are as visible as the function, and have its `cfg`, `deprecated` and
/// `doc(hidden)`:
///
/// - For a free function `user`: a type `user` with the functions `invalidate`, `expire`, `put`, `peek`, `lookup`,
///   `refresh`, `uncached`, `key`, `clear`, `stats` and `set_enabled`. With `companions = GetUser` the type is `GetUser`.
/// - For a method `find` with a visibility, such as `pub` or `pub(self)`: `find_cache`, which returns an object with
///   most of these functions, and `find_lookup`, `find_refresh` and `find_uncached`.
/// - For methods in the impl of a trait: the same, if the attribute is on the impl as well. They are in an inherent impl
///   of the type; with `#[async_cached(companions = FindUsers)]` on the impl, in a type `FindUsers`, where `self` is the
///   first argument.
///
/// ```
/// use cached_runtime::async_cached;
///
/// trait Find {
///     async fn find(&self, id: u64) -> String;
/// }
///
/// struct Users;
///
/// #[async_cached]
/// impl Find for Users {
///     #[async_cached(ttl = 60, skip(self))]
///     async fn find(&self, id: u64) -> String {
///         format!("user {id}")
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// Users.find(42).await;
/// Users::find_cache().invalidate(42).await?;
/// # Ok(())
/// # }
/// ```
#[proc_macro_attribute]
pub fn async_cached(args: TokenStream, input: TokenStream) -> TokenStream {
    expand_attribute(args.into(), input.into(), &Source::of(proc_macro::Span::call_site())).into()
}

fn expand_attribute(
    args: proc_macro2::TokenStream,
    input: proc_macro2::TokenStream,
    source: &Source,
) -> proc_macro2::TokenStream {
    if item::is_impl(&input) {
        return expand_impl(args, input, source);
    }
    match Memo::new(Args::parse(args), syn::parse2(input.clone()))
        .and_then(|memo| memo.check_place(&input, source))
    {
        Ok(memo) => expand::expand(&memo),
        Err(errors) => {
            // The function stays in the output, so that its callers cause no further errors.
            let mut output = item::for_output(input);
            output.extend(errors.into_compile_errors());
            output
        }
    }
}

fn expand_impl(
    args: proc_macro2::TokenStream,
    input: proc_macro2::TokenStream,
    source: &Source,
) -> proc_macro2::TokenStream {
    let block = match syn::parse2::<ImplBlock>(input.clone()) {
        Ok(block) => block,
        Err(error) => {
            let mut output = input;
            output.extend(error.into_compile_error());
            return output;
        }
    };
    match ImplMemo::new(Args::parse(args), &block, source) {
        Ok(memo) => expand::expand_impl_block(&memo),
        Err(errors) => {
            let mut output = block.without_attributes();
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

    use super::expand_attribute;
    use crate::item::Source;

    #[test]
    fn items_with_errors_stay_in_the_output() {
        for item in [
            quote!(async fn f(x: &mut u64) { half = written + }),
            quote!(
                struct X;
            ),
            quote!(1 2 3),
        ] {
            let output = expand_attribute(quote!(ttl = 60), item.clone(), &Source::default()).to_string();
            assert!(output.starts_with(&item.to_string()), "{output}");
            assert_eq!(output.matches("compile_error").count(), 1, "{output}");
        }
    }

    #[test]
    fn bodies_are_moved_without_parsing() {
        let body: TokenStream = quote!({ let half = ; written + ( - ) });
        let output =
            expand_attribute(quote!(ttl = 60), quote!(async fn f() #body), &Source::default()).to_string();
        assert_eq!(output.matches(&body.to_string()).count(), 1, "{output}");
    }
}
