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
if how.startswith("touches"):
    touched = paths[how == "touches the copy"]
    info = os.stat(touched)
    with open(touched, "r+b") as file:
        file.write(b"!")
    # As whoever owns it can: only ctime tells then.
    os.utime(touched, ns=(info.st_atime_ns, info.st_mtime_ns))
answers = [{"version": "1", "rows": {"main.t": os.path.getsize(path)}} for path in paths]
if how == "refuses":
    answers[-1] = {"error": "IOException: \x1b[2Jcould not read it\rnor this\n" + "x" * 100000}
if how == "forgets":
    answers.pop()
if how == "invents":
    answers.append(answers[0])
print("warning of some library")
print("no json" if how == "babbles" else json.dumps(answers))
