"""One round of a thousand sites with secure aggregation: a real choir-aggregator, and the sites as
state machines with real masks and real CURVE connections, many of them in one process. One JSON a
line: the round's time, the aggregator's memory, and what the time went into.

The sites share a few processes and the machine with the aggregator: at 1000 sites nearly all of the
processor time is that of the sites, which in a federation have a machine each.
"""
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import federation as fed  # noqa: E402

BUILD = os.environ.get("CHOIR_BUILD", os.path.join(ROOT, "build"))
SWARM = os.path.join(BUILD, "bench", "bench_swarm")
SITES_PER_PROCESS = 125  # a process has at most 1023 ZeroMQ sockets, and a site takes six
FEATURES, UNITS = 99, 990
DEADLINE_S, PATIENCE_S = 120, 600


def say(case, value, unit, **more):
    print(json.dumps({"bench": "swarm", "case": case, "value": round(value, 4), "unit": unit,
                      "runs": 1, **more}), flush=True)


def write_plan(path, n_sites, suite, deadline):
    """A multi-layer perceptron of 100,981 parameters, trained by nobody."""
    plan = {
        "choir_plan": 1, "name": "swarm", "description": "synthetic",
        "data": {"columns": [{"name": f"f{i}", "kind": "numeric", "min": -1, "max": 1}
                             for i in range(FEATURES)],
                 "label": {"name": "y", "positive": ["1"], "negative": ["0"]}, "header": True},
        "unit": "record",
        "sites": [{"name": f"site-{i:04}", "nominal_size": 100} for i in range(1, n_sites + 1)],
        "model": {"layers": [{"kind": "dense", "units": UNITS, "activation": "relu"},
                             {"kind": "dense", "units": 1, "activation": "none"}],
                  "loss": "logistic", "init_seed": 1},
        "training": {"local_steps": 1, "optimizer": {"kind": "sgd", "learning_rate": 0.01}},
        "rounds": 1, "server": {"kind": "fedavg", "learning_rate": 1.0},
        "pipeline": ["read", "unit_gradients", "sgd", "sum", "server_optimizer"],
        "privacy": {"mechanism": "none", "sampling_rate": 0.25},
        "update": {"clip_norm": 10.0, "lane_bits": 32},
        "secure_aggregation": "on", "mask_suite": suite,
        "quorum": {"min_sites": 3, "phase_deadline_s": deadline},
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(plan, file)


def swarm(*words):
    done = subprocess.run([SWARM, *words], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise fed.Failed(f"bench_swarm {words[0]}: {done.stderr}")


def enrol(federation, seed, n_sites, collusion):
    """All sites on the roster, with their nonces."""
    folder = os.path.join(federation.folder, "swarm")
    os.makedirs(folder)
    names = [os.path.join(folder, f"site-{i:04}") for i in range(1, n_sites + 1)]
    swarm("keys", seed, str(n_sites), folder)
    federation.run("choir", "roster", "add", federation.home, "--c", str(collusion),
                   *[name + ".pub" for name in names])
    swarm("reveal", seed, str(n_sites), folder, federation.roster)
    federation.run("choir", "roster", "reveal", federation.home,
                   *[name + ".nonce" for name in names])
    shown = federation.run("choir", "roster", "show", federation.roster)
    return re.search(r"^graph  +(.*)$", shown, re.M).group(1)


def cpu_by_thread(pid):
    """(seconds of the first thread, seconds of all others)."""
    ticks = os.sysconf("SC_CLK_TCK")
    first, others = 0.0, 0.0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        seconds = (int(fields[11]) + int(fields[12])) / ticks
        if int(task) == pid:
            first += seconds
        else:
            others += seconds
    return first, others


def peak_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1)) / 1024.0


def start_sites(federation, seed, n_sites, drop_every, plan, remember):
    processes = []
    for first in range(1, n_sites + 1, SITES_PER_PROCESS):
        last = min(first + SITES_PER_PROCESS - 1, n_sites)
        log = open(os.path.join(federation.folder, f"swarm-{first}.log"), "w+",
                   encoding="utf-8")
        processes.append((subprocess.Popen(
            [SWARM, "run", seed, str(first), str(last), str(drop_every), federation.roster, plan,
             "1" if remember else "0"],
            stdout=subprocess.PIPE, stderr=log, text=True), log))
    return processes


