//! Items with the names that expansions use.

macro_rules! shadows {
    ($($name:ident)*) => {$(
        #[derive(Debug)]
        #[allow(dead_code, reason = "it only shadows a name")]
        pub(crate) struct $name;
    )*};
}

pub(crate) mod types {
    shadows! {
        Option Result String Vec Box Future Duration Clone Send Sync CachedFunction Policy Key KeyParts SharedKeyParts Arg
        ReturnType Operation AnyOperation AnyOutput EntryRef Get GetTraced Put Peek Clear ReadStats Stats Refresh Invalidate
        Expire BoxFuture MethodCache Lookup TagText Cache Named
    }
}

#[allow(clippy::upper_case_acronyms, reason = "it shadows a name")]
pub(crate) mod values {
    shadows! { Some None Ok Err FUNCTION __FUNCTION lookup miss value operation key this tags text format vec with_tags timed_out }
}

/// Modules with the names of crates.
#[allow(dead_code, unused_imports, reason = "they only shadow names")]
pub(crate) mod crates {
    pub(crate) mod core {}
    pub(crate) mod std {}
    pub(crate) mod alloc {}
    pub(crate) mod cached_runtime {}
}

/// Macros with the names of those that format tags.
#[allow(unused_macros, unused_imports, reason = "they only shadow names")]
pub(crate) mod macros {
    macro_rules! vec {
        ($($any:tt)*) => {
            compile_error!("the expansion uses the shadowed macro")
        };
    }
    macro_rules! format {
        ($($any:tt)*) => {
            compile_error!("the expansion uses the shadowed macro")
        };
    }
    pub(crate) use format;
    pub(crate) use vec;
}
