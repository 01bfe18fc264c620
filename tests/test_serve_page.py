"""The page of `vidcolor serve` in a real browser."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import run_ffmpeg
from PIL import Image

from vidcolor.media.binary import find_ffmpeg

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from browser import CHROMIUM, Line, Server, padded
from playwright.sync_api import Browser, Page, expect, sync_playwright

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium"),
    pytest.mark.slow,
]

WAIT = 180_000
"""Milliseconds for what a model or ffmpeg has to do first, on a machine that does much else."""

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("serve") / "data")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """new_page(address, **context) opens it; whatever the page complains about fails the test."""
    faults: list[str] = []
    contexts = []

    def open_page(address: str, **how: Any) -> Page:
        context = browser.new_context(**how)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(f"a dialog: {dialog.message}"))
        page.on(
            "console", lambda message: faults.append(message.text) if is_fault(message) else None
        )
        origin = address.split("/#")[0]
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((origin, "blob:" + origin))
                else faults.append(request.url)
            ),
        )
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


def is_fault(message: Any) -> bool:
    """Refused requests are logged by the browser; the page says more about them itself."""
    return message.type == "error" and "Failed to load resource" not in message.text


@pytest.fixture
def page(server: Server, new_page: Callable[..., Page]) -> Page:
    page = new_page(server.address, accept_downloads=True)
    expect(page.get_by_role("button", name="Choose files")).to_be_visible(timeout=WAIT)
    return page


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    line = Line(server.port)
    yield line
    line.close()


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds of moving gray, 128x96, with a tone."""
    path = tmp_path_factory.mktemp("films") / "street.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=128x96:rate=25:duration=20"),
        *("-f", "lavfi", "-i", "sine=frequency=440:duration=20", "-vf", "hue=s=0"),
        *("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-c:a", "aac", path),
    )
    return path


def copy_of(source: Path, target: Path) -> Path:
    target.write_bytes(source.read_bytes())
    return target


def add(page: Page, *paths: Path) -> None:
    page.locator("#file-input").set_input_files([str(path) for path in paths])


