"""Every ``GATEWAY_GUARD_*`` variable, declared once: name, type, default, meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway_guard.settings.environment import PREFIX, Environment
from gateway_guard.settings.fields import (
    KEY_SOURCE_PRESETS,
    NAMESPACE_MEANING,
    RETENTION,
    STORE_MEANING,
    ClaimName,
    Contact,
    Count,
    Duration,
    HeaderName,
    Importable,
    Jitter,
    KeySources,
    Namespace,
    Networks,
    Number,
    Paths,
    PositiveDuration,
    Rates,
    Share,
    Size,
    StoreUrl,
)
from gateway_guard.settings.ledgers import LedgerSettings
from gateway_guard.settings.units import parse_duration, parse_size


class Settings(LedgerSettings):
    """What an operator can set; durations in seconds, sizes in bytes.

    A value passed by name beats the environment. ``load_settings`` makes one with errors that name
    the variable; a bare ``Settings()`` raises pydantic's own.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    mode: Literal["enforce", "shadow"] = Field(
        default="enforce",
        description="`enforce` acts on verdicts, `shadow` only records what would have been done",
    )
    warmup: Duration = Field(
        default=parse_duration("7d"),
        description="for so long after the first start nothing that depends on age or popularity "
        "speaks, and throttle is the most severe action, on two families of evidence",
    )
    young: Duration = Field(
        default=parse_duration("7d"),
        description="a key is young for so long after its first successful answer",
    )
    memory: Size = Field(
        default=parse_size("512MiB"), description="bound of what is remembered of all subjects"
    )
    secret: SecretStr | None = Field(
        default=None,
        description="keys every hash; without one it is made once and kept in the state directory, "
        "or for the process's life",
    )
    secret_previous: SecretStr | None = Field(
        default=None,
        description="the secret before the last change: what is known of a key under it goes on",
    )
    state_dir: Path | None = Field(
        default=None, description="directory for what must survive a restart"
    )
    store: StoreUrl = Field(default=None, description=STORE_MEANING)
    namespace: Namespace = Field(default="default", description=NAMESPACE_MEANING)
    retention: PositiveDuration = Field(default=parse_duration("90d"), description=RETENTION)
    policy: Path | None = Field(
        default=None, description="TOML file with entitlements, names and terms"
    )
    model: Path | None = Field(
        default=None,
        description="folder with an own model, which replaces the one that ships: "
        "public pools of questions, weights",
    )
    corpora: Paths = Field(
        default=(), description="files with further pools of questions, built with the model's seed"
    )
    policy_check_seconds: PositiveDuration = Field(
        default=parse_duration("2s"), description="how often to look whether the policy has changed"
    )
    key_sources: KeySources = Field(
        default=KEY_SOURCE_PRESETS["default"],
        description="headers and `?parameters` that carry a caller's key, in the order in which "
        "the upstream looks for it; or whose order that is: `litellm`, `openai`, `azure`, "
        "`anthropic`, `gemini`",
    )
    keys: Literal["use", "ignore"] = Field(
        default="use",
        description="`ignore` where the upstream accepts any key: callers are told apart by "
        "network alone",
    )
    key_claim: ClaimName = Field(
        default=None,
        description="claim by which callers with short-lived tokens (JWT) are told apart, like "
        "`sub`; believed once the upstream has accepted the token, so it must verify them on every "
        "path",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="networks whose forwarded and organisation headers are believed; `unix` for "
        "peers without an address",
    )
    organisation_header: HeaderName = Field(
        default=None, description="header in which a trusted proxy names the caller's organisation"
    )
    max_body: Size = Field(
        default=parse_size("32MB"), description="largest request body that is read as a whole"
    )
    oversize: Literal["refuse", "pass"] = Field(
        default="refuse",
        description="what becomes of larger bodies: 413, or let through, read as far as the limit",
    )
    unparsed: Literal["observe", "refuse"] = Field(
        default="observe", description="what becomes of bodies that no parser understands"
    )
    duplicate_keys: Literal["last", "first", "both"] = Field(
        default="last",
        description="which value the upstream takes of a name that stands twice in a JSON object: "
        "all Python parsers take the last; `both`, which `serve` takes, where that is not known",
    )
    websockets: Literal["observe", "refuse"] = Field(
        default="observe",
        description="what becomes of websockets: each message on them that asks for an answer is "
        "an exchange, or no handshake succeeds",
    )
    buffer_memory: Size = Field(
        default=parse_size("128MiB"), description="bound of all request bodies held at one time"
    )
    buffer_unverified_share: Share = Field(
        default=0.25,
        description="share of it for callers that have not yet had a successful answer",
    )
    body_timeout: PositiveDuration = Field(
        default=parse_duration("60s"), description="how long a request body may take to arrive"
    )
    fail: Literal["open", "closed"] = Field(
        default="open",
        description="what becomes of requests when the guard itself fails: passed on, or 503",
    )
    watch_logit: Number = Field(default=-1.5, description="score from which a subject is watched")
    throttle_logit: Number = Field(
        default=0.0, description="score from which a subject is throttled"
    )
    block_logit: Number = Field(default=2.0, description="score from which a subject is blocked")
    jitter: Jitter = Field(
        default=0.1,
        description="share by which thresholds, minimum samples, rates and block times are moved, "
        "secretly; `off` for none",
    )
    throttle_rates: Rates = Field(
        default=(10.0, 3.0, 1.0), description="requests a minute in the three steps of a throttle"
    )
    step_exchanges: Count = Field(
        default=10, description="exchanges above the threshold that lead to the next step"
    )
    penalty_seconds: PositiveDuration = Field(
        default=parse_duration("15m"),
        description="how long nothing is answered after a `Retry-After` was ignored",
    )
    block_first: PositiveDuration = Field(
        default=parse_duration("1h"), description="length of a first block; further ones grow"
    )
    block_longest: PositiveDuration = Field(
        default=parse_duration("30d"), description="length beyond which blocks do not grow"
    )
    contact: Contact = Field(
        default="your provider's support",
        description="whom a refusal tells callers to turn to: a mail address, a URL",
    )
    read_budget: Size = Field(
        default=parse_size("64KiB"), description="text of one request that is read for features"
    )
    answer_timeout: PositiveDuration = Field(
        default=parse_duration("15m"),
        description="after so long without the start of an answer a request is forgotten",
    )
    app: Importable = Field(
        default=None,
        description="ASGI application that `gateway_guard.asgi:app` stands in front of",
    )
    app_factory: Importable = Field(
        default=None, description="function without arguments that returns that application"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read values given by name first, then the environment; no file that nobody named."""
        del env_settings, dotenv_settings, file_secret_settings
        return init_settings, Environment(settings_cls)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Refuse values that are sound alone and not together."""
        for wrong, complaint in (*self._contradictions_of_keys(), *self._contradictions()):
            if wrong:
                raise ValueError(complaint)
        return self

    def _contradictions_of_keys(self) -> tuple[tuple[bool, str], ...]:
        """Return what must not be of secrets and keys, each with the sentence that says so."""
        return (
            (
                self.secret is not None and not self.secret.get_secret_value(),
                f"{PREFIX}SECRET is empty: any text will do",
            ),
            (
                self.secret_previous is not None and not self.secret_previous.get_secret_value(),
                f"{PREFIX}SECRET_PREVIOUS is empty: leave it out once nothing old is left",
            ),
            (
                self.secret_previous is not None and self.secret in {None, self.secret_previous},
                f"{PREFIX}SECRET_PREVIOUS is what {PREFIX}SECRET was before: set both",
            ),
            (
                self.ledger is not None and self.secret is None and self.state_dir is None,
                f"{PREFIX}LEDGER needs {PREFIX}SECRET or STATE_DIR: else nothing is found in it",
            ),
            (
                self.key_claim is not None and self.keys == "ignore",
                f"{PREFIX}KEY_CLAIM reads keys, which {PREFIX}KEYS=ignore does not",
            ),
        )

    def _contradictions(self) -> tuple[tuple[bool, str], ...]:
        """Return what must not be, each with the sentence that says so."""
        share = self.buffer_memory * self.buffer_unverified_share
        return (
            (
                not self.watch_logit <= self.throttle_logit <= self.block_logit,
                f"{PREFIX}WATCH_LOGIT, THROTTLE_LOGIT and BLOCK_LOGIT must rise in this order",
            ),
            (
                self.block_first > self.block_longest,
                f"{PREFIX}BLOCK_FIRST is longer than {PREFIX}BLOCK_LONGEST",
            ),
            (
                self.max_body > share,
                f"{PREFIX}MAX_BODY exceeds BUFFER_MEMORY times BUFFER_UNVERIFIED_SHARE",
            ),
            (
                self.organisation_header is not None and not self.trusted_proxies,
                f"{PREFIX}ORGANISATION_HEADER counts only from {PREFIX}TRUSTED_PROXIES: name them",
            ),
            (
                self.app is not None and self.app_factory is not None,
                f"{PREFIX}APP and {PREFIX}APP_FACTORY are both set: keep one of them",
            ),
        )
