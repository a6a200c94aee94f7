"""A browser without a screen: keeps cookies, follows redirects, fills forms.

`Browser` serves every test that walks through pages, ours or a login provider's. Cookies obey
host, path, Secure, lifetime and the `__Host-` prefix (RFC 6265bis), and not the port, as in real
browsers.
"""

import email.utils
import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlencode, urljoin, urlsplit

from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.simple_httpclient import SimpleAsyncHTTPClient

MAX_REDIRECTS = 20


@dataclass
class Form:
    """A form of a page, with the values that it would be sent with as it stands."""

    id: str
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    button_ids: list[str] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._text_of: str | None = None
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            method = values.get("method", "get").upper()
            self._form = Form(values.get("id", ""), values.get("action", ""), method)
            self.forms.append(self._form)
        elif self._form is not None and "disabled" not in values:
            self._control(self._form, tag, values)

    def _control(self, form: Form, tag: str, values: dict[str, str]) -> None:
        name, value = values.get("name", ""), values.get("value", "")
        kind = values.get("type", "submit" if tag == "button" else "text").lower()
        if tag in ("button", "input") and kind in ("submit", "image"):
            form.buttons.append((name, value))
            form.button_ids.append(values.get("id", ""))
        elif tag == "input" and name and kind not in ("button", "reset", "file"):
            if kind not in ("checkbox", "radio") or "checked" in values:
                form.fields[name] = value or ("on" if kind == "checkbox" else "")
        elif tag == "textarea":
            self._text_of = name
            form.fields[name] = ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select is not None:
            if "selected" in values:
                form.fields[self._select] = value
            form.fields.setdefault(self._select, value)

    def handle_data(self, data: str) -> None:
        if self._form is not None and self._text_of is not None:
            self._form.fields[self._text_of] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "textarea":
            self._text_of = None
        elif tag == "select":
            self._select = None


@dataclass
class Cookie:
    """A cookie as the browser holds it."""

    value: str
    path: str
    secure: bool
    http_only: bool
    same_site: str
    expires_at: float | None