def add_up(accounts):
    total = {}
    for account in accounts:
        for name, value in account.items():
            total[name] = total.get(name, 0) + value
    return total


def phases(accounts, began):
    """Seconds after the launch: when the first letter of each kind came to a site, and when the last
    site was done with it."""
    times = {}
    for account in accounts:
        for kind, (first, last) in account["times"].items():
            before = times.get(kind, (first, last))
            times[kind] = (min(before[0], first), max(before[1], last))
    return {kind: [round(first - began, 1), round(last - began, 1)]
            for kind, (first, last) in sorted(times.items(), key=lambda item: item[1])
            if kind in ("round_open", "adverts", "shares_all", "uploaded", "survivors", "consents",
                        "round_close")}


def one_round(n_sites, collusion, drop_every, suite="aes-256-ctr", keep=False, remember=False):
    folder = tempfile.mkdtemp(prefix="choir-swarm-")
    federation = fed.Federation(folder, BUILD)
    processes = []
    try:
        seed = secrets.token_hex(32)
        federation.init("swarm")
        graph = enrol(federation, seed, n_sites, collusion)
        plan = os.path.join(folder, "plan.json")
        write_plan(plan, n_sites, suite, DEADLINE_S)
        federation.start_aggregator()
        processes = start_sites(federation, seed, n_sites, drop_every, plan, remember)
        began = time.monotonic()
        federation.launch(plan)
        complete = federation.watch(quiet=True, timeout=PATIENCE_S)
        seconds = time.monotonic() - began
        memory = peak_mib(federation.aggregator.pid)
        first, others = cpu_by_thread(federation.aggregator.pid)
        accounts = []
        for process, log in processes:
            out, _ = process.communicate(timeout=60)
            log.seek(0)
            sys.stderr.write(log.read()[:2000])
            accounts += [json.loads(line) for line in out.splitlines()]
        if not complete:
            raise fed.Failed(federation.tail(federation.log, 40))
        return {"seconds": seconds, "memory": memory, "graph": graph, "aggregator_main": first,
                "aggregator_threads": others, "sites": add_up(account for account in accounts if "times" not in account),
                "phases": phases([account for account in accounts if "times" in account], began)}
    finally:
        for process, log in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            log.close()
        federation.stop()
        if keep:
            print(folder, file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def report(n_sites, collusion, drop_every, remember):
    done = one_round(n_sites, collusion, drop_every, keep="--keep" in sys.argv, remember=remember)
    sites = done["sites"]
    lost = n_sites // drop_every if drop_every else 0
    how = "once per process" if remember else "by each site"
    case = f"{n_sites} sites, c = {collusion}, 1e5 parameters, 32 bit, {lost} lost after SHARES, " \
           f"signatures checked {how}"
    say(case + ": whole round, from launch to model", done["seconds"], "s", against=90,
        ratio=round(90 / done["seconds"], 2), load=os.getloadavg()[0], graph=done["graph"],
        phases=done["phases"])
    say(case + ": aggregator's peak memory", done["memory"], "MiB", against=512,
        ratio=round(512 / done["memory"], 2))
    say(case + ": CPU of the aggregator, its one loop", done["aggregator_main"], "s")
    say(case + ": CPU of the aggregator, CURVE and adding up", done["aggregator_threads"], "s")
    for name in ("signatures", "advertise", "share", "open", "mask", "reveal", "other", "loop",
                 "curve"):
        say(case + f": CPU of all sites, {name}", sites[name], "s")
    say(case + ": signatures checked by all sites", sites["n_signatures"], "",
        remembered=sites["n_remembered"])
    say(case + ": bytes up", sites["bytes_up"] / 1e6, "MB",
        down=round(sites["bytes_down"] / 1e6, 1))


def main():
    """Without a number: 1000 sites. In a federation each site checks signatures on a machine of its
    own; a thousand of them on one would spend most of the round on checking the same ones again, so
    that from 500 sites on (or with --remember) a process remembers what it has checked, unless
    --each is given."""
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    n_sites = int(words[0]) if words else 1000
    report(n_sites, n_sites * 5 // 100, 0 if "--none-lost" in sys.argv else 10,
           (n_sites >= 500 or "--remember" in sys.argv) and "--each" not in sys.argv)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (fed.Failed, subprocess.TimeoutExpired) as error:
        sys.exit(f"bench/swarm.py: {error}")
