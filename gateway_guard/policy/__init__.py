"""The operator's policy: who is entitled to what, what keys are called, which terms apply.

A policy is a TOML file, named by ``GATEWAY_GUARD_POLICY`` and read again when it changes. One that
cannot be used stops the start; later on the last good one stays in force. Names that are not known
are errors::

    [[entitlement]]                                  # any number of them
    key_id = "01f0..."                               # as `gateway-guard key-id` prints it
    end_user = "team-7"                              # optional: only this user within the key
    # organisation = "Example Ltd"                   # instead of key_id: as the header names it
    grant = "exempt"                                 # or "watch": never slowed, but looked at
    purpose = "licensed distillation, contract 17"
    expires = 2027-06-30                             # that day included, UTC; or a date with time

    [names]
    "01f0..." = "search team, production"            # shown instead of the id

    [[terms]]                                        # the first one that matches counts
    models = ["gpt-*", "o?"]                         # globs; letter case does not matter
    routes = ["/v1/*"]                               # globs over the path; one of both will do
    title = "Usage policy, section 3"                # cited in refusals
    clause = "Output may not be used to train competing models."
    url = "https://example.com/terms"                # optional

Without ``[[terms]]`` a built-in clause covers every model; with some, models and routes that none
of them matches are at most watched. Entitled traffic is scored all the same.
"""

from gateway_guard.policy.file import PolicyFile, read_policy
from gateway_guard.policy.rules import BUILT_IN_TERMS, Caller, Entitlement, Policy, Terms, TermsRule

__all__ = [
    "BUILT_IN_TERMS",
    "Caller",
    "Entitlement",
    "Policy",
    "PolicyFile",
    "Terms",
    "TermsRule",
    "read_policy",
]
