//! Examples of `cached-runtime`; each file beside this one is a program that shows one thing.
//!
//! The output of each is in its head comment, and `tests/run` compares the two.
