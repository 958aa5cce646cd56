# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a rollout's report, as text; tests/browser opens it."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest
import rollout_results as results
from ansible.errors import AnsibleError, AnsibleFilterError

from ansible_collections.agnes.host.plugins.filter.report import (
    rollout_join,
    rollout_page,
    rollout_report,
)

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&`{{ 7 * 7 }}"
VOID = {"meta", "link", "input"}


class Page(HTMLParser):
    """The elements and texts of a page. Fails where an element is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        (self.scripts if self.stack[-1:] == ["script"] else self.texts).append(data)


def page_of(result: dict[str, Any]) -> Page:
    return Page(rollout_page(rollout_report(result)))


def evil_in(value: Any) -> Any:
    """A result in which every text that a host or an inventory could choose is hostile."""
    if isinstance(value, list):
        return [evil_in(each) for each in value]
    if isinstance(value, dict):
        kept = ("at", "began", "ended", "kind", "outcome", "stage", "code")
        return {key: each if key in kept else evil_in(each) for key, each in value.items()}
    return f"{value}{EVIL}" if isinstance(value, str) else value


@pytest.mark.parametrize("outcome", ["failed", "lost", "refused", "done", "untouched"])
def test_a_page_of_hostile_texts_has_the_same_elements_as_one_of_plain_texts(outcome: str) -> None:
    plain = {
        **results.few(), "halt": "no", "controller": "x",
        "hosts": [
            results.host("a", outcome=outcome, message="m", log=["l"], proofs=["p"], wave="w"),
            results.host("b", "other", message="m", code="", wave="w"),
        ],
    }  # fmt: skip
    hostile = page_of(evil_in(plain))
    assert [tag for tag, _attributes in hostile.elements] == [
        tag for tag, _attributes in page_of(plain).elements
    ]
    assert not [
        a for _tag, attributes in hostile.elements for a in attributes if a.startswith("on")
    ]
    # A backtick in a message is shown as it is; the rest arrives letter by letter.
    assert any(EVIL in text for text in hostile.texts)
    assert len(hostile.scripts) == 1 and "alert" not in hostile.scripts[0]


def test_a_page_loads_nothing_and_runs_its_own_script_only() -> None:
    page = page_of(results.many())
    for tag, attributes in page.elements:
        assert tag not in ("img", "iframe", "object", "base")
        assert "src" not in attributes
        assert attributes.get("href", "#")[:1] == "#" or attributes["href"] == "data:,"
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv"))
    digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ") and "http" not in policy
    assert not re.search(
        r"url\(|@import|fetch\(|XMLHttp", rollout_page(rollout_report(results.few()))
    )


def test_each_host_is_on_the_page_once_and_each_link_to_one_has_its_target() -> None:
    page = page_of(results.many())
    ids = [attributes["id"] for _tag, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert sum("data-order" in attributes for _tag, attributes in page.elements) == 100
    links = {a["href"][1:] for tag, a in page.elements if tag == "a"}
    assert links and links <= set(ids)


def test_a_refusal_comes_with_what_to_do_about_it() -> None:
    text = " ".join(" ".join(page_of(results.few()).texts).split())
    assert "Not proved blank" in text
    assert "Attach a blank disk" in text


def test_secrets_of_the_inventory_are_not_in_a_report() -> None:
    class Broken(dict[str, Any]):
        def get(self, name: str, *_default: Any) -> Any:
            if name in ("agnes_compose_secrets", "agnes_compose_env"):
                raise AnsibleError("no vault password")

    result = {**results.few(), "hosts": [results.host("a", message="AH145: hunter22 and abcdefgh")]}
    hosts = [
        {"inventory_hostname": "a", "agnes_compose_secrets": {"TOKEN": "hunter22"}},
        {
            "inventory_hostname": "b",
            "agnes_compose_env": {"KEY": "abcdefgh", "AGNES_TAG": "stable"},
        },
        Broken(inventory_hostname="c"),
    ]
    report = rollout_report(result, hosts)
    assert report["hosts"][0]["message"] == "(hidden) and (hidden)"


def test_reports_that_can_not_be_joined_are_an_error_of_the_task() -> None:
    with pytest.raises(AnsibleFilterError, match="format 7"):
        rollout_join([{"format": 7}])


def test_what_the_roles_and_the_gate_have_left_is_in_the_report_of_a_host_that_came_through() -> (
    None
):
    left = {
        "__disks_done": {"actions": [{"what": "/dev/sdb", "before": "blank", "after": "ext4"}]},
        "__state_layout_moved": {"actions": [{"what": "move: commit", "before": "to be done", "after": "done"}]},
        "__rollout_stack": {
            "proved": {"agnes-app-1": ["/data"], "agnes-caddy-1": ["/data"]},
            "images": {"agnes:1": {"id": "sha256:1", "digests": [], "services": ["app"], "running": {"agnes-app-1": "sha256:1"}}},
        },
        "__rollout_row": {"stdout": '{"id": 7}\n'},
        "__rollout_plan": {"move": {"downtime": "a second"}},
    }  # fmt: skip
    bare = {key: results.few()[key] for key in ("at", "waves")}
    own = {"name": "", "began": "2026-11-28T21:00:00Z", "ended": "2026-11-28T21:00:09Z"}
    said = [{**own, "name": "a", "outcome": "done"}, {**own, "name": "b", "outcome": "failed"}]
    hosts = [{"inventory_hostname": name, **left} for name in ("a", "b")]
    report = rollout_report({**bare, "hosts": said}, hosts, "2026-11-28T20:59:00Z", True)
    came, failed = report["hosts"]
    assert [change["what"] for change in came["changed"]] == ["/dev/sdb", "move: commit"]
    assert came["downtime_expected"] == "a second"
    assert came["proofs"] == [
        "the stack is healthy, and data and state are on their disks, as seen inside of 2 containers: agnes-app-1, "
        "agnes-caddy-1",
        "each container runs the image that its service names: agnes:1 (sha256:1)",
        'a row was committed through the app and read back ({"id": 7})',
    ]
    # Its plan has left the same, and that is no proof.
    assert failed["proofs"] == []
    (run,) = report["runs"]
    assert run["check"] and run["began"] == "2026-11-28T20:59:00Z" and "@" in run["controller"]
