from __future__ import annotations

import os
import shutil

import pytest

from jaxtrain.data.images.listing import folders_of, list_classes, list_images, refuse_single
from jaxtrain.errors import ConfigError, DataNotFoundError


def test_a_folder_a_class_in_the_order_of_names(birds):
    listing = list_classes(birds)
    assert list(listing.files) == ["Gull", "crow", "gull"]  # case alone makes another class
    names = [path.name for path in listing.files["crow"]]
    assert names == sorted(names)
    assert [len(paths) for paths in listing.files.values()] == [5, 20, 10]
    assert listing.left_out == ()


def test_what_is_left_out_is_told(birds, tmp_path):
    (birds / "README.md").write_text("birds")
    (birds / ".DS_Store").write_text("")
    (birds / "crow" / "a.webp").write_text("")
    (birds / "crow" / ".hidden.png").write_text("")
    (birds / ".ipynb_checkpoints").mkdir()
    os.mkfifo(birds / "crow" / "pipe.png")
    listing = list_classes(birds)
    assert len(listing.files["crow"]) == 20
    said = "\n".join(listing.left_out)
    for expected in (
        f"{birds}: left out 2 (.DS_Store, .ipynb_checkpoints): hidden",
        f"{birds}: left out 1 (README.md): no folder of a class",
        f"{birds / 'crow'}: left out 1 (.hidden.png): hidden",
        "left out 1 (pipe.png): neither file nor folder",
        "left out 1 (a.webp): neither PNG nor JPEG by name; turn .webp into PNG or JPEG",
    ):
        assert expected in said
    assert len(listing.left_out) == 5


def test_layouts_that_are_none(birds, drawn, tmp_path):
    (birds / "owl").mkdir()
    with pytest.raises(ConfigError, match=r"no image of the class 'owl'; .* an empty folder"):
        list_classes(birds)
    (birds / "owl" / "a.gif").write_text("")
    with pytest.raises(ConfigError, match=r"no image of the class 'owl'; .*only others: .*\.gif"):
        list_classes(birds)
    shutil.rmtree(birds / "owl")
    with pytest.raises(ConfigError, match=r"inside of the class 'birds'; .* one folder too high"):
        list_classes(birds.parent)
    image = drawn(birds / "a.png")
    with pytest.raises(ConfigError, match=r"a\.png: an image beside the folders .*Gull, crow"):
        list_classes(birds)
    image.unlink()
    with pytest.raises(ConfigError, match="found 20 images and no folder"):
        list_classes(birds / "crow")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="found nothing of the kind and no folder"):
        list_classes(tmp_path / "empty")
    for path, found in ((tmp_path / "none", "nothing"), (birds / "crow" / "1.png", "a file")):
        with pytest.raises(DataNotFoundError, match=f"expected a folder of images, found {found}"):
            list_classes(path)
    with pytest.raises(ConfigError, match="can't be looked into"):
        list_classes(tmp_path / ("x" * 300))
    with pytest.raises(ConfigError, match="two classes or more, found crow alone"):
        refuse_single(["crow"], birds)


def test_links_stay_inside(birds, drawn, tmp_path):
    outside = drawn(tmp_path / "outside.png")
    (birds / "crow" / "inside.png").symlink_to(birds / "crow" / "1.png")
    assert len(list_classes(birds).files["crow"]) == 21
    for name, target, said in (
        ("leads_out.png", outside, "leads out of"),
        ("nowhere.png", tmp_path / "nowhere", "leads nowhere"),
        ("circle.png", "circle.png", "leads nowhere"),
    ):
        link = birds / "crow" / name
        link.symlink_to(target)
        with pytest.raises(ConfigError, match=rf"{name}: a symbolic link.*{said}|link that {said}"):
            list_classes(birds)
        link.unlink()
    (birds / "linked").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="leads out of"):
        list_classes(birds)
    (tmp_path / "whole").symlink_to(birds)
    (birds / "linked").unlink()
    assert len(list_classes(tmp_path / "whole").files) == 3  # the folder itself is its owner's


def test_a_name_that_is_not_utf8(birds):
    os.mkdir(os.fsencode(birds) + b"/\xff")
    with pytest.raises(ConfigError, match=r"\\udcff.*not UTF-8"):
        list_classes(birds)


def test_images_right_in_a_folder(birds):
    images, left_out = list_images(birds / "gull")
    assert (len(images), left_out) == (10, ())
    assert list_images(birds)[0] == ()
    assert [folder.name for folder in folders_of(birds)] == ["Gull", "crow", "gull"]