def drop(page: Page, *paths: Path) -> None:
    """Drop files or folders as a hand with a mouse does."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": step, "x": 300, "y": 250, "data": data})


def wait_for_sheet(page: Page) -> None:
    expect(page.get_by_text("Click a picture to see it large.")).to_be_visible(timeout=WAIT)


def begin(page: Page, source: Path) -> None:
    """Add a film and color it as the sheet proposes."""
    add(page, source)
    wait_for_sheet(page)
    page.get_by_role("button", name=re.compile("Color the whole")).click()


def wait_until_done(page: Page) -> None:
    expect(page.locator(".job .state")).to_have_text(re.compile("^Done"), timeout=WAIT)


def downloaded(page: Page, folder: Path) -> Path:
    with page.expect_download() as waiting:
        page.get_by_role("link", name=re.compile("Download")).click()
    download = waiting.value
    target = folder / download.suggested_filename
    download.save_as(target)
    return target


def by_command_line(source: Path, folder: Path, *options: str) -> Path:
    target = folder / f"expected{source.suffix}"
    command = [sys.executable, "-m", "vidcolor", str(source), "--output", str(target), *options]
    subprocess.run(command, check=True, capture_output=True)
    return target


def frames(path: Path) -> list[str]:
    """The time and MD5 of every decoded frame of a film's picture."""
    command = [find_ffmpeg().path, "-v", "error", "-i", path, "-map", "0:v", "-f", "framemd5", "-"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [row for row in said.splitlines() if not row.startswith("#")]


def until(page: Page, condition: str) -> None:
    """Wait for a condition in JavaScript; the page's policy allows no waiting inside of it."""
    for _ in range(WAIT // 100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"waited too long for {condition}")


def seconds_of(page: Page, side: str) -> float:
    return page.locator(f".{side} video").evaluate("video => video.currentTime")


# Entering


def test_token_leaves_the_address_and_a_reload_stays_in(server: Server, page: Page):
    assert "token" not in page.url
    page.reload()
    expect(page.get_by_role("button", name="Choose files")).to_be_visible()
    assert "token" not in page.evaluate("document.cookie")


def test_without_token_the_page_asks_for_it(server: Server, new_page: Callable[..., Page]):
    page = new_page(server.address.split("#")[0])
    expect(page.get_by_role("heading", name="Open the address")).to_be_visible()
    page.get_by_label("Address or token").fill("wrong")
    page.get_by_role("button", name="Enter").click()
    expect(page.get_by_role("alert").filter(has_text="token")).to_be_visible()
    page.get_by_label("Address or token").fill(server.address)
    page.get_by_role("button", name="Enter").click()
    expect(page.get_by_role("button", name="Choose files")).to_be_visible()


# From the film to its colors


def test_film_is_dropped_chosen_colored_and_downloaded(page: Page, film: Path, tmp_path: Path):
    source = copy_of(film, tmp_path / "street.mp4")
    drop(page, source)
    expect(page.get_by_role("heading", name="street.mp4")).to_be_visible()
    wait_for_sheet(page)
    choices = page.locator(".choice")
    assert choices.count() >= 3
    assert page.locator(".original img").count() == 3
    last = choices.last
    last.locator("img").nth(1).click()
    expect(last.get_by_role("radio")).to_be_checked()
    factor = page.get_by_label("Render factor", exact=True).input_value()
    assert factor in last.inner_text()
    page.get_by_role("button", name="Color the whole film").click()

    figures = page.locator(".job .figures")
    expect(figures).to_have_text(
        re.compile(r"\d+ of 500 frames · [\d.]+ fps · \d+ s left"), timeout=WAIT
    )
    picture = page.locator(".job .after img")
    expect(picture).to_be_visible(timeout=WAIT)
    first = picture.get_attribute("src") or ""
    expect(picture).not_to_have_attribute("src", first, timeout=WAIT)
    wait_until_done(page)

    result = downloaded(page, tmp_path)
    assert result.name == "street.color.mp4"
    expected = by_command_line(source, tmp_path, "--render-factor", factor)
    assert frames(result) == frames(expected)


def test_slider_divides_two_films_that_play_in_step(page: Page, film: Path, tmp_path: Path):
    begin(page, copy_of(film, tmp_path / "played.mp4"))
    wait_until_done(page)
    slider = page.get_by_role("slider", name="Share of the picture")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "40 % in color"
    clip = page.locator(".layer.before").evaluate("layer => getComputedStyle(layer).clipPath")
    assert "40%" in clip

    page.get_by_role("button", name="Play").click()
    until(
        page,
        """() => {
          const [before, after] = ["before", "after"].map(
            (side) => document.querySelector(`.${side} video`));
          return !before.paused && after.currentTime > 1.5
            && Math.abs(before.currentTime - after.currentTime) < 0.04;
        }""",
    )
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("slider", name="Place in the film").fill("10.2")
    until(page, "[...document.querySelectorAll('video')].every(video => !video.seeking)")
    assert seconds_of(page, "before") == pytest.approx(10.2, abs=0.02)
    assert seconds_of(page, "after") == pytest.approx(10.2, abs=0.02)


def test_still_has_a_slider_and_equals_the_command_line(page: Page, tmp_path: Path):
    source = tmp_path / "photo.png"
    Image.linear_gradient("L").resize((160, 120)).save(source)
    begin(page, source)
    wait_until_done(page)
    expect(page.locator(".stage img")).to_have_count(2)
    result = downloaded(page, tmp_path)
    expected = by_command_line(source, tmp_path)
    assert Image.open(result).tobytes() == Image.open(expected).tobytes()


def test_film_that_browsers_cannot_play_shows_single_frames(
    page: Page, make_clip: Callable[[str], Path], tmp_path: Path
):
    begin(page, copy_of(make_clip("late.ts"), tmp_path / "broadcast.ts"))
    wait_until_done(page)
    expect(page.get_by_text("so single frames are shown")).to_be_visible(timeout=WAIT)
    images = page.locator(".stage img")
    expect(images).to_have_count(2, timeout=WAIT)
    place = page.get_by_role("slider", name="Place in the film")
    shown = []
    for time in ("0.1", "0.4"):
        with page.expect_response(re.compile(f"side=after&at={time}")) as waiting:
            place.fill(time)
        assert waiting.value.ok
        expect(page.locator(".after img")).to_have_attribute("src", re.compile(f"at={time}"))
        expect(page.locator(".before img")).to_have_attribute("src", re.compile(f"at={time}"))
        shown.append(waiting.value.body())
    assert shown[0] != shown[1]
    page.get_by_role("button", name="Play the result").click()
    expect(page.locator(".picture video")).to_be_focused()
    until(page, "document.querySelector('.picture video').readyState > 0")


def test_several_files_are_colored_alike(
    page: Page, make_clip: Callable[[str], Path], tmp_path: Path
):
    folder = tmp_path / "reels" / "one"
    folder.mkdir(parents=True)
    copy_of(make_clip("cfr.mp4"), folder / "a.mp4")
    Image.linear_gradient("L").resize((64, 48)).save(folder / "b.png")
    (folder / "notes.txt").write_text("nothing to color")
    drop(page, tmp_path / "reels")
    expect(page.get_by_role("alert").filter(has_text="1 file left out")).to_be_visible()
    wait_for_sheet(page)
    together = page.get_by_role("button", name="Color all 2 files like this")
    expect(together).to_be_visible(timeout=WAIT)
    page.get_by_label("Smoothing over time").select_option("strong")
    together.click()
    for name in ("reels/one/a.mp4", "reels/one/b.png"):
        entry = page.locator("#jobs li").filter(has_text=name).first
        expect(entry).to_contain_text("Done", timeout=WAIT)


# The connection


@pytest.mark.parametrize("how", ["cut", "reload"])
def test_upload_goes_on_where_it_was(
    server: Server,
    line: Line,
    new_page: Callable[..., Page],
    film: Path,
    tmp_path: Path,
    how: str,
):
    source = padded(film, tmp_path / f"{how}.mp4", 6_000_000)
    page = new_page(server.through(line.port))
    offsets: list[int] = []
    page.on(
        "request",
        lambda request: (
            offsets.append(int(request.headers["upload-offset"]))
            if request.method == "PATCH"
            else None
        ),
    )
    line.rate = 2_000_000
    add(page, source)
    expect(page.locator(".file .figures")).to_have_text(re.compile("^[2-9]. %"), timeout=WAIT)
    if how == "cut":
        line.cut()
        expect(page.locator(".file .figures")).to_contain_text("The connection was cut")
        line.mend()
    else:
        page.reload()
        expect(page.locator(".file .figures")).to_contain_text("choose the same file again")
        line.rate = None
        add(page, source)
    wait_for_sheet(page)
    assert offsets[0] == 0
    assert offsets[-1] > 100_000
    content = page.evaluate(
        """async () => {
          const id = location.hash.split("/").pop();
          const answer = await fetch(`/api/v1/uploads/${id}/content`);
          const sum = await crypto.subtle.digest("SHA-256", await answer.arrayBuffer());
          return Array.from(new Uint8Array(sum), (b) => b.toString(16).padStart(2, "0")).join("");
        }"""
    )
    assert content == hashlib.sha256(source.read_bytes()).hexdigest()


def test_job_survives_a_restart_of_the_server(
    new_page: Callable[..., Page], film: Path, tmp_path: Path
):
    server = Server(tmp_path / "data")
    try:
        source = copy_of(film, tmp_path / "long.mp4")
        page = new_page(server.address)
        add(page, source)
        wait_for_sheet(page)
        page.get_by_text("More settings").click()
        page.get_by_label("Seconds per piece").fill("2")
        page.get_by_role("button", name="Color the whole film").click()
        expect(page.locator(".job .figures")).to_have_text(
            re.compile(r"^(1[0-9]{2}|2[0-9]{2}) of"), timeout=WAIT
        )
        server.stop()
        expect(page.locator("#connection")).to_be_visible()
        server.start()
        expect(page.locator("#connection")).to_be_hidden(timeout=WAIT)
        wait_until_done(page)
        result = downloaded(page, tmp_path)
    finally:
        server.stop()
    expected = by_command_line(source, tmp_path, "--piece-seconds", "2")
    assert frames(result) == frames(expected)


def test_canceled_upload_leaves_nothing(
    line: Line, server: Server, new_page: Callable[..., Page], clip: Path, tmp_path: Path
):
    page = new_page(server.through(line.port))
    line.rate = 2_000_000
    add(page, padded(clip, tmp_path / "unwanted.mp4", 24_000_000))
    expect(page.locator(".file .figures")).to_have_text(re.compile(r"^[1-9]\d? %"), timeout=WAIT)
    with page.expect_response(
        lambda answer: answer.request.method == "DELETE" and answer.status == 204
    ):
        page.get_by_role("button", name="Cancel the upload").click()
    page.reload()
    expect(page.get_by_role("button", name="Choose files")).to_be_visible()
    expect(page.locator("#jobs-title")).to_be_visible()
    assert page.locator("#files li").filter(has_text="unwanted").count() == 0


def test_job_is_canceled(page: Page, film: Path, tmp_path: Path):
    begin(page, copy_of(film, tmp_path / "canceled.mp4"))
    expect(page.locator(".job .figures")).to_contain_text("fps", timeout=WAIT)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    expect(page.locator(".job .state")).to_have_text("Canceled", timeout=WAIT)
    page.reload()
    expect(page.locator(".job .state")).to_have_text("Canceled")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#jobs li").filter(has_text="canceled.mp4")).to_have_count(0)


def test_jobs_of_earlier_are_listed(page: Page, make_clip: Callable[[str], Path], tmp_path: Path):
    begin(page, copy_of(make_clip("cfr.mp4"), tmp_path / "earlier.mp4"))
    wait_until_done(page)
    page.goto(page.url.split("#")[0])
    page.get_by_role("link", name=re.compile("earlier.mp4")).first.click()
    expect(page.get_by_role("link", name=re.compile("Download"))).to_be_visible()


# Faults


def test_faults_are_said_in_the_words_of_the_command_line(page: Page, tmp_path: Path):
    source = tmp_path / "no film.mp4"
    source.write_bytes(b"this is no film" * 100)
    add(page, source)
    alert = page.locator(".file .error")
    expect(alert).to_contain_text("no film.mp4", timeout=WAIT)
    assert str(tmp_path) not in alert.inner_text()


def test_refused_option_is_said_beside_the_button(page: Page, clip: Path, tmp_path: Path):
    add(page, copy_of(clip, tmp_path / "options.mp4"))
    wait_for_sheet(page)
    page.get_by_text("More settings").click()
    page.get_by_label("Codec").fill("nonsense")
    page.get_by_role("button", name="Color the whole film").click()
    expect(page.get_by_role("alert").filter(has_text="nonsense")).to_be_visible(timeout=WAIT)


def test_html_in_names_is_shown_as_text(page: Page, clip: Path, tmp_path: Path):
    name = "<img src=x onerror=alert(1)><b>bold.mp4"
    source = tmp_path / name
    run_ffmpeg("-i", clip, "-c", "copy", "-t", "1", "-metadata", f"title={name}", source)
    begin(page, source)
    wait_until_done(page)
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    expect(page.locator("#jobs").get_by_text(name)).to_be_visible()
    assert page.locator("img[src=x]").count() == 0
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.locator("b").count() == 0


# How it looks, and how it is used without eyes or mouse

PHONE = (390, 844)
CONTROLS = {"button", "link", "slider", "combobox", "textbox", "radio", "checkbox", "spinbutton"}


def names_are_there(page: Page) -> None:
    """Every control and picture has a name, every id is there once, headings skip no level."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    nameless = [
        node
        for node in tree
        if node.get("role", {}).get("value") in CONTROLS
        and not node.get("ignored")
        and not node.get("name", {}).get("value")
    ]
    assert not nameless
    ids = page.evaluate("Array.from(document.querySelectorAll('[id]'), (one) => one.id)")
    assert len(ids) == len(set(ids))
    assert page.locator("img:not([alt])").count() == 0
    levels = page.evaluate(
        """Array.from(document.querySelectorAll("h1, h2, h3"))
             .filter((one) => one.checkVisibility()).map((one) => Number(one.tagName[1]))"""
    )
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def no_sideways_scroll(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("size", [PHONE, (320, 640), (1280, 800)], ids=str)
def test_every_view_fits_and_is_named(
    server: Server,
    new_page: Callable[..., Page],
    film: Path,
    clip: Path,
    tmp_path: Path,
    size: tuple[int, int],
):
    width, height = size
    page = new_page(server.address, viewport={"width": width, "height": height})
    expect(page.get_by_role("button", name="Choose files")).to_be_visible(timeout=WAIT)

    def check() -> None:
        no_sideways_scroll(page)
        names_are_there(page)

    check()
    source = film if size == PHONE else clip
    add(page, copy_of(source, tmp_path / f"{'long name ' * 12}{'unbroken' * 8}.mp4"))
    wait_for_sheet(page)
    check()
    page.get_by_text("More settings").click()
    check()
    page.get_by_role("button", name="Color the whole film").click()
    if source is film:
        expect(page.locator(".job .figures")).to_contain_text("fps", timeout=WAIT)
        check()
    wait_until_done(page)
    check()


def test_sheet_and_settings_work_by_keyboard(page: Page, clip: Path, tmp_path: Path):
    source = copy_of(clip, tmp_path / "keyboard.mp4")
    page.on("filechooser", lambda chooser: chooser.set_files(str(source)))
    page.get_by_role("button", name="Choose files").focus()
    page.keyboard.press("Enter")
    wait_for_sheet(page)
    radios = page.get_by_role("radio", name=re.compile(r"^lite render factor \d+$"))
    assert radios.count() >= 3
    radios.first.focus()
    page.keyboard.press("Space")
    chosen = [page.get_by_label("Render factor", exact=True).input_value()]
    page.keyboard.press("ArrowRight")
    chosen.append(page.get_by_label("Render factor", exact=True).input_value())
    assert chosen[0] != chosen[1]
    outline = page.locator(".choice:has(:checked)").evaluate(
        "card => getComputedStyle(card).outlineStyle"
    )
    assert outline == "solid"
    caption = page.locator(".caption")
    first = caption.inner_text()
    page.get_by_role("button", name="Next frame").focus()
    page.keyboard.press("Enter")
    expect(caption).not_to_have_text(first)
    page.get_by_role("button", name="Color the whole film").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".job")).to_be_visible()
    assert page.evaluate("document.activeElement.tagName") == "H2"


def test_progress_and_end_are_announced(page: Page, clip: Path, tmp_path: Path):
    begin(page, copy_of(clip, tmp_path / "heard.mp4"))
    wait_until_done(page)
    expect(page.locator("#announcement")).to_have_text("heard.mp4: Done.")


def test_light_dark_and_reduced_motion(server: Server, new_page: Callable[..., Page]):
    grounds = []
    for scheme in ("light", "dark"):
        page = new_page(server.address, color_scheme=scheme, reduced_motion="reduce")
        expect(page.get_by_role("button", name="Choose files")).to_be_visible(timeout=WAIT)
        grounds.append(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
        assert (
            page.locator("#choose-files").evaluate(
                "button => getComputedStyle(button).transitionDuration"
            )
            == "0s"
        )
    assert grounds[0] != grounds[1]


def test_colors_are_called_a_guess(page: Page):
    expect(page.get_by_text("Colors are a guess")).to_be_visible()
