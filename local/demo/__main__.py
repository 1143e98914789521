"""`make demo`: runs the pipeline locally; Ctrl+C and SIGTERM leave nothing behind."""

import signal
import sys

# Until there is something to clean up, an interruption ends the process at once, without a word.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from local.emulators.child import Interrupted, interruptible  # noqa: E402


def main() -> int:
    """Run the demonstration until its end or a signal; returns the exit status."""
    try:
        with interruptible():
            # Imports take seconds, in which a Ctrl+C is as welcome as at any other time.
            from local.demo.run import run  # noqa: PLC0415

            return run()
    except Interrupted as interrupted:
        sys.stderr.write("stopped\n")
        return 128 + interrupted.number


if __name__ == "__main__":
    sys.exit(main())
