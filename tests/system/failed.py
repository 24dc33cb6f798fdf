#!/usr/bin/env python3
"""Prints which tests of a meson run failed, one name per line: failed.py TESTLOG.JSON. Exits 1 if one of them is not to be tried again."""
import json
import sys

REPORTS = ("Sanitizer", "runtime error:")  # of sanitizers, also those of daemons
REPORTED = 99  # the exit status that sanitizers are told to end with


def failures(log):
    return [test for test in map(json.loads, log) if test["result"] not in ("OK", "SKIP")]


def may_be_tried_again(test):
    """Only tests of the system depend on what other processes leave to them."""
    suites = test["name"].split(" / ")[0].split(":")[-1].split("+")
    said = test.get("stdout", "") + test.get("stderr", "")
    return "system" in suites and test["returncode"] != REPORTED and not any(report in said for report in REPORTS)


with open(sys.argv[1], encoding="utf-8") as log:
    failed = failures(log)
for test in failed:
    print(test["name"].split(" / ", 1)[1])
sys.exit(0 if failed and all(map(may_be_tried_again, failed)) else 1)
