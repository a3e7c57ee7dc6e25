//! price books, rate cards, quotes; usage to rate lines. Pure.
