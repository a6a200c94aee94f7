"""Each address of the admin API, with the methods that it answers."""

GET, GET_POST, GET_DELETE = ["GET", "HEAD"], ["GET", "HEAD", "POST"], ["GET", "HEAD", "DELETE"]
POST, DELETE = ["POST"], ["DELETE"]
ALL = ["GET", "HEAD", "PUT", "DELETE"]

ADMIN_ADDRESSES = {
    f"/admin/api/{path}": methods
    for path, methods in {
        "openapi.json": GET,
        "token": POST,
        "first-administrator": POST,
        "invitations": POST,
        "users": GET,
        "users/ann": GET_DELETE,
        "users/ann/disable": POST,
        "users/ann/enable": POST,
        "users/ann/sessions": GET_DELETE,
        "users/ann/identities": GET_POST,
        "users/ann/identities/github:1": DELETE,
        "users/ann/keys": GET_POST,
        "users/ann/groups": GET,
        "users/ann/roles": GET,
        "users/ann/permissions": GET,
        "users/ann/claims": ["GET", "HEAD", "PUT"],
        "users/ann/applications": GET,
        "users/ann/applications/c-x": DELETE,
        "service-accounts": POST,
        "sessions/x": DELETE,
        "keys/x": DELETE,
        "groups": GET,
        "groups/g": ALL,
        "groups/g/members": GET,
        "groups/g/members/ann": ["PUT", "DELETE"],
        "roles": GET,
        "roles/wiki:reader": ALL,
        "roles/wiki:reader/holders": GET,
        "assignments": GET_POST,
        "assignments/x": DELETE,
        "mappings": GET_POST,
        "mappings/x": DELETE,
        "clients": GET_POST,
        "clients/c-x": ["GET", "HEAD", "PATCH", "DELETE"],
        "clients/c-x/secret": POST,
        "clients/c-x/disable": POST,
        "clients/c-x/enable": POST,
        "initial-access-tokens": POST,
        "audit": GET,
    }.items()
}
