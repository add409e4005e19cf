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
/// | option | means |
/// |---|---|
/// | `ttl = 60` · `"1h30m"` · `EXPR` | how long a value is fresh: seconds, words, or a `Duration` |
/// | `ttl_from = \|value: &T\| EXPR` | the same, decided by the value |
/// | `backend = "memory"` `"redis"` `"memcached"` · `EXPR` | where values live |
/// | `capacity = 10_000` · `max_bytes = "64MiB", weigh = \|key, value\| EXPR` | bound of the tier in the process |
/// | `key = (a, b.id)` · `skip(db, self)` | which arguments make the key; `skip(self)` may stand beside `key` |
/// | `name = "users"` · `version = 2` | the namespace in shared stores |
/// | `cache_if = \|value: &T\| EXPR` | store only such values |
/// | `cache_err = "5s"` · `cache_none = "30s"` | also remember `Err` or `None`, for so long |
/// | `single_flight = "process"` `"off"` | how many computations of one key may run |
/// | `detached` | the computation survives its caller |
/// | `codec = "msgpack"` `"json"` | how bytes look in shared stores |
/// | `handle = USERS` | a static by which the cache of a method is reached |
/// | `associated` | this function stands in an `impl`, although it mentions neither `self` nor `Self` |
/// | `crate = ::path` | where `cached-runtime` is |
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
