"""`python -m ctq` is `ctq`."""

from ctq.cli.main import main

main()
