# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the docker client: answers for directories instead of running a container.

It reads the mount options as docker does, and counts the bytes of each database as rows.
"""

import json
import os
import sys

mounts = [value for flag, value in zip(sys.argv, sys.argv[1:]) if flag == "--mount"]
fields = [dict(part.partition("=")[::2] for part in mount.split(",")) for mount in mounts]
assert all("readonly" in each for each in fields)
paths = [os.path.join(each["source"], "system.duckdb") for each in fields]
how = os.environ.get("STAND_IN", "")
if how == "fails":
    print("noise", file=sys.stderr)
    sys.exit("docker: no such image")
if how == "touches":
    with open(paths[-1], "r+b") as file:
        file.write(b"!")
answers = [{"version": "1", "rows": {"main.t": os.path.getsize(path)}} for path in paths]
if how == "refuses":
    answers[-1] = {"error": "IOException: IO Error: could not read the file"}
if how == "forgets":
    answers.pop()
print("warning of some library")
print("no json" if how == "babbles" else json.dumps(answers))
