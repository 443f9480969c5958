"""Airflow itself accepts the provider's metadata, and everything it names exists."""

from __future__ import annotations

import importlib
import json
from importlib.metadata import entry_points
from importlib.resources import files

import jsonschema
import pytest
from airflow.providers.common.compat.sdk import BaseNotifier, conf

from airflow_provider_salesblink import airflow_config
from airflow_provider_salesblink.provider_info import PACKAGE_NAME, get_provider_info


def test_the_info_is_what_the_installed_airflow_accepts() -> None:
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())

    jsonschema.validate(get_provider_info(), schema)


def test_the_entry_point_gives_the_info_of_this_distribution() -> None:
    (found,) = [each for each in entry_points(group="apache_airflow_provider") if each.dist.name == PACKAGE_NAME]

    assert found.load()() == get_provider_info()
    assert get_provider_info()["package-name"] == found.dist.name


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_the_modules_it_names_are_there(kind: str) -> None:
    for group in get_provider_info()[kind]:
        for name in group["python-modules"]:
            importlib.import_module(name)


def test_the_notifiers_it_names_are_there() -> None:
    for name in get_provider_info()["notifications"]:
        module, _, notifier = name.rpartition(".")
        assert issubclass(getattr(importlib.import_module(module), notifier), BaseNotifier)


def test_the_commands_it_names_are_there() -> None:
    for path in get_provider_info()["cli"]:
        module, _, function = path.rpartition(".")
        (group,) = getattr(importlib.import_module(module), function)()
        assert [command.name for command in group.subcommands] == ["test", "plan", "load", "report"]


def test_airflows_providers_manager_offers_the_rest(airflow_database: None) -> None:  # noqa: ARG001
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()

    links = {f"airflow_provider_salesblink.links.{name}" for name in ("CampaignLink", "ReportLink")}
    assert links <= set(manager.extra_links_class_names)
    assert "airflow_provider_salesblink.notifications.campaigns.PauseCampaignNotifier" in manager.notification
    assert {f"airflow_provider_salesblink.triggers.{name}" for name in ("campaigns", "events", "prospects")} <= {
        info.trigger_class_name for info in manager.trigger
    }
    kind = "asset" if hasattr(manager, "asset_uri_handlers") else "dataset"
    for what in ("factories", "uri_handlers", "to_openlineage_converters"):
        assert "salesblink" in getattr(manager, f"{kind}_{what}")


def test_the_configuration_has_its_defaults() -> None:
    from airflow.providers_manager import ProvidersManager

    ProvidersManager().initialize_providers_configuration()

    assert (
        conf.get(airflow_config.SECTION, airflow_config.CAMPAIGN_PAGE_ROOT) == airflow_config.CAMPAIGN_PAGE_ROOT_DEFAULT
    )


def test_airflows_providers_manager_offers_the_connection_type(airflow_database: None) -> None:  # noqa: ARG001
    try:
        from airflow.providers_manager import ProvidersManager
    except ImportError:
        pytest.fail("Airflow's providers manager has moved")

    hook = ProvidersManager().hooks["salesblink"]

    assert hook is not None
    assert hook.hook_name == "SalesBlink"
    assert hook.connection_id_attribute_name == "salesblink_conn_id"
    assert hook.connection_testable
