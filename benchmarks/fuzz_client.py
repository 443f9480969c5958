"""Fuzz the client by hand, for as long as there is time: ``python -m benchmarks.fuzz_client 600``.

The same random arguments, options and answers as in ``tests/security/test_fuzzing.py``, over a real socket, and what
must be true of whatever comes of them. Prints how many were tried, what came of them, and what failed, made as small as
it gets.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from itertools import cycle

os.environ.setdefault("FUZZ_EXAMPLES", "1000")

from tests.security import test_fuzzing
from tests.security.fuzzing import Fuzzed

FUZZERS = [test_fuzzing.test_any_answer, test_fuzzing.test_any_arguments, test_fuzzing.test_any_options]


def main(seconds: float) -> int:
    """Fuzz; 1 if something failed."""
    end, failed = time.monotonic() + seconds, 0
    with Fuzzed() as fuzzed:
        for fuzzer in cycle(FUZZERS):
            if time.monotonic() > end:
                break
            try:
                fuzzer(fuzzed=fuzzed)
            except Exception:  # noqa: BLE001  # whatever it is, it is what is looked for
                failed += 1
                traceback.print_exc()
        print(f"{sum(fuzzed.outcomes.values()):,} calls in {seconds:.0f} s, {failed} failures")
        for outcome, count in sorted(fuzzed.outcomes.items(), key=lambda each: -each[1]):
            print(f"  {outcome:<24}{count:>9,}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 600))
