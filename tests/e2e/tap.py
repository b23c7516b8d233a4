"""Runs test functions that are named as sentences and prints TAP. Standard library only."""
import os
import shutil
import sys
import tempfile
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CHOIR_BUILD", os.path.join(ROOT, "build"))
sys.path.insert(0, os.path.join(ROOT, "tools"))


class Skip(Exception):
    """This machine cannot run the test; the text says why."""


def run(tests):
    """Each test gets a folder of its own, which is kept if the test fails and CHOIR_KEEP is set."""
    failed = False
    for number, test in enumerate(tests, 1):
        name = test.__name__.replace("_", " ")
        folder = tempfile.mkdtemp(prefix="choir-e2e-")
        try:
            test(folder)
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception:  # a test may fail in any way; the next one still runs
            failed = True
            print(f"not ok {number} - {name}")
            for line in traceback.format_exc().splitlines():
                print("#", line)
            sys.stdout.flush()
        finally:
            if not os.environ.get("CHOIR_KEEP"):
                shutil.rmtree(folder, ignore_errors=True)
    print(f"1..{len(tests)}")
    return 1 if failed else 0


def check(condition, text):
    if not condition:
        raise AssertionError(text)
