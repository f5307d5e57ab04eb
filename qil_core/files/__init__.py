"""Layer stacks as files: one module a format, each with a write() and, where the format has layers, a read()."""
