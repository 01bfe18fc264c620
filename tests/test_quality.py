"""What --crf means to each encoder."""

import pytest
from films import write_film

from vidcolor.errors import MediaError
from vidcolor.media.containers import EncodeSettings, complete, encoder_options
from vidcolor.media.probe import probe
from vidcolor.media.quality import quality_options
from vidcolor.media.target import check_target


@pytest.fixture
def film(make_clip):
    return probe(make_clip("long.mp4"))


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"crf": 23}),
        ("libvpx-vp9", {"crf": 23, "b:v": 0}),
        ("libaom-av1", {"crf": 23, "b:v": 0}),
        ("libsvtav1", {"crf": 23}),
        ("h264_nvenc", {"cq": 23, "rc": "vbr", "b:v": 0}),
        ("av1_nvenc", {"cq": 23, "rc": "vbr", "b:v": 0}),
        ("hevc_qsv", {"global_quality": 23}),
        ("h264_vaapi", {"qp": 23, "rc_mode": "CQP"}),
        ("hevc_amf", {"qp_i": 23, "qp_p": 23, "rc": "cqp"}),
        ("h264_videotoolbox", {"q:v": 55}),
        ("mpeg4", {"q:v": 23}),
        ("mpeg2video", {"q:v": 23}),
    ],
)
def test_every_encoder_is_told_its_quality_and_no_bit_rate(codec, options):
    assert quality_options(codec, 23) == options


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "h264_nvenc", "h264_videotoolbox"])
def test_a_quality_is_set_where_none_is_asked_for(codec, film):
    settings = complete(film, EncodeSettings(codec=codec))
    assert settings.crf is not None
    options = encoder_options(film, settings)
    assert quality_options(codec, settings.crf).items() <= options.items()


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "mpeg4"])
def test_lower_is_better_and_larger(codec, film, tmp_path):
    sizes = []
    for crf in (3, 30):
        settings = EncodeSettings(codec=codec, crf=crf)
        (piece,) = write_film(film, tmp_path, check_target(film, tmp_path / "a.mkv", settings))
        sizes.append(piece.path.stat().st_size)
    assert sizes[0] > 1.3 * sizes[1]


@pytest.mark.parametrize(
    ("codec", "crf", "reason"),
    [
        ("libx264", 200, r"--crf 200 is out of range for libx264; choose from 0 \(best\) to 51"),
        ("libvpx-vp9", 64, "out of range for libvpx-vp9; .* to 63"),
        ("mpeg4", 0, r"out of range for mpeg4; choose from 1 \(best\) to 31"),
        ("h264_nvenc", 0, "out of range for h264_nvenc; choose from 1"),
        ("ffv1", 10, "ffv1 has no constant quality; leave --crf out"),
        ("prores_ks", 10, "prores_ks has no constant quality; leave --crf out"),
        ("copy", None, "cannot be copied, it has to be encoded; leave --codec out"),
        ("copy", 10, "cannot be copied, it has to be encoded; leave --codec out"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(codec, crf, reason, film, tmp_path):
    with pytest.raises(MediaError, match=reason) as caught:
        check_target(film, tmp_path / "out.mkv", EncodeSettings(codec=codec, crf=crf))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
