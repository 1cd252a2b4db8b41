"""What data exist: shape, classes, splits, terms, source and hash of each set.

Known without torch, so that a name which does not exist is answered at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from teachlib.errors import unknown

FOLDER = "folder:"
"""What the name of a folder of the reader's own pictures begins with; see :mod:`teachlib.data.folder`."""


@dataclass(frozen=True)
class Entry:
    """One data set of the catalogue.

    Attributes:
        name: as :func:`teachlib.data.load` takes it.
        title: for people.
        shape: of one image, (C, H, W), as loaded by default.
        classes: number of classes.
        splits: split → number of samples; the splits never overlap.
        terms: licence or terms of use.
        source: where it comes from.
        folder: for sets that are files, their folder below the data root, as torchvision lays it out.
        hashes: file name → hash of its *uncompressed* contents, sha256, or md5 where only that is published; for
            COIL's archives, sha256 of all pixels, or nothing where no copy was at hand; for embedded sets, split →
            sha256 of the pixels as the locked versions give them.
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    classes: int
    splits: dict[str, int]
    terms: str
    source: str
    folder: Path | None
    hashes: dict[str, str]

    @property
    def embedded(self) -> bool:
        """Whether the set ships with the package or its dependencies."""
        return self.folder is None


_IDX_SPLITS = {"train": 50_000, "validation": 10_000, "test": 10_000}

CATALOGUE = {
    entry.name: entry
    for entry in (
        Entry(
            name="digits",
            title="UCI handwritten digits (scikit-learn)",
            shape=(1, 8, 8),
            classes=10,
            splits={"train": 1_197, "validation": 300, "test": 300},
            terms="CC BY 4.0",
            source="E. Alpaydin and C. Kaynak, UCI Machine Learning Repository (1998); ships with scikit-learn",
            folder=None,
            hashes={
                "train": "ab18b155f5c77fdf2a4c5c8bfdf1664e708dbf13e5c58fa4b3b63a5c13d20327",
                "validation": "6ae0c938a46a805ad3504b25e0149b287b95c293785cc483a3a28f632804b1f0",
                "test": "b8f3a7208b84a0a7aa6f24e7db88d2cfdb62a37415046aa4797a7476024b9ebf",
            },
        ),
        Entry(
            name="glyphs",
            title="Glyphs: digits rendered from matplotlib's fonts",
            shape=(1, 32, 32),
            classes=10,
            splits={"train": 12_000, "validation": 2_000, "test": 4_000},
            terms="made here; fonts: DejaVu (Bitstream Vera terms), STIX (OFL 1.1), Computer Modern (AMS, OFL 1.1)",
            source="teachlib.data.glyphs, from a fixed seed",
            folder=None,
            hashes={
                "train": "bce0ec4927b8cfb6de25ffc0690e362ff908b8f5a622882cd97f1dc77ef1e17c",
                "validation": "563d7dfcd3682d712eaecbdc2053873823555d8b2914bdfecfff24fd1efe8f69",
                "test": "19ea317d9107471068ddd4fbebd64b742b189800b96a8a7b97ce60dd1067b0fc",
            },
        ),
        Entry(
            name="mnist",
            title="MNIST",
            shape=(1, 32, 32),
            classes=10,
            splits=_IDX_SPLITS,
            terms="no licence file at the source; often quoted as CC BY-SA 3.0",
            source="Y. LeCun, C. Cortes, C. Burges (1998)",
            folder=Path("MNIST/raw"),
            hashes={
                "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            },
        ),
        Entry(
            name="fashion-mnist",
            title="Fashion-MNIST",
            shape=(1, 32, 32),
            classes=10,
            splits=_IDX_SPLITS,
            terms="MIT (Zalando SE, 2017)",
            source="H. Xiao, K. Rasul, R. Vollgraf (2017)",
            folder=Path("FashionMNIST/raw"),
            hashes={
                "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            },
        ),
        Entry(
            name="cifar-10",
            title="CIFAR-10",
            shape=(3, 32, 32),
            classes=10,
            splits={"train": 40_000, "validation": 10_000, "test": 10_000},
            terms="none stated; the authors ask for a citation",
            source="A. Krizhevsky (2009)",
            folder=Path("cifar-10-batches-py"),
            hashes={
                "data_batch_1": "c99cafc152244af753f735de768cd75f",
                "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
                "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
                "data_batch_4": "634d18415352ddfa80567beed471001a",
                "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
                "test_batch": "40351d587109b95175f43aff81a1287e",
            },
        ),
        Entry(
            name="celeba",
            title="CelebA, the middle 140×140 pixels shrunk to 64×64",
            shape=(3, 64, 64),
            classes=2,
            splits={"train": 162_770, "validation": 19_867, "test": 19_962},
            terms="non-commercial research only; pictures belong to their owners",
            source="Z. Liu, P. Luo, X. Wang, X. Tang (2015)",
            folder=Path("celeba"),
            hashes={
                "img_align_celeba.zip": "00d2c5bc6d35e252742224ab0c1e8fcb",
                "list_eval_partition.txt": "d32c9cbf5e040fd4025c592c306e6668",
                "list_attr_celeba.txt": "75e246fa4810816ffd6ee81facbd244c",
            },
        ),
        Entry(
            name="svhn",
            title="Street View House Numbers, cropped digits",
            shape=(3, 32, 32),
            classes=10,
            splits={"train": 66_000, "validation": 7_257, "test": 26_032},
            terms="non-commercial use only",
            source="Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu, A. Ng (2011)",
            folder=Path("svhn"),
            hashes={
                "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
                "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
            },
        ),
        Entry(
            name="coil-20",
            title="COIL-20, processed: 20 objects on a turntable",
            shape=(1, 128, 128),
            classes=20,
            splits={"train": 960, "validation": 240, "test": 240},
            terms="for research",
            source="S. Nene, S. Nayar, H. Murase (1996), cs.columbia.edu/CAVE/software/softlib/coil-20.php",
            folder=Path("coil20"),
            hashes={"coil-20-proc.zip": "7274cbacb79ea6c57340827c9f9301745a8e9b3173dea4aa828e00b49c42946c"},
        ),
        Entry(
            name="coil-100",
            title="COIL-100: 100 objects on a turntable",
            shape=(3, 128, 128),
            classes=100,
            splits={"train": 4_800, "validation": 1_200, "test": 1_200},
            terms="for research",
            source="S. Nene, S. Nayar, H. Murase (1996), cs.columbia.edu/CAVE/software/softlib/coil-100.php",
            folder=Path("coil100"),
            hashes={"coil-100.zip": ""},
        ),
        Entry(
            name="turntable",
            title="Turntable: toys of simple solids, from 72 sides",
            shape=(3, 32, 32),
            classes=20,
            splits={"train": 960, "validation": 240, "test": 240},
            terms="made here",
            source="teachlib.data.turntable, from a fixed seed",
            folder=None,
            hashes={
                "train": "513f6b8a1510a2d8f764534bdf0a5155e60d75a2808f9dbdd558ba5f5ed0bb73",
                "validation": "f6b784287a870edc7bff52677be808b91e882fd20de59b007198431d5490aa42",
                "test": "e7f7644a946e8a6e02ec72d66daf47c1f347b6c65f1ae9da2c6d7c045d3b03da",
            },
        ),
        Entry(
            name="colour-glyphs",
            title="Coloured glyphs on photographs",
            shape=(3, 32, 32),
            classes=10,
            splits={"train": 12_000, "validation": 2_000, "test": 4_000},
            terms="made here, of the glyphs and two photographs (CC BY 2.0) that ship with scikit-learn",
            source="teachlib.data.colour_glyphs, from a fixed seed",
            folder=None,
            hashes={
                "train": "662487640d377d2c2c5e91c9e4e9cc4ff11911682452c6c25413c384ce596ee0",
                "validation": "ceb68b4be86a3fd01035b65e020444d019176ac5f4f4dc8b239228b72f80b26d",
                "test": "d066002d3e38f4ebe1046d726bc9b313045a417bf4c23cf72229cd6e1f8a0b85",
            },
        ),
    )
}


def is_folder(name: str) -> bool:
    """Whether a data set's name is that of a folder of pictures."""
    return name.startswith(FOLDER)


def refuse_unknown(name: str, others: Iterable[str] = ()) -> None:
    """Answer a name that means nothing before anything is imported that could read data.

    Args:
        name: of the catalogue, a folder's, or one of ``others``.
        others: names of data sets that belong to single chapters.

    Raises:
        TeachlibError: none of these, with the nearest name.
    """
    known = [*CATALOGUE, *others]
    if not is_folder(name) and name not in known:
        raise unknown("dataset", name, known)
