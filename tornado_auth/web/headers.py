"""The headers that every answer carries.

Owns what browsers are told to forbid. Never knows what an answer is about.
"""

from tornado.web import RequestHandler


def set_safe_headers(handler: RequestHandler) -> None:
    """Set what every answer carries; a handler may loosen only what it must."""
    handler.clear_header("Server")
    handler.set_header("Cache-Control", "no-store")
    handler.set_header("X-Content-Type-Options", "nosniff")
    handler.set_header("X-Frame-Options", "DENY")
    handler.set_header("Referrer-Policy", "no-referrer")
    handler.set_header("Cross-Origin-Opener-Policy", "same-origin")
    handler.set_header("Content-Security-Policy", content_security_policy())
    if handler.application.settings.get("https"):
        handler.set_header("Strict-Transport-Security", "max-age=31536000")


def content_security_policy(form_target: str = "") -> str:
    """Return the policy of a page whose forms may end here and, if given, at one other origin."""
    return (
        "default-src 'none'; style-src 'self'; img-src 'self' https:; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action 'self' {form_target}".rstrip()
    )
