"""The harness of the benchmarks: what it computes, in which order it runs things, and that it leaves nothing behind."""
