//! What the tests share: servers of their own, and what breaks them.
