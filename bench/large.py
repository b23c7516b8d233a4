"""One round of a large model: six real nodes and an aggregator on loopback, secure aggregation on.

What is measured: processor seconds of all processes from the launch to the end of the run, for a GB
of model; the rate of the upload phase, as the aggregator's spool grows, against the ceiling of
bench_curve in the same run; the aggregator's peak memory against two models. The size is what a
quarter of the memory allows (or --parameters N): a node trains with about five models in memory.
One JSON object a line.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))
sys.path.insert(0, os.path.join(ROOT, "bench"))
import federation as fed  # noqa: E402
import round as rounds  # noqa: E402

SITES, UNITS, MODELS_IN_A_NODE, PARAMETERS_MAX = 6, 2000, 5, 1 << 28
TICKS = os.sysconf("SC_CLK_TCK")


def say(case, value, unit, **more):
    print(json.dumps({"bench": "large", "case": case, "value": round(value, 4), "unit": unit,
                      "runs": 1, **more}), flush=True)


def fitting_parameters():
    """Parameters for which six nodes and an aggregator stay within three quarters of memory."""
    with open("/proc/meminfo", encoding="ascii") as file:
        total = int(file.readline().split()[1]) * 1024
    return min(PARAMETERS_MAX, int(0.75 * total / 4 / (SITES * MODELS_IN_A_NODE + 2)))


def write_plan(path, parameters):
    rounds.write_plan(path, SITES, 1, "none", "on")
    with open(path, encoding="utf-8") as file:
        plan = json.load(file)
    first = max(1, (parameters - 2 * UNITS) // (rounds.FEATURES + 1 + UNITS))
    plan["model"]["layers"] = [{"kind": "dense", "units": first, "activation": "relu"},
                               {"kind": "dense", "units": UNITS, "activation": "relu"},
                               {"kind": "dense", "units": 1, "activation": "none"}]
    plan["quorum"]["phase_deadline_s"] = 600
    with open(path, "w", encoding="utf-8") as file:
        json.dump(plan, file)
    return first * (rounds.FEATURES + 1 + UNITS) + 2 * UNITS + 1


def processes_of(leader):
    found, waiting = [], [leader]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                waiting += [int(child) for child in file.read().split()]
    return found


def cpu_seconds(leaders):
    """Processor seconds so far of these processes and their descendants, by what they are."""
    total = {"aggregator": 0.0, "couriers": 0.0, "vaults": 0.0}
    for leader in leaders:
        for pid in processes_of(leader):
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
                words = file.read().split("\0")
            role = "aggregator" if words[0].endswith("choir-aggregator") else \
                "vaults" if "role-vault" in words else "couriers"
            total[role] += sum(int(value) for value in fields[11:15]) / TICKS
    return total


def spooled(folder):
    total = 0
    for name in os.listdir(folder):
        try:
            total += os.stat(os.path.join(folder, name)).st_blocks * 512
        except FileNotFoundError:
            pass
    return total


def rate_of(samples, total):
    """GB/s between a tenth and nine tenths of the bytes; None if that was too quick to see."""
    inside = [(at, size) for at, size in samples if 0.1 * total <= size <= 0.9 * total]
    if len(inside) < 3 or inside[-1][0] == inside[0][0]:
        return None
    return (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0]) / 1e9


def ceiling():
    done = subprocess.run([os.path.join(ROOT, "build", "bench", "bench_curve"), str(SITES),
                           "2000"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def follow(federation, patience):
    """(seconds, samples of the spool) until the run is over."""
    spool = os.path.join(federation.home, "state", "uploads")
    samples, began = [], time.monotonic()
    asked = began
    while True:
        now = time.monotonic()
        samples.append((now, spooled(spool)))
        if now - asked > 1.0:
            asked = now
            text = federation.status()
            if "done" in text or "complete" in text:
                return now - began, samples
            if now - began > patience:
                raise fed.Failed(text + federation.tail(federation.log, 20))
        time.sleep(0.05)


def one_round(parameters):
    folder = tempfile.mkdtemp(prefix="choir-bench-")
    federation = fed.Federation(folder, rounds.BUILD)
    try:
        federation.init("bench")
        for i in range(SITES):
            path = os.path.join(folder, f"{i}.csv")
            rounds.write_data(path, i)
            federation.add_site(f"site-{i}", path, f"bench-{i}", {
                "budget": {"epsilon": 1000.0, "delta": 1e-4}, "minimum_noise_multiplier": 0.1,
                "minimum_cohort": 2, "mechanisms": ["none"], "max_parameters": PARAMETERS_MAX})
        federation.enrol()
        plan = os.path.join(folder, "plan.json")
        parameters = write_plan(plan, parameters)
        federation.approve(plan)
        federation.start_aggregator()
        for name in federation.sites:
            federation.start_node(name)
        time.sleep(2.0)
        leaders = [federation.aggregator.pid] + [site.process.pid
                                                 for site in federation.sites.values()]
        before = cpu_seconds(leaders)
        federation.launch(plan)
        seconds, samples = follow(federation, 1200)
        after = cpu_seconds(leaders)
        return {"parameters": parameters, "seconds": seconds, "samples": samples,
                "cpu": {role: after[role] - before[role] for role in after},
                "aggregator": rounds.peak_mib(federation.aggregator.pid),
                "node": statistics.median(rounds.peak_mib(process)
                                          for site in federation.sites.values()
                                          for process in processes_of(site.process.pid)[1:])}
    finally:
        federation.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parameters", type=int, default=fitting_parameters())
    wanted = parser.parse_args()
    top = ceiling()
    done = one_round(wanted.parameters)
    gigabytes = 4e-9 * done["parameters"]
    what = f"{SITES} sites, {gigabytes:.2f} GB of model, secure aggregation, one round"
    say(what + ", from launch to end", done["seconds"], "s")
    for role, seconds in done["cpu"].items():
        say(f"{what}, processor time, {role}", seconds / gigabytes, "core-s/GB")
    round_cpu = done["cpu"]["aggregator"] + done["cpu"]["couriers"]
    say(what + ", processor time without the vaults' training and charge", round_cpu / gigabytes,
        "core-s/GB", against="60", ratio=round(60 * gigabytes / round_cpu, 3))
    rate = rate_of(done["samples"], SITES * 4 * done["parameters"])
    if rate is not None:
        say(what + ", upload", rate, "GB/s", against=f"CURVE alone {top['value']} GB/s",
            ratio=round(rate / top["value"], 3))
    bound = 2 * 4 * done["parameters"] / 2**20
    say(what + ", aggregator's peak memory", done["aggregator"], "MiB",
        against=f"2 models = {bound:.0f} MiB", ratio=round(bound / done["aggregator"], 3))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (fed.Failed, subprocess.SubprocessError) as error:
        sys.exit(f"bench/large.py: {error}")
