"""The list of scenarios: what is recorded, under which name, and why."""
import os
import shutil
from dataclasses import dataclass
from typing import Callable

# The files of a scenario. A fixed name, because recordings hold the paths of
# executables and of Unix sockets; below /run, because only root writes there.
FOLDER = "/run/qtap-record"

ALL = []


@dataclass
class Scenario:
    """One recording. `run` makes the traffic. When it decides itself when the
    recorder starts and stops, it takes the recorder, and nothing otherwise."""

    name: str
    shows: str
    run: Callable
    flags: tuple  # of qtaprecord
    controls: bool  # the recorder


def scenario(*flags, controls=False):
    """Adds the function below to the list, under its name. Its docstring says
    in one sentence what the recording shows."""
    def add(function):
        shows = " ".join(function.__doc__.split())
        ALL.append(Scenario(function.__name__, shows, function, flags, controls))
        return function
    return add


def path(name):
    """Returns the path of a file of the scenario."""
    return os.path.join(FOLDER, name)


def empty_folder():
    """Makes the folder anew, so that no scenario sees another's files."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.mkdir(FOLDER, 0o700)
