# SPDX-License-Identifier: GPL-3.0-or-later
"""The recording of a move, as a picture."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import move_demo
from recording import COLOURS, SECONDS, WIDTH, Line, picture, starts

LINES = [
    Line(100.0, "command", "$ ansible-playbook site.yml -e layout=flat"),
    Line(110.0, "step", "stop <& done>"),
    Line(109.0, "kill", "KILLED"),
    Line(140.0, "said", "x" * 300),
]


def test_lines_come_in_their_order_and_in_the_time_of_the_picture() -> None:
    times = starts(LINES)
    assert times[0] == 0 and times[-1] == SECONDS
    assert times == sorted(times)
    assert times[1] == SECONDS / 4
    assert starts(LINES[:1]) == [0.0]


def test_the_picture_is_well_formed_and_has_each_line() -> None:
    root = ET.fromstring(picture("a move & its kill", LINES))
    texts = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[:2] == ["a move & its kill", LINES[0].text]
    assert texts[2] == "stop <& done>"
    assert len(texts[-1]) == WIDTH and texts[-1].endswith("…")
    assert {each.get("fill") for each in root.iter("{http://www.w3.org/2000/svg}text")} >= {
        COLOURS["kill"],
        COLOURS["step"],
    }


SAID = """
TASK [agnes.host.disks : Preflight | Say what will be done] ********************
ok: [agnes-demo] =>
    msg:
    - 'layout: flat, by -e layout='
    - move state from nested to flat
    -   a step that is
        longer than a line

TASK [agnes.host.disks : Preflight | Prove] ****
skipping: [agnes-demo]
"""


def test_what_a_task_says_is_found_in_the_output_of_a_run() -> None:
    assert move_demo.message(SAID, "Say what will be done") == [
        "layout: flat, by -e layout=",
        "move state from nested to flat",
        "a step that is longer than a line",
    ]
    assert move_demo.message(SAID, "Say where everything is") == []
    as_json = 'TASK [r : Say where] ***\nok: [h] => {\n    "msg": [\n        "a: 1",\n        "b"\n    ]\n}\n\nPLAY'
    assert move_demo.message(as_json, "Say where") == ["a: 1", "b"]


def test_the_recording_of_the_readme_is_one_of_a_move_that_was_killed() -> None:
    """Make demo-move RECORD=docs/move.svg makes it again."""
    root = ET.parse(move_demo.ROOT / "docs" / "move.svg").getroot()
    texts = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]
    said = "\n".join(texts)
    assert said.count("$ ansible-playbook site.yml -e layout=flat") == 2
    killed = next(number for number, text in enumerate(texts) if "SIGKILL" in text)
    assert [text for text in texts[:killed] if re.search(r"\bcommit +done\b", text)]
    assert [text for text in texts[killed:] if re.search(r"\bforget +done\b", text)]
    match = re.search(r"(\d+) rows acknowledged, (\d+) of them found", said)
    assert match and match[1] == match[2] and int(match[1]) > 50
