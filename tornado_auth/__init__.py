"""tornado_auth answers "may this request pass, and as whom?" for services behind nginx."""

__version__ = "0.1.0.dev0"
