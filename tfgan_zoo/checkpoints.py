"""Checkpoints of a run: written completely or not at all, and found without a state file."""

import os
import pathlib
import re
import shutil
import tempfile

from tfgan_zoo.errors import FailureError, first_line
from tfgan_zoo.files import atomic_write, retry, without_wildcards, write_text

INDEX_FILE = re.compile(r"(.*)-(\d+)\.index")
DATA_FILE = re.compile(r"\.data-(\d{5})-of-(\d{5})")


class CheckpointFolder:
    """The newest checkpoints of a run: ckpt-<epoch>.index and ckpt-<epoch>.data-....

    A checkpoint exists if its index does, which is written last. `tf.train.CheckpointManager` finds
    its checkpoints by a state file instead. If a power cut damages that file, it finds none.

    Args:
        folder: the folder; it may be missing.
        keep: number of checkpoints to keep.
    """

    def __init__(self, folder: str | os.PathLike, keep: int = 2):
        self.folder, self.keep = pathlib.Path(folder), keep

    def epochs(self):
        """Return {epoch: path without suffix} of the checkpoints, the newest first."""
        files = sorted(self.folder.glob("*")) if self.folder.is_dir() else []
        names = {file.name for file in files}
        found = {}
        for name in names:
            match = INDEX_FILE.fullmatch(name)
            if match:
                stem = name.removesuffix(".index")
                shards = [DATA_FILE.fullmatch(n[len(stem) :]) for n in names if n.startswith(stem)]
                shards = [shard for shard in shards if shard]
                if shards and len(shards) == int(shards[0][2]):
                    found[int(match[2])] = self.folder / stem
        return dict(sorted(found.items(), reverse=True))

    def save(self, checkpoint, epoch):
        """Write a checkpoint, then delete older ones.

        The files are first written to a local temporary folder. A network disk, such as a mounted
        Google Drive, gets each file once, and is given time if it does not answer.

        Args:
            checkpoint: a `tf.train.Checkpoint`.
            epoch: number of finished epochs.
        """
        with tempfile.TemporaryDirectory(prefix="tfgan-zoo-") as local:
            checkpoint.write(os.path.join(local, "ckpt"))
            # Sorted: the data come before the index.
            for file in sorted(pathlib.Path(local).glob("ckpt.*")):
                retry(lambda file=file: self._copy(file, f"ckpt-{epoch}{file.suffix}"))
        retry(lambda: self._finish(epoch))

    def _copy(self, file, name):
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.folder / name) as partial:
            shutil.copyfile(file, partial)

    def _finish(self, epoch):
        """Delete all but the newest checkpoints, and write TensorFlow's state file."""
        epochs = self.epochs()
        for old in [e for e in epochs if e > epoch] + [e for e in epochs if e <= epoch][
            self.keep :
        ]:
            path = epochs.pop(old)
            for file in [path.with_name(f"{path.name}.index"), *path.parent.glob(f"{path.name}.*")]:
                file.unlink(missing_ok=True)
        paths = [f'all_model_checkpoint_paths: "{path.name}"' for path in reversed(epochs.values())]
        newest = f'model_checkpoint_path: "{next(iter(epochs.values())).name}"'
        write_text(
            self.folder / "checkpoint", "\n".join([newest, *paths])
        )  # tf.train.latest_checkpoint

    def restore(self, checkpoint, warn, before=None):
        """Restore the newest checkpoint that is readable.

        Args:
            checkpoint: a `tf.train.Checkpoint`. All of its variables must be in the file.
            warn: function that reports an unreadable checkpoint, given one line.
            before: largest epoch to restore, if there is a checkpoint up to it; None: any.

        Returns:
            The epoch, or None if there is no checkpoint.

        Raises:
            FailureError: no checkpoint is readable.
        """
        epochs = self.epochs()
        if before is not None and any(epoch <= before for epoch in epochs):
            epochs = {epoch: path for epoch, path in epochs.items() if epoch <= before}
        problems = []
        for epoch, path in epochs.items():
            try:
                with without_wildcards(path.parent) as folder:
                    status = checkpoint.read(str(folder / path.name))
                status.assert_existing_objects_matched().expect_partial()
            except Exception as error:  # a damaged file leads to many types of errors
                problems.append(f"{path} is not readable ({first_line(error)})")
                continue
            for problem in problems:
                warn(f"warning: {problem}. Using {path} instead.")
            return epoch
        if problems:
            raise FailureError(
                f"no checkpoint can be restored: {'; '.join(problems)}. If you have a copy of "
                f"{self.folder}, put it back; otherwise train in another run directory."
            )
        return None
