//! Unit tests of [`Memo::new`](super::Memo::new): what is accepted, and the errors for everything else.

mod companions;
mod functions;
mod options;

use super::Memo;
use crate::args::Args;

fn memo(args: &str, item: &str) -> Memo {
    match parse(args, item) {
        Ok(memo) => memo,
        Err(errors) => panic!("#[async_cached({args})] {item}\n{errors:#?}"),
    }
}

/// Asserts that there is exactly one error, and that its message contains `part`.
#[track_caller]
fn rejects(args: &str, item: &str, part: &str) {
    match parse(args, item) {
        Ok(_) => panic!("accepted: #[async_cached({args})] {item}"),
        Err(errors) => {
            assert_eq!(errors.len(), 1, "#[async_cached({args})] {item}\n{errors:#?}");
            assert!(errors[0].contains(part), "#[async_cached({args})] {item}\n{}", errors[0]);
        }
    }
}

fn parse(args: &str, item: &str) -> Result<Memo, Vec<String>> {
    let args = args.parse().unwrap();
    let item = item.parse().unwrap();
    Memo::new(Args::parse(args), syn::parse2(item)).map_err(|errors| errors.messages())
}

fn names<'a>(params: impl Iterator<Item = &'a crate::item::Param>) -> Vec<String> {
    params.map(|param| param.name.to_string()).collect()
}

const PLAIN: &str = "async fn f(id: u64) -> u64 { id }";
