"""dgp-oauth2 as its README mounts it, over a SQLite file: `dgp_app.py USERS TOKENS` fills it.

TOKENS is a file for one session token a line. The variables are those of dgp-oauth2. GitHub is
configured, for without any provider it signs everybody in; nothing is ever asked of it.
"""

import os
import sys
from datetime import UTC, datetime, timedelta

import jwt
from dgp_oauth2 import make_blueprint
from dgp_oauth2.credentials import private_token
from dgp_oauth2.models import Models, User
from flask import Flask


class Cache(dict):
    """What Authlib and dgp-oauth2 ask of a cache."""

    def set(self, key, value, timeout=None):
        """Keep a value."""
        if len(self) > 10_000:  # one entry for each answer of /auth/check to a stranger
            self.clear()
        self[key] = value

    def delete(self, key):
        """Forget a value."""
        self.pop(key, None)


def make_app():
    """Return the Flask application."""
    app = Flask(__name__)
    app.secret_key = "only for benchmarks"
    blueprint = make_blueprint("http://localhost:8080", Cache())
    app.register_blueprint(blueprint, url_prefix="/auth/")
    return app


def fill(users, tokens):
    """Store users and sign a token for each."""
    models = Models(os.environ["DATABASE_URL"])
    expires_at = datetime.now(UTC) + timedelta(days=14)
    with models.session_scope() as session, open(tokens, "w") as file:
        for number in range(users):
            name = f"user{number:08d}"
            id = models.hash_email(f"{name}@example.org")
            session.add(
                User(
                    id=id,
                    provider_id="github",
                    username=name,
                    name=name,
                    email=f"{name}@example.org",
                    avatar_url="",
                    join_date=datetime(2024, 1, 1),
                )
            )
            token = jwt.encode({"userid": id, "exp": expires_at}, private_token)
            file.write(f"{token}\n")


if __name__ == "__main__":
    fill(int(sys.argv[1]), sys.argv[2])
