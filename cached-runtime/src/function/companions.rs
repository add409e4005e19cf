//! The companions of cached functions, written here once instead of in each expansion.
//!
//! An expansion passes what differs between functions: the visibility, the generics and parameters, the function that
//! performs operations, and the expression of the key. Token groups in brackets are passed on unchanged.

/// Defines the companions of a free function, except `uncached`, which is the function itself.
#[doc(hidden)]
#[macro_export]
macro_rules! __companions {
    (
        ($($key_param:tt)*) [$($unused:tt)*] [$($entry:tt)*] => $key:expr;
        $vis:vis, $safety:tt [$($generics:tt)*] $params:tt -> $output:ty, [$($where:tt)*]
        $found:ident => $answer:expr
    ) => {
        /// Removes the value of a key, and discards a computation of it that is in flight.
        ///
        /// # Errors
        ///
        /// Returns the error of the shared store, if it did not confirm the removal.
        ///
        /// # Cancel safety
        ///
        /// The change of a shared store is made even if the future is dropped after its first poll.
        $vis fn invalidate $($generics)* ($($key_param)*) -> $crate::BoxFuture<'static, $crate::Result<()>>
        $($where)*
        {
            use $crate::__private as __cached;
            $($unused)*
            $($entry)* (__cached::Invalidate, $key)
        }

        /// Makes the value of a key stale, and discards a computation of it that is in flight.
        ///
        /// The next call computes; it returns the stale value only as `stale_while_revalidate` and `stale_if_error` allow.
        ///
        /// # Errors
        ///
        /// Returns the error of the shared store, if it did not confirm the change.
        ///
        /// # Cancel safety
        ///
        /// The change of a shared store is made even if the future is dropped after its first poll.
        $vis fn expire $($generics)* ($($key_param)*) -> $crate::BoxFuture<'static, $crate::Result<()>>
        $($where)*
        {
            use $crate::__private as __cached;
            $($unused)*
            $($entry)* (__cached::Expire, $key)
        }

        /// Stores a value that the application already has, and discards a computation of it that is in flight. `Ok` and
        /// `Some` may be left out.
        ///
        /// After it has returned `Ok`, no later call returns an older value. A change at the same time may already have
        /// replaced or removed this one.
        ///
        /// # Errors
        ///
        /// Returns the error of the shared store, or of the codec if the value cannot be encoded.
        ///
        /// # Cancel safety
        ///
        /// The change of a shared store is made even if the future is dropped after its first poll.
        #[allow(clippy::impl_trait_in_params, reason = "nobody names this type")]
        $vis fn put $($generics)* ($($key_param)* new_value: impl $crate::IntoOutput<$output>)
        -> $crate::BoxFuture<'static, $crate::Result<()>>
        $($where)*
        {
            use $crate::__private as __cached;
            $($unused)*
            $($entry)* (__cached::Put(__cached::IntoOutput::into_output(new_value)), $key)
        }

        /// Returns the value that a call would return without computing.
        $vis fn peek $($generics)* ($($key_param)*)
        -> $crate::BoxFuture<'static, $crate::__private::Option<$output>>
        $($where)*
        {
            use $crate::__private as __cached;
            $($unused)*
            $($entry)* (__cached::Peek, $key)
        }

        /// Returns the name of the entry of a key, without computing: in a shared store, the name by which the server has it.
        ///
        /// # Errors
        ///
        /// Returns an error if the key cannot be serialized, or is larger than 1 MiB as encoded.
        $vis fn key $($generics)* ($($key_param)*) -> $crate::Result<$crate::__private::String>
        $($where)*
        {
            use $crate::__private as __cached;
            $($unused)*
            $($entry)* (__cached::Name, $key)
        }

        /// Removes every value.
        ///
        /// # Errors
        ///
        /// Returns the error of the shared store, if it did not confirm the removal.
        ///
        /// # Cancel safety
        ///
        /// The change of a shared store is made even if the future is dropped after its first poll.
        /// If this process has not called the function yet, it may or may not be made.
        $vis fn clear $($generics)* () -> $crate::BoxFuture<'static, $crate::Result<()>>
        $($where)*
        {
            $($entry)* ($crate::__private::GetInstance, ()).clear()
        }

        /// Returns the statistics of the function, the sum of all its instances.
        $vis fn stats $($generics)* () -> $crate::Stats
        $($where)*
        {
            $($entry)* ($crate::__private::GetInstance, ()).stats()
        }

        /// Turns caching of the function off or on, in this process and for all its instances.
        ///
        /// While it is off, calls run the function, and neither read nor store values. What invalidates still does.
        $vis fn set_enabled $($generics)* (enabled: bool)
        $($where)*
        {
            $($entry)* ($crate::__private::GetInstance, ()).set_enabled(enabled);
        }

        $crate::__computing! {
            [] refresh lookup [$($entry)*] => $key;
            $vis, $safety [$($generics)*] $params -> $output, [$($where)*]
            $found => $answer
        }
    };
}

/// Defines the companions of any function that run it.
#[doc(hidden)]
#[macro_export]
macro_rules! __computing {
    (
        [$($attrs:tt)*] $refresh:ident $lookup:ident [$($entry:tt)*] => $key:expr;
        $vis:vis, [$($safety:tt)*] [$($generics:tt)*] $params:tt -> $output:ty, [$($where:tt)*]
        $found:ident => $answer:expr
    ) => {
        /// Computes a new value, replaces the cached one, and returns it.
        ///
        /// # Cancel safety
        ///
        /// If the future is dropped, the computation ends, and the cached value stays; with `detached` it goes on. A result that
        /// was sent to a shared store is still stored.
        $($attrs)*
        $vis async $($safety)* fn $refresh $($generics)* $params -> $output
        $($where)*
        {
            use $crate::__private as __cached;
            // Two statements, so that the borrows of the first one end before the second one waits.
            let $found = $($entry)* (__cached::Refresh, $key);
            $answer
        }

        /// Calls the function, and also returns where the value comes from and how old it is.
        ///
        /// # Cancel safety
        ///
        /// That of a call: if the future is dropped while it computes, a call that waits for it runs the function anew; with
        /// `detached` the computation goes on.
        $($attrs)*
        $vis async $($safety)* fn $lookup $($generics)* $params -> $crate::Lookup<$output>
        $($where)*
        {
            use $crate::__private as __cached;
            let $found = $($entry)* (__cached::GetTraced, $key);
            $answer
        }
    };
}
