"""How a grant is redeemed: one module for each grant type.

Each only proves what a client may have, as an `Authorization`; `token.py` does what all share.
"""
