//! What every expansion would like to be something else.

macro_rules! shadows {
    ($($name:ident)*) => {$(
        #[derive(Debug)]
        #[allow(dead_code, reason = "it is in the way")]
        pub(crate) struct $name;
    )*};
}

pub(crate) mod types {
    shadows! {
        Option Result String Vec Box Future Duration Clone Send Sync Site Policy Key Parts Arg Shape Verb Value Any
        At Look Put Peek Clear Count Stats Refresh Invalidate BoxFuture MethodCache Expire Trace Lookup Spelled
    }
}

#[allow(clippy::upper_case_acronyms, reason = "it is in the way as it is")]
pub(crate) mod values {
    shadows! { Some None Ok Err SITE __SITE looked miss value verb key this tags text format vec tagged timed_out }
}

/// Modules by the names of crates.
#[allow(dead_code, unused_imports, reason = "they are in the way")]
pub(crate) mod crates {
    pub(crate) mod core {}
    pub(crate) mod std {}
    pub(crate) mod alloc {}
    pub(crate) mod cached_runtime {}
}

/// Macros by the names of those that make tags.
#[allow(unused_macros, unused_imports, reason = "they are in the way")]
pub(crate) mod macros {
    macro_rules! vec {
        ($($any:tt)*) => {
            compile_error!("not this one")
        };
    }
    macro_rules! format {
        ($($any:tt)*) => {
            compile_error!("not this one")
        };
    }
    pub(crate) use format;
    pub(crate) use vec;
}