class Browser:
    """One person's browser.

    After each call `url`, `status`, `headers`, `text` and `forms` are those of the page where it
    ended. A redirect to an address that starts with one of `stop_at` is not followed: `url` is
    then that address and the rest is of the answer that redirected. `ca_certs` is a file with
    what it trusts, else that is what the system does.
    """

    def __init__(self, *, stop_at: tuple[str, ...] = (), ca_certs: str | None = None) -> None:
        self._client = SimpleAsyncHTTPClient(
            force_instance=True, max_clients=50, defaults={"ca_certs": ca_certs}
        )
        self.stop_at = stop_at
        self.cookies: dict[tuple[str, str, str], Cookie] = {}
        self.history: list[str] = []
        self.url = ""
        self.status = 0
        self.headers = HTTPHeaders()
        self.text = ""

    @property
    def forms(self) -> list[Form]:
        parser = _Forms()
        parser.feed(self.text)
        return parser.forms

    async def get(self, url: str, *, headers: dict[str, str] | None = None) -> None:
        """Go to an address, absolute or relative to the present one."""
        await self._go("GET", urljoin(self.url, url), None, headers)

    async def post(
        self, url: str, fields: dict[str, str], *, headers: dict[str, str] | None = None
    ) -> None:
        """Send form fields to an address."""
        await self._go("POST", urljoin(self.url, url), urlencode(fields), headers)

    async def submit(self, form_id: str = "", /, **fields: str) -> None:
        """Send the form of this id, or the first of the page, with some fields filled in.

        The first button is the one that is pressed, unless a field names another one.
        """
        form = next(form for form in self.forms if not form_id or form.id == form_id)
        values = dict(form.fields)
        if form.buttons and not any(name in fields for name, _ in form.buttons):
            name, value = form.buttons[0]
            values |= {name: value} if name else {}
        await self._send(form, values | fields)

    def form_of(self, button_id: str) -> Form | None:
        """Return the form of the page that has a button of this id."""
        return next((form for form in self.forms if button_id in form.button_ids), None)

    async def press(self, button_id: str, /, **fields: str) -> None:
        """Send the form that has a button of this id, with some fields filled in."""
        form = self.form_of(button_id)
        assert form is not None, f"no button {button_id} at {self.url}"
        name, value = form.buttons[form.button_ids.index(button_id)]
        await self._send(form, form.fields | ({name: value} if name else {}) | fields)

    async def _send(self, form: Form, values: dict[str, str]) -> None:
        address = urljoin(self.url, form.action or self.url)
        if form.method == "POST":
            await self._go("POST", address, urlencode(values), None)
        else:
            await self._go("GET", f"{address.partition('?')[0]}?{urlencode(values)}", None, None)

    def cookie(self, name: str) -> Cookie | None:
        """Return the cookie of this name, of whatever host and path."""
        return next((cookie for key, cookie in self.cookies.items() if key[2] == name), None)

    def close(self) -> None:
        self._client.close()

    async def _go(
        self, method: str, url: str, body: str | None, headers: dict[str, str] | None
    ) -> None:
        for _ in range(MAX_REDIRECTS):
            response = await self._fetch(method, url, body, headers)
            self.url, self.status, self.headers = url, response.code, response.headers
            self.text = response.body.decode(errors="replace")
            location = response.headers.get("Location")
            if response.code not in (301, 302, 303, 307, 308) or location is None:
                return
            url = urljoin(url, location)
            if response.code not in (307, 308):
                method, body = "GET", None
            if url.startswith(self.stop_at):
                self.url = url
                return
        raise AssertionError(f"more than {MAX_REDIRECTS} redirects, the last to {url}")

    async def _fetch(
        self, method: str, url: str, body: str | None, headers: dict[str, str] | None
    ) -> HTTPResponse:
        sent = {"User-Agent": "browserless", "Accept": "text/html,*/*;q=0.8", **(headers or {})}
        if cookies := self._cookies_for(url):
            sent["Cookie"] = cookies
        if method == "POST":
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
            sent.setdefault("Origin", "://".join(urlsplit(self.url or url)[:2]))
        self.history.append(url)
        request = HTTPRequest(
            url, method=method, headers=sent, body=body, follow_redirects=False, request_timeout=20
        )
        response = await self._client.fetch(request, raise_error=False)
        for line in response.headers.get_list("Set-Cookie"):
            self.keep_cookie(url, line)
        return response

    def _cookies_for(self, url: str) -> str:
        parts = urlsplit(url)
        path = parts.path or "/"
        found = []
        for (host, cookie_path, name), cookie in self.cookies.items():
            is_below = path == cookie_path or path.startswith(cookie_path.rstrip("/") + "/")
            is_over = cookie.expires_at is not None and cookie.expires_at <= time.time()
            is_safe = parts.scheme == "https" or not cookie.secure
            if host == parts.hostname and is_below and is_safe and not is_over:
                found.append((len(cookie_path), f"{name}={cookie.value}"))
        # The longest path first, then the oldest (RFC 6265 §5.4).
        return "; ".join(text for _, text in sorted(found, key=lambda cookie: -cookie[0]))

    def keep_cookie(self, url: str, line: str) -> None:
        """Take a Set-Cookie line that came from an address."""
        host, scheme = urlsplit(url).hostname or "", urlsplit(url).scheme
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(line)
        except CookieError:
            return
        for name, morsel in jar.items():
            path = morsel["path"] or (urlsplit(url).path.rpartition("/")[0] or "/")
            secure = bool(morsel["secure"])
            if secure and scheme != "https":
                continue
            if name.startswith("__Host-") and (not secure or path != "/" or morsel["domain"]):
                continue
            self.cookies[host, path, name] = Cookie(
                value=morsel.coded_value,
                path=path,
                secure=secure,
                http_only=bool(morsel["httponly"]),
                same_site=morsel["samesite"],
                expires_at=_expiry(morsel["max-age"], morsel["expires"]),
            )
            if _is_over(self.cookies[host, path, name]):
                del self.cookies[host, path, name]


def _expiry(max_age: str, expires: str) -> float | None:
    if max_age:
        return time.time() + int(max_age)
    if expires:
        return email.utils.parsedate_to_datetime(expires).timestamp()
    return None


def _is_over(cookie: Cookie) -> bool:
    return cookie.expires_at is not None and cookie.expires_at <= time.time()
