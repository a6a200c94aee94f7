"""The far side of a sign-in, seen from here: login providers, and nothing that they say believed.

    http            the HTTP client with limits, JSON and token answers, Tornado's mixin on top
    discovery       an issuer's configuration, cached
    id_tokens       the check of an ID token
    logout_tokens   the check of a logout token
    claims          standard claims as an `AssertedIdentity`
    github          GitHub's API
    relying_party   from a code to checked claims

Never decides who may sign in, nor where a browser goes: `oauth_mixins.py` does.
"""
