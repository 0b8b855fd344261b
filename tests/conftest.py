"""What several test files need."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def emodb_audio():
    """Return the folder of EmoDB recordings, or skip the test where there is none."""
    for folder in (ROOT / "data" / "wav", ROOT.parent / "shared" / "emodb" / "wav"):
        if (folder / "03a01Fa.wav").exists():
            return folder
    pytest.skip("needs the EmoDB recordings; get them with: python dataset.py download")
