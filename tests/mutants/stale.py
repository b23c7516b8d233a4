#!/usr/bin/python3
"""Are the mutants still about this tree? The quick part of tests/mutants: every text to replace
occurs exactly once, names are unique, and docs/invariants.md names every mutant and only tests
that are there. Prints TAP."""
import os
import re
import sys

sys.dont_write_bytecode = True
from mutants import MUTANTS  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(name):
    try:
        with open(os.path.join(ROOT, name), encoding='utf-8') as file:
            return file.read()
    except OSError:
        return ''


def texts_occur_once():
    for mutant in MUTANTS:
        times = read(mutant.file).count(mutant.old)
        if times != 1:
            yield f'{mutant.name}: its text occurs {times} times in {mutant.file}'
        if mutant.old == mutant.new:
            yield f'{mutant.name}: changes nothing'


def names_are_unique():
    names = [mutant.name for mutant in MUTANTS]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f'{name} is there twice'


def the_page_names_every_mutant():
    named = set(re.findall(r'`([a-z0-9]+(?:-[a-z0-9]+)+)`', read('docs/invariants.md')))
    ours = {mutant.name for mutant in MUTANTS}
    yield from (f'{name} is not in docs/invariants.md' for name in sorted(ours - named))
    yield from (f'docs/invariants.md names {name}, which is none'
                for name in sorted(named - ours) if name.count('-') > 1)


def the_page_names_tests_that_exist():
    page = read('docs/invariants.md')
    for file, names in re.findall(r'(tests/[\w/]+\.(?:c|py|sh))((?:[:,] `\w+`)*)', page):
        text = read(file)
        if not text:
            yield f'{file} does not exist'
        for name in re.findall(r'`(\w+)`', names):
            if not re.search(rf'\b{name}\b', text):
                yield f'{name} is not in {file}'


def every_test_file_is_built():
    for folder, _, files in os.walk(os.path.join(ROOT, 'tests')):
        build = read(os.path.join(os.path.relpath(folder, ROOT), 'meson.build'))
        for name in sorted(files):
            unit = name[:-len('_test.c')] if name.endswith('_test.c') else None
            if unit is not None and f"'{unit}'" not in build and f"'{name}'" not in build:
                yield f'{os.path.relpath(folder, ROOT)}/{name} is in no meson.build: it never runs'


def main():
    checks = [texts_occur_once, names_are_unique, the_page_names_every_mutant,
              the_page_names_tests_that_exist, every_test_file_is_built]
    n_bad = 0
    print(f'1..{len(checks)}')
    for number, check in enumerate(checks, 1):
        faults = list(check())
        n_bad += bool(faults)
        print(('not ok' if faults else 'ok') + f' {number} - {check.__name__}')
        for fault in faults:
            print('# ' + fault)
    return 1 if n_bad else 0


if __name__ == '__main__':
    sys.exit(main())
