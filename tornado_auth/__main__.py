"""`python -m tornado_auth` is the `tornado-auth` command."""

from tornado_auth.cli import main

main()
