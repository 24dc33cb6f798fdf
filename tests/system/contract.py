#!/usr/bin/env python3
"""Every test that docs/contract.md names exists, and every system test of the mount is named there or is of another kind."""
import os
import re
import sys

here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(os.environ["TOKFS_SOURCE_ROOT"], "docs/contract.md"), encoding="utf-8") as file:
    text = file.read()
named = set(re.findall(r"\b(\w+\.py):(test_\w+)", text))
missing = []
for script, test in sorted(named):
    with open(os.path.join(here, script), encoding="utf-8") as file:
        if f"def {test}(" not in file.read():
            missing.append(f"{script}:{test}")
for script in sorted(set(re.findall(r"\b(\w+\.(?:py|sh))\b", text))):
    if not os.path.exists(os.path.join(here, script)):
        missing.append(script)
unnamed = []
for script in "streams.py", "tree.py", "users.py", "programs.py":
    with open(os.path.join(here, script), encoding="utf-8") as file:
        unnamed += [f"{script}:{test}" for test in re.findall(r"^def (test_\w+)\(", file.read(), re.M) if (script, test) not in named]
print(f"{len(named)} tests named; not there: {missing or 'none'}; not named: {unnamed or 'none'}")
sys.exit(1 if missing or unnamed or len(named) < 60 else 0)
