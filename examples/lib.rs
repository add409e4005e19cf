//! Examples; each file beside this one runs by itself.
