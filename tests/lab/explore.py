# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do with the demo host; said only after a request through Caddy has been answered."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from engine import cache
from images import DOMAIN

PORT = 8443


def main() -> None:
    """Entry point."""
    curl = [
        "curl", "--silent", "--show-error", "--fail", "--cacert", str(cache() / "tls" / "ca.pem"),
        "--resolve", f"{DOMAIN}:{PORT}:127.0.0.1", f"https://{DOMAIN}:{PORT}/api/health",
    ]  # fmt: skip
    answer = subprocess.run(curl, capture_output=True, text=True, check=False)
    if answer.returncode:
        sys.exit(f"demo: the app does not answer through Caddy: {answer.stderr.strip()}")
    print("\nThe demo host is yours. Through Caddy, over TLS, the app says:")
    print(f"  {answer.stdout.strip()}\n")
    print(
        "  look around   docker exec -it agnes-demo bash        (then: cd /opt/agnes; docker compose ps)"
    )
    print(f"  ask the app   {' '.join(curl)}")
    print(f"  add a row     {' '.join(curl[:-1])} -X POST https://{DOMAIN}:{PORT}/api/rows")
    print(
        "  run it again  . .venv/bin/activate && ansible-playbook site.yml   (changes nothing, stays flat)"
    )
    print("  remove it     make demo-clean\n")


if __name__ == "__main__":
    main()
