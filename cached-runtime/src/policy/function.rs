//! A cached function seen from outside: without its types.

use std::any::Any;
use std::fmt;

use super::stats::Stats;
use crate::{BoxFuture, Result};

/// What can be asked of any cached function.
pub(crate) trait Function: Sync {
    fn name(&'static self) -> &'static str;
    /// What the attribute asks for, for people.
    fn policy(&'static self) -> &'static dyn fmt::Debug;
    fn stats(&'static self) -> Stats;
    /// Removes every value of every instance.
    fn clear(&'static self) -> BoxFuture<'static, Result<()>>;
    /// Removes what is under a key, in every instance whose keys are of this type; the number of such instances.
    fn invalidate<'a>(&'static self, key: &'a (dyn Any + Send + Sync)) -> BoxFuture<'a, Result<usize>>;
}
