"""ASGI scope -> principal: credentials, organisation, network prefix, client; keyed ids."""

from gateway_guard.principal.ids import SubjectIds, SubjectKind, subject_id
from gateway_guard.principal.keys import key_id_of
from gateway_guard.principal.reader import Principal, PrincipalReader

__all__ = [
    "Principal",
    "PrincipalReader",
    "SubjectIds",
    "SubjectKind",
    "key_id_of",
    "subject_id",
]
