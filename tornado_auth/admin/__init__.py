"""The admin API: for programs of administrators, under /admin/api/.

Owns the list of its endpoints, of which both the routes and the OpenAPI document are made.
"""

import re

from tornado_auth.admin import clients, entry, groups, users
from tornado_auth.admin.access import PUBLIC, AdminHandler
from tornado_auth.admin.openapi import BASE, Endpoint, document
from tornado_auth.admin.operations import operation

__all__ = ["ENDPOINTS", "ROUTES"]


class DocumentEndpoint(AdminHandler):
    """GET /admin/api/openapi.json."""

    @operation("Describe this API", PUBLIC, answer={"type": "object"})
    async def get(self) -> object:
        """Answer with the OpenAPI document."""
        return document(ENDPOINTS)


ENDPOINTS: list[Endpoint] = [
    ("/openapi.json", DocumentEndpoint),
    ("/token", entry.TokenEndpoint),
    ("/first-administrator", entry.FirstAdministratorEndpoint),
    ("/invitations", entry.InvitationsEndpoint),
    ("/users", users.UsersEndpoint),
    ("/users/{user_id}", users.UserEndpoint),
    ("/users/{user_id}/disable", users.DisableUserEndpoint),
    ("/users/{user_id}/enable", users.EnableUserEndpoint),
    ("/users/{user_id}/sessions", users.UserSessionsEndpoint),
    ("/users/{user_id}/identities", users.UserIdentitiesEndpoint),
    ("/users/{user_id}/identities/{identity_id}", users.IdentityEndpoint),
    ("/users/{user_id}/keys", users.UserKeysEndpoint),
    ("/users/{user_id}/groups", users.UserGroupsEndpoint),
    ("/users/{user_id}/roles", users.UserRolesEndpoint),
    ("/users/{user_id}/permissions", users.UserPermissionsEndpoint),
    ("/users/{user_id}/claims", users.UserClaimsEndpoint),
    ("/users/{user_id}/applications", clients.ApplicationsEndpoint),
    ("/users/{user_id}/applications/{client_id}", clients.ApplicationEndpoint),
    ("/service-accounts", users.ServiceAccountsEndpoint),
    ("/sessions/{session_id}", users.SessionEndpoint),
    ("/keys/{key_id}", users.KeyEndpoint),
    ("/groups", groups.GroupsEndpoint),
    ("/groups/{group}", groups.GroupEndpoint),
    ("/groups/{group}/members", groups.MembersEndpoint),
    ("/groups/{group}/members/{user_id}", groups.MemberEndpoint),
    ("/roles", groups.RolesEndpoint),
    ("/roles/{role_id}", groups.RoleEndpoint),
    ("/roles/{role_id}/holders", groups.HoldersEndpoint),
    ("/assignments", groups.AssignmentsEndpoint),
    ("/assignments/{assignment_id}", groups.AssignmentEndpoint),
    ("/mappings", groups.MappingsEndpoint),
    ("/mappings/{mapping_id}", groups.MappingEndpoint),
    ("/clients", clients.ClientsEndpoint),
    ("/clients/{client_id}", clients.ClientEndpoint),
    ("/clients/{client_id}/secret", clients.ClientSecretEndpoint),
    ("/clients/{client_id}/disable", clients.DisableClientEndpoint),
    ("/clients/{client_id}/enable", clients.EnableClientEndpoint),
    ("/initial-access-tokens", clients.InitialAccessTokensEndpoint),
    ("/audit", users.AuditEndpoint),
]


def _pattern(path: str) -> str:
    """Return the route's pattern: what stands in braces is one part of the path."""
    return re.sub(r"\{\w+\}", "([^/]+)", (BASE + path).replace(".", r"\."))


ROUTES = [(_pattern(path), handler) for path, handler in ENDPOINTS]
