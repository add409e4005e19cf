//! Every shape of function that can be cached.
