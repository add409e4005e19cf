//! A cached function without its types.

use std::fmt;

use super::registry::InstanceInfo;
use super::stats::Stats;
use crate::{BoxFuture, Result};

/// What the registry does with a cached function, whatever the types of its keys and values.
pub(crate) trait ErasedFunction: Sync {
    /// Returns the name of the function: the one given by the option `name`, or else its path. Its options are not
    /// evaluated.
    fn name(&'static self) -> &'static str;
    /// Returns the options of the function, for `Debug` output.
    fn options(&'static self) -> &'static dyn fmt::Debug;
    /// Returns the options if they were evaluated.
    fn evaluated_options(&'static self) -> Option<&'static dyn fmt::Debug>;
    /// Returns what stands for the function in the isolation that the current future runs in; without one, itself.
    fn in_isolation(&'static self) -> &'static dyn ErasedFunction;
    fn stats(&'static self) -> Stats;
    /// Returns the instances that were used.
    fn instances(&'static self) -> Vec<InstanceInfo>;
    /// Removes every value of every instance.
    fn clear(&'static self) -> BoxFuture<'static, Result<()>>;
}
