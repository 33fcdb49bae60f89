"""The stack's settings: typed, validated, and read from `pulumi.Config` here and nowhere else."""

from components.settings.alicloud import AlicloudSettings
from components.settings.aws import AwsSettings
from components.settings.base import SettingsError, StackSettings, StorageSettings
from components.settings.engine import EngineSettings, WeightsSettings
from components.settings.load import NAMESPACE, PROJECT_FILE, TARGETS, load
from components.settings.local import LOCAL_CLIENT, MAX_REPLICAS, LocalSettings

__all__ = [
    "LOCAL_CLIENT",
    "MAX_REPLICAS",
    "NAMESPACE",
    "PROJECT_FILE",
    "TARGETS",
    "AlicloudSettings",
    "AwsSettings",
    "EngineSettings",
    "LocalSettings",
    "SettingsError",
    "StackSettings",
    "StorageSettings",
    "WeightsSettings",
    "load",
]
