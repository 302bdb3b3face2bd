//! Whose certificate is it: the rules of RFC 5922.
