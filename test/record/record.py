#!/usr/bin/env python3
"""Records scenarios with qtaprecord into testdata/events; `make recordings` calls it.

    record.py PROGRAMS [SCENARIO ...]     PROGRAMS: folder of qtaprecord, goserver and goclient
    record.py --list

It needs Linux and root, nginx, curl and node. The traffic stays in a network
namespace of its own, with nothing but a loopback interface, and only that
namespace is recorded: nothing of this machine's other traffic gets into a file.
"""
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time

import messages  # noqa: F401 adds its scenarios to the list, like the next two
import software  # noqa: F401
import transport  # noqa: F401
from peers import PATIENCE_SECONDS
from scenario import ALL, empty_folder, path

TESTDATA = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../testdata"))
EVENTS, GOLDEN = os.path.join(TESTDATA, "events"), os.path.join(TESTDATA, "golden")
# The distribution's own programs, whatever is installed beside them, so that
# the paths in the records do not depend on who records.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# A small file is reviewed and kept for ever; this one would not be small.
MOST_BYTES = 200_000
# The kernel side reports what it has seen within a tenth of that.
SETTLE_SECONDS = 0.3


def enter_own_network():
    clone_newnet = 0x40000000
    if ctypes.CDLL(None, use_errno=True).unshare(clone_newnet):
        error = ctypes.get_errno()
        sys.exit(f"making a network namespace: {os.strerror(error)}; it needs root")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class Recorder:
    """qtaprecord with the output file of a scenario."""

    def __init__(self, program, scenario):
        self.name = scenario.name
        self.output = path("events.qtap")
        self.command = [program, "-o", self.output, "-netns", "/proc/self/ns/net", *scenario.flags]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True)
        said = self.process.stderr.readline()
        if not said.startswith("recording"):
            self.process.wait()
            self.process = None
            sys.exit(f"{self.name}: {said.strip()}")

    def stop(self):
        """Ends the recording, unless that was done."""
        if self.process is None:
            return
        time.sleep(SETTLE_SECONDS)
        self.process.send_signal(signal.SIGINT)
        said = self.process.stderr.read().strip()
        failed, self.process = self.process.wait(), None
        if failed:
            sys.exit(f"{self.name}: {said}")
        print(f"{self.name:30} {said}", flush=True)

    def keep(self):
        """Puts the recording where it belongs, once it is whole."""
        if os.path.getsize(self.output) > MOST_BYTES:
            sys.exit(f"{self.name}: more than {MOST_BYTES} bytes")
        kept = os.path.join(EVENTS, self.name + ".qtap")
        shutil.copyfile(self.output, kept)
        folder = os.stat(EVENTS)
        os.chown(kept, folder.st_uid, folder.st_gid)
        os.chmod(kept, 0o644)


def record(programs, scenario):
    empty_folder()
    for program in ("goserver", "goclient"):
        shutil.copy(os.path.join(programs, program), path(program))
    recorder = Recorder(os.path.join(programs, "qtaprecord"), scenario)
    signal.alarm(3 * PATIENCE_SECONDS)
    try:
        if scenario.controls:
            scenario.run(recorder)
        else:
            recorder.start()
            scenario.run()
    finally:
        recorder.stop()
        signal.alarm(0)
    recorder.keep()


def give_up(*_):
    raise TimeoutError("the scenario does not end")


def remove_strangers():
    """Removes recordings that are in the list no more, with their golden records."""
    names = {scenario.name for scenario in ALL}
    for folder, suffix in ((EVENTS, ".qtap"), (GOLDEN, ".yaml")):
        for file in os.listdir(folder):
            if file.endswith(suffix) and file.removesuffix(suffix) not in names:
                os.unlink(os.path.join(folder, file))


def main():
    if sys.argv[1:] == ["--list"]:
        for scenario in ALL:
            print(f"{scenario.name:30} {scenario.shows}")
        return
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    programs, wanted = sys.argv[1], sys.argv[2:]
    unknown = set(wanted) - {scenario.name for scenario in ALL}
    if unknown:
        sys.exit(f"no such scenario: {', '.join(sorted(unknown))}; record.py --list")
    os.environ["PATH"] = PATH
    signal.signal(signal.SIGALRM, give_up)
    enter_own_network()
    for scenario in ALL:
        if not wanted or scenario.name in wanted:
            record(programs, scenario)
    remove_strangers()


if __name__ == "__main__":
    main()
