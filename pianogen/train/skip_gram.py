"""Word vectors as skip-gram with negative sampling learns them, from the words that are near each other in the shards.

Skip-gram with negative sampling implicitly factorizes the pointwise mutual information of words and of those near them.
With 312 words that matrix is small: it is counted and factorized here, exactly and without random draws. Negative
information is set to 0, since that of a pair that never occurs is minus infinity. Transposition is not applied.

Reference: Mikolov et al. (2013), Distributed Representations of Words and Phrases and their Compositionality; Levy &
Goldberg (2014), Neural Word Embedding as Implicit Matrix Factorization. Shapes: V words, E components of a vector.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save

from pianogen.data import Split
from pianogen.errors import RunError, SettingError
from pianogen.files import sha256_of, write_atomic
from pianogen.models import PianoModel
from pianogen.progress import Progress
from pianogen.runs import Run
from pianogen.tokens.vocab import VOCABULARY_SIZE

VECTORS = "word-vectors.safetensors"
WINDOW = 8  # tokens on each side that count as near: four notes and waits


def write_vectors(folder: Path, split: Split, size: int) -> str:
    """Compute the vectors of a split, write them into a run folder, and return the file's SHA-256.

    Raises:
        SettingError: There are fewer words than components.
    """
    if size > VOCABULARY_SIZE:
        raise SettingError(
            f"setting 'model.embedding_size' is {size}, but it must be at most {VOCABULARY_SIZE}, the number of words, "
            "for skip_gram"
        )
    vectors = torch.from_numpy(factorized(count_pairs(split), size).astype(np.float32))
    write_atomic(folder / VECTORS, save({"vectors": vectors}))
    return sha256_of(folder / VECTORS)


def load_vectors(model: PianoModel, run: Run) -> None:
    """Give a new model's embedding the vectors that `write_vectors` wrote.

    Raises:
        RunError: The file is missing or damaged.
    """
    file, recorded = run.path / VECTORS, run.environment.get("word_vectors", {}).get("sha256")
    if not file.is_file() or sha256_of(file) != recorded:
        raise RunError(f"{file} is missing or damaged; {run.path} has no checkpoint, so delete it and train again")
    with torch.no_grad():
        model.embedding.state_dict()["weight"].copy_(load_file(file)["vectors"])


def count_pairs(split: Split) -> Int[np.ndarray, "V V"]:
    """How often two words of one performance stand at most `WINDOW` tokens apart, in either order."""
    pairs = np.zeros(VOCABULARY_SIZE**2, dtype=np.int64)
    with Progress("counting words near each other", total=len(split), unit="performances") as bar:
        for index in range(len(split)):
            ids = split.tokens(index).astype(np.int64)
            near = [ids[:-apart] * VOCABULARY_SIZE + ids[apart:] for apart in range(1, WINDOW + 1)]
            pairs += np.bincount(np.concatenate(near), minlength=len(pairs))
            bar.advance()
    counts = pairs.reshape(VOCABULARY_SIZE, VOCABULARY_SIZE)
    return counts + counts.T


def factorized(pairs: Int[np.ndarray, "V V"], size: int) -> Float[np.ndarray, "V E"]:
    """The best approximation of the positive pointwise mutual information by products of `size` components.

    It is divided evenly between words and contexts, and scaled to a mean square of 1 over the words that occur, as a
    learned embedding starts. A word that never occurs has the vector 0.
    """
    total = pairs.sum(axis=1, keepdims=True).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.nan_to_num(np.log(pairs * total.sum() / (total * total.T)), nan=0.0, neginf=0.0)
    left, values, _ = np.linalg.svd(information.clip(min=0.0))
    largest = np.abs(left).argmax(axis=0)
    left *= np.sign(left[largest, np.arange(len(left))])  # a singular vector's sign is arbitrary
    vectors = (left * np.sqrt(values))[:, :size]
    vectors[total[:, 0] == 0] = 0
    return vectors / np.sqrt((vectors[total[:, 0] > 0] ** 2).mean())
