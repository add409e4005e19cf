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
