#!/usr/bin/python3
"""Kills the door at every system call and looks at what is left.

    kill_sweep.py BUILD_DIR [--full]

BUILD_DIR holds door_driver, its mutants and the preloaded shims. The short form (for ./check)
takes every STEP-th call of each kind, --full takes all of them. For each point: an empty state,
a run that is killed (or given an error) at that call, a look at what it left, then a run without
faults, and a look again. Prints TAP; exit code 0 if every case is good.

Power cuts are not simulated: a killed process leaves the page cache behind. That bytes are on
the disk before anything leaves is shown from the order of the sync calls in a trace.
"""
import collections
import concurrent.futures
import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

ROUNDS = 3
KEEP = 2  # rounds whose bytes stay; both as in door_driver.c
STEP = 2  # of the short form
TIMEOUT = 20
# Calls of a process's start and of the memory allocator touch neither the disk nor the wire.
BORING = {'execve', 'exit_group', 'arch_prctl', 'set_tid_address', 'set_robust_list', 'rseq',
          'prlimit64', 'sched_getaffinity', 'rt_sigaction', 'rt_sigprocmask', 'exit', '+++'}


class Point:
    """One state directory: runs of the driver and what they left."""

    def __init__(self, driver, scratch):
        self.driver = driver
        self.dir = tempfile.mkdtemp(dir=scratch)
        self.state = os.path.join(self.dir, 'state')
        self.wire = os.path.join(self.dir, 'wire')

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self, options=(), trace='/dev/null', preload=None):
        command = ['strace', '-f', '-qq', '-o', trace, *options]
        if preload:
            command += ['-E', 'LD_PRELOAD=' + preload]
        command += [self.driver, self.state, self.wire]
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=TIMEOUT).returncode

    def restart(self):
        return subprocess.run([self.driver, self.state, self.wire], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=TIMEOUT).returncode

    def charges(self):
        """{round: digest} as a restart would find it; the look works on a copy."""
        found = collections.Counter()
        digests = {}
        database = os.path.join(self.state, 'ledger.db')
        if not os.path.exists(database):
            return {}
        with tempfile.TemporaryDirectory(dir=self.dir) as copy:
            for name in ('ledger.db', 'ledger.db-wal'):
                path = os.path.join(self.state, name)
                if os.path.exists(path):
                    shutil.copy(path, copy)
            db = sqlite3.connect(os.path.join(copy, 'ledger.db'))
            try:
                if db.execute('PRAGMA integrity_check').fetchone()[0] != 'ok':
                    raise AssertionError('the database is damaged')
                if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'charge'").fetchone():
                    return {}
                for number, digest in db.execute('SELECT round, hex(digest) FROM charge'):
                    found[number] += 1
                    digests[number] = digest.lower()
            finally:
                db.close()
        for number, times in found.items():
            if times != 1:
                raise AssertionError('round %d is charged %d times' % (number, times))
        return digests

    def releases(self):
        """[(round, digest, bytes)] in the order in which they left."""
        if not os.path.exists(self.wire):
            return []
        with open(self.wire, encoding='ascii') as file:
            lines = [line.split() for line in file.read().splitlines()]
        return [(int(number), digest, bytes.fromhex(text)) for number, digest, text in lines]

    def check(self):
        """What must hold at any moment."""
        charges = self.charges()
        for number, digest, content in self.releases():
            if number not in charges:
                raise AssertionError('round %d left without a charge' % number)
            if digest != charges[number] or hashlib.sha256(content).hexdigest() != digest:
                raise AssertionError('round %d left with bytes that were not charged' % number)
        return charges

    def check_finished(self):
        """What must hold after a run without faults."""
        charges = self.check()
        left = {number for number, _, _ in self.releases()}
        if set(charges) != set(range(1, ROUNDS + 1)) or left != set(charges):
            raise AssertionError('charged %s, left %s' % (sorted(charges), sorted(left)))
        names = set(os.listdir(os.path.join(self.state, 'outbox')))
        kept = {digest for number, digest in charges.items() if number > ROUNDS - KEEP}
        if names != kept:
            raise AssertionError('the outbox holds other files than those of the last rounds')


def count_calls(driver, scratch):
    """How often a whole run makes each system call."""
    point = Point(driver, scratch)
    trace = os.path.join(point.dir, 'trace')
    try:
        if point.run(trace=trace) != 0:
            raise AssertionError('the driver fails without any fault')
        point.check_finished()
        with open(trace, encoding='utf-8', errors='replace') as file:
            names = re.findall(r'^(?:\d+ +)?(\w+)\(', file.read(), re.M)
    finally:
        point.close()
    return {name: n for name, n in collections.Counter(names).items() if name not in BORING}


def fault_at(driver, scratch, call, when, fault):
    """None, or what is wrong after `fault` (as strace spells it) at that call."""
    point = Point(driver, scratch)
    try:
        point.run(['-e', 'trace=' + call, '-e', 'inject=%s:%s:when=%d' % (call, fault, when)])
        point.check()
        if point.restart() != 0:
            return 'the restart fails'
        point.check_finished()
    except (AssertionError, sqlite3.Error) as problem:
        return str(problem)
    finally:
        point.close()
    return None


