"""The tables of the house: who may import whom, and where a library is at home.

`LAYERS` is the one place where a new module gets its layer: it may import what stands above its
own line, and nothing beside it. `test_architecture.py` holds the package to this.
"""

# A unit is a module, or a package whose modules import each other freely; `setting_*` is one, and
# what speaks HTTP in `oauth2` is one of its own.
LAYERS = (
    {"errors", "models", "digests", "limited_calls", "scheduling", "seals", "resource_server"},
    {"granted", "next_urls", "outbound", "role_names"},
    {"settings", "extensions", "metrics", "logs", "caches", "pending", "storage"},
    {"held_roles", "keys", "readings", "revocations", "usernames", "upstream"},
    {"audit", "permission_providers", "roles", "throttle", "user_claims", "username_claims"},
    {
        "accounts",
        "checks",
        "failed_attempts",
        "known_devices",
        "login_attempts",
        "oauth_mixins",
        "passwords",
        "permissions",
        "sessions",
        "tokens",
    },
    {"administrators", "api_keys", "forward_auth", "local_logins", "logins"},
    {"oauth2", "questions", "upstream_logouts"},
    {"authorization_server", "deletions"},
    {"administration"},
    {"server", "supervisor"},
    {"web"},
    {"oauth2.handlers"},
    {"admin", "fast_path", "handlers", "ops", "pages"},
    {"app"},
    {"cli"},
    {"__main__"},
)
STANDS_ALONE = {"resource_server"}

# Names the one home of a library; a package includes its submodules.
ONLY_IN = {
    "tornado.web": {"admin", "web", "handlers", "oauth2.handlers", "ops", "app", "pages"},
    "sqlite3": {"storage.sqlite"},
    "motor": {"storage.mongodb"},
    "pymongo": {"storage.mongodb"},
    "bson": {"storage.mongodb"},
    "pydantic": {"settings"},
    "pydantic_settings": {"settings"},
    "click": {"cli"},
    "argon2": {"passwords"},
    "msgspec": {"storage.codec", "readings", "web.answers"},
    "prometheus_client": {"metrics", "supervisor.metrics"},
    "precis_i18n": {"usernames"},
    "confusable_homoglyphs": {"usernames"},
    "pytest": {"storage.contract"},
}
NOWHERE = {"random", "requests", "pickle", "marshal"}
DISTRIBUTIONS = {
    "argon2": "argon2-cffi",
    "bson": "pymongo",
    "confusable_homoglyphs": "confusable-homoglyphs",
    "jwt": "PyJWT",
    "precis_i18n": "precis-i18n",
    "pydantic_core": "pydantic",
    "pydantic_settings": "pydantic-settings",
}
MAY_CATCH_EVERYTHING = {
    "extensions",
    "fast_path",  # as Tornado does around its handlers
    "limited_calls",
    "pending",  # as asyncio does around its callbacks
    "permission_providers",
    "revocations",  # a feed that ended would be missed by nobody
    "server",
}
