"""`make mutants`: changes `shared/` in one place at a time, and lists the changes that no test notices.

It runs in a separate environment (`.venv-mutants`), which has cosmic-ray, and works on a copy of the
repository. Each mutant runs against the test files nearest to its module, as many as take 20 seconds.
"""

import argparse
import contextlib
import difflib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_code

from tests import mirror

ROOT = Path(__file__).resolve().parents[2]
PYTEST = (str(ROOT / ".venv/bin/python"), "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider")
MODULES = ("shared",)
SECONDS = 20.0
"""CPU seconds that the tests of one mutant may take on the unchanged code."""
PATIENCE = 300.0
"""Seconds after which tests are stopped: a mutant that makes them hang counts as noticed."""
FILES = 6
"""Maximum number of test files that are tried for a module."""
SETTLED = ("NumberReplacer", "ReplaceBinaryOperator", "ReplaceComparisonOperator", "ReplaceUnaryOperator")


@dataclass(frozen=True)
class Mutant:
    """A change of one place."""

    module: str
    """Its path in the repository."""
    operator: str
    occurrence: int
    line: int


def mutants(module: Path, rng: random.Random) -> Iterator[Mutant]:
    """Yields one change for each kind of change and place of a module."""
    places: dict[tuple[str, object], list[Mutant]] = defaultdict(list)
    tree = get_ast_from_path(module)
    for name in sorted(plugins.operator_names()):
        operator = plugins.get_operator(name)
        if operator.arguments():
            continue
        family = next((one for one in SETTLED if one in name), name)
        found = (start for node in ast_nodes(tree) for start, _ in operator().mutation_positions(node))
        for occurrence, start in enumerate(found):
            places[family, start].append(Mutant(str(module.relative_to(ROOT)), name, occurrence, start[0]))
    for several in places.values():
        yield rng.choice(several)


def tests_of(module: str) -> list[str]:
    """Returns the test files of a module, nearest first: its own, those that import it, its package's."""
    package, _, name = module.removesuffix(".py").replace("/", ".").rpartition(".")
    pattern = re.compile(
        rf"^\s*(from {re.escape(package)}\.{name} import|from {re.escape(package)} import .*\b{name}\b)",
        re.MULTILINE,
    )
    mirrored = ROOT / "tests" / Path(module).parent
    elsewhere = [ROOT / path for path, names in mirror.TESTED_IN.items() if module[:-3] in names.split()]
    found = []
    for file in {*(ROOT / "tests/shared").rglob("test_*.py"), *elsewhere}:
        own = file in (mirrored / f"test_{name}.py", *elsewhere)
        imports = pattern.search(file.read_text()) is not None
        if own or imports or file.parent == mirrored:
            found.append((not own, not imports, file.parent != mirrored, str(file.relative_to(ROOT))))
    return [file for *_, file in sorted(found)]


def run(folder: Path, tests: Sequence[str], seconds: float) -> tuple[bool, float]:
    """Whether these tests pass in this copy of the repository in time, and the CPU seconds they took."""
    with subprocess.Popen(
        [*PYTEST, *tests],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:

        def stop() -> None:
            """Kills the process and the servers that the tests started."""
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(seconds, stop)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        stop()
        return process.returncode == 0, usage.ru_utime + usage.ru_stime


class Copies:
    """Copies of the repository, one for each thread."""

    def __init__(self, count: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mutants-"))
        self.free: SimpleQueue[Path] = SimpleQueue()
        ignored = shutil.ignore_patterns(".*", "node_modules", "site", "__pycache__")
        for number in range(count):
            copy = self._folder / str(number)
            shutil.copytree(ROOT, copy, ignore=ignored)
            for name in (".venv", "node_modules"):
                (copy / name).symlink_to(ROOT / name)
            self.free.put(copy)

    def close(self) -> None:
        """Removes them."""
        shutil.rmtree(self._folder, ignore_errors=True)


class Tests:
    """Measures how long test files take without a mutant."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def chosen(self, folder: Path, files: Sequence[str]) -> list[str]:
        """Returns the first test files that fit into `SECONDS` and pass on the unchanged code."""
        chosen: list[str] = []
        total = 0.0
        for file in files[:FILES]:
            if file not in self._seconds:
                passed, took = run(folder, [file], PATIENCE)
                self._seconds[file] = took if passed else SECONDS + 1
            if total + self._seconds[file] <= SECONDS:
                chosen.append(file)
                total += self._seconds[file]
        return chosen


def diff(mutant: Mutant, before: str, after: str) -> str:
    """Returns the changed lines."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    changed = [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return f"{mutant.module}:{mutant.line}: {mutant.operator}\n" + "\n".join(f"    {one}" for one in changed)


def main() -> int:
    """Runs the sample, and prints the survivors and their number."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", default=MODULES, help="files and folders to change")
    parser.add_argument("--count", type=int, default=300, help="how many mutants; 0: all")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    modules = sorted(
        {
            path
            for one in options.modules
            for path in ([ROOT / one] if one.endswith(".py") else (ROOT / one).rglob("*.py"))
        }
    )
    every = [mutant for module in modules for mutant in mutants(module, rng)]
    sample = rng.sample(every, min(options.count or len(every), len(every)))
    sample.sort(key=lambda one: (one.module, one.line))
    print(f"{len(sample)} of {len(every)} mutants of {len(modules)} modules", flush=True)
    copies = Copies(options.jobs)
    tests = Tests()

    def attempt(mutant: Mutant) -> str:
        folder = copies.free.get()
        path = folder / mutant.module
        before = path.read_text()
        try:
            chosen = tests.chosen(folder, tests_of(mutant.module))
            if not chosen:
                return (
                    f"untested\n{mutant.module}:{mutant.line}: no test of it takes less than {SECONDS:.0f} s"
                )
            after = mutate_code(before, plugins.get_operator(mutant.operator)(), mutant.occurrence)
            path.write_text(after)
            if not run(folder, chosen, PATIENCE)[0]:
                return "noticed\n"
            return f"survived\n{diff(mutant, before, after)}"
        finally:
            path.write_text(before)
            copies.free.put(folder)

    outcomes: dict[str, int] = defaultdict(int)
    try:
        with ThreadPoolExecutor(options.jobs) as threads:
            for outcome in threads.map(attempt, sample):
                kind, _, text = outcome.partition("\n")
                outcomes[kind] += 1
                if text:
                    print(text, flush=True)
    finally:
        copies.close()
    counts = ", ".join(f"{number} {kind}" for kind, number in sorted(outcomes.items()))
    print(f"mutants: {len(sample)} tried with seed {options.seed}: {counts}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