def sync_order(driver, scratch, preload=None):
    """None, or what is wrong with the order of syncs before each release."""
    wanted = [('fsync', '/outbox/draft.tmp'), ('renameat', 'draft.tmp'), ('fsync', '/outbox'),
              ('pwrite64', 'ledger.db-wal'), ('fdatasync|fsync', 'ledger.db-wal')]
    point = Point(driver, scratch)
    trace = os.path.join(point.dir, 'trace')
    try:
        point.run(['-y', '-e', 'trace=fsync,fdatasync,renameat,renameat2,rename,write,pwrite64'],
                  trace=trace, preload=preload)
        with open(trace, encoding='utf-8', errors='replace') as file:
            lines = file.read().splitlines()
    finally:
        point.close()
    releases = step = 0
    for line in lines:
        call = re.match(r'^(?:\d+ +)?(\w+)\((.*)', line)
        if not call:
            continue
        name, rest = call.groups()
        if name == 'write' and point.wire + '>' in rest.split(',')[0]:
            if step != len(wanted):
                return 'release %d left before step %s' % (releases + 1, wanted[step])
            releases += 1
            step = 0
        elif step < len(wanted) and re.fullmatch(wanted[step][0], name):
            first = rest if name == 'renameat' else rest.split(',')[0].rstrip(') =0123456789')
            if wanted[step][1] in first and (wanted[step][1] != '/outbox' or
                                             first.endswith('/outbox>')):
                step += 1
    return None if releases == ROUNDS else 'only %d releases seen' % releases


class Tap:
    """Numbers the cases and keeps the score."""

    def __init__(self):
        self.n = self.failed = 0

    def case(self, good, text):
        self.n += 1
        self.failed += not good
        print('%s %d - %s' % ('ok' if good else 'not ok', self.n, text), flush=True)

    def end(self):
        print('1..%d' % self.n)
        return 1 if self.failed else 0


def points_of(count, step):
    """Every step-th call, the first and the last one always."""
    return sorted(set(range(1, count + 1, step)) | {count})


def try_points(tap, pool, driver, scratch, call, count, step, fault, text):
    chosen = points_of(count, step) if count else []
    problems = [(k, p) for k, p in zip(chosen, pool.map(
        lambda k: fault_at(driver, scratch, call, k, fault), chosen)) if p]
    tap.case(bool(chosen) and not problems, '%s, %d of %d points%s' % (
        text, len(chosen), count, ': at %d: %s' % problems[0] if problems else ''))


def sweep(tap, pool, driver, scratch, calls, step):
    for call, count in sorted(calls.items()):
        try_points(tap, pool, driver, scratch, call, count, step, 'signal=KILL',
                   'killed at ' + call)
    for call, error in (('fsync', 'EIO'), ('fdatasync', 'EIO'), ('write', 'ENOSPC'),
                        ('pwrite64', 'ENOSPC'), ('pwrite64', 'EIO'), ('renameat', 'EIO'),
                        ('openat', 'EMFILE')):
        try_points(tap, pool, driver, scratch, call, calls.get(call, 0), step, 'error=' + error,
                   '%s answers %s' % (call, error))


def mutant(tap, build, scratch, name, calls):
    """The harness must find fault with a driver that is wrong."""
    driver = os.path.join(build, name)
    for call in ('fdatasync', 'fsync', 'pwrite64', 'write'):
        for k in range(1, calls.get(call, 0) + 1):
            problem = fault_at(driver, scratch, call, k, 'signal=KILL')
            if problem:
                tap.case(True, '%s is caught at %s %d: %s' % (name, call, k, problem))
                return
    tap.case(False, '%s is caught' % name)


def tracing_works(scratch):
    if not shutil.which('strace'):
        return 'strace is not installed'
    trial = subprocess.run(['strace', '-qq', '-o', os.path.join(scratch, 'trial'), '-e',
                            'inject=getppid:signal=KILL', '/bin/true'],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return None if trial.returncode == 0 else 'tracing a process is not permitted here'


def main():
    build, full = sys.argv[1], '--full' in sys.argv[2:]
    step = 1 if full else STEP
    driver = os.path.join(build, 'door_driver')
    began = time.monotonic()
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix='choir-crash-') as scratch, \
            concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        reason = tracing_works(scratch)
        if reason:
            print('1..0 # SKIP ' + reason)
            return 0
        calls = count_calls(driver, scratch)
        print('# %d system calls in a run of %d rounds' % (sum(calls.values()), ROUNDS))
        sweep(tap, pool, driver, scratch, calls, step)
        problem = sync_order(driver, scratch)
        tap.case(problem is None, 'file, folder and log are synced before each release' +
                 ('' if problem is None else ': ' + problem))
        for name in ('door_driver_release_first', 'door_driver_redraw'):
            mutant(tap, build, scratch, name, calls)
        for name in ('fsync', 'fdatasync'):
            shim = os.path.join(build, 'libnosync_%s.so' % name)
            problem = sync_order(driver, scratch, preload=shim)
            tap.case(problem is not None, 'a missing %s is caught: %s' % (name, problem))
    print('# %.1f s' % (time.monotonic() - began))
    return tap.end()


if __name__ == '__main__':
    sys.exit(main())
