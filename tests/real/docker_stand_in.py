# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the docker client: answers for a directory instead of running a container.

It reads the mount option as docker does, and counts the bytes of the database as rows.
"""

import json
import os
import sys

mount = dict(
    part.split("=") for part in sys.argv[sys.argv.index("--mount") + 1].split(",") if "=" in part
)
path = os.path.join(mount["source"], "system.duckdb")
how = os.environ.get("STAND_IN", "")
if how == "fails":
    print("noise", file=sys.stderr)
    sys.exit("IO Error: could not read the file")
if how == "touches":
    with open(path, "ab") as file:
        file.write(b"!")
print("warning of some library")
print(
    "no json"
    if how == "babbles"
    else json.dumps({"version": "1", "rows": {"main.t": os.path.getsize(path)}})
)
