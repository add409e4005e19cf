//! The companions, written once here instead of at each function.
//!
//! An expansion says what is particular to its function: who may see it, its generics and parameters, where its verbs
//! are done, and what makes the key. What is between brackets is passed on token by token.

/// The companions of a free function, but for `uncached`, which is the function itself.
#[doc(hidden)]
#[macro_export]
macro_rules! __companions {
    (
        ($($key_param:tt)*) [$($at:tt)*] => $key:expr;
        $vis:vis, $safety:tt [$($generics:tt)*] $params:tt -> $output:ty, [$($where:tt)*]
        $found:ident => $answer:expr
    ) => {
        /// Removes the value under a key, and voids a computation of it that is under way.
        $vis fn invalidate $($generics)* ($($key_param)*) -> $crate::BoxFuture<'static, $crate::Result<()>>
        $($where)*
        {
            use $crate::__private;
            $($at)* (__private::Invalidate, $key)
        }

        /// Makes the value under a key stale, and voids a computation of it that is under way: the next call computes, and
        /// has the value only as `stale_while_revalidate` and `stale_if_error` allow.
        $vis fn expire $($generics)* ($($key_param)*) -> $crate::BoxFuture<'static, $crate::Result<()>>
        $($where)*
        {
            use $crate::__private;
            $($at)* (__private::Expire, $key)
        }

        /// Stores a value that the application already has; `Ok` and `Some` may be left out.
        $vis fn put $($generics)* ($($key_param)* __value: impl $crate::__private::IntoOutput<$output>)
        -> $crate::BoxFuture<'static, $crate::Result<()>>
        $($where)*
        {
            use $crate::__private;
            $($at)* (__private::Put(__private::IntoOutput::output(__value)), $key)
        }

        /// What a call would find; computes nothing.
        $vis fn peek $($generics)* ($($key_param)*)
        -> $crate::BoxFuture<'static, $crate::__private::Option<$output>>
        $($where)*
        {
            use $crate::__private;
            $($at)* (__private::Peek, $key)
        }

        /// Removes every value.
        $vis fn clear $($generics)* () -> $crate::BoxFuture<'static, $crate::Result<()>>
        $($where)*
        {
            $($at)* ($crate::__private::Clear, ())
        }

        /// What the function has done so far.
        $vis fn stats $($generics)* () -> $crate::Stats
        $($where)*
        {
            $($at)* ($crate::__private::ReadStats, ())
        }

        $crate::__computing! {
            refresh lookup [$($at)*] => $key;
            $vis, $safety [$($generics)*] $params -> $output, [$($where)*]
            $found => $answer
        }
    };
}

/// The companions of any function that run it.
#[doc(hidden)]
#[macro_export]
macro_rules! __computing {
    (
        $refresh:ident $lookup:ident [$($at:tt)*] => $key:expr;
        $vis:vis, [$($safety:tt)*] [$($generics:tt)*] $params:tt -> $output:ty, [$($where:tt)*]
        $found:ident => $answer:expr
    ) => {
        /// Computes now, and replaces what is there.
        #[allow(dead_code, clippy::all, clippy::pedantic)]
        $vis async $($safety)* fn $refresh $($generics)* $params -> $output
        $($where)*
        {
            use $crate::__private;
            // Two statements: what the first one borrows is not to be kept while the second one waits.
            let $found = $($at)* (__private::Refresh, $key);
            $answer
        }

        /// As a call, but says where the value comes from and how old it is.
        #[allow(dead_code, clippy::all, clippy::pedantic)]
        $vis async $($safety)* fn $lookup $($generics)* $params -> $crate::Lookup<$output>
        $($where)*
        {
            use $crate::__private;
            let $found = $($at)* (__private::GetTraced, $key);
            $answer
        }
    };
}
