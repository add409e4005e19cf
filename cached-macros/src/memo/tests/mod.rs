//! Which attributes and functions go together, and what is said about those that do not.

mod functions;
mod options;

use super::Memo;
use crate::args::Args;

fn memo(args: &str, item: &str) -> Memo {
    match parse(args, item) {
        Ok(memo) => memo,
        Err(mistakes) => panic!("#[async_cached({args})] {item}\n{mistakes:#?}"),
    }
}

/// Fails unless there is exactly one mistake and its message contains the part.
#[track_caller]
fn refuses(args: &str, item: &str, part: &str) {
    match parse(args, item) {
        Ok(_) => panic!("accepted: #[async_cached({args})] {item}"),
        Err(mistakes) => {
            assert_eq!(mistakes.len(), 1, "#[async_cached({args})] {item}\n{mistakes:#?}");
            assert!(mistakes[0].contains(part), "#[async_cached({args})] {item}\n{}", mistakes[0]);
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
