//! Examples of `cached-runtime`. Each file beside this one is a program that shows one thing.
//!
//! The head comment of each contains its output; `tests/run` compares the two.
