from contextlib import contextmanager
from pathlib import Path
import hashlib

from genomic_ulmfit.seq.errors import InputError


def sha256(path) -> str:
    "SHA-256 of a file's content, in hexadecimal."
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(1 << 20): digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _written(path):
    "A path to write to, which becomes `path` when all has gone well."
    partial = Path(f"{path}.partial")
    try:
        yield partial
        partial.replace(path)
    except OSError as e:
        if isinstance(e, InputError): raise
        raise InputError(path, f"cannot be written ({e.strerror or e})", "Free some space or choose another place") from e
    finally: partial.unlink(missing_ok=True)
