# SPDX-License-Identifier: GPL-3.0-or-later
"""What is documented is what is so: roles, modules, filters."""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import pytest
import yaml
from documented import options_of

from .repo import ROOT, below, files, load, read

PLUGINS = "ansible_collections.agnes.host.plugins"
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
MODULES = [PurePath(name).stem for name in below("plugins/modules") if name.endswith(".py")]
FILTERS = [PurePath(name).stem for name in below("plugins/filter") if name.endswith(".yml")]
FILTER_FILES = [name for name in below("plugins/filter") if name.endswith(".py")]

TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "path": (str,),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "list": (list,),
    "dict": (dict,),
    "raw": (str, list),
}


def defaults_of(role: str) -> dict[str, Any]:
    name = f"roles/{role}/defaults/main.yml"
    return (load(name) if name in files() else None) or {}


def entry_points(role: str) -> dict[str, Any]:
    specs: dict[str, Any] = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]
    return specs


@pytest.mark.parametrize("role", ROLES)
def test_each_default_of_a_role_is_specified_and_each_option_has_its_default(role: str) -> None:
    defaults, points = defaults_of(role), entry_points(role)
    assert set(points["main"]["options"]) == set(defaults)
    for point, spec in points.items():
        for name, option in spec["options"].items():
            assert "default" in option, (point, name)
            assert (option["default"], type(option["default"])) == (
                defaults[name], type(defaults[name]),
            ), (point, name)  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_each_default_of_a_role_has_the_type_that_is_specified(role: str) -> None:
    for spec in entry_points(role).values():
        for name, option in spec["options"].items():
            value = option["default"]
            assert isinstance(value, TYPES[option["type"]]), name
            assert option["type"] == "bool" or not isinstance(value, bool), name
            assert "choices" not in option or value in option["choices"], name
            assert option["description"], name


