"""The program `choir` as a coordinator meets it: files, exit codes, messages. Standard library only."""
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import traceback

CHOIR = sys.argv[1]
NODE = sys.argv[2]
ROOT = sys.argv[3]
LENDERS = os.path.join(ROOT, "examples", "lenders", "plan.json")
ENDPOINTS = ["--control", "tcp://127.0.0.1:7951", "--bulk", "tcp://127.0.0.1:7952"]


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def choir(*words, exit_code=0):
    """Runs choir and returns both of its outputs together."""
    done = subprocess.run([CHOIR, *words], capture_output=True, text=True, check=False, timeout=60)
    said = done.stdout + done.stderr
    check(done.returncode == exit_code, f"choir {' '.join(words)}: exit {done.returncode}: {said}")
    check((done.stderr == "") == (exit_code == 0), f"the wrong stream: {done.stderr!r}")
    return said


def init(folder, *words, exit_code=0):
    return choir("init", folder, "--name", "lenders", *ENDPOINTS, "--quick-keys", *words,
                 exit_code=exit_code)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def enrol(folder, name):
    """What a site hands in: NAME.pub, made by choir-node."""
    home = os.path.join(folder, name)
    os.makedirs(home)
    with open(os.path.join(home, "passphrase"), "w", encoding="utf-8",
              opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write("a site's own\n")
    with open(os.path.join(home, "data.csv"), "w", encoding="utf-8") as file:
        file.write("x\n1\n")
    site = {"choir_site": 1, "name": name, "state_dir": "state", "roster": "roster.bin",
            "root": "00" * 32, "keys": "site.key", "passphrase_file": "passphrase",
            "data": {"id": name, "path": "data.csv"},
            "policy": {"budget": {"epsilon": 3, "delta": 1e-5}, "minimum_noise_multiplier": 1,
                       "minimum_cohort": 2, "mechanisms": ["dp-sgd"], "max_parameters": 1000,
                       "approve": "by hash"}}
    settings = os.path.join(home, "site.json")
    with open(settings, "w", encoding="utf-8") as file:
        json.dump(site, file)
    done = subprocess.run([NODE, "keys", "--site", settings, "--quick-keys"], capture_output=True,
                          text=True, check=False, timeout=60)
    check(done.returncode == 0, done.stdout + done.stderr)
    found = [os.path.join(base, name + ".pub") for base, _, files in os.walk(home)
             if name + ".pub" in files]
    check(len(found) == 1, f"{found}: {done.stdout}")
    return found[0]


def usage_is_told_with_exit_code_2(folder):
    check("Usage" in choir(exit_code=2), "no usage")
    check("no command \"lunch\"" in choir("lunch", exit_code=2), "the command is not named")
    for words in (["init"], ["roster"], ["roster", "add"], ["plan"], ["plan", "check"], ["launch"],
                  ["watch"], ["status"], ["stop"], ["export"]):
        check("Usage: choir " + words[0] in choir(*words, exit_code=2), str(words))


def help_is_told_with_exit_code_0(folder):
    for words in ([], ["init"], ["roster"], ["plan"], ["launch"], ["watch"], ["status"], ["stop"],
                  ["export"]):
        check("Usage: choir" in choir(*words, "--help"), str(words))
    check(re.fullmatch(r"choir \d+\.\d+\.\d+\n", choir("--version")), "no version")


def a_mistyped_option_is_set_right(folder):
    said = choir("init", folder, "--nmae", "x", exit_code=2)
    check("did you mean --name?" in said, said)
    check("needs a value" in choir("init", folder, "--name", exit_code=2), "no value")
    said = choir("init", folder, "--name", "x", *ENDPOINTS, "--days", "-1", exit_code=2)
    check("whole number from 1 to 3650" in said, said)
    for number in ("0", "3651", "1x", " 1", "+1", "", "99999999999999999999"):
        choir("init", folder, "--name", "x", *ENDPOINTS, "--days", number, exit_code=2)


def a_federation_is_made_with_keys_that_only_its_owner_reads(folder):
    said = init(folder)
    fingerprint = re.search(r"^  ([0-9a-f]{64})$", said, re.MULTILINE).group(1)
    for name in ("root.key", "operator.key", "aggregator.key", "passphrase"):
        check(mode(os.path.join(folder, name)) == 0o600, name)
    with open(os.path.join(folder, "aggregator.json"), encoding="utf-8") as file:
        settings = json.load(file)
    check(settings["root"] == fingerprint, "another fingerprint in the settings")
    said = choir("roster", "show", os.path.join(folder, "roster.bin"))
    check(fingerprint in said and "epoch 1" in said and re.search(r"sites +0", said), said)


def a_federation_is_not_made_twice(folder):
    init(folder)
    with open(os.path.join(folder, "root.key"), "rb") as file:
        key = file.read()
    check("a federation already" in init(folder, exit_code=1), "made twice")
    with open(os.path.join(folder, "root.key"), "rb") as file:
        check(file.read() == key, "the root key was changed")


def bad_names_and_addresses_are_refused(folder):
    made = os.path.join(folder, "made")
    for name in ("", "Big", "with space", "../up", "x" * 64):
        said = choir("init", made, "--name", name, *ENDPOINTS, exit_code=1)
        check("lower-case" in said, said)
    for bulk in ("127.0.0.1:1", "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://*:7", "tcp://:7",
                 "tcp://h:0", "tcp://h:65536", "tcp://h:1x", "ipc://x:1", ENDPOINTS[1]):
        said = choir("init", made, "--name", "x", "--control", ENDPOINTS[1], "--bulk", bulk,
                     exit_code=1)
        check("--bulk" in said, said)
    check(not os.path.exists(made), "something was made")


def a_passphrase_that_others_may_read_is_refused(folder):
    made, secret = os.path.join(folder, "made"), os.path.join(folder, "secret")
    with open(secret, "w", encoding="utf-8") as file:
        file.write("open sesame\n")
    os.chmod(secret, 0o640)
    check("chmod 600" in init(made, "--passphrase-file", secret, exit_code=1), "taken")
    os.chmod(secret, 0o600)
    init(made, "--passphrase-file", os.path.relpath(secret))
    with open(os.path.join(made, "aggregator.json"), encoding="utf-8") as file:
        named = json.load(file)["passphrase_file"]
    check(os.path.samefile(os.path.join(made, named), secret), named)


def sites_are_added_to_the_next_epoch(folder):
    home = os.path.join(folder, "home")
    init(home)
    north, south = enrol(folder, "north"), enrol(folder, "south")
    said = choir("roster", "add", home, north, south)
    check("Epoch 2 with 2 sites" in said, said)
    said = choir("roster", "show", os.path.join(home, "roster.bin"))
    check("north" in said and "south" in said and "epoch 2" in said, said)
    check("on the roster already" in choir("roster", "add", home, north, exit_code=1), "added twice")
    check("epoch 2" in choir("roster", "show", os.path.join(home, "roster.bin")), "a new epoch")
    check("nobody is left" in choir("roster", "add", home, "--c", "2", exit_code=1), "c = n")
    check("Epoch 3" in choir("roster", "add", home, "--c", "1"), "not renewed")


def a_roster_or_enrolment_that_was_changed_is_refused(folder):
    home = os.path.join(folder, "home")
    init(home)
    north = enrol(folder, "north")
    for path in (north, os.path.join(home, "roster.bin")):
        with open(path, "r+b") as file:
            file.seek(20)
            byte = file.read(1)
            file.seek(20)
            file.write(bytes([byte[0] ^ 1]))
    choir("roster", "add", home, north, exit_code=1)
    choir("roster", "show", os.path.join(home, "roster.bin"), exit_code=1)
    choir("roster", "show", os.path.join(folder, "nothing"), exit_code=1)


def node(folder, name, *words, exit_code=0):
    """Runs choir-node with the settings that enrol() made; returns both outputs."""
    done = subprocess.run([NODE, words[0], "--site", os.path.join(folder, name, "site.json"),
                           *words[1:]], capture_output=True, text=True, check=False, timeout=60)
    check(done.returncode == exit_code, f"choir-node {words}: {done.stdout + done.stderr}")
    return done.stdout if exit_code == 0 else done.stderr


def hand_out(home, folder, names):
    """Gives the roster to the sites, which pin its root."""
    shown = choir("roster", "show", os.path.join(home, "roster.bin"))
    root = re.search(r"^root +([0-9a-f]{64})$", shown, re.MULTILINE).group(1)
    for name in names:
        shutil.copy(os.path.join(home, "roster.bin"), os.path.join(folder, name))
        settings = os.path.join(folder, name, "site.json")
        with open(settings, encoding="utf-8") as file:
            site = json.load(file)
        site["root"] = root
        with open(settings, "w", encoding="utf-8") as file:
            json.dump(site, file)


def nonces_make_the_seed_once_all_sites_have_shown_theirs(folder):
    home, names = os.path.join(folder, "home"), ["north", "south"]
    init(home)
    choir("roster", "add", home, *[enrol(folder, name) for name in names])
    check("none: sites have not shown" in choir("roster", "show", home + "/roster.bin"), "a seed")
    hand_out(home, folder, names)
    files = [node(folder, name, "reveal").strip() for name in names]
    check("first is south" in choir("roster", "reveal", home, files[0], exit_code=1), "half of it")
    check("Epoch 3" in choir("roster", "reveal", home, *files), "not signed")
    said = choir("roster", "show", os.path.join(home, "roster.bin"))
    check("made of the nonces of all sites" in said and "complete" in said, said)
    hand_out(home, folder, names)
    node(folder, "north", "reveal")  # the same list: the same answer again


def a_site_added_after_the_nonces_were_shown_needs_all_to_commit_anew(folder):
    home, names = os.path.join(folder, "home"), ["north", "south"]
    init(home)
    choir("roster", "add", home, *[enrol(folder, name) for name in names])
    hand_out(home, folder, names)
    files = [node(folder, name, "reveal").strip() for name in names]
    choir("roster", "add", home, enrol(folder, "sybil"))
    names.append("sybil")
    hand_out(home, folder, names)
    check("another list of sites" in node(folder, "north", "reveal", exit_code=1), "shown again")
    last = node(folder, "sybil", "reveal").strip()
    said = choir("roster", "reveal", home, *files, last, exit_code=1)
    check("for another roster" in said, said)
    fresh = [node(folder, name, "keys", "--renew").strip() for name in names]
    check("fresh commitment" in choir("roster", "add", home, *fresh), "not renewed")
    hand_out(home, folder, names)
    files = [node(folder, name, "reveal").strip() for name in names]
    check("with 3 sites" in choir("roster", "reveal", home, *files), "not signed")


def a_relay_that_is_not_there_is_refused(folder):
    home = os.path.join(folder, "home")
    init(home)
    north = enrol(folder, "north")
    said = choir("roster", "add", home, north, "--relay", "inland", exit_code=1)
    check("add-relay" in said, said)
    choir("roster", "add-relay", home, north, exit_code=1)
    choir("roster", "add", home, north, "--relay", "aggregator")


def a_plan_is_explained_or_refused_with_its_place(folder):
    said = choir("plan", "check", LENDERS)
    check(re.search(r"^  [0-9a-f]{64}$", said, re.MULTILINE), "no hash")
    with open(LENDERS, encoding="utf-8") as file:
        plan = json.load(file)
    plan["rounds"] = "many"
    bad = os.path.join(folder, "bad.json")
    with open(bad, "w", encoding="utf-8") as file:
        json.dump(plan, file)
    said = choir("plan", "check", bad, exit_code=1)
    check("bad.json:1: rounds" in said, said)
    with open(bad, "w", encoding="utf-8") as file:
        file.write("{")
    choir("plan", "check", bad, exit_code=1)
    choir("plan", "check", os.path.join(folder, "nothing"), exit_code=1)


def write_plan(folder, change):
    with open(LENDERS, encoding="utf-8") as file:
        plan = json.load(file)
    change(plan)
    path = os.path.join(folder, "plan.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(plan, file)
    return path


def a_plan_says_who_sees_what_and_why_its_sums_cannot_wrap(folder):
    said = " ".join(choir("plan", "check", LENDERS).split())
    check("Secure aggregation is on (aes-256-ctr)" in said, said)
    check("a sum is over 3 of them at least, and a round may lose 1." in said, said)
    check("integers mod 2^32 in steps of 2^-25" in said and "cannot wrap" in said, said)
    off = write_plan(folder, lambda plan: plan.update(secure_aggregation="off"))
    said = " ".join(choir("plan", "check", off).split())
    check("Masks are off: the aggregator sees the noised update of each site" in said, said)


def a_plan_of_two_sites_is_refused_with_the_reason(folder):
    def two(plan):
        plan["sites"] = plan["sites"][:2]
        plan["quorum"] = {"min_sites": 2}
    said = choir("plan", "check", write_plan(folder, two), exit_code=1)
    check("plan.json:1: secure_aggregation" in said, said)
    check("each would learn the other's update by subtracting its own from the sum" in said, said)
    check('mechanism "dp-sgd" with "secure_aggregation": "off"' in said, said)


def a_plan_too_small_for_those_who_may_collude_is_not_launched(folder):
    home = os.path.join(folder, "home")
    init(home)
    choir("roster", "add", home, *[enrol(folder, name) for name in ("a", "b", "c")], "--c", "2")
    said = choir("launch", "--config", os.path.join(home, "aggregator.json"), "--dir", home,
                 LENDERS, exit_code=1)
    check("at least c + 3 = 5 sites; this plan has 4" in said, said)


def schemas_are_json(folder):
    for name in ("plan", "site", "aggregator"):
        schema = json.loads(choir("plan", "schema", name))
        check(schema["type"] == "object" and "properties" in schema, name)
    check(choir("plan", "schema") == choir("plan", "schema", "plan"), "plan is not the default")
    check("there are schemas of" in choir("plan", "schema", "ledger", exit_code=1), "ledger")


def without_an_aggregator_each_command_says_what_to_start(folder):
    init(folder)
    config = os.path.join(folder, "aggregator.json")
    for words in (["launch", "--dir", folder, LENDERS], ["watch"], ["status"], ["stop"]):
        said = choir(words[0], "--config", config, *words[1:], exit_code=1)
        check("start `choir-aggregator run --config" in said, said)
    check("no run has ended" in choir("export", "--config", config, folder, exit_code=1), "export")


def a_launch_needs_the_operators_key(folder):
    init(folder)
    config = os.path.join(folder, "aggregator.json")
    with open(os.path.join(folder, "passphrase"), "w", encoding="utf-8") as file:
        file.write("wrong\n")
    said = choir("launch", "--config", config, "--dir", folder, LENDERS, exit_code=1)
    check("passphrase is wrong" in said, said)
    os.chmod(os.path.join(folder, "passphrase"), 0o644)
    said = choir("launch", "--config", config, "--dir", folder, LENDERS, exit_code=1)
    check("chmod 600" in said, said)


TESTS = [usage_is_told_with_exit_code_2, help_is_told_with_exit_code_0,
         a_mistyped_option_is_set_right, a_federation_is_made_with_keys_that_only_its_owner_reads,
         a_federation_is_not_made_twice, bad_names_and_addresses_are_refused,
         a_passphrase_that_others_may_read_is_refused, sites_are_added_to_the_next_epoch,
         a_roster_or_enrolment_that_was_changed_is_refused,
         nonces_make_the_seed_once_all_sites_have_shown_theirs,
         a_site_added_after_the_nonces_were_shown_needs_all_to_commit_anew,
         a_relay_that_is_not_there_is_refused,
         a_plan_is_explained_or_refused_with_its_place,
         a_plan_says_who_sees_what_and_why_its_sums_cannot_wrap,
         a_plan_of_two_sites_is_refused_with_the_reason,
         a_plan_too_small_for_those_who_may_collude_is_not_launched, schemas_are_json,
         without_an_aggregator_each_command_says_what_to_start, a_launch_needs_the_operators_key]


def main():
    failed = False
    for number, test in enumerate(TESTS, 1):
        folder = tempfile.mkdtemp(prefix="choir-cli-")
        name = test.__name__.replace("_", " ")
        try:
            test(folder)
            print(f"ok {number} - {name}", flush=True)
        except Exception:  # whatever it is, the next test still runs
            failed = True
            print(f"not ok {number} - {name}")
            for line in traceback.format_exc().splitlines():
                print("#", line)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"1..{len(TESTS)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
