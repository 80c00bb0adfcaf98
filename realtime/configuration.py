"""Writes docs/configuration.md from the settings themselves: python -m realtime.configuration

`--check` writes nothing and fails when the document is out of date; tests/test_configuration.py does the same.
"""

import argparse
import sys
from pathlib import Path

from realtime.config import ENVIRONMENT, HELP, NOT_ON_THE_COMMAND_LINE, RANGES, SETTINGS, default_in_words

DOCUMENT = Path(__file__).parent.parent / "docs" / "configuration.md"
HEAD = """\
# Configuration

Every setting of `run_server.py`, written from `realtime/config.py` (`python -m realtime.configuration`). A setting is given on the
command line, in the environment, or in a TOML file with the names of the first column at top level, which `--config FILE` or
`FLAP_CONFIG` names. The command line beats the environment, which beats the file, which beats the default. An unknown name in the file, a
number outside its range and settings that do not go together stop the start with a sentence that says so. Settings are read once: restart
the server to change them.

```toml
# flap.toml, read with --config flap.toml
port = 8443
threads = 2
ice_servers = ["stun:stun.example.org:3478"]
```

In the environment and on the command line lists are separated by commas. A relative path starts from the folder that the server is
started in. Secrets have no option: every user of a machine can read its command lines.

"""


def document() -> str:
    lines = [
        "| in the file | environment | command line | default | range | meaning |",
        "|---|---|---|---|---|---|",
        *(_row(name) for name in SETTINGS),
    ]
    return HEAD + "\n".join(lines) + "\n"


def _row(name: str) -> str:
    option = "" if name in NOT_ON_THE_COMMAND_LINE else f"`--{name.replace('_', '-')}`"
    span = " to ".join(str(bound) for bound in RANGES[name]) if name in RANGES else ""
    cells = (f"`{name}`", f"`{ENVIRONMENT}{name.upper()}`", option, default_in_words(name), span, HELP[name])
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    stale = not DOCUMENT.exists() or DOCUMENT.read_text() != document()
    if parser.parse_args().check:
        sys.exit(f"{DOCUMENT.name} is out of date: run python -m realtime.configuration" if stale else None)
    DOCUMENT.write_text(document())


if __name__ == "__main__":
    main()
