"""The authorization server (OAuth 2.1, OpenID Connect): the protocol, and in `handlers` its HTTP.

Everything here but `handlers` takes values and gives values, or raises an OAuth2Error; it knows no
request and no answer. A grant type proves what a client may have, `issuing` makes tokens of that,
and `authorize.next_step` alone decides between signing in, consent and a code.
"""
