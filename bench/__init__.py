"""Which search is worth it: a table of real trials, and every search replayed on it. See docs/searches.md."""
