"""The browser of the tests is one: else what it proves of cookies and redirects is nothing."""

from collections.abc import AsyncIterator

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tests.browserless import Browser

PAGE = """
<form id=one action=/echo?x=1 method=post>
  <input type=hidden name=_xsrf value="a&amp;b"><input name=user value=ann>
  <input type=checkbox name=keep checked><input type=checkbox name=other>
  <input type=radio name=way value=bus><input type=radio name=way value=train checked>
  <select name=size><option value=s><option value=m selected></select>
  <select name=first><option value=1><option value=2></select>
  <textarea name=note>hello</textarea><input name=dead value=1 disabled>
  <button name=do value=yes>Yes</button><button name=do value=no>No</button>
</form>
<form id=two action=/echo><input name=q value=1><input type=submit></form>
"""


class _Handler(RequestHandler):
    async def get(self, what: str) -> None:
        if what == "page":
            self.write(PAGE)
        elif what == "cookies":
            self.set_cookie("plain", "1")
            self.set_cookie("below", "2", path="/below")
            self.set_cookie("safe", "3", secure=True)
            self.add_header("Set-Cookie", "__Host-x=4; Path=/")
            self.add_header("Set-Cookie", "gone=5; Max-Age=0")
        elif what == "clear":
            self.clear_cookie("plain")
        elif what == "hop":
            self.redirect("/echo", status=307)
        elif what == "round":
            self.redirect("/round")
        elif what == "away":
            self.redirect("https://elsewhere.example/?code=1")
        else:
            self.write(f"{self.request.method} {self.request.uri} {self.request.body.decode()} ")
            self.write(f"cookies:{self.request.headers.get('Cookie', '')}")

    post = get


@pytest.fixture
async def base() -> AsyncIterator[str]:
    server, (socket, port) = HTTPServer(Application([("/(.*)", _Handler)])), bind_unused_port()
    server.add_socket(socket)
    yield f"http://127.0.0.1:{port}"
    server.stop()
    await server.close_all_connections()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    browser = Browser(stop_at=("https://elsewhere.example/",))
    yield browser
    browser.close()


async def test_a_form_is_sent_as_it_stands_but_for_what_is_filled_in(browser, base):
    await browser.get(f"{base}/page")
    assert [form.id for form in browser.forms] == ["one", "two"]
    await browser.submit("one", user="bob")
    assert browser.text.startswith(
        "POST /echo?x=1 _xsrf=a%26b&user=bob&keep=on&way=train&size=m&first=1&note=hello&do=yes "
    )


async def test_another_button_can_be_pressed_and_a_get_form_makes_a_query(browser, base):
    await browser.get(f"{base}/page")
    await browser.submit(do="no")
    assert "&do=no " in browser.text
    await browser.get("/page")
    await browser.submit("two", q="a b")
    assert browser.text.startswith("GET /echo?q=a+b ")


async def test_cookies_obey_path_and_safety(browser, base):
    await browser.get(f"{base}/cookies")
    await browser.get("/echo")
    assert browser.text.endswith("cookies:plain=1")
    await browser.get("/below/x")
    assert browser.text.endswith("cookies:below=2; plain=1")
    assert browser.cookie("safe") is None
    assert browser.cookie("__Host-x") is None
    assert browser.cookie("gone") is None
    await browser.get("/clear")
    assert browser.cookie("plain") is None


async def test_redirects_are_followed_to_the_end_or_to_the_border(browser, base):
    await browser.post(f"{base}/hop", {"a": "1"})
    assert browser.text.startswith("POST /echo a=1 ")
    await browser.get(f"{base}/away")
    assert (browser.url, browser.status) == ("https://elsewhere.example/?code=1", 302)
    with pytest.raises(AssertionError):
        await browser.get(f"{base}/round")
