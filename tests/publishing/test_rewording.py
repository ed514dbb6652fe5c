"""Rows that are no photos are not called so, and what is no prose stays as it is."""

from coreml_updatable.publishing.rewording import page_reworded, reworded


def test_words() -> None:
    assert reworded("Photos and pictures: a photo, one picture, photography.", "clip") == (
        "Clips and clips: a clip, one clip, photography."
    )
    assert reworded("a photo", "") == "a photo"


def test_a_page() -> None:
    page = (
        '<h2 id="pictures">Pictures</h2><style>.photo{}</style><p>5 photos <code>photos/</code> a photo<br>picture</p>'
    )
    assert page_reworded(page, "pose") == (
        '<h2 id="pictures">Poses</h2><style>.photo{}</style><p>5 poses <code>photos/</code> a pose<br>pose</p>'
    )
    assert page_reworded(page, "") == page
