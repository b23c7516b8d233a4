#!/usr/bin/python3
"""Breaks every invariant once and expects a test to notice.

    run.py [NAME...]      all mutants, or those whose name contains one of the words
    run.py --list         the names, with invariant, file and tests

Copies the committed tree to a temporary folder, builds it once and runs the tests that are to
notice: they must be good. Then, mutant by mutant (mutants.py): the edit, the build of those
tests only, the tests; at least one must fail. Prints TAP, one case a mutant, with the test cases
that noticed. Exit code 0 only if every mutant was caught. Takes minutes, so it is no part of
./check; that the edits still fit is (stale.py).

The environment variable CHOIR_MUTANTS_DIR keeps the folder there for a quicker second time.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

from mutants import MUTANTS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


SLOW = ('crash-', 'e2e-')  # tests of minutes: their mutants come last


class Broken(Exception):
    """Something besides a test went wrong."""


def call(*command, cwd=None):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    if done.returncode != 0:
        raise Broken(' '.join(command[:4]) + ' ...\n' + done.stdout[-3000:])
    return done.stdout


class Tree:
    """A copy of the committed tree and its build folder."""

    def __init__(self, folder):
        self.source = os.path.join(folder, 'source')
        self.build = os.path.join(folder, 'build')
        if not os.path.isdir(self.source):
            call('git', 'clone', '-q', ROOT, self.source)
        call('git', 'fetch', '-q', 'origin', 'HEAD', cwd=self.source)
        call('git', 'checkout', '-q', '-f', 'FETCH_HEAD', cwd=self.source)
        os.environ.setdefault('CHOIR_SHARED_DATA', os.path.join(ROOT, '../shared/data'))
        if not os.path.exists(os.path.join(self.build, 'build.ninja')):
            # An edit may leave a function unused: no reason to stop.
            call('meson', 'setup', '-Dbuildtype=debugoptimized', '-Dwerror=false', self.build,
                 self.source)
        # A git folder is of no use to the tests, and a change of its files is none to meson.
        call('ninja', '-C', self.build, 'build.ninja')
        self.targets = self.targets_of_tests()

    def introspect(self, what):
        return json.loads(call('meson', 'introspect', what, self.build))

    def targets_of_tests(self):
        """{test: files that ninja has to make for it}"""
        made = {target['id']: [os.path.relpath(name, self.build) for name in target['filename']]
                for target in self.introspect('--targets')}
        found = {}
        for test in self.introspect('--tests'):
            found[test['name']] = [name for target in test['depends'] for name in made[target]]
        return found

    def make(self, tests):
        needed = sorted({target for name in tests for target in self.targets[name]})
        if needed:  # the style tests read the sources only
            call('ninja', '-C', self.build, *needed)

    def failing(self, tests):
        """{test: names of the cases that failed}, for the tests that did."""
        log = os.path.join(self.build, 'meson-logs', 'testlog.json')
        if os.path.exists(log):
            os.remove(log)
        subprocess.run(['meson', 'test', '-C', self.build, '--no-rebuild', *tests],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        failed, ran = {}, set()
        with open(log, encoding='utf-8') as file:
            for line in file:
                test = json.loads(line)
                name = test['name'].split(' / ')[-1]
                ran.add(name)
                if test['result'] not in ('OK', 'SKIP'):
                    cases = re.findall(r'^not ok \d+ (?:- )?(\S.*)$', test.get('stdout', ''), re.M)
                    failed[name] = cases or [test['result']]
        if ran != set(tests):
            raise Broken('did not run: ' + ', '.join(sorted(set(tests) - ran)))
        return failed

    def edit(self, mutant):
        path = os.path.join(self.source, mutant.file)
        with open(path, encoding='utf-8') as file:
            text = file.read()
        if text.count(mutant.old) != 1:
            raise Broken(f'stale: the text to replace occurs {text.count(mutant.old)} times')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text.replace(mutant.old, mutant.new))
        return path, text


def try_mutant(tree, mutant, clean):
    """The test cases that noticed. Broken if none did, or if nothing can be said."""
    unknown = [name for name in mutant.tests if name not in tree.targets]
    if unknown:
        raise Broken('no such test: ' + ', '.join(unknown))
    new = [name for name in mutant.tests if name not in clean]
    if new:
        tree.make(new)
        bad = tree.failing(new)
        if bad:
            raise Broken(f'fails without the edit too: {bad}')
        clean.update(new)
    path, text = tree.edit(mutant)
    try:
        tree.make(mutant.tests)
        failed = tree.failing(mutant.tests)
    finally:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
    if not failed:
        raise Broken('SURVIVED: no test noticed')
    return failed


def run(chosen, folder):
    n_bad = 0
    clean = set()  # tests that were good in the tree as it is
    print(f'1..{len(chosen)}', flush=True)
    tree = Tree(folder)
    for number, mutant in enumerate(chosen, 1):
        title = f'{number} - {mutant.name} (invariant {mutant.invariant})'
        try:
            failed = try_mutant(tree, mutant, clean)
        except Broken as err:
            n_bad += 1
            print(f'not ok {title}\n# ' + str(err).replace('\n', '\n# '), flush=True)
            continue
        print(f'ok {title}')
        for name, cases in sorted(failed.items()):
            print(f'#   {name}: ' + ', '.join(cases[:6]) + (', ...' if len(cases) > 6 else ''))
        sys.stdout.flush()
    return 1 if n_bad else 0


def main(words):
    if words == ['--list']:
        for mutant in MUTANTS:
            print(f'{mutant.invariant:>2} {mutant.name}  {mutant.file}  ' + ' '.join(mutant.tests))
        return 0
    chosen = [m for m in MUTANTS if not words or any(word in m.name for word in words)]
    chosen.sort(key=lambda mutant: any(test.startswith(SLOW) for test in mutant.tests))
    kept = os.environ.get('CHOIR_MUTANTS_DIR')
    if kept:
        os.makedirs(kept, exist_ok=True)
        return run(chosen, kept)
    with tempfile.TemporaryDirectory(prefix='choir-mutants-') as folder:
        return run(chosen, folder)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
