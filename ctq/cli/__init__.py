"""The command line: one file per command, rendering, and exit codes. Nothing else in ctq prints."""
