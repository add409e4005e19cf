//! The name of an instance of a cached function: where its values are in shared stores.

/// The namespace of an instance, and whether it can be that of another instance of another program too.
#[derive(Debug, Clone)]
pub(crate) struct InstanceName {
    /// The name in the attribute, or the path of the function, with the types of the instance.
    pub(crate) namespace: String,
    /// Whether one of these types is a closure, or local to a function: the names of such types repeat.
    #[cfg_attr(
        not(feature = "store"),
        allow(dead_code, reason = "memory tells instances apart by their types")
    )]
    pub(crate) has_local_type: bool,
    /// Whether the attribute gives the name.
    #[cfg_attr(
        not(feature = "store"),
        allow(dead_code, reason = "memory tells instances apart by their types")
    )]
    pub(crate) is_named: bool,
}
