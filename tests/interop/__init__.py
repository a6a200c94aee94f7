"""The authorization server, used by clients that others wrote, over https behind nginx."""
