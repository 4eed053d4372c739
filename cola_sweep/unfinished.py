"""Where a trial keeps its files until it has come to its end, and how another machine gets them.

The folder is `wandb/trials/<run id>`, where a trial that was killed finds its state when it is started again. One that
is preempted sends its state to its run's files, as one zip, which is there whole or not at all; from then on that is
the one place to look, for whichever agent is given the run.

Imports endings, resume and tracking; wandb inside functions.
"""

import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cola_sweep.endings import Stopped, TrialFailed
from cola_sweep.resume import STATE, read_state
from cola_sweep.tracking import only_warned

if TYPE_CHECKING:
    import wandb

SENT = "resume"
# Of trials that were killed and that nobody has taken up again for so long, the folder is removed.
ABANDONED_SECONDS = 7 * 24 * 3600.0


@contextmanager
def trial_folder(run: "wandb.Run") -> Iterator[Path]:
    """The trial's folder, with the newest state that there is; it goes when the trial has come to its end.

    That is a result, a failure for reasons of its own, or the server's stop. After a signal or an error of another
    kind it stays, for the trial may be taken up again.
    """
    folder = Path(run.settings.wandb_dir, "trials", run.id).absolute()
    remove_abandoned(folder.parent)
    if run.resumed:
        receive(run, folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    except (Stopped, TrialFailed) as error:
        if not isinstance(error, Stopped) or error.by_server:
            forget(run, folder)
        raise
    forget(run, folder)


def remove_abandoned(parent: Path) -> None:
    for folder in parent.glob("*"):
        with suppress(FileNotFoundError):  # a trial beside this one has come to its end
            if folder.stat().st_mtime < time.time() - ABANDONED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def forget(run: "wandb.Run", folder: Path) -> None:
    """Remove what the trial kept, here and, if it was ever sent, there."""
    shutil.rmtree(folder, ignore_errors=True)
    if run.resumed:
        with only_warned("the run still has a checkpoint among its files"):
            for file in _sent(run):
                file.delete()


def send(run: "wandb.Run", folder: Path) -> None:
    """Upload the state in `folder`, if there is one, and remove it here; if that fails, it stays."""
    state = read_state(folder)
    if state is None or run.offline:
        return
    packed = folder / SENT / f"epoch-{state['epoch']:05d}.zip"
    packed.parent.mkdir(exist_ok=True)
    with only_warned(f"the trial can go on from this machine alone, in {folder}"):
        with zipfile.ZipFile(packed, "w") as file:
            for name in [STATE, *state["files"]]:
                file.write(folder / name, name)
        _public(run).upload_file(str(packed), root=str(folder))
        shutil.rmtree(folder)
    shutil.rmtree(packed.parent, ignore_errors=True)


def receive(run: "wandb.Run", folder: Path) -> None:
    """Put the newest state among the run's files, if it is newer than the one in `folder`, in its place.

    It is unpacked beside, and looked at, before the older one goes.
    """
    with only_warned("no checkpoint was taken from the run's files"):
        newest = max(_sent(run), key=lambda file: str(file.name), default=None)
        state = read_state(folder)
        if newest is None or (state and state["epoch"] >= int(newest.name[-9:-4])):
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{run.id}.", dir=folder.parent) as beside:
            newest.download(root=beside).close()
            unpacked = Path(beside, folder.name)
            with zipfile.ZipFile(Path(beside, newest.name)) as file:
                file.extractall(unpacked)
            if read_state(unpacked):
                shutil.rmtree(folder, ignore_errors=True)
                unpacked.replace(folder)


def _sent(run: "wandb.Run") -> list[Any]:
    return list(_public(run).files(pattern=f"{SENT}/%"))


def _public(run: "wandb.Run") -> Any:
    import wandb

    return wandb.Api().run(f"{run.entity}/{run.project}/{run.id}")
