"""The HTTP of the authorization server."""
