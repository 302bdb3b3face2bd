//! Audio codecs behind one trait.
