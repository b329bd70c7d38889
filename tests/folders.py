"""Model folders that were tampered with."""

import json

from genomic_ulmfit.model.folder import CONFIG, WEIGHTS
from genomic_ulmfit.seq.files import sha256


def changed_settings(model, folder, branch: str, **changes):
    """A model folder whose settings of a branch beside the encoder were changed, and its checksum with them."""
    path = model.save(folder) / CONFIG
    known = json.loads(path.read_text())
    known["settings"][branch] |= changes
    known["files"][WEIGHTS]["sha256"] = sha256(folder / WEIGHTS)
    path.write_text(json.dumps(known))
    return folder
