"""The headers that every answer carries.

Owns what browsers are told to forbid. Never knows what an answer is about.
"""

from tornado.web import RequestHandler

# An answer that lets a request pass reaches a proxy, never a browser.
PASSING_HEADERS = [("Cache-Control", "no-store")]


def safe_headers(*, https: bool) -> list[tuple[str, str]]:
    """Return what every answer carries; Strict-Transport-Security only over https."""
    headers = [
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Content-Security-Policy", content_security_policy()),
    ]
    return [*headers, ("Strict-Transport-Security", "max-age=31536000")] if https else headers


def set_safe_headers(handler: RequestHandler) -> None:
    """Set what every answer carries; a handler may loosen only what it must."""
    handler.clear_header("Server")
    for name, value in safe_headers(https=bool(handler.application.settings.get("https"))):
        handler.set_header(name, value)


def set_passing_headers(handler: RequestHandler) -> None:
    """Set what an answer carries that no browser will see, instead of all the above."""
    for name, _ in safe_headers(https=True):
        handler.clear_header(name)
    for name, value in PASSING_HEADERS:
        handler.set_header(name, value)


def content_security_policy(form_target: str = "", *, script_nonce: str = "") -> str:
    """Return the policy of a page.

    Its forms may end here and, if given, at one other origin or scheme; its scripts are none, or
    those with the nonce.
    """
    script = f" script-src 'nonce-{script_nonce}';" if script_nonce else ""
    return (
        f"default-src 'none';{script} style-src 'self'; img-src 'self' https:; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action 'self' {form_target}".rstrip()
    )
