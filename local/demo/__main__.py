"""`make demo`: runs the pipeline locally; Ctrl+C and SIGTERM leave nothing behind."""

import signal
import sys

# Until there is something to clean up, an interruption ends the process immediately and silently.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from local.emulators.child import Interrupted, interruptible  # noqa: E402


def main() -> int:
    """Runs the demo until it ends or a signal arrives; returns the exit status."""
    try:
        with interruptible():
            # Imports take seconds, and Ctrl+C must work during them as well.
            from local.demo.run import run  # noqa: PLC0415

            return run()
    except Interrupted as interrupted:
        sys.stderr.write("stopped\n")
        return 128 + interrupted.number


if __name__ == "__main__":
    sys.exit(main())
