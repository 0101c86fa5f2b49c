"""trimtab.toml and the environment -> typed, frozen settings and prices. Errors name file, line and key.

`app/` loads settings once and hands each room its part; rooms above import the types. Nothing here opens a
connection or keeps state.
"""

from trimtab.config.check import SHIPPED_POLICIES, check_settings, is_function, served_models
from trimtab.config.environment import database_of, secrets_of
from trimtab.config.example import example_toml
from trimtab.config.load import Loaded, load, load_settings, load_text
from trimtab.config.prices import PriceTable, is_private, price_of, prices_of, published_name
from trimtab.config.settings import (
    BreakerSettings,
    BudgetSettings,
    ClassifySettings,
    ContentMode,
    ControllerSettings,
    EndpointSettings,
    HedgingSettings,
    HostingSettings,
    LedgerSettings,
    ModelSettings,
    PolicySettings,
    PriceSettings,
    RateSettings,
    RuleSettings,
    ServerSettings,
    Settings,
    TelemetrySettings,
    TenantSettings,
    TierSettings,
    TimeoutSettings,
    ToolSettings,
    TraceSettings,
    VerifierSettings,
    WorkflowSettings,
    WorkflowToolSettings,
)
from trimtab.config.source import Key, Source

__all__ = [
    "SHIPPED_POLICIES",
    "BreakerSettings",
    "BudgetSettings",
    "ClassifySettings",
    "ContentMode",
    "ControllerSettings",
    "EndpointSettings",
    "HedgingSettings",
    "HostingSettings",
    "Key",
    "LedgerSettings",
    "Loaded",
    "ModelSettings",
    "PolicySettings",
    "PriceSettings",
    "PriceTable",
    "RateSettings",
    "RuleSettings",
    "ServerSettings",
    "Settings",
    "Source",
    "TelemetrySettings",
    "TenantSettings",
    "TierSettings",
    "TimeoutSettings",
    "ToolSettings",
    "TraceSettings",
    "VerifierSettings",
    "WorkflowSettings",
    "WorkflowToolSettings",
    "check_settings",
    "database_of",
    "example_toml",
    "is_function",
    "is_private",
    "load",
    "load_settings",
    "load_text",
    "price_of",
    "prices_of",
    "published_name",
    "secrets_of",
    "served_models",
]
