# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit finds: one table of faults, and nothing on a host that is right."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.host import audit, audit_report
from ansible_collections.agnes.host.plugins.module_utils.core.host.audit import (
    DAY,
    ERROR,
    KINDS,
    LEVELS,
    NOTE,
    WARNING,
    audited,
    findings,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.copiers import (
    called,
    copying_lines,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.facts import Host
from ansible_collections.agnes.host.plugins.module_utils.core.host.keepers import keeper_of
from ansible_collections.agnes.host.plugins.module_utils.core.host.parts import ASKED, said
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan

from .hosts import (
    STATE,
    certificates,
    container,
    device,
    env,
    ext4,
    flat_host,
    holds,
    host,
    nested_host,
    place,
    volume,
)
from .moving import intent
from .shadows import USED, shadow

RECORD = {"format": 1, "disks": {"data": {"uuid": "u-data"}, "state": {"uuid": "u-state"}}}
UNTIL = "Mar  1 00:00:00 2027 GMT"
ENV = "/opt/agnes/.env"


def action(what: str, before: str = "absent", after: str = "there") -> dict[str, str]:
    return {"what": what, "before": before, "after": after}


def upkeep(**differs: Any) -> dict[str, Any]:
    """Filesystems half full, a certificate that is good for a year, and nothing else."""
    return {
        "filesystems": [filesystem()], "certificates": {"/data-state": 365 * DAY}, "retired": [],
        "discarded": {"/data/state": [], "/data-state": []}, "foreign": {}, "mount_units": [],
        "copiers": [], "unknown": [], **differs,
    }  # fmt: skip


def filesystem(**differs: Any) -> dict[str, Any]:
    made = {"path": "/data", "used": 1 << 30, "free": 1 << 30, "used_inodes": 10, "free_inodes": 90}
    return {**made, **differs}


def copier(place: str, inside: bool = False) -> dict[str, Any]:
    return {"path": "/etc/cron.d/backup", "line": 3, "place": place, "inside": inside}


def parts(**differs: dict[str, Any]) -> dict[str, Any]:
    calm = {name: said() for name in ASKED}
    return {
        "layout": "flat", "mounted": ["/data", "/data-state"], "proof": True, **calm, **differs,
    }  # fmt: skip


def line(point: str, maj_min: str, number: int = 1) -> dict[str, Any]:
    """A line of fstab, as the observation has it."""
    return {
        "line": number, "spec": f"UUID=u{maj_min}", "mount_point": point, "fstype": "ext4",
        "maj_min": maj_min,
    }  # fmt: skip


def healthy(**differs: Any) -> Host:
    """A flat host that is right, but for what differs."""
    placed = {"found": "found", "same": False, "until": UNTIL, "expired": False}
    known = {
        "record": RECORD, "parts": parts(), "upkeep": upkeep(),
        "certificates": certificates(placed={"/data-state": placed}),
        "fstab": [line("/data", "8:16"), line("/data-state", "8:32", 2)],
    }  # fmt: skip
    return flat_host(**{**known, **differs})


def findings_on(observed: Host, **request: Any) -> list[tuple[str, str, str]]:
    plan = make_plan(observed, request)
    return [(each["code"], each["level"], each["sentence"]) for each in findings(observed, plan)]


def test_a_healthy_host_has_no_finding() -> None:
    assert findings_on(healthy()) == []


def with_shadow(**differs: Any) -> Host:
    observed = healthy()
    observed["protection"]["/data-state"] = "filled"
    observed["moving"]["shadows"] = {"/data-state": shadow({**USED}, {}, **differs)}
    return observed


def moving() -> Host:
    observed = healthy(parts={})
    observed["moving"]["intent"] = intent("flat", "nested")
    return observed


TABLE: list[Any] = [
    pytest.param(
        nested_host(record=RECORD, upkeep=upkeep(mount_units=["/data", "/data/state"])), {"wanted": "flat"},
        ("AH212", WARNING, "layout flat is wanted, and state is in layout nested; see with 'site.yml --check' what "
         "the move would do, then run site.yml, or correct what is wanted"), id="another-layout",
    ),
    pytest.param(
        moving(), {},
        ("AH213", ERROR, "a move from layout flat to nested is not ended; run site.yml, which goes on with it"),
        id="a-move-that-is-not-ended",
    ),
    pytest.param(
        healthy(record={"format": 1, "disks": {"data": {"uuid": "u-data"}}}), {},
        ("AH214", WARNING, "the state disk is not as it must be: a run would record /dev/sdX at /data-state, which "
         "this host's record lacks; see with 'site.yml --check' that this is right, then run site.yml"), id="a-record-without-a-disk",
    ),
    pytest.param(
        healthy(protection={"/data": "immutable", "/data-state": "writable"}), {},
        ("AH214", WARNING, "the state disk is not as it must be: a run would make the mount point /data-state "
         "itself immutable; see with 'site.yml --check' that this is right, then run site.yml"), id="an-unprotected-mount-point",
    ),
    pytest.param(
        healthy(protection={"/data": "filled"}), {},
        ("AH228", NOTE, "the mount at '/data' shadows files, which nobody sees; look at them as AH228 in "
         "docs/errors.md shows, and move aside what is not needed"), id="shadowed-files",
    ),
    pytest.param(
        healthy(protection={"/data": "unknown"}), {},
        ("AH227", WARNING, "what the mount at '/data' shadows could not be looked at (no reason is known); see "
         "to that, and audit again"), id="unknown-shadowed",
    ),
    pytest.param(
        healthy(parts=parts(tree=said([action("/data/uploads", "owner 0:0", "owner 999:999")]))), {},
        ("AH215", WARNING, "'/data/uploads' is not as a run leaves it (found owner 0:0, wanted owner 999:999); run "
         "site.yml"), id="owner",
    ),
    pytest.param(
        healthy(parts=parts(project=said([action(ENV, "(none)", "AGNES_TLS_FULLCHAIN_PATH=/x")]))), {},
        ("AH216", WARNING, "'/opt/agnes/.env' is not as a run leaves it (found (none), wanted "
         "AGNES_TLS_FULLCHAIN_PATH=/x); find out what wrote it, then run site.yml"), id="env",
    ),
    pytest.param(
        # What a run would do because of that is no second finding.
        healthy(containers=[container("app")], parts=parts(
            project=said([action("/opt/agnes/docker-compose.flat-mount.yml", "9 bytes", "12 bytes")]),
            stack=said([action("service app", "to recreate", "up")]),
        )), {},
        ("AH217", WARNING, "'/opt/agnes/docker-compose.flat-mount.yml' is not what today's compose files and the "
         "layout need (found 9 bytes, wanted 12 bytes); run site.yml"), id="overlay",
    ),
    pytest.param(
        healthy(parts=parts(stack=said([action("service app", "to recreate", "up")]))), {},
        ("AH218", WARNING, "service app is not as it must be (to recreate); run site.yml"), id="another-service",
    ),
    pytest.param(
        healthy(parts=parts(stack=said([action("service app", "to start", "up")]))), {},
        ("AH218", ERROR, "service app is not as it must be (to start); run site.yml"), id="service-down",
    ),
    pytest.param(
        healthy(parts=parts(caddy=said([action("certificate that is served", "sha256:1", "sha256:2")]))), {},
        ("AH219", WARNING, "Caddy does not serve the certificate that it must (certificate that is served: sha256:1); run "
         "site.yml"),
        id="certificate-served",
    ),
    pytest.param(
        healthy(upkeep=upkeep(certificates={"/data-state": 30 * DAY - 1})), {},
        ("AH220", WARNING, f"the certificate in /data-state/certs ends in 29 days ({UNTIL}); place a new one, or see "
         "why the rotation does not"), id="certificate-ends",
    ),
    pytest.param(
        healthy(upkeep=upkeep(certificates={"/data-state": 2 * DAY - 1})), {},
        ("AH220", ERROR, f"the certificate in /data-state/certs ends in 1 day ({UNTIL}); place a new one, or see why "
         "the rotation does not"), id="certificate-ends-soon",
    ),
    pytest.param(
        # The plan has a note of it, too.
        healthy(
            upkeep=upkeep(certificates={"/data-state": -3 * DAY}),
            certificates=certificates(
                placed={"/data-state": {"found": "found", "same": False, "until": UNTIL, "expired": True}}
            ),
        ), {},
        ("AH220", ERROR, f"the certificate in /data-state/certs has ended 3 days ago ({UNTIL}); place a new one, or "
         "see why the rotation does not"), id="certificate-ended",
    ),
    pytest.param(
        healthy(upkeep=upkeep(filesystems=[filesystem(used=86 << 20, free=14 << 20)])), {},
        ("AH221", WARNING, "86 % of the filesystem at '/data' is in use (14 MiB are free); make room, or grow it"),
        id="full",
    ),
    pytest.param(
        healthy(upkeep=upkeep(filesystems=[filesystem(used_inodes=96, free_inodes=4)])), {},
        ("AH221", ERROR, "96 % of the inodes of the filesystem at '/data' is in use (4 are free); make room, or grow "
         "it"), id="inodes",
    ),
    pytest.param(
        healthy(upkeep=upkeep(retired=[
            {"path": "/data/.agnes-host-aside/x", "bytes": 2048, "files": 3, "newest": ""}
        ])), {},
        ("AH222", NOTE, "set aside by a run: /data/.agnes-host-aside/x (3 files, 2 KiB); purge.yml deletes what you "
         "name"), id="retired",
    ),
    pytest.param(
        healthy(data_volume={"name": "agnes_data", "bind": "/data"}), {},
        ("AH223", WARNING, "volume 'agnes_data' is left over (it binds /data, its options can't be changed, and a "
         "service that uses it sees the wrong disk); 'docker volume rm agnes_data' removes it"), id="volume",
    ),
    pytest.param(
        healthy(elsewhere=[volume()]), {},
        ("AH223", NOTE, "volume 'agnes_data' is left over (it has state/system.duckdb, and no container uses it); if "
         "nothing of it is needed, name it in disks_left_behind"), id="left-over",
    ),
    pytest.param(
        healthy(upkeep=upkeep(foreign={"/data-state": {"system.duckdb.wal": 0}})), {},
        ("AH224", ERROR, "'/data-state/system.duckdb.wal' belongs to uid 0, and the product, which is uid 999, can't "
         "write to it; find out who made it, then 'chown 999:999 /data-state/system.duckdb.wal'"), id="wal-of-root",
    ),
    pytest.param(
        healthy(room={"/data": 8 << 30}), {"grow": "true"},
        ("AH214", WARNING, "the data disk is not as it must be: a run would grow the filesystem at /data to the 16 GiB "
         "of /dev/sdX; see with 'site.yml --check' that this is right, then run site.yml"), id="grown",
    ),
    pytest.param(
        healthy(state={
            "/data/state": place("link", target="/data-state"),
            "/data-state": place(mounted=True, names=STATE, database=True, marker={"format": 1, "role": "active"}),
        }, generation={"format": 1, "generation": 2, "at": "2026-03-01 10:00:00"}), {},
        ("AH186", ERROR, "the state in /data-state is older than this host has had it (count 0 on the state disk, 2 on "
         "the host since 2026-03-01 10:00:00), as after a restore from a snapshot, so nothing is started on it; attach "
         "the newer disk, or, to go on with this one: 'agnes-host rebind --state u-state --because restore'"),
        id="older-snapshot",
    ),
    pytest.param(
        healthy(fstab=[line("/data", "8:16")]), {},
        ("AH214", ERROR, "the state disk is mounted at /data-state now, and may not be after the next boot: /etc/fstab "
         "has no line for it; correct that as AH214 in docs/errors.md shows"), id="no-line-in-fstab",
    ),
    pytest.param(
        healthy(fstab=[line("/data", "8:99", 7), line("/data-state", "8:32")]), {},
        ("AH214", ERROR, "the data disk is mounted at /data now, and may not be after the next boot: line 7 of "
         "/etc/fstab names 'UUID=u8:99', which is not this disk; correct that as AH214 in docs/errors.md shows"),
        id="another-disk-in-fstab",
    ),
    pytest.param(
        healthy(upkeep=upkeep(copiers=[copier("/data/state")])), {},
        ("AH225", WARNING, "line 3 of /etc/cron.d/backup copies /data/state, which is a link, and tar, rsync and find "
         "take the link without what is in it; let it copy /data-state/"), id="backup-of-a-link",
    ),
    pytest.param(
        healthy(keepers={"watchdog": keeper_of("/w.sh", "find /data/state -name x")}), {},
        ("AH225", WARNING, "the product's watchdog (/w.sh) searches /data/state, and find follows no link: a discarded "
         "WAL is not reported"), id="watchdog",
    ),
    pytest.param(
        healthy(accounts={"user": "mallory", "group": ""}), {},
        ("AH226", NOTE, "uid 999 is account 'mallory' on this host, which can read state files"), id="note",
    ),
    pytest.param(
        healthy(parts=parts(stack=said(unknown="service 'app' is starting"))), {},
        ("AH227", WARNING, "the stack could not be looked at (service 'app' is starting); see to that, and audit "
         "again"), id="unknown-part",
    ),
    pytest.param(
        healthy(upkeep=upkeep(unknown=[["the filesystem at '/data'", "Input/output error"]])), {},
        ("AH227", WARNING, "the filesystem at '/data' could not be looked at (Input/output error); see to that, and "
         "audit again"), id="unknown-upkeep",
    ),
    pytest.param(
        healthy(upkeep=upkeep(discarded={"/data-state": ["system.duckdb.wal.discarded.1"]})), {},
        ("AH229", ERROR, "the product has discarded a part of its database: system.duckdb.wal.discarded.1 in "
         "/data-state; what was committed last is only there: see AH229 in docs/errors.md before anything is "
         "deleted"), id="wal-discarded",
    ),
    pytest.param(
        healthy(env=env()), {},
        ("AH004", ERROR, "/opt/agnes/.env puts state at '/data/state', but there is none; state was found at "
                         "'/data-state': set STATE_DIR=/data-state again if that is this host's state, and find out "
                         "what rewrote the file"), id="refused-by-the-plan",
    ),
    pytest.param(
        healthy(parts=parts(stack=said(refusal="AH048: containers see something else", code="AH048"))), {},
        ("AH048", ERROR, "containers see something else"), id="refused-by-a-part",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "request_", "wanted"), TABLE)
def test_a_fault_is_that_finding_and_no_other(
    observed: Host, request_: dict[str, Any], wanted: tuple[str, str, str]
) -> None:
    assert findings_on(observed, **request_) == [wanted]


def test_a_shadowed_copy_is_one_finding_in_the_words_of_the_plan() -> None:
    (finding,) = findings_on(with_shadow())
    assert finding[:2] == ("AH228", WARNING)
    assert finding[2].startswith("the mount at /data-state shadows what may be a second copy")


CALM: list[Any] = [
    pytest.param(
        {"fstab": [], "upkeep": upkeep(mount_units=["/data", "/data-state"])}, {}, id="mount-units"
    ),
    pytest.param({"upkeep": upkeep(copiers=[copier("/data/state", True)])}, {}, id="into-the-link"),
    pytest.param({"upkeep": upkeep(copiers=[copier("/data-state")])}, {}, id="right-backup"),
    pytest.param({"elsewhere": [volume()]}, {"left_behind": ["agnes_data"]}, id="left-behind"),
    pytest.param({"upkeep": upkeep(foreign={"/data/state": {"system.duckdb": 0}})}, {}, id="of-another-place"),
]  # fmt: skip


@pytest.mark.parametrize(("differs", "request_"), CALM)
def test_what_is_known_or_harmless_is_at_most_a_note(
    differs: dict[str, Any], request_: dict[str, Any]
) -> None:
    assert {code for code, _level, _said in findings_on(healthy(**differs), **request_)} <= {
        "AH226"
    }


def test_a_backup_of_a_place_of_another_layout_copies_nothing() -> None:
    observed = nested_host(record=RECORD, upkeep=upkeep(copiers=[copier("/data-state", True)]))
    sentences = [said for code, _level, said in findings_on(observed) if code == "AH225"]
    assert sentences == [
        "line 3 of /etc/cron.d/backup copies /data-state, where no state is; let it copy /data/state/"
    ]


JOB = """# tar czf /b /data/state
0 3 * * * root tar czf /backup.tgz /data/state
0 4 * * * root rsync -a /data/state/ /b && /usr/local/bin/more.sh --all
0 5 * * * root cp /data/state/system.duckdb /b
0 6 * * * root ls /data/state
0 7 * * * root tar c /srv/data/state /data/state.old /data/statement
0 8 * * * root tar c /data-state /data/state/x
"""


def test_the_lines_of_a_job_that_copy_a_place_of_state() -> None:
    lines = [(each["line"], each["place"], each["inside"]) for each in copying_lines("/j", JOB)]
    assert lines == [
        (2, "/data/state", False),
        (3, "/data/state", True),
        (4, "/data/state", True),
        (7, "/data/state", True),
        (7, "/data-state", False),
    ]
    assert called(JOB) == ["/usr/local/bin/more.sh", "/srv/data/state"]


OLD_DISK = container("app", mounts=[holds("/data", seen="0:30")])


def test_containers_on_the_disk_of_before_are_an_error_though_the_stack_was_not_asked() -> None:
    (finding,) = findings_on(healthy(containers=[OLD_DISK], parts={}))
    assert finding[:2] == ("AH048", ERROR)
    assert finding[2].startswith(
        "containers were started before their disk was mounted, and do not"
    )


def test_a_service_that_is_down_is_found_though_a_run_would_make_it_anew_anyway() -> None:
    steps = [action(f"service {name}", "to recreate", "up") for name in ("app", "extract", "beat")]
    observed = healthy(
        containers=[container("app", "exited"), container("extract", "exited"), container("beat")],
        project={"path": "/opt/agnes", "link": "", "name": "agnes", "fetched": [], "services": {
            "app": {"volumes": [], "restart": "unless-stopped"}, "extract": {"volumes": []},
        }},
        parts=parts(project=said([action("/opt/agnes/x")]), stack=said(steps)),
    )  # fmt: skip
    assert [said for code, _level, said in findings_on(observed) if code == "AH218"] == [
        "service app is not as it must be (it is not running); run site.yml"
    ]


def test_they_are_one_finding_where_the_stack_says_it() -> None:
    step = action("service app", "to recreate, it was started before its disk was mounted", "up")
    (finding,) = findings_on(healthy(containers=[OLD_DISK], parts=parts(stack=said([step]))))
    assert finding[:2] == ("AH218", ERROR)


def test_a_disk_that_a_run_would_format_is_an_error() -> None:
    missing = said([action("/opt/agnes/docker-compose.yml")])
    listed = findings_on(
        host(upkeep=upkeep(), parts={"layout": "nested", "mounted": [], "project": missing})
    )
    made = [each for each in listed if each[1] == ERROR]
    assert [code for code, _level, _said in made] == ["AH214"] * 2
    assert "the data disk is not as it must be: a run would format /dev/sdb at /data;" in made[0][2]
    # The plan's notes are there, too.
    assert {code for code, level, _said in listed if level == NOTE} == {"AH226"}


def test_each_code_is_found_in_this_table_or_said_of_a_host_that_is_away() -> None:
    named = {each.values[2][0] for each in TABLE} | {"AH228", "AH210", "AH211"}
    assert {kind.code for kind in KINDS} - named == set()
    assert [kind.code for kind in KINDS] == [f"AH{number}" for number in range(210, 230)]


@given(
    differs=st.fixed_dictionaries(
        {
            "devices": st.permutations(
                [ext4("/dev/sdb", "u-data"), ext4("/dev/sdc", "u-state"), device("/dev/sdd")]
            ),
            "upkeep": st.builds(
                lambda used, left, inodes: upkeep(
                    filesystems=[filesystem(used=used, free=100 - used, used_inodes=inodes)],
                    certificates={"/data-state": left} if left else {},
                ),
                st.integers(0, 84),
                st.none() | st.integers(30 * DAY, 10000 * DAY),
                st.just(0),
            ),
            "accounts": st.sampled_from(
                [{"user": "", "group": ""}, {"user": "agnes-applier", "group": "systemd-journal"}]
            ),
        }
    ),
    wanted=st.sampled_from(["", "flat", "undecided"]),
)
def test_no_host_that_is_right_has_a_finding(differs: dict[str, Any], wanted: str) -> None:
    assert findings_on(healthy(**differs), wanted=wanted) == []


NOT_LOOKED = "no run can begin on the host ({}); correct that, and audit it again"
AWAY: list[Any] = [
    pytest.param(
        {"unreachable": True, "msg": "Task failed: ssh: no\n route"}, "", "", True,
        [("AH210", "the host was not reached (ssh: no route), so nothing is known of it; see that SSH gets there")],
        id="unreachable",
    ),
    pytest.param(
        {"failed": True}, "", "Task failed: Module failed: AH150: this host lacks mkfs; install it", False,
        [("AH150", "this host lacks mkfs; install it")], id="the-observation-refuses",
    ),
    pytest.param(
        {}, "", "", False, [("AH211", NOT_LOOKED.format("no reason is known"))], id="nothing-is-known"
    ),
    pytest.param(
        {}, "Validation of arguments failed:\nx", "Action failed: no such variable", False,
        [
            ("AH211", NOT_LOOKED.format("Validation of arguments failed: x")),
            ("AH211", NOT_LOOKED.format("no such variable")),
        ], id="an-inventory-that-is-refused",
    ),
    pytest.param(
        {"unreachable": True}, "bad", "", True,
        [
            ("AH210", "the host was not reached (no reason is known), so nothing is known of it; see that SSH gets "
             "there"),
            ("AH211", NOT_LOOKED.format("bad")),
        ], id="away-and-refused",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "inventory", "reason", "away", "wanted"), AWAY)
def test_a_host_that_can_not_be_looked_at_has_that_as_its_finding(
    observed: dict[str, Any], inventory: str, reason: str, away: bool, wanted: list[Any]
) -> None:
    result = audited(observed, {}, inventory, reason)
    assert [(each["code"], each["sentence"]) for each in result["findings"]] == wanted
    assert {each["level"] for each in result["findings"]} == {ERROR}
    assert (result["away"], result["layout"]) == (away, "")


def test_the_inventory_s_fault_is_told_beside_what_the_host_shows() -> None:
    observed = healthy(env=env())
    plan = make_plan(observed, {})
    result = audited({"host": observed}, plan, "Validation failed", plan["refusal"])
    assert [each["code"] for each in result["findings"]] == ["AH004", "AH211"]


def test_what_is_known_of_a_host_is_said_beside_its_findings() -> None:
    observed = healthy()
    result = audited({"host": observed}, make_plan(observed, {}))
    assert result == one(certificate_seconds=365 * DAY)


# The fleet.


def one(*listed: tuple[str, str, str], **differs: Any) -> audit.Audited:
    made: Any = {
        "away": False, "layout": "flat", "certificate_seconds": None,
        "findings": [audit.finding(*each) for each in listed], **differs,
    }  # fmt: skip
    return made  # type: ignore[no-any-return]


BAD = ("AH218", ERROR, "service app is\nnot as it must be")
LATE = ("AH220", WARNING, "the certificate ends")
FLEET = {"a": one(), "longer": one(BAD, LATE), "c": one(LATE)}


def test_the_table_has_a_line_for_each_finding_and_for_each_host_that_is_well() -> None:
    assert audit_report.lines(FLEET) == [
        "a       well     no finding, layout flat",
        "longer  error    AH218  service app is not as it must be",
        "longer  warning  AH220  the certificate ends",
        "c       warning  AH220  the certificate ends",
        "3 hosts: 1 error, 2 warnings, 0 notes",
    ]


def test_the_report_has_the_same_for_programs() -> None:
    report = audit_report.report(FLEET)
    assert report["format"] == 1
    assert report["counts"] == {ERROR: 1, WARNING: 2, NOTE: 0}
    assert [*report["hosts"]] == ["a", "longer", "c"]
    assert report["hosts"]["c"] == {
        "layout": "flat",
        "counts": {ERROR: 0, WARNING: 1, NOTE: 0},
        "findings": [{"code": "AH220", "level": WARNING, "sentence": "the certificate ends"}],
    }


FAILS: list[tuple[str, list[str]]] = [
    ("error", ["longer"]),
    ("warning", ["longer", "c"]),
    ("never", []),
]


@pytest.mark.parametrize(("fail_on", "wanted"), FAILS)
def test_a_run_fails_for_hosts_with_a_finding_of_that_level(
    fail_on: str, wanted: list[str]
) -> None:
    noted = {"n": one(("AH222", NOTE, "set aside"))}
    assert audit_report.fails({**FLEET, **noted}, fail_on) == wanted


def test_a_run_can_not_fail_on_what_is_no_level() -> None:
    with pytest.raises(
        ValueError, match=r"^audit_fail_on is 'errors', and may be error, warning, never$"
    ):
        audit_report.fails(FLEET, "errors")


METRICS: list[tuple[Any, str]] = [
    (
        one(BAD, LATE, LATE, certificate_seconds=-60),
        """# HELP agnes_host_audit_time_seconds When the host was audited.
# TYPE agnes_host_audit_time_seconds gauge
agnes_host_audit_time_seconds 1000
# HELP agnes_host_audit_findings Findings of each level.
# TYPE agnes_host_audit_findings gauge
agnes_host_audit_findings{level="error"} 1
agnes_host_audit_findings{level="warning"} 2
agnes_host_audit_findings{level="note"} 0
# HELP agnes_host_audit_finding Findings of each code; docs/errors.md explains it.
# TYPE agnes_host_audit_finding gauge
agnes_host_audit_finding{code="AH218",level="error"} 1
agnes_host_audit_finding{code="AH220",level="warning"} 2
# HELP agnes_host_layout_info The layout that the host has.
# TYPE agnes_host_layout_info gauge
agnes_host_layout_info{layout="flat"} 1
# HELP agnes_host_certificate_end_time_seconds When the certificate in STATE_DIR ends.
# TYPE agnes_host_certificate_end_time_seconds gauge
agnes_host_certificate_end_time_seconds 940
""",
    ),
    (
        one(layout=""),
        """# HELP agnes_host_audit_time_seconds When the host was audited.
# TYPE agnes_host_audit_time_seconds gauge
agnes_host_audit_time_seconds 1000
# HELP agnes_host_audit_findings Findings of each level.
# TYPE agnes_host_audit_findings gauge
agnes_host_audit_findings{level="error"} 0
agnes_host_audit_findings{level="warning"} 0
agnes_host_audit_findings{level="note"} 0
""",
    ),
]


@pytest.mark.parametrize(("audited_host", "wanted"), METRICS)
def test_the_metrics_of_a_host(audited_host: Any, wanted: str) -> None:
    assert audit_report.metrics(audited_host, 1000) == wanted


LEFT: list[tuple[Optional[int], str]] = [
    (0, "has ended 0 days ago"),
    (-DAY, "has ended 1 day ago"),
    (DAY - 1, "ends in 0 days"),
]


@pytest.mark.parametrize(("left", "wanted"), LEFT)
def test_the_end_of_a_certificate_is_said_in_days(left: int, wanted: str) -> None:
    (finding,) = findings_on(healthy(upkeep=upkeep(certificates={"/data-state": left})))
    assert finding[1] == ERROR
    assert wanted in finding[2]


def test_the_worst_comes_first() -> None:
    observed = healthy(
        accounts={"user": "mallory", "group": ""},
        parts=parts(tree=said([action("/data")]), stack=said([action("service app")])),
    )
    levels = [level for _code, level, _said in findings_on(observed)]
    assert levels == [*LEVELS]
