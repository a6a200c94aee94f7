"""The front of the service: plain token checks are answered at once, all else goes to Tornado.

`requests.py` recognises a plain check, `answers.py` answers it, `front.py` holds the sockets, and
`selector.py` lets them go first.
Tornado's own way to a handler costs many times what an answer from memory does: this is why
there is another one beside it. It decides nothing by itself: `checks` and `forward_auth` do, and
`web/answers.py` says what is answered, for the handlers and here alike.
"""

from tornado_auth.fast_path.answers import Answers
from tornado_auth.fast_path.front import Front
from tornado_auth.fast_path.requests import PlainRequest, PlainRequests
from tornado_auth.fast_path.selector import ChecksFirst

__all__ = ["Answers", "ChecksFirst", "Front", "PlainRequest", "PlainRequests"]