@pytest.mark.parametrize("role", ROLES)
def test_the_readme_of_a_role_has_each_option_and_no_other(role: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", read(f"roles/{role}/README.md"), re.MULTILINE)
    assert rows == [*entry_points(role)["main"]["options"]]


def inventory_of_the_readme() -> dict[str, Any]:
    """The group of the inventory that README.md has a new user write."""
    block = re.findall(r"(?m)^    agnes:\n(?:    .*\n)+", read("README.md"))
    assert len(block) == 1
    inventory: dict[str, Any] = yaml.safe_load(textwrap.dedent(block[0]))["agnes"]
    return inventory


def test_the_inventory_of_the_readme_is_what_the_scenario_of_certificates_runs() -> None:
    """A variable that no role has does nothing; one that no host is made with was never tried."""
    group = inventory_of_the_readme()
    assert [*group["hosts"]] == [group["vars"]["agnes_compose_env"]["DOMAIN"]]
    options = {
        name: option
        for role in ROLES
        for name, option in entry_points(role)["main"]["options"].items()
    }
    tried = load("molecule/shared/inventory.yml")["agnes"]["vars"] | {
        name: value
        for variables in load("molecule/certificates/inventory.yml")["agnes"]["hosts"].values()
        for name, value in variables.items()
    }
    for name, value in group["vars"].items():
        assert isinstance(value, TYPES[options[name]["type"]]), name
        assert name in tried, name
    said = group["vars"]
    assert said["agnes_compose_profiles"] == tried["agnes_compose_profiles"]
    assert [*said["agnes_compose_env"]] == [*tried["agnes_compose_env"]]


def test_the_action_group_has_each_module() -> None:
    assert load("meta/runtime.yml")["action_groups"] == {"all": MODULES}


@pytest.mark.parametrize("role", ROLES)
def test_each_entry_point_is_a_task_file_with_a_spec(role: str) -> None:
    for point in entry_points(role):
        assert f"roles/{role}/tasks/{point}.yml" in files()


class Captured(Exception):
    """What a module gave to AnsibleModule."""


def argument_spec(module: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    def capture(**arguments: Any) -> None:
        raise Captured(arguments)

    monkeypatch.setattr(module, "Module", capture)
    with pytest.raises(Captured) as captured:
        module.main()
    spec: dict[str, Any] = captured.value.args[0]
    return spec


def normal(option: dict[str, Any]) -> dict[str, Any]:
    """An option of a spec or of documentation, with what is said by silence."""
    sub = option.get("options") or option.get("suboptions") or {}
    return {
        "type": option.get("type", "str"),
        "required": bool(option.get("required", False)),
        "default": option.get("default"),
        "elements": option.get("elements"),
        "choices": option.get("choices"),
        "aliases": option.get("aliases") or [],
        "options": {name: normal(item) for name, item in sub.items()},
    }


@pytest.mark.parametrize("name", MODULES)
def test_the_spec_of_a_module_is_its_documentation(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(f"{PLUGINS}.modules.{name}")
    documentation = yaml.safe_load(module.DOCUMENTATION)
    arguments = argument_spec(module, monkeypatch)
    assert documentation["module"] == name
    assert {key: normal(item) for key, item in arguments["argument_spec"].items()} == {
        key: normal(item) for key, item in options_of(name).items()
    }
    support = documentation["attributes"]["check_mode"]["support"]
    assert arguments.get("supports_check_mode", False) is (support != "none")


SECRET = ("secret", "private_key", "password", "token")


@pytest.mark.parametrize("name", MODULES)
def test_an_option_that_sounds_like_a_secret_is_never_logged(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(f"{PLUGINS}.modules.{name}")
    for option, spec in argument_spec(module, monkeypatch)["argument_spec"].items():
        if any(word in option for word in SECRET):
            assert spec.get("no_log") is True, option


@pytest.mark.parametrize("name", MODULES)
def test_examples_and_results_of_a_module_are_yaml_and_use_the_full_name(name: str) -> None:
    module = importlib.import_module(f"{PLUGINS}.modules.{name}")
    tasks = yaml.safe_load(module.EXAMPLES)
    assert any(f"agnes.host.{name}" in task for task in tasks)
    known = set(options_of(name))
    for task in tasks:
        assert set(task.get(f"agnes.host.{name}") or {}) <= known
    assert all(item["description"] for item in yaml.safe_load(module.RETURN).values())


def filters() -> dict[str, Callable[..., Any]]:
    by_name: dict[str, Callable[..., Any]] = {}
    for path in FILTER_FILES:
        module = importlib.import_module(f"{PLUGINS}.filter.{PurePath(path).stem}")
        by_name.update(module.FilterModule().filters())
    return by_name


def test_each_filter_has_its_documentation_and_each_documentation_its_filter() -> None:
    assert sorted(filters()) == FILTERS


@pytest.mark.parametrize("name", FILTERS)
def test_the_options_of_a_filter_are_its_parameters(name: str) -> None:
    documentation = load(f"plugins/filter/{name}.yml")["DOCUMENTATION"]
    assert documentation["name"] == name
    # A filter that refuses is wrapped; the function it wraps has the filter's name.
    named = filters()[name]
    function = getattr(inspect.getmodule(named), name, None) or named
    parameters = [
        item
        for item in inspect.signature(function).parameters.values()
        if item.kind is not inspect.Parameter.VAR_KEYWORD
    ][1:]
    options = {key: item for key, item in documentation["options"].items() if key != "_input"}
    assert documentation["options"]["_input"]["required"] is True
    assert [*options] == [item.name for item in parameters]
    positional = documentation.get("positional") or []
    words = positional if isinstance(positional, list) else positional.split(",")
    assert [word.strip() for word in words] == [*options]
    for item in parameters:
        option = options[item.name]
        has_default = item.default is not inspect.Parameter.empty
        assert bool(option.get("required")) is not has_default, item.name
        if has_default:
            assert option["default"] == item.default or not (option["default"] or item.default)


@pytest.mark.parametrize("name", FILTERS)
def test_the_examples_of_a_filter_use_it_by_its_full_name(name: str) -> None:
    assert f"agnes.host.{name}" in load(f"plugins/filter/{name}.yml")["EXAMPLES"]


@pytest.mark.parametrize("name", MODULES)
def test_each_module_ends_by_the_one_way_that_makes_text(name: str) -> None:
    module = importlib.import_module(f"{PLUGINS}.modules.{name}")
    assert module.Module.__module__ == f"{PLUGINS}.module_utils.output"
    assert not hasattr(module, "AnsibleModule")
